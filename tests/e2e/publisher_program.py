"""A user's program, for tests that hinder it, kill it, or put it elsewhere: numbered frames until its input ends.

    publisher_program.py WIDTH HEIGHT FPS HOST [still|spin|sleep]

Prints one JSON line when it is served, and one with the publish times when its standard input is closed.
Must not know what is looked at.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[2] / "src")]

import framewire as fw  # noqa: E402 - a program finds its own way
from tests.e2e.stage import Publisher  # noqa: E402


def spin() -> None:
    """A cell that computes: pure Python, and never a pause."""
    number = 0
    while True:
        number = (number * 31 + 7) % 1_000_003


def sleep() -> None:
    while True:
        time.sleep(10)


def tell(**fields: object) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def wait_and_tell(publisher: Publisher) -> None:
    sys.stdin.read()
    tell(sent=publisher.log.sent)
    os._exit(0)


def main(width: str, height: str, fps: str, host: str, hindrance: str = "still") -> None:
    display = fw.serve(int(width), int(height), fps=float(fps), host=host, port=0).wait_ready()
    publisher = Publisher(display, fps=float(fps))
    publisher.start()
    tell(url=display.url, port=display.port, token=display.server.token, engine=display.server.engine_pid)
    waiter = threading.Thread(target=wait_and_tell, args=(publisher,))
    waiter.start()
    if hindrance == "spin":
        # In another thread than any of framewire's, and than the one that publishes.
        threading.Thread(target=spin, daemon=True).start()
    if hindrance == "sleep":
        sleep()
    waiter.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
