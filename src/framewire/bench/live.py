"""Times a display with its engine: what `publish` takes, and how old a frame is when a viewer has it. Must not know how
a frame travels."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import numpy as np

from framewire.bench.codecs import played
from framewire.bench.figures import Row, Spread
from framewire.bench.viewer import watch
from framewire.display import Display
from framewire.frame import Pixels
from framewire.publishing import publish_loop
from framewire.serving import serve

WARM_UP = 0.3
"""Seconds of publishing that are not counted."""


def live(size: str, clip: Pixels, fps: float, seconds: float) -> Iterator[Row]:
    """Rows of an engine of its own, which nobody else watches."""
    with serve(clip.shape[2], clip.shape[1], fps=fps, port=0, name="bench") as display:
        display.wait_ready()
        published(clip, 10 * fps, WARM_UP, display)
        publish, copy = published(clip, 10 * fps, seconds, display)
        yield Row(size, "publish()", Spread.of(publish), note="nobody watches")
        yield Row(size, "a plain copy", Spread.of(copy), note="of the same frame, beside it")
        yield trip(size, clip, fps, seconds, display)


def published(frames: Pixels, rate: float, seconds: float, display: Display) -> tuple[list[float], list[float]]:
    """Seconds that each `publish` took at ``rate`` frames a second, and each plain copy of the same frame beside it."""
    # As many places as the ring has: one alone would stay in the processor's cache.
    spare = np.zeros((4, *frames.shape[1:]), np.uint8)
    publish: list[float] = []
    copy: list[float] = []
    began = time.perf_counter()
    while (now := time.perf_counter()) - began < seconds:
        frame = frames[len(publish) % len(frames)]
        display.publish(frame)
        middle = time.perf_counter()
        np.copyto(spare[len(publish) % len(spare)], frame)
        copy.append(time.perf_counter() - middle)
        publish.append(middle - now)
        # No catching up: a burst after a stall would measure the stall twice.
        time.sleep(max(0.0, 1 / rate - (time.perf_counter() - now)))
    return publish, copy


def trip(size: str, clip: Pixels, fps: float, seconds: float, display: Display) -> Row:
    """From `publish` through ring, engine and WebSocket to a viewer in this process, bit-exact."""
    frames = played(clip, fps)
    task = publish_loop(display, lambda: next(frames).pixels, fps=fps)
    try:
        arrivals = asyncio.run(watch(display.ws_url, display.server.token, display.name, seconds))
    finally:
        task.cancel()
        task.join(2)
    passed = max(arrivals.seconds, 1e-9)
    came, mbps = len(arrivals.ages) / passed, arrivals.octets * 8e-6 / passed
    note = f"lossless, of {fps:g} a second"
    return Row(size, "publish to received", Spread.of(arrivals.ages), fps=came, mbps=mbps, note=note)
