"""The estimator alone, and the whole send side over simulated links: how much of a link it uses, how long packets
wait, and how fast it learns.

Each simulation runs once and is looked at from several sides. Bounds are those we promise, with room for chance.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import pytest

from framewire.rtc.estimate.estimator import MIN_BPS, START_BPS, BandwidthEstimator
from framewire.rtc.repair.fec_policy import max_media_bps
from framewire.rtc.rtp.twcc import PacketResult
from tests.rtc.linksim import Link, Simulation, steps

M = 1e6


@cache
def steady() -> Simulation:
    return Simulation(Link(steps((0, 20 * M)))).run(14)


@cache
def stepped() -> Simulation:
    return Simulation(Link(steps((0, 20 * M), (8, 2 * M), (16, 20 * M)), buffer=120_000)).run(26)


@cache
def wide() -> Simulation:
    return Simulation(Link(steps((0, 1000 * M)), rtt=0.001, buffer=10**7), fps=60).run(5)


def test_a_steady_link_is_used():
    simulation = steady()
    assert simulation.use(4, 14) > 0.85
    assert simulation.queue(1, 14) < 0.15
    assert simulation.queue(1, 14, 0.5) < 0.03
    assert simulation.skipped == 0


def test_the_bandwidth_is_found_within_two_seconds():
    assert steady().reached(0.8 * 20 * M * 0.9, 0) < 2


def test_a_wide_link_is_found_to_be_wider_than_needed():
    simulation = wide()
    assert simulation.reached(simulation.ceiling * 1.5, 0) < 1.0
    assert simulation.queue(0, 5) < 0.005


def test_on_a_wide_link_frames_leave_in_one_go():
    """As they leave the application, so that pacing adds no delay."""
    moments = {s.sent_at for s in wide().samples if 2 < s.sent_at < 4}
    assert len(moments) <= 2 * 60 + 4


def test_a_link_that_shrinks_to_a_tenth():
    simulation = stepped()
    # 120 kB are 480 ms at 2 Mbit/s: what had left before any feedback fills them.
    assert simulation.queue(8, 16) < 0.6
    assert simulation.queue(10, 16) < 0.15
    assert simulation.use(10, 16) > 0.75
    assert simulation.skipped < 20


@cache
def collapsed(buffer: int = 50_000) -> Simulation:
    """Eight of twenty megabits, when two are left."""
    return Simulation(Link(steps((0, 20 * M), (8, 2 * M)), rtt=0.06, buffer=buffer), used=lambda now: 0.4).run(14)


@pytest.mark.parametrize("buffer", [50_000, 250_000])
def test_a_link_that_shrinks_below_what_is_sent_is_measured_at_once_though_it_was_never_full(buffer: int):
    simulation = collapsed(buffer)
    reported = next((at for at, estimate in simulation.estimates if at > 8 and estimate < 2 * M), 99)
    assert reported < 8 + 0.06 + 2 * 0.1, "a round trip, and two answers"
    assert min(estimate for at, estimate in simulation.estimates if 8 < at < 9) > 0.5 * M, "nor is it measured too low"


@pytest.mark.parametrize("buffer", [50_000, 250_000])
def test_the_queue_of_a_link_that_shrank_empties_before_the_next_frame_leaves(buffer: int):
    simulation = collapsed(buffer)
    since = max(s.sent_at for s in simulation.samples if s.sent_at < 9 and s.queued > 0.1 and s.arrived_at is not None)
    after = [s for s in simulation.samples if s.sent_at > since]
    assert max(s.queued for s in after) < 0.1
    emptied = since + buffer * 8 / (2 * M)
    assert after[0].sent_at < emptied + 0.1, "nor is the link left idle for long"
    assert not [s for s in after if s.arrived_at is None]


def test_a_link_that_widens_tenfold():
    simulation = stepped()
    assert simulation.reached(0.8 * 20 * M * 0.94, 16) < 6
    assert simulation.use(22, 26) > 0.8
    assert simulation.queue(16, 26) < 0.2


def test_a_bloated_queue_is_emptied():
    simulation = Simulation(Link(steps((0, 20 * M), (6, 8 * M)), buffer=4_000_000)).run(14)
    assert simulation.queue(6, 14) < 0.6
    assert simulation.queue(8, 14) < 0.15
    assert simulation.use(8, 14) > 0.75


def test_a_ramp_is_followed_up_and_down():
    simulation = Simulation(Link(lambda t: (2 + 18 * min(t, 24 - t) / 12) * M if t < 24 else 2 * M)).run(26)
    assert simulation.use(2, 12) > 0.65
    assert simulation.use(12, 24) > 0.8
    assert simulation.queue(2, 26) < 0.4


def test_cross_traffic_gets_its_share():
    simulation = Simulation(Link(steps((0, 20 * M)), cross=steps((0, 0), (6, 12 * M), (14, 0)))).run(22)
    assert simulation.use(8, 14) > 0.75
    assert simulation.queue(8, 14) < 0.2
    assert simulation.reached(0.8 * 20 * M * 0.9, 14) < 6


@pytest.mark.parametrize("loss", [0.01, 0.03])
def test_loss_without_delay_does_not_lower_the_bitrate(loss: float):
    simulation = Simulation(Link(steps((0, 20 * M)), loss=loss)).run(16)
    assert simulation.use(5, 16) > 0.8
    assert simulation.queue(2, 16) < 0.2


def test_five_percent_of_loss_does_not_collapse():
    simulation = Simulation(Link(steps((0, 10 * M)), loss=0.05)).run(16)
    # The media bitrate leaves room for retransmissions.
    assert simulation.use(4, 16) > 0.75


def test_loss_with_jitter_is_no_full_queue():
    simulation = Simulation(Link(steps((0, 20 * M)), rtt=0.1, loss=0.03, sigma=0.01), ceiling=6 * M).run(30)
    assert simulation.rate(5, 15) > 4 * M
    assert simulation.rate(20, 30) > 4 * M


def test_bursts_of_loss_do_not_collapse():
    simulation = Simulation(Link(steps((0, 10 * M)), rtt=0.15, loss=0.1, burst=4), ceiling=4 * M).run(30)
    assert simulation.rate(5, 15) > 2 * M
    assert simulation.rate(20, 30) > 2 * M


@pytest.mark.parametrize("seed", [2, 9, 30, 32])
def test_bursts_that_meet_by_chance_do_not_lower_the_bitrate_for_long(seed: int):
    """Where a tenth is lost in bursts, now and then a quarter of two hundred packets is."""
    link = Link(steps((0, 10 * M)), rtt=0.15, loss=0.1, burst=4, feedback_loss=lambda now: 0.1)
    estimates = Simulation(link, max_bps=max_media_bps, seed=seed).run(40).estimates
    small = sum(until - at for (at, estimate), (until, _) in pairwise(estimates) if estimate < 1.2 * M)
    assert small < 2


def test_a_loss_of_a_quarter_lowers_the_bitrate():
    simulation = Simulation(Link(steps((0, 10 * M)), loss=steps((0, 0.0), (5, 0.25))(6))).run(10)
    assert simulation.rate(6, 10) < 6 * M


def test_a_short_queue_does_not_overflow_again_and_again():
    simulation = Simulation(Link(steps((0, 10 * M)), buffer=25_000)).run(14)
    lost = sum(s.arrived_at is None for s in simulation.samples if s.sent_at > 3)
    assert lost / len(simulation.samples) < 0.05
    assert simulation.use(4, 14) > 0.6


def test_packets_that_overtake_each_other_are_not_lost():
    simulation = Simulation(Link(steps((0, 20 * M)), overtaking=0.05)).run(14)
    assert simulation.use(4, 14) > 0.8


def test_jitter_is_not_a_queue():
    simulation = Simulation(Link(steps((0, 10 * M)), jitter=0.01)).run(14)
    assert simulation.use(3, 14) > 0.75
    assert simulation.queue(2, 14) < 0.15


def test_stalls_are_not_a_queue():
    """A radio link that delivers nothing for 150 ms every two seconds, and then all at once."""
    simulation = Simulation(Link(steps((0, 10 * M)), stall=(2.0, 0.15))).run(16)
    assert simulation.use(4, 16) > 0.7


def test_lost_feedback_does_not_lower_the_bitrate():
    simulation = Simulation(Link(steps((0, 10 * M)), feedback_loss=lambda t: 0.3)).run(12)
    assert simulation.use(4, 12) > 0.75


def test_without_feedback_the_estimate_falls_and_recovers():
    simulation = Simulation(Link(steps((0, 10 * M)), feedback_loss=steps((0, 0), (4, 1), (10, 0)))).run(16)
    quiet = [estimate for at, estimate in simulation.estimates if 9 < at < 10]
    assert max(quiet) < 0.5 * M
    assert simulation.reached(7 * M, 10) < 5


def test_a_slow_link_with_a_long_round_trip():
    simulation = Simulation(Link(steps((0, 1 * M)), rtt=0.08, buffer=80_000)).run(16)
    assert simulation.queue(0, 16) < 0.6
    assert simulation.queue(3, 16) < 0.12
    assert simulation.use(4, 16) > 0.75


def test_a_long_round_trip_with_some_loss():
    simulation = Simulation(Link(steps((0, 20 * M)), rtt=0.2, loss=0.01)).run(14)
    assert simulation.use(5, 14) > 0.75
    assert simulation.queue(2, 14) < 0.25


def test_a_still_stream_learns_how_wide_the_link_is():
    simulation = Simulation(Link(steps((0, 20 * M))), used=lambda t: 0.02 if t < 8 else 1.0).run(12)
    assert simulation.reached(0.7 * 20 * M, 0) < 2, "by padded probes"
    assert simulation.rate(4, 8) < 1.2 * M, "and without filling the link"
    assert simulation.use(8.5, 12) > 0.8
    assert simulation.queue(8, 12) < 0.15


def test_a_few_frames_a_second_are_enough():
    simulation = Simulation(Link(steps((0, 20 * M))), fps=10).run(12)
    assert simulation.use(4, 12) > 0.75
    assert simulation.queue(2, 12) < 0.3


def test_other_seeds_give_the_same_result():
    for seed in (2, 3):
        simulation = Simulation(Link(steps((0, 20 * M)), loss=0.02, jitter=0.005), seed=seed).run(9)
        assert simulation.use(4, 9) > 0.75


def test_a_viewer_that_never_sent_feedback_is_not_overdue():
    estimator = BandwidthEstimator()
    for index in range(500):
        estimator.sent(1200, index * 0.01)
        estimator.tick(index * 0.01)
    assert estimator.bits_per_second == START_BPS


def test_a_process_that_was_stopped_halves_nothing():
    estimator = BandwidthEstimator()
    estimator.feed([PacketResult(1, 1.0, 1200, 71.0, None, late=False)], 1.0)
    for index in range(30):
        estimator.sent(1200, 1.1 + index * 0.001)
    for now in (1.2, 9.0, 9.1, 9.2):
        estimator.tick(now)
    assert estimator.bits_per_second == START_BPS
    for step in range(93, 105):
        estimator.tick(step / 10)
    assert estimator.bits_per_second == START_BPS / 2


def test_nothing_is_probed_before_the_first_feedback():
    estimator = BandwidthEstimator()
    estimator.sent(1200, 1.0)
    assert estimator.next_probe(1.1) is None
    estimator.feed([PacketResult(1, 1.0, 1200, 71.0, None, late=False)], 1.1)
    assert estimator.next_probe(1.1) is not None


def test_the_minimum_holds_whatever_comes():
    estimator = BandwidthEstimator()
    for index in range(200):
        lost = [PacketResult(index * 30 + i, index * 0.1, 1200, None, None, late=False) for i in range(30)]
        estimator.feed(lost, index * 0.1 + 0.05)
    assert estimator.bits_per_second == MIN_BPS
    assert estimator.target_bps(20.0) == MIN_BPS
    assert estimator.loss_fraction == 1.0


def collapsed_estimator() -> tuple[BandwidthEstimator, float]:
    """An estimator whose link has just shrunk to a tenth of what is sent."""
    estimator = BandwidthEstimator(start_bps=20 * M)
    now, queue, sequence = 1000.0, 0.0, 0
    for message in range(40):
        results = []
        for _ in range(20):
            sequence += 1
            now += 0.003
            estimator.sent(1200, now)
            queue += 0.0 if message < 38 else 0.0045
            results.append(PacketResult(sequence, now, 1200, now + 50 + queue, None, late=False))
        estimator.feed(results, now)
    return estimator, now


def test_a_collapse_is_reported_once_and_an_empty_message_reports_none():
    estimator, now = collapsed_estimator()
    assert estimator.collapsed
    assert estimator.bits_per_second < 2 * M
    estimator.feed([], now + 0.05)
    assert not estimator.collapsed


@pytest.mark.parametrize("arrivals", [[], [0.5], [0.5, 0.5, 0.5]])
def test_a_message_with_few_arrivals_after_a_collapse_is_understood(arrivals: list[float]):
    estimator, now = collapsed_estimator()
    lost = [PacketResult(2000 + i, now, 1200, None, None, late=False) for i in range(5)]
    came = [PacketResult(2010 + i, now, 1200, now + 50 + at, 7, late=False) for i, at in enumerate(arrivals)]
    estimator.feed(lost + came, now + 0.1)
    assert estimator.bits_per_second >= MIN_BPS


def shrinking(estimator: BandwidthEstimator, now: float, *, sent: float, passes: float) -> float:
    """One feedback message of packets that left at ``sent`` bits a second over a link that takes ``passes``, and whose
    queue was empty before. Returns the time."""
    results, arrival = [], now + 50.0
    for index in range(20):
        now += 1200 * 8 / sent
        arrival = max(arrival + 1200 * 8 / passes, now + 50)
        estimator.sent(1200, now)
        results.append(PacketResult(5000 + index, now, 1200, arrival, None, late=False))
    estimator.feed(results[6:], now + 0.1)
    return now


def running(estimator: BandwidthEstimator, rate: float) -> float:
    """Two seconds over a link that takes whatever is sent. Returns the time."""
    now = 1000.0
    for message in range(40):
        results = []
        for index in range(max(round(rate * 0.05 / 9600), 1)):
            now += 9600 / rate
            estimator.sent(1200, now)
            results.append(PacketResult(message * 100 + index, now, 1200, now + 50, None, late=False))
        estimator.feed(results, now)
    return now


def test_a_queue_that_begins_to_fill_at_a_tenth_of_what_is_sent_is_a_collapse_already():
    estimator = BandwidthEstimator(start_bps=20 * M)
    shrinking(estimator, running(estimator, 8 * M), sent=20 * M, passes=2 * M)
    assert estimator.queueing_delay_s < 0.05, "no packet waited long yet"
    assert estimator.collapsed
    assert estimator.bits_per_second == pytest.approx(0.85 * 2 * M, rel=0.1)


def test_a_frame_that_is_large_for_its_link_is_no_collapse():
    """A keyframe takes as long on a slow link, which takes the average of what is sent."""
    estimator = BandwidthEstimator(start_bps=2.5 * M)
    shrinking(estimator, running(estimator, 1.5 * M), sent=6 * M, passes=2 * M)
    assert not estimator.collapsed
    assert estimator.bits_per_second > 2 * M


def test_a_collapse_is_not_followed_by_another_for_what_was_sent_before_it():
    estimator = BandwidthEstimator(start_bps=20 * M)
    now = shrinking(estimator, running(estimator, 8 * M), sent=20 * M, passes=2 * M)
    assert estimator.collapsed
    shrinking(estimator, now + 0.3, sent=4 * M, passes=2 * M)
    assert not estimator.collapsed, "a keyframe at the new rate"


class Feed:
    """Feedback messages for one estimator, ten a second, each about ten packets that left just before it."""

    def __init__(self, start_bps: float = START_BPS) -> None:
        self.estimator = BandwidthEstimator(start_bps)
        self.now = 1000.0
        self._sequence = 0

    def message(self, delay: float = 0.05, lost: int = 0, size: int = 1200, growth: float = 0.0) -> None:
        """Packets that took ``delay`` seconds, each ``growth`` longer than the one before; the first few are lost."""
        results = []
        for index in range(10):
            self._sequence += 1
            sent_at = self.now + index * 0.009
            self.estimator.sent(size, sent_at)
            arrived_at = None if index < lost else sent_at + 50 + delay + index * growth
            results.append(PacketResult(self._sequence, sent_at, size, arrived_at, None, late=False))
        self.now += 0.1
        self.estimator.feed(results, self.now)

    def run(self, seconds: float, **message: float) -> None:
        for _ in range(round(seconds * 10)):
            self.message(**message)  # type: ignore[arg-type]

    def decrease(self, queue: float) -> None:
        """A queue that grows to so much, so that the estimate falls with the last message."""
        before = self.estimator.bits_per_second
        steps = 0
        while self.estimator.bits_per_second == before:
            steps += 1
            assert steps < 30, "the estimate falls"
            self.message(0.05 + queue)


def test_the_estimate_starts_at_two_megabits_and_is_at_least_150_kilobits():
    assert BandwidthEstimator().bits_per_second == START_BPS == 2 * M
    assert MIN_BPS == 0.15 * M
    assert BandwidthEstimator(0.1 * M).bits_per_second == MIN_BPS


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


def test_no_probe_is_sent_in_the_second_after_a_decrease():
    feed = Feed()
    feed.run(8)
    feed.decrease(0.2)
    fell_at = feed.now
    probed_at = None
    while probed_at is None:
        feed.message()
        if feed.estimator.next_probe(feed.now) is not None:
            probed_at = feed.now
    assert 1.0 < probed_at - fell_at < 2.5


def test_a_long_queue_is_drained_for_three_seconds_after_a_decrease():
    feed = Feed(10 * M)
    feed.run(8)
    feed.decrease(0.3)
    estimator, fell_at = feed.estimator, feed.now
    estimate, queue = estimator.bits_per_second, estimator.queueing_delay_s
    assert queue == pytest.approx(0.3)
    assert estimator.target_bps(fell_at) == pytest.approx(estimate * (1 - (0.3 - 0.06)))
    assert estimator.target_bps(fell_at + 2.99) == estimator.target_bps(fell_at)
    assert estimator.target_bps(fell_at + 3.01) == estimate, "a queue that stays is filled by others"


@pytest.mark.parametrize(("queue", "fraction"), [(0.059, 1.0), (0.07, 0.99), (0.64, 0.42), (0.9, 0.4)])
def test_a_longer_queue_is_drained_faster_down_to_four_tenths(queue: float, fraction: float):
    feed = Feed(10 * M)
    feed.run(8)
    feed.decrease(0.3)
    fell_at = feed.now
    feed.message(0.05 + queue)
    assert feed.estimator.target_bps(fell_at + 0.1) == pytest.approx(fraction * feed.estimator.bits_per_second)


def test_draining_leaves_the_minimum():
    feed = Feed(MIN_BPS)
    feed.run(8, size=50)
    for _ in range(20):
        feed.message(1.5, size=50)
    assert feed.estimator.queueing_delay_s > 1
    assert feed.estimator.target_bps(feed.now) == MIN_BPS


def test_a_trend_without_a_standing_queue_is_no_overuse():
    """Every message but the second has a packet that did not wait: bursts grow, and no queue stays."""
    for shortest, falls in ((0.05, False), (0.05 + 0.03, True)):
        feed = Feed(10 * M)
        feed.run(8)
        for step in range(10):
            feed.message(shortest if step else 0.05, growth=0.002 * step)
        assert (feed.estimator.bits_per_second < 10 * M) == falls


@pytest.mark.parametrize(("lost", "queue", "falls"), [(1, 0.02, True), (0, 0.02, False), (1, 0.0, False)])
def test_loss_with_a_short_queue_is_overuse(lost: int, queue: float, falls: bool):
    feed = Feed(10 * M)
    for step in range(100):
        feed.message(0.05 + queue * step / 100, lost=lost)
    feed.run(3, delay=0.05 + queue, lost=lost)
    assert (feed.estimator.bits_per_second < 10 * M) == falls


def test_less_than_seven_tenths_of_the_estimate_is_application_limited():
    """Sending less, the estimate does not grow; sending more, it does."""
    for size, grows in ((800, False), (900, True)):
        feed = Feed(1 * M)
        feed.run(3, size=size)
        assert (feed.estimator.bits_per_second > 1 * M) == grows, size


def test_a_decrease_counts_only_losses_after_it():
    feed = Feed(10 * M)
    feed.run(8)
    feed.decrease(0.3)
    late = [PacketResult(9000 + i, feed.now - 0.2, 1200, None, None, late=False) for i in range(100)]
    feed.estimator.feed(late, feed.now + 0.05)
    feed.run(1, delay=0.05)
    assert feed.estimator.loss_fraction == 0


def test_an_overtaken_packet_is_not_lost():
    feed = Feed(10 * M)
    feed.run(1, lost=2)
    for index in range(20):
        late = PacketResult(index, feed.now, 1200, feed.now + 50.05, None, late=True)
        feed.estimator.feed([late], feed.now + 0.05)
    feed.run(1)
    assert feed.estimator.loss_fraction < 0.15
    lossy = Feed(10 * M)
    lossy.run(1, lost=2)
    lossy.run(1)
    assert lossy.estimator.loss_fraction > feed.estimator.loss_fraction


def test_packets_before_a_decrease_and_packets_in_a_queue_were_congested():
    feed = Feed(10 * M)
    feed.run(8)

    def uncongested(sent_at: float) -> bool:
        return feed.estimator.sent_uncongested(PacketResult(1, sent_at, 1200, None, None, late=False))

    assert uncongested(feed.now)
    feed.decrease(0.2)
    assert not uncongested(feed.now + 1), "a queue is known of"
    fell_at = feed.now
    feed.run(8)
    assert not uncongested(fell_at)
    assert uncongested(fell_at + 0.01)


def test_the_backlog_is_what_the_newest_packet_waited_and_what_left_since():
    feed = Feed(8 * M)
    feed.run(3)
    feed.message(0.05 + 0.02)
    assert feed.estimator.newest_acked_sent_at == pytest.approx(feed.now - 0.1 + 0.081)
    assert feed.estimator.bits_per_second == 8 * M
    waited = feed.estimator.backlog_s(100_000, feed.estimator.newest_acked_sent_at)
    assert waited == pytest.approx(0.02 + 0.1)


def test_the_backlog_is_no_longer_than_the_queue_that_overflowed():
    feed = Feed(8 * M)
    feed.run(3)
    feed.message(0.05 + 0.02, lost=4)
    last_sent_at = feed.now - 0.1 + 0.081
    assert feed.estimator.backlog_s(10**6, last_sent_at) == pytest.approx(0.02)
    assert feed.estimator.backlog_s(10**6, last_sent_at + 0.015) == pytest.approx(0.005)


def test_after_a_collapse_how_long_the_full_queue_is_is_unknown():
    estimator = BandwidthEstimator(start_bps=20 * M)
    now = running(estimator, 8 * M)
    full = [PacketResult(4000 + i, now, 1200, now + 50.02 if i < 6 else None, None, late=False) for i in range(10)]
    estimator.feed(full, now + 0.05)
    assert estimator.backlog_s(10**6, now) == pytest.approx(0.02)
    now = shrinking(estimator, now + 0.06, sent=20 * M, passes=2 * M)
    assert estimator.collapsed
    assert estimator.backlog_s(10**6, now) > 1


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


def test_without_feedback_the_estimate_is_halved_and_no_probe_is_sent_for_a_while():
    feed = Feed(10 * M)
    feed.run(3)
    feed.estimator.sent(1200, feed.now, packets=10)
    for step in range(11):
        feed.estimator.tick(feed.now + step / 10)
    assert feed.estimator.bits_per_second == 5 * M
    halved_at = feed.now + 1.0
    feed.now += 1.1
    feed.message()
    assert feed.estimator.next_probe(feed.now) is None
    feed.run(halved_at + 1.5 - feed.now + 0.1)
    assert feed.estimator.next_probe(feed.now) is not None
