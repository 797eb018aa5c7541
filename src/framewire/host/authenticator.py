"""Runs the program's own authentication on threads of its own: it may take its time, or hang.

Must not know engines, nor how questions and answers travel.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from framewire.authentication import Authenticate, ConnectionRequest, checked_principal
from framewire.errors import EngineError
from framewire.limited_log import LimitedLog

log: Final = logging.getLogger("framewire")

MAX_OPEN_QUESTIONS: Final = 32
"""Viewers that are authenticated at a time; further ones wait. It bounds the threads of a function that hangs.

Source: chosen by hand; pinned by
`tests/host/test_authenticator.py::test_the_newest_question_is_next_and_the_oldest_one_fails`."""
MAX_WAITING_QUESTIONS: Final = 256
"""Viewers that wait for authentication. For one more, the oldest question fails: its viewer is the least likely to
wait still.

Source: chosen by hand, as many as an engine has viewers that are not admitted; pinned by
`tests/host/test_authenticator.py::test_the_newest_question_is_next_and_the_oldest_one_fails`."""
AUTHENTICATION_TIMEOUT_S: Final = 10.0
"""A coroutine that has not answered in this time is cancelled. The viewer is gone by then.

Source: chosen by hand, twice the deadline for `hello`; pinned by
`tests/host/test_authenticator.py::test_a_coroutine_that_hangs_is_cancelled`."""


class Authenticator:
    """``answer`` gets the question's number, the principal or None, and whether the program's function failed.

    It is called on a thread of its own. Coroutines run there, each on an event loop of its own.
    """

    def __init__(
        self,
        authenticate: Authenticate,
        answer: Callable[[int, str | None, bool], None],
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """With ``loop``, coroutines run on that one."""
        self._authenticate, self._answer, self._loop = authenticate, answer, loop
        self._slots = threading.Semaphore(MAX_OPEN_QUESTIONS)
        self._log = LimitedLog(log)
        self._waiting: deque[tuple[int, str, ConnectionRequest]] = deque()

    def ask(self, question: int, token: str, request: ConnectionRequest) -> None:
        """Returns at once."""
        self._waiting.append((question, token, request))
        self._start_thread()
        if len(self._waiting) > MAX_WAITING_QUESTIONS:
            self._log.warning("framewire: more than %d viewers wait for authentication", MAX_WAITING_QUESTIONS)
            self._fail(self._waiting.popleft)

    def _fail(self, take: Callable[[], tuple[int, str, ConnectionRequest]]) -> None:
        with contextlib.suppress(IndexError):  # all have just been taken
            question, _, _ = take()
            self._answer(question, None, True)

    def _start_thread(self) -> None:
        if self._waiting and self._slots.acquire(blocking=False):
            try:
                threading.Thread(target=self._work, name="framewire-authenticate", daemon=True).start()
            except RuntimeError as error:
                self._slots.release()
                self._log.warning("framewire: authentication gets no thread: %s", error)
                self._fail(self._waiting.pop)

    def _work(self) -> None:
        try:
            while asked := self._newest():
                self._decide(*asked)
        finally:
            self._slots.release()
        self._start_thread()  # for what has come since the last look

    def _newest(self) -> tuple[int, str, ConnectionRequest] | None:
        """Its viewer is the likeliest to wait still."""
        with contextlib.suppress(IndexError):
            return self._waiting.pop()
        return None

    def _decide(self, question: int, token: str, request: ConnectionRequest) -> None:
        try:
            principal, failed = self._principal(token, request), False
        except BaseException:  # SystemExit as well: the viewer is to be answered
            self._log.exception("framewire: a viewer could not be authenticated")
            principal, failed = None, True
        try:
            self._answer(question, principal, failed)
        except Exception:  # the thread has other questions
            self._log.exception("framewire: the engine could not be told who is admitted")

    def _principal(self, token: str, request: ConnectionRequest) -> str | None:
        answer = self._authenticate(token, request)
        if inspect.isawaitable(answer):
            answer = self._awaited(_wait(answer))
        return checked_principal(answer)

    def _awaited(self, answer: Coroutine[Any, Any, str | None]) -> str | None:
        if self._loop is None:
            return asyncio.run(answer)
        return asyncio.run_coroutine_threadsafe(answer, self._loop).result(2 * AUTHENTICATION_TIMEOUT_S)


async def _wait(answer: Awaitable[str | None]) -> str | None:
    async with asyncio.timeout(AUTHENTICATION_TIMEOUT_S):
        return await answer


def off_the_loop(authenticate: Authenticate) -> Authenticate:
    """The same for an engine on the loop that runs now: what is no coroutine function does not hold that loop up."""
    called = authenticate if inspect.isroutine(authenticate) else type(authenticate).__call__
    is_coroutine = inspect.iscoroutinefunction(authenticate) or inspect.iscoroutinefunction(called)
    return authenticate if is_coroutine else on_threads(authenticate, asyncio.get_running_loop())


def on_threads(authenticate: Authenticate, loop: asyncio.AbstractEventLoop | None = None) -> Authenticate:
    """The same for an engine in this process: a coroutine function, which waits while ``authenticate`` runs.

    With ``loop``, coroutines run on that one. Not by `asyncio.to_thread`: a program does not exit before its threads
    have ended.
    """
    waiting: dict[int, asyncio.Future[str | None]] = {}
    numbers = itertools.count()

    def answered(question: int, principal: str | None, failed: bool) -> None:
        if future := waiting.get(question):
            with contextlib.suppress(RuntimeError):  # the loop is closed
                future.get_loop().call_soon_threadsafe(_settle, future, principal, failed)

    authenticator = Authenticator(authenticate, answered, loop)

    async def ask(token: str, request: ConnectionRequest) -> str | None:
        question = next(numbers)
        future: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        waiting[question] = future
        try:
            authenticator.ask(question, token, request)
            return await future
        finally:
            del waiting[question]

    return ask


def _settle(future: asyncio.Future[str | None], principal: str | None, failed: bool) -> None:
    if future.done():  # the viewer is gone
        return
    if failed:
        future.set_exception(EngineError("the program did not say whether a viewer is admitted"))
    else:
        future.set_result(principal)
