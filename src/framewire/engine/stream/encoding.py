"""What a stream sends under one encoding name, as callers see it, and the types that go in and out. Pure.

Must not know sessions, sockets or peers: a subscriber is a key and a sink.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from framewire.frame import AccessUnit
from framewire.rtc.rtp.packets import RtpUnit

Key = tuple[str, int]
"""A subscription: the connection's id and the subscription's number."""

Clock = Callable[[], float]
"""Seconds that only grow, as `time.monotonic` has them."""

WallClock = Callable[[], int]
"""Microseconds since the Unix epoch."""


@dataclass(frozen=True, slots=True)
class PackedUnit:
    """A unit in the forms in which it is sent: packed once, shared by all subscribers."""

    unit: AccessUnit
    rtp: RtpUnit | None
    """For peers; None when no peer subscribes."""
    messages: tuple[bytes, ...]
    """For WebSockets; empty when none subscribes."""

    @property
    def size_bytes(self) -> int:
        return len(self.unit.data)


Sink = Callable[[PackedUnit], bool]
"""Takes a unit, or returns False when it has no room. Returns at once."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Which RTP timestamp a frame was sent under, and when it was published."""

    number: int
    rtp: int
    time_us: int


@dataclass(frozen=True, slots=True)
class EncodingReport:
    """Numbers of one encoding for one subscriber's statistics, over the last two seconds."""

    sent_fps: float = 0.0
    sent_bps: float = 0.0
    encode_ms: float = 0.0
    """Mean time to encode or pack one frame."""
    target_bps: int = 0
    """What the video encoder aims at; 0 for lossless."""
    marks: Sequence[Mark] = ()
    """The units sent in the last 1.5 s, or the newest one."""


class Encoding(Protocol):
    """What a stream sends under one encoding name. Used from the event loop; unknown keys are ignored."""

    @property
    def max_bps(self) -> int:
        """Bits a second that one subscriber can use at most; 0 where bandwidth does not steer the encoding."""
        ...

    def encode_ms(self, now: float) -> Mapping[str, float]:
        """Mean time to encode or pack one frame, by the name of each running encoder."""
        ...

    def __len__(self) -> int:
        """Subscribers."""
        ...

    def add(self, key: Key, sink: Sink, *, packets: bool) -> None:
        """Start sending to a subscriber, from a keyframe on.

        ``packets``: it takes `PackedUnit.rtp` and counts its own room. Otherwise it takes ``messages`` and has
        credits: it acknowledges each unit.
        """
        ...

    def remove(self, key: Key) -> None:
        """Stop sending to a subscriber."""
        ...

    def show(self, key: Key, visible: bool) -> None:
        """Whether the subscriber can be seen. A hidden one is sent nothing and restarts from a keyframe."""
        ...

    def request_keyframe(self, key: Key) -> None:
        """The subscriber cannot decode further without a keyframe."""
        ...

    def acknowledge(self, key: Key, number: int) -> bool:
        """The unit of frame ``number`` arrived whole: its credit is free again. False when it was not on its way."""
        ...

    def estimate(self, key: Key, bits_per_second: float, sent_bps: float, *, measured: bool) -> None:
        """The bandwidth available to a subscriber that is sent ``sent_bps``: ``measured`` here, or its REMB."""
        ...

    def vsync(self, key: Key, slack_s: float, refresh_s: float) -> None:
        """A viewer's frames are ready ``slack_s`` before the screen refresh that shows them."""
        ...

    def sent_bps(self, key: Key, now: float) -> float:
        """Bits a second sent to a subscriber in the last two seconds."""
        ...

    def report(self, key: Key, now: float) -> EncodingReport:
        """Numbers for a subscriber's statistics."""
        ...

    def wake(self) -> None:
        """A frame was published."""
        ...

    async def close(self) -> None:
        """Stop encoding and wait until it has stopped."""
        ...
