"""A link, a viewer and a stream in simulated time: minutes of congestion control in seconds, the same every time.

The viewer sends real feedback bytes. Must not know how the estimate is made.
"""

from __future__ import annotations

import heapq
import itertools
import random
import struct
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from framewire.rtc.send.controller import IP_UDP_HEADER_BYTES, SendController

PAYLOAD = 1180
TAG = 16
VIEWER_CLOCK = 86_400.0
"""Seconds that the viewer's clock is ahead: it must not be compared with ours."""

Rate = Callable[[float], float]


def steps(*changes: tuple[float, float]) -> Rate:
    """Bits a second from each moment on."""

    def at(now: float) -> float:
        return [rate for since, rate in changes if since <= now][-1]

    return at


@dataclass(frozen=True)
class Link:
    """The path to the viewer."""

    rate: Rate
    """Bits a second."""
    rtt: float = 0.04
    buffer: int = 250_000
    """Bytes that wait before the link, at most."""
    loss: float = 0.0
    burst: float = 1.0
    """Packets that are lost in a row, on average."""
    jitter: float = 0.0
    """Seconds that a packet is delayed by, at most; packets stay in order."""
    sigma: float = 0.0
    """Standard deviation of a packet's delay in seconds; packets stay in order."""
    overtaking: float = 0.0
    """Fraction of packets that take 15 ms longer and are overtaken by others."""
    stall: tuple[float, float] = (1.0, 0.0)
    """The period in seconds, and for how many seconds of each nothing passes; then all comes at once."""
    feedback_loss: Callable[[float], float] = lambda now: 0.0
    """The fraction of feedback messages that is lost, at each moment."""
    cross: Rate = lambda now: 0.0
    """Bits a second of other traffic over the same link."""


@dataclass
class Sample:
    """What became of one packet."""

    sent_at: float
    arrived_at: float | None
    size: int
    queued: float
    """Seconds that it waited before the link."""


@dataclass(frozen=True, slots=True)
class _Draft:
    ssrc: int
    payload_bytes: int
    media: bool

    def write(self, now: float, transport_sequence: int | None) -> bytes:
        assert transport_sequence is not None, "congestion control is on"
        return struct.pack("!H?", transport_sequence, self.media) + bytes(self.payload_bytes + 17)


