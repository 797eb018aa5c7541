"""How long viewers hold frames back."""

from __future__ import annotations

import pytest

from framewire.rtc.repair.playout_delay import (
    LATE_MAX_FRACTION,
    LATE_MAX_FRACTION_FAR,
    MAX_DELAY_S,
    MAX_STEP_PER_FRAME_S,
    MIN_JITTER_S,
    PlayoutDelay,
)


class Viewer:
    """A viewer at 30 frames per second."""

    def __init__(self, minimum_s: float = 0.0) -> None:
        self.delay = PlayoutDelay(minimum_s)
        self.now = 100.0
        self.history: list[float] = []

    def watch(self, late: float = 0.0, rtt_s: float = 0.1, jitter_s: float = 0.0, seconds: float = 5.0) -> float:
        """Watch for a while; returns the delay then."""
        for _ in range(round(seconds * 30)):
            self.now += 1 / 30
            self.delay.update(late, rtt_s, jitter_s, self.now)
            self.history.append(self.delay.seconds)
        return self.delay.seconds


@pytest.fixture
def viewer():
    return Viewer()


@pytest.mark.parametrize(
    ("rtt_s", "limit"), [(0.13, LATE_MAX_FRACTION), (0.139, LATE_MAX_FRACTION), (0.141, LATE_MAX_FRACTION_FAR)]
)
def test_frames_are_held_back_once_too_many_wait_for_a_retransmission(rtt_s, limit):
    assert Viewer().watch(limit * 0.95, rtt_s, seconds=60) == 0
    assert Viewer().watch(limit * 1.05, rtt_s, seconds=60) > rtt_s
    assert (LATE_MAX_FRACTION, LATE_MAX_FRACTION_FAR) == (0.2, 0.05)


@pytest.mark.parametrize(("rtt_s", "delay_s"), [(0.05, 0.11), (0.151, 0.22), (0.3, 0.36)])
def test_the_delay_covers_a_retransmission(rtt_s, delay_s):
    assert Viewer().watch(0.6, rtt_s) == pytest.approx(delay_s)


def test_the_delay_is_bounded():
    assert Viewer().watch(1.0, 2.0) == MAX_DELAY_S == 0.4


def test_whether_frames_come_late_is_known_within_a_second(viewer):
    viewer.watch(0.0, seconds=5)
    frames = 0
    while viewer.watch(0.6, seconds=1 / 30) == 0:
        frames += 1
    assert frames == 11, "an average over 30 frames exceeds a fifth"


def test_no_more_than_all_frames_are_late(viewer):
    frames = 0
    while viewer.watch(50.0, seconds=1 / 30) == 0:
        frames += 1
    assert frames == 6
    assert PlayoutDelay().seconds == 0


def test_the_delay_changes_step_by_step(viewer):
    viewer.watch(0.6, 0.15, seconds=3)
    assert viewer.history[-1] > 0.2
    viewer.watch(0.0, 0.15, seconds=13)
    assert viewer.history[-1] == 0
    steps = [after - before for before, after in zip([0.0, *viewer.history], viewer.history, strict=False)]
    assert (max(steps), min(steps)) == pytest.approx((MAX_STEP_PER_FRAME_S, -MAX_STEP_PER_FRAME_S))
    assert MAX_STEP_PER_FRAME_S == 0.01, "the picture freezes for as long"


def test_the_delay_is_raised_soon_and_lowered_late(viewer):
    short = viewer.watch(0.6, 0.15, seconds=1.5)
    assert 0.2 < short < 0.25
    # The average of the round trip is there within two seconds, but the delay was changed a moment ago.
    raised_at = viewer.now
    while viewer.watch(0.6, 0.25, seconds=1 / 30) <= short + 0.01:
        pass
    # Changed first 0.2 s after the start, so that 0.7 s are left of two.
    assert 0.6 < viewer.now - raised_at < 1.0
    viewer.watch(0.6, 0.25, seconds=20)
    assert viewer.watch(0.0, 0.25, seconds=1) > 0, "there are still late ones on average"
    lowered = Viewer()
    lowered.watch(0.6, 0.15, seconds=2)
    before = lowered.delay.seconds
    assert lowered.watch(0.0, 0.15, seconds=7) == before
    assert lowered.watch(0.0, 0.15, seconds=3) < before


