"""What the encodings of one stream share."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from framewire.engine.stream.context import StreamContext, wall_clock
from framewire.options import StreamOptions
from tests.engine.stills import Source

OPTIONS = StreamOptions(id=7, name="cam", width=6, height=4)


def test_the_wall_clock_counts_microseconds_of_the_unix_epoch() -> None:
    before, now, after = time.time(), wall_clock(), time.time()
    assert before * 1e6 - 1 <= now <= after * 1e6 + 1


def test_the_size_is_that_of_the_options_before_the_first_frame() -> None:
    context = StreamContext(OPTIONS, Source(), ThreadPoolExecutor(1))
    assert (context.width, context.height) == (6, 4)


def test_streams_share_no_counters() -> None:
    one, other = (StreamContext(OPTIONS, Source(), ThreadPoolExecutor(1)) for _ in range(2))
    one.made["h264"] += 1
    one.frame_meter.published(1, 0, 0.0)
    one.frame_meter.published(2, 0, 0.5)
    assert not other.made and other.frame_meter.interval_s == 1.0
