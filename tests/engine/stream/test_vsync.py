"""Frames and a screen, as arithmetic: how many are never seen, with and without reports of when they are ready."""

from __future__ import annotations

import cmath
import math
import random

import pytest

from framewire.engine.stream.vsync import (
    KEEP_CLEAR_MAX_REFRESH_FRACTION,
    KEEP_CLEAR_S,
    MAX_INTERVAL_REFRESHES,
    MAX_REFRESH_S,
    MIN_INTERVAL_REFRESHES,
    MIN_MOVE_S,
    MIN_REFRESH_S,
    REPORT_TIMEOUT_S,
    REPORTS_STALE_AFTER_MOVE_S,
    STOP_WAITING_MARGIN_FRACTION,
    VsyncPhase,
)

REFRESH = 1 / 60
PATH_S = 0.009
"""Seconds from the encoder to a picture that is ready."""


def circular(slacks: list[float], refresh: float) -> float:
    """As the viewer computes it."""
    mean = sum(cmath.exp(2j * math.pi * slack / refresh) for slack in slacks)
    return cmath.phase(mean) / (2 * math.pi) % 1 * refresh


def play(
    phase: VsyncPhase,
    *,
    fps: float,
    refresh: float = REFRESH,
    jitter: float = 0.002,
    late: float = 0.05,
    reports: bool = True,
) -> tuple[float, float]:
    """The fraction of frames that a screen never shows, and the mean wait in seconds. Reports come ``late`` seconds."""
    seconds = 30.0
    chance = random.Random(4)
    shown: dict[int, int] = {}
    slacks: list[float] = []
    waited, next_report = 0.0, 0.5
    count = int(seconds * fps)
    for number in range(count):
        published = 10 + number / fps
        wait = phase.wait_s(1 / fps, published)
        waited += wait
        ready = published + wait + PATH_S + chance.uniform(-jitter, jitter)
        drawn = math.ceil(ready / refresh)
        # Of two in one refresh the later is seen.
        shown[drawn] = number
        slacks.append(drawn * refresh - ready)
        if reports and published > 10 + next_report:
            ends = len(slacks) - round(late * fps)
            phase.report(circular(slacks[max(ends - 15, 0) : ends], refresh), refresh, published)
            next_report += 0.5
    return 1 - len(shown) / count, waited / count


@pytest.mark.parametrize("fps", [59.7, 59.95, 60.0, 60.1])
def test_frames_as_fast_as_the_screen_are_seen(fps: float) -> None:
    lost_before, _ = play(VsyncPhase(), fps=fps, reports=False)
    lost, waited = play(VsyncPhase(), fps=fps)
    # More frames than refreshes cannot all be seen.
    needless = max(fps / 60 - 1, 0)
    assert lost - needless < 0.005
    assert lost <= lost_before
    assert waited < 2 * KEEP_CLEAR_S


@pytest.mark.parametrize("late", [0.0, 0.1, 0.3])
def test_a_late_report_is_not_acted_on_twice(late: float) -> None:
    assert play(VsyncPhase(), fps=59.95, late=late)[0] < 0.01


@pytest.mark.parametrize("rate", [120, 144])
def test_faster_screens_lose_no_more_frames_and_waits_are_short(rate: int) -> None:
    for fps in (rate - 0.3, rate - 0.05):
        lost, waited = play(VsyncPhase(), fps=fps, refresh=1 / rate, jitter=0.0005)
        before, _ = play(VsyncPhase(), fps=fps, refresh=1 / rate, jitter=0.0005, reports=False)
        assert lost <= before + 0.002
        assert waited < 0.3 / rate


def test_without_reports_frames_that_are_ready_when_the_screen_is_drawn_are_lost() -> None:
    """Otherwise the tests above would prove nothing."""
    assert play(VsyncPhase(), fps=59.7, reports=False)[0] > 0.02


def waits(slack_s: float, refresh_s: float = REFRESH, now: float = 1.0) -> float:
    """The wait after one report."""
    phase = VsyncPhase()
    phase.report(slack_s, refresh_s, now)
    return phase.wait_s(refresh_s, now)


