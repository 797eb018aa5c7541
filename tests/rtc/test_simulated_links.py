"""The whole send side over simulated links: how much of a link it uses, how long packets wait, how fast it learns.

Each simulation runs once and is looked at from several sides. Bounds are those we promise, with room for chance.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import pytest

from framewire.rtc.repair.fec_policy import max_media_bps
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
