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
from collections.abc import Awaitable, Callable
from typing import Final

from framewire.authentication import Authenticate, ConnectionRequest, checked_principal
from framewire.errors import EngineError

log: Final = logging.getLogger("framewire")

MAX_OPEN_QUESTIONS: Final = 32
"""Viewers that are authenticated at a time; further ones fail at once. It bounds the threads of a function that hangs.

Source: chosen by hand, as many as an engine admits at a time; pinned by
`tests/host/test_authenticator.py::test_the_33rd_question_at_a_time_fails_at_once`."""
AUTHENTICATION_TIMEOUT_S: Final = 10.0
"""A coroutine that has not answered in this time is cancelled. The viewer is gone by then.

Source: chosen by hand, twice the deadline for `hello`; pinned by
`tests/host/test_authenticator.py::test_a_coroutine_that_hangs_is_cancelled`."""


class Authenticator:
    """``answer`` gets the question's number, the principal or None, and whether the program's function failed.

    It is called on a thread of its own. Coroutines run there, each on an event loop of its own.
    """

    def __init__(self, authenticate: Authenticate, answer: Callable[[int, str | None, bool], None]) -> None:
        self._authenticate, self._answer = authenticate, answer
        self._slots = threading.Semaphore(MAX_OPEN_QUESTIONS)

    def ask(self, question: int, token: str, request: ConnectionRequest) -> None:
        """Returns at once."""
        if self._slots.acquire(blocking=False):
            target, arguments = self._work, (question, token, request)
            threading.Thread(target=target, args=arguments, name="framewire-authenticate", daemon=True).start()
        else:
            log.warning("framewire: more than %d viewers wait for authentication", MAX_OPEN_QUESTIONS)
            self._answer(question, None, True)

    def _work(self, question: int, token: str, request: ConnectionRequest) -> None:
        try:
            principal, failed = self._principal(token, request), False
        except Exception:
            log.exception("framewire: a viewer could not be authenticated")
            principal, failed = None, True
        finally:
            self._slots.release()
        self._answer(question, principal, failed)

    def _principal(self, token: str, request: ConnectionRequest) -> str | None:
        answer = self._authenticate(token, request)
        return checked_principal(asyncio.run(_wait(answer)) if inspect.isawaitable(answer) else answer)


async def _wait(answer: Awaitable[str | None]) -> str | None:
    async with asyncio.timeout(AUTHENTICATION_TIMEOUT_S):
        return await answer


def on_threads(authenticate: Authenticate) -> Authenticate:
    """The same for an engine in this process: a coroutine function, which waits while ``authenticate`` runs.

    Not by `asyncio.to_thread`: a program does not exit before its threads have ended.
    """
    waiting: dict[int, asyncio.Future[str | None]] = {}
    numbers = itertools.count()

    def answered(question: int, principal: str | None, failed: bool) -> None:
        if future := waiting.get(question):
            with contextlib.suppress(RuntimeError):  # the loop is closed
                future.get_loop().call_soon_threadsafe(_settle, future, principal, failed)

    authenticator = Authenticator(authenticate, answered)

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
