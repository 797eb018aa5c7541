"""What an engine and a stream may be asked to be; the rest is refused in words; and what a new option costs."""

from __future__ import annotations

import inspect
import itertools
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import framewire
from framewire import wire
from framewire.addresses import is_loopback
from framewire.codecs import selectable_codecs
from framewire.errors import RemoteProtocolError
from framewire.link.control import AddStream, Configure, ToEngine, encode, engine_decoder
from framewire.options import (
    EngineKeywords,
    EngineOptions,
    IceServer,
    ServeKeywords,
    StreamKeywords,
    StreamOptions,
    check_home,
    checked_streams,
    size_usage,
)

TOKEN = "t" * 22
PACKAGE = Path(framewire.__file__).parent


def engine(**options):
    return EngineOptions(**options)


def stream(**changes):
    return StreamOptions(**{"id": 3, "name": "cam", "width": 640, "height": 480, **changes})


# Engine


def test_what_is_given_is_kept_as_the_types_of_the_link():
    made = engine(allow_origins=["https://a"], allow_hosts=(name for name in ("Lab.Example",)), port=np.int64(9))
    assert (made.allow_origins, made.allow_hosts, made.port) == (("https://a",), ("lab.example",), 9)
    assert type(made.port) is int


def test_the_defaults_of_an_engine_listen_on_loopback_alone():
    made = EngineOptions()
    assert (made.host, made.port, made.ice_servers) == ("127.0.0.1", None, ())
    assert (made.allow_hosts, made.allow_origins, made.exposed) == ((), (), False)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"allow_origins": "one.example"},
         "a value of allow_origins, 'one.example', has no scheme: write 'https://one.example'"),
        ({"allow_origins": [None]}, "a value of allow_origins is a string, not None"),
        ({"allow_hosts": ["*.example.com"]}, r"'\*.example.com', has a wildcard: list each name"),
        ({"allow_hosts": 7}, "allow_hosts is a list of values, not 7"),
        ({"host": None}, "host=None is no address: '127.0.0.1' is for this machine alone, '0.0.0.0' for others"),
        ({"host": "http://x:80"}, "'http://x:80', is an address with more than a host: write host='x', port=80"),
        ({"host": b"x"}, "host is a string, not b'x'"),
        ({"udp_host": "lab.example"},
         "a value of udp_host, 'lab.example', is no IP address: write '127.0.0.1'"),
        ({"udp_host": ["127.0.0.1", "0.0.0.0"]}, "'0.0.0.0', is every interface, as without it: leave it out"),
        ({"udp_host": 7}, "udp_host is a list of values, not 7"),
        ({"port": "8765"}, "port='8765' is not a number: at least 0, at most 65535; write port=8765"),
        ({"port": float("inf")}, "port=inf is not a number"),
        ({"port": True}, "port=True is not a number"),
        ({"port": 3.7}, "port=3.7 is no whole number"),
        ({"port": 70_000}, "port=70000 is out of range: at least 0, at most 65535"),
        ({"port": -1}, "port=-1 is out of range"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_and_named(changes, words):
    with pytest.raises(ValueError, match=words):
        EngineOptions(**changes)


def test_a_short_token_is_refused():
    with pytest.raises(ValueError, match="21 characters; 22 at least") as caught:
        EngineOptions(token=TOKEN[1:])
    assert TOKEN[1:] not in str(caught.value)
    assert EngineOptions(token=TOKEN).token == TOKEN


def test_a_long_token_is_refused():
    # The contract's `hello` holds no longer one: it would be refused at every viewer.
    assert EngineOptions(token="t" * 256).token == "t" * 256
    for token in ("t" * 257, TOKEN + "\udc80"):
        with pytest.raises(ValueError, match=r"^token is at most 256 characters, without surrogates$"):
            EngineOptions(token=token)


@settings(deadline=None)
@given(st.text(min_size=22, max_size=270))
def test_every_token_that_is_taken_reaches_the_server_in_a_hello(token):
    hello = wire.encode(wire.Hello(wire.VERSION, token, []))
    try:
        kept = EngineOptions(token=token).token
    except ValueError:
        with pytest.raises(RemoteProtocolError):
            wire.decode_viewer(hello)
    else:
        assert wire.decode_viewer(hello) == wire.Hello(wire.VERSION, kept or "", [])


def test_a_token_of_another_type_is_refused_without_it_in_the_message():
    with pytest.raises(ValueError, match=r"^token is a string, not of type bytes$"):
        engine(token=TOKEN.encode())


def test_no_secret_is_in_a_repr():
    ice = IceServer(["turn:turn.example"], username="user", credential="c0nfidential")
    shown = repr(engine(token=TOKEN, ice_servers=[ice], port=9)) + repr(ice)
    assert "turn.example" in shown and "port=9" in shown
    assert not [secret for secret in (TOKEN, "user", "c0nfidential") if secret in shown]


def test_ice_servers_as_users_write_them():
    turn = {
        "urls": ["turn:t.example", "turns:t.example"],
        "username": "u",
        "credential": "c",
        "credentialType": "password",
    }
    stun = {"urls": "stun:s.example", "username": None}
    assert engine(ice_servers=[stun, turn]).ice_servers == (
        IceServer(["stun:s.example"]),
        IceServer(["turn:t.example", "turns:t.example"], "u", "c"),
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "LocalHost", "127.0.0.2"])
def test_loopback_is_not_exposed(host):
    assert is_loopback(host) and not EngineOptions(host=host).exposed


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "*", "192.0.2.1", "example.com"])
def test_everything_else_is(host):
    assert not is_loopback(host) and EngineOptions(host=host).exposed


