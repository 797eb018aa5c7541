"""What one subscription sends again: on request, a second time behind the next unit, unrequested while the viewer's
requests may be lost, and as padding. Must not know when any of that is due, sockets or clocks.

All of it leaves as retransmissions (RFC 4588): under an SSRC of their own, each with a sequence number of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from framewire.rtc.repair.history import PacketHistory, StoredPacket
from framewire.rtc.rtp.header_extensions import HeaderExtensions
from framewire.rtc.rtp.packets import RtpOrigin, RtpPacketDraft

MAX_PADDING_BYTES: Final = 255
"""A packet holds at most this much padding.

Source: RFC 3550 §5.1, the padding length is one byte."""

MAX_UNREQUESTED_PACKETS: Final = 120
"""At most this many packets are sent again at once unrequested, the newest ones.

Source: benchmark `lossy-150ms-10%-bursts`; pinned by
`tests/rtc/repair/test_retransmission.py::test_unrequested_only_the_newest_packets_are_sent_again`."""


class Retransmitter:
    """Keeps what was sent, and makes retransmissions of it."""

    def __init__(self, origin: RtpOrigin, payload_type: int | None) -> None:
        """``payload_type`` is None if the viewer does not understand retransmissions: then there are none."""
        self.ssrc: int = origin.ssrc
        self.payload_type = payload_type
        self.extensions: HeaderExtensions = HeaderExtensions({}, "")
        self._next = origin.sequence
        self._history = PacketHistory()
        self._second_copies: list[StoredPacket] = []
        self._unrequested_until = float("-inf")
        """All that left by this time has been sent again unrequested."""

    def add(self, first: int, timestamp: int, payloads: Sequence[bytes], now: float) -> None:
        """Keep a unit that leaves now, its packets numbered from ``first``."""
        self._history.add(first, timestamp, payloads, now)

    def clear(self) -> None:
        """Drop all that was kept."""
        self._history.clear()
        self._second_copies = []

    def requested(self, sequences: Iterable[int], now: float, rtt_s: float, *, twice: bool) -> list[RtpPacketDraft]:
        """The packets that the viewer lacks, without those on their way: it asks again after ``rtt_s``. With ``twice``
        they leave once more by `second_copies`."""
        found = self._found(sequences, now, rtt_s)
        if twice:
            self._second_copies += found
        return self._retransmissions(found)

    def second_copies(self) -> list[RtpPacketDraft]:
        """What was requested since the last unit, once more. Where bursts are lost, repairs are lost as well, and the
        viewer would ask again only a round trip later."""
        if not self._second_copies:
            return []
        copies, self._second_copies = self._second_copies, []
        return self._retransmissions(copies)

    def discard_second_copies(self) -> None:
        """What they repair is needless by now."""
        self._second_copies = []

    def unrequested(self, since: float, newest: int, now: float, rtt_s: float) -> list[RtpPacketDraft]:
        """What left after ``since`` and was not sent again yet, without the unit that begins with packet ``newest``."""
        sequences = self._history.since(max(since, self._unrequested_until))
        older = [number for number in sequences if (number - newest) & 0xFFFF >= 0x8000]
        self._unrequested_until = max(self._unrequested_until, self._history.before(newest))
        return self._retransmissions(self._found(older[-MAX_UNREQUESTED_PACKETS:], now, rtt_s))

    def make_padding(self, size_bytes: int) -> RtpPacketDraft | None:
        """A packet of about this size, or smaller, that changes nothing for the viewer: it is sent for its length.

        Only retransmissions may repeat packets or be nothing but padding. So there is none before they are negotiated,
        and before there is a packet to repeat.
        """
        sent = self._history.filler()
        if self.payload_type is None or sent is None:
            return None
        if len(sent.payload) > min(MAX_PADDING_BYTES, size_bytes):
            return self._retransmissions([sent])[0]
        return self._draft(self.payload_type, sent, b"", padding=max(min(MAX_PADDING_BYTES, size_bytes), 1))

    def _found(self, sequences: Iterable[int], now: float, rtt_s: float) -> list[StoredPacket]:
        if self.payload_type is None:
            # The packet itself must not leave again: its send time would differ, and one SRTP index must never encrypt
            # two plaintexts (RFC 3711 §9.1). A viewer without RTX requests a keyframe instead.
            return []
        found = (self._history.resend(number, now, rtt_s) for number in sequences)
        return [sent for sent in found if sent is not None]

    def _retransmissions(self, packets: Iterable[StoredPacket]) -> list[RtpPacketDraft]:
        """The packets as retransmissions (RFC 4588 §4)."""
        payload_type = self.payload_type
        if payload_type is None:
            return []
        return [self._draft(payload_type, sent, sent.sequence.to_bytes(2) + sent.payload) for sent in packets]

    def _draft(self, payload_type: int, sent: StoredPacket, payload: bytes, padding: int = 0) -> RtpPacketDraft:
        sequence, self._next = self._next, (self._next + 1) & 0xFFFF
        marker, timestamp = sent.marker, sent.timestamp
        return RtpPacketDraft(payload_type, marker, sequence, timestamp, self.ssrc, self.extensions, payload, padding)
