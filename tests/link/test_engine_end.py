"""An engine's sockets: whose it talks to, and whether its parent lives. `test_attach.py` has what arrives there."""

from __future__ import annotations

import os
import socket
import threading

import pytest
from msgspec.structs import replace

from framewire.errors import LocalProtocolError
from framewire.link.engine_end import EngineEnd, listening_socket, parent_watch
from framewire.link.handles import PROOF_BYTES, Handles
from framewire.link.parent_end import NameEnd
from tests.link.ends import as_stdin, engines_handles
from tests.link.ends import parent_end as end_of_this_kind


def test_listening_sockets_are_inherited_and_do_not_block(link_kind):
    end = end_of_this_kind()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with engines_handles(end) as handles:
            engine = EngineEnd(replace(handles, listeners=(os.dup(listener.fileno()),)))
        assert [sock.getsockname() for sock in engine.listeners] == [listener.getsockname()]
        assert not any(sock.getblocking() for sock in (*engine.listeners, engine.control, engine.bell))
        engine.close()
    end.close()


def test_an_engine_does_not_talk_to_another_program_at_its_parents_port():
    with socket.create_server(("127.0.0.1", 0)) as other:
        end = NameEnd([])
        handles = Handles(control=other.getsockname()[1], bell=end.handles.bell, parent=os.getpid(), by_name=True)

        def answer() -> None:
            with other.accept()[0] as sock:
                sock.sendall(sock.recv(1000)[:PROOF_BYTES])

        answering = threading.Thread(target=answer)
        answering.start()
        with as_stdin(end.stdin), pytest.raises(LocalProtocolError, match="another program's"):
            EngineEnd(handles)
        answering.join()
        end.close()


def test_a_parent_is_watched_by_the_number_of_its_process():
    assert not parent_watch(os.getppid())()
    assert parent_watch(os.getppid() + 1)()
    with pytest.raises(LocalProtocolError):
        listening_socket(b"")
