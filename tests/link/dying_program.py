"""Sends its ring away, writes 41 frames, and dies half-way through the next. Must not know who reads."""

from __future__ import annotations

import os
import signal
import socket
import sys

from framewire.frame import Pixels
from framewire.link.ring import RingWriter
from tests.link.patterns import pattern


class Dying(RingWriter):
    def _copy(self, slot: int, pixels: Pixels) -> None:
        if (pixels == 42).all():
            super()._copy(slot, pixels[: pixels.shape[0] // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        super()._copy(slot, pixels)


def main(fd: int) -> None:
    ring = Dying(64 * 64 * 4)
    with socket.socket(fileno=fd) as sock:
        socket.send_fds(sock, [b"."], [ring.fileno()])
    for number in range(1, 43):
        ring.write(pattern(number), number, number)


if __name__ == "__main__":
    main(int(sys.argv[1]))
