"""How long a round trip takes."""

from __future__ import annotations

import pytest

from framewire.rtc.estimate.rtt import ResponseTime


def test_the_response_time_is_an_average_of_eight():
    response = ResponseTime()
    assert response.seconds == 0.1
    response.add(10.0, 10.5)
    assert response.seconds == pytest.approx(0.1 + 0.4 / 8)


def test_a_packet_that_left_after_its_feedback_took_no_time():
    response = ResponseTime()
    response.add(10.0, 9.0)
    assert response.seconds == pytest.approx(0.1 * 7 / 8)
