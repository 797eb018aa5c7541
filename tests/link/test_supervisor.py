"""The engine runs as long as its parent wants and no longer, whichever process is killed; nothing is left behind."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from types import SimpleNamespace

import psutil
import pytest

from framewire.errors import ClosedError, EngineError
from framewire.link import memory, parent_end, process, silence, supervisor
from framewire.link.control import (
    AddStream,
    Failed,
    Ready,
    RemoveStream,
    Ring,
    RingLost,
    ViewerText,
)
from framewire.link.listen import bind
from framewire.link.restart import RestartPolicy
from framewire.link.ring import RingWriter
from framewire.link.spawn import environment
from framewire.reentrancy import Notice
from tests.link.ends import left_names
from tests.link.engines import HERE, TEST_TIMEOUT_S, eventually, gone, random_frame, stream_options


def test_frames_arrive_as_they_were_published(engines):
    engine = engines.start()
    ready = engine.wait_ready(TEST_TIMEOUT_S)
    assert ready.pid == engine.pid and ready.epoch
    ring = engines.stream(engine)
    for n in range(1, 6):
        frame = random_frame(n)
        ring.write(frame, n, n)
        engine.ring_bell(1)
        stats = eventually(lambda n=n: engines.echo(n))
        assert stats["checksum"] == zlib.crc32(frame) and stats["shape"] == [64, 64, 3]


def test_frames_arrive_without_what_macos_does_not_have(engines, monkeypatch, tmp_path):
    """No memfd_create, no /dev/shm, no posix_fallocate, no MSG_NOSIGNAL."""
    darwin = SimpleNamespace(platform="darwin")
    monkeypatch.setattr(memory, "sys", darwin)
    monkeypatch.setattr(memory, "_MEMORY_DIRECTORY", str(tmp_path / "none"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for missing in ("memfd_create", "posix_fallocate"):
        monkeypatch.delattr(os, missing)
    monkeypatch.setattr(parent_end, "_NO_SIGPIPE", 0)
    monkeypatch.setattr(parent_end, "_survive_its_end", lambda sock: None)
    engine = engines.start()
    ring = engines.stream(engine)
    ring.write(random_frame(1), 1, 1)
    first = engine.wait_ready(TEST_TIMEOUT_S).pid
    eventually(lambda: engine.ring_bell(1) or engines.echo(1))
    os.kill(first, signal.SIGKILL)
    eventually(lambda: engine.pid not in (None, first))
    ring.write(random_frame(2), 2, 2)
    assert eventually(lambda: engine.ring_bell(1) or engines.echo(2))["checksum"] == zlib.crc32(random_frame(2))
    ring.close()
    assert list(tmp_path.iterdir()) == []


def test_a_larger_ring_replaces_the_old_one_and_a_removed_stream_ends(engines):
    engine = engines.start()
    small = engines.stream(engine)
    small.write(random_frame(1), 1, 1)
    large = RingWriter(300 * 300 * 3)
    large.write(random_frame(2, 300), 2, 2)
    engine.send(Ring(stream=1), large)
    small.close()
    assert eventually(lambda: engines.echo(2))["shape"] == [300, 300, 3]
    engine.send(RemoveStream(id=1))
    large.close()
    engines.stream(engine, 2).write(random_frame(3), 3, 3)
    engine.ring_bell(2)
    eventually(lambda: engines.echo(3, stream=2))


def test_a_ring_that_was_lost_is_sent_again_unless_another_one_followed(engines):
    engine = engines.start("forgetful")
    engine.wait_ready(TEST_TIMEOUT_S)
    engines.stream(engine).write(random_frame(1), 1, 1)
    assert eventually(lambda: engines.echo(1))["shape"] == [64, 64, 3]
    sent: list[bytes] = []
    engine._process.send = lambda data, ring: sent.append(data)
    newer = RingWriter(64)
    engine.send(Ring(stream=1, number=1), newer)
    for stream, number in ((1, 0), (2, 0), (1, 1)):
        engine._take(RingLost(stream=stream, number=number))
    assert len(sent) == 2 and sent[0] == sent[1]
    del engine._process.send
    newer.close()


def test_publishing_never_waits_for_a_stopped_engine(engines):
    """Every publish returns at once whatever the engine does, and the last frame is not lost."""
    engine = engines.start()
    ring = engines.stream(engine)
    frame = random_frame(1)
    engine.wait_ready(TEST_TIMEOUT_S)
    os.kill(engine.pid, signal.SIGSTOP)
    for n in range(1, 3001):
        ring.write(frame, n, n)
        engine.ring_bell(1)
    os.kill(engine.pid, signal.SIGCONT)
    eventually(lambda: engines.echo(3000))


def test_a_bell_lost_among_those_of_another_stream_loses_no_frame(engines):
    engine = engines.start()
    noisy, quiet = engines.stream(engine, 1), engines.stream(engine, 2)
    engine.wait_ready(TEST_TIMEOUT_S)
    noisy.write(random_frame(1), 1, 1)
    eventually(lambda: engine.ring_bell(1) or engines.echo(1))
    os.kill(engine.pid, signal.SIGSTOP)
    for _ in range(5_000):
        engine.ring_bell(1)
    quiet.write(random_frame(2), 2, 2)
    engine.ring_bell(2)
    os.kill(engine.pid, signal.SIGCONT)
    eventually(lambda: engines.echo(2, stream=2))


def test_a_killed_engine_is_started_again_on_its_port_with_its_streams(engines, caplog):
    with bind("127.0.0.1", 0)[0] as sock:
        port = sock.getsockname()[1]
        engine = engines.start(listeners=[sock])
        first = engine.wait_ready(TEST_TIMEOUT_S)
        ring, frame = engines.stream(engine), random_frame(7)
        ring.write(frame, 7, 7)
        eventually(lambda: engine.ring_bell(1) or engines.echo(7))
        os.kill(first.pid, signal.SIGKILL)
        with socket.create_connection(("127.0.0.1", port), timeout=TEST_TIMEOUT_S):
            pass  # a viewer that connects meanwhile waits in the backlog
        stats = eventually(lambda: engines.echo(7, by=engine.pid) if engine.pid != first.pid else None)
        assert stats["checksum"] == zlib.crc32(frame) and stats["name"] == "stream 1"
        second = engine.wait_ready(TEST_TIMEOUT_S)
        assert second.pid == engine.pid and second.epoch != first.epoch
        assert [m for m in engines.received if isinstance(m, Ready)] == [first, second]
    lines = [r.getMessage() for r in caplog.records if "starting it again" in r.getMessage()]
    assert len(lines) == 1 and "signal 9" in lines[0]


def test_an_engine_that_is_stopped_is_replaced(engines, caplog, monkeypatch):
    monkeypatch.setattr(silence, "STOPPED_LIMIT_S", 0.5)
    engine = engines.start("alive")
    first = engine.wait_ready(TEST_TIMEOUT_S)
    eventually(lambda: engine._silence._heard_at)
    os.kill(first.pid, signal.SIGSTOP)
    eventually(lambda: engine.pid not in (None, first.pid))
    assert gone(first.pid)
    assert "its process is stopped; ending it" in caplog.text


def test_an_engine_that_runs_and_says_nothing_is_replaced(engines, caplog, monkeypatch):
    monkeypatch.setattr(silence, "SILENT_LIMIT_S", 0.5)
    engine = engines.start("alive")
    first = engine.wait_ready(TEST_TIMEOUT_S)
    eventually(lambda: engine.pid not in (None, first.pid))
    assert "it does not answer; ending it" in caplog.text


def test_what_is_sent_while_no_engine_runs_reaches_the_next(engines):
    engine = engines.start()
    first = engine.wait_ready(TEST_TIMEOUT_S).pid
    os.kill(first, signal.SIGKILL)
    ring = engines.stream(engine, 5)
    ring.write(random_frame(5), 5, 5)
    engine.ring_bell(5)
    assert eventually(lambda: engines.echo(5, stream=5))["pid"] != first


def test_what_is_sent_once_reaches_the_engine_that_runs_and_no_other(engines):
    exits: list[bool] = []

    def on_exit():
        if not exits:
            exits.append(engine.send_once(ViewerText(id=0, text="to none")))

    engine = engines.start(on_exit=on_exit)
    first, second = ViewerText(id=0, text="to the first"), ViewerText(id=0, text="to the second")
    pid = engine.wait_ready(TEST_TIMEOUT_S).pid
    assert engine.send_once(first)
    eventually(lambda: first in engines.received)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: engine.pid not in (None, pid))
    assert exits == [False], "none runs when an exit is reported"
    assert engine.send_once(second)
    eventually(lambda: second in engines.received)
    assert [each for each in engines.received if isinstance(each, ViewerText)] == [first, second]
    engine.close()
    with pytest.raises(ClosedError):
        engine.send_once(second)


def test_an_engine_that_cannot_start_is_given_up_with_its_last_output(engines):
    program = "import sys; print('libvideo is missing'); sys.exit(3)"
    engine = engines.start(command=[sys.executable, "-c", program], policy=RestartPolicy(unready_limit=2))
    with pytest.raises(EngineError, match=r"(?s)exit status 3.*libvideo is missing"):
        engine.wait_ready(TEST_TIMEOUT_S)
    assert engine.failure and "libvideo" in engine.failure
    eventually(lambda: Failed(text=engine.failure) in engines.received)
    assert engine.pid is None
    engine.send(AddStream(options=stream_options(1, 1)))
    engine.ring_bell(1)


@pytest.mark.parametrize("more", [[], ["stubborn"]])
def test_an_engine_that_reports_failure_is_not_started_again_and_leaves_its_port(engines, more):
    listeners = bind("127.0.0.1", 0)
    port = listeners[0].getsockname()[1]
    engine = engines.start("refuse", *more, listeners=listeners)
    with pytest.raises(EngineError, match="no such codec"):
        engine.wait_ready(TEST_TIMEOUT_S)
    socket.create_server(("127.0.0.1", port)).close()
    engine._thread.join(TEST_TIMEOUT_S)
    assert engine.pid is None and not engine._thread.is_alive() and engines.received == [Failed(text="no such codec")]


def test_an_engine_that_sends_what_is_no_message_is_killed_and_given_up(engines, caplog):
    listeners = bind("127.0.0.1", 0)
    port = listeners[0].getsockname()[1]
    engine = engines.start("rubbish", listeners=listeners, policy=RestartPolicy(limit=2))
    eventually(lambda: engine.failure)
    assert "\n" not in engine.failure and engine.failure.endswith("then serve again")
    engine._thread.join(TEST_TIMEOUT_S)
    socket.create_server(("127.0.0.1", port)).close()  # no one serves it any more
    assert any("what is no message" in r.getMessage() for r in caplog.records)


def test_waiting_for_an_engine_ends_in_time_and_shows_what_it_printed(engines):
    engine = engines.start("mute")
    eventually(lambda: engine._process and engine._process.last_output())
    with pytest.raises(EngineError, match=r"(?s)not up after 0.01 s.*echo engine up"):
        engine.wait_ready(0.01)


def test_waiting_ends_when_it_is_closed(engines):
    engine = engines.start("mute")
    closing = threading.Timer(0.05, engine.close)
    closing.start()
    with pytest.raises(ClosedError):
        engine.wait_ready(TEST_TIMEOUT_S)
    closing.join()


def test_what_the_engine_logs_and_prints_goes_to_the_log(engines, caplog):
    caplog.set_level(logging.INFO, "framewire")
    engines.start().wait_ready(TEST_TIMEOUT_S)
    eventually(lambda: "configured for 127.0.0.1" in caplog.text and "echo engine up" in caplog.text)
    levels = {r.getMessage(): r.levelname for r in caplog.records}
    assert levels["framewire engine: configured for 127.0.0.1"] == "INFO"
    assert levels["framewire engine: echo engine up"] == "WARNING"


def test_a_callback_that_raises_is_logged_and_the_engine_goes_on(engines, caplog):
    def raising(message):
        raise ValueError("the user's bug")

    engine = engines.start(on_message=raising)
    ring = engines.stream(engine)
    for n in (1, 2):
        ring.write(random_frame(n), n, n)
        eventually(lambda n=n: engine.ring_bell(1) or engines.echo(n))
    assert "the user's bug" in caplog.text


def test_no_secret_is_on_the_command_line_or_in_the_environment(engines):
    process = psutil.Process(engines.start().wait_ready(TEST_TIMEOUT_S).pid)
    assert "s3cret-token" not in str(process.cmdline()) + str(process.environ())


def test_closing_leaves_no_process_no_descriptor_no_thread_and_no_name(engines):
    engines.start().close()  # whatever the first time costs
    fds, threads, names = os.listdir("/proc/self/fd"), threading.active_count(), left_names()
    engine = engines.start()
    pid = engine.wait_ready(TEST_TIMEOUT_S).pid
    ring = engines.stream(engine)
    ring.write(random_frame(1), 1, 1)
    os.kill(pid, signal.SIGKILL)
    second = eventually(lambda: engine.pid if engine.pid != pid else None)
    engine.close()
    engine.close()
    ring.close()
    assert gone(pid) and gone(second)
    assert len(os.listdir("/proc/self/fd")) == len(fds)
    assert threading.active_count() == threads and left_names() <= names
    with pytest.raises(ClosedError):
        engine.send(AddStream(options=stream_options(1, 1)))
    engine.ring_bell(1)


def test_an_engine_that_is_not_up_yet_is_not_waited_for(engines, monkeypatch):
    for module in (process, supervisor):
        monkeypatch.setattr(module, "EXIT_GRACE_S", 2 * TEST_TIMEOUT_S)
    listeners = bind("127.0.0.1", 0)
    port = listeners[0].getsockname()[1]
    engine = engines.start("mute", listeners=listeners)
    pid, start = engine.pid, time.monotonic()
    engine.close()
    assert time.monotonic() - start < TEST_TIMEOUT_S, "it never comes up, so its start would be waited for"
    assert not psutil.pid_exists(pid), "and no zombie is left"
    bind("127.0.0.1", port)[0].close()


def test_it_is_stopped_without_waiting_and_leaves_nothing(engines):
    listeners = bind("127.0.0.1", 0)
    engine = engines.start(listeners=listeners)
    pid = engine.wait_ready(TEST_TIMEOUT_S).pid
    engine.stop()
    with pytest.raises(ClosedError):
        engine.send(AddStream(options=stream_options(1, 1)))
    eventually(lambda: not psutil.pid_exists(pid) and listeners[0].fileno() == -1)


def test_an_interrupt_while_it_starts_leaves_nothing(engines, monkeypatch):
    listeners = bind("127.0.0.1", 0)
    started: list[psutil.Process] = []
    others = psutil.Process().children()

    class Interrupted(Notice):
        def wait_for(self, predicate, timeout=None):
            if threading.current_thread() is threading.main_thread() and not started:
                started.extend(eventually(lambda: [c for c in psutil.Process().children() if c not in others]))
                raise KeyboardInterrupt
            return super().wait_for(predicate, timeout)

    monkeypatch.setattr(supervisor, "Notice", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        engines.start("mute", listeners=listeners)
    eventually(lambda: not psutil.pid_exists(started[0].pid) and listeners[0].fileno() == -1)


def test_an_engine_that_ignores_shutdown_is_killed(engines, monkeypatch):
    for module in (process, supervisor):
        monkeypatch.setattr(module, "EXIT_GRACE_S", 0.3)
    engine = engines.start("stubborn")
    pid = engine.wait_ready(TEST_TIMEOUT_S).pid
    engine.close()
    assert gone(pid)


def test_it_may_be_closed_from_its_callback(engines):
    closed = threading.Event()

    def close(message):
        if isinstance(message, Ready):
            engine.close()
            closed.set()

    started = threading.Event()
    engine = engines.start(on_message=lambda m: started.wait(TEST_TIMEOUT_S) and close(m))
    pid = engine.pid
    started.set()
    assert closed.wait(TEST_TIMEOUT_S)
    eventually(lambda: gone(pid))


def test_it_does_not_restart_when_closed_while_it_waits(engines):
    class Slow(RestartPolicy):
        def exited(self, now, *, was_ready):
            return 600.0

    engine = engines.start(command=[sys.executable, "-c", ""], policy=Slow())
    eventually(lambda: engine.pid is None)
    engine.close()
    assert not engine._thread.is_alive() and engine.pid is None


def test_a_command_that_cannot_be_started_closes_the_sockets(engines):
    listeners = bind("127.0.0.1", 0)
    with pytest.raises(EngineError, match="no/such/program"):
        engines.start(command=["no/such/program"], listeners=listeners)
    assert listeners[0].fileno() == -1


def test_without_a_thread_there_is_no_engine_and_nothing_is_left(engines, monkeypatch):
    listeners, fds = bind("127.0.0.1", 0), []

    def refuse(self):
        fds.append(len(children()))
        raise RuntimeError("can't start new thread")

    def children():
        return psutil.Process().children()

    monkeypatch.setattr(threading.Thread, "start", refuse)
    before = len(children())
    with pytest.raises(EngineError, match="cannot be started: can't start new thread"):
        engines.start(listeners=listeners)
    assert fds == [before] and len(children()) == before
    assert listeners[0].fileno() == -1 and not _left(listeners)


def _left(listeners):
    return [each for each in supervisor._supervisors if each._listeners == tuple(listeners)]


def test_a_start_that_failed_is_not_closed_again_at_exit():
    program = """
