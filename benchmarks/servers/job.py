"""What all publishers share: they read commands, make frames, and log when they published which.

Must not know any streaming system. Commands are lines on standard input (``pause``, ``resume``, ``stop``); answers are
lines of JSON on standard output.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contents import position
from benchmarks.probe import Log


class Job:
    """The frames to publish, one by one, at an even rate."""

    def __init__(self) -> None:
        options = _options()
        self.width, self.height, self.fps = options.width, options.height, options.fps
        self.host, self.port, self.codec = options.host, options.port, options.codec
        self.viewers = options.viewers
        self.pace = options.pace or options.fps
        self.clip = np.load(options.clip, mmap_mode="r")
        self.log = Log()
        self.stopped = threading.Event()
        self._paused = False
        self._path = options.log
        self._began = 0.0
        self._ticks = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def frame(self) -> np.ndarray:
        """The next frame, in memory of its own, stamped and logged as published now."""
        return self.log.next(self.clip[position(self.log.number + 1, len(self.clip))].copy())

    def wait(self) -> bool:
        """Sleep until the next frame is due; False when there is none."""
        while (delay := self._delay()) > 0 or self._paused:
            if self.stopped.wait(max(delay, 0.001)):
                return False
        return not self.stopped.is_set()

    async def sleep(self) -> bool:
        """`wait`, on an event loop."""
        while (delay := self._delay()) > 0 or self._paused:
            if self.stopped.is_set():
                return False
            await asyncio.sleep(max(delay, 0.001))
        return not self.stopped.is_set()

    def ready(self, url: str) -> None:
        """Print the page's address."""
        answer(url=url, pid=os.getpid())

    def done(self) -> None:
        """Write the log; then the process may end."""
        sent = np.array(sorted(self.log.sent.items()), np.float64).reshape(-1, 2)
        with self._path.open("wb") as file:
            np.save(file, sent)
        answer(published=len(sent))

    def _delay(self) -> float:
        """Seconds until the next tick. A publisher that is late skips ticks, and keeps the rhythm."""
        now = time.monotonic()
        if not self._began:
            self._began = now
        due = self._began + self._ticks / self.pace
        if now >= due and not self._paused:
            self._ticks = max(self._ticks + 1, int((now - self._began) * self.pace))
            return 0.0
        return min(due - now, 0.05) if due > now else 0.01

    def _listen(self) -> None:
        for line in sys.stdin:
            match line.strip():
                case "pause":
                    self._paused = True
                case "resume":
                    self._paused = False
                case "stop":
                    break
        self._paused = False
        self.stopped.set()


def answer(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


def serve_page(host: str, port: int, files: dict[str, tuple[str, bytes]]) -> int:
    """Serve a few files on a thread, for systems without a page of their own; returns the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, body = files.get(self.path.split("?")[0], ("text/plain", b""))
            self.send_response(200 if body else 404)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer((host, port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def play(serve: Callable[[Job], Coroutine[Any, Any, None]]) -> None:
    """Run a publisher of a system that needs an event loop."""
    job = Job()
    asyncio.run(serve(job))
    job.done()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--height", type=int, required=True)
    parser.add_argument("--fps", type=float, required=True)
    parser.add_argument("--pace", type=float, default=0.0, help="frames a second to publish, if not fps")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--codec", default="")
    parser.add_argument("--viewers", type=int, default=1)
    return parser.parse_args()
