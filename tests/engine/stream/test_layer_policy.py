"""Which viewer gets which layer, when it moves, and at which bitrate each layer runs."""

from __future__ import annotations

import pytest

from framewire.engine.stream.layer_policy import (
    FALL_FRACTION,
    FAR_BELOW_FRACTION,
    FIRST_ESTIMATE_COLLAPSE_FRACTION,
    FITS_LIMIT_FRACTION,
    HALF_SIZE_BITS_PER_PIXEL,
    HALVE_MIN_SIDE_PX,
    MAX_FALL_WAIT_S,
    MISTAKE_WINDOW_S,
    MOVE_DOWN_AFTER_S,
    MOVE_DOWN_FAR_BELOW_AFTER_S,
    MOVE_UP_AFTER_S,
    MOVE_UP_HEADROOM_FACTOR,
    MOVE_UP_MAX_WAIT_S,
    NEED_SPENT_FACTOR,
    NEW_VIEWER_KEEPS_LAYER_S,
    NEW_VIEWER_RAISES_NO_TARGET_S,
    SHARED_LIMIT_FRACTIONS,
    STABLE_ESTIMATE_S,
    half_size_below_bps,
)
from tests.engine.stream.audience import FULL, HALF, LOW, STEP_S, Show


def test_one_viewer_is_followed_exactly() -> None:
    show = Show().add(a=20e6)
    for limit in (300e3, 5e6, 150e3, 20e6):
        show.limit(a=limit)
        show.run(10)
        assert show.at() == {"a": FULL} and show.policy.target_bps(FULL) == limit
    assert show.moves == []


def test_seven_viewers_get_full_bitrate_beside_one_on_a_slow_link() -> None:
    show = Show().add(**{name: 20e6 for name in "abcdefg"}, slow=20e6).run(10)
    show.limit(slow=300e3)
    for _ in range(40):
        assert show.policy.target_bps(FULL) == 20e6, "the others never get less"
        show.run(STEP_S)
    assert [(key, layer) for _, key, layer in show.moves] == [("slow", HALF)]
    assert show.policy.target_bps(HALF) == 300e3
    assert show.policy.target_bps(LOW) is None


def test_a_link_with_enough_bandwidth_for_full_size_keeps_it() -> None:
    show = Show().add(a=20e6, b=20e6, c=2e6).run(10)
    assert show.at() == {"a": FULL, "b": FULL, "c": LOW}
    assert show.policy.target_bps(LOW) == 2e6


def test_a_short_dip_moves_no_viewer() -> None:
    show = fine(a=20e6, b=20e6)
    show.limit(b=5e6).run(0.9, FINE_S)
    show.limit(b=20e6).run(10)
    assert show.moves == []
    since = show.limit(b=5e6).now
    assert show.run(2, FINE_S).moved_after(since) == pytest.approx(1.0, abs=2 * FINE_S)


def test_a_viewer_that_recovers_comes_back_and_leaves_its_layer_empty() -> None:
    show = Show().add(a=20e6, b=300e3).run(10)
    assert show.at()["b"] == HALF
    show.limit(b=12e6)
    show.run(MOVE_UP_AFTER_S + 1)
    assert show.at()["b"] == FULL and show.policy.target_bps(HALF) is None


def test_a_stream_that_all_links_carry_is_one_encoding() -> None:
    show = Show(needs=0.8e6).add(a=20e6, b=2e6, c=1e6).run(30)
    assert set(show.at().values()) == {FULL}


def test_similar_links_share_a_layer_at_the_lowest_of_them() -> None:
    show = Show(needs=15e6).add(a=10e6, b=9e6, c=8e6).run(30)
    assert set(show.at().values()) == {FULL} and show.policy.target_bps(FULL) == 8e6


def test_there_are_at_most_three_encodings_for_any_viewers() -> None:
    show = Show(needs=20e6).add(**{f"v{index}": 20e6 / 1.5**index for index in range(12)}).run(60)
    targets = [target for layer in (FULL, LOW, HALF) if (target := show.policy.target_bps(layer)) is not None]
    assert len(targets) == 3 and targets == sorted(targets, reverse=True)
    moves = len(show.moves)
    show.run(60)
    assert len(show.moves) == moves, "and then nothing moves any more"
    for key, layer in show.at().items():
        target = show.policy.target_bps(layer)
        assert target is not None and (layer == HALF or show.viewers[key].limit_bps >= 0.99 * target)


