"""How much is lost, over a short window and over a long one."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from framewire.rtc.estimate.loss import (
    ASSUME_MIN_RTT_S,
    ASSUME_UNTIL_PACKETS,
    ASSUMED_BURST_PACKETS,
    ASSUMED_LOSS_FRACTION,
    LossModel,
    RecentLoss,
)
from framewire.rtc.rtp.twcc import PacketResult
from tests.rtc.linksim import gilbert_losses


def results(losses: Iterable[bool], *, late: bool = False) -> list[PacketResult]:
    return [PacketResult(i, 1.0, 1200, None if lost else 1.0, None, late) for i, lost in enumerate(losses)]


def modelled(*phases: list[bool], message: int = 30) -> LossModel:
    """A model after these losses, ``message`` packets to a feedback message."""
    model = LossModel()
    for losses in phases:
        for at in range(0, len(losses), message):
            model.feed(results(losses[at : at + message]))
    return model


# Recent loss


def recent() -> RecentLoss:
    loss = RecentLoss()
    loss.update(10.0)
    return loss


def test_recent_loss_is_an_average_over_100_packets():
    loss = recent()
    loss.add(20, 20, 0)
    assert loss.update(10.25) == 40
    assert loss.newest_fraction == 0.5
    assert loss.fraction == pytest.approx(0.5 * 0.4)
    loss.add(100, 100, 0)
    assert loss.update(10.5) == 200
    assert loss.fraction == 0.5, "of more than 100, the newest alone"


def test_no_loss_is_known_at_first():
    assert RecentLoss().fraction == RecentLoss().newest_fraction == 0


def test_recent_loss_is_updated_every_fifth_of_a_second_at_most():
    loss = recent()
    loss.add(30, 0, 0)
    assert loss.update(10.19) is None
    assert loss.update(10.201) == 30
    loss.add(30, 0, 0)
    assert loss.update(10.39) is None, "the next interval begins with the update"


def test_recent_loss_is_updated_with_20_packets_at_least():
    loss = recent()
    loss.add(10, 9, 0)
    assert loss.update(10.5) is None
    loss.add(1, 0, 0)
    assert loss.update(10.5) == 20
    assert loss.update(11.5) is None, "nor without any packet"


def test_a_few_packets_show_at_last_that_loss_is_over():
    loss = recent()
    loss.add(50, 50, 0)
    loss.update(10.5)
    loss.add(1, 0, 0)
    assert loss.update(11.05) is None
    assert loss.fraction == 0.5
    assert loss.update(11.11) == 1
    assert loss.fraction == 0, "it replaces the average"


def test_an_overtaken_packet_is_not_lost():
    loss = recent()
    loss.add(70, 30, 0)
    loss.add(0, 0, 30)
    assert loss.update(10.5) == 100
    assert loss.newest_fraction == loss.fraction == 0


def test_packets_that_were_counted_as_lost_in_the_last_interval_make_no_negative_loss():
    loss = recent()
    loss.add(70, 30, 0)
    loss.update(10.5)
    loss.add(10, 0, 30)
    loss.update(11.5)
    assert loss.newest_fraction == 0


# The loss model


@pytest.mark.parametrize(("fraction", "burst"), [(0.01, 1), (0.03, 1), (0.1, 4), (0.05, 2)])
def test_the_model_learns_how_much_is_lost_and_in_what_bursts(fraction: float, burst: float):
    model = LossModel()
    seen = []
    for lost in gilbert_losses(fraction, burst, 30_000):
        model.feed(results([lost]))
        seen.append((model.fraction, model.burst))
    settled = seen[5000:]
    assert sum(f for f, _ in settled) / len(settled) == pytest.approx(fraction, rel=0.4)
    assert sum(b for _, b in settled) / len(settled) == pytest.approx(burst, rel=0.4)


def test_the_first_loss_is_one_of_a_hundred_packets():
    assert modelled([True]).fraction == pytest.approx(1 / 101)
    assert modelled([True]).burst == 1


def test_the_long_average_covers_1200_packets():
    model = modelled([i % 50 == 0 for i in range(1, 3001)])
    before = model.fraction
    assert before == pytest.approx(0.02, rel=0.1)
    model.feed(results([True]))
    assert model.fraction - before == pytest.approx((1 - before) / 1200, rel=0.05)


def test_burst_lengths_are_known_once_a_few_bursts_were_seen():
    """A burst that has only begun must not count for more than it is, however quickly loss is noticed."""
    bursts = [modelled(gilbert_losses(0.1, 4, 210, seed)).burst for seed in range(60)]
    assert sorted(bursts)[len(bursts) // 2] > 3.5


def test_the_first_frame_is_protected_while_nothing_is_known_and_the_round_trip_is_long():
    model = LossModel()
    assert model.assumed(ASSUME_MIN_RTT_S) == (0.0, 1.0)
    assert model.assumed(ASSUME_MIN_RTT_S + 0.001) == (ASSUMED_LOSS_FRACTION, ASSUMED_BURST_PACKETS) == (0.03, 2.0)
    model.feed(results([False] * (ASSUME_UNTIL_PACKETS - 1)))
    assert model.assumed(0.15) == (0.03, 2.0)
    model.feed(results([False]))
    assert model.assumed(0.15) == (0.0, 1.0)
    assert (ASSUME_UNTIL_PACKETS, ASSUME_MIN_RTT_S) == (150, 0.1)


def test_measured_loss_counts_where_it_exceeds_the_assumed():
    model = modelled(gilbert_losses(0.4, 4, ASSUME_UNTIL_PACKETS - 1))
    assert model.fraction > ASSUMED_LOSS_FRACTION and model.burst > ASSUMED_BURST_PACKETS
    assert model.assumed(0.15) == (model.fraction, model.burst)


def test_rising_loss_is_noticed_within_a_few_frames():
    assert modelled([False] * 5000, gilbert_losses(0.1, 1, 150)).fraction > 0.02


def test_a_rise_is_the_newest_200_packets():
    model = modelled([False] * 5000, [i % 2 == 0 for i in range(200)], message=200)
    assert model.fraction == pytest.approx(sum(1 / 200 * (1 - 1 / 200) ** age for age in range(1, 200, 2)))


def regular(every: int, packets: int, burst: int = 1) -> list[bool]:
    """The first ``burst`` of every so many packets are lost."""
    return [index % every < burst for index in range(packets)]


@pytest.mark.parametrize(("every", "low", "high"), [(60, 0.006, 0.01), (20, 0.025, 0.04)])
def test_little_loss_has_risen_once_it_is_too_much_for_chance(every: int, low: float, high: float):
    """Half a percent, then 1.7 or 5 %: of 200 packets, three or ten losses instead of one."""
    model = modelled(regular(200, 6000), regular(every, 201), message=1)
    assert low < model.fraction < high


@pytest.mark.parametrize(("every", "rise"), [(6, False), (2, True)])
def test_much_loss_has_risen_once_it_doubles(every: int, rise: bool):
    model = modelled(regular(10, 6000), regular(every, 200), message=1)
    assert (model.fraction > 0.25) == rise


def test_two_bursts_that_follow_closely_are_no_rise():
    """Half a percent in bursts of four; the short average rises to three percent."""
    model = modelled(regular(800, 8000, burst=4), regular(100, 104, burst=4), message=1)
    assert model.fraction < 0.015


def test_after_8000_packets_without_loss_the_fraction_is_almost_zero():
    assert modelled(gilbert_losses(0.05, 1, 3000), [False] * 8000).fraction < 0.001


def test_losses_that_meet_by_chance_are_dropped_from_the_average_within_seconds():
    usual = gilbert_losses(0.1, 4, 6000)
    assert modelled(usual, [True] * 60, gilbert_losses(0.1, 4, 600, seed=3)).fraction < 0.18


@pytest.mark.parametrize("seed", range(4))
def test_chance_is_no_rise(seed: int):
    """Where a tenth is lost in bursts of four, the short average alone often doubles."""
    model = LossModel()
    losses = gilbert_losses(0.1, 4, 20_000, seed)
    highest = 0.0
    for at in range(0, len(losses), 30):
        model.feed(results(losses[at : at + 30]))
        highest = max(highest, model.fraction if at > 5000 else 0.0)
    assert highest < 0.26


def test_an_overtaken_packet_is_counted_once():
    model = modelled([True] * 20)
    before = model.fraction, model.burst
    model.feed(results([False] * 20, late=True))
    assert (model.fraction, model.burst) == before


def test_loss_that_ended_suddenly_is_not_protected_against_for_long():
    model = modelled([False] * 20 + [True] * 60, message=100)
    assert model.fraction > 0.2
    model.feed(results([False] * 500))
    assert model.fraction == pytest.approx(4 * 5 / 500), "four bursts of five, in 500 packets"


def test_single_losses_that_ended_are_known_to_have_ended_sooner():
    model = modelled([i % 20 == 0 for i in range(2000)], message=100)
    assert model.burst == 1 and model.fraction == pytest.approx(0.05, rel=0.2)
    model.feed(results([False] * 380))
    assert model.fraction == pytest.approx(4 / 399)


@pytest.mark.parametrize(("fraction", "burst"), [(0.01, 1), (0.1, 4)])
def test_a_lucky_moment_is_no_end_of_loss(fraction: float, burst: float):
    model = LossModel()
    lows = []
    for lost in gilbert_losses(fraction, burst, 30_000, seed=3):
        model.feed(results([lost]))
        lows.append(model.fraction)
    assert sorted(lows[5000:])[len(lows) // 20] > fraction / 4
