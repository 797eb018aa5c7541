"""What people write for an option, through a whole engine: it is served as meant, or refused in one line."""

from __future__ import annotations

import asyncio
import itertools
import socket
from decimal import Decimal
from fractions import Fraction
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import framewire as fw
from framewire import wire
from framewire.link.control import AddStream, Configure, encode, engine_decoder
from framewire.options import EngineOptions, IceServer, StreamOptions
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
        (fw.serve, (), {}, "serve() needs 'width' and 'height', in pixels, such as 1280, 720"),
        (fw.serve, (1280,), {}, "serve() needs 'height', in pixels, such as 1280, 720"),
        (fw.serve, (np.int64(1280),), {}, "serve() needs 'height', in pixels, such as 1280, 720"),
        (fw.serve, ("1280x720",), {}, "serve() needs 'height': write 1280, 720 instead of '1280x720'"),
        (fw.serve, ("big",), {}, "serve() needs 'height', in pixels, such as 1280, 720"),
        (fw.serve, ((1280, 720),), {}, "serve() needs 'height': write 1280, 720 instead of (1280, 720)"),
        (
            fw.serve,
            (FRAME.shape,),
            {},
            "serve() needs 'height': for an array, serve(frame.shape[1], frame.shape[0]), or show(frame)",
        ),
        (
            fw.serve,
            (FRAME,),
            {},
            "serve() needs 'height': for an array, serve(frame.shape[1], frame.shape[0]), or show(frame)",
        ),
        (
            fw.serve,
            FRAME.shape,
            {},
            "serve() takes 2 positional arguments, not 3: "
            "for an array, serve(frame.shape[1], frame.shape[0]), or show(frame)",
        ),
        (fw.serve, (), {"widht": 4, "height": 4}, "serve() has no option 'widht': do you mean 'width'?"),
        (fw.show, (), {}, "show() needs 'what': show(what)"),
        (
            fw.serve_server,
            (4,),
            {},
            "serve_server() takes 0 positional arguments, not 1: serve_server() has streams of any size, and "
            "server.add_stream(name, width, height) starts one",
        ),
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


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ({"engine": "fork"}, "engine='fork' is unknown: 'process', 'thread', 'inline'"),
        (
            {"engine": np.array(["inline"])},
            "engine=array(['inline'], dtype='<U6') is unknown: 'process', 'thread', 'inline'",
        ),
        ({"streams": 3}, "streams is a list of dicts with name, width and height, not 3"),
        ({"streams": "cam"}, "a value of streams is a dict with name, width and height, not 'c'"),
        ({"streams": [("cam", 4, 4)]}, "a value of streams is a dict with name, width and height, not ('cam', 4, 4)"),
        ({"streams": {"name": "cam"}}, "a value of streams is a dict with name, width and height, not {'name': 'cam'}"),
        (
            {"streams": itertools.repeat({"name": "a", "width": 1, "height": 1})},
            "streams has more than 64 values; add_stream adds more",
        ),
        (
            {"authenticate": "secret"},
            "authenticate is a function of the token and the ConnectionRequest, not of type str",
        ),
        (
            {"authenticate": lambda: "ada"},
            "authenticate is a function of the token and the ConnectionRequest, not <lambda>()",
        ),
        (
            {"authenticate": lambda token, request, stream: "ada"},
            "authenticate is a function of the token and the ConnectionRequest, not <lambda>(token, request, stream)",
        ),
    ],
)
def test_what_a_server_cannot_be_is_one_line(asked, line):
    with pytest.raises((ValueError, TypeError)) as caught:
        fw.serve_server(**{"port": 0, **asked})
    assert str(caught.value) == line


async def test_a_single_stream_needs_no_list():
    streams = {"name": "cam", "width": 4, "height": 4}
    async with fw.serve_server(port=0, engine="inline", streams=streams) as server:
        assert server.streams == ["cam"]


async def test_a_proxy_and_a_page_are_admitted_as_they_were_written():
    asked: dict[str, Any] = {"allow_hosts": "https://Proxy.Example/", "allow_origins": "HTTPS://Lab.Example:443/"}
    async with fw.serve(4, 4, port=0, engine="inline", **asked) as display:
        headers = {"Host": "proxy.example", "Origin": "https://lab.example"}
        async with connected(display.ws_url, display.server.token, headers=headers):
            pass
        async with connected(display.ws_url, headers={**headers, "Origin": "https://other.example"}) as viewer:
            assert await viewer.closed() == 4403


# Whatever comes