# Stream


def test_the_defaults_of_a_stream():
    made = stream()
    assert (made.fps, made.max_bitrate, made.event_queue_size) == (60.0, 20_000_000, 4096)
    assert (made.codecs, made.chroma, made.latency) == (selectable_codecs(), "420", "low")


def test_one_value_needs_no_list_and_none_counts_twice():
    made = engine(allow_hosts="https://Lab.Example/", allow_origins="https://Lab.Example:443/", ice_servers="stun:s")
    assert (made.allow_hosts, made.allow_origins) == (("lab.example",), ("https://lab.example",))
    assert made.ice_servers == (IceServer(["stun:s"]),)
    assert engine(allow_hosts=["a.example", "A.example:80"]).allow_hosts == ("a.example",)
    assert engine(udp_host="[::1]").udp_host == ("::1",)
    assert engine(udp_host=["::1", "127.0.0.1", "::1"]).udp_host == ("::1", "127.0.0.1")
    assert stream(codecs="vp8").codecs == ("vp8",)
    assert stream(codecs=np.array(["vp8", "h264", "vp8"])).codecs == ("vp8", "h264")


def test_a_server_answers_to_the_name_that_it_listens_on():
    assert engine(host="MyHost.lan", allow_hosts=["lab.example"]).answers_to == {"myhost.lan", "lab.example"}
    assert engine(host="0.0.0.0").answers_to == frozenset()


def test_whole_chroma_is_offered_before_the_rest():
    assert stream(chroma="444").video_codecs == ("h264_444", *selectable_codecs())
    assert stream(codecs=["vp8"]).video_codecs == ("vp8",)


def test_sizes_of_any_number_type_are_whole_numbers_afterwards():
    made = stream(width=640.0, height=np.uint16(480), fps=np.float32(30), max_bitrate=1e6 + 0.5)
    assert (made.width, made.height, made.fps, made.max_bitrate) == (640, 480, 30.0, 1_000_000)
    assert [type(each) for each in (made.width, made.height, made.fps, made.max_bitrate)] == [int, int, float, int]


@pytest.mark.parametrize(
    "width", [0, 16_385, 640.5, -4, "640", None, True, float("nan"), float("inf"), [640], (640, 480)]
)
def test_a_size_that_no_frame_has_is_refused(width):
    for size in ({"width": width}, {"height": width}):
        with pytest.raises(ValueError, match="not a frame size: 1 to 16384"):
            stream(**size)


