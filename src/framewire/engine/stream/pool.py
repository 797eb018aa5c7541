"""The threads that encode and compress. Must not know what they run.

Not a `ThreadPoolExecutor`: that one takes no work any more once the main thread has ended. An engine on a thread of the
user's program serves until the program exits, and other threads may publish until then.

Where the system gives no thread (its limit is reached, or Python 3.12.0 or 3.12.1 is about to exit), whoever submits
does the work.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import Empty, SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_Work = tuple[Future[Any], Callable[[], Any]]


class EncoderPool(Executor):
    """At most ``size`` daemon threads, each started when it is needed and can be had. Any thread may submit."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._work: SimpleQueue[_Work | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._closed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As :meth:`concurrent.futures.Executor.submit`. Raises RuntimeError after :meth:`shutdown`."""
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("the pool is shut down")
            self._work.put((future, lambda: fn(*args, **kwargs)))
            if not self._idle.acquire(blocking=False) and len(self._threads) < self._size:
                self._start_thread()
            has_threads = bool(self._threads)
        if not has_threads:
            self._work_here()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As :meth:`concurrent.futures.Executor.shutdown`."""
        with self._lock:
            self._closed = True
            if cancel_futures:
                self._cancel_waiting()
            for _ in self._threads:
                self._work.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _start_thread(self) -> None:
        name = f"framewire-encode_{len(self._threads)}"
        thread = threading.Thread(target=self._run, name=name, daemon=True)
        with contextlib.suppress(RuntimeError):  # none can be had
            thread.start()
            self._threads.append(thread)

    def _work_here(self) -> None:
        with contextlib.suppress(Empty):
            while item := self._work.get_nowait():
                _complete(*item)

    def _cancel_waiting(self) -> None:
        with contextlib.suppress(Empty):
            while item := self._work.get_nowait():
                item[0].cancel()

    def _run(self) -> None:
        while item := self._work.get():
            _complete(*item)
            del item  # or the last job's frame is kept until the next one comes
            self._idle.release()


def _complete(future: Future[Any], work: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)
