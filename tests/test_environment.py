"""What is a notebook, a prompt and a script."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
from types import SimpleNamespace

import pytest

import framewire as fw
from framewire.environment import in_notebook, in_terminal_ipython, is_script, say

ASK = "from framewire.environment import in_notebook, is_script; print(is_script(), in_notebook())"


def answer(*words: str, given: str = "") -> list[str]:
    found = subprocess.run([sys.executable, *words], input=given, capture_output=True, text=True, check=True)
    return found.stdout.split()[-2:]


def test_a_script_is_one_and_python_that_stays_for_a_prompt_is_none():
    assert answer("-c", ASK) == ["True", "False"]
    assert answer("-", given=ASK) == ["True", "False"]
    assert answer("-i", "-c", ASK) == ["False", "False"]
    assert answer("-c", f"import sys; sys.ps1 = '>>> '; {ASK}") == ["False", "False"]


def test_a_thread_and_a_running_loop_go_on_by_themselves():
    thread = f"import threading; t = threading.Thread(target=exec, args=({ASK!r},)); t.start(); t.join()"
    assert answer("-c", thread) == ["False", "False"]

    async def ask() -> bool:
        return is_script()

    assert not asyncio.run(ask())


@pytest.mark.parametrize(("shell", "notebook"), [(SimpleNamespace(kernel=1), True), (SimpleNamespace(), False)])
def test_a_notebook_is_ipython_with_a_kernel(monkeypatch: pytest.MonkeyPatch, shell: object, notebook: bool):
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert in_notebook() is notebook and not is_script() and in_terminal_ipython() is not notebook
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert not in_notebook() and not in_terminal_ipython()


def test_a_line_that_no_one_can_read_is_dropped(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    say("a line")
    assert capsys.readouterr() == ("", "a line\n")
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    say("a line")


def test_ipython_in_a_terminal_shows_where_the_display_is(monkeypatch: pytest.MonkeyPatch):
    with fw.serve(6, 4, engine="thread") as display:
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace()))
        assert display._repr_mimebundle_() == {"text/plain": repr(display)}
