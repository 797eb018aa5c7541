"""One port: the page, the WebSocket, health. The only file that knows aiohttp; must not know the contract's
messages: it lets a socket in or not, and carries text and bytes between it and its `Connection`."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import logging
import socket
import sys
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache
from importlib.resources import files
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from framewire.engine.engine import Engine
from framewire.engine.http.tcp_info import speed_of
from framewire.errors import CloseCode
from framewire.wire import MAX_TEXT

log = logging.getLogger(__name__)

HEARTBEAT: Final = 20.0
"""Seconds between pings; a viewer that answers none for half of it more is gone."""
UNSENT: Final = 128 * 1024
"""Bytes that the kernel may hold unsent (``TCP_NOTSENT_LOWAT``): what lies there is old when it arrives, and an
offer waits behind it."""
PERSISTENT: Final = (
    # The first two are known to Linux from 6.15 on, and ignored before. TCP_RTO_MIN_US, TCP_RTO_MAX_MS,
    (45, 80_000),
    (44, 1000),
    # TCP_THIN_LINEAR_TIMEOUTS.
    (16, 1),
)
"""TCP waits longer and longer before it sends again what was lost: where packets are lost in bursts, half a page or an
offer can hang for a quarter of a minute. Options and values that keep it to a second at most; sockets that are accepted
have them from the one that listens."""
BACKLOG: Final = 128
GOODBYE: Final = 2.0
"""Seconds a viewer has to answer a close."""

PAGES: Final = {
    "/": ("page.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
}
"""What anybody may read who reaches the port: code and nothing of the user's."""

PUBLIC: Final = frozenset({*PAGES, "/health", "/ws"})
"""Routes answered without a token. `/ws` asks for it in its first message; everything else is refused."""

HEADERS: Final = {
    "Content-Security-Policy": (
        # WebAssembly: the page's own decoder. It comes with the script and is no more than that may do.
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; "
        "style-src 'self' 'unsafe-inline'; connect-src 'self'; "
        "worker-src 'self' blob:; img-src 'self' data: blob:; media-src 'self' blob: mediastream:; "
        "base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WebServer:
    """The port of one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.app = web.Application(middlewares=[self._guard], client_max_size=1024)
        for path in PAGES:
            self.app.router.add_get(path, self._page)
        self.app.router.add_get("/health", self._health)
        self.app.router.add_get("/ws", self._socket)
        self._runner: web.AppRunner | None = None

    async def start(self, sockets: Iterable[socket.socket]) -> None:
        """Serve on sockets that listen already."""
        # No access log: nothing of a request may reach a log, and it costs time.
        self._runner = web.AppRunner(self.app, access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
        await self._runner.setup()
        for sock in sockets:
            _persist(sock)
            await web.SockSite(self._runner, sock, backlog=BACKLOG).start()

    async def close(self) -> None:
        """Stop listening; sockets still open are closed."""
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Deny by default, on every route and for every method."""
        if not self._engine.gate.admits_host(request.headers.get("Host")):
            return web.Response(status=403, text="This server does not answer to that host name (allow_hosts=).\n")
        if request.path not in PUBLIC:
            return web.Response(status=403, text="Nothing here.\n")
        try:
            response = await handler(request)
        except web.HTTPException as refusal:
            return web.Response(status=refusal.status, text=f"{refusal.reason}\n", headers=HEADERS)
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    async def _page(self, request: web.Request) -> web.StreamResponse:
        name, kind = PAGES[request.path]
        resource = files("framewire").joinpath("static", name)
        try:
            body = resource.read_bytes()
        except FileNotFoundError:
            return web.Response(
                status=503, text="The browser client is not built. In a checkout: make setup. (framewire doctor)\n"
            )
        if "gzip" not in request.headers.get("Accept-Encoding", ""):
            return web.Response(body=body, content_type=kind, charset="utf-8")
        packed = web.Response(body=_packed(body), content_type=kind, charset="utf-8")
        packed.headers["Content-Encoding"] = "gzip"
        return packed

    async def _health(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text="ok\n")

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return web.Response(status=426, text="This is a WebSocket.\n", headers={"Upgrade": "websocket"})
        # Frames are compressed already: permessage-deflate costs 21 ms for 400 KB, and opens zip bombs.
        ws = web.WebSocketResponse(
            compress=False, max_msg_size=MAX_TEXT, heartbeat=HEARTBEAT, writer_limit=UNSENT, timeout=GOODBYE
        )
        try:
            await ws.prepare(request)
        except ConnectionError:
            # It had waited in the backlog of an engine that was being started, and gave up before it was let in.
            return web.Response()
        if not self._engine.gate.admits_origin(request.headers.get("Origin"), request.headers.get("Host")):
            # Accepted and closed: of a refused upgrade a page learns nothing but 1006.
            await ws.close(code=CloseCode.FORBIDDEN, message=b"origin not allowed (allow_origins=)")
            return ws
        _hurry(request.transport)
        await self._converse(ws, request.transport)
        return ws

    async def _converse(self, ws: web.WebSocketResponse, transport: asyncio.Transport | None) -> None:
        connection = self._engine.accept(_AiohttpSocket(ws, transport))
        try:
            async for message in ws:
                if message.type is WSMsgType.TEXT:
                    connection.received(message.data)
                elif message.type is WSMsgType.BINARY:
                    connection.close(CloseCode.BAD_MESSAGE, "viewers send text only")
                if connection.ended:
                    break
        finally:
            await asyncio.shield(self._engine.left(connection))


class _AiohttpSocket:
    """`connection.Socket` over aiohttp."""

    def __init__(self, ws: web.WebSocketResponse, transport: asyncio.Transport | None) -> None:
        self._ws = ws
        self._transport = transport

    async def send_text(self, text: str) -> None:
        await self._ws.send_str(text)

    async def send_bytes(self, data: bytes) -> None:
        await self._ws.send_bytes(data)

    async def close(self, code: int, reason: str) -> None:
        # A reason is at most 123 bytes of UTF-8 (RFC 6455 section 5.5).
        message = reason.encode()[:123].decode(errors="ignore").encode()
        await self._ws.close(code=code or WSCloseCode.GOING_AWAY, message=message, drain=False)

    def abort(self) -> None:
        if self._transport:
            self._transport.abort()

    def speed(self) -> float | None:
        return speed_of(self._transport.get_extra_info("socket") if self._transport else None)


@lru_cache(maxsize=8)
def _packed(body: bytes) -> bytes:
    """A third of it: on a way that loses much, the script alone takes a second."""
    return gzip.compress(body, mtime=0)


def _persist(sock: socket.socket) -> None:
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or not sys.platform.startswith("linux"):
        return
    for option, value in PERSISTENT:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _hurry(transport: asyncio.BaseTransport | None) -> None:
    sock = transport.get_extra_info("socket") if transport else None
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        option = getattr(socket, "TCP_NOTSENT_LOWAT", 25)
        sock.setsockopt(socket.IPPROTO_TCP, option, UNSENT)
