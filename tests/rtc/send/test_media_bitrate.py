"""Which part of the bandwidth media may use, and when that is reported."""

from __future__ import annotations

import math

import pytest

from framewire.rtc.send.media_bitrate import MediaBitrate


class Reports(list[int]):
    """A `MediaBitrate` and what it reported."""

    def __init__(self, max_bps=lambda loss: math.inf) -> None:
        super().__init__()
        self.bitrate = MediaBitrate(self.append, max_bps)
        self.bitrate.add_frame(9_500, 10_000)

    def update(self, bps: float, now: float, loss: float = 0.0, retransmitted: float = 0.0) -> None:
        self.bitrate.update(bps, loss, retransmitted, now)


@pytest.fixture
def reports():
    reports = Reports()
    reports.update(1e6, 10.0)
    return reports


def test_the_first_bitrate_is_reported_at_once_without_headers(reports):
    assert reports == [950_000]


def test_a_fall_is_reported_at_once(reports):
    reports.update(0.9e6, 10.001)
    assert reports[1:] == [855_000]


def test_a_rise_is_reported_ten_times_a_second_at_most(reports):
    for step in range(1, 100):
        reports.update(1e6 * (1 + step), 10.0 + step / 100)
    assert len(reports[1:]) == 9
    assert reports == sorted(reports)


def test_an_unchanged_bitrate_is_reported_once_a_second(reports):
    for step in range(1, 251):
        reports.update(1e6, 10.0 + step / 100)
    assert reports[1:] == [950_000] * 2


def test_a_change_below_two_percent_waits_for_the_reminder(reports):
    for factor in (0.981, 1.019):
        reports.update(1e6 * factor, 10.5)
    assert len(reports) == 1
    reports.update(1e6 * 0.979, 10.5)
    assert reports[1:] == [930_050]
    reports.update(1e6 * 0.997, 10.7)
    assert len(reports) == 2
    reports.update(1e6 * 1.0, 10.7)
    assert len(reports) == 3


def test_parity_is_taken_off_within_a_few_frames(reports):
    reports.bitrate.add_frame(9_500, 20_000)
    reports.update(1e6, 10.0)
    assert reports[-1] == pytest.approx(1e6 * 9_500 / 11_250, abs=1)
    for _ in range(40):
        reports.bitrate.add_frame(9_500, 20_000)
    reports.update(1e6, 12.0)
    assert reports[-1] == pytest.approx(475_000, rel=0.01)


def test_small_frames_leave_less_for_media():
    reports = Reports()
    for _ in range(80):
        reports.bitrate.add_frame(100, 176)
    reports.update(1e6, 10.0)
    assert reports[0] == pytest.approx(1e6 * 100 / 176, rel=0.01)


def test_what_is_retransmitted_is_taken_off(reports):
    reports.update(1e6, 11.0, retransmitted=0.1)
    assert reports[-1] == pytest.approx(855_000)


def test_at_most_a_quarter_is_kept_for_retransmissions(reports):
    reports.update(1e6, 11.0, retransmitted=0.9)
    assert reports[-1] == pytest.approx(712_500)


def test_the_limit_for_the_loss_holds():
    reports = Reports(lambda loss: 1e6 * loss)
    reports.update(1e6, 10.0, loss=0.5)
    assert reports == [500_000]
