"""What the encodings of one stream share: where frames are, worker threads, clocks and counters.

Must not know encodings. The stream writes it, and each encoding counts its units in `made`, all on the event loop. A
worker thread gets copies of what it needs.
"""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import Executor
from dataclasses import dataclass, field

from framewire.engine.stream.encoding import Clock, WallClock
from framewire.engine.stream.meter import FrameMeter
from framewire.engine.stream.rtp_clock import RtpClock
from framewire.frame import FrameSource
from framewire.options import StreamOptions


def wall_clock() -> int:
    """Microseconds since the Unix epoch."""
    return time.time_ns() // 1000


@dataclass(slots=True)
class StreamContext:
    """What the encodings of one stream share."""

    options: StreamOptions
    source: FrameSource
    pool: Executor
    clock: Clock = time.monotonic
    wall_us: WallClock = wall_clock
    width: int = field(init=False)
    """Pixels of the newest frame; before the first one, those of the options."""
    height: int = field(init=False)
    frame_meter: FrameMeter = field(default_factory=FrameMeter)
    rtp_clock: RtpClock = field(default_factory=RtpClock)
    made: Counter[str] = field(default_factory=Counter)
    """Units made since the stream started, by encoding: the proof that encodings are shared."""

    def __post_init__(self) -> None:
        self.width, self.height = self.options.width, self.options.height
