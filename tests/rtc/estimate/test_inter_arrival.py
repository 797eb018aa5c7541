"""Packets to groups."""

from __future__ import annotations

import pytest

from framewire.rtc.estimate.inter_arrival import GroupDelta, InterArrivalDelta


def deltas(*packets: tuple[float, float]) -> list[GroupDelta]:
    """The deltas that packets give, each with departure and arrival."""
    grouping = InterArrivalDelta()
    return [delta for packet in packets if (delta := grouping.add(*packet)) is not None]


def test_packets_that_leave_within_five_milliseconds_are_one_group():
    (delta,) = deltas((0.0, 0.0), (0.002, 0.003), (0.005, 0.007), (0.033, 0.04), (0.034, 0.042), (0.066, 0.08))
    assert delta == pytest.approx((0.029, 0.035, 0.042))
    assert len(deltas((0.0, 0.0), (0.0051, 0.007), (0.033, 0.04), (0.066, 0.08))) == 2


def test_a_delta_is_between_the_last_packets_of_two_groups_to_leave_and_to_arrive():
    (delta,) = deltas(
        (0.0, 1.0), (0.004, 1.02), (0.003, 1.01), (0.03, 1.05), (0.034, 1.06), (0.032, 1.055), (0.07, 1.1)
    )
    assert delta == pytest.approx((0.034 - 0.004, 1.06 - 1.02, 1.06))


def test_packets_that_were_held_back_and_released_are_one_group():
    held = deltas((0.0, 1.0), (0.02, 1.02), (0.04, 1.10), (0.06, 1.101), (0.08, 1.102), (0.10, 1.12), (0.12, 1.14))
    assert [delta.arrived_at for delta in held] == [1.02, 1.102, 1.12], "three packets released at once are one group"


@pytest.mark.parametrize(("gap", "groups"), [(0.005, 1), (0.0051, 2)])
def test_packets_released_more_than_five_milliseconds_apart_are_not(gap: float, groups: int):
    assert len(deltas((0.0, 0.0), (0.02, gap), (0.1, 0.1), (0.2, 0.2))) == groups


def test_packets_that_arrive_as_far_apart_as_they_left_are_not_held_back():
    step = 1 / 256
    group = [(0.0, 0.0), (step, step)]
    assert len(deltas(*group, (2 * step, 2 * step), (0.2, 0.2))) == 1, "the third is a group of its own"
    assert len(deltas(*group, (2 * step, 1.99 * step), (0.2, 0.2))) == 0, "the third was held back"
    assert len(deltas(*group, (2 * step, 2.01 * step), (0.2, 0.2))) == 1


def test_a_group_of_released_packets_lasts_less_than_a_tenth_of_a_second():
    """A stream of packets that arrive a little closer than they left would else never end a group."""
    released = [(index * 0.0055, index * 0.004) for index in range(26)]
    assert released[-1][1] == 0.1
    whole, rest = deltas((-1.0, -1.0), *released, (0.3, 0.3))
    assert whole == pytest.approx((1 + 24 * 0.0055, 1.096, 0.096))
    assert rest == pytest.approx((0.0055, 0.004, 0.1))


def test_a_packet_from_before_the_group_is_ignored():
    assert deltas((1.0, 2.0), (0.9, 2.1), (1.1, 2.2), (0.95, 2.25), (1.2, 2.3)) == [pytest.approx((0.1, 0.2, 2.2))]


def test_packets_that_left_at_one_moment_are_one_group_that_ends_with_the_last_arrival():
    (delta,) = deltas((0.0, 1.0), (0.1, 1.1), (0.1, 1.103), (0.2, 1.2))
    assert delta == pytest.approx((0.1, 0.103, 1.103))