CLEAR = KEEP_CLEAR_MAX_REFRESH_FRACTION * REFRESH
"""Of a screen of 60 Hz: a little less than `KEEP_CLEAR_S`."""


def test_frames_far_from_the_refresh_do_not_wait() -> None:
    assert waits(0.008) == 0
    assert waits(CLEAR) == 0
    assert waits(REFRESH - CLEAR - 1e-6) == 0


def test_frames_just_before_a_refresh_wait_until_they_are_clear_of_it() -> None:
    for slack_s in (0.0, 0.001, CLEAR - 1e-6):
        assert waits(slack_s) == pytest.approx(slack_s + CLEAR)


def test_frames_just_behind_a_refresh_wait_until_they_are_clear_of_it() -> None:
    for behind_s in (1e-6, 0.001, CLEAR - 1e-6):
        assert waits(REFRESH - behind_s) == pytest.approx(CLEAR - behind_s)


def test_slow_screens_keep_no_more_clear_than_frames_vary_by() -> None:
    assert waits(0.001, 1 / 30) == pytest.approx(0.001 + KEEP_CLEAR_S) and KEEP_CLEAR_S == 0.0045
    assert waits(KEEP_CLEAR_S + 1e-6, 1 / 30) == 0
    assert waits(0.001, 1 / 120) == pytest.approx(0.001 + 1 / 480) and KEEP_CLEAR_MAX_REFRESH_FRACTION == 0.25


@pytest.mark.parametrize("fps", [24.0, 30.0, 120.0])
def test_streams_of_another_rate_do_not_wait(fps: float) -> None:
    assert play(VsyncPhase(), fps=fps)[1] < 0.0001


def test_streams_about_as_fast_as_the_screen_wait() -> None:
    phase = VsyncPhase()
    phase.report(0.001, REFRESH, 1.0)
    assert (MIN_INTERVAL_REFRESHES, MAX_INTERVAL_REFRESHES) == (0.75, 1.3)
    for refreshes, wait in ((0.75, False), (0.76, True), (1.29, True), (1.3, False)):
        assert bool(phase.wait_s(refreshes * REFRESH, 1.0)) is wait


def test_a_silent_viewer_is_not_waited_for() -> None:
    phase = VsyncPhase()
    assert phase.wait_s(REFRESH, 0.0) == 0, "nothing was reported yet"
    phase.report(0.001, REFRESH, 1.0)
    assert phase.wait_s(REFRESH, 1.0) == pytest.approx(0.001 + CLEAR)
    assert phase.wait_s(REFRESH, 1.0 + REPORT_TIMEOUT_S) > 0 and REPORT_TIMEOUT_S == 2.0
    assert phase.wait_s(REFRESH, 1.001 + REPORT_TIMEOUT_S) == 0


def test_a_viewer_that_reports_again_after_a_long_silence_starts_anew() -> None:
    phase = VsyncPhase()
    phase.report(0.001, REFRESH, 1.0)
    phase.report(0.008, REFRESH, 1.0 + REPORT_TIMEOUT_S)
    assert phase.wait_s(REFRESH, 3.0) > 0, "not so long: what it reports includes the wait"
    phase.report(0.008, REFRESH, 5.5)
    assert phase.wait_s(REFRESH, 5.5) == 0, "its frames did not wait meanwhile"


def test_with_several_viewers_no_frame_waits() -> None:
    phase = VsyncPhase()
    phase.report(0.001, REFRESH, 1.0)
    phase.reset()
    assert phase.wait_s(REFRESH, 1.0) == 0
    phase.report(0.008, REFRESH, 1.1)
    assert phase.wait_s(REFRESH, 1.1) == 0
    phase.report(0.001, REFRESH, 1.2)
    assert phase.wait_s(REFRESH, 1.2) > 0, "and with one again, they do"


@pytest.mark.parametrize(("slack", "refresh"), [(0.001, 0.0), (1e9, 1e9), (-5.0, 0.0166), (0.001, -1.0)])
def test_nonsense_moves_no_frame_far(slack: float, refresh: float) -> None:
    phase = VsyncPhase()
    phase.report(slack, refresh, 1.0)
    assert 0 <= phase.wait_s(REFRESH, 1.0) <= REFRESH * 2 / 3


