"""Transport-wide sequence numbers: which packet left when, and which the viewer reports as arrived. Must not know
sockets, clocks or rates.

After draft-holmer-rmcat-transport-wide-cc-extensions-01. One numbering counts all that a peer connection sends, media,
retransmissions, parity and padding alike: they share one path.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

DELTA_TICK_S: Final = 0.00025
"""One step of an arrival delta.

Source: draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1.5."""

REFERENCE_TICK_S: Final = 0.064
"""One step of the reference time.

Source: draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1."""

SEND_TIME_HISTORY_S: Final = 5.0
"""Sent packets are kept this long: several round trips to anywhere, and feedback that was held back.

Source: chosen by hand, libwebrtc keeps 60 s (`kSendTimeHistoryWindow`); pinned by
`tests/rtc/rtp/test_twcc.py::test_packets_are_kept_for_five_seconds`."""

MAX_UNKNOWN_PACKETS: Final = 1000
"""Feedback may cover this many packets more than are kept: some that are removed here, and not yet at the viewer.

Source: chosen by hand; pinned by
`tests/rtc/rtp/test_twcc.py::test_feedback_may_cover_a_thousand_packets_more_than_are_kept`."""

_NOT_RECEIVED: Final = 0
"""Status of a packet that has not arrived.

Source: draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1.1."""

_SMALL_DELTA: Final = 1
"""Status of a packet whose arrival delta is one byte, unsigned.

Source: draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1.1."""

_LARGE_DELTA: Final = 2
"""Status of a packet whose arrival delta is two bytes, signed. 3 is reserved.

Source: draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1.1."""


class MalformedFeedback(ValueError):
    """Feedback that contradicts itself or ends too early."""


@dataclass(frozen=True, slots=True)
class TransportFeedback:
    """One feedback message as it is written: nothing in it is unwrapped."""

    base_sequence: int
    """Sequence number of the first packet, 16 bits."""
    reference_time: int
    """In steps of `REFERENCE_TICK_S` on the viewer's clock, 24 bits."""
    feedback_count: int
    """Number of this message, 8 bits."""
    arrivals: tuple[float | None, ...]
    """Seconds after the reference time for each packet from ``base_sequence`` on; None where it has not arrived."""


def parse(fci: bytes, max_packets: int = 0xFFFF) -> TransportFeedback:
    """Read feedback control information about at most ``max_packets`` packets.

    Raises `MalformedFeedback` for anything else, and no other error.
    """
    if len(fci) < 8:
        raise MalformedFeedback(f"{len(fci)} bytes are no feedback")
    base, status_count, reference_and_count = struct.unpack_from("!HHL", fci)
    if not status_count:
        raise MalformedFeedback("feedback about no packet")
    if status_count > max_packets:
        # Checked before the chunks are read: a few bytes can cover many packets.
        raise MalformedFeedback(f"feedback about {status_count} packets, more than were sent")
    symbols, at = _symbols(fci, status_count)
    arrivals = tuple(_arrivals(fci, at, symbols))
    return TransportFeedback(base, reference_and_count >> 8, reference_and_count & 0xFF, arrivals)


def _symbols(fci: bytes, status_count: int) -> tuple[list[int], int]:
    """The status of each packet (§3.1.1), and where the chunks end."""
    symbols: list[int] = []
    at = 8
    while len(symbols) < status_count:
        if at + 2 > len(fci):
            raise MalformedFeedback("status chunks end too early")
        chunk = int.from_bytes(fci[at : at + 2])
        at += 2
        if not chunk & 0x8000:
            symbols += [chunk >> 13] * (chunk & 0x1FFF)
            if not chunk & 0x1FFF:
                raise MalformedFeedback("a run of no packets")
        elif chunk & 0x4000:
            symbols += [chunk >> shift & 3 for shift in range(12, -1, -2)]
        else:
            symbols += [chunk >> shift & 1 for shift in range(13, -1, -1)]
    # The last chunk may be longer than what is left.
    return symbols[:status_count], at


