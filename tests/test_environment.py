"""What is a notebook, a prompt and a script."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from types import SimpleNamespace

import pytest

from framewire.environment import in_notebook, is_script

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
    assert in_notebook() is notebook and not is_script()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert not in_notebook()
