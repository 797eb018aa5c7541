"""The loop that every encoding runs: the newest frame in, the same unit out to all subscribers that want it.

Must not know sessions, sockets or peers. Nothing may end the loop: a frame that cannot be encoded costs that frame.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final

from framewire.codec.messages import messages
from framewire.engine.stream.encoding import EncodingReport, FrameSource, Key, Mark, PackedUnit, Sink
from framewire.engine.stream.fanout import Fanout
from framewire.engine.stream.rate import Meter
from framewire.errors import EncoderError
from framewire.frame import AccessUnit, Frame, rtp_timestamp
from framewire.rtc.rtp.packets import RtpUnit, packetise

log = logging.getLogger(__name__)

RETRY: Final = 0.5
"""Seconds after a failure until the newest frame is tried again; a newer one is tried at once."""

RECENT_US: Final = 1_500_000


class _Receiver:
    """What one subscriber takes and how much of it."""

    def __init__(self, sink: Sink, *, packets: bool) -> None:
        self.sink = sink
        self.packets = packets
        self.octets = Meter()


class EncodingLoop:
    """The loop that all encodings share. Subclasses say whether a unit is due and how it is made."""

    def __init__(self, stream: int, source: FrameSource, pool: Executor) -> None:
        self._stream = stream
        self.source = source
        self._pool = pool
        self._receivers: dict[Key, _Receiver] = {}
        self._fanout: Fanout[Key] = Fanout()
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._encoded: int | None = None
        self._complained = False
        self.cost = Meter()
        self.made = 0
        """Units made since the lane began: the proof that an encoding is shared."""
        self.marks: deque[Mark] = deque(maxlen=64)
        self.on_turn: Callable[[], None] = lambda: None
        """Called when what woke it is done with."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    # Subscribers

    def add(self, key: Key, sink: Sink, *, packets: bool) -> None:
        self._receivers[key] = _Receiver(sink, packets=packets)
        self._fanout.add(key, credited=not packets)
        self.wake()

    def remove(self, key: Key) -> None:
        self._receivers.pop(key, None)
        self._fanout.remove(key)

    def __contains__(self, key: Key) -> bool:
        return key in self._receivers

    def __len__(self) -> int:
        return len(self._receivers)

    def show(self, key: Key, visible: bool) -> None:
        if key in self._fanout:
            self._fanout.show(key, visible)
            self.wake()

    def request_keyframe(self, key: Key) -> None:
        """This subscriber cannot go on without a keyframe."""
        self._fanout.wait(key)
        self.wake()

    def acknowledge(self, key: Key, number: int) -> None:
        """A unit arrived whole over the WebSocket."""
        self._fanout.acknowledge(key, number)
        self.wake()

    def take_over(self, key: Key, before: EncodingLoop) -> None:
        """Go on counting what a subscriber is sent where the lane that it comes from left off: it needs no less."""
        if key in self._receivers and key in before._receivers:
            self._receivers[key].octets = before._receivers[key].octets

    def recent(self) -> list[Mark]:
        """The units of the last second and a half; the newest in any case."""
        since_us = time.time_ns() // 1000 - RECENT_US
        return [mark for mark in self.marks if mark.time_us > since_us] or list(self.marks)[-1:]

    def replace_source(self, source: FrameSource) -> None:
        self.source = source

    def sent_fps(self, key: Key, now: float) -> float:
        """Units a second sent to this subscriber in the last two seconds."""
        receiver = self._receivers.get(key)
        return receiver.octets.rate(now) if receiver else 0.0

    def sent_bps(self, key: Key, now: float) -> float:
        """Bits a second sent to this subscriber in the last two seconds."""
        receiver = self._receivers.get(key)
        return receiver.octets.per_second(now) * 8 if receiver else 0.0

    @property
    def target_bps(self) -> int:
        """Bits a second that the encoder aims at; 0 where it has no target."""
        return 0

    def report(self, key: Key, now: float) -> EncodingReport:
        """Numbers for one subscriber's statistics."""
        return EncodingReport(
            sent_fps=self.sent_fps(key, now),
            sent_bps=self.sent_bps(key, now),
            encode_ms=self.cost.mean(now),
            target_bps=self.target_bps,
            marks=self.recent(),
        )

    # The loop

    def wake(self) -> None:
        """Something changed: a frame, a subscriber, room, a timer."""
        self._wake.set()

    async def close(self) -> None:
        self._cancel_timer()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._cancel_timer()
            try:
                await self._step()
            except Exception as error:
                self._complain(error)
                now = time.monotonic()
                self._set_timer(now + RETRY, now)
            self.on_turn()

    async def _step(self) -> None:
        lease = self.source.latest()
        if lease is None:
            return
        try:
            now = time.monotonic()
            if not self._due(lease.frame, now):
                self._set_timer(self._next(now), now)
                return
            packed, took = await self._make(lease.frame)
        finally:
            lease.release()
        if wait := self._wait(took, now):
            await asyncio.sleep(wait)
        self._complained = False
        self.made += 1
        self._send(packed)
        self._set_timer(self._next(time.monotonic()), time.monotonic())

    async def _make(self, frame: Frame) -> tuple[PackedUnit, float]:
        """The unit and the seconds that it took, on a worker thread. A cancelled lane still waits for it: the thread
        reads the leased frame."""
        job = asyncio.get_running_loop().run_in_executor(self._pool, self._work, frame)
        try:
            packed, took = await asyncio.shield(job)
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):
                await job
            raise
        self.cost.add(time.monotonic(), took * 1000)
        return packed, took

    def _work(self, frame: Frame) -> tuple[PackedUnit, float]:
        started = time.monotonic()
        packed = self._build(frame)
        return packed, time.monotonic() - started

    def _send(self, packed: PackedUnit) -> list[Key]:
        """To everybody who can take it; returns who did."""
        unit = packed.unit
        now = time.monotonic()
        self.marks.append(Mark(unit.number, rtp_timestamp(unit.time_us), unit.time_us))
        takers = []
        for key in self._fanout.route(unit.number, keyframe=unit.keyframe):
            receiver = self._receivers[key]
            # A subscriber that came while the unit was made may find no form of it that it can take.
            if (receiver.packets and not packed.rtp) or (not receiver.packets and not packed.messages):
                self._fanout.missed(key, unit.number)
                self.wake()
            elif _taken(receiver.sink, packed):
                receiver.octets.add(now, packed.size_bytes)
                takers.append(key)
            else:
                self._fanout.missed(key, unit.number)
                if receiver.packets:
                    self._fanout.choke(key)
        return takers

    def _forms(self, unit: AccessUnit) -> PackedUnit:
        receivers = list(self._receivers.values())
        packed = RtpUnit(unit, packetise(unit)) if any(receiver.packets for receiver in receivers) else None
        sockets = any(not receiver.packets for receiver in receivers)
        return PackedUnit(unit, packed, tuple(messages(unit, self._stream)) if sockets else ())

    def _set_timer(self, when: float | None, now: float) -> None:
        self._cancel_timer()
        if when is not None and not self._wake.is_set():
            delay = max(0.0, when - now)
            self._timer = asyncio.get_running_loop().call_later(delay, self.wake)

    def _cancel_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _complain(self, error: Exception) -> None:
        """Once, until a frame gets through again."""
        if not self._complained:
            self._complained = True
            log.warning("%s", error, exc_info=None if isinstance(error, EncoderError) else error)

    # What a subclass says

    def _due(self, frame: Frame, now: float) -> bool:
        """Whether a unit of this frame shall be made now."""
        raise NotImplementedError

    def _next(self, now: float) -> float | None:
        """When to look again though nothing happens; None for never."""
        raise NotImplementedError

    def _build(self, frame: Frame) -> PackedUnit:
        """The unit; on a worker thread."""
        raise NotImplementedError

    def _wait(self, took: float, now: float) -> float:
        """Seconds that a unit waits which ``took`` so many to make."""
        return 0.0


def _taken(sink: Sink, packed: PackedUnit) -> bool:
    """Whether a subscriber took it. What goes wrong with one must not cost those after it the unit."""
    try:
        return sink(packed)
    except Exception:
        log.exception("a subscriber failed")
        return False
