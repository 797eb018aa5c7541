"""The attackers of ``python -m benchmarks.floods``: each floods an engine over a viewer's socket, with the token.

    python -m benchmarks.flooding NAME WS_URL TOKEN

Floods until its standard input ends, then prints what it sent as a line of JSON. Must not know what is measured.
"""

from __future__ import annotations

import argparse
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
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from framewire.codec.messages import Assembler

CHUNK_BYTES = 64 * 1024
"""An attacker writes so much at a time."""
TEXT, PING, PONG, CLOSE = 1, 9, 10, 8


# Blocking sockets: a thread that only writes is the fastest that Python has.


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
    """An answer to this offer, made of its own text: no viewer is at its address."""
    replaced = {"a=setup:actpass": "a=setup:active", "a=sendonly": "a=recvonly"}
    dropped = ("a=candidate", "a=ssrc", "a=msid", "a=end-of", "a=fingerprint:sha-384", "a=fingerprint:sha-5", "a=ice-")
    credentials = "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv"
    lines = [replaced.get(line, line) for line in offer.splitlines() if not line.startswith(dropped)]
    return "\r\n".join(f"{line}\r\n{credentials}" if line.startswith("a=mid") else line for line in lines) + "\r\n"


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
    """Flood until standard input ends, then print what was sent. A socket that is closed is opened again."""
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


if __name__ == "__main__":
    os.nice(10)  # it takes the network from the others, and not their processors
    parser = argparse.ArgumentParser()
    for name in ("name", "url", "token"):
        parser.add_argument(name)
    given = parser.parse_args()
    attack(given.name, given.url, given.token)
