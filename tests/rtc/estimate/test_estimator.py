"""The whole controller over simulated links: how much of a link it uses, how long packets wait, how fast it learns.

Each world is played once and looked at from several sides. Bounds are those we promise, with room for chance.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import pytest

from framewire.rtc.estimate.estimator import MIN_BPS, START_BPS, BandwidthEstimator
from framewire.rtc.repair.protection import ceiling
from framewire.rtc.rtp.twcc import PacketResult
from tests.rtc.linksim import Link, World, steps

M = 1e6


@cache
def steady() -> World:
    return World(Link(steps((0, 20 * M)))).run(14)


@cache
def stepped() -> World:
    return World(Link(steps((0, 20 * M), (8, 2 * M), (16, 20 * M)), buffer=120_000)).run(26)


@cache
def wide() -> World:
    return World(Link(steps((0, 1000 * M)), rtt=0.001, buffer=10**7), fps=60).run(5)


def test_a_steady_link_is_used():
    world = steady()
    assert world.use(4, 14) > 0.85
    assert world.queue(1, 14) < 0.15
    assert world.queue(1, 14, 0.5) < 0.03
    assert world.skipped == 0


def test_a_link_is_found_within_two_seconds():
    assert steady().reached(0.8 * 20 * M * 0.9, 0) < 2


def test_a_wide_link_is_found_to_be_wider_than_needed():
    world = wide()
    assert world.reached(world.ceiling * 1.5, 0) < 1.0
    assert world.queue(0, 5) < 0.005


def test_on_a_wide_link_frames_leave_in_one_go():
    """As they leave the application, so that nothing is added to their way."""
    moments = {s.sent_at for s in wide().samples if 2 < s.sent_at < 4}
    assert len(moments) <= 2 * 60 + 4


def test_a_link_that_shrinks_to_a_tenth():
    world = stepped()
    # 120 kB are 480 ms at 2 Mbit/s: what had left before anybody could know fills them.
    assert world.queue(8, 16) < 0.6
    assert world.queue(10, 16) < 0.15
    assert world.use(10, 16) > 0.75
    assert world.skipped < 20


@cache
def collapsed(buffer: int = 50_000) -> World:
    """Eight of twenty megabits, when two are left."""
    return World(Link(steps((0, 20 * M), (8, 2 * M)), rtt=0.06, buffer=buffer), spend=lambda now: 0.4).run(14)


@pytest.mark.parametrize("buffer", [50_000, 250_000])
def test_a_link_that_shrinks_below_what_is_sent_is_measured_at_once_though_it_was_never_full(buffer: int):
    world = collapsed(buffer)
    told = next((at for at, estimate in world.estimates if at > 8 and estimate < 2 * M), 99)
    assert told < 8 + 0.06 + 2 * 0.1, "a round trip, and two answers"
    assert min(estimate for at, estimate in world.estimates if 8 < at < 9) > 0.5 * M, "nor is it measured too low"


@pytest.mark.parametrize("buffer", [50_000, 250_000])
def test_what_had_left_before_empties_before_the_next_frame_leaves(buffer: int):
    world = collapsed(buffer)
    since = max(s.sent_at for s in world.samples if s.sent_at < 9 and s.queued > 0.1 and s.arrived_at is not None)
    after = [s for s in world.samples if s.sent_at > since]
    assert max(s.queued for s in after) < 0.1
    emptied = since + buffer * 8 / (2 * M)
    assert after[0].sent_at < emptied + 0.1, "nor is the link left idle for long"
    assert not [s for s in after if s.arrived_at is None]


def test_a_link_that_widens_tenfold():
    world = stepped()
    assert world.reached(0.8 * 20 * M * 0.94, 16) < 6
    assert world.use(22, 26) > 0.8
    assert world.queue(16, 26) < 0.2


def test_a_bloated_queue_is_emptied():
    world = World(Link(steps((0, 20 * M), (6, 8 * M)), buffer=4_000_000)).run(14)
    assert world.queue(6, 14) < 0.6
    assert world.queue(8, 14) < 0.15
    assert world.use(8, 14) > 0.75


def test_a_ramp_is_followed_up_and_down():
    world = World(Link(lambda t: (2 + 18 * min(t, 24 - t) / 12) * M if t < 24 else 2 * M)).run(26)
    assert world.use(2, 12) > 0.65
    assert world.use(12, 24) > 0.8
    assert world.queue(2, 26) < 0.4


def test_cross_traffic_is_made_room_for():
    world = World(Link(steps((0, 20 * M)), cross=steps((0, 0), (6, 12 * M), (14, 0)))).run(22)
    assert world.use(8, 14) > 0.75
    assert world.queue(8, 14) < 0.2
    assert world.reached(0.8 * 20 * M * 0.9, 14) < 6


@pytest.mark.parametrize("loss", [0.01, 0.03])
def test_loss_without_delay_is_radio_and_no_reason_to_slow_down(loss: float):
    world = World(Link(steps((0, 20 * M)), loss=loss)).run(16)
    assert world.use(5, 16) > 0.8
    assert world.queue(2, 16) < 0.2


def test_five_percent_of_loss_does_not_collapse():
    world = World(Link(steps((0, 10 * M)), loss=0.05)).run(16)
    # What is told keeps room for sending the lost again.
    assert world.use(4, 16) > 0.75


def test_loss_with_jitter_is_no_full_queue():
    world = World(Link(steps((0, 20 * M)), rtt=0.1, loss=0.03, sigma=0.01), ceiling=6 * M).run(30)
    assert world.rate(5, 15) > 4 * M
    assert world.rate(20, 30) > 4 * M


def test_bursts_of_loss_do_not_collapse():
    world = World(Link(steps((0, 10 * M)), rtt=0.15, loss=0.1, burst=4), ceiling=4 * M).run(30)
    assert world.rate(5, 15) > 2 * M
    assert world.rate(20, 30) > 2 * M


@pytest.mark.parametrize("seed", [2, 9, 30, 32])
def test_bursts_that_meet_by_chance_do_not_make_the_picture_small_for_long(seed: int):
    """Where a tenth is lost in bursts, now and then a quarter of two hundred packets is."""
    link = Link(steps((0, 10 * M)), rtt=0.15, loss=0.1, burst=4, feedback_loss=lambda now: 0.1)
    told = World(link, most=ceiling, seed=seed).run(40).estimates
    small = sum(until - at for (at, estimate), (until, _) in pairwise(told) if estimate < 1.2 * M)
    assert small < 2


def test_a_quarter_lost_slows_down():
    world = World(Link(steps((0, 10 * M)), loss=steps((0, 0.0), (5, 0.25))(6))).run(10)
    assert world.rate(6, 10) < 6 * M


def test_a_short_queue_is_not_flooded():
    world = World(Link(steps((0, 10 * M)), buffer=25_000)).run(14)
    lost = sum(s.arrived_at is None for s in world.samples if s.sent_at > 3)
    assert lost / len(world.samples) < 0.05
    assert world.use(4, 14) > 0.6


def test_packets_that_overtake_each_other_are_not_lost():
    world = World(Link(steps((0, 20 * M)), overtaking=0.05)).run(14)
    assert world.use(4, 14) > 0.8


def test_jitter_is_not_a_queue():
    world = World(Link(steps((0, 10 * M)), jitter=0.01)).run(14)
    assert world.use(3, 14) > 0.75
    assert world.queue(2, 14) < 0.15


def test_stalls_are_not_a_queue():
    """A radio that is silent for 150 ms every two seconds and then delivers all at once."""
    world = World(Link(steps((0, 10 * M)), stall=(2.0, 0.15))).run(16)
    assert world.use(4, 16) > 0.7


def test_lost_feedback_is_survived():
    world = World(Link(steps((0, 10 * M)), feedback_loss=lambda t: 0.3)).run(12)
    assert world.use(4, 12) > 0.75


def test_silence_means_that_nothing_gets_through():
    world = World(Link(steps((0, 10 * M)), feedback_loss=steps((0, 0), (4, 1), (10, 0)))).run(16)
    quiet = [estimate for at, estimate in world.estimates if 9 < at < 10]
    assert max(quiet) < 0.5 * M
    assert world.reached(7 * M, 10) < 5


def test_a_thin_and_long_link():
    world = World(Link(steps((0, 1 * M)), rtt=0.08, buffer=80_000)).run(16)
    assert world.queue(0, 16) < 0.6
    assert world.queue(3, 16) < 0.12
    assert world.use(4, 16) > 0.75


def test_a_long_way_with_some_loss():
    world = World(Link(steps((0, 20 * M)), rtt=0.2, loss=0.01)).run(14)
    assert world.use(5, 14) > 0.75
    assert world.queue(2, 14) < 0.25


def test_a_still_stream_learns_how_wide_the_link_is():
    world = World(Link(steps((0, 20 * M))), spend=lambda t: 0.02 if t < 8 else 1.0).run(12)
    assert world.reached(0.7 * 20 * M, 0) < 2, "by padded probes"
    assert world.rate(4, 8) < 1.2 * M, "and without filling the link"
    assert world.use(8.5, 12) > 0.8
    assert world.queue(8, 12) < 0.15


def test_a_few_frames_a_second_are_enough():
    world = World(Link(steps((0, 20 * M))), fps=10).run(12)
    assert world.use(4, 12) > 0.75
    assert world.queue(2, 12) < 0.3


def test_every_seed_alike():
    for seed in (2, 3):
        world = World(Link(steps((0, 20 * M)), loss=0.02, jitter=0.005), seed=seed).run(9)
        assert world.use(4, 9) > 0.75


def test_a_viewer_that_was_never_heard_is_not_taken_for_silent():
    estimator = BandwidthEstimator()
    for index in range(500):
        estimator.sent(1200, index * 0.01)
        estimator.tick(index * 0.01)
    assert estimator.bits_per_second == START_BPS


def test_a_machine_that_stood_still_did_not_hear_and_halves_nothing():
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


def test_the_floor_holds_whatever_comes():
    estimator = BandwidthEstimator()
    for index in range(200):
        lost = [PacketResult(index * 30 + i, index * 0.1, 1200, None, None, late=False) for i in range(30)]
        estimator.feed(lost, index * 0.1 + 0.05)
    assert estimator.bits_per_second == MIN_BPS
    assert estimator.target_bps(20.0) == MIN_BPS
    assert estimator.loss_fraction == 1.0


def flooded_estimator() -> tuple[BandwidthEstimator, float]:
    """One that has just seen its link shrink to a tenth of what is sent."""
    estimator = BandwidthEstimator(start=20 * M)
    now, queue, sequence = 1000.0, 0.0, 0
    for message in range(40):
        outcomes = []
        for _ in range(20):
            sequence += 1
            now += 0.003
            estimator.sent(1200, now)
            queue += 0.0 if message < 38 else 0.0045
            outcomes.append(PacketResult(sequence, now, 1200, now + 50 + queue, None, late=False))
        estimator.feed(outcomes, now)
    return estimator, now


def test_a_collapse_is_told_once_and_nothing_known_is_not_another():
    estimator, now = flooded_estimator()
    assert estimator.collapsed
    assert estimator.bits_per_second < 2 * M
    estimator.feed([], now + 0.05)
    assert not estimator.collapsed


@pytest.mark.parametrize("arrivals", [[], [0.5], [0.5, 0.5, 0.5]])
def test_what_comes_after_a_flood_may_tell_little(arrivals: list[float]):
    estimator, now = flooded_estimator()
    lost = [PacketResult(2000 + i, now, 1200, None, None, late=False) for i in range(5)]
    came = [PacketResult(2010 + i, now, 1200, now + 50 + at, 7, late=False) for i, at in enumerate(arrivals)]
    estimator.feed(lost + came, now + 0.1)
    assert estimator.bits_per_second >= MIN_BPS


def shrinking(estimator: BandwidthEstimator, now: float, *, sent: float, passes: float) -> float:
    """One feedback message of packets that left at ``sent`` bits a second over a way that ``passes`` less, and had
    not met a queue before."""
    outcomes, arrival = [], now + 50.0
    for index in range(20):
        now += 1200 * 8 / sent
        arrival = max(arrival + 1200 * 8 / passes, now + 50)
        estimator.sent(1200, now)
        outcomes.append(PacketResult(5000 + index, now, 1200, arrival, None, late=False))
    estimator.feed(outcomes[6:], now + 0.1)
    return now


def running(estimator: BandwidthEstimator, rate: float) -> float:
    """Two seconds over a way that takes whatever is sent; returns the time."""
    now = 1000.0
    for message in range(40):
        outcomes = []
        for index in range(max(round(rate * 0.05 / 9600), 1)):
            now += 9600 / rate
            estimator.sent(1200, now)
            outcomes.append(PacketResult(message * 100 + index, now, 1200, now + 50, None, late=False))
        estimator.feed(outcomes, now)
    return now


def test_a_queue_that_begins_to_fill_at_a_tenth_of_what_is_sent_is_a_collapse_already():
    estimator = BandwidthEstimator(start=20 * M)
    shrinking(estimator, running(estimator, 8 * M), sent=20 * M, passes=2 * M)
    assert estimator.queueing_delay_s < 0.05, "no packet waited long yet"
    assert estimator.collapsed
    assert estimator.bits_per_second == pytest.approx(0.85 * 2 * M, rel=0.1)


def test_a_frame_that_is_large_for_its_link_is_none():
    """A keyframe takes as long on a thin link, which takes what is sent for good."""
    estimator = BandwidthEstimator(start=2.5 * M)
    shrinking(estimator, running(estimator, 1.5 * M), sent=6 * M, passes=2 * M)
    assert not estimator.collapsed
    assert estimator.bits_per_second > 2 * M


def test_a_collapse_is_not_followed_by_another_for_what_was_sent_before_it():
    estimator = BandwidthEstimator(start=20 * M)
    now = shrinking(estimator, running(estimator, 8 * M), sent=20 * M, passes=2 * M)
    assert estimator.collapsed
    shrinking(estimator, now + 0.3, sent=4 * M, passes=2 * M)
    assert not estimator.collapsed, "a keyframe at the new rate"
