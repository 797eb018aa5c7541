"""A user's program, for tests that load it, kill it, or start it elsewhere. Publishes numbered frames.

    publisher_program.py WIDTH HEIGHT FPS HOST [still|spin|sleep]

Prints one JSON line when the port is served, and one with the publish times when its standard input closes.
Must not know what the test checks.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[2] / "src")]

import framewire as fw  # noqa: E402 - after sys.path
from tests.e2e.stage import Publisher  # noqa: E402


def spin() -> None:
    """Pure Python without a pause, like a cell that computes."""
    number = 0
    while True:
        number = (number * 31 + 7) % 1_000_003


def sleep() -> None:
    while True:
        time.sleep(10)


def answer(**fields: object) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def wait_and_answer(publisher: Publisher) -> None:
    sys.stdin.read()
    answer(sent=publisher.log.sent)
    os._exit(0)


def main(width: str, height: str, fps: str, host: str, load: str = "still") -> None:
    display = fw.serve(int(width), int(height), fps=float(fps), host=host, port=0).wait_ready()
    publisher = Publisher(display, fps=float(fps))
    publisher.start()
    answer(url=display.url, port=display.port, token=display.server.token, engine=display.server.engine_pid)
    waiter = threading.Thread(target=wait_and_answer, args=(publisher,))
    waiter.start()
    if load == "spin":
        # In a thread of its own, neither framewire's nor the publisher's.
        threading.Thread(target=spin, daemon=True).start()
    if load == "sleep":
        sleep()
    waiter.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
