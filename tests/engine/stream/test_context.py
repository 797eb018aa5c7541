"""What the encodings of one stream share."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from framewire.engine.stream.context import StreamContext, wall_clock
from tests.engine.stills import Source


def test_the_wall_clock_counts_microseconds_of_the_unix_epoch() -> None:
    before, now, after = time.time(), wall_clock(), time.time()
    assert before * 1e6 - 1 <= now <= after * 1e6 + 1


def test_streams_share_no_counters() -> None:
    one, other = (StreamContext(id_, Source(), ThreadPoolExecutor(1), 6, 4, 30.0, 1_000_000) for id_ in (1, 2))
    one.made["h264"] += 1
    one.published.published(1, 0, 0.0)
    one.published.published(2, 0, 0.5)
    assert not other.made and other.published.interval_s == 1.0
