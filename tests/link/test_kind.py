"""Which kind of link there is: by descriptors, unless the system or the environment says otherwise."""

from __future__ import annotations

import errno
import socket

import pytest

from framewire.errors import EngineError
from framewire.link import kind
from framewire.link.kind import LINK_VARIABLE, by_name


@pytest.fixture(autouse=True)
def _unset(monkeypatch):
    monkeypatch.delenv(LINK_VARIABLE, raising=False)
    kind._local_sockets.cache_clear()
    yield
    kind._local_sockets.cache_clear()


def refused(number):
    def refuse(*_):
        raise OSError(number, "no")

    return refuse


def test_here_descriptors_are_used_and_asked_for_once(monkeypatch):
    assert not by_name()
    monkeypatch.setattr(socket, "socketpair", refused(errno.EPERM))
    assert not by_name()


@pytest.mark.parametrize("number", [errno.EPERM, errno.EACCES, errno.EAFNOSUPPORT])
def test_where_local_sockets_are_refused_names_are_used(monkeypatch, number):
    monkeypatch.setattr(socket, "socketpair", refused(number))
    assert by_name()


def test_where_there_are_no_local_sockets_names_are_used(monkeypatch):
    monkeypatch.delattr(socket, "AF_UNIX")
    assert by_name()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_a_limit_that_is_met_now_says_nothing_about_the_system(monkeypatch, number):
    monkeypatch.setattr(socket, "socketpair", refused(number))
    assert not by_name()


@pytest.mark.parametrize(("value", "expected"), [("names", True), ("descriptors", False), ("", False)])
def test_the_environment_may_say_which(monkeypatch, value, expected):
    monkeypatch.setenv(LINK_VARIABLE, value)
    assert by_name() == expected


def test_a_kind_that_there_is_not_is_an_error_and_not_one_of_the_two(monkeypatch):
    monkeypatch.setenv(LINK_VARIABLE, "name")
    with pytest.raises(EngineError, match='FRAMEWIRE_LINK in the environment is "descriptors" or "names", not "name"'):
        by_name()
