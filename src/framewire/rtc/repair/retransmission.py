"""What one subscription sent, and what of it is sent again: when it is asked for, behind that once more, unasked while
nobody can ask, and as padding. Must not know when any of that is called for, sockets or clocks.

All of it leaves as retransmissions (RFC 4588): under an SSRC of their own, each with a number of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from framewire.rtc.repair.history import History, Sent
from framewire.rtc.rtp.packets import Draft, Extensions

PADDING = 255
"""Octets, as much as one packet can hold (RFC 3550 §5.1)."""
MOST_UNASKED = 120
"""Packets that are sent again at once though nobody has asked for them."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an RTP stream begins."""

    ssrc: int
    sequence: int


class Retransmitter:
    """Keeps what was sent, and makes retransmissions of it; none before `payload_type` is known."""

    def __init__(self, origin: Origin) -> None:
        self.ssrc = origin.ssrc
        self.payload_type: int | None = None
        self.extensions = Extensions({}, "")
        self._sequence = origin.sequence
        self._history = History()
        self._copies: list[Sent] = []
        self._unasked_until = float("-inf")
        """What left before has been sent again though nobody could ask for it."""

    def add(self, first: int, timestamp: int, payloads: Sequence[bytes], now: float) -> None:
        """A unit leaves."""
        self._history.add(first, timestamp, payloads, now)

    def clear(self) -> None:
        """Forget all."""
        self._history.clear()
        self._copies = []

    def forget_copies(self) -> None:
        """What was sent again is needless by now."""
        self._copies = []

    def asked(self, numbers: Iterable[int], now: float, rtt: float, *, twice: bool) -> list[Draft]:
        """What the viewer lacks, as far as it is not on its way: it asks again after ``rtt`` seconds. ``twice``: once
        more with `copies`."""
        sent = self._resent(numbers, now, rtt)
        if twice:
            self._copies += sent
        return self._again(sent)

    def copies(self) -> list[Draft]:
        """What was sent again since the last unit, once more: where much is lost in bursts, a repair is lost like all
        else, and the next would come a round trip later."""
        copies, self._copies = self._copies, []
        return self._again(copies)

    def unasked(self, since: float, newest: int, now: float, rtt: float) -> list[Draft]:
        """What left since then, but for the unit that begins with the packet ``newest``, and was not sent again yet."""
        numbers = self._history.since(max(since, self._unasked_until))
        older = [number for number in numbers if (number - newest) & 0xFFFF >= 0x8000]
        self._unasked_until = max(self._unasked_until, self._history.before(newest))
        return self._again(self._resent(older[-MOST_UNASKED:], now, rtt))

    def pad(self, octets: int) -> Draft | None:
        """A packet of about so many octets, or fewer, that tells the viewer nothing new: sent for its length.

        Only where retransmissions are negotiated, as their SSRC may have packets that repeat and packets that
        are nothing but padding; and only once there is something to repeat.
        """
        sent = self._history.filler()
        if self.payload_type is None or sent is None:
            return None
        if len(sent.payload) > min(PADDING, octets):
            return self._again([sent])[0]
        return self._rtx(self.payload_type, sent, b"", padding=max(min(PADDING, octets), 1))

    def _resent(self, numbers: Iterable[int], now: float, rtt: float) -> list[Sent]:
        if self.payload_type is None:
            # A viewer without RTX asks for a keyframe when it cannot go on. The packet itself cannot go
            # again: its send time differs, and one SRTP index must never protect two texts (RFC 3711 §9.1).
            return []
        found = (self._history.resend(number, now, rtt) for number in numbers)
        return [sent for sent in found if sent is not None]

    def _again(self, packets: Iterable[Sent]) -> list[Draft]:
        """The packets as retransmissions (RFC 4588 §4)."""
        kind = self.payload_type
        if kind is None:
            return []
        return [self._rtx(kind, sent, sent.sequence.to_bytes(2) + sent.payload) for sent in packets]

    def _rtx(self, payload_type: int, sent: Sent, payload: bytes, padding: int = 0) -> Draft:
        sequence, self._sequence = self._sequence, (self._sequence + 1) & 0xFFFF
        marker, timestamp = sent.marker, sent.timestamp
        return Draft(payload_type, marker, sequence, timestamp, self.ssrc, self.extensions, payload, padding)
