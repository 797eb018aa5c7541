"""Which subscribers get a unit, and which need a keyframe."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from framewire.engine.stream.encoding import Key
from framewire.engine.stream.fanout import MAX_IN_FLIGHT_UNITS, Fanout, InFlight, Subscriber

A, B, C = ("a", 1), ("b", 1), ("c", 1)


def joined(*keys: Key, packets: bool = False) -> Fanout:
    fanout = Fanout()
    for key in keys:
        fanout.add(Subscriber(key, lambda _: True, packets=packets))
    return fanout


def routed(fanout: Fanout, number: int, *, keyframe: bool) -> list[Key]:
    takers = fanout.route(number, keyframe=keyframe, size_bytes=100 * number, now=number / 10)
    return [subscriber.key for subscriber in takers]


def show(fanout: Fanout, key: Key, visible: bool) -> None:
    """As every encoding does it."""
    subscriber = fanout.get(key)
    assert subscriber is not None
    if subscriber.show(visible):
        fanout.restart(key)


def test_a_new_subscriber_gets_no_delta_before_its_keyframe() -> None:
    fanout = joined(A)
    assert fanout.wants_keyframe and not fanout.wants_delta
    assert routed(fanout, 1, keyframe=False) == []
    assert routed(fanout, 2, keyframe=True) == [A]
    assert fanout.wants_delta and not fanout.wants_keyframe
    assert routed(fanout, 3, keyframe=False) == [A]


def test_subscribers_come_and_go() -> None:
    fanout = joined(A, B)
    assert len(fanout) == 2 and A in fanout and [subscriber.key for subscriber in fanout] == [A, B]
    fanout.remove(A)
    fanout.remove(A)
    assert len(fanout) == 1 and A not in fanout and fanout.get(A) is None
    assert routed(fanout, 1, keyframe=True) == [B]


def test_two_units_are_in_flight_at_most() -> None:
    fanout = joined(A)
    assert MAX_IN_FLIGHT_UNITS == 2
    assert [routed(fanout, number, keyframe=True) for number in (1, 2, 3)] == [[A], [A], []]
    fanout.acknowledge(A, 1)
    assert routed(fanout, 4, keyframe=True) == [A]


def test_a_subscriber_without_credit_is_skipped_until_the_next_keyframe() -> None:
    fanout = joined(A, B)
    for number in range(MAX_IN_FLIGHT_UNITS):
        assert routed(fanout, number, keyframe=number == 0) == [A, B]
        fanout.acknowledge(B, number)
    assert routed(fanout, 10, keyframe=False) == [B]
    fanout.acknowledge(A, 0)
    assert routed(fanout, 11, keyframe=False) == [B], "it has room again, but it missed a reference"
    assert fanout.wants_keyframe
    assert routed(fanout, 12, keyframe=True) == [A], "the other one has two in flight by now"


def test_a_unit_is_worth_making_for_one_subscriber() -> None:
    fanout = joined(A, B)
    routed(fanout, 1, keyframe=True)
    fanout.restart(B)
    assert fanout.wants_keyframe and fanout.wants_delta, "each of them needs another one"
    show(fanout, B, False)
    assert fanout.wants(2) and not fanout.wants(1)


def test_a_subscriber_without_room_asks_for_no_keyframe() -> None:
    fanout = joined(A)
    routed(fanout, 1, keyframe=True)
    routed(fanout, 2, keyframe=True)
    fanout.request_keyframe(A)
    assert not fanout.wants_keyframe and not fanout.wants_delta and not fanout.wants(3)
    fanout.acknowledge(A, 1)
    assert fanout.wants_keyframe and fanout.wants(3)


def test_a_peer_counts_its_own_room() -> None:
    fanout = joined(A, packets=True)
    assert all(routed(fanout, number, keyframe=number == 0) == [A] for number in range(50))
    assert fanout.acknowledge(A, 1) is None


def test_a_hidden_subscriber_costs_nothing_and_returns_with_a_keyframe() -> None:
    fanout = joined(A)
    routed(fanout, 1, keyframe=True)
    show(fanout, A, False)
    assert not fanout.wants(2) and not fanout.wants_delta and routed(fanout, 2, keyframe=True) == []
    show(fanout, A, True)
    assert fanout.wants_keyframe and fanout.wants(2) and not fanout.wants_delta
    assert routed(fanout, 3, keyframe=True) == [A]


def test_a_visible_subscriber_that_is_reported_visible_needs_no_keyframe() -> None:
    fanout = joined(A)
    routed(fanout, 1, keyframe=True)
    show(fanout, A, True)
    assert not fanout.wants_keyframe and fanout.wants_delta
    show(fanout, A, False)
    show(fanout, A, True)
    routed(fanout, 2, keyframe=True)
    show(fanout, A, True)
    assert not fanout.wants_keyframe, "it has come back already"


def test_a_hidden_subscriber_without_room_needs_no_keyframe_for_that() -> None:
    fanout = joined(A)
    routed(fanout, 1, keyframe=True)
    subscriber = fanout.get(A)
    assert subscriber is not None
    subscriber.visible = False
    routed(fanout, 2, keyframe=False)
    subscriber.visible = True
    assert not fanout.wants_keyframe


def test_a_unit_that_was_not_sent_gives_its_credit_back() -> None:
    fanout = joined(A)
    routed(fanout, 1, keyframe=True)
    fanout.missed(A, 1)
    assert fanout.wants(1) and fanout.wants_keyframe
    assert [routed(fanout, n, keyframe=True) for n in range(2, 2 + MAX_IN_FLIGHT_UNITS)] == [[A]] * MAX_IN_FLIGHT_UNITS


def test_a_frame_that_a_subscriber_has_is_not_wanted_again() -> None:
    fanout = joined(A)
    routed(fanout, 1, keyframe=True)
    assert not fanout.wants(1) and fanout.wants(2)


def test_an_acknowledged_unit_tells_when_it_was_sent() -> None:
    fanout = joined(A)
    fanout.sent(A, 1, size_bytes=500, now=10.0)
    fanout.sent(A, 2, size_bytes=700, now=11.0)
    assert fanout.acknowledge(A, 2) == InFlight(2, 700, 11.0)
    assert fanout.acknowledge(A, 2) is None, "a credit comes back once"
    assert fanout.acknowledge(A, 1) == InFlight(1, 500, 10.0)
    routed(fanout, 3, keyframe=False)
    assert fanout.acknowledge(A, 3) == InFlight(3, 300, 0.3)


def test_credits_of_strangers_and_of_units_never_sent_are_ignored() -> None:
    fanout = joined(A)
    for number in range(MAX_IN_FLIGHT_UNITS):
        routed(fanout, number, keyframe=True)
    assert fanout.acknowledge(A, 99) is None
    assert fanout.acknowledge(B, 0) is None
    assert routed(fanout, 9, keyframe=True) == []


def test_a_paused_subscriber_takes_nothing_until_it_asks() -> None:
    fanout = joined(A, packets=True)
    routed(fanout, 1, keyframe=True)
    fanout.missed(A, 1)
    fanout.pause(A)
    assert not fanout.wants_keyframe and not fanout.wants(2)
    assert routed(fanout, 2, keyframe=True) == []
    show(fanout, A, False)
    show(fanout, A, True)
    assert not fanout.wants_keyframe, "that it is visible again is no sign of room"
    fanout.request_keyframe(A)
    assert fanout.wants_keyframe
    assert routed(fanout, 3, keyframe=True) == [A]


def test_what_is_reported_of_strangers_is_ignored() -> None:
    fanout = joined(A)
    for report in (fanout.restart, fanout.request_keyframe, fanout.pause, fanout.remove):
        report(B)
    fanout.missed(B, 1)
    assert len(fanout) == 1 and B not in fanout


@given(st.lists(st.tuples(st.sampled_from(["route", "key", "ack", "hide", "show", "miss"]), st.integers(0, 5))))
def test_no_subscriber_ever_gets_a_delta_whose_reference_it_missed(steps: list[tuple[str, int]]) -> None:
    fanout = joined(A, B)
    number, made, got = 0, 0, {A: 0, B: 0}
    in_flight: dict[Key, list[int]] = {A: [], B: []}
    for step, n in steps:
        key = (A, B)[n % 2]
        if step in ("route", "key"):
            number += 1
            for taker in routed(fanout, number, keyframe=step == "key"):
                assert step == "key" or got[taker] == made, "the unit before reached this subscriber too"
                got[taker] = number
                in_flight[taker].append(number)
                assert len(in_flight[taker]) <= MAX_IN_FLIGHT_UNITS
            made = number
        elif step == "ack" and in_flight[key]:
            fanout.acknowledge(key, in_flight[key].pop(0))
        elif step == "miss" and in_flight[key]:
            fanout.missed(key, in_flight[key].pop())
            got[key] = -1
        elif step in ("hide", "show"):
            show(fanout, key, step == "show")


def test_who_is_behind_and_which_frame_each_of_them_has() -> None:
    fanout = joined(A, B, C)
    show(fanout, C, False)
    assert fanout.behind(1) == {A: None, B: None} and fanout.held() == set()
    fanout.sent(A, 1, size_bytes=1, now=0.0)
    assert fanout.behind(1) == {B: None}, "a has it"
    fanout.sent(B, 1, size_bytes=1, now=0.0)
    fanout.sent(B, 2, size_bytes=1, now=0.0)
    assert fanout.held() == {1, 2}
    assert fanout.behind(3) == {A: 1}, "b has no room"
    fanout.acknowledge(B, 1)
    assert fanout.behind(3) == {A: 1, B: 2}, "a delta on frame 2 brings all that it missed"
    show(fanout, A, False)
    show(fanout, A, True)
    fanout.missed(B, -1)
    assert fanout.behind(2) == {A: None, B: None}, "a came back, and what b has is worth nothing to it"
    assert fanout.held() == {1}
