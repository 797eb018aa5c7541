"""`FrameTrack`: published frames as a video track that any stock aiortc program can send.

Must not know streams, encoders or framewire's own sender.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Final, Protocol

import av
from aiortc import VideoStreamTrack
from aiortc.mediastreams import MediaStreamError

from framewire.errors import ClosedError
from framewire.keywords import as_number, shown

logger: Final = logging.getLogger(__name__)

TIME_BASE: Final = Fraction(1, 90_000)
"""Seconds of one tick of a frame's presentation time.

Source: RFC 7741 §4.1 and RFC 6184 §8.2.1, the RTP clock rate of all video."""
REPEAT_S: Final = 0.5
"""Give the newest frame again after this many seconds without a new one. A viewer that joins late, or asks for a
keyframe, then gets a picture.

Source: chosen by hand; pinned by `tests/rtc/test_track.py::test_a_still_scene_is_given_again_every_half_second`."""
POLLS_PER_FRAME: Final = 8
"""Look for a new frame this often in each frame interval: the frame then waits for an eighth of it at most.

Source: chosen by hand; pinned by `tests/rtc/test_track.py::test_every_frame_of_a_jittery_source_is_given`."""

Latest = Callable[[int | None], tuple[int, int, av.VideoFrame] | None]
"""The newest frame as its number, publish time (microseconds since the Unix epoch) and picture; None while there is
none, or if its number is the argument's."""


class Clock(Protocol):
    """The time that a track goes by."""

    def now(self) -> float:
        """Seconds; only differences count."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class _LoopClock:
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class FrameTrack(VideoStreamTrack):
    """A video track of the newest frame, for ``RTCPeerConnection.addTrack`` and ``MediaRelay``.

    ``latest(known)`` returns number, publish time (microseconds since the Unix epoch) and picture of the newest frame.
    It returns None while there is no frame, or if the newest one's number is ``known``. It raises `ClosedError` when no
    frame will come any more, which ends the track. It is called several times per frame and must not block. The picture
    must belong to this track alone: the track writes its time into it.
    At most ``fps`` frames a second are taken. Until the first frame is there, `recv` waits.
    """

    def __init__(self, latest: Latest, *, fps: float = 60.0, clock: Clock | None = None) -> None:
        super().__init__()
        _check(latest, fps)
        self._latest = latest
        self._interval_s = 1 / float(fps)
        self._clock = clock or _LoopClock()
        self._due_at = float("-inf")
        self._number: int | None = None
        self._given_at = 0.0
        self._origin_us: int | None = None
        self._newest_us = 0
        self._pts = -1

    async def recv(self) -> av.VideoFrame:
        """The next frame: a new one as soon as there is one, or the newest again after `REPEAT_S`.

        Raises ``MediaStreamError`` once the track has ended, as every aiortc track does, and nothing else: any other
        error would end aiortc's sender for good.
        """
        await self._clock.sleep(max(0.0, self._due_at - self._clock.now()))
        while self.readyState == "live":
            now = self._clock.now()
            newest = self._newest(None if now - self._given_at >= REPEAT_S else self._number)
            if newest is not None:
                # Count from when the frame was due, not from now: a late timer must not lower the rate. A frame that
                # came later than that is no debt, or frames would follow it in a burst.
                self._due_at = max(self._due_at + self._interval_s, now)
                self._number, self._given_at = newest[0], now
                return self._stamped(newest[1], newest[2])
            # Waiting for a whole interval would lose every frame that comes just after a look.
            await self._clock.sleep(max(self._interval_s / POLLS_PER_FRAME, self._due_at - now))
        raise MediaStreamError

    def _newest(self, known: int | None) -> tuple[int, int, av.VideoFrame] | None:
        try:
            return self._latest(known)
        except ClosedError:
            self.stop()
            return None
        except Exception as error:
            logger.warning("no frame to send: %r", error)
            self._due_at = self._clock.now() + self._interval_s  # one such line per frame is enough
            return None

    def _stamped(self, time_us: int, frame: av.VideoFrame) -> av.VideoFrame:
        """The frame with its publish time as presentation time, always later than that of the frame before it."""
        if self._origin_us is None:
            self._origin_us = time_us
        elif time_us < self._newest_us:  # a clock was set back: this frame follows the last one all the same
            self._origin_us -= self._newest_us - time_us
        self._newest_us = time_us
        self._pts = max(self._pts + 1, (time_us - self._origin_us) * 9 // 100)
        frame.pts, frame.time_base = self._pts, TIME_BASE
        return frame


def _check(latest: Latest, fps: float) -> None:
    """Raises ``TypeError`` or ``ValueError``: a track that cannot work would only wait."""
    if not callable(latest):
        raise TypeError(f"latest is a function of the known frame's number, not {shown(latest)}")
    try:
        inspect.signature(latest).bind(None)
    except TypeError:
        raise TypeError("latest is called with the number of the known frame: write def latest(known): ...") from None
    except ValueError:
        pass  # a function in C, that says nothing of its arguments
    rate = as_number(fps)
    if rate is None or not 0 < rate < math.inf:
        raise ValueError(f"fps={shown(fps)} is out of range: a number above 0")
