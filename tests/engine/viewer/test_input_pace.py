"""A viewer's events go on as fast as hands can make them, and what is faster waits and is merged."""

from __future__ import annotations

from typing import Any

import pytest

from framewire.engine.viewer import input_pace as module
from framewire.engine.viewer.input_pace import InputPace, ViewerInput


def event(kind: str, number: int, stream: int = 1, **fields: Any) -> ViewerInput:
    return ViewerInput(stream, "ada", {"type": kind, "n": number, **fields})


def flood(pace: InputPace, count: int, now: float, kind: str = "char") -> list[int]:
    """The numbers of what goes on at once."""
    return [each.event["n"] for number in range(count) for each in pace.put(event(kind, number), now)]


def test_a_burst_goes_on_at_once() -> None:
    pace = InputPace()
    assert module.INPUT_BURST_EVENTS == 1000 and flood(pace, 1000, 5.0) == list(range(1000))
    assert pace.delay(5.0) is None and flood(pace, 1, 5.0) == []
    assert pace.delay(5.0) == pytest.approx(1 / 250)


def test_what_waits_goes_on_in_order_before_what_comes_later() -> None:
    pace = InputPace()
    flood(pace, 1000, 0.0)
    for number in range(3):
        assert pace.put(event("char", number), 0.0) == []
    assert [each.event["n"] for each in pace.due(2 / 250)] == [0, 1]
    assert [each.event["n"] for each in pace.put(event("char", 3), 4 / 250)] == [2, 3]
    assert pace.due(1.0) == [] and pace.delay(1.0) is None
    assert pace.put(event("char", 4), 1.0) == [event("char", 4)]


def test_what_waits_takes_no_more_of_the_pace_than_it_is() -> None:
    pace = InputPace()
    flood(pace, 1001, 0.0)
    assert len(pace.due(1.0)) == 1 and len(flood(pace, 300, 1.0)) == 249


def test_a_flood_goes_on_at_the_pace_of_hands() -> None:
    assert (module.INPUT_EVENTS_PER_S, module.MAX_PACED_EVENTS) == (250, 256)
    pace, passed = InputPace(), 0
    for step in range(2000):  # ten seconds of 20,000 events a second
        passed += len(flood(pace, 100, step / 200))
        assert len(pace._waiting) <= 256
    assert 1000 + 10 * 250 - 2 <= passed <= 1000 + 10 * 250


def test_moves_that_wait_are_one_for_each_stream() -> None:
    pace = InputPace()
    flood(pace, 1000, 0.0)
    for number in range(50):
        pace.put(event("pointer_move", number, stream=number % 2), 0.0)
        pace.put(event("wheel", number, stream=2, dy=1, dx=0), 0.0)
    assert pace.rest() == [
        event("pointer_move", 48, 0),
        event("pointer_move", 49, 1),
        event("wheel", 49, 2, dy=50, dx=0),
    ]
    assert pace.rest() == [] and pace.delay(0.0) is None


def test_a_flood_of_one_key_lets_no_other_key_down_for_good() -> None:
    pace = InputPace()
    seen = pace.put(event("key_down", 0, key="Shift"), 0.0)
    for number in range(20_000):
        seen += pace.put(event("key_down" if number % 2 else "key_up", number, key="a"), number / 10_000)
    seen += pace.put(event("key_up", 0, key="Shift"), 2.0)
    seen += pace.rest()
    assert [each.event["type"] for each in seen if each.event["key"] == "Shift"] == ["key_down", "key_up"]