@pytest.mark.parametrize(
    "edge",
    [{"width": 1, "height": 16_384}, {"fps": 1000}, {"fps": 0.01}, {"name": "x" * 128}, {"max_bitrate": 10_000},
     {"max_bitrate": 1_000_000_000}, {"event_queue_size": 0}],
)  # fmt: skip
def test_the_outermost_values_are_taken(edge):
    assert {name: getattr(stream(**edge), name) for name in edge} == edge


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fps": 0}, "fps=0 is out of range: above 0, at most 1000"),
        ({"fps": 1000.1}, "fps=1000.1 is out of range"),
        ({"fps": float("nan")}, "fps=nan is out of range"),
        ({"fps": "30"}, "fps='30' is not a number"),
        ({"max_bitrate": 9_999}, "max_bitrate=9999 is out of range: at least 10000, at most 1000000000"),
        ({"max_bitrate": 1_000_000_001}, "out of range"),
        ({"event_queue_size": -1}, "event_queue_size=-1 is out of range: at least 0, at most 1000000$"),
        ({"event_queue_size": None}, "event_queue_size=None is not a number: at least 0, at most 1000000$"),
        ({"event_queue_size": 1_000_001}, "out of range"),
        ({"event_queue_size": 1.5}, "no whole number"),
        ({"fps": None}, "fps=None is not a number: above 0, at most 1000$"),
        ({"fps": "60"}, "; write fps=60$"),
        ({"fps": True}, "fps=True is not a number"),
        ({"max_bitrate": "8M"}, "; write max_bitrate=8000000$"),
        ({"max_bitrate": None}, "max_bitrate=None is not a number"),
        ({"latency": "lowest"}, "latency='lowest' is unknown: 'low', 'smooth'"),
        ({"cursor": "pointy"}, "cursor='pointy' is unknown: do you mean 'pointer'\\?$"),
        ({"width": "640", "height": 480}, "'640' x 480 is not a frame size: .* a side; write 640, 480$"),
        ({"width": "wide", "height": "480"}, "'wide' x '480' is not a frame size: .* whole pixels a side$"),
        ({"latency": ["low"]}, "latency=.'low'. is unknown"),
        ({"chroma": "422"}, "chroma='422' is unknown: '420', '444'"),
        ({"codecs": ("mpeg1",)}, "codecs has no value 'mpeg1'; there are h264, vp8"),
        ({"codecs": "H264"}, "codecs has no value 'H264': do you mean 'h264'"),
        ({"codecs": (1,)}, "a value of codecs is a string, not 1"),
        ({"chroma": "444", "codecs": ("vp8",)}, "needs 'h264'"),
        ({"name": ""}, "name is a string of 1 to 128 characters, not ''"),
        ({"name": "x" * 129}, "name is a string of 1 to 128 characters"),
        ({"name": 7}, "name is a string of 1 to 128 characters, not 7"),
    ],
)
def test_what_a_stream_cannot_be_is_refused_and_named(changes, words):
    with pytest.raises(ValueError, match=words):
        stream(**changes)


# Travel, and what a new option costs


def test_options_travel_as_they_are():
    said: list[ToEngine] = [
        Configure(options=engine(token=TOKEN, ice_servers=[{"urls": "stun:s"}])),
        AddStream(options=stream(fps=29.97, chroma="444", latency="smooth")),
    ]
    assert engine_decoder().feed(b"".join(map(encode, said))) == said


def test_every_option_is_a_keyword_and_every_keyword_an_option():
    engine, each = (
        {name for name, field in inspect.signature(struct).parameters.items() if field.default is not field.empty}
        for struct in (EngineOptions, StreamOptions)
    )
    assert engine == set(get_type_hints(EngineKeywords))
    assert each == set(get_type_hints(StreamKeywords))
    assert engine | each == set(get_type_hints(ServeKeywords))


PROGRAM = """
import asyncio, inspect, sys
import framewire as fw
from tests.viewer import connected

assert inspect.signature(fw.serve).parameters["shade"].default == 3
assert "``shade=3``: How dark." in fw.serve.__doc__
try:
    fw.serve(4, 4, shade=10)
except ValueError as error:
    print(error)

async def main():
    with fw.serve(4, 4, port=0, shade=7) as display:
        display.wait_ready()
        async with connected(display.ws_url) as viewer:
            print((await viewer.hello(display.server.token)).server)

asyncio.run(main())
"""