def _arrivals(fci: bytes, at: int, symbols: Sequence[int]) -> Iterator[float | None]:
    ticks = 0
    for symbol in symbols:
        if symbol == _NOT_RECEIVED:
            yield None
            continue
        size = 1 if symbol == _SMALL_DELTA else 2
        if symbol not in (_SMALL_DELTA, _LARGE_DELTA) or at + size > len(fci):
            raise MalformedFeedback("a reserved status" if symbol > _LARGE_DELTA else "deltas end too early")
        # Small deltas are unsigned; large ones are signed, as packets overtake each other.
        ticks += int.from_bytes(fci[at : at + size], signed=symbol == _LARGE_DELTA)
        at += size
        yield ticks * DELTA_TICK_S


@dataclass(slots=True)
class SentPacket:
    """A packet that left and of which no arrival is known."""

    size: int
    sent_at: float
    probe_id: int | None
    total_bytes: int
    """Bytes sent so far, this packet included."""
    reported_lost: bool = False


@dataclass(slots=True)
class PacketResult:
    """What became of one packet. Do not change it; a frozen dataclass would take three times as long to make."""

    sequence: int
    """Transport-wide number without wrap."""
    sent_at: float
    size: int
    arrived_at: float | None
    """Seconds on the viewer's clock, which has another zero; None if it is lost, as far as is known."""
    probe_id: int | None
    """The probe that it was part of."""
    late: bool
    """Whether it was reported lost before: packets overtake each other."""


class TransportFeedbackAdapter:
    """Numbers packets as they leave, and turns feedback messages into a result for each packet."""

    def __init__(self, first: int = 1) -> None:
        self._next = self._oldest = first
        self._packets: dict[int, SentPacket] = {}
        self._sent_bytes = self._acked_bytes = 0
        self._newest_acked = first - 1
        self._reference_time: int | None = None

    def __len__(self) -> int:
        return len(self._packets)

    @property
    def outstanding_bytes(self) -> int:
        """Bytes that left after the newest packet that any feedback covers."""
        return self._sent_bytes - self._acked_bytes

    @property
    def next_sequence_number(self) -> int:
        """The sequence number of the next packet, as it is written into it."""
        return self._next & 0xFFFF

    def sent(self, size: int, now: float, probe_id: int | None = None) -> int:
        """Record that the packet with `next_sequence_number` leaves now. Returns its number without wrap."""
        number = self._next
        self._sent_bytes += size
        self._packets[number] = SentPacket(size, now, probe_id, self._sent_bytes)
        self._next += 1
        # Numbers are in order of age. Asking the dictionary for its first key would walk over all that were removed.
        while (oldest := self._packets.get(self._oldest)) is None or oldest.sent_at < now - SEND_TIME_HISTORY_S:
            self._packets.pop(self._oldest, None)
            self._oldest += 1
        return number

    def exclude(self, number: int) -> None:
        """Report no result for a packet: its bytes leave a second time, and feedback cannot say which time arrived."""
        self._packets.pop(number, None)

    def feed(self, fci: bytes) -> list[PacketResult]:
        """The results that a feedback message adds, in order of sequence. Raises `MalformedFeedback`."""
        oldest = next(iter(self._packets), self._next)
        feedback = parse(fci, self._next - oldest + MAX_UNKNOWN_PACKETS)
        origin = self._unwrapped(feedback.reference_time) * REFERENCE_TICK_S
        # A number from the past: at most 65535 back from the next.
        first = self._next - ((self._next - feedback.base_sequence) & 0xFFFF)
        results = []
        for number, arrival in enumerate(feedback.arrivals, first):
            packet = self._packets.get(number)
            if packet is None or (arrival is None and packet.reported_lost):
                continue
            if number > self._newest_acked:
                self._newest_acked, self._acked_bytes = number, packet.total_bytes
            late, arrived_at = packet.reported_lost, None
            if arrival is None:
                packet.reported_lost = True
            else:
                del self._packets[number]
                arrived_at = origin + arrival
            results.append(PacketResult(number, packet.sent_at, packet.size, arrived_at, packet.probe_id, late))
        return results

    def _unwrapped(self, reference_time: int) -> int:
        """The reference time without wrap: at most half the circle from the newest one."""
        if self._reference_time is None:
            self._reference_time = reference_time
        step = (reference_time - self._reference_time) & 0xFFFFFF
        full = self._reference_time + (step - (1 << 24) if step >= 1 << 23 else step)
        self._reference_time = max(self._reference_time, full)
        return full
