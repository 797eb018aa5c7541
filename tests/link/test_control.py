"""Messages become bytes and back; other bytes are refused; what a new engine is sent; and when to give up."""

from __future__ import annotations

import typing

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framewire.errors import LocalProtocolError
from framewire.link.control import (
    MAX_MESSAGE_BYTES,
    AddStream,
    Configure,
    EngineStats,
    Failed,
    FromEngine,
    Handles,
    InputArrived,
    Log,
    Ready,
    RemoveStream,
    Replay,
    RestartPolicy,
    Ring,
    Shutdown,
    ToEngine,
    Viewers,
    encode,
    engine_decoder,
    parent_decoder,
)
from framewire.options import EngineOptions, IceServer, StreamOptions

TOKEN = "s3cret-of-enough-characters"
TO_ENGINE: list[ToEngine] = [
    Configure(
        options=EngineOptions(
            token=TOKEN,
            allow_origins=("https://a.example",),
            ice_servers=(IceServer(["turn:b"], "u", "c0nfidential"),),
            latency="smooth",
        )
    ),
    AddStream(options=StreamOptions(id=7, name="caméra", width=1, height=16384, fps=29.97)),
    RemoveStream(id=7),
    Ring(stream=7),
    Shutdown(),
]
FROM_ENGINE: list[FromEngine] = [
    Ready(pid=1, epoch="e"),
    InputArrived(stream=7, client_id="c", principal=None, event={"type": "wheel", "dy": -1.5, "touches": {}}),
    Viewers(stream=7, count=2),
    EngineStats(stream=7, stats={"fps": 59.9, "encoders": [{"codec": "vp8"}]}),
    Log(level=30, text="línea"),
    Failed(text="no"),
]


def configure(**options):
    return Configure(options=EngineOptions(**options))


def add_stream(id_, width=1):
    return AddStream(options=StreamOptions(id=id_, name=f"stream {id_}", width=width, height=1))


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
        assert secret not in repr(TO_ENGINE[0]) and secret not in str(TO_ENGINE)


def test_handles_travel_on_the_command_line():
    handles = Handles(control=3, bell=9, listeners=(4, 5), parent=77)
    assert Handles.parse(["echo", *handles.arguments()]) == handles
    assert Handles.parse(Handles(control=3, bell=9, parent=77).arguments()).listeners == ()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--control=x", "--bell=1", "--listen=", "--parent=1"],
        ["--control=1=2", "--bell=1", "--listen=", "--parent=1"],
    ],
)
def test_a_command_line_that_is_not_ours_is_refused(arguments):
    with pytest.raises(LocalProtocolError):
        Handles.parse(arguments)


def test_a_new_engine_is_sent_what_holds_and_nothing_that_has_ended():
    replay: Replay[str] = Replay(configure())
    one, two = add_stream(1), add_stream(2)
    replay.record(one)
    replay.record(Ring(stream=1), "memory 1")
    replay.record(two)
    replay.record(Ring(stream=2), "memory 2")
    replay.record(Ring(stream=1), "memory 3")
    replay.record(RemoveStream(id=2))
    replay.record(RemoveStream(id=9))
    replay.record(configure(port=1))
    wider = add_stream(1, width=9)
    replay.record(wider)
    replay.record(Shutdown())
    assert replay.messages() == [
        (configure(port=1), None),
        (wider, None),
        (Ring(stream=1), "memory 3"),
    ]


def test_the_memory_of_a_removed_stream_is_not_replayed_to_another_of_its_id():
    replay: Replay[str] = Replay(configure())
    for message, memory in ((add_stream(1), None), (Ring(stream=1), "old memory"), (RemoveStream(id=1), None)):
        replay.record(message, memory)
    replay.record(add_stream(1, width=9))
    assert replay.messages() == [(configure(), None), (add_stream(1, width=9), None)]


def test_a_stream_that_was_removed_leaves_no_ring_for_one_of_its_id():
    replay: Replay[str] = Replay(configure())
    replay.record(add_stream(1))
    replay.record(Ring(stream=1), "memory")
    replay.record(RemoveStream(id=1))
    replay.record(add_stream(1))
    assert replay.messages() == [(configure(), None), (add_stream(1), None)]


def test_a_ring_needs_its_memory_and_its_stream():
    replay: Replay[str] = Replay(configure())
    with pytest.raises(LocalProtocolError):
        replay.record(Ring(stream=1), "memory")
    replay.record(add_stream(1))
    with pytest.raises(LocalProtocolError):
        replay.record(Ring(stream=1))


def exits(policy: RestartPolicy, *times: float, was_ready: bool = True) -> list[float | None]:
    return [policy.exited(time, was_ready=was_ready) for time in times]


def test_the_first_restart_is_immediate_and_later_ones_wait():
    assert exits(RestartPolicy(limit=9), *range(7)) == [0.0, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0]


def test_five_exits_within_a_minute_are_too_many():
    assert exits(RestartPolicy(), 0, 10, 20, 30, 59.9)[-1] is None
    assert exits(RestartPolicy(), 0, 10, 20, 30, 60) == [0.0, 0.5, 1.0, 2.0, 2.0], "the first one is a minute ago"


def test_rare_exits_are_always_followed_by_a_restart():
    assert set(exits(RestartPolicy(limit=2, window=60), *(60.0 * n for n in range(20)))) == {0.0}


def test_an_engine_that_never_came_up_gets_few_attempts():
    assert exits(RestartPolicy(), 0, 100, 200, was_ready=False) == [0.0, 0.0, None]
    policy = RestartPolicy(unready_limit=2, window=1)
    assert exits(policy, 0, was_ready=False) == [0.0]
    assert exits(policy, 100) == [0.0], "it came up: the count starts again"
    assert exits(policy, 200, 300, was_ready=False) == [0.0, None]
