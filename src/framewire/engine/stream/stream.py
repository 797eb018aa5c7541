"""One stream: where its newest frame is, and the encodings of it that somebody needs.

Must not know sessions, sockets or who publishes. An encoding starts with its first subscriber and ends
with its last: cost grows with the encodings in use, not with viewers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from framewire import wire
from framewire.codec.encoders import open_encoder
from framewire.engine.stream.encoding import Encoding, FrameSource, Key, Sink
from framewire.engine.stream.layers import LayeredEncoding
from framewire.engine.stream.lossless import LosslessEncoding
from framewire.engine.stream.rate import Meter
from framewire.engine.stream.video import VideoLayer
from framewire.options import StreamOptions

EncodingName = str
"""``lossless``, or the name of a video codec."""


class Stream:
    """A published source and its encodings. Made on a running loop and used from it alone."""

    def __init__(
        self, options: StreamOptions, source: FrameSource, pool: Executor, on_resize: Callable[[], None]
    ) -> None:
        self.options = options
        self._source = source
        self._pool = pool
        self._on_resize = on_resize
        self._size = (options.width, options.height)
        self._newest: int | None = None
        self._newest_us = 0
        self._lanes: dict[EncodingName, Encoding] = {}
        self._lane_of: dict[Key, Encoding] = {}
        self._published = Meter()
        self._made_before: dict[str, int] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def info(self) -> wire.StreamInfo:
        width, height = self._size
        return wire.StreamInfo(self.options.id, self.options.name, width, height, self.options.fps)

    def wake(self) -> None:
        """A frame was published."""
        lease = self._source.latest()
        if lease is None:
            return
        frame = lease.frame
        size = (frame.width, frame.height)
        missed = 1 if self._newest is None else max(1, min(1000, (frame.number - self._newest) & 0xFFFFFFFF))
        if frame.number != self._newest:
            self._published.add(time.monotonic(), missed)
        self._newest, self._newest_us = frame.number, frame.time_us
        lease.release()
        if size != self._size:
            self._size = size
            self._on_resize()
        for lane in self._lanes.values():
            lane.resize(*size)
            lane.wake()

    def replace_source(self, source: FrameSource) -> None:
        """The frames come from elsewhere from now on: a larger ring."""
        self._source = source
        for lane in self._lanes.values():
            lane.replace_source(source)
        self.wake()

    def attach(self, key: Key, name: EncodingName, sink: Sink, *, packets: bool) -> None:
        """Start sending this encoding to a subscriber."""
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = self._open(name)
        self._lane_of[key] = lane
        lane.add(key, sink, packets=packets)

    def encoding(self, key: Key) -> Encoding | None:
        """The encoding that a subscriber receives and sends feedback to."""
        return self._lane_of.get(key)

    def detach(self, key: Key) -> None:
        """Stop sending to a subscriber; the last one turns the encoding off."""
        lane = self._lane_of.pop(key, None)
        if lane is None:
            return
        lane.remove(key)
        if not len(lane):
            self._shut(lane)

    async def close(self) -> None:
        for lane in list(self._lanes.values()):
            self._shut(lane)
        self._lane_of.clear()
        await asyncio.gather(*self._closing)

    @property
    def viewers(self) -> int:
        """Connections that watch, however many subscriptions they hold."""
        return len({connection for connection, _ in self._lane_of})

    def published_fps(self, now: float) -> float:
        return self._published.rate(now) if self._published.mean(now) <= 1.5 else self._published.per_second(now)

    def rested_ms(self) -> float:
        """How long ago the newest frame was published."""
        return max(time.time() * 1000 - self._newest_us / 1000, 0.0)

    def stats(self, now: float) -> dict[str, Any]:
        """Numbers for the publisher: `Display.stats`."""
        encode_ms: dict[str, float] = {}
        encodes = dict(self._made_before)
        for lane in self._lanes.values():
            encode_ms |= lane.encode_ms(now)
            for encoding, made in lane.encodes.items():
                encodes[encoding] = encodes.get(encoding, 0) + made
        return {
            "viewers": self.viewers,
            "published_fps": round(self.published_fps(now), 1),
            "encodings": sorted(encode_ms),
            "encodes": encodes,
            "encode_ms": {name: round(cost, 2) for name, cost in encode_ms.items()},
        }

    def _open(self, name: EncodingName) -> Encoding:
        options = self.options
        if name == "lossless":
            return LosslessEncoding(options.id, self._source, self._pool)

        def open_lane(ceiling: int, half: bool) -> VideoLayer:
            encoder = open_encoder(name, fps=options.fps, max_bitrate=ceiling)
            return VideoLayer(options.id, self._source, self._pool, encoder, ceiling, half=half)

        ladder = LayeredEncoding(name, options.max_bitrate, options.fps, open_lane)
        ladder.resize(*self._size)
        return ladder

    def _shut(self, lane: Encoding) -> None:
        """Out of the table at once, so that a subscriber that comes meanwhile opens a new one."""
        name = next(n for n, known in self._lanes.items() if known is lane)
        del self._lanes[name]
        for encoding, made in lane.encodes.items():
            self._made_before[encoding] = self._made_before.get(encoding, 0) + made
        task = asyncio.get_running_loop().create_task(lane.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
