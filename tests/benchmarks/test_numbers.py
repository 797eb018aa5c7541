"""From sightings to the numbers of the table."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.numbers import Outcome, median_of, psnr, watch
from benchmarks.probe import Sighting


def watched(times: dict[int, tuple[float, float]], begin: float, end: float) -> Outcome:
    """An outcome of frames that were published and seen at these times."""
    outcome = Outcome("ours", "here")
    seen = [Sighting(at, number, "video") for number, (_, at) in times.items()]
    watch(outcome, seen, {number: published for number, (published, _) in times.items()}, begin, end)
    return outcome


def test_an_even_stream_has_its_rate_and_latency():
    outcome = watched({n: (n / 10, n / 10 + 0.05) for n in range(1, 100)}, 1.0, 5.0)
    assert outcome.fps == pytest.approx(10, rel=0.05)
    assert outcome.p50_ms == pytest.approx(50)
    assert outcome.p99_ms == pytest.approx(50)
    assert outcome.gap_ms == pytest.approx(100)
    assert outcome.frozen_s == 0
    assert outcome.shown_by == "video"


def test_a_gap_is_frozen_from_a_fifth_of_a_second_on():
    outcome = watched({1: (0.0, 0.1), 2: (0.2, 0.29), 3: (1.2, 1.29), 4: (1.3, 1.39)}, 0.0, 1.4)
    assert outcome.gap_ms == pytest.approx(1000)
    assert outcome.frozen_s == pytest.approx(1.0)


def test_a_stream_that_ends_early_is_frozen_until_the_end_of_the_window():
    outcome = watched({1: (0.0, 0.1)}, 0.0, 5.1)
    assert outcome.gap_ms == pytest.approx(5000)
    assert outcome.frozen_s == pytest.approx(5.0)


def test_nothing_seen_is_no_latency_and_all_frozen():
    outcome = watched({}, 0.0, 3.0)
    assert outcome.fps == 0
    assert math.isnan(outcome.p50_ms)
    assert outcome.frozen_s == pytest.approx(3.0)


def test_psnr_of_a_known_error():
    picture = np.full((8, 8, 3), 100, np.uint8)
    assert psnr(picture, picture) == (99.0, 0.0)
    ratio, worst = psnr(picture + np.uint8(5), picture)
    assert ratio == pytest.approx(20 * math.log10(255 / 5))
    assert worst == 5
    assert psnr(picture, picture + np.uint8(5)) == (ratio, worst)


def test_runs_become_one_by_medians_and_failed_runs_do_not_count():
    runs = [Outcome("ours", "here", p50_ms=value, shown=[(0.0, value)]) for value in (10.0, 30.0, 20.0)]
    merged = median_of([*runs, Outcome("ours", "here", p50_ms=500.0, error="fell over")])
    assert merged.p50_ms == 20
    assert not merged.error
    assert len(merged.shown) == 3
    assert math.isnan(merged.psnr_db)


def test_a_system_that_never_ran_says_why():
    assert median_of([Outcome("ours", "here", error="no Python 3.12")]).error == "no Python 3.12"