class Odd:
    """Its members raise what they like."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr\nat all")

    def __float__(self) -> float:
        raise OSError("no number")

    def __eq__(self, other: object) -> bool:
        raise LookupError("not comparable")

    __hash__ = None  # type: ignore[assignment]


class Text(str):
    """A string of another type."""

    __slots__ = ()


TEXTS = st.one_of(
    st.text(max_size=40),
    st.text(min_size=22, max_size=300),
    st.from_regex(r"\A(https?|wss?|stuns?|turns?|null|)(://|:)?[a-zA-Z0-9.*\[\]:-]{0,20}[/.]?(:[0-9]{1,6})?/?\Z"),
    st.sampled_from(
        ["h264", "VP8", "444", "smooth", "low", "localhost", "::", "*", "lab.example", "https://lab.example", "stun:s"]
    ),
)
NUMBERS = st.one_of(st.integers(), st.floats(), st.integers(0, 70_000), st.decimals(), st.fractions(), st.booleans())
SCALARS = st.one_of(
    TEXTS,
    NUMBERS,
    st.none(),
    st.binary(max_size=30),
    TEXTS.map(Text),
    TEXTS.map(np.str_),
    st.complex_numbers(),
    st.integers(-9, 70_000).map(np.int64),
    st.floats().map(np.float64),
    st.booleans().map(np.bool_),
    st.sampled_from(
        [np.zeros(3), np.array(7), np.array("low"), np.array([None]), np.datetime64("2026-01-01"), np.ma.masked]
    ),
    st.sampled_from([Odd(), Odd, print, object(), ..., float, range(3), itertools.count(), Text, socket.AF_INET]),
)
SERVERS = st.dictionaries(
    st.sampled_from(["urls", "url", "username", "credential", "credentialType", "urll"]), SCALARS, max_size=4
)
VALUES = st.one_of(
    SCALARS,
    SERVERS,
    st.lists(SCALARS, max_size=4),
    st.lists(SERVERS, max_size=3),
    st.lists(TEXTS, max_size=9).map(tuple),
    st.sets(TEXTS, max_size=3),
    st.dictionaries(TEXTS, SCALARS, max_size=2),
    st.lists(TEXTS, max_size=3).map(np.array),
)
ENGINE_OPTIONS = ("token", "host", "port", "allow_origins", "allow_hosts", "ice_servers")
STREAM_OPTIONS = ("name", "width", "height", "fps", "max_bitrate", "event_queue_size", "codecs", "chroma", "latency")


def through_the_link(message: Configure | AddStream) -> object:
    return engine_decoder().feed(encode(message))[0]


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(ENGINE_OPTIONS + STREAM_OPTIONS), VALUES)
def test_any_value_is_refused_in_one_line_or_travels_unchanged(name, value):
    asked = {name: value}
    try:
        if name in ENGINE_OPTIONS:
            message: Configure | AddStream = Configure(options=EngineOptions(**asked))
        else:
            message = AddStream(options=StreamOptions(**{"id": 1, "name": "cam", "width": 4, "height": 4, **asked}))
    except (ValueError, TypeError) as fault:
        line = str(fault)
        assert "\n" not in line and len(line) < 300, line
        assert name in line or name in ("width", "height"), line
    else:
        assert through_the_link(message) == message


async def shows_a_picture(display: fw.Display) -> bool:
    """Whether a viewer gets a picture, and is told of the same servers for WebRTC."""
    display.publish(flat(display.width, display.height))
    async with connected(display.ws_url) as viewer:
        welcome = await viewer.hello(display.server.token)
        assert len(welcome.ice_servers) <= 8
        await viewer.subscribe(display.name)
        return (await viewer.unit()).width == display.width


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from([each for each in ENGINE_OPTIONS + STREAM_OPTIONS if each not in ("host", "port")]), VALUES)
def test_whatever_is_taken_is_served(name, value):
    asked = {"width": 4, "height": 4, "port": 0, "engine": "inline", name: value}

    async def serve() -> None:
        try:
            display = fw.serve(**asked)
        except (ValueError, TypeError):
            assume(False)
        async with display:
            assert display.width * display.height > 10**6 or await shows_a_picture(display)

    asyncio.run(serve())


TAKEN: dict[str, list[Any]] = {
    "token": ["#&=?/%+;%41" * 3, np.str_("t" * 22), Text("é" * 256)],
    "host": ["::", "LocalHost.", "[::ffff:127.0.0.1]"],
    "port": [np.int64(0), 0.0],
    "allow_origins": ["https://Lab.Example:443/", np.array(["http://a.example"]), {"chrome-extension://a"}],
    "allow_hosts": ["https://Lab.Example/", ("[::1]:80", "bücher.example")],
    "ice_servers": [
        "stun:s.invalid",
        {"url": "STUN:s.invalid"},
        [IceServer(cast(Any, "stun:s.invalid"))],
        [{"urls": ("turns:t.invalid",), "username": "é", "credential": Text("c")}] * 8,
    ],
    "name": ["#?&%/é\n", " ", "x" * 128, np.str_("cam")],
    "fps": [np.float32(30), Fraction(30, 7), Decimal("0.5"), 1000],
    "max_bitrate": [8e6, np.int32(10_000), 1e9],
    "event_queue_size": [0, 1_000_000.0],
    "codecs": ["vp8", np.array(["vp8", "h264", "vp8"]), ["h264"] * 64, {"vp8"}, ()],
    "chroma": [np.str_("444"), Text("420")],
    "latency": [np.array(["smooth"])[0]],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in TAKEN.items() for value in values])
async def test_an_unusual_value_is_served_and_offered_over_webrtc(name, value):
    async with fw.serve(64, 48, **{"port": 0, "engine": "inline", "name": "cam", name: value}) as display:
        assert await shows_a_picture(display)
        async with connected(display.ws_url, display.server.token) as viewer:
            for codec in display._publisher.options.codecs[:1]:
                await viewer.subscribe(display.name, "webrtc", codec)
                await viewer.message(wire.Offer)


async def test_a_stream_without_video_codecs_is_lossless_alone():
    async with fw.serve(64, 48, port=0, engine="inline", codecs=()) as display:
        assert await shows_a_picture(display)
        async with connected(display.ws_url, display.server.token) as viewer:
            await viewer.subscribe(display.name, "webrtc", "vp8")
            assert (await viewer.message(wire.Ended)).reason == "no_codec"