@dataclass
class Simulation:
    """One stream over one link: `run`, then ask what became of it."""

    link: Link
    ceiling: float = 20e6
    fps: float = 30.0
    used: Callable[[float], float] = lambda now: 1.0
    """The fraction of its target that the stream uses, at each moment: a still scene needs little."""
    max_bps: Callable[[float], float] = lambda fraction: float("inf")
    """Bits a second that the stream stays below, where such a fraction is lost."""
    seed: int = 1
    estimates: list[tuple[float, int]] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    skipped: int = 0
    frames: int = 0

    def __post_init__(self) -> None:
        self.now = 1_000_000.0
        self._began = self.now
        self._random = random.Random(self.seed)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()
        self._queue: deque[tuple[bytes | None, int, float]] = deque()
        self._queued = 0
        self._busy = self._bad = False
        self._arrived: dict[int, float] = {}
        self._base = 1
        self._newest = 1
        self._last_arrival = 0.0
        self._feedback_count = 250
        self._wake_at = float("inf")
        self.flow = SendController(
            self,
            on_bitrate=lambda estimate: self.estimates.append((self.time, estimate)),
            make_padding=lambda size_bytes: _Draft(2, min(size_bytes, PAYLOAD), media=False),
            max_media_bps=self.max_bps,
        )

    @property
    def time(self) -> float:
        """Seconds since the beginning."""
        return self.now - self._began

    def run(self, seconds: float) -> Simulation:
        self.flow.set_useful_bitrate(self.ceiling)
        self.flow.start(self.now)
        for first in (self._frame, self._answer, self._cross):
            self._at(self.now + 0.001, first)
        end = self.now + seconds
        while self._events and self._events[0][0] <= end:
            self.now, _, act = heapq.heappop(self._events)
            act()
            self._wake()
        return self

    def _at(self, when: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._number), act))

    def _wake(self) -> None:
        deadline = self.flow.deadline
        if deadline < self._wake_at:
            self._wake_at = deadline
            self._at(max(deadline, self.now), self._tick)

    def _tick(self) -> None:
        self._wake_at = float("inf")
        self.flow.tick(self.now)

    # The stream

    def _frame(self) -> None:
        interval = 1 / self.fps
        self._at(self.now + interval, self._frame)
        self.frames += 1
        if not self.flow.admits(self.now):
            self.skipped += 1
            return
        target = min(self.estimates[-1][1], self.ceiling) * self.used(self.time)
        size = int(target / 8 * interval * self._random.uniform(0.8, 1.2) * (2 if self.frames == 1 else 1))
        full, rest = divmod(max(size, 60), PAYLOAD)
        drafts = [_Draft(1, PAYLOAD, media=True)] * full + [_Draft(1, rest, media=True)]
        self.flow.send(drafts, (), interval, self.now)

    def protect(self, packets: list[bytes]) -> list[bytes]:
        return [packet + bytes(TAG) for packet in packets]

    def transmit(self, packets: list[bytes]) -> None:
        for packet in packets:
            self._enqueue(packet, len(packet) + IP_UDP_HEADER_BYTES)

    # The link

    def _cross(self) -> None:
        rate = self.link.cross(self.time)
        self._at(self.now + (1200 * 8 / rate if rate else 0.05), self._cross)
        if rate:
            self._enqueue(None, 1200)

    def _enqueue(self, packet: bytes | None, size: int) -> None:
        if self._queued + size > self.link.buffer:
            if packet is not None:
                self.samples.append(Sample(self.time, None, size, 0.0))
            return
        self._queue.append((packet, size, self.now))
        self._queued += size
        if not self._busy:
            self._busy = True
            self._serve()

    def _serve(self) -> None:
        _, size, _ = self._queue[0]
        self._at(self.now + size * 8 / self.link.rate(self.time), self._served)

    def _served(self) -> None:
        packet, size, sent_at = self._queue.popleft()
        self._queued -= size
        if packet is not None:
            self._carry(packet, size, sent_at)
        self._busy = bool(self._queue)
        if self._busy:
            self._serve()

    def _carry(self, packet: bytes, size: int, sent_at: float) -> None:
        sample = Sample(sent_at - self._began, None, size, self.now - sent_at)
        self.samples.append(sample)
        # A burst of losses ends at each packet with chance 1 / burst. It begins so often that ``loss`` of all are lost.
        leave = 1 / self.link.burst
        enter = leave * self.link.loss / (1 - self.link.loss)
        self._bad = self._random.random() >= leave if self._bad else self._random.random() < enter
        if self._bad:
            return
        arrival = self.now + self.link.rtt / 2 + self._random.uniform(0, self.link.jitter)
        arrival += max(self._random.gauss(0, self.link.sigma), -self.link.rtt / 2) if self.link.sigma else 0
        period, length = self.link.stall
        if (arrival - self._began) % period < length:
            arrival += length - (arrival - self._began) % period
        if self._random.random() < self.link.overtaking:
            arrival += 0.015
        else:
            arrival = self._last_arrival = max(arrival, self._last_arrival)
        sample.arrived_at = arrival - self._began
        self._at(arrival, lambda: self._arrive(struct.unpack_from("!H", packet)[0]))

    # The viewer

    def _arrive(self, sequence: int) -> None:
        step = (sequence - self._newest) & 0xFFFF
        number = self._newest + (step - 65536 if step >= 32768 else step)
        self._newest = max(self._newest, number)
        self._base = min(self._base, number)
        self._arrived[number] = self.now

    def _answer(self) -> None:
        self._at(self.now + 0.1, self._answer)
        if not self._arrived:
            return
        newest = max(self._arrived)
        base = min(self._base, *self._arrived)
        arrivals = [self._arrived.get(number) for number in range(base, newest + 1)]
        stamps = [None if at is None else at + VIEWER_CLOCK for at in arrivals]
        fci = feedback(base & 0xFFFF, stamps, self._feedback_count & 0xFF)
        self._feedback_count += 1
        self._base, self._arrived = newest + 1, {}
        if self._random.random() >= self.link.feedback_loss(self.time):
            self._at(self.now + self.link.rtt / 2, lambda: self.flow.feed(fci, self.now))

    # Looking back

    def rate(self, since: float, until: float) -> float:
        """Bits a second that arrived of what left in that time."""
        size = sum(s.size for s in self.samples if since <= s.sent_at < until and s.arrived_at is not None)
        return size * 8 / (until - since)

    def capacity(self, since: float, until: float) -> float:
        points = [since + (until - since) * i / 1000 for i in range(1000)]
        return sum(max(self.link.rate(t) - self.link.cross(t), 0) for t in points) / 1000

    def use(self, since: float, until: float) -> float:
        """The fraction of the link's capacity that was used."""
        return self.rate(since, until) / min(self.capacity(since, until), 1e12)

    def queue(self, since: float, until: float, percentile: float = 1.0) -> float:
        """Seconds that packets waited before the link."""
        waits = sorted(s.queued for s in self.samples if since <= s.sent_at < until)
        return waits[min(int(len(waits) * percentile), len(waits) - 1)]

    def reached(self, rate: float, since: float) -> float:
        """Seconds after ``since`` until an estimate of at least ``rate`` was reported."""
        return next((at - since for at, estimate in self.estimates if at >= since and estimate >= rate), 1e9)


