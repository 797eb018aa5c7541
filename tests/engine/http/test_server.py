"""One port, seen from outside: what it answers, to whom, and what it refuses. All tests use real sockets."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import logging
import os
import socket
import struct
import sys
import zlib
from typing import Any

import aiohttp
import pytest

from framewire import wire
from framewire.authentication import ConnectionRequest
from framewire.engine import engine as engine_module
from framewire.engine.engine import Engine
from framewire.engine.http import server as server_module
from framewire.engine.http.server import PUBLIC, RETRANSMISSION_OPTIONS, WebServer
from framewire.engine.viewer import session, websocket
from framewire.engine.viewer.admission import Admitted, Refused
from framewire.errors import CloseCode
from framewire.link.listen import bind
from framewire.link.slot import LocalSlot
from framewire.options import StreamOptions
from tests.engine.http.ports import OPTIONS, TOKEN, NullListener, Port, raw
from tests.viewer import TEST_TIMEOUT_S, connected, eventually, noise


async def status(port: Port, path: str, method: str = "GET", **headers: str) -> int:
    async with aiohttp.ClientSession() as client:
        async with client.request(method, port.http + path, headers=headers) as response:
            assert "Access-Control-Allow-Origin" not in response.headers
            return response.status


# Routes


async def test_every_route_is_public_by_list_or_refused(port: Port) -> None:
    routes = {route.resource.canonical for route in port.server.app.router.routes() if route.resource}
    assert routes == PUBLIC, "a new route is named in PUBLIC, with a reason, or does not exist"
    assert {path: await status(port, path) for path in sorted(PUBLIC - {"/ws"})} == dict.fromkeys(PUBLIC - {"/ws"}, 200)
    assert await status(port, "/ws") == 426
    for path in ("/nothing", "/ws/", "//ws", "/static/page.js", "/../pyproject.toml", "/%2e%2e/page.html", "/PAGE.JS"):
        assert await status(port, path) == 403, path
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"):
        assert await status(port, "/", method) in (400, 405), method


async def test_public_pages_contain_no_stream_names_and_no_token(port: Port) -> None:
    port.stream("a stream of mine")
    async with aiohttp.ClientSession() as client:
        for path in sorted(PUBLIC):
            async with client.get(port.http + path) as response:
                body = await response.text()
                assert TOKEN not in body and "a stream of mine" not in body
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
                assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
                assert response.headers["Referrer-Policy"] == "no-referrer"


async def test_the_page_is_compressed_for_browsers_that_accept_gzip(port: Port) -> None:
    bodies = []
    async with aiohttp.ClientSession(auto_decompress=False) as client:
        for accepted in ("gzip, deflate", "identity"):
            async with client.get(port.http + "/page.js", headers={"Accept-Encoding": accepted}) as response:
                assert response.headers["Vary"] == "Accept-Encoding"
                bodies.append((response.headers.get("Content-Encoding"), await response.read()))
    (packing, packed), (none, plain) = bodies
    assert (packing, none) == ("gzip", None)
    assert gzip.decompress(packed) == plain and len(packed) < len(plain) / 2


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="options of Linux")
async def test_lost_packets_are_repeated_at_short_intervals(port: Port) -> None:
    another, (listening,) = WebServer(port.engine, OPTIONS), bind("127.0.0.1", 0)
    await another.start([listening])
    set_: dict[int, int] = {}
    for option, _ in RETRANSMISSION_OPTIONS:
        with contextlib.suppress(OSError):  # an older kernel
            set_[option] = listening.getsockopt(socket.IPPROTO_TCP, option)
    assert set_[server_module.TCP_THIN_LINEAR_TIMEOUTS_OPTION] == 1
    assert set_.items() <= set(RETRANSMISSION_OPTIONS)
    assert server_module.TCP_RTO_MIN_US == 80_000, "above a delayed ACK, below Linux's own"
    assert server_module.TCP_RTO_MAX_MS == 1000, "above a long round trip, below what a viewer takes for an end"
    await another.close()


async def test_an_accepted_socket_holds_little_unsent(port: Port) -> None:
    accepted: list[asyncio.BaseTransport] = []
    original = server_module._send_at_once

    def keep(transport: asyncio.BaseTransport | None) -> None:
        original(transport)
        assert transport
        accepted.append(transport)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server_module, "_send_at_once", keep)
        async with connected(port.ws, TOKEN):
            sock = accepted[0].get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            unsent = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
            assert unsent == 128 * 1024, "below, pixels stutter; above, offers wait"


async def test_without_the_built_client_the_page_explains_what_to_do(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(server_module.PAGES, "/", ("not-built.html", "text/html"))
    async with aiohttp.ClientSession() as client, client.get(port.http) as response:
        assert response.status == 503 and "make setup" in await response.text()


# Host


KNOWN_HOSTS = ("127.0.0.1", "127.0.0.1:1", "localhost:80", "LOCALHOST", "[::1]:5", "viewer.example")
UNKNOWN_HOSTS = (
    "evil.com", "127.0.0.1.evil.com", "localhost.evil.com", "localhost.", "viewer.example.evil.com", "192.0.2.7",
    "[::ffff:127.0.0.1]", "0.0.0.0", "127.0.0.1:99999", "2130706433", "a@127.0.0.1", "127.0.0.1, evil.com",
)  # fmt: skip


@pytest.mark.parametrize("path", ["/", "/health", "/ws", "/nothing"])
async def test_an_unknown_host_name_is_refused_on_every_route(port: Port, path: str) -> None:
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
               "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode()} if path == "/ws" else {}  # fmt: skip
    for host in UNKNOWN_HOSTS:
        assert await status(port, path, Host=host, **upgrade) == 403, host
    if path == "/health":
        assert {host: await status(port, path, Host=host) for host in KNOWN_HOSTS} == dict.fromkeys(KNOWN_HOSTS, 200)


async def test_requests_that_no_client_library_makes_are_refused(port: Port) -> None:
    for request in (
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: \xff\xfe\r\nConnection: close\r\n\r\n",
        b"GET http://127.0.0.1/ HTTP/1.1\r\nHost: evil.com\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.com\r\nConnection: close\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ):
        assert (await raw(port, request)).split()[1] in (b"400", b"403"), request
    assert await status(port, "/health") == 200


# Origin, token, first message


@pytest.mark.parametrize(
    "origin",
    ["null", "https://evil.example", "https://lab.example.evil.com", "https://xlab.example", "http://lab.example",
     "https://lab.example:444", "http://127.0.0.1.evil.com", "http://u@localhost", "file://"],
)  # fmt: skip
async def test_a_page_of_another_origin_is_closed_with_4403(port: Port, origin: str) -> None:
    async with connected(port.ws, headers={"Origin": origin}) as viewer:
        assert await viewer.closed() == 4403


@pytest.mark.parametrize("origin", ["http://localhost:8888", "https://lab.example", "vscode-webview://0abc", None])
async def test_a_page_of_an_allowed_origin_connects_with_the_token(port: Port, origin: str | None) -> None:
    headers = {"Origin": origin} if origin else {}
    async with connected(port.ws, TOKEN, headers=headers) as viewer:
        assert not viewer.ws.closed


@pytest.mark.parametrize("token", ["", "x" * len(TOKEN), TOKEN[:-1], TOKEN + " ", TOKEN.upper(), "Ä" * 30])
async def test_a_wrong_token_is_closed_with_4401(port: Port, token: str) -> None:
    port.stream()
    async with connected(port.ws) as viewer:
        await viewer.send(wire.Hello(wire.VERSION, token, []))
        assert await viewer.closed() == 4401
        assert not viewer.streams, "a refused viewer is sent nothing"


async def test_a_token_in_the_address_is_ignored(port: Port) -> None:
    async with connected(f"{port.ws}?token={TOKEN}", headers={"Authorization": f"Bearer {TOKEN}"}) as viewer:
        await viewer.send(wire.Subscribe(1, "default", "lossless"))
        assert await viewer.closed() == 4400


async def test_another_version_is_closed_with_4426(port: Port) -> None:
    async with connected(port.ws) as viewer:
        await viewer.send(wire.Hello(wire.VERSION + 1, TOKEN, []))
        assert await viewer.closed() == 4426


async def test_a_socket_that_sends_nothing_is_closed_with_4408(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "HELLO_TIMEOUT_S", 0.05)
    async with connected(port.ws) as viewer:
        assert await viewer.closed() == 4408


async def test_an_auth_hook_gets_the_request_and_its_principal_reaches_the_listener() -> None:
    inputs: list[tuple[str | None, str]] = []

    class Inputs(NullListener):
        def on_input(self, stream: int, client_id: str, principal: str | None, event: dict[str, Any]) -> None:
            inputs.append((principal, event["key"]))

    async def authorize(token: str, request: ConnectionRequest) -> Admitted | Refused:
        await asyncio.sleep(0.01)
        assert request.remote == "127.0.0.1" and request.query == {"room": "a b"} and "host" in request.headers
        user = request.cookies.get("user")
        return Admitted(user) if token == "any" and user else Refused(CloseCode.UNAUTHORIZED, "log in first")

    engine = Engine(OPTIONS, Inputs(), authorize)
    engine.add_stream(StreamOptions(id=0, name="default", width=64, height=48), LocalSlot())
    server, sockets = WebServer(engine, OPTIONS), bind("127.0.0.1", 0)
    await server.start(sockets)
    url = f"ws://127.0.0.1:{sockets[0].getsockname()[1]}/ws?room=a%20b"
    async with connected(url, "any", headers={"Cookie": "user=ada"}) as viewer:
        sub = await viewer.subscribe("default")
        await viewer.send(wire.Input(sub, wire.RenderviewEvent("key_down", 1.0, key="x")))
        await eventually(lambda: inputs == [("ada", "x")])
    async with connected(url) as viewer:
        await viewer.send(wire.Hello(wire.VERSION, "any", []))
        assert await viewer.closed() == 4401
    await engine.close()
    await server.close()


async def test_a_long_reason_is_cut_at_a_character() -> None:
    reason = "x" + 100 * "ä"
    engine = Engine(OPTIONS, NullListener(), lambda token, request: Refused(CloseCode.LIMITS, reason))
    server, sockets = WebServer(engine, OPTIONS), bind("127.0.0.1", 0)
    await server.start(sockets)
    async with (
        aiohttp.ClientSession() as client,
        client.ws_connect(f"ws://127.0.0.1:{sockets[0].getsockname()[1]}/ws") as ws,
    ):
        await ws.send_str(wire.encode(wire.Hello(wire.VERSION, "any", [])))
        closed = await ws.receive()
        assert (closed.data, closed.extra) == (4429, "x" + 61 * "ä")
    await engine.close()
    await server.close()


INVALID = ["", "{", "null", "[]", '{"type":"hello"}', '{"type":"nothing"}', '{"type":"ack","sub":1,"frame":-1}',
           '{"type":"hello","version":1,"token":"x","codecs":[],"more":1}', "[" * 50_000]  # fmt: skip


@pytest.mark.parametrize("text", INVALID, ids=range(len(INVALID)))
@pytest.mark.parametrize("admitted", [False, True])
async def test_an_invalid_message_is_closed_with_4400(port: Port, text: str, admitted: bool) -> None:
    async with connected(port.ws, TOKEN if admitted else None) as viewer:
        await viewer.ws.send_str(text)
        assert await viewer.closed() == 4400


async def test_a_binary_message_is_closed_with_4400(port: Port) -> None:
    async with connected(port.ws, TOKEN) as viewer:
        await viewer.ws.send_bytes(b"\0" * 36)
        assert await viewer.closed() == 4400


async def test_a_message_longer_than_64_kib_ends_the_socket_unread(port: Port) -> None:
    header = b"\x81\xff" + (wire.MAX_TEXT_MESSAGE_BYTES + 1).to_bytes(8, "big") + bytes(4)  # RFC 6455 §5.2, masked
    async with connected(port.ws, TOKEN) as viewer:
        viewer.ws._writer.transport.write(header)  # its payload never comes
        assert await viewer.closed() == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
    async with connected(port.ws, TOKEN) as viewer:
        await viewer.ws.send_str("x" * wire.MAX_TEXT_MESSAGE_BYTES)
        assert await viewer.closed() == 4400, "it was read"


async def test_an_invalid_message_of_one_viewer_does_not_disturb_another(port: Port) -> None:
    slot = port.stream()
    async with connected(port.ws, TOKEN) as good:
        await good.subscribe("default")
        for text in INVALID:
            async with connected(port.ws, TOKEN) as bad:
                await bad.ws.send_str(text)
                await bad.closed()
        slot.write(noise(64, 48), 1, 1)
        port.engine.frame_published(0)
        assert (await good.unit()).number == 1


# Limits


async def test_the_oldest_socket_without_hello_makes_way_with_4429(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine_module.MAX_UNADMITTED_VIEWERS == 256, "each may hold a message of 64 KiB: 16 MiB"
    monkeypatch.setattr(engine_module, "MAX_UNADMITTED_VIEWERS", 3)
    async with connected(port.ws, TOKEN) as admitted, connected(port.ws) as first, connected(port.ws) as second:
        async with connected(port.ws), connected(port.ws, TOKEN), connected(port.ws, TOKEN) as newest:
            assert await first.closed() == 4429
            assert not (second.ws.closed or admitted.ws.closed or newest.ws.closed)


async def test_the_number_of_viewers_is_limited(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine_module.MAX_VIEWERS == 256, "more than a class of viewers, and no flood"
    monkeypatch.setattr(engine_module, "MAX_VIEWERS", 2)
    async with connected(port.ws), connected(port.ws, TOKEN) as first, connected(port.ws, TOKEN):
        async with connected(port.ws) as third:
            await third.send(wire.Hello(wire.VERSION, TOKEN, []))
            assert await third.closed() == 4429
        assert not first.ws.closed
        await first.close()
        await eventually(lambda: port.engine._admitted < 2)
        async with connected(port.ws, TOKEN):
            """There is room again, and one that is not admitted does not count."""


# Compression


def upgrade(port: Port) -> bytes:
    return (
        f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port.number}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
    ).encode()


async def test_compression_is_not_negotiated_and_a_compressed_bomb_is_refused(port: Port) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
    writer.write(upgrade(port))
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), TEST_TIMEOUT_S)
    assert b"101" in head and b"extensions" not in head.lower()
    bomb = zlib.compressobj(wbits=-15)
    data = bomb.compress(b"\0" * 7_000_000) + bomb.flush(zlib.Z_SYNC_FLUSH)
    assert len(data) < 8192, "so that nothing of it is unread when the connection is closed"
    # FIN, RSV1 (RFC 7692 section 6), text; masked with zeros (RFC 6455 section 5.3).
    writer.write(bytes([0xC1, 0x80 | 126]) + struct.pack(">H", len(data)) + bytes(4) + data)
    answer = await asyncio.wait_for(reader.read(), TEST_TIMEOUT_S)
    assert answer[0] == 0x88 and struct.unpack(">H", answer[2:4])[0] == 1002, "protocol error"
    writer.close()


# The end


async def test_nothing_that_a_viewer_sends_reaches_the_log(port: Port, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("asyncio").setLevel(logging.INFO)
    port.stream()
    async with connected(port.ws, TOKEN) as viewer:
        await viewer.subscribe("default")
    for text in (TOKEN, f'{{"type":"hello","token":"{TOKEN}"}}', f'{{"type":"{TOKEN}"}}'):
        async with connected(f"{port.ws}?token={TOKEN}") as viewer:
            await viewer.ws.send_str(text)
            await viewer.closed()
    await status(port, f"/?token={TOKEN}")
    await raw(port, f"GET /{TOKEN} HTTP/9.9\r\nHost: {TOKEN}\r\n\r\n".encode())
    ours = [record for record in caplog.records if record.name.startswith(("framewire", "aiohttp.access"))]
    assert ours, "something is logged at this level"
    assert not [record.getMessage() for record in caplog.records if TOKEN in record.getMessage()]


async def test_closing_the_engine_closes_viewers_with_1001(port: Port) -> None:
    async with connected(port.ws, TOKEN) as viewer:
        await port.engine.close()
        assert await viewer.closed() == 1001


async def test_a_viewer_that_does_not_read_does_not_delay_the_shutdown(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 1 <= engine_module.SHUTDOWN_CLOSE_TIMEOUT_S <= 2, "a long round trip, and no longer than a user waits"
    monkeypatch.setattr(engine_module, "SHUTDOWN_CLOSE_TIMEOUT_S", 0.2)
    slot = port.stream(width=2048, height=2048)
    async with connected(port.ws, TOKEN, compress=0) as viewer:
        viewer.pause()
        await viewer.subscribe("default")
        for number in (1, 2):
            slot.write(noise(2048, 2048, seed=number), number, number)
            port.engine.frame_published(0)
            await eventually(lambda n=number: port.engine.stats()[0]["encodes"].get("lossless", 0) >= n)  # type: ignore[misc]
        async with asyncio.timeout(TEST_TIMEOUT_S):
            await port.engine.close()
            await port.server.close()
        assert not port.engine.viewers


async def test_a_viewer_that_does_not_read_its_close_frame_is_cut_off(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "CLOSE_TIMEOUT_S", 0.2)
    slot = port.stream(width=2048, height=2048)
    async with connected(port.ws, TOKEN) as viewer:
        viewer.pause()
        await viewer.subscribe("default")
        slot.write(noise(2048, 2048), 1, 1)
        port.engine.frame_published(0)
        await eventually(lambda: port.engine.stats()[0]["encodes"].get("lossless"))
        await viewer.ws.send_str("rubbish")
        await eventually(lambda: not port.engine.viewers)
        http = port.server._runner and port.server._runner.server
        assert http
        await eventually(lambda: not http.connections, "its socket is closed as well")


async def test_a_viewer_that_answers_no_ping_is_removed(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    assert server_module.PING_INTERVAL_S == 20, "seldom, and twice before a proxy gives up after a minute"
    monkeypatch.setattr(server_module, "PING_INTERVAL_S", 0.05)
    async with aiohttp.ClientSession() as client:
        await client.ws_connect(port.ws, autoping=False)
        await eventually(lambda: port.engine.viewers == 1)
        await eventually(lambda: port.engine.viewers == 0)


async def test_a_viewer_that_does_not_answer_a_close_frame_is_removed(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert server_module.CLOSE_HANDSHAKE_TIMEOUT_S == 2, "a long round trip, and no longer than a restart may take"
    monkeypatch.setattr(server_module, "CLOSE_HANDSHAKE_TIMEOUT_S", 0.05)
    monkeypatch.setattr(session, "HELLO_TIMEOUT_S", 0.01)
    reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
    writer.write(upgrade(port))
    await reader.readuntil(b"\r\n\r\n")
    async with asyncio.timeout(TEST_TIMEOUT_S):
        close_frame = await reader.read()
    assert struct.unpack(">H", close_frame[2:4])[0] == 4408
    await eventually(lambda: port.engine.viewers == 0)
    writer.close()


async def test_a_viewer_whose_connection_is_reset_is_removed(port: Port) -> None:
    port.stream()
    sock = socket.create_connection(("127.0.0.1", port.number))
    sock.sendall(upgrade(port))
    await eventually(lambda: port.engine.viewers)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    await eventually(lambda: not port.engine.viewers)


async def test_a_viewer_that_left_before_it_was_accepted_is_not_an_error(
    port: Port, caplog: pytest.LogCaptureFixture
) -> None:
    """Viewers wait in the backlog while an engine starts, and some go away meanwhile."""
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", port.number)) as sock:
            sock.sendall(upgrade(port))
            # A reset instead of a close frame, before this loop, which is the server's as well, has run at all.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await asyncio.sleep(0.3)
    assert await status(port, "/health") == 200
    assert caplog.records == []
