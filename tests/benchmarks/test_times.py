"""When a picture counts as moving again, and what a row of the fault table says."""

from __future__ import annotations

import math

import pytest

from benchmarks.faults.times import GAP_S, STEADY_S, Row, Seen, longest_gap, moving_again, row


def moving(start, end, delay=0.05, every=0.1):
    """Pictures from ``start`` to ``end``, each published ``delay`` before."""
    return [
        Seen(start + index * every, start + index * every - delay) for index in range(round((end - start) / every) + 1)
    ]


def test_the_time_is_that_of_the_first_picture_after_which_it_keeps_moving():
    seen = moving(0.0, 10.0) + moving(13.0, 16.0)
    assert moving_again(seen, 10.0, 16.0) == pytest.approx(3.0)


def test_pictures_published_before_the_fault_do_not_count():
    seen = [*moving(0.0, 10.0), *moving(12.0, 12.5, delay=2.6), *moving(12.6, 15.0)]
    assert moving_again(seen, 10.0, 15.0) == pytest.approx(2.6)


def test_a_picture_that_comes_and_stops_again_is_not_the_end():
    # The fault takes effect a moment after it was asked for.
    seen = moving(0.0, 10.3) + moving(14.0, 17.0)
    assert moving_again(seen, 10.0, 17.0) == pytest.approx(4.0)


def test_a_fault_that_the_picture_does_not_show_takes_only_until_the_next_picture():
    assert moving_again(moving(0.0, 12.0), 9.97, 12.0) == pytest.approx(0.13)  # published after it, so not the next one


@pytest.mark.parametrize("until", [13.0, 13.0 + STEADY_S - 0.1])
def test_it_is_not_known_before_the_picture_has_moved_for_long_enough(until):
    assert moving_again(moving(13.0, until), 10.0, until) is None


def test_it_is_not_known_while_the_picture_stands():
    assert moving_again(moving(13.0, 16.0), 10.0, 16.0 + GAP_S + 0.1) is None
    assert moving_again([], 10.0, 16.0) is None


def test_the_longest_gap_counts_from_the_first_moment_and_to_the_last():
    seen = moving(1.0, 2.0) + moving(2.7, 3.0)
    assert longest_gap(seen, 0.9, 3.1) == pytest.approx(0.7)
    assert longest_gap(seen, 0.0, 3.1) == pytest.approx(1.0)
    assert longest_gap(seen, 0.9, 5.0) == pytest.approx(2.0)


def test_a_row_has_measured_values():
    assert row([float(value) for value in range(20, 0, -1)]) == Row(20, 10.0, 19.0, 20.0)
    assert row([1.0, math.inf]) == Row(2, 1.0, math.inf, math.inf)
    assert row([3.0]) == Row(1, 3.0, 3.0, 3.0)