def test_a_limit_that_swings_costs_fewer_and_fewer_moves() -> None:
    show = Show().add(a=20e6, b=20e6).run(10)
    moved = []
    for _ in range(6):
        before = len(show.moves)
        for _ in range(6):
            show.limit(b=1e6)
            show.run(4)
            show.limit(b=20e6)
            show.run(6)
        moved.append(len(show.moves) - before)
    assert moved[0] > 2 * moved[-1]
    assert moved[-1] <= 4


def test_a_new_viewer_has_time_to_be_measured() -> None:
    show = Show().add(a=20e6).run(10)
    show.add(b=2e6).run(NEW_VIEWER_KEEPS_LAYER_S - 2 * STEP_S)
    show.limit(b=20e6)
    show.run(10)
    assert show.moves == []


def test_a_new_viewer_whose_estimate_collapses_moves_at_once() -> None:
    show = Show().add(a=20e6).run(10)
    show.add(b=20e6)
    for limit in (2e6, 1.5e6, 0.9e6, 0.4e6, 0.3e6):
        show.limit(b=limit)
        show.run(STEP_S)
    show.run(2 * STEP_S)
    assert show.moves == [(show.now, "b", HALF)] and show.now < 110 + NEW_VIEWER_KEEPS_LAYER_S


def test_the_layer_wanted_may_change_while_a_viewer_waits() -> None:
    """An estimate falls in steps, and each of them names another layer."""
    show = Show().add(a=20e6, b=20e6).run(10)
    show.limit(b=4e6)
    show.run(MOVE_DOWN_AFTER_S / 2)
    show.limit(b=300e3)
    show.run(MOVE_DOWN_AFTER_S / 2 + STEP_S)
    assert [(key, layer) for _, key, layer in show.moves] == [("b", HALF)]


def test_a_new_viewer_with_more_bandwidth_leaves_the_others_time_to_move() -> None:
    show = Show().add(slow=300e3).run(10)
    show.add(fast=20e6)
    while show.at()["slow"] == FULL:
        assert show.policy.target_bps(FULL) == 300e3
        show.run(STEP_S)
        assert show.now < 120
    show.run(2)
    assert show.at() == {"slow": HALF, "fast": FULL} and show.policy.target_bps(FULL) == 20e6


def test_the_last_viewer_gets_full_size_again() -> None:
    show = Show().add(a=20e6, b=300e3).run(10)
    show.remove("a")
    show.run(MOVE_UP_AFTER_S + 1)
    assert show.at() == {"b": FULL} and show.policy.target_bps(FULL) == 300e3


def test_the_best_remaining_viewers_become_the_full_layer() -> None:
    show = Show().add(a=20e6, b=3e6, c=300e3).run(10)
    assert show.at() == {"a": FULL, "b": LOW, "c": HALF}
    show.remove("a")
    show.run(30)
    assert show.at() == {"b": FULL, "c": HALF} and show.policy.target_bps(FULL) == 3e6


def test_hidden_viewers_count_for_nothing() -> None:
    show = Show().add(a=20e6, b=20e6, slow=300e3)
    show.show("slow", False)
    show.run(10)
    assert show.moves == [] and show.policy.target_bps(FULL) == 20e6
    show.show("a", False)
    show.show("b", False)
    assert show.policy.target_bps(FULL) is None
    show.show("slow", True)
    assert show.policy.target_bps(FULL) == 300e3


def test_small_pictures_are_not_halved() -> None:
    assert half_size_below_bps(320, 127, 30) is None and half_size_below_bps(320, 128, 30) is not None
    assert half_size_below_bps(1280, 720, 30) == pytest.approx(553e3, rel=0.01)
    show = Show(half_below=None).add(a=20e6, b=200e3).run(10)
    assert show.at()["b"] == LOW
    show.add(c=3e6).run(20)
    assert {show.at()["b"], show.at()["c"]} == {LOW}, "there is nothing below"


def test_a_stream_that_becomes_small_brings_its_viewers_up_to_full_size() -> None:
    show = Show().add(a=20e6, b=300e3).run(10)
    show.half_below = None
    show.run(10)
    assert show.at()["b"] == LOW


