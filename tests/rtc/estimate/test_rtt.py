"""How long a round trip takes."""

from __future__ import annotations

import pytest

from framewire.rtc.estimate.rtt import PathRtt, ResponseTime


def test_the_response_time_is_an_average_of_eight():
    response = ResponseTime()
    assert response.seconds == 0.1
    response.add(10.0, 10.5)
    assert response.seconds == pytest.approx(0.1 + 0.4 / 8)


def test_a_packet_that_left_after_its_feedback_took_no_time():
    response = ResponseTime()
    response.add(10.0, 9.0)
    assert response.seconds == pytest.approx(0.1 * 7 / 8)


def test_the_newest_report_is_the_round_trip():
    rtt = PathRtt()
    assert rtt.seconds is None
    rtt.add_report(0.2)
    rtt.add_report(0.1)
    assert rtt.seconds == 0.1


def test_checks_count_until_the_viewer_reports():
    rtt = PathRtt()
    rtt.add_check(None)
    assert rtt.seconds is None
    rtt.add_check(0.3)
    rtt.add_check(0.2)
    rtt.add_check(None)
    assert rtt.seconds == 0.2
    rtt.add_report(0.4)
    rtt.add_check(0.1)
    assert rtt.seconds == 0.4
