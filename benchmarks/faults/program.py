"""A user's program, which faults are played to: it serves a stream and publishes frames until it is ended.

    python -m benchmarks.faults.program '{"base": 12.5, "serve": {"host": "127.0.0.1", "port": 0}}'

A frame's number is the milliseconds of the monotonic clock since ``base``. Prints a line of JSON when the port is
served. Each line on its standard input is the size of the next frames (``640x480``), and is answered with a line.
Publish errors go to standard error. Must not know any fault.
"""

from __future__ import annotations

import json
import sys
import threading
import time

import numpy as np

import framewire as fw
from benchmarks import probe

FPS = 20.0
WIDTH, HEIGHT = 320, 240


def answer(**fields: object) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


class Frames:
    """What is published: a picture with its number, and a moving bar, as frames differ in more than their numbers."""

    def __init__(self, base: float) -> None:
        self._base = base
        self.resize(WIDTH, HEIGHT)

    def resize(self, width: int, height: int) -> None:
        across, down = np.linspace(0, 255, width)[None, :], np.linspace(0, 255, height)[:, None]
        self._picture = np.stack([across + 0 * down, 0 * across + down, (across + down) / 2], axis=2).astype(np.uint8)

    def next(self) -> np.ndarray:
        milliseconds = int((time.monotonic() - self._base) * 1000)
        frame = self._picture.copy()
        at = (milliseconds // 8) % frame.shape[1]
        frame[probe.HEIGHT :, at : at + 8] = 255
        return probe.stamp(frame, milliseconds)


def obey(frames: Frames) -> None:
    for line in sys.stdin:
        width, _, height = line.strip().partition("x")
        frames.resize(int(width), int(height))
        answer(size=line.strip())


def publish(display: fw.Display, frames: Frames) -> None:
    """Publish for ever. The first of several errors is told."""
    failing = False
    while True:
        time.sleep(1 / FPS)
        try:
            display.publish(frames.next())
            failing = False
        except fw.FramewireError as error:
            if not failing:
                sys.stderr.write(f"publish: {error}\n")
            failing = True


def main(options: str) -> None:
    asked = json.loads(options)
    frames = Frames(asked["base"])
    with fw.serve(WIDTH, HEIGHT, fps=FPS, **asked["serve"]) as display:
        display.wait_ready()
        answer(url=display.url, port=display.port, token=display.server.token, engine=display.server.engine_pid)
        threading.Thread(target=obey, args=(frames,), daemon=True).start()
        publish(display, frames)


if __name__ == "__main__":
    main(sys.argv[1])
