"""The encoders' threads: how many, what they return, and that they work until the program exits."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
import threading
import weakref
from concurrent.futures import CancelledError
from concurrent.futures import wait as wait_for

import pytest

from framewire.engine.stream.pool import EncoderPool
from tests.viewer import TEST_TIMEOUT_S


def test_results_and_errors_come_back() -> None:
    pool = EncoderPool(2)
    assert pool.submit(divmod, 7, 2).result(TEST_TIMEOUT_S) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 7, 0).result(TEST_TIMEOUT_S)
    assert pool.submit(int, "11", base=2).result(TEST_TIMEOUT_S) == 3
    pool.shutdown()
    with pytest.raises(RuntimeError, match="shut down"):
        pool.submit(int)


def test_a_thread_is_started_only_where_none_is_idle_and_no_more_than_allowed() -> None:
    pool, released = EncoderPool(2), threading.Event()
    for _ in range(3):
        pool.submit(int).result(TEST_TIMEOUT_S)
        assert pool._idle.acquire(timeout=TEST_TIMEOUT_S)
        pool._idle.release()
    assert len(pool._threads) == 1
    blocked = [pool.submit(released.wait, TEST_TIMEOUT_S) for _ in range(5)]
    assert len(pool._threads) == 2
    released.set()
    assert all(future.result(TEST_TIMEOUT_S) for future in blocked)
    pool.shutdown()
    assert not any(thread.is_alive() for thread in pool._threads)


def test_what_waits_is_cancelled_and_what_runs_is_left_to_end() -> None:
    pool, started, released = EncoderPool(1), threading.Event(), threading.Event()

    def work() -> bool:
        started.set()
        return released.wait(TEST_TIMEOUT_S)

    running, waiting, withdrawn = pool.submit(work), pool.submit(int), pool.submit(int)
    started.wait(TEST_TIMEOUT_S)
    withdrawn.cancel()
    pool.shutdown(wait=False, cancel_futures=True)
    released.set()
    assert running.result(TEST_TIMEOUT_S)
    with pytest.raises(CancelledError):
        waiting.result(TEST_TIMEOUT_S)
    pool.shutdown()
    assert not pool._threads[0].is_alive()


def test_work_that_was_withdrawn_is_passed_over() -> None:
    pool, released = EncoderPool(1), threading.Event()
    blocked, withdrawn, last = pool.submit(released.wait), pool.submit(int), pool.submit(int, 3)
    assert withdrawn.cancel()
    released.set()
    assert last.result(TEST_TIMEOUT_S) == 3 and blocked.done()
    pool.shutdown()


def test_a_job_that_is_done_is_let_go() -> None:
    class Frame:
        """Something that can be watched."""

    pool, frame = EncoderPool(1), Frame()
    gone = weakref.ref(frame)
    wait_for([pool.submit(id, frame)], TEST_TIMEOUT_S)
    assert pool._idle.acquire(timeout=TEST_TIMEOUT_S)
    del frame
    gc.collect()
    assert gone() is None
    pool.shutdown()


def test_where_no_thread_can_be_had_who_submits_works_and_a_thread_that_is_there_does_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    pool = EncoderPool(2)
    with monkeypatch.context() as limited:
        limited.setattr(threading.Thread, "start", refused)
        assert pool.submit(threading.get_ident).result(0) == threading.get_ident()
    first = pool.submit(threading.get_ident).result(TEST_TIMEOUT_S)
    assert first != threading.get_ident()
    released = threading.Event()
    blocked = pool.submit(released.wait)
    monkeypatch.setattr(threading.Thread, "start", refused)
    waiting = pool.submit(threading.get_ident)
    assert not waiting.done()
    released.set()
    assert waiting.result(TEST_TIMEOUT_S) == first and blocked.done()
    pool.shutdown()


PROGRAM = """
    import threading, time
    from framewire.engine.stream.pool import EncoderPool
    pool = EncoderPool(1)
    pool.submit(int).result()
    def work():
        threading.main_thread().join()
        time.sleep(0.1)  # the interpreter's own executors are shut down by then
        print(pool.submit(int, 7).result())
    threading.Thread(target=work).start()
"""


def test_it_works_until_the_program_exits_and_does_not_delay_that() -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("7\n", "", 0)
