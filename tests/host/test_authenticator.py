"""The program's own authentication: sync or async, slow, failing, and too many at a time."""

from __future__ import annotations

import asyncio
import queue
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable

import pytest

from framewire.authentication import Authenticate, ConnectionRequest
from framewire.errors import EngineError
from framewire.host import authenticator as module
from framewire.host.authenticator import Authenticator, off_the_loop, on_threads
from tests.viewer import TEST_TIMEOUT_S

REQUEST = ConnectionRequest(query={"user": "ada"})


def wait_until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TEST_TIMEOUT_S
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class Asked:
    """An authenticator, and its answers as they come."""

    def __init__(self, authenticate: Authenticate) -> None:
        self.answers: queue.Queue[tuple[int, str | None, bool]] = queue.Queue()
        self.authenticator = Authenticator(authenticate, lambda *answer: self.answers.put(answer))

    def ask(self, question: int, token: str = "") -> None:
        self.authenticator.ask(question, token, REQUEST)

    def answer(self) -> tuple[int, str | None, bool]:
        return self.answers.get(timeout=TEST_TIMEOUT_S)


def by_token(token: str, request: ConnectionRequest) -> str | None:
    return request.query["user"] if token == "known" else None


async def by_token_later(token: str, request: ConnectionRequest) -> str | None:
    await asyncio.sleep(0)
    return by_token(token, request)


@pytest.mark.parametrize("authenticate", [by_token, by_token_later])
def test_the_answer_is_the_principal_or_none(authenticate: Authenticate) -> None:
    asked = Asked(authenticate)
    asked.ask(1, "known")
    assert asked.answer() == (1, "ada", False)
    asked.ask(2, "unknown")
    assert asked.answer() == (2, None, False)


def fail(token: str, _: ConnectionRequest) -> str | None:
    raise KeyError(token)


def say_true(token: str, _: ConnectionRequest) -> str | None:
    return True  # type: ignore[return-value]


@pytest.mark.parametrize("authenticate", [fail, say_true])
def test_an_error_and_what_is_no_principal_are_failures(
    authenticate: Authenticate, caplog: pytest.LogCaptureFixture
) -> None:
    asked = Asked(authenticate)
    asked.ask(1, "s3cret")
    assert asked.answer() == (1, None, True)
    assert "a viewer could not be authenticated" in caplog.text


def test_a_slow_function_delays_no_other_viewer() -> None:
    released = threading.Event()

    def authenticate(token: str, _: ConnectionRequest) -> str | None:
        if token == "slow":
            released.wait(TEST_TIMEOUT_S)
        return token

    asked = Asked(authenticate)
    asked.ask(1, "slow")
    asked.ask(2, "quick")
    assert asked.answer() == (2, "quick", False)
    released.set()
    assert asked.answer() == (1, "slow", False)


def test_an_answer_that_cannot_be_given_takes_no_slot(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "MAX_OPEN_QUESTIONS", 1)
    answers: queue.Queue[int] = queue.Queue()

    def answer(question: int, principal: str | None, failed: bool) -> None:
        answers.put(question)
        if question == 1:
            raise OSError("no room")

    authenticator = Authenticator(by_token, answer)
    authenticator.ask(1, "known", REQUEST)
    assert answers.get(timeout=TEST_TIMEOUT_S) == 1
    wait_until(lambda: authenticator._slots._value == 1)
    authenticator.ask(2, "known", REQUEST)
    assert answers.get(timeout=TEST_TIMEOUT_S) == 2
    assert [record.message for record in caplog.records] == ["framewire: the engine could not be told who is admitted"]


def test_the_newest_question_is_next_and_the_oldest_one_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (module.MAX_OPEN_QUESTIONS, module.MAX_WAITING_QUESTIONS) == (32, 256)
    monkeypatch.setattr(module, "MAX_OPEN_QUESTIONS", 1)
    monkeypatch.setattr(module, "MAX_WAITING_QUESTIONS", 3)
    released, threads = threading.Semaphore(0), set()

    def authenticate(token: str, _: ConnectionRequest) -> str | None:
        threads.add(threading.current_thread())
        released.acquire(timeout=TEST_TIMEOUT_S)
        return token

    asked = Asked(authenticate)
    for question in range(5):
        asked.ask(question, str(question))
        if question == 0:
            wait_until(lambda: not asked.authenticator._waiting)
    assert asked.answer() == (1, None, True), "the oldest of those that wait"
    released.release(4)
    assert [asked.answer() for _ in range(4)] == [(n, str(n), False) for n in (0, 4, 3, 2)], "the newest first"
    wait_until(lambda: not any(thread.is_alive() for thread in threads))
    asked.ask(7, "7")
    released.release()
    assert asked.answer() == (7, "7", False), "there is room again"