def test_motion_after_a_still_scene_moves_viewers_that_cannot_follow() -> None:
    show = Show(needs=50e3).add(a=20e6, b=400e3).run(30)
    assert set(show.at().values()) == {FULL}
    show.needs = 7e6
    show.run(MOVE_DOWN_AFTER_S + 2)
    assert show.at() == {"a": FULL, "b": HALF}
    show.needs = 50e3
    show.run(30)
    assert set(show.at().values()) == {FULL}


def test_a_viewer_that_recovers_comes_back_to_a_stream_at_its_maximum() -> None:
    show = Show(needs=30e6).add(a=20e6, b=20e6).run(5)
    show.limit(b=2e6)
    assert show.run(10).at()["b"] != FULL
    show.limit(b=20e6)
    assert show.run(60).at() == {"a": FULL, "b": FULL}


def test_a_viewer_that_was_hidden_waits_before_it_moves_up() -> None:
    show = Show().add(a=20e6, b=2e6).run(10)
    below = show.at()["b"]
    assert below != FULL
    show.show("b", False)
    show.limit(b=20e6)
    show.run(300)
    show.show("b", True)
    assert show.run(MOVE_UP_AFTER_S / 2).at()["b"] == below
    assert show.run(2 * MOVE_UP_AFTER_S).at()["b"] == FULL


FINE_S = 0.01


def fine(**limits: float) -> Show:
    """Viewers that have been measured for long, and are looked at often enough to time their moves."""
    return Show().add(**limits).run(10)


def test_viewers_of_similar_bandwidth_share_a_layer() -> None:
    assert SHARED_LIMIT_FRACTIONS == (0.7, 0.5, 0.5)
    assert Show(needs=20e6).add(a=10e6, b=7.01e6).run(30).at() == {"a": FULL, "b": FULL}
    assert Show(needs=20e6).add(a=10e6, b=6.99e6).run(30).at() == {"a": FULL, "b": LOW}
    show = Show(needs=20e6).add(a=20e6, b=8e6, c=4.01e6).run(30)
    assert show.at() == {"a": FULL, "b": LOW, "c": LOW} and show.policy.target_bps(LOW) == 4.01e6
    show = Show(needs=20e6).add(a=20e6, b=8e6).run(30).add(c=3.9e6).run(30)
    assert show.at() == {"a": FULL, "b": LOW, "c": HALF}
    assert [layer for _, name, layer in show.moves if name == "c"] == [HALF], "not over the low layer"
    show.limit(c=0.3e6).add(d=0.149e6).run(30)
    assert show.at()["d"] == HALF and show.policy.target_bps(HALF) == 0.3e6, "the slower one does not count"
    assert show.limit(d=0.151e6).run(1).policy.target_bps(HALF) == 0.151e6


def test_a_layer_that_spends_little_fits_slow_links() -> None:
    assert FITS_LIMIT_FRACTION == 0.9
    for needs, layer in ((0.89e6, FULL), (0.91e6, LOW)):
        assert Show(needs=needs).add(a=20e6, b=1e6).run(30).at()["b"] == layer


def test_a_viewer_moves_up_with_some_headroom() -> None:
    assert (MOVE_UP_HEADROOM_FACTOR, NEED_SPENT_FACTOR) == (1.1, 1.25)
    needs = 4e6
    enough = needs * NEED_SPENT_FACTOR * MOVE_UP_HEADROOM_FACTOR
    for limit, layer in ((enough * 0.99, LOW), (enough * 1.01, FULL)):
        show = Show(needs=needs).add(a=20e6, b=1e6).run(10)
        assert show.at()["b"] == LOW
        assert show.limit(b=limit).run(10).at()["b"] == layer


def test_a_layer_that_is_not_needed_yet_takes_a_viewer_that_fits_its_size() -> None:
    """From half size to a low bitrate, where there is no encoder yet."""
    for limit, layer in ((NEED_SPENT_FACTOR * 0.55e6 - 1, HALF), (NEED_SPENT_FACTOR * 0.55e6, LOW)):
        show = fine(a=20e6, b=0.3e6)
        assert show.limit(b=limit).run(10).at()["b"] == layer


