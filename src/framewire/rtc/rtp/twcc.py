"""Transport-wide sequence numbers: what left when, and what the viewer says of its arrival. Must not know sockets,
clocks or rates.

After draft-holmer-rmcat-transport-wide-cc-extensions-01. One numbering for all that a peer connection sends, media,
retransmissions and padding alike: they share one way.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

TICK = 0.00025
"""Seconds of one step of an arrival delta."""
REFERENCE = 0.064
"""Seconds of one step of the reference time."""
SPAN = 5.0
"""Seconds for which a packet is remembered: several round trips to anywhere, and feedback that was held back."""

SLACK = 1000
"""Packets that feedback may speak of beyond those remembered: forgotten by us, not yet by the viewer."""

_LOST, _SMALL, _LARGE = 0, 1, 2


class MalformedFeedback(ValueError):
    """Feedback that contradicts itself or ends too early."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """One feedback message as it is written: nothing in it is unwrapped."""

    base: int
    """Sequence number of the first packet, 16 bits."""
    reference: int
    """In steps of `REFERENCE` on the viewer's clock, 24 bits."""
    count: int
    """Number of this message, 8 bits."""
    arrivals: tuple[float | None, ...]
    """Seconds after the reference for each packet from ``base`` on; None where it has not arrived."""


def parse(fci: bytes, most: int = 0xFFFF) -> Feedback:
    """Read feedback control information about ``most`` packets at most. Raises `MalformedFeedback`, and nothing else,
    whatever it holds."""
    if len(fci) < 8:
        raise MalformedFeedback(f"{len(fci)} bytes are no feedback")
    base, status_count, reference_and_count = struct.unpack_from("!HHL", fci)
    if not status_count:
        raise MalformedFeedback("feedback about no packet")
    if status_count > most:
        # Before it is looked at: a few bytes can speak of many packets.
        raise MalformedFeedback(f"feedback about {status_count} packets, more than were sent")
    symbols, at = _symbols(fci, status_count)
    arrivals = tuple(_arrivals(fci, at, symbols))
    return Feedback(base, reference_and_count >> 8, reference_and_count & 0xFF, arrivals)


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
            symbols += [chunk >> 13] * min(chunk & 0x1FFF, status_count - len(symbols))
            if not chunk & 0x1FFF:
                raise MalformedFeedback("a run of no packets")
        elif chunk & 0x4000:
            symbols += [chunk >> shift & 3 for shift in range(12, -2, -2)]
        else:
            symbols += [chunk >> shift & 1 for shift in range(13, -1, -1)]
    # The last vector may be longer than what is left.
    return symbols[:status_count], at


def _arrivals(fci: bytes, at: int, symbols: Sequence[int]) -> Iterator[float | None]:
    ticks = 0
    for symbol in symbols:
        if symbol == _LOST:
            yield None
            continue
        size = 1 if symbol == _SMALL else 2
        if symbol not in (_SMALL, _LARGE) or at + size > len(fci):
            raise MalformedFeedback("a reserved status" if symbol > _LARGE else "deltas end too early")
        # Small deltas are unsigned; large ones are signed, as packets overtake each other.
        ticks += int.from_bytes(fci[at : at + size], signed=symbol == _LARGE)
        at += size
        yield ticks * TICK


@dataclass(slots=True)
class Departure:
    """A packet that left."""

    size: int
    sent_at: float
    probe: int | None
    total: int
    """Octets that had left, with this one."""
    reported_lost: bool = False


@dataclass(slots=True)
class Outcome:
    """What became of one packet. Not to be changed; frozen, it would take three times as long to make."""

    sequence: int
    """Without wrap: the number of the packet since the peer began, plus where it began."""
    sent_at: float
    size: int
    arrived_at: float | None
    """Seconds on the viewer's clock, which has another zero; None if it is lost, as far as is known."""
    probe: int | None
    """The probe it was part of."""
    late: bool
    """Whether it was reported lost before: packets overtake each other."""


class Ledger:
    """What left and is not yet accounted for."""

    def __init__(self, first: int = 1) -> None:
        self._next = self._oldest = first
        self._departures: dict[int, Departure] = {}
        self._octets = self._known_octets = 0
        self._known = first - 1
        self._reference: int | None = None
        self._count: int | None = None
        self.missed = 0
        """Feedback messages that never came, by their numbering."""

    def __len__(self) -> int:
        return len(self._departures)

    @property
    def unknown(self) -> int:
        """Octets that left after the newest packet of which anything is known."""
        return self._octets - self._known_octets

    @property
    def next(self) -> int:
        """The sequence number of the next packet, as it is written into it."""
        return self._next & 0xFFFF

    def sent(self, size: int, now: float, probe: int | None = None) -> int:
        """The packet with the number `next` leaves now. Returns its number without wrap."""
        number = self._next
        self._octets += size
        self._departures[number] = Departure(size, now, probe, self._octets)
        self._next += 1
        # Numbers are in order of age. To ask the dictionary for its first would be to walk over all that left it.
        while (oldest := self._departures.get(self._oldest)) is None or oldest.sent_at < now - SPAN:
            self._departures.pop(self._oldest, None)
            self._oldest += 1
        return number

    def forget(self, number: int) -> None:
        """Leave a packet out of account: its bytes leave a second time, and none can say which time arrived."""
        self._departures.pop(number, None)

    def feed(self, fci: bytes) -> list[Outcome]:
        """What a feedback message tells that was not known, in order of sequence. Raises `MalformedFeedback`."""
        oldest = next(iter(self._departures), self._next)
        feedback = parse(fci, self._next - oldest + SLACK)
        self._count_missed(feedback.count)
        origin = self._unwrapped_reference(feedback.reference) * REFERENCE
        # A number from the past: at most 65535 back from the next.
        first = self._next - ((self._next - feedback.base) & 0xFFFF)
        outcomes = []
        for number, arrival in enumerate(feedback.arrivals, first):
            departure = self._departures.get(number)
            if departure is None or (arrival is None and departure.reported_lost):
                continue
            if number > self._known:
                self._known, self._known_octets = number, departure.total
            late, arrived_at = departure.reported_lost, None
            if arrival is None:
                departure.reported_lost = True
            else:
                del self._departures[number]
                arrived_at = origin + arrival
            outcomes.append(Outcome(number, departure.sent_at, departure.size, arrived_at, departure.probe, late))
        return outcomes

    def _count_missed(self, count: int) -> None:
        if self._count is not None:
            # More than half the circle on is a message that was overtaken.
            step = (count - self._count) & 0xFF
            if step == 0 or step >= 128:
                return
            self.missed += step - 1
        self._count = count

    def _unwrapped_reference(self, reference: int) -> int:
        if self._reference is None:
            self._reference = reference
        step = (reference - self._reference) & 0xFFFFFF
        full = self._reference + (step - (1 << 24) if step >= 1 << 23 else step)
        self._reference = max(self._reference, full)
        return full