from framewire.link.control import Configure
from framewire.link.supervisor import EngineSupervisor
from framewire.options import EngineOptions
try:
    EngineSupervisor([], Configure(options=EngineOptions()), on_message=print, command=["no/such/program"])
except Exception as error:
    kept = error  # as a notebook keeps the last one
    print(error)
"""
    command, variables = [sys.executable, "-c", program], environment()
    run = subprocess.run(command, env=variables, capture_output=True, timeout=60, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "") and "no/such/program" in run.stdout


def test_a_subprocess_that_forks_in_python_keeps_the_engines_sockets(engines, monkeypatch):
    as_gevent_does = functools.partial(subprocess.Popen, preexec_fn=lambda: None)
    monkeypatch.setattr(subprocess, "Popen", as_gevent_does)
    engine = engines.start()
    ready = engine.wait_ready(TEST_TIMEOUT_S)
    os.kill(ready.pid, signal.SIGKILL)
    eventually(lambda: engine.wait_ready(TEST_TIMEOUT_S).pid != ready.pid)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_has_nothing_to_do_with_the_engine(engines):
    engine = engines.start()
    pid = engine.wait_ready(TEST_TIMEOUT_S).pid
    port = engine._listeners[0].getsockname()[1]
    before = {os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if int(n) > 2 and
              os.path.exists(f"/proc/self/fd/{n}")}  # fmt: skip
    mine = {f"socket:[{os.fstat(s.fileno()).st_ino}]" for s in (*engine._listeners, engine._process._end)}
    assert mine <= before
    child = os.fork()
    if child == 0:
        try:
            inherited = {os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")
                         if os.path.lexists(f"/proc/self/fd/{n}")}  # fmt: skip
            assert not mine & inherited and engine.pid is None
            engine.ring_bell(1)
            with pytest.raises(ClosedError):
                engine.send(AddStream(options=stream_options(1, 1)))
            with pytest.raises(ClosedError):
                engine.wait_ready(1)
            engine.close()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert engine.pid == pid and not gone(pid)
    ring = engines.stream(engine)
    ring.write(random_frame(1), 1, 1)
    eventually(lambda: engine.ring_bell(1) or engines.echo(1))
    engine.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=10)


@pytest.mark.parametrize("end", ["return", "exception", "os._exit", "killed", "killed, and a child lives"])
def test_the_engine_exits_with_its_parent(link_kind, end):
    names = left_names()
    parent = subprocess.Popen(
        [sys.executable, HERE / "user_program.py", end],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with parent:
        assert parent.stdout
        engine = int(parent.stdout.readline())
        children = psutil.Process(parent.pid).children() if end.startswith("killed") else []
        if children:
            parent.kill()
        parent.wait(TEST_TIMEOUT_S)
        try:
            eventually(lambda: gone(engine))
        finally:
            for child in children:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
    assert left_names() <= names, "and leaves no memory"
    assert len(children) == {"killed": 1, "killed, and a child lives": 2}.get(end, 0)
