"""What goes in and out of every encoding."""

from __future__ import annotations

from framewire.engine.stream.encoding import EncodingReport, PackedUnit
from framewire.frame import AccessUnit


def test_a_report_on_an_unknown_subscriber_says_that_nothing_is_sent() -> None:
    report = EncodingReport()
    assert (report.sent_fps, report.sent_bps, report.encode_ms, report.target_bps, report.marks) == (0, 0, 0, 0, ())


def test_a_packed_unit_has_the_size_of_its_data_however_it_is_packed() -> None:
    unit = AccessUnit("raw", bytes(7), 1, 1, 6, 4)
    assert PackedUnit(unit, None, (bytes(36 + 4), bytes(36 + 3))).size_bytes == 7
