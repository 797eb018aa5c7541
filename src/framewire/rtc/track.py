"""`FrameTrack`: published frames as a track that any stock aiortc program can send. Must not know streams,
encoders or our own sender."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from fractions import Fraction

import av
from aiortc import VideoStreamTrack
from aiortc.mediastreams import MediaStreamError

logger = logging.getLogger(__name__)

TIME_BASE = Fraction(1, 90_000)
REPEAT = 0.5
"""Seconds without a new frame until the newest is given again, so that a viewer who joins late, or asks for a
keyframe, gets a picture."""

Latest = Callable[[], tuple[int, int, av.VideoFrame] | None]


class FrameTrack(VideoStreamTrack):
    """A video track of the newest frame, for ``RTCPeerConnection.addTrack`` and ``MediaRelay``.

    ``latest`` gives number, publish time (microseconds since the Unix epoch) and picture of the newest frame,
    or None while there is none. It must not block, and the picture must be this track's alone: it is stamped
    with a time. At most ``fps`` frames a second are taken. Until the first frame is there, `recv` waits.
    """

    def __init__(self, latest: Latest, *, fps: float = 60.0) -> None:
        super().__init__()
        self._latest = latest
        self._beat = 1 / fps
        self._due = 0.0
        self._number: int | None = None
        self._given_at = 0.0
        self._origin_us: int | None = None
        self._pts = -1

    async def recv(self) -> av.VideoFrame:
        """The next frame: a new one as soon as there is one, the newest again after a while. Raises only when
        the track has ended, as every aiortc track does: anything else would end its sender for good."""
        loop = asyncio.get_running_loop()
        while self.readyState == "live":
            await asyncio.sleep(max(0.0, self._due - loop.time()))
            self._due = max(self._due + self._beat, loop.time())
            newest = self._newest()
            if newest is not None and self._is_due(newest[0], loop.time()):
                self._number, self._given_at = newest[0], loop.time()
                return self._stamped(newest[1], newest[2])
        raise MediaStreamError

    def _newest(self) -> tuple[int, int, av.VideoFrame] | None:
        try:
            return self._latest()
        except Exception as error:
            logger.warning("no frame to send: %r", error)
            return None

    def _is_due(self, number: int, now: float) -> bool:
        return number != self._number or now - self._given_at >= REPEAT

    def _stamped(self, time_us: int, frame: av.VideoFrame) -> av.VideoFrame:
        """The frame with its publish time as its presentation time, later than that of the one before it."""
        if self._origin_us is None:
            self._origin_us = time_us
        self._pts = max(self._pts + 1, (time_us - self._origin_us) * 9 // 100)
        frame.pts, frame.time_base = self._pts, TIME_BASE
        return frame
