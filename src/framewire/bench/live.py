"""Times a display with its engine: `publish`, and the age of a frame when a viewer has received it.

Must not know how a frame travels.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Final

import numpy as np

from framewire.bench.codecs import played
from framewire.bench.figures import Row, Spread
from framewire.bench.viewer import watch
from framewire.display import Display
from framewire.frame import Pixels
from framewire.publishing import publish_loop
from framewire.serving import serve

WARM_UP_S: Final = 0.3
"""The first publishing is not counted: it makes the pages of the ring.

Source: chosen by hand."""
PUBLISH_RATE_FACTOR: Final = 10
"""`publish` is timed at this multiple of the frame rate: enough samples in a short time.

Source: chosen by hand."""


def live(size: str, clip: Pixels, fps: float, seconds: float) -> Iterator[Row]:
    """The rows of an engine that is started for them."""
    with serve(clip.shape[2], clip.shape[1], fps=fps, port=0, name="bench") as display:
        display.wait_ready()
        published(clip, PUBLISH_RATE_FACTOR * fps, WARM_UP_S, display)
        publish, copy = published(clip, PUBLISH_RATE_FACTOR * fps, seconds, display)
        yield Row(size, "publish()", Spread.of(publish), note="without a viewer")
        yield Row(size, "a plain copy", Spread.of(copy), note="of the same frame, beside it")
        yield trip(size, clip, fps, seconds, display)


def published(frames: Pixels, rate: float, seconds: float, display: Display) -> tuple[list[float], list[float]]:
    """The seconds of each `publish` at ``rate`` frames a second, and of a plain copy of the same frame after it."""
    # Several destinations, as the ring has: a single one would stay in the processor's cache.
    spare = np.zeros((4, *frames.shape[1:]), np.uint8)
    publish: list[float] = []
    copy: list[float] = []
    started = time.perf_counter()
    while (now := time.perf_counter()) - started < seconds:
        frame = frames[len(publish) % len(frames)]
        display.publish(frame)
        middle = time.perf_counter()
        np.copyto(spare[len(publish) % len(spare)], frame)
        copy.append(time.perf_counter() - middle)
        publish.append(middle - now)
        # Without catching up: a burst after a stall would measure the stall twice.
        time.sleep(max(0.0, 1 / rate - (time.perf_counter() - now)))
    return publish, copy


def trip(size: str, clip: Pixels, fps: float, seconds: float, display: Display) -> Row:
    """From `publish` through ring, engine and WebSocket to a viewer in this process, lossless."""
    frames = played(clip, fps)
    task = publish_loop(display, lambda: next(frames).pixels, fps=fps)
    try:
        arrivals = asyncio.run(watch(display.ws_url, display.server.token, display.name, seconds))
    finally:
        task.cancel()
        task.join(2)
    duration_s = max(arrivals.seconds, 1e-9)
    arrived_fps, mbps = len(arrivals.ages) / duration_s, arrivals.size_bytes * 8e-6 / duration_s
    note = f"lossless, {fps:g} fps published"
    return Row(size, "publish to received", Spread.of(arrivals.ages), fps=arrived_fps, mbps=mbps, note=note)
