"""Delays of packets to what they say about the link's queue."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from framewire.rtc.estimate.delay import BASE_DELAY_WINDOW_S, DelayDetector, QueueingDelay

CLOCK = 5_000.0
"""The viewer's clock is ahead."""


def fed(delay: Callable[[int], float], packets: int = 300, every: float = 0.01) -> DelayDetector:
    """A detector after packets that took ``delay(index)`` seconds, ten to a feedback message."""
    detector = DelayDetector()
    for first in range(0, packets, 10):
        times = [index * every for index in range(first, first + 10)]
        detector.add([(t, t + CLOCK + delay(first + i)) for i, t in enumerate(times)], times[-1])
    return detector


def message(detector: DelayDetector, delays: Sequence[float], sent_at: float = 5.0, every: float = 0.01) -> None:
    """One more feedback message, about packets with these delays."""
    times = [sent_at + index * every for index in range(len(delays))]
    detector.add([(t, t + CLOCK + delay) for t, delay in zip(times, delays, strict=True)], sent_at)


def test_nothing_is_congested_before_the_first_feedback():
    detector, queue = DelayDetector(), QueueingDelay()
    assert not (detector.hidden_queue_revealed or detector.queue_filling or detector.suddenly_congested)
    assert (queue.seconds, queue.standing_s, queue.base_fell_s) == (0, 0, 0)


def test_a_constant_delay_is_normal_and_no_queue():
    detector = fed(lambda _: 0.02)
    assert detector.usage == "normal"
    assert detector.queue.seconds == detector.queue.standing_s == pytest.approx(0)
    assert detector.noise_s < 0.001


def test_a_growing_queue_is_overuse_and_a_shrinking_one_underuse():
    assert fed(lambda i: 0.02 + i * 0.002).usage == "overuse"
    assert fed(lambda i: 0.02 + (400 - i) * 0.002).usage == "underuse"


def test_jitter_is_no_overuse():
    noise = random.Random(3)
    assert fed(lambda _: 0.02 + noise.uniform(0, 0.01), packets=1000).usage == "normal"


def test_the_queue_is_the_shortest_wait_of_a_message():
    detector = fed(lambda _: 0.02)
    message(detector, [0.09, 0.07, 0.08])
    assert detector.queue.seconds == pytest.approx(0.05)
    assert detector.queue.of(CLOCK + 0.1) == pytest.approx(0.08)


def test_a_standing_queue_is_the_shortest_wait_of_two_messages():
    detector = fed(lambda _: 0.02)
    for delay, standing in ((0.07, 0.0), (0.09, 0.05), (0.04, 0.02), (0.02, 0.0)):
        message(detector, [delay] * 3)
        assert detector.queue.standing_s == pytest.approx(standing)


def test_noise_starts_at_five_milliseconds():
    detector = DelayDetector()
    assert detector.noise_s == 0.005
    message(detector, [0.02])
    assert detector.noise_s == 0.005, "one message differs from nothing"
    message(detector, [0.02])
    assert detector.noise_s == pytest.approx(0.005 * 15 / 16)
    message(detector, [0.03])
    assert detector.noise_s == pytest.approx(0.005 * (15 / 16) ** 2 + 0.01 / 16)
    message(detector, [0.02])
    assert detector.noise_s == pytest.approx((0.005 * (15 / 16) ** 2 + 0.01 / 16) * 15 / 16 + 0.01 / 16)


def test_the_margin_for_noise_is_twice_the_noise():
    assert DelayDetector().noise_margin_s == 0.01


def test_a_queue_counts_as_little_noise():
    detector = DelayDetector()
    message(detector, [0.02])
    message(detector, [1.0])
    assert detector.noise_s == pytest.approx(0.005 * 15 / 16 + 0.02 / 16)


def test_a_link_that_shrinks_suddenly_is_seen_in_one_message():
    detector = fed(lambda i: 0.02 if i < 290 else 0.1 + (i - 290) * 0.01)
    assert detector.suddenly_congested
    message(detector, [0.2] * 10)
    assert not detector.suddenly_congested, "long, but no longer than before"
    message(detector, [])
    assert not detector.suddenly_congested


@pytest.mark.parametrize(
    ("queue", "growth", "congested"),
    [(0.051, 0.021, True), (0.049, 0.021, False), (0.051, 0.019, False), (0.2, 0.019, False)],
)
def test_sudden_congestion_needs_a_long_queue_that_grows(queue: float, growth: float, congested: bool):
    detector = fed(lambda _: 0.02)
    message(detector, [0.02 + queue] * 4 + [0.02 + queue + growth] * 2)
    assert detector.suddenly_congested == congested


@pytest.mark.parametrize(
    ("queue", "growth", "filling"),
    [(0.011, 0.029, True), (0.009, 0.029, False), (0.011, 0.0245, False), (0.04, 0.0245, False)],
)
def test_a_filling_queue_needs_a_short_wait_and_a_steep_growth(queue: float, growth: float, filling: bool):
    detector = fed(lambda _: 0.02)
    message(detector, [0.02 + queue] * 4 + [0.02 + queue + growth] * 2)
    assert detector.queue_filling == filling
    assert not detector.suddenly_congested
    message(detector, [])
    assert not detector.queue_filling


def test_where_delays_vary_a_filling_queue_must_grow_more():
    noise = random.Random(5)
    detector = DelayDetector()
    for index in range(200):
        message(detector, [0.05 + noise.uniform(0, 0.02)], sent_at=index / 10)
    assert 0.005 < detector.noise_s < 0.01
    message(detector, [0.07] * 4 + [0.07 + 0.025 + 1.5 * detector.noise_s] * 2, sent_at=20.0)
    assert not detector.queue_filling
    message(detector, [0.07] * 4 + [0.07 + 0.026 + 2 * detector.noise_s] * 2, sent_at=20.1)
    assert detector.queue_filling


