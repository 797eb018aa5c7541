"""One stream: where its newest frame is, and the encodings of it that have subscribers.

Must not know sessions, sockets or publishers. An encoding starts with its first subscriber and stops with its last:
cost grows with the encodings in use, not with viewers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any, Final

from msgspec import UNSET
from msgspec.structs import replace

from framewire import wire
from framewire.codec.base import VideoEncoder
from framewire.codec.encoders import open_encoder
from framewire.engine.stream.context import StreamContext, wall_clock
from framewire.engine.stream.encoding import Clock, Encoding, Key, Sink, WallClock
from framewire.engine.stream.layers import LayeredEncoding
from framewire.engine.stream.lossless import LosslessEncoding
from framewire.frame import FrameSource
from framewire.options import StreamOptions

LINGER_S: Final = 1.0
"""An encoding without subscribers is kept so long: whoever comes back meanwhile opens no encoder anew.

Source: chosen by hand: a view that is scrolled out of sight, or changes its mode, comes back sooner; pinned by
`tests/engine/stream/test_stream.py::test_an_encoding_is_kept_for_a_moment_after_its_last_subscriber`."""

EncodingName = str
"""``lossless``, or the name of a video codec."""


class Stream:
    """A published source and its encodings. Made on a running loop and used from it alone."""

    def __init__(
        self,
        options: StreamOptions,
        source: FrameSource,
        pool: Executor,
        on_resize: Callable[[], None],
        *,
        clock: Clock = time.monotonic,
        wall_us: WallClock = wall_clock,
    ) -> None:
        self.options: StreamOptions = options
        self._context = StreamContext(options, source, pool, clock, wall_us)
        self._on_resize = on_resize
        self._newest: int | None = None
        """Number of the newest frame."""
        self._published_at = 0.0
        """When that one was published, by ``clock``: the wall clock may be set while the scene is still."""
        self._encodings: dict[EncodingName, Encoding] = {}
        self._encoding_of: dict[Key, Encoding] = {}
        self._viewer_keys: set[Key] = set()
        """Subscribers that count as viewers."""
        self._lingering: dict[EncodingName, asyncio.TimerHandle] = {}
        """Encodings without subscribers, and when each stops."""
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def info(self) -> wire.StreamInfo:
        context = self._context
        options = self.options
        return wire.StreamInfo(
            options.id, options.name, context.width, context.height, options.fps,
            title=options.title or UNSET,
            cursor=UNSET if options.cursor == "default" else options.cursor,
        )  # fmt: skip

    def wake(self) -> None:
        """A frame was published."""
        context = self._context
        lease = context.source.latest()
        if lease is None:
            return
        frame = lease.frame
        width, height = frame.width, frame.height
        context.frame_meter.published(frame.number, frame.time_us, context.clock())
        if frame.number != self._newest:
            self._newest = frame.number
            self._published_at = context.clock() - max(context.wall_us() - frame.time_us, 0) / 1e6
        lease.release()
        if (width, height) != (context.width, context.height):
            context.width, context.height = width, height
            self._on_resize()
        for encoding in self._encodings.values():
            encoding.wake()

    def describe(self, options: StreamOptions) -> None:
        """Take the title and the cursor of these options; a stream keeps the others from its start."""
        self.options = replace(self.options, title=options.title, cursor=options.cursor)

    def replace_source(self, source: FrameSource) -> None:
        """The frames come from another place from now on: a larger ring."""
        self._context.source = source
        self.wake()

    def attach(
        self, key: Key, name: EncodingName, sink: Sink, *, packets: bool = False, is_viewer: bool = True
    ) -> None:
        """Start sending an encoding to a subscriber: a WebSocket, a peer connection, a recorder.

        ``packets``: see `Encoding.add`. Without them the subscriber acknowledges each unit through `encoding`.
        ``is_viewer``: whether it counts in `viewers`; a recorder does not.
        """
        encoding = self._encodings.get(name)
        if encoding is None:
            encoding = self._encodings[name] = self._open(name)
        elif timer := self._lingering.pop(name, None):
            timer.cancel()
        self._encoding_of[key] = encoding
        if is_viewer:
            self._viewer_keys.add(key)
        encoding.add(key, sink, packets=packets)

    def encoding(self, key: Key) -> Encoding | None:
        """The encoding that a subscriber receives and sends feedback to."""
        return self._encoding_of.get(key)

    def detach(self, key: Key) -> None:
        """Stop sending to a subscriber; a moment after the last one the encoding stops."""
        self._viewer_keys.discard(key)
        encoding = self._encoding_of.pop(key, None)
        if encoding is None:
            return
        encoding.remove(key)
        if not len(encoding):
            name = next(name for name, known in self._encodings.items() if known is encoding)
            self._lingering[name] = asyncio.get_running_loop().call_later(LINGER_S, self._stop, name)

    async def close(self) -> None:
        """Stop all encodings and wait until they have stopped."""
        for name in list(self._encodings):
            self._stop(name)
        self._encoding_of.clear()
        self._viewer_keys.clear()
        await asyncio.gather(*self._closing)

    @property
    def viewers(self) -> int:
        """Viewers' connections that subscribe, however many subscriptions they hold."""
        return len({connection for connection, _ in self._viewer_keys})

    def published_fps(self, now: float) -> float:
        """Frames published a second."""
        return self._context.frame_meter.fps(now)

    def rested_ms(self) -> float:
        """How long ago the newest frame was published."""
        return (self._context.clock() - self._published_at) * 1000

    def stats(self, now: float) -> dict[str, Any]:
        """Numbers for the publisher: `Display.stats`."""
        encode_ms: dict[str, float] = {}
        for encoding in self._encodings.values():
            encode_ms |= encoding.encode_ms(now) if len(encoding) else {}
        return {
            "viewers": self.viewers,
            "published_fps": round(self.published_fps(now), 1),
            "encodings": sorted(encode_ms),
            "encodes": dict(self._context.made),
            "encode_ms": {name: round(cost_ms, 2) for name, cost_ms in encode_ms.items()},
        }

    def _open(self, name: EncodingName) -> Encoding:
        if name == "lossless":
            return LosslessEncoding(self._context)
        return LayeredEncoding(name, self._context, partial(self._open_encoder, name))

    def _open_encoder(self, codec: str, max_bps: int) -> VideoEncoder:
        return open_encoder(codec, fps=self.options.fps, max_bitrate=max_bps)

    def _stop(self, name: EncodingName) -> None:
        """Out of the table at once, so that a new subscriber starts a new one meanwhile."""
        if timer := self._lingering.pop(name, None):
            timer.cancel()
        task = asyncio.get_running_loop().create_task(self._encodings.pop(name).close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
