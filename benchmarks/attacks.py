"""``python -m benchmarks.attacks``: what a new viewer notices while strangers without the token attack the port.

Each attack runs against a display of its own, from a process of its own, over loopback alone. Meanwhile a viewer with
the token comes four times a second: how long until its first picture, and how many lines the program's log gets. Must
not know how the engine defends itself.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import logging
import os
import random
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import numpy as np

import framewire as fw

FIRST_PICTURE_TIMEOUT_S: Final = 5.0
"""A viewer without a picture by then has got none."""
VIEWER_INTERVAL_S: Final = 0.25
"""Time between two viewers that come."""
HEAD_START_S: Final = 1.0
"""The attack runs so long before the first viewer comes."""
MAX_LOG_LINES_PER_MINUTE: Final = 20
MAX_FIRST_PICTURE_S: Final = 1.0

MALFORMED: Final = (
    b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"G" * 20_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", b"GET / HTTP/1.1\r\n: no name\r\n\r\n",
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", bytes(range(256)) + b"\r\n\r\n",
)  # fmt: skip


# What attacks


def silent_websockets(port: int) -> None:
    """Opens a WebSocket, says nothing, and opens another one when it is closed."""
    with _connected(port) as sock:
        _upgrade(sock)
        _drain(sock)


def refused_websockets(port: int) -> None:
    """Says hello with a wrong token, and answers the close frame with nothing at all."""
    with _connected(port) as sock:
        _upgrade(sock)
        sock.sendall(_text(b'{"type":"hello","version":1,"token":"0123456789012345678901","codecs":[]}'))
        _drain(sock)


def half_requests(port: int) -> None:
    """Connects, and sends nothing or half a header."""
    with _connected(port) as sock:
        if random.random() < 0.5:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: local")
        _drain(sock)


def silent_sockets(port: int) -> None:
    """Connects and sends nothing."""
    with _connected(port) as sock:
        _drain(sock)


def malformed_requests(port: int) -> None:
    """Sends what is no request, over and over."""
    with _connected(port) as sock:
        sock.sendall(random.choice(MALFORMED))
        _drain(sock)


def _connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 10)


def _upgrade(sock: socket.socket) -> None:
    key = base64.b64encode(os.urandom(16)).decode()
    sock.sendall(
        f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    sock.recv(1000)


def _text(payload: bytes) -> bytes:
    """A masked frame (RFC 6455 section 5.2); the mask is zero."""
    return bytes([0x81, 0x80 | len(payload)]) + bytes(4) + payload


def _drain(sock: socket.socket) -> None:
    sock.settimeout(60)
    while sock.recv(65536):
        pass


@dataclass(frozen=True)
class Attack:
    """So many threads that do the same over and over."""

    what: Callable[[int], None]
    threads: int
    max_files: int | None = None
    """The limit of open files that the engine's program is started with (``ulimit -n``)."""


ATTACKS: Final = {
    "none": Attack(silent_sockets, 0),
    "silent-websockets": Attack(silent_websockets, 40),
    "refused-websockets": Attack(refused_websockets, 256),
    "half-requests": Attack(half_requests, 500),
    "descriptors": Attack(silent_sockets, 1044, max_files=1024),
    "malformed": Attack(malformed_requests, 8),
}


def attack(name: str, port: int) -> None:
    """Attacks until its process is ended."""
    _allow_files(4096)
    done = ATTACKS[name]

    def again() -> None:
        while True:
            with contextlib.suppress(OSError):
                done.what(port)

    threading.stack_size(256 * 1024)
    for _ in range(done.threads):
        threading.Thread(target=again, daemon=True).start()
    threading.Event().wait()


# What is attacked


def serve(max_files: int | None) -> None:
    """The program under attack: 30 frames a second, and a line of JSON for each line on its standard input."""
    if max_files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max_files, max_files))
    logging.basicConfig(format="%(levelname)s %(name)s %(message)s")
    display = fw.serve(320, 240, port=0)
    display.server._host.wait_ready(30)
    frames = np.random.default_rng(0).integers(0, 256, (8, 240, 320, 3), np.uint8)
    publishing = threading.Event()

    def publish() -> None:
        number = 0
        while not publishing.wait(1 / 30):
            display.publish(frames[number % 8])
            number += 1

    threading.Thread(target=publish, daemon=True).start()
    say = {"port": display.port, "token": display.server.token, "pid": display.server._host.pid}
    print(json.dumps(say), flush=True)
    for line in sys.stdin:
        if line.strip() == "grow":
            publishing.set()
            for side in (700, 900, 1100):
                display.publish(np.zeros((side, side, 3), np.uint8))
                time.sleep(1)
        print(json.dumps({"pid": display.server._host.pid, "failure": display.server.failure}), flush=True)
    display.close()


# What is measured