@pytest.mark.parametrize(("packets", "congested"), [(5, False), (6, True)])
def test_growth_needs_six_packets(packets: int, congested: bool):
    detector = fed(lambda _: 0.02)
    message(detector, [0.1 + 0.03 * index for index in range(packets)])
    assert detector.suddenly_congested == congested


@pytest.mark.parametrize(("every", "congested"), [(0.0001, False), (0.005, True)])
def test_growth_needs_thirty_milliseconds(every: float, congested: bool):
    detector = fed(lambda _: 0.02)
    delays = [0.1] * 4 + [0.1 + 0.0205] * 2
    message(detector, delays, every=every)
    assert detector.suddenly_congested == congested


@pytest.mark.parametrize("delays", [[0.1] * 5 + [0.145], [0.095] + [0.14] * 5])
def test_the_thirty_milliseconds_are_from_the_first_arrival_to_the_last(delays: list[float]):
    detector = fed(lambda _: 0.02)
    message(detector, delays, every=0.0001)
    assert detector.suddenly_congested


def test_growth_is_between_the_first_third_and_the_last():
    detector = fed(lambda _: 0.02)
    message(detector, [0.1, 0.1, 0.5, 0.5, 0.12, 0.119], every=0.1)
    assert not detector.suddenly_congested
    message(detector, [0.1, 0.1, 0.11, 0.11, 0.1, 0.19], sent_at=6.0, every=0.1)
    assert detector.suddenly_congested


def test_a_machine_that_stood_still_is_no_congestion():
    """All packets of the message waited long and arrived at one moment; or one packet did."""
    detector = fed(lambda i: 0.02 if i < 290 else 0.3 - (i - 290) * 0.01)
    assert detector.queue.seconds > 0.1 and not detector.suddenly_congested
    message(detector, [0.4])
    assert detector.queue.seconds > 0.3 and not detector.suddenly_congested


def test_what_a_probe_queued_is_not_compared():
    """A leap of the delay that is announced is no trend; the same leap unannounced is."""
    detectors = fed(lambda _: 0.02), fed(lambda _: 0.02)
    detectors[1].restart_grouping()
    for detector in detectors:
        message(detector, [0.08] * 12, sent_at=3.0)
    assert [detector.usage for detector in detectors] == ["overuse", "normal"]


def test_a_queue_that_begins_to_fill_is_seen_before_it_is_long():
    detector = fed(lambda i: 0.02 if i < 290 else 0.035 + (i - 290) * 0.006)
    assert detector.queue_filling and not detector.suddenly_congested
    assert not fed(lambda i: 0.02 + (i % 10) * 0.001).queue_filling, "a frame that waits for itself a little"


def test_a_longer_route_is_a_queue_until_the_old_base_delay_expires():
    queue = QueueingDelay()
    seen = {}
    for second in range(100):
        queue.add(0.1 if second < 10 else 0.3, float(second))
        seen[second] = queue.seconds
    assert seen[9] == pytest.approx(0)
    assert all(seen[second] == pytest.approx(0.2) for second in range(10, 32))
    assert all(seen[second] == pytest.approx(0) for second in range(32, 100)), "16 s, and as long again"
    assert BASE_DELAY_WINDOW_S == 15


def test_the_first_delay_lowers_no_base():
    queue = QueueingDelay()
    queue.add(0.3, 1.0)
    assert queue.base_fell_s == 0
    queue.add(0.1, 2.0)
    assert queue.base_fell_s == pytest.approx(0.2)
    queue.add(0.1, 3.0)
    assert queue.base_fell_s == 0
    queue.add(0.2, 4.0)
    assert queue.base_fell_s == 0


def test_the_base_falls_below_that_of_the_window_before():
    queue = QueueingDelay()
    queue.add(0.1, 1.0)
    queue.add(0.3, 17.0)
    queue.add(0.2, 18.0)
    assert queue.base_fell_s == 0, "shorter than in this window only"
    queue.add(0.05, 19.0)
    assert queue.base_fell_s == pytest.approx(0.05)


def test_a_path_that_turns_out_shorter_was_never_empty_before():
    """The first packets met a queue that others had filled; when it is gone, that shows."""
    detector = fed(lambda i: 0.15)
    assert detector.queue.seconds == pytest.approx(0) and not detector.hidden_queue_revealed
    message(detector, [0.02] * 10)
    assert detector.hidden_queue_revealed
    message(detector, [0.02] * 10, sent_at=6.0)
    assert not detector.hidden_queue_revealed, "that is known now"
    message(detector, [])
    assert not detector.hidden_queue_revealed


@pytest.mark.parametrize(("shorter", "revealed"), [(0.030, False), (0.035, True)])
def test_a_slightly_shorter_path_reveals_nothing(shorter: float, revealed: bool):
    detector = fed(lambda i: 0.15)
    message(detector, [0.15 - shorter] * 10)
    assert 0.001 < detector.noise_s < 0.0025
    assert detector.hidden_queue_revealed == revealed


def test_noise_reveals_nothing():
    noise = random.Random(5)
    detector = DelayDetector()
    for index in range(200):
        message(detector, [0.05 + noise.gauss(0, 0.01) for _ in range(10)], sent_at=index / 10)
        assert not detector.hidden_queue_revealed
