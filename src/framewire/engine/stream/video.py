"""One video encoder of a stream: when it encodes a frame, at which size, and when the unit is sent.

Must not know which layer it is, sessions or peers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from framewire.codec.base import VideoEncoder
from framewire.codec.halve import halved
from framewire.codec.messages import messages
from framewire.engine.stream.context import StreamContext
from framewire.engine.stream.encoding import Clock, Key, PackedUnit
from framewire.engine.stream.fanout import Subscriber
from framewire.engine.stream.keyframes import KeyframeThrottle, StillRefresh
from framewire.engine.stream.loop import EncodingLoop
from framewire.engine.stream.meter import Meter
from framewire.engine.stream.overload import Overload
from framewire.engine.stream.rtp_clock import UnitTimes
from framewire.engine.stream.vsync import VsyncPhase
from framewire.frame import AccessUnit, Frame
from framewire.rtc.rtp.packets import pack

log: Final = logging.getLogger(__name__)

MAX_FRAME_TIME_FRACTION: Final = 0.9
"""Encoding and waiting may take this fraction of the frame interval: a wait that delays the next frame is left out.

Source: chosen by hand; pinned by `tests/engine/stream/test_video.py::test_no_frame_waits_at_the_cost_of_the_next`.
"""


@dataclass(frozen=True, slots=True)
class VideoJob:
    """What to encode, and in which forms the unit is needed."""

    frame: Frame
    half: bool
    keyframe: bool
    time_us: int
    """The unit's. That of a frame that was encoded before is the present, or receivers drop it as old."""
    rtp_ahead_us: int
    packets: bool
    messages: bool


@dataclass(frozen=True, slots=True)
class BuiltVideo:
    """An encoded unit, ready to be sent."""

    packed: PackedUnit
    encoded_at: float


class VideoBuilder:
    """The part of a video encoder that runs on a worker thread."""

    def __init__(self, stream_id: int, encoder: VideoEncoder, clock: Clock) -> None:
        self._stream_id = stream_id
        self._encoder = encoder
        self._clock = clock
        self._times = UnitTimes()

    def build(self, job: VideoJob) -> BuiltVideo:
        """Encode and pack one frame."""
        frame = halved(job.frame) if job.half else job.frame
        unit = self._encoder.encode(frame, keyframe=job.keyframe)
        encoded_at = self._clock()
        ahead_us = self._times.next_us(job.time_us + job.rtp_ahead_us) - job.time_us
        if job.time_us != unit.time_us or ahead_us:
            unit = replace(unit, time_us=job.time_us, rtp_ahead_us=ahead_us)
        return BuiltVideo(self._pack(unit, job), encoded_at)

    def _pack(self, unit: AccessUnit, job: VideoJob) -> PackedUnit:
        rtp = pack(unit) if job.packets else None
        return PackedUnit(unit, rtp, tuple(messages(unit, self._stream_id)) if job.messages else ())


Deliver = Callable[[Subscriber, PackedUnit], bool]
"""Gives a unit to a subscriber; False when the subscriber has no room."""


def to_sink(subscriber: Subscriber, packed: PackedUnit) -> bool:
    """Give a unit to the subscriber itself."""
    return subscriber.sink(packed)


