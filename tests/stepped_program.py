"""A program whose signal handler comes at each line of a call in turn, and closes the display.

Arguments: which of `CALLS`, and how many lines lie between two rounds' signals. It prints its rounds, the engines that
are left, and the longest end; it fails where it hangs. The handler is called by a trace function: as a signal's
handler, it runs between two lines of whatever the main thread is doing. `test_reruns.py` runs it.
"""

from __future__ import annotations

import contextlib
import faulthandler
import sys
import time
from types import FrameType
from typing import Any

import numpy as np

import framewire as fw
from framewire.link import process, supervisor
from tests.signalled_program import left

HANG_S = 60.0
GRACE_S = 30.0
"""No end waits so long. (In an end that is at fault, an engine is killed only then.)"""
CALLS = ("close", "close when ready", "publish")
FRAME = np.zeros((48, 64, 3), np.uint8)
LARGER = np.zeros((480, 640, 3), np.uint8)
"""It outgrows the stream's memory: publishing it replaces that."""


class Stepped:
    """Calls the handler once, at the n-th line of a call."""

    def __init__(self, display: fw.Display, at_line: int) -> None:
        self.display = display
        self.lines_left = at_line
        self.came = False

    def trace(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "line" and not self.came:
            self.lines_left -= 1
            if self.lines_left < 0:
                self.came = True
                self.display.close()
        return self.trace


def one(call: str, at_line: int) -> tuple[bool, float]:
    """Whether the call has so many lines, and how long it took."""
    display = fw.serve(64, 48, name="a", port=0)
    display.publish(FRAME)
    if call == "close when ready":
        display.wait_ready()
    stepped = Stepped(display, at_line)
    begun = time.monotonic()
    sys.settrace(stepped.trace)
    try:
        if call == "publish":
            with contextlib.suppress(fw.ClosedError):
                display.publish(LARGER)
        else:
            display.close()
    finally:
        sys.settrace(None)
    display.close()
    return stepped.came, time.monotonic() - begun


def main(call: str, stride: int) -> None:
    for module in (process, supervisor):
        module.__dict__["EXIT_GRACE_S"] = GRACE_S
    at_line = rounds = 0
    longest_s = 0.0
    while True:
        faulthandler.dump_traceback_later(HANG_S, exit=True)
        came, took_s = one(call, at_line)
        if not came:
            break
        rounds, at_line, longest_s = rounds + 1, at_line + stride, max(longest_s, took_s)
    sys.stdout.write(f"{rounds} {left()} {longest_s:.2f}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
