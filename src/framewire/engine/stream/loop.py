"""The loop that every encoder runs: plan a job for the newest frame, build it on a worker thread, send what was built.

Must not know sessions, sockets or peers. Nothing may end the loop: a frame that cannot be encoded is skipped.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from framewire.engine.stream.context import StreamContext
from framewire.engine.stream.encoding import EncodingReport, Key, Mark
from framewire.engine.stream.fanout import Fanout, Subscriber
from framewire.engine.stream.meter import Meter
from framewire.engine.stream.rtp_clock import CLOCK_SET_US
from framewire.errors import EncoderError
from framewire.frame import AccessUnit, Frame, rtp_timestamp

log: Final = logging.getLogger(__name__)

RETRY_FAILED_AFTER_S: Final = 0.5
"""A frame that could not be encoded is tried again after this long; a newer frame is tried at once.

Source: chosen by hand; pinned by `tests/engine/stream/test_loop.py::test_a_still_picture_that_failed_is_tried_again`.
"""

REPORTED_MARKS_US: Final = 1_500_000
"""Reports name the frames published in this time: viewers report twice a second, and a report may be lost.

Source: chosen by hand; pinned by `tests/engine/stream/test_loop.py::test_a_report_names_the_recent_frames`.
"""

MAX_MARKS: Final = 256
"""Frames that are remembered for reports, and the most that one report may name: 1.5 s at up to 170 frames a second.

