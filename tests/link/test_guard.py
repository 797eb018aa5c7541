"""A program that was started as an engine, and is none, says so to both sides."""

from __future__ import annotations

import sys

import pytest

import framewire
from framewire.errors import EngineError
from framewire.link.control import Failed, parent_decoder
from framewire.link.guard import refuse_in_engine, refuse_other_versions
from framewire.link.handles import Handles
from tests.link.ends import engines_handles, parent_end


def test_a_program_of_the_user_is_let_through(monkeypatch):
    monkeypatch.delenv("FRAMEWIRE_ENGINE", raising=False)
    refuse_in_engine()


def test_who_started_it_is_told_and_its_socket_ends(link_kind, monkeypatch):
    monkeypatch.setenv("FRAMEWIRE_ENGINE", "1")
    end = parent_end()
    with engines_handles(end) as handles:
        monkeypatch.setattr(sys, "argv", ["app", "-m", "framewire.engine", *handles.arguments()])
        with pytest.raises(EngineError, match=r"this program itself.*FRAMEWIRE_PYTHON.*thread") as error:
            refuse_in_engine()
    assert "\n" not in str(error.value)
    assert parent_decoder().feed(end.receive()) == [Failed(text=str(error.value))]
    assert end.receive() == b""
    end.close()


def test_an_engine_of_another_version_refuses(monkeypatch):
    refuse_other_versions()
    monkeypatch.setenv("FRAMEWIRE_ENGINE", framewire.__version__)
    refuse_other_versions()
    monkeypatch.setenv("FRAMEWIRE_ENGINE", "0.0.1")
    end = parent_end()
    words = f"has framewire {framewire.__version__}, and the program has 0.0.1; let FRAMEWIRE_PYTHON"
    with engines_handles(end) as handles:
        monkeypatch.setattr(sys, "argv", ["engine", *handles.arguments()])
        with pytest.raises(EngineError, match=words) as error:
            refuse_other_versions()
    assert parent_decoder().feed(end.receive()) == [Failed(text=str(error.value))]
    end.close()


@pytest.mark.parametrize("argv", [[], ["app"], ["app", *Handles(control=9999, bell=0, parent=1).arguments()]])
def test_it_refuses_where_it_cannot_tell(monkeypatch, argv):
    monkeypatch.setenv("FRAMEWIRE_ENGINE", "1")
    monkeypatch.setattr(sys, "argv", argv)
    with pytest.raises(EngineError):
        refuse_in_engine()