@pytest.mark.slow
def test_a_new_option_is_three_lines_in_two_files(tmp_path):
    """In a copy of the package: a field and its keyword in options.py, and whoever reads it in the engine."""
    shutil.copytree(PACKAGE, tmp_path / "framewire", ignore=shutil.ignore_patterns("static", "__pycache__"))

    def insert(file, after, line):
        path = tmp_path / "framewire" / file
        text = path.read_text()
        assert text.count(after) == 1, f"{after!r} in {file}"
        path.write_text(text.replace(after, after + line))

    insert(
        "options.py",
        'omit_defaults=True):\n    """What holds for a whole engine. Raises ``ValueError``, in a user\'s words, '
        'for what cannot be asked for."""\n',
        '\n    shade: Annotated[int, Meta(ge=0, le=9, description="How dark.")] = 3\n',
    )
    insert(
        "options.py", 'as keywords, with the types that are taken."""\n\n    token: str | None\n', "    shade: int\n"
    )
    insert("engine/engine.py", 'f"framewire {__version__}', " in shade {self.options.shade}")
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PYTHONPATH": f"{tmp_path}:{PACKAGE.parent.parent}"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    refused, welcome = run.stdout.splitlines()
    assert refused == "shade=10 is out of range: at least 0, at most 9"
    assert welcome == f"framewire {framewire.__version__} in shade 7"


@pytest.mark.parametrize(
    ("function", "arguments", "name", "line"),
    [
        (framewire.serve, (4, 4), "tokn", "serve() has no option 'tokn': do you mean 'token'?"),
        (framewire.serve, (4, 4), "nam", "serve() has no option 'nam': do you mean 'name'?"),
        (framewire.serve_server, (), "stream", "serve_server() has no option 'stream': do you mean 'streams'?"),
        (framewire.show, ([],), "fpss", "show() has no option 'fpss': do you mean 'fps'?"),
        (framewire.show, ([],), "lop", "show() has no option 'lop': do you mean 'loop'?"),
        (
            framewire.Server.add_stream,
            (None, "a", 4, 4),
            "max_bitrates",
            "add_stream() has no option 'max_bitrates': do you mean 'max_bitrate'?",
        ),
    ],
)
def test_an_unknown_option_is_named_with_its_function_and_the_nearest(function, arguments, name, line):
    with pytest.raises(TypeError) as caught:
        function(*arguments, **{name: 1})
    assert str(caught.value) == line


# Arguments beside the options


@pytest.mark.parametrize("home", ["process", "thread", "inline"])
def test_an_engine_has_three_homes(home):
    check_home(home)


@pytest.mark.parametrize("home", ["fork", None, 3, ["inline"], np.array(["inline"])])
def test_every_other_home_is_refused(home):
    with pytest.raises(ValueError, match=r"^engine=.* is unknown: 'process', 'thread', 'inline'$"):
        check_home(home)


CAM = {"name": "cam", "width": 4, "height": 3}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (None, []),
        ((), []),
        (CAM, [CAM]),
        ([CAM, {**CAM, "fps": 9}], [CAM, {**CAM, "fps": 9}]),
        ([CAM] * 64, [CAM] * 64),
    ],
)
def test_streams_are_a_list_or_one(given, kept):
    assert checked_streams(given) == kept


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (3, "streams is a list of dicts with name, width and height, not 3"),
        (b"cam", "streams is a list of dicts with name, width and height, not b'cam'"),
        (["cam"], "a value of streams is a dict with name, width and height, not 'cam'"),
        ([CAM, ("cam", 4, 3)], "a value of streams is a dict with name, width and height, not ('cam', 4, 3)"),
        ({"name": "cam"}, "a value of streams is a dict with name, width and height, not {'name': 'cam'}"),
        (itertools.repeat(CAM), "streams has more than 64 values; add_stream adds more"),
    ],
)
def test_other_streams_are_refused_in_one_line(given, line):
    with pytest.raises(ValueError) as caught:
        checked_streams(given)
    assert str(caught.value) == line


ARRAY = ": for an array, serve(frame.shape[1], frame.shape[0]), or show(frame)"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ((), ", in pixels, such as 1280, 720"),
        ((640,), ", in pixels, such as 1280, 720"),
        ((np.int64(640),), ", in pixels, such as 1280, 720"),
        ((640, 480), ", in pixels, such as 1280, 720"),
        (("640 by 480",), ": write 640, 480 instead of '640 by 480'"),
        (("640",), ", in pixels, such as 1280, 720"),
        ((480, "640x480"), ": write 640, 480 instead of '640x480'"),
        (([640, 480],), ": write 640, 480 instead of [640, 480]"),
        (((480, 640, 3),), ARRAY),
        (((480,),), ARRAY),
        ((480, 640, 3), ARRAY),
        ((np.zeros((4, 6)),), ARRAY),
        ((None,), ", in pixels, such as 1280, 720"),
    ],
)
def test_a_size_that_is_not_two_sides_is_turned_into_them(arguments, hint):
    assert size_usage(arguments) == hint
