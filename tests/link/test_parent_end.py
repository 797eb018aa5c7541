"""The parent's end of a link: who may connect, what waits until then, and what is done on Windows."""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from types import SimpleNamespace

import pytest

from framewire.link import engine_end, parent_end
from framewire.link.bell import drain
from framewire.link.control import Listeners, Shutdown, encode, engine_decoder
from framewire.link.engine_end import EngineEnd, listening_socket
from framewire.link.handles import PROOF_BYTES
from framewire.link.parent_end import NameEnd
from tests.link.ends import engines_handles
from tests.link.ends import parent_end as end_of_this_kind


def test_messages_that_were_sent_early_are_the_first_to_arrive(link_kind):
    end = end_of_this_kind()
    end.send(encode(Shutdown()))
    with engines_handles(end) as handles:
        engine = EngineEnd(handles)
    engine.control.setblocking(True)
    assert engine_decoder().feed(engine.receive()[0]) == [Shutdown()]
    end.bell.ring(4)
    select.select([engine.bell], [], [])
    assert drain(engine.bell) == ({4}, False)
    engine.close()
    assert end.receive() == b""
    end.close()
    end.close()


def test_whoever_does_not_prove_itself_is_hung_up_on(monkeypatch):
    assert parent_end._PROOF_TIMEOUT_S == 2.0
    monkeypatch.setattr(parent_end, "_PROOF_TIMEOUT_S", 0.05)
    end = NameEnd([])
    end.send(encode(Shutdown()))
    address = ("127.0.0.1", end.handles.control)
    strangers = [socket.create_connection(address) for _ in range(3)]
    strangers[0].sendall(bytes(PROOF_BYTES + 6))
    strangers[1].sendall(b"too little")
    strangers[1].shutdown(socket.SHUT_WR)
    with engines_handles(end) as handles:
        EngineEnd(handles).close()
    for stranger in strangers:
        with stranger:
            assert stranger.recv(1000) == b""
    with pytest.raises(ConnectionRefusedError):  # there is one engine, and it has come
        socket.create_connection(address)
    end.close()


def test_a_stranger_that_sends_a_byte_now_and_then_has_no_more_time(monkeypatch):
    now, timeouts = 0.0, []

    class Slow:
        def settimeout(self, seconds: float) -> None:
            timeouts.append(seconds)

        def recv(self, _: int) -> bytes:
            nonlocal now
            now += 0.75
            if timeouts[-1] < 0.75:
                raise TimeoutError
            return b"x"

    monkeypatch.setattr(parent_end, "time", SimpleNamespace(monotonic=lambda: now))
    end = NameEnd([])
    with pytest.raises(TimeoutError):
        end._proven(Slow())  # type: ignore[arg-type]
    assert timeouts == [2.0, 1.25, 0.5]
    end.close()


def test_one_that_exits_without_connecting_is_not_waited_for():
    end, looks = NameEnd([]), iter([True, False])
    assert not end.connected(lambda: next(looks))
    end.close()


def test_no_secret_is_on_the_command_line(link_kind):
    end = end_of_this_kind()
    assert len(end.stdin) == (2 * PROOF_BYTES if link_kind == "names" else 0)
    assert end.stdin.hex() not in " ".join(end.handles.arguments()) or not end.stdin
    end.close()


def test_a_forked_child_keeps_no_socket(link_kind):
    end = end_of_this_kind()
    with engines_handles(end) as handles:
        engine = EngineEnd(handles)
    end.after_fork_in_child()  # as if this were one
    engine.control.setblocking(True)
    assert engine.receive()[0] == b""
    engine.close()


def test_on_windows_listening_sockets_are_sent_for_the_engines_process(monkeypatch):
    """With stand-ins for what Python has on Windows alone."""
    shared: list[tuple[str, int]] = []

    class Listening:
        def share(self, pid: int) -> bytes:
            shared.append(("share", pid))
            return b"the share"

    windows = SimpleNamespace(platform="win32")
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEPORT, raising=False)
    monkeypatch.setattr(socket, "fromshare", lambda data: SimpleNamespace(data=data, setblocking=print), raising=False)
    monkeypatch.setattr(parent_end, "sys", windows)
    monkeypatch.setattr(socket, "SO_SNDTIMEO", socket.SO_RCVLOWAT)  # takes a number, as there
    end = NameEnd([Listening()])  # type: ignore[list-item]
    assert end.handles.listeners == () and end.descriptors == ()
    end.send(encode(Shutdown()))
    with engines_handles(end) as handles:
        engine = EngineEnd(handles)
    engine.control.setblocking(True)
    listeners, last = engine_decoder().feed(engine.receive()[0])
    assert listeners == Listeners(shares=(b"the share",)) and last == Shutdown()
    assert shared == [("share", os.getpid())]
    monkeypatch.setattr(engine_end, "sys", windows)
    assert listening_socket(b"the share").data == b"the share"  # type: ignore[attr-defined]
    engine.close()
    end.close()


def test_an_engine_that_no_descriptor_is_free_for_waits_and_is_not_asked_for_without_a_pause(monkeypatch):
    end = NameEnd([])
    door, pauses = end._door, list[float]()

    class Full:
        def __getattr__(self, name: str) -> object:
            return getattr(door, name)

        def accept(self) -> object:
            if len(pauses) < 3:
                raise OSError(errno.EMFILE, "Too many open files")
            return door.accept()

    monkeypatch.setattr(parent_end, "time", SimpleNamespace(monotonic=time.monotonic, sleep=pauses.append))
    end._door = Full()  # type: ignore[assignment]
    with engines_handles(end) as handles:
        EngineEnd(handles).close()
    assert pauses == [parent_end._ACCEPT_POLL_S] * 3
    end.close()


def test_a_stranger_that_is_hung_up_on_leaves_no_descriptor(monkeypatch):
    monkeypatch.setattr(parent_end, "_PROOF_TIMEOUT_S", 0.05)
    end = NameEnd([])
    held, accepted = list[socket.socket](), end._accepted

    def accept() -> socket.socket | None:
        if control := accepted():
            held.append(control)
        return control

    monkeypatch.setattr(end, "_accepted", accept)
    with socket.create_connection(("127.0.0.1", end.handles.control)), engines_handles(end) as handles:
        EngineEnd(handles).close()
    assert [control.fileno() >= 0 for control in held] == [False, True]
    end.close()
