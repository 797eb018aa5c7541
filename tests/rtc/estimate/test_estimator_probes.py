"""The estimator and probes: when it sends one, and what it makes of its packets."""

from __future__ import annotations

import pytest

from framewire.rtc.estimate.estimator import BandwidthEstimator
from framewire.rtc.rtp.twcc import PacketResult
from tests.rtc.estimate.feed import Feed, M


def test_nothing_is_probed_before_the_first_feedback():
    estimator = BandwidthEstimator()
    estimator.sent(1200, 1.0)
    assert estimator.next_probe(1.1) is None
    estimator.feed([PacketResult(1, 1.0, 1200, 71.0, None, late=False)], 1.1)
    assert estimator.next_probe(1.1) is not None


def test_probes_search_for_half_more_than_the_streams_can_use():
    for useful, start, probed in ((20 * M, 29 * M, True), (20 * M, 31 * M, False), (2 * M, 3.1 * M, False)):
        feed = Feed(start)
        if useful != 20 * M:
            feed.estimator.useful_bps = useful
        feed.message()
        assert (feed.estimator.next_probe(feed.now) is not None) == probed, start


@pytest.mark.parametrize(("lost", "probed"), [(2, True), (3, False)])
def test_no_probe_is_sent_where_a_quarter_is_lost(lost: int, probed: bool):
    feed = Feed()
    feed.run(20, lost=lost)
    assert feed.estimator.queueing_delay_s == pytest.approx(0), "a radio link, and no queue"
    assert feed.estimator.loss_fraction == pytest.approx(lost / 10)
    assert (feed.estimator.next_probe(feed.now) is not None) == probed


@pytest.mark.parametrize(("queue", "probed"), [(0.025, True), (0.05, False)])
def test_no_probe_is_sent_into_a_queue(queue: float, probed: bool):
    feed = Feed()
    for step in range(80):
        feed.message(0.05 + queue * step / 80)
    feed.run(2, delay=0.05 + queue)
    assert feed.estimator.queueing_delay_s == pytest.approx(queue)
    assert (feed.estimator.next_probe(feed.now) is not None) == probed


@pytest.mark.parametrize(("lost", "probed"), [(4, True), (5, False)])
def test_exactly_a_quarter_lost_is_too_much_for_a_probe(lost: int, probed: bool):
    estimator = BandwidthEstimator()
    for now, packets in ((1.0, range(19, 20)), (1.7, range(19))):
        estimator.feed(
            [PacketResult(i, now, 1200, None if i < lost else now + 50, None, late=False) for i in packets], now
        )
    assert estimator.loss_fraction == lost / 20
    assert (estimator.next_probe(1.7) is not None) == probed


def test_no_probe_is_sent_in_the_second_after_a_decrease():
    """A probe that was under way is given up meanwhile, so that another is due."""
    feed = Feed(10 * M)
    feed.run(8)
    assert feed.estimator.next_probe(feed.now) is not None
    feed.decrease(0.2)
    fell_at = feed.now
    while feed.estimator.next_probe(feed.now) is None:
        feed.message()
    assert 1.0 < feed.now - fell_at < 1.25


def test_the_first_probe_after_a_decrease_waits_for_a_second_and_a_half():
    feed = Feed(10 * M)
    feed.run(8)
    feed.decrease(0.2)
    fell_at = feed.now
    while feed.estimator.next_probe(feed.now) is None:
        feed.message()
    assert 1.45 < feed.now - fell_at < 1.65


@pytest.mark.parametrize("every", [1, 2])
def test_the_trend_is_measured_between_the_packets_of_a_probe(every: int):
    """Of each message, every other packet is one of a probe's."""
    feed = Feed(10 * M)
    feed.run(4)
    for step in range(30):
        times = [feed.now + index * 0.009 for index in range(10)]
        waited = 50.05 + step * 0.004
        results = [PacketResult(9000 + i, at, 1200, at + waited, 7, late=False) for i, at in enumerate(times)]
        for index in range(0, 10, every):
            results[index].probe_id = None
        feed.now += 0.1
        feed.estimator.feed(results, feed.now)
    assert feed.estimator.bits_per_second < 10 * M


def probed(estimator: BandwidthEstimator, now: float, link_bps: float, *, lost: bool = False) -> float | None:
    """Send the probe that is due over a link of so many bits a second. Returns its bitrate."""
    probe = estimator.next_probe(now)
    if probe is None:
        return None
    free_at, results = now, []
    for index in range(-(-probe.size_bytes // 1200)):
        sent_at = now + index * 9600 / probe.rate_bps
        estimator.sent(1200, sent_at)
        free_at = max(free_at, sent_at) + 9600 / link_bps
        arrived_at = None if lost else free_at + 50.05
        results.append(PacketResult(100_000 + index, sent_at, 1200, arrived_at, probe.id, late=False))
    estimator.feed(results, now + 0.1)
    return probe.rate_bps


def test_a_probe_that_comes_through_raises_the_estimate():
    feed = Feed()
    feed.message()
    assert probed(feed.estimator, feed.now, 1000 * M) == 6 * M
    assert feed.estimator.bits_per_second == pytest.approx(6 * M, rel=0.01)


def test_the_first_probe_may_lower_the_estimate_and_later_ones_may_not():
    feed = Feed(5 * M)
    feed.message()
    assert probed(feed.estimator, feed.now, 3 * M) is not None
    assert feed.estimator.bits_per_second == pytest.approx(0.94 * 3 * M, rel=0.04)
    before = feed.estimator.bits_per_second
    feed.now += 5.0
    feed.run(8, size=100)
    assert probed(feed.estimator, feed.now, 2.5 * M) is not None
    assert feed.estimator.bits_per_second == before


def test_a_probe_that_is_lost_is_followed_by_another():
    feed = Feed()
    feed.message()
    assert probed(feed.estimator, feed.now, 1000 * M, lost=True) is not None
    feed.now += 0.2
    feed.message()
    assert probed(feed.estimator, feed.now, 1000 * M) is not None


def test_a_probe_raises_a_bound_that_loss_has_set():
    feed = Feed(5 * M)
    feed.run(2, lost=5)
    bounded = feed.estimator.bits_per_second
    assert bounded < 4 * M
    feed.run(8)
    rate = None
    while rate is None:
        feed.message()
        rate = probed(feed.estimator, feed.now, 1000 * M)
    assert feed.estimator.bits_per_second == pytest.approx(rate, rel=0.05)


def test_what_a_probe_queued_is_no_trend():
    feed = Feed(10 * M)
    feed.run(8)
    before = feed.estimator.bits_per_second
    assert probed(feed.estimator, feed.now, 9 * M) is not None
    assert feed.estimator.bits_per_second <= before
    feed.now += 0.2
    feed.run(1)
    assert feed.estimator.bits_per_second > 0.8 * 9 * M


def test_the_queue_that_a_probe_leaves_is_no_overuse():
    feed = Feed(10 * M)
    feed.run(8)
    probe = feed.estimator.next_probe(feed.now)
    assert probe is not None
    times = [(feed.now + index * 0.0005, feed.now + 50.05 + index * 0.002) for index in range(40)]
    results = [
        PacketResult(50_000 + i, at, 1200, arrived, probe.id, late=False) for i, (at, arrived) in enumerate(times)
    ]
    feed.estimator.feed(results, feed.now + 0.05)
    feed.now += 0.05
    feed.run(0.3, delay=0.11)
    assert feed.estimator.bits_per_second == 10 * M
