"""One port: the page, the WebSocket, the health check. The only file of the engine that knows aiohttp.

Must not know the contract's messages: it refuses requests or accepts them, and connects each WebSocket to a viewer.
"""

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

from aiohttp import WSCloseCode, WSMsgType, http_exceptions, web

from framewire.addresses import host_name
from framewire.authentication import ConnectionRequest
from framewire.engine.engine import Engine
from framewire.engine.http.accept import IDLE_TIMEOUT_S, Acceptor, Connection
from framewire.engine.http.gate import Gate
from framewire.engine.http.reads import BoundedReads
from framewire.engine.http.tcp_info import delivery_rate_bps
from framewire.engine.viewer.websocket import WebSocketTransport
from framewire.errors import CloseCode
from framewire.limited_log import LimitedLog
from framewire.options import EngineOptions
from framewire.tls import server_context
from framewire.wire import MAX_TEXT_MESSAGE_BYTES

log: Final = LimitedLog(logging.getLogger(__name__))

LINGERING_S: Final = 1.0
"""Time in which the body of a request that was answered already is read, so that the answer arrives.

Source: chosen by hand; no request to us has a body. Pinned by
`tests/engine/http/test_strangers.py::test_a_body_that_never_ends_is_not_waited_for`"""

PING_INTERVAL_S: Final = 20.0
"""Time between WebSocket pings. A viewer that answers none within half of it is gone.

Source: chosen by hand, below the 60 s after which reverse proxies close an idle connection; pinned by
`tests/engine/http/test_server.py::test_a_viewer_that_answers_no_ping_is_removed`"""

MAX_UNSENT_BYTES: Final = 128 * 1024
"""Unsent bytes that the kernel may hold (``TCP_NOTSENT_LOWAT``), and aiohttp before it. More would delay an offer
behind old pictures.

Source: chosen by hand; pinned by
`tests/engine/http/test_server.py::test_an_accepted_socket_holds_little_unsent`"""

TCP_RTO_MIN_US_OPTION: Final = 45
"""Number of the socket option for `TCP_RTO_MIN_US`. Python has no name for it; kernels before 6.15 refuse it.

Source: Linux, include/uapi/linux/tcp.h"""

TCP_RTO_MIN_US: Final = 80_000
"""Shortest time until TCP sends a lost packet again. Linux's own is 200 ms.

Source: benchmark `lossy-150ms-10%-bursts`; pinned by
`tests/engine/http/test_server.py::test_lost_packets_are_repeated_at_short_intervals`"""

TCP_RTO_MAX_MS_OPTION: Final = 44
"""Number of the socket option for `TCP_RTO_MAX_MS`. Python has no name for it; kernels before 6.15 refuse it.

Source: Linux, include/uapi/linux/tcp.h"""

TCP_RTO_MAX_MS: Final = 1000
"""Longest time until TCP sends a lost packet again. By default it doubles up to two minutes: when packets are lost in
bursts, half a page or an offer can hang for fifteen seconds.

Source: benchmark `lossy-150ms-10%-bursts`; pinned by
`tests/engine/http/test_server.py::test_lost_packets_are_repeated_at_short_intervals`"""

TCP_THIN_LINEAR_TIMEOUTS_OPTION: Final = 16
"""Number of the socket option that repeats at constant intervals while few packets are unacknowledged.

Source: Linux, include/uapi/linux/tcp.h, ``TCP_THIN_LINEAR_TIMEOUTS``; pinned by
`tests/engine/http/test_server.py::test_lost_packets_are_repeated_at_short_intervals`"""

RETRANSMISSION_OPTIONS: Final = (
    (TCP_RTO_MIN_US_OPTION, TCP_RTO_MIN_US),
    (TCP_RTO_MAX_MS_OPTION, TCP_RTO_MAX_MS),
    (TCP_THIN_LINEAR_TIMEOUTS_OPTION, 1),
)
# Accepted sockets inherit these from the listening one.

CLOSE_HANDSHAKE_TIMEOUT_S: Final = 2.0
"""Time for a viewer to answer a close frame. Then its connection is closed without the answer.

Source: chosen by hand; pinned by
`tests/engine/http/test_server.py::test_a_viewer_that_does_not_answer_a_close_frame_is_removed`"""