def gilbert_losses(fraction: float, burst: float, count: int, seed: int = 1) -> list[bool]:
    """Which of ``count`` packets are lost: ``fraction`` of them, in bursts of ``burst`` on average (Gilbert)."""
    chance, bad, losses = random.Random(seed), False, list[bool]()
    enter = fraction / burst / (1 - fraction)
    for _ in range(count):
        bad = chance.random() >= 1 / burst if bad else chance.random() < enter
        losses.append(bad)
    return losses


def feedback(base: int, arrivals: Sequence[float | None], count: int) -> bytes:
    """Feedback control information as a viewer writes it; ``arrivals`` on its clock."""
    known = [at for at in arrivals if at is not None]
    reference = int(min(known) / 0.064) if known else 0
    ticks = reference * 256
    symbols: list[int] = []
    deltas = b""
    for at in arrivals:
        if at is None:
            symbols.append(0)
            continue
        delta = round(at / 0.00025) - ticks
        ticks += delta
        small = 0 <= delta < 256
        symbols.append(1 if small else 2)
        deltas += struct.pack("!B" if small else "!h", delta)
    head = struct.pack("!HHL", base, len(arrivals), (reference & 0xFFFFFF) << 8 | count)
    body = head + b"".join(_chunks(symbols)) + deltas
    return body + bytes(-len(body) % 4)


def _chunks(symbols: list[int]) -> Iterator[bytes]:
    """Runs where there are any, vectors of two bits elsewhere."""
    at = 0
    while at < len(symbols):
        run = next((i for i, s in enumerate(symbols[at:]) if s != symbols[at]), len(symbols) - at)
        if run >= 7:
            run = min(run, 0x1FFF)
            yield struct.pack("!H", symbols[at] << 13 | run)
            at += run
        else:
            seven = (symbols[at : at + 7] + [0] * 7)[:7]
            yield struct.pack("!H", 0xC000 | sum(s << 12 - 2 * i for i, s in enumerate(seven)))
            at += 7