def test_a_viewer_of_the_low_layer_goes_to_half_size_when_full_size_looks_worse() -> None:
    show = fine(a=20e6, b=2e6)
    assert show.at()["b"] == LOW
    assert show.limit(b=0.551e6).run(10).at()["b"] == LOW
    assert show.limit(b=0.549e6).run(10).at()["b"] == HALF


def test_a_viewer_moves_up_after_three_seconds() -> None:
    show = fine(a=20e6, b=0.3e6).limit(b=20e6)
    since = show.now
    show.run(5, FINE_S)
    assert show.moved_after(since) == pytest.approx(MOVE_UP_AFTER_S, abs=2 * FINE_S) and MOVE_UP_AFTER_S == 3.0


def test_a_viewer_far_below_its_layer_moves_sooner() -> None:
    assert (MOVE_DOWN_AFTER_S, MOVE_DOWN_FAR_BELOW_AFTER_S, FAR_BELOW_FRACTION) == (1.0, 0.4, 0.5)
    for limit, after_s in ((0.51 * 7e6, MOVE_DOWN_AFTER_S), (0.49 * 7e6, MOVE_DOWN_FAR_BELOW_AFTER_S)):
        show = fine(a=20e6, b=20e6).limit(b=limit)
        since = show.now
        show.run(5, FINE_S)
        assert show.moved_after(since) == pytest.approx(after_s, abs=2 * FINE_S)


def test_a_falling_estimate_is_waited_for() -> None:
    assert (STABLE_ESTIMATE_S, MAX_FALL_WAIT_S, FALL_FRACTION) == (0.3, 2.0, 0.9)
    show = fine(a=20e6, b=20e6)
    since, limit = show.now, 6e6
    for _ in range(6):
        show.limit(b=limit).run(0.25, FINE_S)
        limit *= 0.8
    show.run(2, FINE_S)
    falls_until = since + 5 * 0.25
    assert show.moves[-1][0] == pytest.approx(falls_until + STABLE_ESTIMATE_S, abs=2 * FINE_S)


def test_an_estimate_that_keeps_falling_is_waited_for_two_seconds() -> None:
    show = fine(a=20e6, b=20e6)
    since, limit = show.now, 6e6
    for _ in range(40):
        show.limit(b=limit).run(0.1, FINE_S)
        limit *= 0.89
    assert show.moved_after(since) == pytest.approx(MAX_FALL_WAIT_S, abs=2 * FINE_S)


def test_noise_of_an_estimate_is_no_fall() -> None:
    show = fine(a=20e6, b=20e6).limit(b=3e6)
    since = show.now
    for step in range(20):
        show.limit(b=3e6 * (0.91 if step % 2 else 1.0)).run(0.1, FINE_S)
    assert show.moved_after(since) == pytest.approx(MOVE_DOWN_FAR_BELOW_AFTER_S, abs=2 * FINE_S)
    show = fine(a=20e6, b=20e6).limit(b=3e6)
    since = show.now
    for step in range(25):
        show.limit(b=3e6 * (0.89 if step % 2 else 1.0)).run(0.1, FINE_S)
    assert show.moved_after(since) == pytest.approx(MAX_FALL_WAIT_S, abs=2 * FINE_S), "more than noise"


def test_a_fall_after_a_recovery_is_a_fall() -> None:
    show = fine(a=20e6, b=3e6)
    show.limit(b=20e6).run(10)
    assert show.at()["b"] == FULL
    since = show.now
    for _ in range(8):
        show.limit(b=show.viewers["b"].limit_bps * 0.8).run(0.2, FINE_S)
    assert 20e6 * 0.8**8 > 3e6, "not below what it once was"
    show.run(2, FINE_S)
    last_fall = 7 * 0.2
    assert show.moved_after(since) == pytest.approx(last_fall + STABLE_ESTIMATE_S, abs=2 * FINE_S)


def test_a_new_viewer_stays_for_three_seconds() -> None:
    assert NEW_VIEWER_KEEPS_LAYER_S == 3.0
    show = fine(a=20e6).add(b=2e6)
    since = show.now
    show.run(5, FINE_S)
    assert show.moved_after(since) == pytest.approx(NEW_VIEWER_KEEPS_LAYER_S, abs=2 * FINE_S)