MAX_CLOSE_REASON_BYTES: Final = 123
"""Length of the reason in a close frame, in UTF-8.

Source: RFC 6455 section 5.5; pinned by `tests/engine/http/test_server.py::test_a_long_reason_is_cut_at_a_character`"""

PAGES: Final = {
    "/": ("page.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
}
"""Files that every client of the port may read: code, and nothing of the user's."""

PUBLIC: Final = frozenset({*PAGES, "/health", "/ws"})
"""Routes that need no token. `/ws` asks for it in its first message. All other paths are refused."""

HEADERS: Final = {
    "Content-Security-Policy": (
        # WebAssembly is for the page's zstd decoder, which is part of the script.
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
    """The web server of one engine."""

    def __init__(self, engine: Engine, options: EngineOptions) -> None:
        self._engine = engine
        self._gate = Gate(options.answers_to | _own_names(options), frozenset(options.allow_origins), options.exposed)
        self.app: web.Application = web.Application(middlewares=[self._guard], client_max_size=1024)
        for path in PAGES:
            self.app.router.add_get(path, self._page)
        self.app.router.add_get("/health", self._health)
        self.app.router.add_get("/ws", self._socket)
        self._tls = server_context(options.tls) if options.tls else None
        self._runner: web.AppRunner | None = None
        self._acceptor: Acceptor | None = None

    async def start(self, sockets: Iterable[socket.socket]) -> None:
        """Serve on these listening sockets."""
        # No access log: a request may hold secrets, and a log costs time.
        self._runner = web.AppRunner(
            self.app,
            access_log=None,
            logger=RequestLog(),
            shutdown_timeout=1.0,
            handler_cancellation=True,
            keepalive_timeout=IDLE_TIMEOUT_S,
            lingering_time=LINGERING_S,
        )
        await self._runner.setup()
        assert self._runner.server, "it was set up"
        listeners = list(sockets)
        for sock in listeners:
            _repeat_sooner(sock)
        self._acceptor = Acceptor(self._runner.server, self._tls)
        self._acceptor.start(listeners)

    async def close(self) -> None:
        """Stop listening, and close the connections that are open."""
        if self._acceptor:
            await self._acceptor.close()
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse everything that is not explicitly allowed, for every method."""
        if connection := _connection(request):
            connection.requested()
        if not self._gate.allows_host(request.headers.get("Host")):
            return web.Response(status=403, text="This server does not answer to this host name (allow_hosts=).\n")
        if request.path not in PUBLIC:
            return web.Response(status=403, text="There is nothing here.\n")
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
        compressed = web.Response(body=_compressed(body), content_type=kind, charset="utf-8")
        compressed.headers["Content-Encoding"] = "gzip"
        return compressed

    async def _health(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text="ok\n")

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return web.Response(
                status=426, text="Only WebSocket connections are served here.\n", headers={"Upgrade": "websocket"}
            )
        # Frames are compressed already: permessage-deflate costs 21 ms for 400 KB, and opens zip bombs.
        ws = web.WebSocketResponse(
            compress=False,
            autoping=False,  # so that pings count
            max_msg_size=MAX_TEXT_MESSAGE_BYTES + 1,  # aiohttp refuses a message of exactly this length
            heartbeat=PING_INTERVAL_S,
            writer_limit=MAX_UNSENT_BYTES,
            timeout=CLOSE_HANDSHAKE_TIMEOUT_S,
        )
        try:
            await ws.prepare(request)
        except ConnectionError:
            # It waited in the backlog while the engine started, and went away before it was accepted.
            return web.Response()
        if not self._gate.allows_origin(request.headers.get("Origin"), request.headers.get("Host")):
            # Accepted and then closed: of a refused upgrade a page learns only 1006, and cannot show the reason.
            if connection := _connection(request):
                connection.refused()
            await ws.close(code=CloseCode.FORBIDDEN, message=b"origin not allowed (allow_origins=)")
            return ws
        _send_at_once(request.transport)
        await self._serve_viewer(ws, request)
        return ws

    async def _serve_viewer(self, ws: web.WebSocketResponse, request: web.Request) -> None:
        transport = WebSocketTransport(_AiohttpSocket(ws, request.transport, _connection(request)))
        viewer = self._engine.accept(transport, _connection_request(request))
        if request.transport:
            BoundedReads(request.transport, viewer.bytes_came)
        try:
            async for message in ws:
                if message.type is WSMsgType.BINARY:
                    viewer.close(CloseCode.BAD_MESSAGE, "viewers send text only")
                else:
                    if message.type is WSMsgType.PING:
                        await ws.pong(message.data)
                    await viewer.take(message.data if message.type is WSMsgType.TEXT else None)
                if viewer.closed:
                    break
        finally:
            await asyncio.shield(self._engine.leave(viewer))


class RequestLog(logging.Logger):
    """aiohttp's log, in which a stranger could write a traceback with each request that is none."""

    def __init__(self) -> None:
        super().__init__(f"{__name__}.requests", logging.WARNING)

    def handle(self, record: logging.LogRecord) -> None:
        """Write few lines, with nothing in them that came from outside."""
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if isinstance(error, http_exceptions.HttpProcessingError | web.PayloadAccessError | web.RequestPayloadError):
            log.warning("requests that are no HTTP were refused")
        elif isinstance(error, Exception):
            log.exception("a request could not be answered", error=error)
        else:
            log.warning("a request was answered with a warning of aiohttp")


class _AiohttpSocket:
    """`websocket.Socket` over aiohttp."""

    def __init__(
        self, ws: web.WebSocketResponse, transport: asyncio.Transport | None, connection: Connection | None
    ) -> None:
        self._ws = ws
        self._transport = transport
        self._connection = connection
        if connection:
            connection.upgraded()

    def admitted(self) -> None:
        if self._connection:
            self._connection.admitted()

    def closing(self) -> None:
        if self._connection:
            self._connection.refused()

    async def send_text(self, text: str) -> None:
        await self._ws.send_str(text)

    async def send_bytes(self, data: bytes) -> None:
        await self._ws.send_bytes(data)

    async def close(self, code: int, reason: str) -> None:
        # Cut at a whole character.
        message = reason.encode()[:MAX_CLOSE_REASON_BYTES].decode(errors="ignore").encode()
        await self._ws.close(code=code or WSCloseCode.GOING_AWAY, message=message, drain=False)

    def abort(self) -> None:
        if self._transport:
            self._transport.abort()

    def delivery_rate_bps(self) -> float | None:
        return delivery_rate_bps(self._transport.get_extra_info("socket") if self._transport else None)


def _own_names(options: EngineOptions) -> frozenset[str]:
    """The names of this machine by which others on its network reach a server that listens for them."""
    if not options.exposed:
        return frozenset()
    with contextlib.suppress(ValueError):  # a machine may be called what no browser sends
        name = host_name(socket.gethostname())
        short = name.partition(".")[0]
        return frozenset({name, short, f"{short}.local"})  # the last one by mDNS
    return frozenset()


def _connection(request: web.Request) -> Connection | None:
    """What a request came over; None where it is gone."""
    protocol = request.transport.get_protocol() if request.transport else None
    return protocol if isinstance(protocol, Connection) else None


def _connection_request(request: web.Request) -> ConnectionRequest:
    return ConnectionRequest(
        headers={name.lower(): value for name, value in request.headers.items()},
        cookies=dict(request.cookies),
        query=dict(request.query),
        remote=request.remote,
    )


@lru_cache(maxsize=8)
def _compressed(body: bytes) -> bytes:
    """A third of the size. On a lossy link, the script alone takes a second."""
    return gzip.compress(body, mtime=0)


def _repeat_sooner(sock: socket.socket) -> None:
    """Bound the time until TCP sends lost packets again."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or not sys.platform.startswith("linux"):
        return
    for option, value in RETRANSMISSION_OPTIONS:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _send_at_once(transport: asyncio.BaseTransport | None) -> None:
    """Send small messages without delay, and keep little in the kernel."""
    sock = transport.get_extra_info("socket") if transport else None
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        option = getattr(socket, "TCP_NOTSENT_LOWAT", 25)
        sock.setsockopt(socket.IPPROTO_TCP, option, MAX_UNSENT_BYTES)
