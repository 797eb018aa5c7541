"""``python -m benchmarks.floods``: what one admitted viewer that misbehaves costs the others.

A display with an engine process of its own, a viewer that watches it, and an attacker in a third process, which knows
the token. For each flood: the frame rate and the latency of the viewer, the longest time that the engine's loop did not
answer a health check, and how the flood ended. Must not know how the engine defends itself.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import itertools
import json
import os
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import numpy as np
import psutil

import framewire as fw
from benchmarks.contents import CONTENTS, clip_path
from benchmarks.systems import environment
from benchmarks.viewers import Publisher
from framewire.codec.messages import Assembler

HEALTH_INTERVAL_S = 0.01
"""Time between two health checks: their longest answer time is the loop's longest stall, or less by this."""
CHUNK_BYTES = 64 * 1024
"""An attacker writes so much at a time."""
TEXT, PING, PONG, CLOSE = 1, 9, 10, 8


# The attacker: blocking sockets, as a thread that only writes is the fastest that Python has.


def frame(payload: bytes, opcode: int = TEXT, *, last: bool = True) -> bytes:
    """A WebSocket frame of a client (RFC 6455 §5.2), with a mask of zeros."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", last << 7 | opcode, 0x80 | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", last << 7 | opcode, 0xFE, size)
    else:
        head = struct.pack("!BBQ", last << 7 | opcode, 0xFF, size)
    return head + bytes(4) + payload


def message(type_: str, **fields: Any) -> bytes:
    return frame(json.dumps({"type": type_, **fields}, separators=(",", ":")).encode())


class Attacker:
    """A viewer's socket. Reads, in a thread, whatever comes, and keeps the last offer and the close code."""

    def __init__(self, url: str, token: str, counts: Counter[str], *, reads: bool = True) -> None:
        parts = urlsplit(url)
        self._counts, self._over = counts, threading.Event()
        self.offers: list[dict[str, Any]] = []
        self.came = threading.Condition()
        self.units = 0
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=30)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.socket.recv(1) or _end()
        self.socket.sendall(message("hello", version=1, token=token, codecs=["h264", "vp8"], webcodecs=["h264", "vp8"]))
        if reads:
            threading.Thread(target=self._read, daemon=True).start()

    def send(self, *frames: bytes) -> None:
        data = b"".join(frames)
        self.socket.sendall(data)
        self._counts["bytes"] += len(data)
        self._counts["frames"] += len(frames)

    def repeat(self, what: bytes) -> None:
        """The same frame for ever."""
        many = [what] * max(CHUNK_BYTES // len(what), 1)
        while True:
            self.send(*many)

    def offer(self, timeout_s: float = 10) -> dict[str, Any] | None:
        """The next offer; None if none comes in time."""
        with self.came:
            self.came.wait_for(lambda: self.offers or self._over.is_set(), timeout_s)
            if self._over.is_set() and not self.offers:
                raise ConnectionError
            return self.offers.pop() if self.offers else None

    def unit(self) -> None:
        """Wait for the next whole unit."""
        with self.came:
            before = self.units
            self.came.wait_for(lambda: self.units > before or self._over.is_set(), 10)

    def close(self) -> None:
        self._over.set()
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def _read(self) -> None:
        assembler = Assembler()
        with contextlib.suppress(OSError, ConnectionError, ValueError):
            stream = self.socket.makefile("rb", buffering=1 << 18)
            while True:
                first, size = stream.read(2) or _end()
                size = size & 0x7F
                if size > 125:
                    size = int.from_bytes(stream.read(2 if size == 126 else 8))
                payload = stream.read(size)
                self._received(first & 15, payload, assembler)
        self._over.set()
        with self.came:
            self.came.notify_all()

    def _received(self, opcode: int, payload: bytes, assembler: Assembler) -> None:
        if opcode == CLOSE:
            self._counts[f"closed {int.from_bytes(payload[:2])}"] += 1
            raise ConnectionError
        with self.came:
            if opcode == 2 and assembler.feed(payload):
                self.units += 1
            elif opcode == TEXT and b'"offer"' in payload[:20]:
                self.offers.append(json.loads(payload))
            self.came.notify_all()


def _end() -> bytes:
    raise ConnectionError("the server closed the connection")


Flood = Callable[[Attacker], None]
EVENT = {"type": "pointer_move", "timestamp": 1.0, "x": 1.0, "y": 2.0, "buttons": [], "modifiers": []}


def subscriptions(attacker: Attacker) -> None:
    """Pairs of `subscribe` and `unsubscribe`, in all modes in turn."""
    for number in itertools.count(1, 500):
        pairs = range(number, number + 500)
        modes = itertools.cycle(("lossless", "webcodecs"))
        attacker.send(
            *(
                message("subscribe", sub=n, stream="default", mode=next(modes)) + message("unsubscribe", sub=n)
                for n in pairs
            )
        )


def peers(attacker: Attacker) -> None:
    """The same over WebRTC: each pair opens a peer connection."""
    for number in itertools.count(1, 100):
        pairs = range(number, number + 100)
        attacker.send(
            *(
                message("subscribe", sub=n, stream="default", mode="webrtc") + message("unsubscribe", sub=n)
                for n in pairs
            )
        )


def first_units(attacker: Attacker) -> None:
    """Subscriptions that end with their first unit: encoders are opened and closed."""
    for number in itertools.count(1):
        attacker.send(message("subscribe", sub=number, stream="default", mode="webcodecs", codec="vp8"))
        attacker.unit()
        attacker.send(message("unsubscribe", sub=number))


def burst(attacker: Attacker) -> None:
    """220 KiB of small messages, once a second."""
    attacker.send(message("subscribe", sub=1, stream="default", mode="lossless"))
    ack = message("ack", sub=1, frame=0)
    while True:
        attacker.send(*[ack] * (220 * 1024 // len(ack)))
        time.sleep(1)


def acks(attacker: Attacker) -> None:
    attacker.send(message("subscribe", sub=1, stream="default", mode="lossless"))
    attacker.repeat(message("ack", sub=1, frame=0))


def reports(attacker: Attacker) -> None:
    attacker.send(message("subscribe", sub=1, stream="default", mode="lossless"))
    attacker.repeat(message("report", sub=1, time=0, visible=True, decoded=0, painted=0))


def keyframes(attacker: Attacker) -> None:
    """Reports that ask for keyframes, of video."""
    attacker.send(message("subscribe", sub=1, stream="default", mode="webcodecs"))
    attacker.repeat(message("report", sub=1, time=0, visible=True, decoded=0, painted=0, keyframe=True))


def inputs(attacker: Attacker) -> None:
    attacker.send(message("subscribe", sub=1, stream="default", mode="lossless"))
    attacker.repeat(message("input", sub=1, event=EVENT))


def pings(attacker: Attacker) -> None:
    attacker.repeat(frame(b"", PING))


def pongs(attacker: Attacker) -> None:
    attacker.repeat(frame(b"", PONG))


def fragments(attacker: Attacker) -> None:
    """A message in frames of one byte each."""
    text = message("ack", sub=1, frame=0)[6:].ljust(60_000)
    first, rest, last = frame(text[:1], last=False), [frame(b" ", 0, last=False)], frame(b" ", 0)
    whole = [first, *(frame(text[i : i + 1], 0, last=False) for i in range(1, 34)), *rest * (len(text) - 35), last]
    attacker.send(message("subscribe", sub=1, stream="default", mode="lossless"))
    while True:
        attacker.send(*whole)


def candidates(attacker: Attacker) -> None:
    attacker.send(message("subscribe", sub=1, stream="default", mode="webrtc"))
    attacker.repeat(message("candidate", peer=1, candidate="candidate:1 1 udp 1 1.2.3.4 5 typ host", sdp_mid="0"))


def old_answers(attacker: Attacker) -> None:
    """Long answers to an offer that is answered already."""
    attacker.send(message("subscribe", sub=1, stream="default", mode="webrtc"))
    attacker.send(message("unsubscribe", sub=1))
    attacker.repeat(message("answer", peer=1, offer=1, sdp="a=" * 32_000))


def answers(attacker: Attacker) -> None:
    """64 KiB of SDP for each offer, which cannot be used."""
    for number in itertools.count(1):
        attacker.send(message("subscribe", sub=number, stream="default", mode="webrtc"))
        if offer := attacker.offer():
            sdp = _padded(answer_to(offer["sdp"]), 64_000)
            attacker.send(message("answer", peer=offer["peer"], offer=offer["offer"], sdp=sdp))


def renegotiations(attacker: Attacker) -> None:
    """One subscription stays, and others come and go, each with an offer that is answered at once."""
    attacker.send(message("subscribe", sub=1, stream="default", mode="webrtc"))
    for number in itertools.count(2):
        offer = attacker.offer()
        if offer is None:
            continue
        sdp = answer_to(offer["sdp"])
        attacker.send(message("answer", peer=offer["peer"], offer=offer["offer"], sdp=sdp))
        attacker.send(message("subscribe", sub=number, stream="default", mode="webrtc"))
        if number > 2:
            attacker.send(message("unsubscribe", sub=number - 1))


def hellos(attacker: Attacker) -> None:
    """A second `hello`, which closes the socket; then the next one."""
    attacker.repeat(message("hello", version=1, token="x" * 22, codecs=[]))


def empty(attacker: Attacker) -> None:
    """Empty messages."""
    attacker.repeat(frame(b""))


def closes(attacker: Attacker) -> None:
    """Close frames, and messages behind them."""
    attacker.repeat(frame(b"", CLOSE))


def reads_little(attacker: Attacker) -> None:
    """Subscribes to all, acknowledges everything, and reads a byte now and then."""
    attacker.send(message("subscribe", sub=1, stream="default", mode="lossless"))
    attacker.send(message("subscribe", sub=2, stream="default", mode="webcodecs"))
    while True:
        attacker.socket.recv(1)
        attacker.send(message("report", sub=1, time=0, visible=True, decoded=0, painted=0, keyframe=True))
        time.sleep(0.005)


def reconnects(attacker: Attacker) -> None:
    """Opens, subscribes over WebRTC, waits for the offer, and leaves: again and again."""
    attacker.send(message("subscribe", sub=1, stream="default", mode="webrtc"))
    attacker.offer()
    raise ConnectionError


def answer_to(offer: str) -> str:
    """An answer to this offer, made of its own text: nobody listens at its address."""
    replaced = {
        "a=setup:actpass": "a=setup:active",
        "a=sendonly": "a=recvonly",
    }
    lines, dropped = [], ("a=candidate", "a=ssrc", "a=msid", "a=end-of", "a=fingerprint:sha-384", "a=fingerprint:sha-5")
    for line in offer.splitlines():
        if line.startswith("a=ice-ufrag"):
            line = "a=ice-ufrag:abcd"
        elif line.startswith("a=ice-pwd"):
            line = "a=ice-pwd:abcdefghijklmnopqrstuv"
        if not line.startswith(dropped):
            lines.append(replaced.get(line, line))
    return "\r\n".join([*lines, ""])


def _padded(sdp: str, size: int) -> str:
    line = "a=rtpmap:96 x/90000\r\n"
    return sdp + line * max((size - len(sdp)) // (len(line) + 2), 0) + "a=mid:other\r\n"


FLOODS: dict[str, Flood] = {
    each.__name__: each
    for each in (
        subscriptions, peers, first_units, burst, acks, reports, keyframes, inputs, pings, pongs, fragments, candidates,
        old_answers, answers, renegotiations, hellos, empty, closes, reads_little, reconnects,
    )
}  # fmt: skip


def attack(name: str, url: str, token: str) -> None:
    """Flood until standard input ends, then print what was sent as JSON. A socket that is closed is opened again."""
    counts: Counter[str] = Counter()
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            try:
                attacker = Attacker(url, token, counts, reads=name != "reads_little")
                counts["sockets"] += 1
            except OSError:
                time.sleep(0.05)
                continue
            try:
                FLOODS[name](attacker)
            except OSError:
                attacker.close()

    threading.Thread(target=run, daemon=True).start()
    sys.stdin.readline()
    over.set()
    sys.stdout.write(json.dumps(counts) + "\n")
    sys.stdout.flush()
    os._exit(0)


# The viewer that is watched


@dataclass(frozen=True)
class Watched:
    """What one viewer got, and how the engine's loop answered."""

    fps: float
    p50_ms: float
    p95_ms: float
    longest_gap_ms: float
    """Between two frames."""
    health_p50_ms: float
    stall_ms: float
    """The longest time that a health check took."""


async def watch(url: str, token: str, mode: str, seconds: float) -> Watched:
    """Watch the stream as a viewer that acknowledges at once, and check the engine's health meanwhile."""
    async with aiohttp.ClientSession() as http:
        delays: list[float] = []
        at: list[float] = []
        async with http.ws_connect(url, max_msg_size=0) as ws:
            hello = {"type": "hello", "version": 1, "token": token, "codecs": ["h264"], "webcodecs": ["h264"]}
            await ws.send_json(hello)
            await ws.send_json({"type": "subscribe", "sub": 1, "stream": "default", "mode": mode})
            reading = asyncio.create_task(_read(ws, delays, at))
            await asyncio.sleep(1)
            delays.clear()
            at.clear()
            began = time.monotonic()
            checks = await _check_health(http, url.replace("ws://", "http://").replace("/ws", "/health"), seconds)
            took = time.monotonic() - began
            reading.cancel()
    gaps = np.diff([began, *at, began + took]) * 1000
    p50, p95 = np.percentile(delays, (50, 95)) if delays else (np.nan, np.nan)
    return Watched(
        len(delays) / took, float(p50), float(p95), float(gaps.max()), float(np.median(checks)), float(max(checks))
    )


async def _read(ws: aiohttp.ClientWebSocketResponse, delays: list[float], at: list[float]) -> None:
    assembler, reported = Assembler(), 0.0
    async for each in ws:
        if each.type is not aiohttp.WSMsgType.BINARY:
            continue
        if unit := assembler.feed(each.data):
            delays.append(time.time() * 1000 - unit.time_us / 1000)
            at.append(time.monotonic())
            await ws.send_json({"type": "ack", "sub": 1, "frame": unit.number})
            if at[-1] > reported + 1:
                reported = at[-1]
                seen = {"visible": True, "decoded": 0, "painted": 0}
                await ws.send_json({"type": "report", "sub": 1, "time": 0, **seen})


async def _check_health(http: aiohttp.ClientSession, url: str, seconds: float) -> list[float]:
    """Milliseconds that each check took."""
    checks, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        async with http.get(url) as response:
            await response.read()
        checks.append((time.monotonic() - began) * 1000)
        await asyncio.sleep(HEALTH_INTERVAL_S)
    return checks


# One run


@dataclass(frozen=True)
class Run:
    flood: str
    mode: str
    watched: Watched
    sent: dict[str, int]
    engine_percent: float
    engine_mib: float
    threads: int
    fds: int


def table(runs: Sequence[Run]) -> str:
    """The runs as text."""
    rows = ["flood            mode        fps  p50 ms  p95 ms  gap ms  stall ms  engine %    MiB threads  fds  sent"]
    for run in runs:
        seen = run.watched
        rows.append(
            f"{run.flood:16} {run.mode:9} {seen.fps:5.1f} {seen.p50_ms:7.1f} {seen.p95_ms:7.1f} "
            f"{seen.longest_gap_ms:7.0f} {seen.stall_ms:9.1f} {run.engine_percent:9.0f} {run.engine_mib:6.0f} "
            f"{run.threads:7d} {run.fds:4d}  " + ", ".join(f"{count} {what}" for what, count in run.sent.items())
        )
    return "\n".join(rows)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.floods", *arguments]


async def measure(display: fw.Display, flood: str, mode: str, seconds: float) -> Run:
    """One flood (or "none") while one viewer is watched."""
    assert display.server.engine_pid
    engine, pipe = psutil.Process(display.server.engine_pid), asyncio.subprocess.PIPE
    address = ("--url", display.ws_url, f"--token={display.server.token}")
    attacker = None
    if flood != "none":
        arguments = _command("--attack", flood, *address)
        attacker = await asyncio.create_subprocess_exec(*arguments, stdin=pipe, stdout=pipe, env=environment())
    await asyncio.sleep(0.7)
    spent, began = engine.cpu_times(), time.monotonic()
    watching = _command("--watch", mode, "--seconds", str(seconds), *address)
    watcher = await asyncio.create_subprocess_exec(*watching, stdout=pipe, env=environment())
    try:
        out, _ = await asyncio.wait_for(watcher.communicate(), seconds + 60)
        now, took = engine.cpu_times(), time.monotonic() - began
        memory, threads, fds = engine.memory_full_info().uss / (1 << 20), engine.num_threads(), engine.num_fds()
        sent = {}
        if attacker:
            out_of_attacker, _ = await asyncio.wait_for(attacker.communicate(b"\n"), 20)
            sent = json.loads(out_of_attacker)
    finally:
        for process in (watcher, attacker):
            if process and process.returncode is None:
                process.kill()
                await process.wait()
    busy = (now.user + now.system - spent.user - spent.system) / took * 100
    return Run(flood, mode, Watched(**json.loads(out)), sent, busy, memory, threads, fds)


async def run(options: argparse.Namespace) -> Iterator[Run]:
    width, height = (int(side) for side in options.size.split("x"))
    clip = np.array(np.load(clip_path(options.content, width, height)))
    runs = []
    async with fw.serve(width, height, fps=options.fps, port=0) as display:
        publisher = Publisher(display, clip, options.fps)
        publisher.start()
        try:
            for flood in ("none", *(options.floods or FLOODS), "none"):
                runs.append(await measure(display, flood, options.mode, options.seconds))
                print(table(runs[-1:]).splitlines()[-1], flush=True)
                await asyncio.sleep(1)
        finally:
            publisher.over.set()
            publisher.join()
    return runs


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.floods", description=(__doc__ or "").splitlines()[0])
    names = lambda text: text.split(",")  # noqa: E731
    parser.add_argument("--floods", type=names, help=f"comma-separated, of {', '.join(FLOODS)}")
    parser.add_argument("--mode", choices=("lossless", "webcodecs"), default="webcodecs", help="of the watched viewer")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each flood")
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--content", choices=CONTENTS, default="plot")
    parser.add_argument("--output", type=Path, help="a file for the numbers, as JSON")
    for hidden in ("--attack", "--watch", "--url", "--token"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    options = _options()
    if options.attack:
        attack(options.attack, options.url, options.token)
    elif options.watch:
        watched = asyncio.run(watch(options.url, options.token, options.watch, options.seconds))
        print(json.dumps(asdict(watched)))
    else:
        print(table([]), flush=True)
        runs = asyncio.run(run(options))
        if options.output:
            options.output.write_text(json.dumps([asdict(each) for each in runs], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
