"""A system without more files, memory, threads or processes: one line with the cure, nothing left, and on it goes."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import framewire as fw
from framewire.errors import EngineError, FramewireError
from framewire.link import memory
from framewire.link.kind import LINK_VARIABLE
from framewire.options import EngineHome
from framewire.shortages import cure, reason, start_thread
from tests.faulty_calls import KINDS, Left, every_fault
from tests.viewer import flat


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EMFILE, "Too many"), "Too many; raise the limit of open files (ulimit -n)"),
        (OSError(errno.ENOENT, "No such file", "/a"), "/a: No such file"),
        (OSError("odd"), "odd"),
        (RuntimeError("can't start new thread"),
         "can't start new thread; raise the limits of processes and of memory (ulimit -u, ulimit -v)"),
        (RuntimeError("dictionary changed size during iteration"), "dictionary changed size during iteration"),
        (MemoryError(), "MemoryError; free some memory, or raise its limit (ulimit -v)"),
        (ImportError("two\nlines"), "two lines"),
    ],
)  # fmt: skip
def test_a_reason_is_one_line_with_the_cure(error: BaseException, said: str) -> None:
    assert reason(error) == said
    assert (cure(error) is None) == (";" not in said)


def test_a_thread_that_cannot_be_had_is_an_engine_error(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = threading.Event()
    start_thread(threading.Thread(target=ran.set), "it")
    assert ran.wait(30)

    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    with pytest.raises(EngineError, match=r"^it gets no thread: can't start new thread; raise .*ulimit -u") as caught:
        start_thread(threading.Thread(), "it")
    assert isinstance(caught.value.__cause__, RuntimeError)


# Every system call of a program that serves, publishes and closes, failing in turn


def session(home: EngineHome) -> Callable[[], None]:
    def act() -> None:
        display = fw.serve(8, 6, port=0, engine=home)
        try:
            display.publish(flat(8, 6))
            display.publish(flat(100, 100))  # larger memory
            display.server.add_stream("other", 4, 4).publish(flat(4, 4))
            display.on_event(lambda event: None)
            fw.publish_loop(display, lambda: None).cancel()
            display.server.open_viewer(lambda text: None, lambda data: None, lambda code, why: None).close()
        finally:
            display.server.close()

    return act


HOMES: list[tuple[EngineHome, str]] = [("process", "descriptors"), ("process", "names"), ("thread", "descriptors")]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts descriptors as Linux lists them")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("home", "link"), HOMES, ids=["by descriptors", "by names", "on a thread"])
def test_any_call_that_fails_is_one_line_leaves_nothing_and_the_next_one_works(
    home: EngineHome, link: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LINK_VARIABLE, link)
    monkeypatch.setattr(memory, "_MEMORY_DIRECTORY", str(tmp_path))
    act = session(home)
    act()
    left = Left(tmp_path)
    for number, error in every_fault(kind, act):
        more = left.more()
        assert not more, f"{kind} {number}, {error!r}"
        if error is not None:
            assert isinstance(error, FramewireError), f"{kind} {number}, {error!r}"
            assert "\n" not in str(error) and "; " in str(error), f"one line with the cure: {error}"
