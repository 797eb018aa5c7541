"""A subscription's media packets: their sequence numbers and timestamps. Must not know when they leave, sockets or
clocks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from framewire.frame import rtp_timestamp
from framewire.rtc.rtp.header_extensions import HeaderExtensions
from framewire.rtc.rtp.packets import RtpOrigin, RtpPacketDraft, RtpUnit

MAX_KEYFRAME_AGE_PACKETS: Final = 0x4000
"""The newest keyframe counts as at most this many packets ago. That is more than are kept for retransmission. From half
of all sequence numbers on, packets after the keyframe would seem to come before it.

Source: RFC 1982 §3.2 (serial number comparison); pinned by
`tests/rtc/send/test_media_packets.py::test_a_keyframe_counts_as_16384_packets_ago_at_most`."""


class MediaPackets:
    """Makes the packets of each unit, one sequence number after the other."""

    def __init__(self, origin: RtpOrigin) -> None:
        self.ssrc: int = origin.ssrc
        self.first: int = origin.sequence
        """The sequence number of the newest unit's first packet."""
        self.timestamp: int = 0
        """The RTP timestamp of the newest unit."""
        self._next = self._keyframe_first = origin.sequence
        self._time_us = -1

    def make(self, packed: RtpUnit, payload_type: int, extensions: HeaderExtensions) -> list[RtpPacketDraft]:
        """The packets of the next unit, the last one marked."""
        first, last = self._next, len(packed.payloads) - 1
        timestamp = self._take_timestamp(packed.unit.rtp_us)
        if packed.unit.keyframe:
            self._keyframe_first = first
        elif (first - self._keyframe_first) & 0xFFFF > MAX_KEYFRAME_AGE_PACKETS:
            self._keyframe_first = (first - MAX_KEYFRAME_AGE_PACKETS) & 0xFFFF
        self.first, self._next = first, (first + last + 1) & 0xFFFF
        ssrc = self.ssrc
        return [
            RtpPacketDraft(payload_type, index == last, (first + index) & 0xFFFF, timestamp, ssrc, extensions, payload)
            for index, payload in enumerate(packed.payloads)
        ]

    def _take_timestamp(self, time_us: int) -> int:
        """The publish time on the RTP clock. One tick later than the last one if a frame is sent again: two units with
        one timestamp would be one frame to the viewer."""
        if time_us <= self._time_us:
            self.timestamp = (self.timestamp + 1) & 0xFFFFFFFF
        else:
            self._time_us, self.timestamp = time_us, rtp_timestamp(time_us)
        return self.timestamp

    def useful(self, sequences: Iterable[int]) -> list[int]:
        """The sequence numbers since the newest keyframe: packets before it are needless. After a large loss, their
        repairs would delay the keyframe."""
        return [number for number in sequences if (number - self._keyframe_first) & 0xFFFF < 0x8000]
