"""Rates over a window, and the interval of published frames."""

from __future__ import annotations

import pytest

from framewire.engine.stream.meter import INTERVAL_NEW_WEIGHT, MAX_INTERVAL_S, WINDOW_S, FrameMeter, Meter


def test_a_meter_counts_events_and_values() -> None:
    meter = Meter()
    for index in range(61):
        meter.add(index / 30, 1000 + index)
    assert meter.rate(2.0) == pytest.approx(30)
    assert meter.mean(2.0) == 1030
    assert meter.per_second(2.0) == 61 * 1030 / 2


def test_an_event_counts_once_unless_told_otherwise() -> None:
    meter = Meter()
    meter.add(0.0)
    assert meter.per_second(0.0) == 1 / WINDOW_S and meter.mean(0.0) == 1


def test_the_window_is_two_seconds() -> None:
    assert WINDOW_S == 2.0
    for ask in (Meter.per_second, Meter.mean):
        meter = Meter()
        meter.add(10.0, 8)
        assert ask(meter, 12.0) > 0
        assert ask(meter, 12.001) == 0
    meter = Meter()
    meter.add(10.0)
    meter.add(10.5)
    assert meter.rate(12.0) == 1.0
    assert meter.rate(12.1) == 0.0, "one event is no rate"


def test_a_window_is_cleared_as_events_come() -> None:
    meter = Meter()
    for index in range(1000):
        meter.add(index / 10)
    assert len(meter._events) == 21


def test_a_rate_is_right_from_the_second_event_on() -> None:
    meter = Meter()
    assert meter.rate(0.0) == 0
    meter.add(10.0)
    assert meter.rate(10.0) == 0
    meter.add(10.25)
    assert meter.rate(10.25) == 4
    assert meter.rate(10.85) == 4


def test_a_rate_falls_once_events_stop() -> None:
    meter = Meter()
    meter.add(10.0)
    meter.add(10.5)
    assert meter.rate(11.59) == 2, "two intervals and a tenth of a second may pass"
    assert meter.rate(11.61) == 1, "two events in two seconds"
    meter = Meter()
    meter.add(0.0)
    meter.add(0.5)
    assert meter.rate(1.6) == 2


def test_events_at_the_same_moment_have_no_rate_yet() -> None:
    meter = Meter()
    meter.add(1.0)
    meter.add(1.0)
    assert meter.rate(1.0) == 0
    assert meter.rate(1.11) == 1


def test_the_interval_is_that_of_all_published_frames() -> None:
    meter = FrameMeter()
    for number in range(0, 300, 3):
        meter.published(number, number * 10_000, number / 100)
    assert meter.interval_s == pytest.approx(0.01, rel=0.001)
    meter.published(297, 400 * 10_000, 4.0)
    assert meter.interval_s == pytest.approx(0.01, rel=0.001), "the same frame, looked at again"


def test_the_interval_follows_in_eighths() -> None:
    meter = FrameMeter()
    assert meter.interval_s == MAX_INTERVAL_S == 1.0
    meter.published(1, 0, 0.0)
    assert meter.interval_s == 1.0, "one frame is no interval"
    meter.published(2, 200_000, 0.2)
    assert meter.interval_s == pytest.approx(0.9) and INTERVAL_NEW_WEIGHT == 1 / 8
    meter.published(4, 400_000, 0.4)
    assert meter.interval_s == pytest.approx(0.9 - 0.1)


def test_a_pause_counts_as_one_second() -> None:
    meter = FrameMeter()
    meter.published(1, 0, 0.0)
    meter.published(2, 200_000, 0.2)
    meter.published(3, 3_600_000_000, 3600.0)
    assert meter.interval_s == pytest.approx(0.9 + 0.1 / 8)


def test_a_clock_that_was_set_back_counts_as_no_time() -> None:
    meter = FrameMeter()
    meter.published(1, 5_000_000, 0.0)
    meter.published(2, 1_000_000, 0.1)
    assert meter.interval_s == 7 / 8


def test_the_frame_rate_counts_each_frame_once() -> None:
    meter = FrameMeter()
    assert meter.fps(0.0) == 0
    for number in range(30):
        for _ in range(3):
            meter.published(number, 0, number / 30)
    assert meter.fps(29 / 30) == pytest.approx(30)


def test_frames_between_two_looks_are_counted() -> None:
    meter = FrameMeter()
    for look in range(21):
        meter.published(50 * look, 0, look / 10)
    assert meter.fps(2.0) == (1 + 20 * 50) / 2
    few = FrameMeter()
    for look in range(21):
        few.published(look + look // 3, 0, look / 10)
    assert few.fps(2.0) == pytest.approx(10), "now and then one unseen: looks are a measure of time"
    many = FrameMeter()
    for look in range(21):
        many.published(look * 2, 0, look / 10)
    assert many.fps(2.0) == (1 + 20 * 2) / 2
    just = FrameMeter()
    just.published(1, 0, 0.0)
    just.published(3, 0, 0.5)
    assert just.fps(0.5) == 2, "1.5 frames for each look are few enough"


def test_frame_numbers_may_wrap() -> None:
    meter = FrameMeter()
    meter.published(0xFFFFFFFF, 0, 0.0)
    meter.published(0, 20_000, 0.02)
    assert meter.fps(0.02) == pytest.approx(50)
    assert meter.interval_s == pytest.approx(1 - 0.98 / 8)


def test_numbers_that_start_anew_are_no_flood() -> None:
    meter = FrameMeter()
    meter.published(5000, 0, 0.0)
    meter.published(3, 0, 0.5)
    assert meter.fps(0.5) == (1 + 1000) / 2
    meter = FrameMeter()
    meter.published(0, 0, 0.0)
    meter.published(0x80000001, 0, 0.5)
    assert meter.fps(0.5) == (1 + 1000) / 2
