"""When frames are halved since there is no time to encode all of them, and when full size comes back."""

from __future__ import annotations

import pytest

from framewire.engine.stream.overload import (
    CHANGE_AFTER_S,
    FULL_SIZE_FITS_FRACTION,
    FULL_SIZE_RETRY_MAX_S,
    FULL_SIZE_RETRY_MIN_S,
    KEEPS_UP_FRACTION,
    STILL_AFTER_S,
    Overload,
)

FPS = 60


def encode(overload: Overload, cost_s: float, seconds: float, since: float = 0.0, interval_s: float = 1 / FPS) -> float:
    """Frames are published for so long; returns the time. At half size, encoding takes a third."""
    frames = round(seconds / interval_s)
    for frame in range(frames):
        overload.update(cost_s / 3 if overload.half else cost_s, interval_s, since + frame * interval_s)
    return since + frames * interval_s


def halved(now: float = 0.0, cost_s: float = 0.04) -> tuple[Overload, float]:
    overload = Overload()
    now = encode(overload, cost_s, CHANGE_AFTER_S + 1, now)
    assert overload.half
    return overload, now


def test_five_of_six_frames_are_enough() -> None:
    for cost_s, half in (
        (0.02, False),
        (1.01 / KEEPS_UP_FRACTION / FPS, True),
        (0.99 / KEEPS_UP_FRACTION / FPS, False),
    ):
        overload = Overload()
        encode(overload, cost_s, 20)
        assert overload.half is half
    assert KEEPS_UP_FRACTION == 0.7


def test_a_stream_that_is_too_much_is_halved_after_two_seconds() -> None:
    overload = Overload()
    now = encode(overload, 0.04, CHANGE_AFTER_S - 0.1)
    assert not overload.half and CHANGE_AFTER_S == 2.0
    encode(overload, 0.04, 0.2, now)
    assert overload.half


def test_a_short_time_without_the_processor_changes_nothing() -> None:
    overload, now = Overload(), 0.0
    for _ in range(10):
        now = encode(overload, 0.04, CHANGE_AFTER_S - 0.1, now)
        now = encode(overload, 0.01, 0.1, now)
    assert not overload.half


def test_full_size_comes_back_when_frames_come_slower() -> None:
    overload, now = halved()
    now = encode(overload, 0.04, CHANGE_AFTER_S - 0.1, now, interval_s=1 / 20)
    assert overload.half
    encode(overload, 0.04, 0.3, now, interval_s=1 / 20)
    assert not overload.half


def test_full_size_comes_back_with_a_margin() -> None:
    for fraction, half in ((FULL_SIZE_FITS_FRACTION + 0.01, True), (FULL_SIZE_FITS_FRACTION - 0.01, False)):
        overload, now = halved()
        encode(overload, 0.04, 5, now, interval_s=0.04 / fraction)
        assert overload.half is half
    assert FULL_SIZE_FITS_FRACTION == 0.9


def test_a_still_picture_has_full_size_at_once() -> None:
    for interval_s, half in ((STILL_AFTER_S, True), (STILL_AFTER_S + 0.01, False)):
        overload, now = halved()
        overload.update(0.013, interval_s, now)
        assert overload.half is half
    assert STILL_AFTER_S == 0.2


def test_a_still_picture_is_never_halved() -> None:
    overload = Overload()
    for now in range(20):
        overload.update(0.45, 0.3, float(now))
        assert not overload.half


def test_full_size_is_retried_less_and_less_often() -> None:
    overload, changes, before = Overload(), list[float](), False
    for frame in range(2000 * FPS):
        now = frame / FPS
        overload.update(0.013 if overload.half else 0.04, 1 / FPS, now)
        if overload.half != before:
            changes.append(now)
            before = overload.half
    halvings, retries = changes[::2], changes[1::2]
    waited = [retry - halving for halving, retry in zip(halvings, retries, strict=False)]
    assert waited == pytest.approx([30, 60, 120, 240, 480, 480, 480], abs=0.1)
    held = [halving - retry for retry, halving in zip(retries, halvings[1:], strict=False)]
    assert held == pytest.approx([CHANGE_AFTER_S] * len(held), abs=0.1)
    assert (FULL_SIZE_RETRY_MIN_S, FULL_SIZE_RETRY_MAX_S) == (30.0, 480.0)


