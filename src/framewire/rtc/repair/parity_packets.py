"""A subscription's parity packets (FlexFEC). Must not know how many there are, when they leave, sockets or
clocks."""

from __future__ import annotations

from collections.abc import Sequence

from framewire.rtc.rtp.flexfec import SourceHeader, fec_payload
from framewire.rtc.rtp.header_extensions import HeaderExtensions
from framewire.rtc.rtp.packets import RtpOrigin, RtpPacketDraft, RtpUnit


class ParityPackets:
    """Makes the parity packets of each unit, under an SSRC and sequence numbers of their own."""

    def __init__(self, origin: RtpOrigin, payload_type: int | None) -> None:
        """``payload_type`` is None if the viewer does not understand parity."""
        self.ssrc: int = origin.ssrc
        self.payload_type = payload_type
        self.extensions: HeaderExtensions = HeaderExtensions({}, "")
        self._next = origin.sequence
        self._delayed: list[bytes] = []

    def make(self, packed: RtpUnit, source: SourceHeader, count: int, *, delay_second: bool) -> list[RtpPacketDraft]:
        """About ``count`` parity packets of a unit. With ``delay_second`` those of the second cover come with `delayed`
        instead: what is sent apart is not lost together."""
        at_once, second = ([fec_payload(parity, source) for parity in cover] for cover in packed.parities(count))
        if delay_second:
            self._delayed = second
        else:
            at_once += second
        return self._drafts(at_once, source.timestamp)

    def delayed(self, timestamp: int) -> list[RtpPacketDraft]:
        """The packets that were to come later, once: with the next unit, or when there is none."""
        if not self._delayed:
            return []
        payloads, self._delayed = self._delayed, []
        return self._drafts(payloads, timestamp)

    def discard_delayed(self) -> None:
        """The unit that they protect is needless by now."""
        self._delayed = []

    def _drafts(self, payloads: Sequence[bytes], timestamp: int) -> list[RtpPacketDraft]:
        payload_type, first = self.payload_type, self._next
        assert payload_type is not None, "parity was negotiated"
        self._next = (first + len(payloads)) & 0xFFFF
        ssrc, extensions = self.ssrc, self.extensions
        return [
            RtpPacketDraft(payload_type, False, (first + index) & 0xFFFF, timestamp, ssrc, extensions, payload)
            for index, payload in enumerate(payloads)
        ]
