"""What a probe has measured."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from framewire.rtc.estimate.probe_bitrate import ProbeCluster, ProbeMeasurement, ProbeRates
from framewire.rtc.rtp.twcc import PacketResult

SIZE = 1000
PROBE = ProbeCluster(1, 3.2e6, 8 * SIZE)


def packet(number: int, sent_at: float, arrived_at: float | None, size: int = SIZE) -> PacketResult:
    return PacketResult(number, sent_at, size, arrived_at, PROBE.id, late=False)


def measured(packets: Iterable[PacketResult], noise_s: float = 0.0, probe: ProbeCluster = PROBE) -> ProbeRates | None:
    measurement = ProbeMeasurement(probe, 1.0)
    for each in packets:
        measurement.add(each)
    return measurement.rates(noise_s)


def even(count: int = 8, sent: float = 0.0025, arrived: float = 0.004) -> list[PacketResult]:
    """Packets that leave and arrive so far apart."""
    return [packet(index, 1 + index * sent, 71 + index * arrived) for index in range(count)]


def test_the_last_to_leave_and_the_first_to_arrive_take_time_outside_of_the_span():
    assert measured(even()) == pytest.approx((8 * SIZE / 0.0025, 8 * SIZE / 0.004))


def test_the_last_burst_takes_its_own_time():
    packets = [packet(index, 1 + index // 2 * 0.005 + index % 2 * 0.0009, 71 + index * 0.004) for index in range(8)]
    rates = measured(packets)
    assert rates is not None and rates.sent_bps == pytest.approx(6 * 8 * SIZE / 0.0159)
    apart = [packet(index, 1 + index // 2 * 0.005 + index % 2 * 0.0011, 71 + index * 0.004) for index in range(8)]
    rates = measured(apart)
    assert rates is not None and rates.sent_bps == pytest.approx(7 * 8 * SIZE / 0.0161)


def test_five_packets_are_enough_and_four_are_not():
    small = ProbeCluster(1, 1e6, 5 * SIZE)
    assert measured(even(5), probe=small) is not None
    assert measured(even(4), probe=small) is None


def test_seven_of_ten_bytes_are_enough():
    probe = ProbeCluster(1, 3.2e6, 10 * SIZE)
    assert measured(even(7), probe=probe) is not None
    assert measured(even(6), probe=probe) is None


def test_a_probe_that_left_in_one_burst_measures_nothing():
    assert measured(even(sent=0.0007)) is None
    assert measured(even(sent=0.00075)) is not None, "five milliseconds"


def test_a_probe_that_arrived_in_one_burst_measures_nothing():
    assert measured(even(arrived=0.0007)) is None


def test_half_of_the_noise_is_taken_off_but_no_more_than_it_took_to_leave():
    rates = measured(even(), noise_s=0.01)
    assert rates is not None and rates.received_bps == pytest.approx(7 * 8 * SIZE / (0.028 - 0.005))
    rates = measured(even(), noise_s=0.1)
    assert rates is not None and rates.received_bps == pytest.approx(7 * 8 * SIZE / 0.0175)
    rates = measured(even(arrived=0.002), noise_s=0.1)
    assert rates is not None and rates.received_bps == pytest.approx(7 * 8 * SIZE / 0.014), "nor than it took to arrive"


def test_overtaken_packets_took_another_route():
    packets = even()
    packets[2] = packet(2, packets[2].sent_at, 71.5)
    rates = measured(packets)
    assert rates is not None and rates.received_bps == pytest.approx(7 * 8 * SIZE / 0.028)


def test_the_first_to_arrive_may_have_been_overtaken():
    packets = even()
    packets[0] = packet(0, packets[0].sent_at, packets[3].arrived_at)
    rates = measured(packets)
    assert rates is not None and rates.received_bps == pytest.approx(7 * 8 * SIZE / 0.024)


def test_packets_that_arrive_at_one_moment_are_in_order():
    first = packet(0, 1.0, 71.0, size=500)
    packets = [packet(index, 1 + index * 0.0025, 71 + index // 2 * 0.008) for index in range(1, 8)]
    rates = measured([first, *packets])
    assert rates is not None and rates.received_bps == pytest.approx(7 * 8 * SIZE / 0.024)


def test_a_probe_that_lost_more_than_three_tenths_has_failed():
    measurement = ProbeMeasurement(ProbeCluster(1, 3.2e6, 10 * SIZE), 1.0)
    for number in range(3):
        measurement.add(packet(number, 1.0, None))
    assert not measurement.failed
    measurement.add(packet(3, 1.0, None))
    assert measurement.failed