Source: `signaling/schema.json`, `stats.frames`;
pinned by `tests/engine/stream/test_loop.py::test_a_report_names_the_recent_frames`.
"""

Job = TypeVar("Job")
"""All that a worker thread needs to build units of one frame."""

Built = TypeVar("Built")
"""What a worker thread made."""


class EncodingLoop(ABC, Generic[Job, Built]):
    """One encoder and its subscribers. A subclass defines what a job is, and how it is planned and sent."""

    def __init__(
        self,
        name: str,
        context: StreamContext,
        build: Callable[[Job], Built],
        *,
        after_step: Callable[[], None] = lambda: None,
    ) -> None:
        """``build`` runs on a worker thread and knows nothing of the loop; ``after_step`` is called after each look."""
        self._name = name
        self._context = context
        self._clock = context.clock
        self._build = build
        self._after_step = after_step
        self._fanout = Fanout()
        self._cost_ms = Meter()
        self._marks: deque[Mark] = deque(maxlen=MAX_MARKS)
        self._failing = False
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        context.made[name] += 0
        self._task = asyncio.get_running_loop().create_task(self._run())

    # What a subclass defines

    @abstractmethod
    def _plan(self, frame: Frame, now: float) -> Job | None:
        """What to build from this frame now; None for nothing."""

    @abstractmethod
    def _send(self, built: Built) -> None:
        """Send what was built to the subscribers that can take it."""

    def _look_again_at(self) -> float | None:
        """When to look again though nothing happens; None for never."""
        return None

    def _send_delay_s(self, took_s: float, now: float) -> float:
        """Seconds that a unit waits before it is sent; it took ``took_s`` to make."""
        return 0.0

    @property
    def target_bps(self) -> int:
        """Bits a second that the encoder aims at; 0 where it has no target."""
        return 0

    # Subscribers

    def __contains__(self, key: Key) -> bool:
        return key in self._fanout

    def __len__(self) -> int:
        return len(self._fanout)

    def subscribe(self, subscriber: Subscriber) -> None:
        """Start sending to a subscriber, from a keyframe on."""
        self._fanout.add(subscriber)
        self.wake()

    def remove(self, key: Key) -> None:
        """Stop sending to a subscriber."""
        self._fanout.remove(key)

    def restart(self, key: Key) -> None:
        """A subscriber was hidden: it goes on from a keyframe."""
        self._fanout.restart(key)
        self.wake()

    def request_keyframe(self, key: Key) -> None:
        """A subscriber cannot decode further without a keyframe."""
        self._fanout.request_keyframe(key)
        self.wake()

    def acknowledge(self, key: Key, number: int) -> bool:
        """The unit of frame ``number`` arrived whole: its credit is free again. False when it was not on its way."""
        if self._fanout.acknowledge(key, number) is None:
            return False
        self.wake()
        return True

    def sent_bps(self, key: Key, now: float) -> float:
        """Bits a second sent to a subscriber in the last two seconds."""
        subscriber = self._fanout.get(key)
        return subscriber.sent.per_second(now) * 8 if subscriber else 0.0

    def report(self, key: Key, now: float) -> EncodingReport:
        """Numbers for a subscriber's statistics."""
        subscriber = self._fanout.get(key)
        if subscriber is None:
            return EncodingReport()
        return EncodingReport(
            sent_fps=subscriber.sent.rate(now),
            sent_bps=subscriber.sent.per_second(now) * 8,
            encode_ms=self._cost_ms.mean(now),
            target_bps=self.target_bps,
            marks=self._recent_marks(),
        )

    def cost_ms(self, now: float) -> float:
        """Mean time to encode or pack one frame."""
        return self._cost_ms.mean(now)

    def _recent_marks(self) -> list[Mark]:
        since_us = self._context.wall_us() - REPORTED_MARKS_US
        return [mark for mark in self._marks if mark.time_us > since_us] or list(self._marks)[-1:]

    def _mark(self, unit: AccessUnit) -> None:
        self._remember(Mark(unit.number, rtp_timestamp(unit.rtp_us), unit.time_us))

    def _remember(self, mark: Mark) -> None:
        if self._marks and mark.time_us < self._marks[-1].time_us - CLOCK_SET_US:
            self._marks.clear()  # by a clock that was set back, they would be of the future
        self._marks.append(mark)

    def _mark_missing(self, frame: Frame) -> None:
        """Reports name a frame that could not be encoded, too: a viewer whose video stands still because of that must
        not take it for a still scene, and falls back to what works."""
        if not self._marks or frame.number != self._marks[-1].number:
            self._remember(Mark(frame.number, rtp_timestamp(frame.time_us), frame.time_us))

    # The loop

    def wake(self) -> None:
        """Look again: there is a new frame, a new subscriber or new room, or a time has come."""
        self._wake.set()

    async def close(self) -> None:
        """Stop, and wait until the worker thread has finished its job."""
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
                self._log_failure(error)
                now = self._clock()
                self._set_timer(now + RETRY_FAILED_AFTER_S, now)
            self._after_step()

    async def _step(self) -> None:
        lease = self._context.source.latest()
        if lease is None:
            return
        try:
            now = self._clock()
            job = self._plan(lease.frame, now)
            if job is None:
                self._set_timer(self._look_again_at(), now)
                return
            try:
                built, took_s = await self._run_job(job)
            except Exception:
                self._mark_missing(lease.frame)
                raise
        finally:
            lease.release()
        if delay_s := self._send_delay_s(took_s, now):
            await asyncio.sleep(delay_s)
        self._failing = False
        self._send(built)
        self._set_timer(self._look_again_at(), self._clock())

    async def _run_job(self, job: Job) -> tuple[Built, float]:
        """What was built, and the seconds it took. A cancelled loop still waits: the thread reads the leased frame."""
        work = asyncio.get_running_loop().run_in_executor(self._context.pool, self._timed_build, job)
        try:
            built, took_s = await asyncio.shield(work)
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):
                await work
            raise
        self._cost_ms.add(self._clock(), took_s * 1000)
        return built, took_s

    def _timed_build(self, job: Job) -> tuple[Built, float]:
        started_at = self._clock()
        built = self._build(job)
        return built, self._clock() - started_at

    def _set_timer(self, when: float | None, now: float) -> None:
        self._cancel_timer()
        if when is not None and not self._wake.is_set():
            delay_s = max(0.0, when - now)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self.wake)

    def _cancel_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _log_failure(self, error: Exception) -> None:
        """Once, until a frame is encoded again. A bug is logged with its trace."""
        if not self._failing:
            self._failing = True
            log.warning("%s", error, exc_info=None if isinstance(error, EncoderError) else error)