def test_a_collapse_is_measured_from_the_first_estimate() -> None:
    assert FIRST_ESTIMATE_COLLAPSE_FRACTION == 0.6
    for fraction, at_once in ((0.61, False), (0.59, True)):
        show = fine(a=20e6).add(b=20e6)
        since = show.now
        show.limit(b=5e6).run(0.1, FINE_S)
        show.limit(b=5e6 * fraction).run(4, FINE_S)
        assert (show.moved_after(since) < 1.5) is at_once


def test_what_was_assumed_before_the_first_estimate_is_none() -> None:
    show = fine(a=20e6).add(b=20e6)
    since = show.now
    show.run(1, FINE_S)
    show.limit(b=5e6).run(4, FINE_S)
    assert show.moved_after(since) == pytest.approx(NEW_VIEWER_KEEPS_LAYER_S, abs=2 * FINE_S)


def test_a_new_viewer_raises_no_target_for_a_moment() -> None:
    assert NEW_VIEWER_RAISES_NO_TARGET_S == 1.2
    show = Show(needs=1e6).add(slow=3e6).run(10).add(fast=20e6)
    show.run(NEW_VIEWER_RAISES_NO_TARGET_S - 0.02, FINE_S)
    assert show.policy.target_bps(FULL) == 3e6
    show.run(0.04, FINE_S)
    assert show.policy.target_bps(FULL) == 20e6


def test_new_viewers_alone_are_followed_at_once() -> None:
    show = Show().add(a=20e6, b=18e6)
    assert show.policy.target_bps(FULL) == 18e6


def test_a_mistaken_move_up_doubles_the_next_wait() -> None:
    assert (MISTAKE_WINDOW_S, MOVE_UP_MAX_WAIT_S) == (15.0, 60.0)
    waits = []
    show = fine(a=20e6, b=1e6)
    for _ in range(7):
        show.limit(b=20e6)
        since = show.now
        show.run(61)
        waits.append(show.moved_after(since))
        # Down again within the window, as if the move had just happened.
        state = show.policy._states[show.viewers["b"]]
        state.moved_up_at = show.now
        show.limit(b=1e6).run(5)
        assert show.at()["b"] != FULL
    assert waits == pytest.approx([3, 6, 12, 24, 48, 60, 60], abs=2 * STEP_S)


def test_a_move_up_that_held_for_long_was_no_mistake() -> None:
    for held_s, wait_s in ((MISTAKE_WINDOW_S - 3, 2 * MOVE_UP_AFTER_S), (MISTAKE_WINDOW_S + 3, MOVE_UP_AFTER_S)):
        show = fine(a=20e6, b=1e6)
        show.limit(b=20e6).run(MOVE_UP_AFTER_S + held_s)
        assert show.at()["b"] == FULL
        show.limit(b=1e6).run(2, FINE_S)
        since = show.limit(b=20e6).now
        show.run(8, FINE_S)
        assert show.moved_after(since) == pytest.approx(wait_s, abs=2 * FINE_S)


def test_a_hidden_viewer_is_not_the_only_one_that_counts() -> None:
    """Alone means alone among the visible ones."""
    show = fine(a=20e6, b=0.3e6)
    assert show.at()["b"] == HALF
    show.show("a", False)
    assert show.run(MOVE_UP_AFTER_S + 1).at()["b"] == FULL


def test_half_size_looks_better_below_a_fiftieth_of_a_bit_for_each_pixel() -> None:
    assert half_size_below_bps(1000, 500, 10) == HALF_SIZE_BITS_PER_PIXEL * 5_000_000 == 100_000
    assert half_size_below_bps(HALVE_MIN_SIDE_PX, HALVE_MIN_SIDE_PX, 30) is not None and HALVE_MIN_SIDE_PX == 128
    assert half_size_below_bps(HALVE_MIN_SIDE_PX - 1, 2000, 30) is None