def test_a_small_change_of_the_path_changes_nothing(viewer):
    before = viewer.watch(0.6, 0.15, seconds=10)
    assert viewer.watch(0.6, 0.159, seconds=20) == before
    assert viewer.watch(0.6, 0.169, seconds=20) > before, "20 ms more"


def test_the_delay_does_not_come_and_go(viewer):
    held = viewer.watch(0.6, 0.13)
    assert viewer.watch(0.15, 0.13, seconds=60) == held, "fewer are late, but more than half of the limit"
    assert viewer.watch(0.09, 0.13, seconds=60) == 0


@pytest.mark.parametrize(
    ("rtt_s", "jitter_s", "delay_s"),
    [(0.1, 0.0065, 0.02), (0.1, 0.03, 0.02), (0.1, 0.0055, 0.0), (0.075, 0.03, 0.0), (0.085, 0.03, 0.02)],
)
def test_a_little_is_held_back_for_jitter_on_a_long_path_only(rtt_s, jitter_s, delay_s):
    assert Viewer().watch(rtt_s=rtt_s, jitter_s=jitter_s, seconds=20) == delay_s


def test_three_times_the_jitter_is_held_back(viewer):
    assert Viewer().watch(rtt_s=0.1, jitter_s=0.0065, seconds=20) == 0.02
    viewer.watch(0.6, rtt_s=0.1)
    assert viewer.watch(rtt_s=0.1, jitter_s=0.0032, seconds=30) == 0.01


def test_half_of_the_jitter_is_enough_once_frames_are_held_back(viewer):
    viewer.watch(rtt_s=0.1, jitter_s=MIN_JITTER_S * 2, seconds=20)
    # Half of the limit is enough once frames are held back; the delay itself has changes of 15 ms and more only.
    assert viewer.watch(rtt_s=0.1, jitter_s=0.0032, seconds=60) == 0.02
    assert viewer.watch(rtt_s=0.1, jitter_s=0.0028, seconds=60) == 0


def test_a_shorter_delay_for_jitter_takes_the_place_of_a_long_one(viewer):
    viewer.watch(0.6, rtt_s=0.1)
    assert viewer.watch(rtt_s=0.1, jitter_s=0.0032, seconds=30) == 0.01


def test_frames_are_shown_as_they_come_where_few_are_late(viewer):
    assert viewer.watch(late=0.08, jitter_s=0.003) == 0


def test_a_minimum_is_held_from_the_start_and_for_good():
    viewer = Viewer(0.1)
    assert viewer.delay.seconds == 0.1
    assert viewer.watch(seconds=30) == 0.1
    assert viewer.watch(0.6, 0.15) > 0.1
    viewer.delay.reset()
    assert viewer.watch(seconds=30) == 0.1


def test_after_a_reset_the_delay_falls_at_once_and_step_by_step(viewer):
    before = viewer.watch(0.6, 0.15)
    viewer.delay.reset()
    assert viewer.watch(0.0, 0.15, seconds=1 / 30) == pytest.approx(before - MAX_STEP_PER_FRAME_S)
    assert viewer.watch(0.0, 0.15, seconds=1) == 0


def test_after_a_reset_it_may_rise_again_at_once(viewer):
    viewer.watch(0.6, 0.15)
    viewer.delay.reset()
    assert viewer.watch(0.6, 0.15, seconds=1.5) > 0.2


def test_one_long_round_trip_now_and_then_makes_no_long_path(viewer):
    for frame in range(300):
        viewer.watch(0.1, 0.19 if frame % 10 == 5 else 0.1, seconds=1 / 30)
    assert max(viewer.history) == 0