def wait_for_retry(overload: Overload, since: float) -> float:
    """Seconds until full size is tried, while it does not fit."""
    now = since
    while overload.half:
        overload.update(0.013, 1 / FPS, now)
        now += 1 / FPS
        assert now < since + 1000
    return now - since


def test_full_size_that_held_for_long_is_retried_as_soon_as_at_first() -> None:
    for held_s, wait_s in ((FULL_SIZE_RETRY_MIN_S - 5, 60), (FULL_SIZE_RETRY_MIN_S + 5, 30)):
        overload, now = halved()
        now += wait_for_retry(overload, now)
        now = encode(overload, 0.01, held_s, now)
        now = encode(overload, 0.04, CHANGE_AFTER_S + 0.05, now)
        assert overload.half
        assert wait_for_retry(overload, now) == pytest.approx(wait_s, abs=0.1)


def test_full_size_that_came_back_as_it_fitted_has_not_failed() -> None:
    overload, now = halved()
    now = encode(overload, 0.04, CHANGE_AFTER_S + 0.5, now, interval_s=1 / 20)
    assert not overload.half
    now = encode(overload, 0.04, CHANGE_AFTER_S + 0.05, now)
    assert overload.half
    assert wait_for_retry(overload, now) == pytest.approx(FULL_SIZE_RETRY_MIN_S, abs=0.1)


def test_what_fits_when_the_retry_is_due_has_not_failed() -> None:
    overload, now = halved()
    now += FULL_SIZE_RETRY_MIN_S + 1
    overload.update(0.013, 0.05, now)
    assert not overload.half, "the retry is due, and it fits as well"
    now = encode(overload, 0.04, CHANGE_AFTER_S + 0.05, now)
    assert overload.half
    assert wait_for_retry(overload, now) == pytest.approx(FULL_SIZE_RETRY_MIN_S, abs=0.1)


def test_a_change_back_needs_two_seconds_too() -> None:
    overload, now = halved()
    overload.update(0.013, 0.05, now)
    overload.update(0.013, 1 / FPS, now + 1.0)
    overload.update(0.013, 0.05, now + 2.5)
    assert overload.half, "the reason was gone meanwhile"


def test_after_a_change_the_reason_must_hold_anew() -> None:
    overload, now = halved()
    overload.update(0.013, 0.3, now)
    assert not overload.half, "the picture was still"
    now = encode(overload, 0.04, CHANGE_AFTER_S - 0.1, now)
    assert not overload.half
    encode(overload, 0.04, 0.3, now)
    assert overload.half


def test_what_fits_exactly_changes_nothing() -> None:
    overload = Overload()
    encode(overload, 0.02, 5, interval_s=0.02 * KEEPS_UP_FRACTION)
    assert not overload.half
    overload, now = halved(cost_s=0.05 * FULL_SIZE_FITS_FRACTION)
    encode(overload, 0.05 * FULL_SIZE_FITS_FRACTION, 5, now, interval_s=0.05)
    assert overload.half


def test_a_time_is_over_when_it_has_passed() -> None:
    """The very moment still belongs to it."""
    overload = Overload()
    slow, fast = (0.04, 1 / FPS), (0.001, 1 / FPS)
    overload.update(*slow, 0.0)
    overload.update(*slow, CHANGE_AFTER_S)
    assert not overload.half
    overload.update(*slow, 2.5)
    assert overload.half
    overload.update(*fast, 2.5 + FULL_SIZE_RETRY_MIN_S)
    assert overload.half
    overload.update(*fast, 33.0)
    assert not overload.half
    overload.update(*fast, 33.0 + FULL_SIZE_RETRY_MIN_S)
    for now in (64.0, 66.5):
        overload.update(*slow, now)
    assert overload.half
    overload.update(*fast, 66.5 + FULL_SIZE_RETRY_MIN_S + 1)
    assert overload.half, "full size had not held for long enough"


def test_a_change_is_not_undone_at_once() -> None:
    overload = Overload()
    overload.update(0.04, 1 / FPS, 0.0)
    overload.update(0.04, 1 / FPS, 2.5)
    overload.update(0.013, 1 / 20, 2.6)
    assert overload.half, "full size has fitted for a moment only"