class VideoLayer(EncodingLoop[VideoJob, BuiltVideo]):
    """One video encoder: each unit is encoded once, however many subscribers there are."""

    def __init__(
        self,
        name: str,
        context: StreamContext,
        encoder: VideoEncoder,
        max_bps: int,
        *,
        half: bool = False,
        deliver: Deliver = to_sink,
        after_step: Callable[[], None] = lambda: None,
    ) -> None:
        """``max_bps``: bits a second at most. ``half``: frames are halved in width and height."""
        self._encoder = encoder
        self._half = half
        self._deliver = deliver
        self._max_bps = self._target_bps = max_bps
        self._throttle = KeyframeThrottle()
        self._still = StillRefresh()
        self._vsync = VsyncPhase()
        self._overload = Overload()
        self._output = Meter()
        """Bytes of the units made."""
        self._seen: int | None = None
        """Number of the newest frame that was looked at."""
        self._encoded: int | None = None
        """Number of the newest frame that was encoded."""
        builder = VideoBuilder(context.options.id, encoder, context.clock)
        super().__init__(name, context, builder.build, after_step=after_step)

    @property
    def target_bps(self) -> int:
        """Bits a second that the encoder aims at."""
        return self._target_bps

    def subscribe(self, subscriber: Subscriber) -> None:
        """Start sending to a subscriber, from a keyframe on: at once where there is no other one to be spared."""
        if not len(self):
            self._throttle.allow_at_once(self._clock())
        super().subscribe(subscriber)

    def spent_bps(self, now: float) -> float:
        """Bits a second of the units made in the last two seconds."""
        return self._output.per_second(now) * 8

    def set_target(self, bits_per_second: int) -> None:
        """Aim at this bitrate, or at the maximum, from the next unit on."""
        target_bps = min(bits_per_second, self._max_bps)
        if target_bps != self._target_bps:
            self._target_bps = target_bps
            self._encoder.set_rate(target_bps)

    def vsync(self, key: Key, slack_s: float, refresh_s: float) -> None:
        """A viewer's frames are ready ``slack_s`` before the screen refresh that shows them."""
        if len(self) == 1 and key in self:
            self._vsync.report(slack_s, refresh_s, self._clock())
        else:
            self._vsync.reset()

    async def close(self) -> None:
        await super().close()
        # Its threads take a moment to end.
        await asyncio.get_running_loop().run_in_executor(self._context.pool, self._encoder.close)

    def _plan(self, frame: Frame, now: float) -> VideoJob | None:
        self._note(frame, now)
        keyframe = self._fanout.wants_keyframe and self._throttle.allows(now)
        # A delta helps no subscriber while all of them need a keyframe.
        if not (keyframe or (self._fanout.wants_delta and self._needs_unit(frame))):
            return None
        time_us = max(frame.time_us, self._context.wall_us() if frame.number == self._encoded else 0)
        return VideoJob(
            frame,
            half=self._half or self._overload.half,
            keyframe=keyframe,
            time_us=time_us,
            rtp_ahead_us=self._context.rtp_clock.ahead_us(time_us),
            packets=any(subscriber.packets for subscriber in self._fanout),
            messages=any(not subscriber.packets for subscriber in self._fanout),
        )

    def _note(self, frame: Frame, now: float) -> None:
        """Take note of a new frame, of a still scene, and of the time that encoding takes."""
        if frame.number not in (self._encoded, self._seen):
            self._seen = frame.number
            self._still.published(now)
        interval_s = max(self._context.frame_meter.interval_s, self._still.age_s(now))
        self._overload.update(self.cost_ms(now) / 1000, interval_s, now)
        self._still.advance(now)

    def _needs_unit(self, frame: Frame) -> bool:
        return self._still.due or (frame.number != self._encoded and self._fanout.wants(frame.number))

    def _look_again_at(self) -> float | None:
        times = [self._still.next_at] if len(self) else []
        if self._fanout.wants_keyframe:
            times.append(self._throttle.next_at)
        return min((at for at in times if at is not None), default=None)

    def _send_delay_s(self, took_s: float, now: float) -> float:
        interval_s = self._context.frame_meter.interval_s
        wait_s = self._vsync.wait_s(interval_s, now)
        return wait_s if took_s + wait_s < MAX_FRAME_TIME_FRACTION * interval_s else 0.0

    def _send(self, built: BuiltVideo) -> None:
        packed, unit, now = built.packed, built.packed.unit, self._clock()
        if unit.keyframe:
            self._throttle.made(built.encoded_at)
        self._encoded = unit.number
        self._context.made[self._name] += 1
        self._mark(unit)
        size_bytes = packed.size_bytes
        self._output.add(now, size_bytes)
        for subscriber in self._fanout.route(unit.number, keyframe=unit.keyframe, size_bytes=size_bytes, now=now):
            self._send_to(subscriber, packed, now)

    def _send_to(self, subscriber: Subscriber, packed: PackedUnit, now: float) -> None:
        if not (packed.rtp if subscriber.packets else packed.messages):
            # It came after the job was planned, and the unit was not packed in the form that it takes.
            self._fanout.missed(subscriber.key, packed.unit.number)
            self.wake()
        elif self._taken(subscriber, packed):
            subscriber.sent.add(now, packed.size_bytes)
        else:
            self._fanout.missed(subscriber.key, packed.unit.number)
            if subscriber.packets:
                self._fanout.pause(subscriber.key)

    def _taken(self, subscriber: Subscriber, packed: PackedUnit) -> bool:
        """Whether a subscriber took a unit. One that fails must not cost the others the unit."""
        try:
            return self._deliver(subscriber, packed)
        except Exception:
            log.exception("a subscriber failed")
            return False
