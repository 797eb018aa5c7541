"""A display with its engine, timed for a moment."""

from __future__ import annotations

import numpy as np

from framewire.bench.codecs import clip_of
from framewire.bench.live import live
from framewire.patterns import PATTERNS


def test_publishing_a_copy_and_the_trip_to_a_viewer_have_rows() -> None:
    publish, copy, trip = live("64x48", clip_of(PATTERNS["plot"](64, 48), 4), 50.0, 0.5)
    assert [row.what for row in (publish, copy, trip)] == ["publish()", "a plain copy", "publish to received"]
    assert all(0 < row.times.p50_ms <= row.times.p99_ms for row in (publish, copy, trip))
    # No frame is older than the run was long, and some arrived.
    assert trip.times.p99_ms < 60_000 and trip.mbps > 0 and not np.isnan(trip.times.mean_ms)
    assert 0 < trip.fps < 60 and trip.note == "lossless, 50 fps published" and np.isnan(publish.fps)
