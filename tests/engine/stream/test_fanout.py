"""Who gets a unit, and who waits for a keyframe."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from framewire.engine.stream.fanout import CREDITS, Fanout


def joined(*keys: str, credited: bool = True) -> Fanout[str]:
    fanout: Fanout[str] = Fanout()
    for key in keys:
        fanout.add(key, credited=credited)
    return fanout


def test_a_newcomer_gets_no_delta_before_its_keyframe() -> None:
    fanout = joined("a")
    assert fanout.wants_keyframe and not fanout.follows
    assert fanout.route(1, keyframe=False) == []
    assert fanout.route(2, keyframe=True) == ["a"]
    assert fanout.follows and not fanout.wants_keyframe
    assert fanout.route(3, keyframe=False) == ["a"]


def test_without_credit_a_viewer_is_skipped_until_the_next_keyframe() -> None:
    fanout = joined("slow", "fast")
    for number in range(CREDITS):
        assert fanout.route(number, keyframe=number == 0) == ["slow", "fast"]
        fanout.acknowledge("fast", number)
    assert fanout.route(10, keyframe=False) == ["fast"]
    fanout.acknowledge("slow", 0)
    assert fanout.route(11, keyframe=False) == ["fast"], "it has room again, but it missed a reference"
    assert fanout.wants_keyframe
    assert fanout.route(12, keyframe=True) == ["slow"], "the fast one has two on the way by now"


def test_nobody_without_room_asks_for_a_keyframe() -> None:
    fanout = joined("a")
    fanout.route(1, keyframe=True)
    fanout.route(2, keyframe=True)
    fanout.wait("a")
    assert not fanout.wants_keyframe, "it could not take one"
    fanout.acknowledge("a", 1)
    assert fanout.wants_keyframe


def test_a_peer_counts_its_own_room() -> None:
    fanout = joined("peer", credited=False)
    assert all(fanout.route(n, keyframe=n == 0) == ["peer"] for n in range(50))


def test_a_hidden_view_costs_nothing_and_comes_back_with_a_keyframe() -> None:
    fanout = joined("a")
    fanout.route(1, keyframe=True)
    fanout.show("a", False)
    assert not fanout.wants(2) and fanout.route(2, keyframe=True) == []
    fanout.show("a", True)
    assert fanout.wants_keyframe and fanout.wants(2)
    assert fanout.route(3, keyframe=True) == ["a"]


def test_a_unit_that_did_not_leave_gives_its_credit_back() -> None:
    fanout = joined("a")
    fanout.route(1, keyframe=True)
    fanout.missed("a", 1)
    assert fanout.wants(1) and fanout.wants_keyframe
    assert [fanout.route(n, keyframe=True) for n in range(2, 2 + CREDITS)] == [["a"]] * CREDITS


def test_credits_of_others_and_of_units_never_sent_are_ignored() -> None:
    fanout = joined("a")
    for number in range(CREDITS):
        fanout.route(number, keyframe=True)
    fanout.acknowledge("a", 99)
    fanout.acknowledge("nobody", 0)
    assert fanout.route(9, keyframe=True) == []


def test_a_subscriber_that_is_choked_takes_nothing_until_it_asks() -> None:
    fanout = joined("a")
    fanout.route(1, keyframe=True)
    fanout.missed("a", 1)
    fanout.choke("a")
    fanout.choke("nobody")
    assert not fanout.wants_keyframe and not fanout.wants(2)
    assert fanout.route(2, keyframe=True) == []
    fanout.wait("a")
    assert fanout.wants_keyframe
    assert fanout.route(3, keyframe=True) == ["a"]


@given(st.lists(st.tuples(st.sampled_from(["route", "key", "ack", "hide", "show", "miss"]), st.integers(0, 5))))
def test_no_viewer_ever_gets_a_delta_whose_reference_it_missed(steps: list[tuple[str, int]]) -> None:
    fanout = joined("a", "b")
    number, made, got = 0, 0, {"a": 0, "b": 0}
    under_way: dict[str, list[int]] = {"a": [], "b": []}
    for step, n in steps:
        who = "ab"[n % 2]
        if step in ("route", "key"):
            number += 1
            takers = fanout.route(number, keyframe=step == "key")
            for taker in takers:
                assert step == "key" or got[taker] == made, "the unit before reached this viewer too"
                got[taker] = number
                under_way[taker].append(number)
                assert len(under_way[taker]) <= CREDITS
            made = number
        elif step == "ack" and under_way[who]:
            fanout.acknowledge(who, under_way[who].pop(0))
        elif step == "miss" and under_way[who]:
            last = under_way[who].pop()
            fanout.missed(who, last)
            got[who] = -1
        elif step in ("hide", "show"):
            fanout.show(who, step == "show")


def test_who_is_behind_and_what_each_of_them_has() -> None:
    fanout = joined("a", "b", "hidden")
    fanout.show("hidden", False)
    assert fanout.behind(1) == {"a": None, "b": None}
    fanout.took("a", 1)
    assert fanout.behind(1) == {"b": None}, "a has it"
    fanout.took("b", 1)
    fanout.took("b", 2)
    assert fanout.behind(3) == {"a": 1}, "b has no room"
    fanout.acknowledge("b", 1)
    assert fanout.behind(3) == {"a": 1, "b": 2}, "it missed nothing that a delta on frame 2 would not bring"
    fanout.show("a", False)
    fanout.show("a", True)
    fanout.missed("b", -1)
    assert fanout.behind(2) == {"a": None, "b": None}, "a came back, and what b has is worth nothing to it"
