"""An engine that is started again, or sent something, while the system has too little: later it comes."""

from __future__ import annotations

import errno
import os
import signal
import threading
import zlib

from framewire.errors import EngineError
from framewire.link import supervisor
from framewire.link.kind import LINK_VARIABLE
from framewire.link.process import EngineProcess
from tests.faulty_calls import failing
from tests.link.engines import TEST_TIMEOUT_S, eventually, random_frame


def test_an_engine_is_started_again_as_soon_as_the_system_has_what_it_needs(engines, monkeypatch, caplog):
    assert supervisor.SHORTAGE_RETRY_S == 1.0
    monkeypatch.setattr(supervisor, "SHORTAGE_RETRY_S", 0.01)
    engine = engines.start()
    first = engine.wait_ready(TEST_TIMEOUT_S).pid
    tries: list[int] = []

    def start(*arguments):
        tries.append(0)
        if len(tries) <= 9:  # more than an engine that never comes up is given
            raise EngineError("no files") from OSError(errno.EMFILE, "Too many open files")
        return EngineProcess(*arguments)

    monkeypatch.setattr(supervisor, "EngineProcess", start)
    os.kill(first, signal.SIGKILL)
    assert eventually(lambda: engine.pid not in (None, first)) and engine.wait_ready(TEST_TIMEOUT_S).pid != first
    assert engine.failure is None and len(tries) == 10
    assert caplog.text.count("framewire: no files; it is tried again until then") == 1


def test_closing_ends_the_attempts_to_start_it(engines, monkeypatch):
    engine = engines.start()
    first = engine.wait_ready(TEST_TIMEOUT_S).pid
    tried = threading.Event()

    def start(*arguments):
        tried.set()
        raise EngineError("no files") from OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(supervisor, "EngineProcess", start)
    os.kill(first, signal.SIGKILL)
    assert tried.wait(TEST_TIMEOUT_S)
    engine.close()
    assert not engine._thread.is_alive() and engine.failure is None


def test_an_engine_that_cannot_be_sent_its_memory_is_replaced_by_one_that_can(engines, monkeypatch):
    monkeypatch.setenv(LINK_VARIABLE, "descriptors")
    engine = engines.start()
    first = engine.wait_ready(TEST_TIMEOUT_S).pid
    with failing("sendmsg", 1) as fault:
        ring = engines.stream(engine)
    assert fault.hit
    ring.write(random_frame(5), 5, 5)
    eventually(lambda: engine.pid not in (None, first))
    assert eventually(lambda: engine.ring_bell(1) or engines.echo(5))["checksum"] == zlib.crc32(random_frame(5))


def test_an_error_of_our_own_while_it_is_watched_ends_that_engine_and_not_the_watching(engines, monkeypatch):
    engine = engines.start()
    first = engine.wait_ready(TEST_TIMEOUT_S).pid
    take = engine._take
    failed: list[object] = []

    def fail(message):
        if not failed:
            failed.append(message)
            raise MemoryError
        take(message)

    monkeypatch.setattr(engine, "_take", fail)
    ring = engines.stream(engine)
    ring.write(random_frame(1), 1, 1)
    engine.ring_bell(1)
    eventually(lambda: failed)
    assert eventually(lambda: engine.pid not in (None, first)) and engine.wait_ready(TEST_TIMEOUT_S)
    eventually(lambda: engine.ring_bell(1) or engines.echo(1))
