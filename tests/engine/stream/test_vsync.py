"""Frames and a screen, as arithmetic: how many are never seen, with and without a word about where they are ready."""

from __future__ import annotations

import cmath
import math
import random

import pytest

from framewire.engine.stream.vsync import CLOSE, VsyncPhase

REFRESH = 1 / 60
WAY = 0.009
"""Seconds from the encoder to a picture that is ready."""


def circular(slacks: list[float], refresh: float) -> float:
    """As `js/src/core/beat.ts` has it."""
    mean = sum(cmath.exp(2j * math.pi * slack / refresh) for slack in slacks)
    return cmath.phase(mean) / (2 * math.pi) % 1 * refresh


def play(
    beat: VsyncPhase,
    *,
    fps: float,
    refresh: float = REFRESH,
    jitter: float = 0.002,
    late: float = 0.05,
    reports: bool = True,
) -> tuple[float, float]:
    """Fraction of frames that a screen never shows, and the seconds that one waited here on average; what the viewer
    says arrives ``late``."""
    seconds = 30.0
    chance = random.Random(4)
    shown: dict[int, int] = {}
    slacks: list[float] = []
    waited, told = 0.0, 0.5
    count = int(seconds * fps)
    for number in range(count):
        published = 10 + number / fps
        wait = beat.wait(1 / fps, published)
        waited += wait
        ready = published + wait + WAY + chance.uniform(-jitter, jitter)
        drawn = math.ceil(ready / refresh)
        # Of two in one refresh the later is seen.
        shown[drawn] = number
        slacks.append(drawn * refresh - ready)
        if reports and published > 10 + told:
            ends = len(slacks) - round(late * fps)
            beat.look(circular(slacks[max(ends - 15, 0) : ends], refresh), refresh, published)
            told += 0.5
    return 1 - len(shown) / count, waited / count


@pytest.mark.parametrize("fps", [59.7, 59.95, 60.0, 60.1])
def test_frames_as_fast_as_the_screen_are_seen(fps):
    lost_before, _ = play(VsyncPhase(), fps=fps, reports=False)
    lost, waited = play(VsyncPhase(), fps=fps)
    # More frames than refreshes cannot all be seen.
    needless = max(fps / 60 - 1, 0)
    assert lost - needless < 0.005
    assert lost <= lost_before
    assert waited < 2 * CLOSE[0]


@pytest.mark.parametrize("late", [0.0, 0.1, 0.3])
def test_what_is_told_late_is_not_acted_on_twice(late):
    assert play(VsyncPhase(), fps=59.95, late=late)[0] < 0.01


@pytest.mark.parametrize("rate", [120, 144])
def test_faster_screens_lose_no_more_than_without_it_and_waits_are_short(rate):
    for fps in (rate - 0.3, rate - 0.05):
        lost, waited = play(VsyncPhase(), fps=fps, refresh=1 / rate, jitter=0.0005)
        before, _ = play(VsyncPhase(), fps=fps, refresh=1 / rate, jitter=0.0005, reports=False)
        assert lost <= before + 0.002
        assert waited < 0.3 / rate


def test_without_it_those_that_are_ready_about_when_the_screen_is_drawn_are_lost():
    """What the test above would pass on, were the screen kinder than it is."""
    assert play(VsyncPhase(), fps=59.7, reports=False)[0] > 0.02


def test_frames_far_from_the_refresh_wait_for_nothing():
    beat = VsyncPhase()
    beat.look(0.008, REFRESH, 1.0)
    assert beat.wait(REFRESH, 1.0) == 0


@pytest.mark.parametrize("fps", [24.0, 30.0, 120.0])
def test_streams_of_another_rate_than_the_screen_wait_for_nothing(fps):
    assert play(VsyncPhase(), fps=fps)[1] < 0.0001


def test_a_viewer_that_says_no_more_is_not_waited_for():
    beat = VsyncPhase()
    beat.look(0.001, REFRESH, 1.0)
    assert beat.wait(REFRESH, 1.0) == pytest.approx(0.001 + CLOSE[1] * REFRESH)
    beat.rest()
    assert beat.wait(REFRESH, 1.0) == 0
    beat.look(0.001, REFRESH, 1.0)
    assert beat.wait(REFRESH, 3.5) == 0, "it has been silent for long"


@pytest.mark.parametrize(("slack", "refresh"), [(0.001, 0.0), (1e9, 1e9), (-5.0, 0.0166), (0.001, -1.0)])
def test_nonsense_moves_nothing_far(slack, refresh):
    beat = VsyncPhase()
    beat.look(slack, refresh, 1.0)
    assert 0 <= beat.wait(REFRESH, 1.0) <= REFRESH * 2 / 3


@pytest.mark.parametrize("refresh", [1 / 60, 1 / 75, 1 / 120, 1 / 240])
def test_no_frame_waits_for_more_than_two_thirds_of_a_refresh(refresh):
    for step in range(200):
        beat = VsyncPhase()
        for now, slack in enumerate((0.0, step / 200 * refresh)):
            beat.look(slack, refresh, 1.0 + now)
            assert 0 <= beat.wait(refresh, 1.0 + now) <= refresh * 2 / 3


def test_what_is_told_right_after_a_move_speaks_of_before_it():
    beat = VsyncPhase()
    beat.look(0.002, REFRESH, 1.0)
    moved = beat.wait(REFRESH, 1.0)
    beat.look(0.002, REFRESH, 1.5)
    assert beat.wait(REFRESH, 1.5) == moved
    beat.look((0.002 - moved) % REFRESH, REFRESH, 2.0)
    assert beat.wait(REFRESH, 2.0) == pytest.approx(moved)
