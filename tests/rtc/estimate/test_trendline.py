"""Growing delays to a verdict."""

from __future__ import annotations

import pytest

from framewire.rtc.estimate.trendline import OveruseDetector, TrendlineEstimator


def trends(growth_s: float, groups: int, every: float = 0.01) -> list[float | None]:
    line = TrendlineEstimator()
    return [line.add(growth_s, 5000 + index * every) for index in range(groups)]


def test_a_trend_needs_twenty_groups():
    found = trends(0.001, 20)
    assert found[:19] == [None] * 19
    assert found[19] is not None and found[19] > 0


def test_the_trend_is_the_slope_times_four_and_the_number_of_groups_up_to_sixty():
    """One millisecond in ten, once the smoothing has caught up: a slope of 0.1."""
    found = trends(0.001, 600)
    assert found[-1] == pytest.approx(0.1 * 60 * 4, rel=0.001)
    assert found[299] == pytest.approx(0.1 * 60 * 4, rel=0.001)
    steep = trends(0.002, 600)
    assert steep[-1] == pytest.approx(2 * 0.1 * 60 * 4, rel=0.001)
    # Twenty groups: the smoothed delay lags by 0.9 of the growth, and 0.9 of that, and so on.
    smoothed = [0.0]
    for index in range(1, 21):
        smoothed.append(0.9 * smoothed[-1] + 0.1 * index)
    points = [(index / 100, value) for index, value in enumerate(smoothed[1:])]
    mean_x, mean_y = sum(x for x, _ in points) / 20, sum(y for _, y in points) / 20
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
    assert found[19] == pytest.approx(slope / 1000 * 20 * 4)


def test_the_trend_covers_the_newest_twenty_groups():
    line = TrendlineEstimator()
    for index in range(100):
        line.add(0.005, index * 0.01)
    flat = [line.add(0.0, 1 + index * 0.01) for index in range(100)]
    assert flat[0] is not None and flat[0] > 10
    assert flat[-1] == pytest.approx(0, abs=0.01)


def test_groups_that_arrive_at_one_moment_have_no_trend():
    assert trends(0.001, 30, every=0.0)[-1] == 0.0


def test_the_threshold_adapts_within_bounds():
    steady, wild = OveruseDetector(), OveruseDetector()
    for index in range(20_000):
        steady.add(0.0, 0.01, index * 0.01)
        wild.add(wild.threshold + 10, 0.01, index * 0.01)
    assert steady.threshold == 6
    assert wild.threshold == 600


def test_the_threshold_moves_slowly_up_and_quickly_down():
    detector = OveruseDetector()
    detector.add(22.5, 0.01, 1.0)
    assert detector.threshold == 12.5, "not at the first trend"
    detector.add(22.5, 0.01, 1.01)
    assert detector.threshold == pytest.approx(12.5 + 0.0087 * 10 * 10)
    before = detector.threshold
    detector.add(-10.0, 0.01, 1.03)
    assert detector.threshold == pytest.approx(before + 0.039 * (10 - before) * 20)


def test_the_threshold_adapts_for_a_tenth_of_a_second_at_most_and_never_back_in_time():
    detector = OveruseDetector()
    detector.add(12.0, 0.01, 1.0)
    detector.add(12.0, 0.01, 9.0)
    assert detector.threshold == pytest.approx(12.5 - 0.039 * 0.5 * 100)
    before = detector.threshold
    detector.add(8.0, 0.01, 8.0)
    assert detector.threshold == before


@pytest.mark.parametrize(("above", "moves"), [(14.9, True), (15.1, False)])
def test_a_leap_does_not_move_the_threshold(above: float, moves: bool):
    detector = OveruseDetector()
    detector.add(0.0, 0.01, 0.0)
    detector.add(12.5 + above, 0.01, 0.01)
    assert (detector.threshold != 12.5) == moves


def test_overuse_takes_more_than_ten_milliseconds_and_two_trends_that_do_not_fall():
    detector = OveruseDetector()
    for now, trend, usage in (
        (1.00, 50.0, "normal"),  # five milliseconds: half of its groups' distance
        (1.01, 50.0, "overuse"),  # fifteen
        (1.02, 50.0, "overuse"),  # and so it stays
        (1.03, 5.0, "normal"),
        (1.04, 50.0, "normal"),
        (1.05, 49.0, "normal"),  # the trend falls
        (1.06, 49.0, "overuse"),
    ):
        detector.add(trend, 0.01, now)
        assert detector.usage == usage, now


def test_groups_close_together_take_longer_to_be_overuse():
    detector = OveruseDetector()
    usages = []
    for index in range(6):
        detector.add(50.0, 0.004, 1 + index * 0.004)
        usages.append(detector.usage)
    assert usages == ["normal"] * 2 + ["normal"] + ["overuse"] * 3, "2, 6, 10 and 14 ms"


@pytest.mark.parametrize("earlier", [[], [0.0], [50.0, 50.0, 0.0]])
def test_one_long_group_alone_is_no_overuse(earlier: list[float]):
    detector = OveruseDetector()
    for trend in earlier:
        detector.add(trend, 0.01, 0.9)
    detector.add(50.0, 0.1, 1.0)
    assert detector.usage == "normal"


def test_half_of_the_first_group_counts():
    """The trend crossed the threshold somewhere in it."""
    detector = OveruseDetector()
    detector.add(50.0, 0.0067, 1.0)
    detector.add(50.0, 0.0067, 1.0067)
    assert detector.usage == "overuse"


def test_the_time_above_the_threshold_starts_anew_below_it():
    detector = OveruseDetector()
    for now, trend in ((1.0, 50.0), (1.01, 0.0), (1.02, 50.0)):
        detector.add(trend, 0.01, now)
    assert detector.usage == "normal"


def test_a_trend_below_the_negative_threshold_is_underuse():
    detector = OveruseDetector()
    usages = []
    for trend in (-12.5, -12.6, 12.5):
        detector.add(trend, 0.01, 1.0)
        usages.append(detector.usage)
    assert usages == ["normal", "underuse", "normal"]
