"""Messages become bytes and back, and other bytes are refused."""

from __future__ import annotations

import typing

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framewire.authentication import ConnectionRequest
from framewire.errors import LocalProtocolError
from framewire.link.control import (
    MAX_MESSAGE_BYTES,
    AddStream,
    AdmissionAnswered,
    AdmissionAsked,
    Alive,
    Configure,
    EngineStats,
    Failed,
    FromEngine,
    InputArrived,
    Listeners,
    Log,
    Ready,
    RemoveStream,
    Ring,
    RingLost,
    Shutdown,
    ToEngine,
    ViewerBinary,
    ViewerClosed,
    ViewerOpened,
    ViewerRead,
    Viewers,
    ViewerText,
    encode,
    engine_decoder,
    parent_decoder,
)
from framewire.options import EngineOptions, IceServer, StreamOptions
from framewire.viewers import WatchingViewer

TOKEN = "s3cret-of-enough-characters"
TO_ENGINE: list[ToEngine] = [
    Configure(
        options=EngineOptions(
            token=TOKEN,
            allow_origins=("https://a.example",),
            ice_servers=(IceServer(["turn:b"], "u", "c0nfidential"),),
        )
    ),
    AddStream(options=StreamOptions(id=7, name="caméra", width=1, height=16384, fps=29.97, latency="smooth")),
    RemoveStream(id=7),
    Ring(stream=7, number=2, memory="framewire-0a", size=1 << 40),
    Listeners(shares=(b"\0\xff", b"")),
    ViewerOpened(id=1, request=ConnectionRequest({"host": "a"}, {"session": "c0nfidential"}, {}, "::1")),
    ViewerText(id=1, text='{"type": "hello"}'),
    ViewerRead(id=1, size=9),
    ViewerClosed(id=1),
    AdmissionAnswered(id=2**63 - 1, principal="adá"),
    Shutdown(),
]
FROM_ENGINE: list[FromEngine] = [
    Ready(pid=1, epoch="e"),
    RingLost(stream=7, number=2),
    InputArrived(stream=7, client_id="c", principal=None, event={"type": "wheel", "dy": -1.5, "touches": {}}),
    Viewers(stream=7, viewers=(WatchingViewer("a", "ada"), WatchingViewer("b", visible=False))),
    ViewerText(id=1, text='{"type": "welcome"}'),
    ViewerBinary(id=1, data=b"\xff\x00"),
    ViewerClosed(id=1, code=4401, reason="wrong token"),
    AdmissionAsked(id=2**63 - 1, token=TOKEN, request=ConnectionRequest(cookies={"session": "c0nfidential"})),
    Alive(debugged=True),
    EngineStats(stream=7, stats={"fps": 59.9, "encoders": [{"codec": "vp8"}]}),
    Log(level=30, text="línea"),
    Failed(text="no"),
]


def test_every_message_of_both_unions_is_among_the_examples():
    assert {type(m) for m in TO_ENGINE} == set(typing.get_args(ToEngine))
    assert {type(m) for m in FROM_ENGINE} == set(typing.get_args(FromEngine))


@given(st.lists(st.integers(1, 50), max_size=40))
def test_messages_survive_any_cutting_of_the_bytes(cuts):
    data = b"".join(map(encode, TO_ENGINE))
    decoder, heard, at = engine_decoder(), [], 0
    for size in cuts:
        heard += decoder.feed(data[at : at + size])
        at += size
    assert heard + decoder.feed(data[at:]) == TO_ENGINE


def test_messages_of_the_engine_arrive():
    assert parent_decoder().feed(b"".join(map(encode, FROM_ENGINE))) == FROM_ENGINE


def test_the_type_is_spelled_in_snake_case():
    assert msgspec.msgpack.decode(encode(TO_ENGINE[1])[4:])["type"] == "add_stream"


@given(st.binary(max_size=64))
def test_bytes_that_are_no_message_are_refused_with_one_error(data):
    decoder = parent_decoder()
    try:
        decoder.feed(len(data).to_bytes(4, "little") + data)
    except LocalProtocolError:
        with pytest.raises(LocalProtocolError):
            decoder.feed(b"")
    else:
        pytest.fail("no such bytes are a message")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"type": "viewers", "stream": 1}, id="a field is missing"),
        pytest.param({"type": "viewers", "stream": 1, "count": 1, "more": 1}, id="an unknown field"),
        pytest.param({"type": "viewers", "stream": "1", "count": 1}, id="a field of another type"),
        pytest.param({"type": "shutdown"}, id="a message of the other direction"),
        pytest.param({"type": "cheers"}, id="no such message"),
    ],
)
def test_a_message_that_is_not_ours_is_refused(body):
    data = msgspec.msgpack.encode(body)
    with pytest.raises(LocalProtocolError):
        parent_decoder().feed(len(data).to_bytes(4, "little") + data)


def test_no_bytes_end_whoever_reads_them():
    deep = b"\x91" * 5000 + b"\xc0"
    no_text = b"\x82\xa4type\xa3\xff\xfe\xfdx"
    for body in (deep, no_text, b"\x82\xa4type\xadinput_arrived\xa5event" + deep):
        with pytest.raises(LocalProtocolError, match="not a message"):
            parent_decoder().feed(len(body).to_bytes(4, "little") + body)


def test_a_refusal_is_one_short_line_whatever_it_quotes():
    body = msgspec.msgpack.encode({"type": "x\n\x1b[2J" * 9000})
    with pytest.raises(LocalProtocolError) as caught:
        parent_decoder().feed(len(body).to_bytes(4, "little") + body)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 500


def test_a_length_beyond_the_limit_is_refused_at_once():
    with pytest.raises(LocalProtocolError, match="length"):
        engine_decoder().feed((MAX_MESSAGE_BYTES + 1).to_bytes(4, "little"))


def test_a_message_of_16_mib_travels_and_no_longer_one():
    longest = 16 * 1024 * 1024
    overhead = len(encode(Failed(text="x" * 100_000))) - 4 - 100_000
    message = Failed(text="x" * (longest - overhead))
    assert parent_decoder().feed(encode(message)) == [message]
    with pytest.raises(LocalProtocolError, match=f"{longest + 1} bytes, at most {longest}"):
        encode(Failed(text=message.text + "x"))


def test_what_cannot_be_encoded_is_refused_by_the_sender():
    with pytest.raises(LocalProtocolError, match="EngineStats"):
        encode(EngineStats(stream=1, stats={"x": object()}))
    with pytest.raises(LocalProtocolError, match="bytes"):
        encode(Log(level=1, text="x" * MAX_MESSAGE_BYTES))


def test_neither_token_nor_credential_is_in_a_repr():
    assert "turn:b" in repr(TO_ENGINE[0])
    for secret in ("s3cret", "c0nfidential"):
        assert secret not in repr(TO_ENGINE[0]) and secret not in str([TO_ENGINE, FROM_ENGINE])


def test_what_is_not_said():
    configure, ring = Configure(options=EngineOptions()), Ring(stream=1)
    assert not configure.asks_parent and (ring.number, ring.memory, ring.size) == (0, None, 0)
    assert (ViewerClosed(id=1).code, AdmissionAnswered(id=1).failed) == (0, False)
