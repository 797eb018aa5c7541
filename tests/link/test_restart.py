"""What a new engine is sent, and when to give up."""

from __future__ import annotations

import pytest

from framewire.authentication import ConnectionRequest
from framewire.errors import LocalProtocolError
from framewire.link.control import (
    AddStream,
    AdmissionAnswered,
    Configure,
    RemoveStream,
    Ring,
    Shutdown,
    ViewerClosed,
    ViewerOpened,
    ViewerRead,
    ViewerText,
)
from framewire.link.restart import Replay, RestartPolicy
from framewire.options import EngineOptions, StreamOptions


def configure(**options):
    return Configure(options=EngineOptions(**options))


def add_stream(id_, width=1):
    return AddStream(options=StreamOptions(id=id_, name=f"stream {id_}", width=width, height=1))


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
    for passing in (
        ViewerOpened(id=1, request=ConnectionRequest()), ViewerText(id=1, text=""), ViewerRead(id=1, size=1),
        ViewerClosed(id=1), AdmissionAnswered(id=1), Shutdown(),
    ):  # fmt: skip
        replay.record(passing)
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


def test_a_ring_can_be_sent_again_as_long_as_it_is_the_streams():
    replay: Replay[str] = Replay(configure())
    replay.record(add_stream(1))
    assert replay.ring(1) == (None, None)
    replay.record(Ring(stream=1, number=1), "memory 1")
    replay.record(Ring(stream=1, number=2), "memory 2")
    assert replay.ring(1) == (Ring(stream=1, number=2), "memory 2")
    replay.record(RemoveStream(id=1))
    assert replay.ring(1) == (None, None)
