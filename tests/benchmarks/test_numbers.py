"""The table's numbers, computed from sightings."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.link_model import Link, Phase
from benchmarks.numbers import (
    ByteCount,
    Outcome,
    Screenshot,
    behind,
    coloured,
    follow,
    median_of,
    note_bytes,
    psnr,
    rate,
    rest,
    stable,
    used,
    watch,
)
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


def test_a_gap_longer_than_a_fifth_of_a_second_is_frozen():
    outcome = watched({1: (0.0, 0.1), 2: (0.2, 0.29), 3: (1.2, 1.29), 4: (1.3, 1.39)}, 0.0, 1.4)
    assert outcome.gap_ms == pytest.approx(1000)
    assert outcome.frozen_s == pytest.approx(1.0)


def test_a_stream_that_ends_early_is_frozen_until_the_end_of_the_window():
    outcome = watched({1: (0.0, 0.1)}, 0.0, 5.1)
    assert outcome.gap_ms == pytest.approx(5000)
    assert outcome.frozen_s == pytest.approx(5.0)


def test_a_window_without_frames_has_no_latency_and_is_frozen():
    outcome = watched({}, 0.0, 3.0)
    assert outcome.fps == 0
    assert math.isnan(outcome.p50_ms)
    assert outcome.frozen_s == pytest.approx(3.0)


def test_coloured_is_where_colours_are_and_one_pixel_around_them():
    picture = np.full((9, 9, 3), 255, np.uint8)
    picture[4, 4] = (150, 30, 30)
    picture[0, 8] = (20, 20, 20)
    marked = coloured(picture)
    assert marked[3:6, 3:6].all() and marked.sum() == 9


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


def stream(delay, begin: float = 0.0, end: float = 30.0, fps: float = 25.0):
    """What was seen and when it was published; ``delay`` in seconds, of a publish time, None for never shown."""
    sent = {n: begin + n / fps for n in range(round((end - begin) * fps))}
    return sorted(Sighting(at + delay(at), n, "video") for n, at in sent.items() if delay(at) is not None), sent


def flow(*parts: tuple[float, float], begin: float = 0.0):
    """Byte counts of parts with so many seconds and bits a second."""
    counts = [ByteCount(begin, 7)]
    for seconds, bits in parts:
        for _ in range(round(seconds * 5)):
            counts.append(ByteCount(counts[-1].at + 0.2, round(counts[-1].octets + bits / 8 * 0.2)))
    return counts


def test_an_even_stream_is_behind_by_its_latency_and_one_frame():
    seen, sent = stream(lambda at: 0.05)
    assert behind(seen, sent, 10, 20) == pytest.approx(0.05 + 0.04)


def test_a_frozen_picture_falls_behind_like_a_late_one():
    frozen, sent = stream(lambda at: 0.05 if not 10 < at < 12 else None)
    assert behind(frozen, sent, 10, 20) == pytest.approx(2.0 + 0.05)
    late, sent = stream(lambda at: 0.05 if at < 10 else 2.05)
    assert behind(late, sent, 10, 20) == pytest.approx(2.05 + 0.04, abs=0.05)


def test_pictures_at_the_edges_count_only_for_the_time_inside():
    seen, sent = [Sighting(1.0, 1, "video"), Sighting(9.0, 2, "video")], {1: 0.9, 2: 8.9}
    assert behind(seen, sent, 3, 5) == pytest.approx(5 - 0.9)
    assert behind(seen, sent, 3, 9.5) == pytest.approx(9 - 0.9)
    assert behind(seen, sent, 9, 20) == pytest.approx(20 - 8.9)
    assert math.isnan(behind([], sent, 3, 5))


def test_an_older_picture_after_a_newer_one_counts_with_its_own_age():
    seen, sent = [Sighting(1.0, 2, "video"), Sighting(2.0, 1, "video")], {1: 0.1, 2: 0.9}
    assert behind(seen, sent, 0, 2.5) == pytest.approx(2.4)


def test_latency_is_stable_after_the_last_second_with_late_frames():
    seen, sent = stream(lambda at: 0.3 if 10 < at < 13 else 0.06)
    assert stable(seen, sent, 10, 20, 0.14) == pytest.approx(13.3 + 1 - 10, abs=0.15)
    assert stable(seen, sent, 14.5, 20, 0.14) == 0
    assert stable(seen, sent, 10, 12.5, 0.14) == math.inf


def test_one_late_frame_in_twenty_five_is_stable_and_a_second_without_frames_is_not():
    seen, sent = stream(lambda at: 0.5 if at == 11.0 else 0.06)
    assert stable(seen, sent, 10, 20, 0.14) == 0
    seen, sent = stream(lambda at: None if 11 < at < 12.5 else 0.06)
    assert stable(seen, sent, 10, 20, 0.14) == pytest.approx(2.5, abs=0.15)
    assert stable([], sent, 10, 20, 0.14) == math.inf


def test_a_bitrate_is_known_between_byte_counts_and_not_beyond():
    counts = flow((10, 8e6), (10, 2e6))
    assert rate(counts, 2.05, 3.05) == pytest.approx(8e6)
    assert rate(counts, 9, 11) == pytest.approx(5e6)
    assert math.isnan(rate(counts, 19, 21)) and math.isnan(rate(counts, -1, 1)) and math.isnan(rate([], 0, 1))


def test_a_link_is_used_again_after_one_second_at_the_wanted_rate():
    counts = flow((10, 2e6), (3, 4e6), (7, 8e6))
    assert used(counts, 10, 20, 0.8 * 8e6) == pytest.approx(3.6, abs=0.1)
    assert used(counts, 10, 20, 9e6) == math.inf
    assert math.isnan(used(counts, 10, 20, math.nan))


FALLING = Link((Phase(0.02, rate=20e6), Phase(0.02, rate=2e6), Phase(0.02, rate=20e6)), (0.0, 10.0, 20.0))


def test_a_fall_and_a_rise_are_judged_from_the_links_own_clock():
    # Its schedule began two seconds before the window.
    seen, sent = stream(lambda at: 1.0 if 110 < at < 112 else 0.05, 100.0, 130.0)
    counts = flow((10, 8e6), (10, 1.9e6), (2, 4e6), (8, 8e6), begin=100.0)
    outcome = Outcome("ours", "here")
    follow(outcome, seen, sent, counts, FALLING, 100.0, 130.0)
    assert 1000 < outcome.fall_behind_ms < 1100 and outcome.rise_behind_ms == pytest.approx(90, abs=1)
    assert outcome.stable_s == pytest.approx(4, abs=0.2) and outcome.narrow_p95_ms == pytest.approx(50)
    assert outcome.demand_mbps == pytest.approx(8) and outcome.offered_mbps == 20
    assert outcome.used_s == pytest.approx(2.6, abs=0.15)
    note_bytes(outcome, counts, FALLING, 100.0, 102.0)
    assert outcome.link_mbps == [(-2, 20), (8, 2), (18, 20)]
    assert outcome.octets[0] == (-2, 0) and outcome.octets[5] == pytest.approx((-1, 1e6))


def test_a_stream_uses_a_fast_link_when_it_has_four_fifths_of_its_own_rate():
    seen, sent = stream(lambda at: 0.05)
    outcome = Outcome("ours", "here")
    follow(outcome, seen, sent, flow((30, 40e6)), FALLING, 0.0, 30.0)
    # The link carries 40 Mbps, the stream has 20: 80 % of 20 are wanted.
    assert outcome.used_s == pytest.approx(0.1)


def test_when_motion_ends_the_last_frame_is_judged():
    sent = {1: 9.96, 2: 10.0}
    seen = [Sighting(10.03, 1, "video"), Sighting(10.08, 2, "video"), Sighting(10.5, 2, "canvas")]
    looks = [
        Screenshot(10.1, 1, 50.0, 1),
        Screenshot(10.2, 2, 34.0, 40),
        Screenshot(10.7, 2, 46.0, 3),
        Screenshot(11.0, 2, 99.0, 0),
    ]
    outcome = Outcome("ours", "here")
    rest(outcome, seen, sent, flow((3, 8e6), (8, 40e3), begin=10.0), [Screenshot(*look) for look in looks])
    assert outcome.correct_ms == pytest.approx(80) and outcome.settled_ms == pytest.approx(700)
    assert (outcome.still_psnr_db, outcome.psnr_db, outcome.error_p99) == (99, 99, 0)
    assert outcome.rest_kbps == pytest.approx(40, rel=0.01)
    assert outcome.sharpness == [pytest.approx((0.2, 34)), pytest.approx((0.7, 46)), pytest.approx((1, 99))]


def test_a_last_frame_that_never_comes_takes_forever():
    outcome = Outcome("ours", "here")
    rest(outcome, [Sighting(10.0, 1, "video")], {1: 9.9, 2: 10.0}, [], [Screenshot(12.0, 1, 99.0, 0)])
    assert outcome.correct_ms == outcome.settled_ms == math.inf and math.isnan(outcome.rest_kbps)
    rest(outcome, [], {}, [], [])
