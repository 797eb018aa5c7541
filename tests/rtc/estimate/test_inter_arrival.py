"""Packets to groups."""

from __future__ import annotations

import pytest

from framewire.rtc.estimate.inter_arrival import GroupDelta, InterArrivalDelta


def deltas(*packets: tuple[float, float]) -> list[GroupDelta]:
    """The deltas that packets give, each with departure and arrival."""
    grouping = InterArrivalDelta()
    return [delta for packet in packets if (delta := grouping.add(*packet)) is not None]


def test_packets_that_leave_within_five_milliseconds_are_one_group():
    packets = [(sent, sent + 1) for sent in (0.0, 0.002, 0.005, 0.033, 0.034, 0.066)]
    (delta,) = deltas(*packets)
    assert delta == pytest.approx((0.029, 0.029, 1.034))
    assert len(deltas(*((sent, sent + 1) for sent in (0.0, 0.0051, 0.033, 0.066)))) == 2


def test_a_delta_is_between_the_last_packets_of_two_groups_to_leave_and_to_arrive():
    (delta,) = deltas(
        (0.0, 1.0), (0.004, 1.02), (0.003, 1.01), (0.03, 1.05), (0.034, 1.06), (0.032, 1.055), (0.07, 1.1)
    )
    assert delta == pytest.approx((0.034 - 0.004, 1.06 - 1.02, 1.06))


def test_packets_that_were_held_back_and_released_are_one_group():
    held = deltas((0.0, 1.0), (0.02, 1.02), (0.04, 1.10), (0.06, 1.101), (0.08, 1.102), (0.10, 1.12), (0.12, 1.14))
    assert [delta.arrived_at for delta in held] == [1.02, 1.102, 1.12], "three packets released at once are one group"


@pytest.mark.parametrize(("gap", "groups"), [(0.005, 2), (0.0051, 3)])
def test_packets_released_more_than_five_milliseconds_apart_are_not(gap: float, groups: int):
    times = [(0.0, 1.0), (0.1, 1.1), (0.12, 1.1 + gap), (0.2, 1.2), (0.3, 1.3)]
    assert len(deltas(*times)) == groups


def test_packets_that_arrive_as_far_apart_as_they_left_are_not_held_back():
    """Six milliseconds apart in departure, so two groups; less than that in arrival, so one."""
    assert len(deltas((0.0, 1.0), (0.0625, 1.0625), (0.0625 + 0.0078125, 1.0625 + 0.0078125), (0.2, 1.2))) == 2
    assert len(deltas((0.0, 1.0), (0.0625, 1.0625), (0.0625 + 0.0078125, 1.0625 + 0.0039), (0.2, 1.2))) == 1


def test_a_group_of_released_packets_lasts_less_than_a_tenth_of_a_second():
    """A stream of packets that arrive a little closer than they left would else never end a group."""
    released = [(index * 0.0055, 1 + index * 0.0039) for index in range(80)]
    arrivals = [delta.arrived_at for delta in deltas(*released)]
    assert arrivals == pytest.approx([1 + 51 * 0.0039, 1 + 77 * 0.0039]), "26 packets each"


def test_a_packet_from_before_the_group_is_ignored():
    assert deltas((1.0, 2.0), (0.9, 2.1), (1.1, 2.2), (0.95, 2.25), (1.2, 2.3)) == [pytest.approx((0.1, 0.2, 2.2))]
