"""``python -m benchmarks.publisher``: how long `publish` takes at a thousand frames a second, beside copying the frame.

Must not know how a frame travels.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

import numpy as np
import psutil

import framewire as fw
from framewire.bench.live import published


async def measure(width: int, height: int, rate: float, seconds: float) -> int:
    frames = np.random.default_rng(1).integers(0, 255, (4, height, width, 3), np.uint8)
    async with fw.serve(width, height, port=0, name="publisher") as display:
        await asyncio.to_thread(published, frames, rate, 1.0, display)
        processes = [psutil.Process(), *psutil.Process().children()]
        before = [process.memory_info().rss for process in processes]
        publish, copy = await asyncio.to_thread(published, frames, rate, seconds, display)
        grown = [(process.memory_info().rss - rss) / 2**20 for process, rss in zip(processes, before, strict=True)]
    assert len(grown) == 2, "the engine is a process of its own"
    for name, times in (("publish", publish), ("a copy", copy)):
        p50, p99 = np.percentile(times, (50, 99)) * 1e3
        print(f"{name:8s} p50 {p50:.3f} ms, p99 {p99:.3f} ms")
    ratio = np.percentile(publish, 99) / np.percentile(copy, 99)
    print(f"{len(publish) / seconds:.0f} fps of {width}x{height}; p99 of publish is {ratio:.2f} p99 of a copy")
    print(f"memory grew by {grown[0]:+.1f} MiB here and {grown[1]:+.1f} MiB in the engine")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.publisher", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--fps", type=float, default=1000.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    return asyncio.run(measure(width, height, options.fps, options.seconds))


if __name__ == "__main__":
    sys.exit(main())
