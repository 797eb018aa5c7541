"""When sender reports are due, and what is in them."""

from __future__ import annotations

from aiortc.rtp import RtcpPacket, RtcpSdesPacket, RtcpSrPacket

from framewire.rtc.send.deadline import NEVER
from framewire.rtc.send.sender_reports import SenderReports


def test_none_is_due_before_the_first_and_then_one_each_second():
    reports = SenderReports(7)
    assert not reports.started and reports.deadline == NEVER
    reports.make(0, 0, "us", 50.0)
    assert reports.started and reports.deadline == 51.0


def test_a_report_says_how_much_was_sent_and_by_whom():
    report, names = RtcpPacket.parse(SenderReports(7).make(3, 1200, "us", 50.0))
    assert isinstance(report, RtcpSrPacket) and isinstance(names, RtcpSdesPacket)
    assert (report.ssrc, report.sender_info.packet_count, report.sender_info.octet_count) == (7, 3, 1200)
    assert names.chunks[0].items == [(1, b"us")]
