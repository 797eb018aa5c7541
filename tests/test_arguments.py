"""What people write for an option, through a whole engine: it is served as meant, or refused in one line."""

from __future__ import annotations

import asyncio
import socket
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest

import framewire as fw
from tests.viewer import connected, flat

IPV6 = Path("/proc/net/if_inet6")
HAS_IPV6 = IPV6.exists() and bool(IPV6.read_text())


def status(url: str, host: str | None = None) -> int:
    """The status of ``/health`` at this address, as a browser asks for it; ``host`` is another ``Host`` header."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=5)
    try:
        connection.request("GET", "/health", headers={"Host": host or parts.netloc})
        return connection.getresponse().status
    finally:
        connection.close()


# Addresses


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.2", "localhost", "LocalHost.", "", "*", "0.0.0.0", "::", "[::]", "0:0:0:0:0:0:0:0",
     "::ffff:127.0.0.1", "::1", "[::1]", socket.gethostname(), socket.gethostname().upper()],
)  # fmt: skip
async def test_the_address_of_a_display_answers_whatever_host_was_asked_for(host):
    if "::1" in host and not HAS_IPV6:
        pytest.skip("this machine has no IPv6")
    async with fw.serve(4, 4, host=host, port=0, engine="inline") as display:
        assert await asyncio.to_thread(status, display.url) == 200
        async with connected(display.ws_url, display.server.token):
            pass


def own_addresses() -> set[str]:
    """The addresses of this machine, as they are in the address of a page."""
    found = set()
    for family, target in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as sock:
                sock.connect((target, 9))  # sends nothing
                found.add(str(sock.getsockname()[0]))
        except OSError:
            continue  # none of this family, or no route
    return {f"[{each}]" if ":" in each else each for each in found | {"127.0.0.1"} | ({"::1"} if HAS_IPV6 else set())}


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
async def test_a_server_for_other_machines_answers_at_every_address_and_name_of_this_one(host):
    async with fw.serve(4, 4, host=host, port=0, engine="inline") as display:
        for address in own_addresses():
            assert await asyncio.to_thread(status, f"http://{address}:{display.port}") == 200, address
        for name in (socket.gethostname(), f"{socket.gethostname()}.local", "LOCALHOST"):
            assert await asyncio.to_thread(status, display.url, f"{name}:{display.port}") == 200, name
        assert await asyncio.to_thread(status, display.url, "rebound.example") == 403


async def test_a_server_for_this_machine_answers_to_no_name_of_it():
    async with fw.serve(4, 4, port=0, engine="inline") as display:
        assert await asyncio.to_thread(status, display.url, socket.gethostname()) == 403


# Tokens

TOKENS = [
    "t" * 256,
    "with spaces, and a \nline",
    "#&=?/%+;%41" * 3,
    "zażółć gęślą jaźń 🖼 " * 2,
    "\x00" * 22,
    "'\"<>\\" * 6,
]


@pytest.mark.parametrize("token", TOKENS)
async def test_any_character_may_be_in_a_token(token):
    async with fw.serve(4, 4, port=0, engine="inline", token=token) as display:
        address, _, quoted = display.url.partition("#token=")
        assert "#" not in address and unquote(quoted) == token
        assert quoted.isascii() and quoted.isprintable() and not set(quoted) & set("#&+ ")
        display.publish(flat(4, 4))
        async with connected(display.ws_url, token) as viewer:
            await viewer.subscribe("default")
            await viewer.unit()


# Calls


FRAME = np.zeros((720, 1280, 3), np.uint8)


@pytest.mark.parametrize(
    ("function", "arguments", "keywords", "line"),
    [
        (fw.serve, (), {}, "serve() needs 'width' and 'height', in pixels: 1280, 720 say"),
        (fw.serve, (1280,), {}, "serve() needs 'height', in pixels: 1280, 720 say"),
        (fw.serve, (np.int64(1280),), {}, "serve() needs 'height', in pixels: 1280, 720 say"),
        (fw.serve, ("1280x720",), {}, "serve() needs 'height': write 1280, 720 instead of '1280x720'"),
        (fw.serve, ("big",), {}, "serve() needs 'height', in pixels: 1280, 720 say"),
        (fw.serve, ((1280, 720),), {}, "serve() needs 'height': write 1280, 720 instead of (1280, 720)"),
        (
            fw.serve,
            (FRAME.shape,),
            {},
            "serve() needs 'height': those of an array are frame.shape[1], frame.shape[0], and show(frame) needs none",
        ),
        (
            fw.serve,
            (FRAME,),
            {},
            "serve() needs 'height': those of an array are frame.shape[1], frame.shape[0], and show(frame) needs none",
        ),
        (
            fw.serve,
            FRAME.shape,
            {},
            "serve() takes 2 arguments without a name, not 3: "
            "those of an array are frame.shape[1], frame.shape[0], and show(frame) needs none",
        ),
        (fw.serve, (), {"widht": 4, "height": 4}, "serve() has no option 'widht': do you mean 'width'?"),
        (fw.show, (), {}, "show() needs 'what': show(what)"),
        (fw.serve_server, (4,), {}, "serve_server() takes 0 arguments without a name, not 1: serve_server()"),
        (
            fw.Server.add_stream,
            (None, "cam", 4),
            {},
            "add_stream() needs 'height': add_stream(name, width, height)",
        ),
    ],
)
def test_a_call_that_does_not_fit_is_one_line_that_says_how(function, arguments, keywords, line):
    with pytest.raises(TypeError) as caught:
        function(*arguments, **keywords)
    assert str(caught.value) == line