def test_strangers_that_crowd_in_do_not_keep_a_viewer_out_nor_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def authenticate(token: str, _: ConnectionRequest) -> str | None:
        if token != "known":
            raise PermissionError("who is that?")
        return "ada"

    asked = Asked(authenticate)
    for question in range(1000):
        asked.ask(question, "stranger")
    asked.ask(1000, "known")
    answers = [asked.answer() for _ in range(1001)]
    assert (1000, "ada", False) in answers
    assert len(caplog.records) <= 6, "three lines of each kind"


def test_a_coroutine_that_hangs_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.AUTHENTICATION_TIMEOUT_S == 10.0
    monkeypatch.setattr(module, "AUTHENTICATION_TIMEOUT_S", 0.01)

    async def hang(*_: object) -> str | None:
        await asyncio.Event().wait()
        return "ada"

    asked = Asked(hang)
    asked.ask(1)
    assert asked.answer() == (1, None, True)


def test_a_function_that_would_end_its_thread_is_a_failure() -> None:
    asked = Asked(lambda *_: sys.exit())
    asked.ask(1)
    assert asked.answer() == (1, None, True)


def test_without_a_thread_the_question_fails_and_leaves_room(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Refused(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    asked = Asked(by_token)
    monkeypatch.setattr(threading, "Thread", Refused)
    for question in range(100):
        asked.ask(question)
        assert asked.answer() == (question, None, True)
    assert 1 <= len(caplog.records) <= 5 and "authentication gets no thread" in caplog.text
    monkeypatch.undo()
    asked.ask(100, "known")
    assert asked.answer() == (100, "ada", False)


def test_failures_are_logged_a_few_times(caplog: pytest.LogCaptureFixture) -> None:
    asked = Asked(fail)
    for question in range(50):
        asked.ask(question)
        asked.answer()
    assert 1 <= len(caplog.records) <= 5


async def test_a_plain_function_does_not_hold_up_the_loop_of_an_inline_engine() -> None:
    loop_goes_on, loop = threading.Event(), asyncio.get_running_loop()

    def slow(token: str, _: ConnectionRequest) -> str:
        loop.call_soon_threadsafe(loop_goes_on.set)
        assert loop_goes_on.wait(TEST_TIMEOUT_S)
        return token

    assert await off_the_loop(slow)("ada", REQUEST) == "ada"  # type: ignore[misc]


async def test_coroutines_run_on_the_loop_of_an_inline_engine() -> None:
    loops: list[object] = []

    async def later(token: str, _: ConnectionRequest) -> str:
        loops.append(asyncio.get_running_loop())
        return token

    class Later:
        async def __call__(self, token: str, request: ConnectionRequest) -> str:
            return await later(token, request)

    called = Later()
    assert off_the_loop(later) is later and off_the_loop(called) is called
    assert await off_the_loop(lambda token, request: later(token, request))("ada", REQUEST) == "ada"  # type: ignore[misc]
    assert loops == [asyncio.get_running_loop()]


@pytest.mark.parametrize("authenticate", [by_token, by_token_later])
async def test_an_engine_in_this_process_awaits_the_answer(authenticate: Authenticate) -> None:
    ask = on_threads(authenticate)
    answers = [ask(token, REQUEST) for token in ("known", "unknown")]
    assert await asyncio.gather(*answers) == ["ada", None]  # type: ignore[arg-type]


async def test_a_failure_is_an_error_where_it_is_awaited() -> None:
    with pytest.raises(EngineError, match="did not say"):
        await on_threads(fail)("", REQUEST)  # type: ignore[misc]


async def test_an_answer_that_comes_when_the_viewer_is_gone_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    asked, released, done = asyncio.Event(), threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(_: str, __: ConnectionRequest) -> str:
        loop.call_soon_threadsafe(asked.set)
        released.wait(TEST_TIMEOUT_S)
        loop.call_soon_threadsafe(done.set)
        return "ada"

    task = asyncio.ensure_future(on_threads(slow)("", REQUEST))  # type: ignore[arg-type]
    await asked.wait()
    task.cancel()
    released.set()
    await done.wait()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not caplog.records


PROGRAM = """
    import asyncio, threading
    from framewire.authentication import ConnectionRequest
    from framewire.host.authenticator import on_threads
    asked = threading.Event()
    def hang(token, request):
        asked.set()
        threading.Event().wait()
    thread = threading.Thread(target=lambda: asyncio.run(on_threads(hang)("", ConnectionRequest())), daemon=True)
    thread.start()
    asked.wait()
"""


def test_a_program_exits_though_its_authentication_hangs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
