"""When RTCP sender reports are due. Must not know sockets or clocks."""

from __future__ import annotations

from typing import Final

from framewire.rtc.rtp import rtcp
from framewire.rtc.send.deadline import NEVER

REPORT_INTERVAL_S: Final = 1.0
"""A sender report leaves this often.

Source: libwebrtc `RTCPSender` (`kDefaultVideoReportInterval`, 1 s)."""


class SenderReports:
    """Makes a subscription's sender reports, from its first unit on."""

    def __init__(self, ssrc: int) -> None:
        self.deadline: float = NEVER
        """When a report is due."""
        self._ssrc = ssrc

    @property
    def started(self) -> bool:
        return self.deadline != NEVER

    def make(self, packets: int, payload_bytes: int, cname: str, now: float) -> bytes:
        """The report of what was sent so far, encoded; the next is due `REPORT_INTERVAL_S` later."""
        self.deadline = now + REPORT_INTERVAL_S
        return rtcp.sender_report(self._ssrc, now, (packets, payload_bytes), cname.encode())