def test_impossible_refresh_rates_move_nothing() -> None:
    assert (MIN_REFRESH_S, MAX_REFRESH_S) == (0.004, 0.05)
    for refresh_s, wait in ((0.0039, False), (0.004, True), (0.05, True), (0.0501, False)):
        assert bool(waits(0.0001, refresh_s)) is wait


def test_an_impossible_refresh_rate_ends_a_wait() -> None:
    phase = VsyncPhase()
    phase.report(0.001, REFRESH, 1.0)
    phase.report(0.001, 1e9, 1.1)
    phase.report(0.008, REFRESH, 1.2)
    assert phase.wait_s(REFRESH, 1.2) == 0, "this report is believed, as no frame waited"


@pytest.mark.parametrize("refresh", [1 / 60, 1 / 75, 1 / 120, 1 / 240])
def test_no_frame_waits_for_more_than_two_thirds_of_a_refresh(refresh: float) -> None:
    for step in range(200):
        phase = VsyncPhase()
        for now, slack in enumerate((0.0, step / 200 * refresh)):
            phase.report(slack, refresh, 1.0 + now)
            assert 0 <= phase.wait_s(refresh, 1.0 + now) <= refresh * 2 / 3


def test_a_report_right_after_a_move_is_ignored() -> None:
    """It still speaks of the frames before the move."""
    phase = VsyncPhase()
    phase.report(0.002, REFRESH, 1.0)
    moved = phase.wait_s(REFRESH, 1.0)
    phase.report(0.002, REFRESH, 0.999 + REPORTS_STALE_AFTER_MOVE_S)
    assert phase.wait_s(REFRESH, 1.5) == moved and REPORTS_STALE_AFTER_MOVE_S == 0.7
    phase.report((0.002 - moved) % REFRESH, REFRESH, 1.0 + REPORTS_STALE_AFTER_MOVE_S)
    assert phase.wait_s(REFRESH, 2.0) == pytest.approx(moved), "with its wait it is just where it should be"
    phase.report((0.008 - moved) % REFRESH, REFRESH, 2.5)
    assert phase.wait_s(REFRESH, 2.5) == 0


def test_a_small_move_makes_no_report_stale() -> None:
    assert MIN_MOVE_S == 0.002
    for change_s, stale in ((MIN_MOVE_S - 1e-5, False), (MIN_MOVE_S + 1e-5, True)):
        phase = VsyncPhase()
        phase.report(REFRESH - CLEAR + change_s, REFRESH, 1.0)
        assert phase.wait_s(REFRESH, 1.0) == pytest.approx(change_s)
        phase.report(0.008, REFRESH, 1.1)
        assert bool(phase.wait_s(REFRESH, 1.1)) is stale


def test_a_report_that_confirms_a_wait_makes_no_report_stale() -> None:
    phase = VsyncPhase()
    phase.report(0.002, REFRESH, 0.0)
    waited = phase.wait_s(REFRESH, 0.0)
    at = REPORTS_STALE_AFTER_MOVE_S
    phase.report((0.0021 - waited) % REFRESH, REFRESH, at)
    assert phase.wait_s(REFRESH, at) == pytest.approx(waited + 0.0001), "old enough to be believed"
    phase.report((0.008 - waited) % REFRESH, REFRESH, at + 0.1)
    assert phase.wait_s(REFRESH, at + 0.1) == 0


def test_frames_that_wait_go_on_a_little_longer() -> None:
    """Or noise would move them to and fro."""
    assert STOP_WAITING_MARGIN_FRACTION == 0.3
    for margin, wait in ((0.29, True), (0.31, False)):
        phase = VsyncPhase()
        phase.report(CLEAR - 1e-6, REFRESH, 1.0)
        waited = phase.wait_s(REFRESH, 1.0)
        phase.report(CLEAR * (1 + margin) - waited, REFRESH, 2.0)
        assert bool(phase.wait_s(REFRESH, 2.0)) is wait