@dataclass
class Result:
    """One attack."""

    name: str
    first_picture_s: list[float] = field(default_factory=list)
    refused: int = 0
    """Viewers with the token that got no picture."""
    log_lines: int = 0
    log_bytes: int = 0
    seconds: float = 0.0
    same_engine: bool = True
    webrtc_stayed: bool = True
    """Whether a viewer that asks for WebRTC meanwhile keeps its WebSocket."""

    @property
    def lines_per_minute(self) -> float:
        return self.log_lines * 60 / max(self.seconds, 60)

    @property
    def held(self) -> bool:
        """Whether it is as it should be."""
        worst = max(self.first_picture_s, default=float("inf"))
        quiet = self.lines_per_minute <= MAX_LOG_LINES_PER_MINUTE
        return quiet and not self.refused and worst < MAX_FIRST_PICTURE_S and self.same_engine and self.webrtc_stayed

    def row(self) -> str:
        times = self.first_picture_s
        median, worst = (f"{1000 * f(times):.0f} ms" if times else "-" for f in (statistics.median, max))
        facts = (self.name, len(times) + self.refused, self.refused, median, worst, f"{self.lines_per_minute:.0f}",
                 f"{self.log_bytes / 1024:.0f} KiB", "yes" if self.same_engine else "NO",
                 "yes" if self.webrtc_stayed else "NO", "held" if self.held else "BROKEN")  # fmt: skip
        return "| " + " | ".join(map(str, facts)) + " |"


HEADER: Final = (
    "| attack | viewers | refused | first picture, median | worst | log lines a minute | log | same engine | "
    "WebRTC asked for, socket stays | |\n" + "|---" * 10 + "|"
)


async def first_picture(session: aiohttp.ClientSession, port: int, token: str) -> float:
    """Seconds from the connection until the first binary message. Raises where none comes."""
    started = time.perf_counter()
    async with asyncio.timeout(FIRST_PICTURE_TIMEOUT_S), session.ws_connect(f"ws://127.0.0.1:{port}/ws") as ws:
        await ws.send_str(json.dumps({"type": "hello", "version": 1, "token": token, "codecs": ["h264", "vp8"]}))
        await ws.send_str(json.dumps({"type": "subscribe", "sub": 1, "stream": "default", "mode": "lossless"}))
        async for message in ws:
            if message.type is aiohttp.WSMsgType.BINARY:
                return time.perf_counter() - started
    raise ConnectionError(f"closed with {ws.close_code}")


async def webrtc_stays(session: aiohttp.ClientSession, port: int, token: str) -> bool:
    """Whether the socket of a viewer that asks for WebRTC still answers a second later."""
    async with asyncio.timeout(FIRST_PICTURE_TIMEOUT_S), session.ws_connect(f"ws://127.0.0.1:{port}/ws") as ws:
        await ws.send_str(json.dumps({"type": "hello", "version": 1, "token": token, "codecs": ["h264", "vp8"]}))
        await ws.send_str(json.dumps({"type": "subscribe", "sub": 1, "stream": "default", "mode": "webrtc"}))
        await asyncio.sleep(1)
        await ws.send_str(json.dumps({"type": "subscribe", "sub": 2, "stream": "default", "mode": "lossless"}))
        async for message in ws:
            if message.type is aiohttp.WSMsgType.BINARY:
                return True
    return False


async def measure(result: Result, said: dict[str, Any], seconds: float) -> None:
    """Let viewers come, one after another, for so long."""
    end = time.monotonic() + seconds
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < end:
            try:
                result.first_picture_s.append(await first_picture(session, said["port"], said["token"]))
            except (TimeoutError, OSError, aiohttp.ClientError):
                result.refused += 1
            await asyncio.sleep(VIEWER_INTERVAL_S)
        with contextlib.suppress(TimeoutError, OSError, aiohttp.ClientError):
            result.webrtc_stayed = False
            result.webrtc_stayed = await webrtc_stays(session, said["port"], said["token"])


def run(name: str, seconds: float, show: bool = False) -> Result:
    """One attack, and what it did."""
    result = Result(name)
    max_files = ATTACKS[name].max_files
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        with log.open("wb") as errors, _started("--serve", max_files, stderr=errors) as program:
            said = _ask(program)
            with _started(f"--attack={name}", None, str(said["port"])) as attackers:
                started = time.monotonic()
                time.sleep(HEAD_START_S)
                asyncio.run(measure(result, said, seconds))
                now = _ask(program, "grow")
                result.seconds = time.monotonic() - started
                attackers.kill()
            result.same_engine = now["pid"] == said["pid"] and now["failure"] is None
            program.stdin and program.stdin.close()
            program.wait(20)
        text = log.read_bytes()
        result.log_lines, result.log_bytes = text.count(b"\n"), len(text)
        if show:
            sys.stderr.write(text[:6000].decode(errors="replace"))
    return result


def _started(what: str, max_files: int | None, *more: str, stderr: Any = None) -> subprocess.Popen[str]:
    limit = [f"--max-files={max_files}"] if max_files else []
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.attacks", what, *limit, *more],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True,
    )  # fmt: skip


def _ask(program: subprocess.Popen[str], *line: str) -> Any:
    assert program.stdin and program.stdout, "they are pipes"
    for each in line:
        program.stdin.write(f"{each}\n")
        program.stdin.flush()
    return json.loads(program.stdout.readline())


def _allow_files(count: int) -> None:
    """Let this process open so many files, if it may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = count if hard == resource.RLIM_INFINITY else min(count, hard)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attacks", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", help="attacks with commas between them: " + ", ".join(ATTACKS))
    parser.add_argument("--seconds", type=float, default=20, help="for each attack")
    parser.add_argument("--log", action="store_true", help="print how each log begins")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--max-files", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--attack", help=argparse.SUPPRESS)
    parser.add_argument("port", type=int, nargs="?", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.max_files)
        return 0
    if given.attack:
        attack(given.attack, given.port)
    print(HEADER, flush=True)
    results = []
    for name in given.only.split(",") if given.only else ATTACKS:
        results.append(run(name, given.seconds, given.log))
        print(results[-1].row(), flush=True)
    return 0 if all(result.held for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
