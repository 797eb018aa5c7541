"""Connections without the token, many at a time and malformed: what a viewer notices of them, and what a log gets."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import re
import socket
import time
from typing import Any

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from framewire import wire
from framewire.engine import engine as engine_module
from framewire.engine.http import server as server_module
from framewire.engine.http.gate import Gate
from tests.engine.http.ports import TOKEN, Port, raw
from tests.viewer import TEST_TIMEOUT_S, connected, eventually, noise

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
NO_REQUESTS = (
    b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"G" * 20_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", b"GET / HTTP/1.1\r\n: no name\r\n\r\n",
    bytes(range(256)) + b"\r\n\r\n",
)  # fmt: skip


def open_and_say_nothing(sock: socket.socket) -> None:
    sock.sendall(UPGRADE)


def be_refused_and_say_nothing(sock: socket.socket) -> None:
    sock.sendall(UPGRADE)
    sock.recv(1000)
    hello = b'{"type":"hello","version":1,"token":"0123456789012345678901","codecs":[]}'
    sock.sendall(bytes([0x81, 0x80 | len(hello)]) + bytes(4) + hello)


def send_half(sock: socket.socket) -> None:
    sock.sendall(UPGRADE[:40])


def send_rubbish(sock: socket.socket) -> None:
    sock.sendall(random.choice(NO_REQUESTS))


STRANGERS = (open_and_say_nothing, be_refused_and_say_nothing, send_half, lambda _: None, send_rubbish)


@pytest.mark.parametrize("stranger", STRANGERS, ids=("open", "refused", "half", "silent", "rubbish"))
async def test_strangers_that_crowd_in_keep_no_viewer_out(
    port: Port, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, stranger: Any
) -> None:
    assert port.server._acceptor
    acceptor = port.server._acceptor
    acceptor._connections.limit = 12
    monkeypatch.setattr(engine_module, "MAX_UNADMITTED_VIEWERS", 10)
    monkeypatch.setattr(engine_module, "MAX_VIEWERS", 4)
    slot = port.stream()
    slot.write(noise(64, 48), 1, 1)
    port.engine.frame_published(0)

    def crowd() -> list[socket.socket]:
        came = [socket.create_connection(("127.0.0.1", port.number)) for _ in range(20)]
        for sock in came:
            with contextlib.suppress(OSError):
                stranger(sock)
        return came

    strangers: list[socket.socket] = []
    async with connected(port.ws, TOKEN) as old:
        for _ in range(5):
            strangers += await asyncio.to_thread(crowd)
            async with connected(port.ws, TOKEN) as viewer:
                await viewer.subscribe("default")
                await viewer.unit()
            assert acceptor.unknown <= 12 and len(acceptor.open) <= 14
        assert not old.ws.closed, "no stranger takes the place of a viewer"
    for sock in strangers:
        sock.close()
    await eventually(lambda: not (port.engine.viewers or acceptor.open))
    ours = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(ours) <= 3 and all(record.exc_info is None for record in ours)


async def test_what_is_no_request_is_said_in_few_lines_without_its_words(
    port: Port, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for request in [*NO_REQUESTS, TOKEN.encode() + b"\r\n\r\n", f"GET /\r{TOKEN} HTTP/1.1\r\n\r\n".encode()] * 3:
        assert b" 40" in (await raw(port, request))[:14], request
    written = [record for record in caplog.records if record.name.startswith(("framewire", "aiohttp"))]
    assert {record.getMessage()[:38] for record in written} == {"requests that are no HTTP were refused"}
    assert len(written) == 3 and not any(record.exc_info for record in written)


async def test_an_error_of_ours_is_logged_with_its_traceback_a_few_times(
    port: Port, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Gate, header: str | None) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(Gate, "allows_host", fail)
    for _ in range(5):
        assert b" 500 " in await raw(port, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert len(caplog.records) == 3 and caplog.records[0].exc_info
    logger = server_module.RequestLog()
    logger.warning("aiohttp says %s", TOKEN)
    assert TOKEN not in caplog.text and len(caplog.records) == 4


async def test_a_body_that_never_ends_is_not_waited_for(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    assert server_module.LINGERING_S == 1.0, "a long round trip"
    reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
    writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
    started = time.monotonic()
    async with asyncio.timeout(TEST_TIMEOUT_S):
        assert b"405" in await reader.read()
    assert time.monotonic() - started < 9, "aiohttp's own is ten seconds"
    writer.close()


async def test_neither_token_nor_sdp_nor_ice_password_is_logged(port: Port, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    port.stream()
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    async with connected(port.ws, TOKEN) as viewer:
        await viewer.subscribe("default", "webrtc", "vp8")
        offer = await viewer.message(wire.Offer)
        await connection.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        answer = connection.localDescription.sdp
        await viewer.send(wire.Answer(offer.peer, offer.offer, answer))
        await eventually(lambda: connection.connectionState == "connected")
    await connection.close()
    secrets = [TOKEN, *re.findall(r"a=(?:ice-pwd|fingerprint):\S+ ?\S*", offer.sdp + answer)]
    secrets += [line.partition(":")[2] for line in secrets[1:]]
    assert len(secrets) >= 9
    assert not [secret for secret in [*secrets, "v=0", "a=ice-"] if secret in caplog.text]
