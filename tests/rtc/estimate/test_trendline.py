"""Arrival times to a verdict on the queue."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from framewire.rtc.estimate.trendline import (
    BASE_SPAN,
    HIGHEST,
    LOWEST,
    DelayDetector,
    Detector,
    Groups,
    Queue,
    Trendline,
)

CLOCK = 5_000.0
"""The viewer's clock is ahead."""


def fed(delay: Callable[[int], float], packets: int = 300, every: float = 0.01) -> DelayDetector:
    """A monitor after packets that were ``delay(index)`` seconds under way, ten to a feedback message."""
    monitor = DelayDetector()
    for first in range(0, packets, 10):
        times = [index * every for index in range(first, first + 10)]
        batch = [(t, t + CLOCK + delay(first + i)) for i, t in enumerate(times)]
        monitor.add(batch, times[-1])
    return monitor


def test_a_still_queue_is_normal():
    monitor = fed(lambda _: 0.02)
    assert monitor.usage == "normal"
    assert monitor.queue == pytest.approx(0)


def test_a_growing_queue_is_overuse_and_a_shrinking_one_underuse():
    assert fed(lambda i: 0.02 + i * 0.002).usage == "overuse"
    assert fed(lambda i: 0.02 + (400 - i) * 0.002).usage == "underuse"


def test_jitter_is_no_overuse():
    noise = random.Random(3)
    assert fed(lambda _: 0.02 + noise.uniform(0, 0.01), packets=1000).usage == "normal"


def test_the_queue_is_what_the_luckiest_packet_waits():
    noise = random.Random(3)
    monitor = fed(lambda i: 0.02 + (0.05 if i >= 200 else 0) + noise.uniform(0, 0.01))
    assert monitor.queue == pytest.approx(0.05, abs=0.01)


def test_a_link_that_shrinks_at_one_blow_is_seen_in_one_message():
    monitor = fed(lambda i: 0.02 if i < 290 else 0.1 + (i - 290) * 0.01)
    assert monitor.flooded
    monitor.add([(5.0 + i / 100, 5.0 + i / 100 + CLOCK + 0.2) for i in range(10)], 5.1)
    assert not monitor.flooded, "long, but no longer than before"


def test_a_machine_that_stood_still_is_no_flood():
    """All of the message waited long, and arrived within a moment; or one packet did."""
    monitor = fed(lambda i: 0.02 if i < 290 else 0.3 - (i - 290) * 0.01)
    assert monitor.queue > 0.1 and not monitor.flooded
    monitor.add([(5.0, 5.0 + CLOCK + 0.4)], 5.1)
    assert monitor.queue > 0.3 and not monitor.flooded


def test_what_a_probe_queued_is_skipped():
    """A leap of the delay that is announced is no trend; the same leap unannounced is."""
    monitors = fed(lambda _: 0.02), fed(lambda _: 0.02)
    monitors[1].skip()
    for monitor in monitors:
        monitor.add([(3 + i * 0.01, 3 + i * 0.01 + CLOCK + 0.08) for i in range(12)], 3.1)
    assert [monitor.usage for monitor in monitors] == ["overuse", "normal"]


def test_packets_of_one_burst_are_one_group():
    groups = Groups()
    steps = [groups.add(sent, sent + 1) for sent in (0.0, 0.002, 0.004, 0.033, 0.034, 0.066)]
    assert steps[:5] == [None] * 5
    assert steps[5] == pytest.approx((0.030, 0.030, 1.034))


def test_packets_that_were_held_back_and_let_go_are_one_group():
    groups = Groups()
    arrivals = [(0.0, 1.0), (0.02, 1.02), (0.04, 1.10), (0.06, 1.101), (0.08, 1.102), (0.10, 1.12)]
    steps = [step for sent, arrived in arrivals if (step := groups.add(sent, arrived))]
    assert len(steps) == 2, "three packets let go at once give one step"


def test_a_packet_from_before_the_group_is_ignored():
    groups = Groups()
    assert [groups.add(*times) for times in ((1.0, 2.0), (0.9, 2.1))] == [None, None]


def test_a_trend_needs_a_full_window():
    line = Trendline()
    assert [line.add(0.001, index * 0.01) for index in range(19)] == [None] * 19
    trend = line.add(0.001, 0.19)
    assert trend is not None and trend > 0


def test_the_threshold_adapts_within_bounds():
    calm, wild = Detector(), Detector()
    for index in range(20_000):
        calm.add(0.0, 0.01, index * 0.01)
        wild.add(wild.threshold + 10, 0.01, index * 0.01)
    assert calm.threshold == LOWEST
    assert wild.threshold == HIGHEST


def test_a_leap_does_not_move_the_threshold():
    detector = Detector()
    for index in range(100):
        detector.add(400.0, 0.01, index * 0.01)
    assert detector.threshold == 12.5


def test_the_shortest_way_is_forgotten_when_the_route_changes():
    queue = Queue()
    for second in range(100):
        queue.add(0.1 if second < 10 else 0.3, float(second))
        if second == 11:
            assert queue.seconds == pytest.approx(0.2)
    assert 99 > 10 + 2 * BASE_SPAN
    assert queue.seconds == pytest.approx(0)


def test_a_way_that_turns_out_shorter_was_never_empty_before():
    """The first packets met a queue that somebody else had filled; when it is gone, that shows."""
    monitor = fed(lambda i: 0.15)
    assert monitor.queue == pytest.approx(0) and not monitor.revealed
    monitor.add([(3 + i / 100, 3 + i / 100 + CLOCK + 0.02) for i in range(10)], 3.1)
    assert monitor.revealed
    monitor.add([(4 + i / 100, 4 + i / 100 + CLOCK + 0.02) for i in range(10)], 4.1)
    assert not monitor.revealed, "that is known now"


def test_noise_reveals_nothing():
    noise = random.Random(5)
    monitor = DelayDetector()
    for message in range(200):
        times = [message / 10 + i / 100 for i in range(10)]
        monitor.add([(t, t + CLOCK + 0.05 + noise.gauss(0, 0.01)) for t in times], times[-1])
        assert not monitor.revealed


def test_a_queue_that_begins_to_fill_is_seen_before_it_is_long():
    monitor = fed(lambda i: 0.02 if i < 290 else 0.035 + (i - 290) * 0.006)
    assert monitor.fills and not monitor.flooded
    assert not fed(lambda i: 0.02 + (i % 10) * 0.001).fills, "a frame that waits for itself a little"
