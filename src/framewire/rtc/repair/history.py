"""What was sent and may be sent again. Must not know sockets, clocks or RTCP."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

SPAN_S: Final = 2.0
"""Packets are kept for this long: several round trips to anywhere.

Source: libwebrtc `RtpPacketHistory::kMinPacketDuration` (1 s) and `kMinPacketDurationRtt` (3 round trips); pinned by
`tests/rtc/repair/test_history.py::test_neither_time_nor_number_grows_without_end`."""

MAX_PACKETS: Final = 9600
"""At most this many packets are kept: all of `SPAN_S` at 45 Mbps.

Source: libwebrtc `RtpPacketHistory::kMaxCapacity`, the same number; pinned by
`tests/rtc/repair/test_history.py::test_neither_time_nor_number_grows_without_end`."""

MIN_RESEND_INTERVAL_S: Final = 0.005
"""A packet is sent again at the earliest this long after it last was, where the round trip is shorter or unknown.

Source: libwebrtc `kMinRetransmissionInterval` was 5 ms; pinned by
`tests/rtc/repair/test_history.py::test_without_a_known_round_trip_a_short_interval_holds`."""

MAX_RESENDS: Final = 10
"""A packet is sent again this many times at most.

Source: libwebrtc `NackRequester` (`kMaxNackRetries`)."""

FILLER_PACKETS: Final = 16
"""Padding repeats one of this many newest packets: an older one is more likely to have arrived.

Source: libwebrtc `RtpPacketHistory::kMaxPaddingHistory` (63); pinned by
`tests/rtc/repair/test_history.py::test_the_longest_of_the_newest_packets_fills_best`."""


@dataclass(slots=True)
class StoredPacket:
    """One packet as it was sent; ``payload`` is shared with all other viewers of the unit."""

    sequence: int
    timestamp: int
    marker: bool
    payload: bytes


@dataclass(slots=True)
class _Unit:
    """Packets that were sent together. Nothing is made for a single one until it is requested: there are thousands per
    second and viewer."""

    first: int
    """The sequence number of its first packet, without wrap."""
    timestamp: int
    payloads: Sequence[bytes]
    sent_at: float

    def packet(self, number: int) -> StoredPacket:
        index = number - self.first
        marker = index == len(self.payloads) - 1
        return StoredPacket(number & 0xFFFF, self.timestamp, marker, self.payloads[index])


class PacketHistory:
    """The newest units of one SSRC, whose packets are numbered one after the other: those of the last ``span_s``
    seconds, but at most ``max_packets`` packets.

    aiortc keeps 128 packets: 61 ms at 20 Mbps, less than a round trip to most places.
    """

    def __init__(self, span_s: float = SPAN_S, max_packets: int = MAX_PACKETS) -> None:
        assert max_packets < 1 << 15, "a sequence number must name one packet only"
        self._span_s = span_s
        self._max_packets = max_packets
        self._units: deque[_Unit] = deque()
        self._next = 0
        self._packets = 0
        self._resent: dict[int, tuple[int, float]] = {}
        """How often each packet was sent again, and when last."""

    def __len__(self) -> int:
        return self._packets

    def add(self, sequence: int, timestamp: int, payloads: Sequence[bytes], now: float) -> None:
        """Keep a unit, whose last packet is marked; drop those that are too old or too many."""
        first = self._next + ((sequence - self._next) & 0xFFFF)
        self._units.append(_Unit(first, timestamp, payloads, now))
        self._next = first + len(payloads)
        self._packets += len(payloads)
        oldest_at = now - self._span_s
        while len(self._units) > 1 and (self._packets > self._max_packets or self._units[0].sent_at < oldest_at):
            self._packets -= len(self._units.popleft().payloads)
        if self._resent:
            oldest = self._units[0].first
            self._resent = {number: resent for number, resent in self._resent.items() if number >= oldest}

    def resend(self, sequence: int, now: float, rtt_s: float) -> StoredPacket | None:
        """The packet to send again for a request. None if it is gone, on its way, or was sent too often.

        A viewer asks again before an answer can have arrived, so a round trip must pass between two (libwebrtc
        `RtpPacketHistory::GetPacketAndMarkAsPending` does the same).
        """
        number = self._next - ((self._next - sequence) & 0xFFFF)
        at = bisect_right(self._units, number, key=lambda unit: unit.first) - 1
        if at < 0 or number >= self._units[at].first + len(self._units[at].payloads):
            return None
        resends, resent_at = self._resent.get(number, (0, float("-inf")))
        if resends >= MAX_RESENDS or now - resent_at < max(MIN_RESEND_INTERVAL_S, rtt_s):
            return None
        self._resent[number] = resends + 1, now
        return self._units[at].packet(number)

    def since(self, when: float) -> list[int]:
        """Sequence numbers of the packets of all units that left after a moment, the oldest first."""
        units = [unit for unit in self._units if unit.sent_at > when]
        return [(unit.first + index) & 0xFFFF for unit in units for index in range(len(unit.payloads))]

    def before(self, sequence: int) -> float:
        """When the unit before this one left; ``sequence`` is its first packet. Minus infinity if there is none."""
        first = self._next - ((self._next - sequence) & 0xFFFF)
        return next((unit.sent_at for unit in reversed(self._units) if unit.first < first), float("-inf"))

    def filler(self) -> StoredPacket | None:
        """The longest of the newest packets: what to send again if only its length matters. It may still repair a loss
        that has not been reported."""
        packets = (
            (len(payload), unit, unit.first + index)
            for unit in reversed(self._units)
            for index, payload in reversed(list(enumerate(unit.payloads)))
        )
        longest = max(islice(packets, FILLER_PACKETS), key=lambda packet: packet[0], default=None)
        return longest[1].packet(longest[2]) if longest else None

    def clear(self) -> None:
        self._units.clear()
        self._resent.clear()
        self._packets = 0
