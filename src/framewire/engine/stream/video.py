"""One video encoder of a stream: when it makes a unit, of which size, and when it sends it.

Must not know which layer it is, sessions or peers.
"""

from __future__ import annotations

import time
from concurrent.futures import Executor
from dataclasses import replace
from typing import Final

from framewire.codec.base import VideoEncoder
from framewire.codec.halve import halved
from framewire.engine.stream.encoding import FrameSource, Key, PackedUnit
from framewire.engine.stream.loop import EncodingLoop
from framewire.engine.stream.overload import Interval, Overload
from framewire.engine.stream.rate import KeyframeThrottle, Meter, Settle
from framewire.engine.stream.vsync import VsyncPhase
from framewire.frame import Frame

SPARE: Final = 0.9
"""Of the time from one frame to the next: so long may one take, with what it waits."""


class VideoLayer(EncodingLoop):
    """H.264 or VP8 of one stream: encoded once, whoever watches."""

    def __init__(
        self,
        stream: int,
        source: FrameSource,
        pool: Executor,
        encoder: VideoEncoder,
        ceiling: int,
        *,
        half: bool = False,
    ) -> None:
        """``ceiling``: bits a second, at most. ``half``: of frames at half their width and height."""
        self._encoder = encoder
        self._half = half
        self._throttle = KeyframeThrottle()
        self._settle = Settle()
        self._beat = VsyncPhase()
        self._effort = Overload()
        self._interval = Interval()
        self.output = Meter()
        """Octets of the units made."""
        self._ceiling = self._target = ceiling
        self._key = False
        self._seen: int | None = None
        self._stamp = 0
        super().__init__(stream, source, pool)

    @property
    def target_bps(self) -> int:
        """Bits a second that the encoder aims at."""
        return self._target

    @property
    def codec(self) -> str:
        return self._encoder.codec

    def aim(self, bits_per_second: int) -> None:
        """Spend so much from the next unit on, or the ceiling."""
        target = min(bits_per_second, self._ceiling)
        if target != self._target:
            self._target = target
            self._encoder.set_rate(target)

    def vsync(self, key: Key, slack_s: float, refresh_s: float) -> None:
        """A viewer's frames are ready ``slack_s`` before the screen refresh that shows them."""
        if len(self) == 1 and key in self:
            self._beat.look(slack_s, refresh_s, time.monotonic())
        else:
            self._beat.rest()

    def _wait(self, took: float, now: float) -> float:
        interval = self._interval.seconds
        wait = self._beat.wait(interval, now)
        # No frame is worth the one after it.
        return wait if took + wait < SPARE * interval else 0.0

    def _send(self, packed: PackedUnit) -> list[Key]:
        self.output.add(time.monotonic(), packed.size_bytes)
        return super()._send(packed)

    async def close(self) -> None:
        await super().close()
        self._encoder.close()

    def _due(self, frame: Frame, now: float) -> bool:
        fresh = frame.number != self._encoded
        if fresh and frame.number != self._seen:
            self._seen = frame.number
            self._settle.published(now)
        self._effort.look(self.cost.mean(now) / 1000, max(self._interval.seconds, self._settle.age(now)), now)
        refresh = self._settle.next is not None and now >= self._settle.next
        if refresh:
            # Counted as done even if nobody can take it: a moment that has passed must not stay the next one.
            self._settle.refreshed()
        self._key = self._fanout.wants_keyframe and self._throttle.due(now)
        # A delta helps nobody while everybody waits for a keyframe.
        return self._key or (self._fanout.follows and (refresh or (fresh and self._fanout.wants(frame.number))))

    def _next(self, now: float) -> float | None:
        times = [self._settle.next] if len(self._fanout) else []
        if self._fanout.wants_keyframe:
            times.append(self._throttle.next)
        return min((t for t in times if t is not None), default=None)

    def _build(self, frame: Frame) -> PackedUnit:
        half = self._half or self._effort.half
        unit = self._encoder.encode(halved(frame) if half else frame, keyframe=self._key)
        if unit.keyframe:
            self._throttle.made(time.monotonic())
        if frame.number == self._encoded:
            # The same picture again is a new unit: its time must move on, or receivers drop it as old.
            unit = replace(unit, time_us=max(unit.time_us, time.time_ns() // 1000))
        # 12 us is the tick of the RTP clock; a wall clock that was set back must not run it backwards.
        unit = replace(unit, time_us=max(unit.time_us, self._stamp + 12))
        self._stamp = unit.time_us
        self._encoded = frame.number
        self._interval.saw(frame.number, frame.time_us)
        return self._forms(unit)
