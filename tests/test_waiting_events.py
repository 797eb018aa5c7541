"""Events that wait are bounded in number and memory, and whatever is dropped, what goes down comes up."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framewire import waiting_events as module
from framewire import wire
from framewire.waiting_events import BYTES_PER_EVENT, Dropped, WaitingEvents, fair_share, merged, size_of


@dataclass(frozen=True)
class Item:
    client_id: str
    event: dict[str, Any]


def item(kind: str, client_id: str = "v", **fields: Any) -> Item:
    return Item(client_id, {"type": kind, **fields})


def waiting(size: int, dropped: Dropped | None = None, *, merging: bool = False) -> WaitingEvents[Item]:
    return WaitingEvents(
        size, dropped or Dropped(), replace=replace, source=lambda each: each.client_id, merging=merging
    )


def put(events: WaitingEvents[Item], *items: Item) -> WaitingEvents[Item]:
    for each in items:
        events.put(each)
    return events


def kinds(items: list[Item]) -> list[str]:
    return [each.event["type"] for each in items]


def chars(*numbers: int, client_id: str = "v") -> list[Item]:
    return [item("char", client_id, data=str(number)) for number in numbers]


# Sizes


def largest(kind: str) -> dict[str, Any]:
    fields: dict[str, Any] = {"x": 0.5, "y": 1.5, "width": 2.5, "height": 3.5, "pixel_ratio": 4.5, "inside": True}
    touches = {f"{number:016}": {"x": number + 0.5, "y": number + 0.25, "pressure": 0.125} for number in range(32)}
    all_fields = {**fields, "button": 32, "buttons": [32] * 32, "modifiers": ["Control"] * 8, "ntouches": 32,
                  "touches": touches, "dx": 5.5, "dy": 6.5, "key": "\U0001f600" * 64, "code": "\U0001f600" * 64,
                  "data": "\U0001f600" * 256, "input_type": "\U0001f600" * 64, "is_composing": True, "repeat": True,
                  "pwidth": 65_535, "pheight": 65_535, "ratio": 7.5}  # fmt: skip
    needed, possible = wire.EVENT_FIELDS[kind]  # type: ignore[index]
    event = {"type": kind, "timestamp": 1e9 + 0.5, **{name: all_fields[name] for name in needed | possible}}
    text = msgspec.json.encode({"type": "input", "sub": 1, "event": event})
    message = wire.decode_viewer(text)
    assert isinstance(message, wire.Input)
    return msgspec.msgpack.decode(msgspec.msgpack.encode(wire.event_dict(message.event)))  # type: ignore[no-any-return]


def memory(value: Any, seen: set[int]) -> int:
    """Bytes of memory: of each object once."""
    if id(value) in seen:
        return 0
    seen.add(id(value))
    parts = [*value.keys(), *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return sys.getsizeof(value) + sum(memory(part, seen) for part in parts)


@pytest.mark.parametrize("kind", ["pointer_down", "wheel", "key_down", "char", "resize", "show"])
def test_the_size_of_an_event_is_about_its_memory_and_rather_more(kind: str) -> None:
    event = largest(kind)
    assert memory(event, set()) <= size_of(event) <= 3 * memory(event, set())
    bare = {"type": kind, "timestamp": 1.5}
    assert memory(bare, set()) <= size_of(bare)


def test_sizes_to_the_byte() -> None:
    assert size_of({"type": "show"}) == 400
    assert size_of({"type": "x", "key": "ab", "code": "c", "data": "defg", "input_type": "h"}) == 800 + 8 * 4
    assert size_of({"type": "x", "buttons": [1], "modifiers": ["Alt", "Meta"], "touches": {"1": {}}}) == 700 + 192 + 400


def test_the_largest_events_are_fewer() -> None:
    assert BYTES_PER_EVENT == 2048
    event = largest("pointer_move")
    assert 7 * BYTES_PER_EVENT < size_of(event) < 9 * BYTES_PER_EVENT
    events = waiting(100)
    for number in range(200):
        events.put(item(**{"kind": "double_click"}, **{k: v for k, v in event.items() if k != "type"}, n=number))
        assert events.bytes <= 100 * BYTES_PER_EVENT
    assert 10 <= len(events) <= 100 // 7 and events.take()[-1].event["n"] == 199


# Two become one


@pytest.mark.parametrize("kind", ["pointer_move", "resize"])
def test_of_two_moves_the_later_one_is_enough(kind: str) -> None:
    first, second = {"type": kind, "x": 1, "buttons": [1]}, {"type": kind, "x": 2, "buttons": [1]}
    assert merged(first, second) is second


def test_turns_of_the_wheel_add_up() -> None:
    first = {"type": "wheel", "x": 1, "dx": 1.5, "dy": -100}
    assert merged(first, {"type": "wheel", "x": 2, "dx": 2.0, "dy": -50.0}) == {
        "type": "wheel", "x": 2, "dx": 3.5, "dy": -150.0,
    }  # fmt: skip
    assert merged(first, {"type": "wheel"}) == {"type": "wheel", "dx": 1.5, "dy": -100}
    assert merged({"type": "wheel"}, first) == first
    assert first["dx"] == 1.5, "as it was"


@pytest.mark.parametrize("name", ["dx", "dy"])
@pytest.mark.parametrize("sign", [1, -1])
def test_turns_of_the_wheel_stay_finite_as_the_contract_says(name: str, sign: int) -> None:
    far = {"type": "wheel", "x": 1, name: sign * sys.float_info.max}
    assert merged(far, far) is None
    assert merged(far, {"type": "wheel", "x": 1, name: -sign}) is not None


@pytest.mark.parametrize("more", [{"buttons": [1]}, {"modifiers": ["Alt"]}, {"ntouches": 1}, {"type": "wheel"}])
def test_moves_with_other_buttons_keys_or_fingers_are_two(more: dict[str, Any]) -> None:
    move = {"type": "pointer_move", "buttons": [], "modifiers": [], "ntouches": 0}
    assert merged(move, {**move, **more}) is None and merged(move, {**move, "x": 5}) is not None


@pytest.mark.parametrize("kind", sorted(wire.EVENT_FIELDS.keys() - {"pointer_move", "resize", "wheel"}))
def test_other_events_are_each_of_their_own(kind: str) -> None:
    assert merged({"type": kind}, {"type": kind}) is None


def test_merging_is_with_the_viewers_own_last_event_and_goes_to_the_end() -> None:
    events = put(
        waiting(9, merging=True),
        item("pointer_move", x=1), item("char", "other", data="a"), item("pointer_move", x=2), item("wheel", dy=1),
        item("pointer_move", x=3), item("wheel", "other", dy=5), item("pointer_move", x=4),
    )  # fmt: skip
    assert [(each.client_id, each.event.get("x", each.event.get("dy"))) for each in events.take()] == [
        ("other", None), ("v", 2), ("v", 1), ("other", 5), ("v", 4),
    ]  # fmt: skip


def test_merged_wheels_keep_their_sum_and_their_sender() -> None:
    dropped = Dropped()
    events = put(waiting(9, dropped, merging=True), *[item("wheel", dy=number) for number in range(1, 5)])
    assert events.bytes == size_of({"type": "wheel", "dx": 0, "dy": 0})
    assert events.take() == [item("wheel", dy=10, dx=0)] and dropped.count == 0
    put(events, item("wheel", dy=1))
    assert events.take() == [item("wheel", dy=1)], "what was taken is not merged with"


def test_without_merging_all_are_kept_while_there_is_room() -> None:
    events = put(waiting(3), *[item("pointer_move", x=x) for x in range(3)])
    assert [each.event["x"] for each in events.take()] == [0, 1, 2]


# Too many


def test_the_oldest_go_and_an_eighth_is_made_free() -> None:
    dropped = Dropped()
    events = put(waiting(16, dropped), *chars(*range(16)))
    assert (len(events), dropped.count) == (16, 0)
    put(events, *chars(16))
    assert [each.event["data"] for each in events.take()] == [str(number) for number in range(3, 17)]
    assert dropped.count == 3 and (len(events), events.bytes) == (0, 0)


def test_more_viewers_than_room_lose_no_more_than_is_needed() -> None:
    events = put(waiting(8), *[item("char", str(number), data="a") for number in range(9)])
    assert [each.client_id for each in events.take()] == [str(number) for number in range(2, 9)]
    large = [item("char", str(number), data="x" * 3000) for number in range(3)]
    assert put(waiting(8), *large).take() == large[2:]


def test_viewers_that_have_gone_are_forgotten() -> None:
    events = waiting(8, merging=True)
    for number in range(1000):
        events.put(item("char", str(number), data="a"))
    assert 0 < len(events._newest) <= 8
    events.take(2)
    assert events._newest
    events.take()
    assert not events._newest


def test_a_queue_may_be_full_to_the_byte() -> None:
    dropped = Dropped()
    size = size_of({"type": "char", "data": ""})
    text = "x" * ((BYTES_PER_EVENT - size) // 4)
    events = put(waiting(8, dropped), *[item("char", data=text)] * 8)
    assert (len(events), events.bytes, dropped.count) == (8, 8 * BYTES_PER_EVENT, 0)


def test_some_may_be_taken() -> None:
    events = put(waiting(9), *chars(0, 1, 2, 3))
    assert [events.take(1), events.take(2), events.take(5), events.take()] == [
        chars(0), chars(1, 2), chars(3), [],
    ]  # fmt: skip


def test_moves_become_one_before_anything_is_dropped() -> None:
    dropped = Dropped()
    events = put(waiting(4, dropped), item("wheel", dy=1), item("wheel", dy=2), *chars(0, 1), item("pointer_move"))
    assert events.take() == [item("wheel", dy=3, dx=0), *chars(0, 1), item("pointer_move")] and dropped.count == 0


def test_first_goes_where_pointers_were_then_what_passes_and_pairs_only_then() -> None:
    events = put(
        waiting(7),
        item("key_down", key="a", code="A"), item("key_up", key="a", code="A"), *chars(0), item("pointer_enter"),
        item("resize"), item("pointer_leave"), item("double_click"), item("key_down", key="b"),
    )  # fmt: skip
    assert kinds(events.take()) == ["key_down", "key_up", "char", "resize", "pointer_leave", "double_click", "key_down"]
    events = put(waiting(4), item("pointer_down", button=1), item("resize"), item("pointer_up", button=1), *chars(0, 1))
    assert kinds(events.take()) == ["pointer_down", "pointer_up", "char", "char"]


def test_what_went_down_goes_with_what_came_up() -> None:
    dropped = Dropped()
    held = [item("key_up", key="held"), item("key_down", key="stays")]
    pairs = [item(kind, key=key) for key in "abc" for kind in ("key_down", "key_up")]
    events = put(waiting(7, dropped), *held, *pairs)
    assert [(each.event["type"], each.event["key"]) for each in events.take()] == [
        ("key_up", "held"), ("key_down", "stays"), *[(each.event["type"], each.event["key"]) for each in pairs[2:]],
    ]  # fmt: skip
    assert dropped.count == 2


def test_fingers_that_go_down_with_one_button_come_up_as_often() -> None:
    down, up = item("pointer_down", button=1), item("pointer_up", button=1)
    assert kinds(put(waiting(3), down, down, up, up).take()) == ["pointer_down", "pointer_up"]


def test_what_went_down_unseen_comes_up_unseen() -> None:
    dropped = Dropped()
    events = put(waiting(1, dropped), item("key_down", key="a"), item("key_down", key="b"))
    assert events.take() == [item("key_down", key="b")] and dropped.count == 1
    events = put(waiting(1, dropped), item("key_up", key="a"), item("key_up", "other", key="a"))
    assert events.take() == [item("key_up", "other", key="a")] and dropped.count == 2
    assert put(events, item("key_up", key="a")).take() == [item("key_up", key="a")], "it came up once"


def test_what_comes_up_is_dropped_last() -> None:
    dropped = Dropped()
    ups = [item("key_up", key=key) for key in "abc"]
    assert put(waiting(3, dropped), item("key_down", key="d"), *ups).take() == ups
    assert put(waiting(2, dropped), *ups).take() == ups[1:], "but what waits is bounded in any case"
    assert dropped.count == 2


def test_what_went_down_unseen_is_not_remembered_without_end() -> None:
    assert module.MAX_DROPPED_DOWNS == 1024
    dropped = Dropped()
    for number in range(1026):
        dropped.add("v", {"type": "key_down", "key": "k", "code": str(number)})
    came_up = [dropped.takes("v", {"type": "key_up", "key": "k", "code": str(number)}) for number in range(1026)]
    assert came_up == [False, False, *[True] * 1024] and dropped.count == 1026 + 1024


def test_a_key_without_a_place_is_known_by_its_name() -> None:
    dropped = Dropped()
    dropped.add("v", {"type": "key_down", "key": "a", "code": ""})
    dropped.add("v", {"type": "pointer_move", "button": 0})
    assert not dropped.takes("v", {"type": "pointer_up", "button": 0})
    assert not dropped.takes("v", {"type": "key_down", "key": "a"})
    assert not dropped.takes("w", {"type": "key_up", "key": "a"})
    assert dropped.takes("v", {"type": "key_up", "key": "a"})


def test_a_buffer_of_none_keeps_none() -> None:
    dropped = Dropped()
    events = put(waiting(0, dropped), item("key_down", key="a"), item("key_up", key="a"), *chars(1))
    assert events.take() == [] and dropped.count == 3


# Fairness


@pytest.mark.parametrize(("amounts", "total", "share"), [
    ([], 5, float("inf")), ([3], 3, float("inf")), ([3], 2, 2), ([1, 9], 6, 5), ([9, 1, 9], 7, 3), ([4, 4], 4, 2),
    ([2, 2], 4, float("inf")), ([1, 2, 30, 40], 23, 10),
])  # fmt: skip
def test_shares_are_fair(amounts: list[float], total: float, share: float) -> None:
    assert fair_share(amounts, total) == share


@given(st.lists(st.integers(0, 100), min_size=1), st.integers(0, 500))
def test_shares_fill_the_whole_and_no_more(amounts: list[int], total: int) -> None:
    share = fair_share(amounts, total)
    kept = sum(min(amount, share) for amount in amounts)
    assert kept <= total + 1e-6 and (sum(amounts) <= total or abs(kept - total) < 1e-6)


def test_a_viewer_that_floods_costs_no_other_an_event() -> None:
    events = waiting(64)
    for number in range(2000):
        events.put(item("key_up", "flood", key=str(number)))
        if number % 100 == 0:
            events.put(item("char", "quiet", data=str(number)))
    taken = events.take()
    assert [each.event["data"] for each in taken if each.client_id == "quiet"] == [str(n) for n in range(0, 2000, 100)]
    assert len(taken) <= 64 and taken[-1].event == {"type": "key_up", "key": "1999"}


def test_a_viewer_with_large_events_costs_no_other_an_event() -> None:
    events = waiting(64)
    for number in range(200):
        events.put(item("char", "large", data="x" * 5000))
        if number < 20:
            events.put(item("char", "quiet", data=str(number)))
    taken = Counter(each.client_id for each in events.take())
    assert taken["quiet"] == 20 and 2 <= taken["large"] <= 5


# The law


steps = st.lists(
    st.tuples(
        st.sampled_from(["v", "w"]),
        st.sampled_from(["key_down", "key_up", "pointer_move", "wheel", "char", "poll"]),
        st.sampled_from(["a", "b", "c"]),
    ),
    max_size=200,
)


class Hands:
    """Viewers' keys, of which each comes up after it went down, and what a program sees of them."""

    def __init__(self, size: int, *, merging: bool) -> None:
        self.size, self.merging = size, merging
        self.dropped = Dropped()
        self.events = waiting(size, self.dropped, merging=merging)
        self.down: set[tuple[str, str]] = set()
        self.sent = 0
        self.seen: list[Item] = []

    def send(self, viewer: str, kind: str, key: str) -> None:
        self.sent += 1
        self.events.put(item(kind, viewer, **{"key": key} if kind.startswith("key") else {"dx": 0, "dy": 1}))
        assert len(self.events) <= self.size and self.events.bytes <= self.size * BYTES_PER_EVENT

    def play(self, viewer: str, what: str, key: str) -> None:
        if what == "poll":
            self.seen += self.events.take()
            self.events = waiting(self.size, self.dropped, merging=self.merging)
        elif not what.startswith("key"):
            self.send(viewer, what, key)
        elif ((viewer, key) in self.down) == (what == "key_up"):
            self.down ^= {(viewer, key)}
            self.send(viewer, what, key)

    def let_go(self) -> None:
        for viewer, key in sorted(self.down):
            self.play(viewer, "key_up", key)
        self.play("", "poll", "")


@given(steps, st.sampled_from([16, 24, 40]), st.booleans())
def test_whatever_is_dropped_what_goes_down_comes_up(
    steps: list[tuple[str, str, str]], size: int, merging: bool
) -> None:
    hands = Hands(size, merging=merging)
    for step in steps:
        hands.play(*step)
    hands.let_go()
    for held in [(viewer, key) for viewer in "vw" for key in "abc"]:
        changes = [each.event["type"] for each in hands.seen if (each.client_id, each.event.get("key")) == held]
        assert changes == ["key_down", "key_up"] * (len(changes) // 2), held
    assert len(hands.seen) + hands.dropped.count <= hands.sent
    if not hands.dropped.count:
        turns = sum(each.event["dy"] for each in hands.seen if each.event["type"] == "wheel")
        assert turns == sum(what == "wheel" for _, what, _ in steps)
