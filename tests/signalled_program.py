"""A program whose signal handler calls the package at any moment of anything; `test_reruns.py` runs it.

Arguments: seconds, a seed, and what the handler does. It prints what is left in the end, and fails where it hangs.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import random
import signal
import sys
import time
from types import FrameType

import numpy as np
import psutil

import framewire as fw
from framewire import registry
from framewire.link import process, supervisor

MIN_ROUNDS = 2
MIN_SIGNALS = 21
HANG_S = 60.0
GRACE_S = 30.0
"""No end waits so long. (In an end that is at fault, an engine is killed only then.)"""
FRAME = np.zeros((2160, 3840, 3), np.uint8)


class Program:
    """Serves, publishes and closes in rounds, while signals come at random moments."""

    def __init__(self, seed: int, deeds: list[str]) -> None:
        self.random = random.Random(seed)
        self.deeds = deeds
        self.display: fw.Display | None = None
        self.rounds = self.signals = 0
        self.longest_close_s = 0.0
        signal.signal(signal.SIGALRM, self.on_signal)

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        self.signals += 1
        with contextlib.suppress(fw.ClosedError):
            self.do(self.random.choice(self.deeds))
        self.arm()

    def arm(self) -> None:
        """The next signal comes soon. None comes meanwhile: handlers of handlers would never end."""
        signal.setitimer(signal.ITIMER_REAL, self.random.uniform(0.0001, 0.02))

    def do(self, deed: str) -> None:
        display = self.display
        match deed:
            case "close" if display:
                display.close()
            case "publish" if display:
                display.publish(FRAME[: self.random.randrange(1, 2160)])
            case "serve":
                fw.serve(64, 48, name=self.random.choice("ab"), port=0).publish(FRAME[:48, :64])
            case "close the server" if display:
                display.server.close()
            case "look" if display:
                _ = display.stats, display.poll_events(), display.url, display.closed, display.client_count
            case "interrupt":
                raise KeyboardInterrupt

    def round(self) -> None:
        self.rounds += 1
        self.display = display = fw.serve(3840, 100, name="a", port=0)
        self.arm()
        for number in range(self.random.randrange(1, 60)):
            display.publish(FRAME if number % 5 else FRAME[: self.random.randrange(1, 2160)])
            _ = display.stats, display.poll_events()
        if self.random.random() < 0.1:
            display.wait_ready()
        begun = time.monotonic()
        display.close()
        self.longest_close_s = max(self.longest_close_s, time.monotonic() - begun)

    def run(self, seconds: float) -> None:
        """At least so long, and on a busy machine until enough has happened."""
        end = time.monotonic() + seconds
        while time.monotonic() < end or self.rounds < MIN_ROUNDS or self.signals < MIN_SIGNALS:
            try:
                with contextlib.suppress(fw.ClosedError, fw.EngineError):
                    self.round()
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                signal.setitimer(signal.ITIMER_REAL, 0)


def left() -> int:
    """Engines that are left, once those that are about to end have had the time."""
    deadline = time.monotonic() + 5
    while (children := psutil.Process().children()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return len(children)


def main(seconds: float, seed: int, deeds: list[str]) -> None:
    faulthandler.dump_traceback_later(seconds + HANG_S, exit=True)
    for module in (process, supervisor):
        module.__dict__["EXIT_GRACE_S"] = GRACE_S
    program = Program(seed, deeds)
    before = len(os.listdir("/proc/self/fd"))
    program.run(seconds)
    for server in list(registry.servers):
        server.close()
    display = fw.serve(64, 48, port=0).wait_ready()
    display.publish(FRAME[:48, :64])
    display.close()
    descriptors = len(os.listdir("/proc/self/fd")) - before
    sys.stdout.write(
        " ".join(map(str, (program.rounds, program.signals, left(), descriptors, program.longest_close_s)))
    )


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