def test_just_enough_is_enough() -> None:
    show = Show(needs=20e6).add(a=20e6, b=8e6).run(30).add(c=4e6).run(30)
    assert show.at()["c"] == LOW and show.policy.target_bps(LOW) == 4e6
    show = Show(half_below=0.5e6).add(a=20e6, b=0.5e6).run(30)
    assert show.at()["b"] == LOW
    assert Show(needs=0.9e6).add(a=20e6, b=1e6).run(30).at()["b"] == FULL
    show = Show(now=-10.0, needs=1e6).add(slow=3e6).run(10).add(fast=20e6)
    assert show.run(NEW_VIEWER_RAISES_NO_TARGET_S, NEW_VIEWER_RAISES_NO_TARGET_S).policy.target_bps(FULL) == 20e6
    for limit in (FIRST_ESTIMATE_COLLAPSE_FRACTION * 5e6, FAR_BELOW_FRACTION * 7e6):
        show = fine(a=20e6).add(b=20e6)
        since = show.now
        show.limit(b=5e6).run(0.1, FINE_S)
        show.limit(b=limit).run(4, FINE_S)
        assert show.moved_after(since) == pytest.approx(NEW_VIEWER_KEEPS_LAYER_S, abs=2 * FINE_S)
    show = fine(a=20e6, b=20e6).limit(b=FAR_BELOW_FRACTION * 7e6)
    since = show.now
    assert show.run(2, FINE_S).moved_after(since) == pytest.approx(MOVE_DOWN_AFTER_S, abs=2 * FINE_S)


def test_a_slow_fall_is_a_fall() -> None:
    """Each step is small; together they are more than noise."""
    show = fine(a=20e6, b=20e6)
    since, limit = show.now, 3.4e6
    for _ in range(10):
        show.limit(b=limit).run(0.1, FINE_S)
        limit *= 0.96
    show.run(1, FINE_S)
    # 0.96 to the third is below 0.9: falls are seen at 0, 0.3, 0.6 and 0.9 s.
    assert show.moved_after(since) == pytest.approx(0.9 + STABLE_ESTIMATE_S, abs=3 * FINE_S)


def test_a_move_that_was_no_mistake_resets_the_wait() -> None:
    show = fine(a=20e6, b=1e6)
    state = show.policy._states[show.viewers["b"]]
    state.move_up_after_s = 24.0
    show.limit(b=20e6).run(24.0 + MISTAKE_WINDOW_S + 1)
    assert show.at()["b"] == FULL
    show.limit(b=1e6).run(2, FINE_S)
    since = show.limit(b=20e6).now
    assert show.run(8, FINE_S).moved_after(since) == pytest.approx(MOVE_UP_AFTER_S, abs=2 * FINE_S)


def test_a_viewer_that_wants_the_other_direction_waits_anew() -> None:
    show = fine(a=20e6, b=2e6)
    assert show.at()["b"] == LOW
    moves = len(show.moves)
    show.limit(b=0.3e6).run(0.35, FINE_S)
    show.limit(b=20e6).run(MOVE_UP_AFTER_S - 0.1, FINE_S)
    show.limit(b=0.3e6).run(0.35, FINE_S)
    assert len(show.moves) == moves


def test_a_viewer_waits_from_the_review_that_shows_that_it_fits() -> None:
    show = fine(a=20e6, b=0.3e6).limit(b=20e6)
    moves = len(show.moves)
    show.run(MOVE_UP_AFTER_S, MOVE_UP_AFTER_S)
    assert len(show.moves) == moves
    show.run(MOVE_UP_AFTER_S, MOVE_UP_AFTER_S)
    assert len(show.moves) == moves + 1


def test_a_viewer_waits_from_the_review_that_shows_that_its_layer_does_not_fit() -> None:
    show = Show(needs=50e3).add(a=20e6, b=5e6).run(10)
    show.needs = 7e6
    assert show.run(MOVE_DOWN_AFTER_S, MOVE_DOWN_AFTER_S).moves == []
    assert len(show.run(MOVE_DOWN_AFTER_S, MOVE_DOWN_AFTER_S).moves) == 1


def test_a_move_down_at_the_very_end_of_the_window_is_no_mistake() -> None:
    show = fine(a=20e6, b=20e6)
    state = show.policy._states[show.viewers["b"]]
    state.move_up_after_s, state.moved_up_at = 24.0, show.now + STEP_S + MOVE_DOWN_AFTER_S - MISTAKE_WINDOW_S
    assert show.limit(b=5e6).run(2).at()["b"] == LOW
    assert state.move_up_after_s == MOVE_UP_AFTER_S


def test_a_viewer_that_is_hidden_moves_nowhere() -> None:
    show = fine(a=20e6, b=20e6)
    show.show("b", False)
    assert show.limit(b=0.3e6).run(30).at()["b"] == FULL
