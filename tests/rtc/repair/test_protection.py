"""What loss does to frames, measured against chance itself, and what is done about it."""

from __future__ import annotations

import pytest

from framewire.rtc.repair.protection import (
    MOST,
    MOST_BURSTS,
    STRIDE,
    PlayoutDelay,
    ceiling,
    failing,
    lateness,
    parity_count,
)
from framewire.rtc.rtp.flexfec import interleaving_depths
from tests.rtc.linksim import gilbert_losses
from tests.rtc.rig import NOW, Rig


def simulated(packets, count, fraction, burst, frames=20_000):
    """Part of the frames that the parities cannot restore."""
    fates = iter(gilbert_losses(fraction, burst, frames * (packets + count), seed=7))
    covers = [
        {i for i in range(packets) if i % ways == way}
        for ways in interleaving_depths(count)
        for way in range(min(ways, packets))
    ]
    failed = 0
    for _ in range(frames):
        missing = {i for i in range(packets) if next(fates)}
        arrived = [cover for cover in covers if not next(fates)]
        while found := next((cover & missing for cover in arrived if len(cover & missing) == 1), None):
            missing -= found
        failed += bool(missing)
    return failed / frames


@pytest.mark.parametrize(
    ("packets", "count", "fraction", "burst"),
    [
        (10, 1, 0.01, 1),
        (30, 3, 0.01, 1),
        (10, 4, 0.03, 1),
        (16, 5, 0.03, 1),
        (16, 7, 0.03, 1),
        (40, 7, 0.03, 1),
        (8, 4, 0.1, 4),
        (7, 9, 0.1, 4),
        (20, 9, 0.05, 2),
    ],
)
def test_the_guess_is_about_what_chance_does(packets, count, fraction, burst):
    real = simulated(packets, count, fraction, burst)
    assert real / 2.5 < failing(packets, count, fraction, burst) < real * 2.5


def test_none_where_nothing_is_lost_or_asking_again_is_as_quick():
    assert parity_count(30, 0.0, 1, 0.1, 1 / 30) == 0
    assert parity_count(30, 0.0005, 1, 0.1, 1 / 30) == 0
    assert parity_count(30, 0.05, 1, 0.01, 1 / 30) == 0


def test_more_loss_longer_ways_and_larger_frames_get_more():
    def count(packets=20, fraction=0.01, burst=1.0, rtt=0.05):
        return parity_count(packets, fraction, burst, rtt, 1 / 30)

    assert 0 < count(fraction=0.003) <= count() <= count(fraction=0.03)
    assert count(fraction=0.003) < count(fraction=0.03)
    assert count(rtt=0.02) < count(rtt=0.3)
    assert count(packets=5) < count(packets=60)
    assert count(burst=1.0) < count(burst=3.0)


def test_never_more_than_half_but_where_losses_come_in_bursts():
    for packets in (4, 10, 60):
        assert parity_count(packets, 0.2, 1, 0.2, 1 / 30) <= round(packets * MOST)
        assert parity_count(packets, 0.2, 5, 0.2, 1 / 30) == round(packets * MOST_BURSTS)
    assert parity_count(1, 0.01, 1, 0.1, 1 / 30) == 1
    assert parity_count(2, 0.1, 4, 0.15, 1 / 30) == 2


def test_frames_get_smaller_with_loss_and_only_then():
    assert ceiling(0.0) == ceiling(0.002) == float("inf")
    assert ceiling(0.01) > ceiling(0.03) > ceiling(0.1) > 1e6


def patient(late=0.0, rtt=0.1, jitter=0.0, seconds=5.0, patience=None, since=0.0):
    patience = patience or PlayoutDelay()
    for frame in range(int(seconds * 30)):
        patience.look(late, rtt, jitter, since + frame / 30)
    return patience


def test_frames_are_shown_as_they_come_where_few_wait_for_a_retransmission():
    assert patient(late=0.08, jitter=0.003).seconds == 0


def test_frames_are_held_for_a_retransmission_where_many_wait_for_one():
    held = patient(late=0.6, rtt=0.15).seconds
    assert 0.15 + 0.04 < held < 0.15 + 0.1
    assert held == pytest.approx(round(held, 2)), "it is told in hundredths"
    assert patient(late=1.0, rtt=2.0).seconds <= 0.4


def test_the_picture_does_not_stand_still_for_as_long_as_frames_are_held():
    patience, before = PlayoutDelay(), 0.0
    for frame in range(400):
        patience.look(0.6 if frame < 60 else 0.0, 0.15, 0.0, frame / 30)
        assert abs(patience.seconds - before) <= STRIDE + 1e-9
        before = patience.seconds
        assert frame != 60 or before > 0.2
    assert before < 0.2


def test_a_little_is_held_for_jitter_on_a_long_way_only():
    assert 0 < patient(rtt=0.1, jitter=0.01).seconds <= 0.03
    assert patient(rtt=0.02, jitter=0.01).seconds == 0


def test_nobody_waits_in_vain_for_long_but_it_does_not_come_and_go():
    patience = patient(late=0.6, rtt=0.15)
    held = patience.seconds
    assert patient(late=0.12, rtt=0.15, patience=patience, since=10).seconds == held
    assert patient(late=0.0, rtt=0.15, patience=patience, since=20, seconds=15).seconds == 0


def test_without_parities_every_lost_packet_is_a_late_frame():
    assert failing(10, 0, 0.01, 1) == pytest.approx(0.095, rel=0.05)
    assert lateness(10, 0, 0.01, 1, 0.1, 1 / 30) == pytest.approx(4 * failing(10, 0, 0.01, 1))


def test_a_delay_that_was_asked_for_by_mistake_goes_at_once_and_step_by_step():
    patience = patient(late=0.6, rtt=0.15)
    before = patience.seconds
    patience.forget()
    patience.look(0.0, 0.15, 0.0, 5.01)
    assert before - STRIDE - 1e-9 <= patience.seconds < before
    assert patient(late=0.0, rtt=0.15, patience=patience, since=5.02, seconds=1.5).seconds == 0


def test_a_sender_asks_for_no_delay_any_more_once_it_is_known_that_nothing_is_lost_on_the_way():
    live = Rig()
    live.send(keyframe=True)
    patience = live.sender._patience
    patience._aim = patience.seconds = 0.3
    patience._changed_at = NOW
    live.send(0.033)
    assert patience._aim == 0.3
    live.flow.forgiven += 1
    live.send(0.066)
    assert patience._aim == 0 < patience.seconds < 0.3


def test_a_way_whose_round_trip_is_long_now_and_then_is_no_long_way():
    patience = PlayoutDelay()
    for frame in range(300):
        patience.look(0.1, 0.19 if frame % 10 == 5 else 0.1, 0.0, frame / 30)
    assert patience.seconds == 0
