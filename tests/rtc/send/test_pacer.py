"""When packets leave."""

from __future__ import annotations

import pytest

from framewire.rtc.estimate.probe_bitrate import ProbeCluster
from framewire.rtc.send.pacer import BURST, DEBT, GENTLE_PACE, LONGEST, NEVER, PACE, Pacer

RATE = 4e6
FRAME = [(index, 1250) for index in range(13)]
"""130 kbit: 4 Mbit/s at 30 a second."""


def drain(pacer: Pacer[int], now: float) -> list[tuple[float, int, int | None]]:
    """What leaves, and when, if it is asked in time."""
    gone = [(now, item, probe) for item, probe in pacer.pop(now)]
    while pacer.deadline != NEVER:
        now = max(pacer.deadline, now)
        gone += [(now, item, probe) for item, probe in pacer.pop(now)]
    return gone


def test_a_frame_leaves_in_bursts_at_a_multiple_of_the_estimate():
    pacer: Pacer[int] = Pacer(RATE)
    pacer.push(FRAME, 1 / 30, 9.0)
    gone = drain(pacer, 9.0)
    assert [item for _, item, _ in gone] == list(range(13))
    moments = sorted({at for at, _, _ in gone})
    assert moments[0] == 9.0, "the first leave at once"
    assert len(moments) == 3
    assert moments[-1] - 9.0 == pytest.approx(13 * 1250 * 8 / (PACE * RATE), abs=0.006)


def test_a_frame_leaves_at_once_where_the_way_is_wide():
    pacer: Pacer[int] = Pacer(2 * RATE)
    pacer.push(FRAME, 1 / 30, 9.0)
    assert len(pacer.pop(9.0)) == 13
    assert pacer.deadline == NEVER


def test_a_frame_passes_whole_where_the_way_is_wide_and_is_charged_like_any_other():
    octets = sum(size for _, size in FRAME)
    one, other = Pacer[int](2 * RATE), Pacer[int](2 * RATE)
    assert one.passes(octets, 1 / 30, 9.0)
    other.push(FRAME, 1 / 30, 9.0)
    other.pop(9.0)
    for pacer in (one, other):
        pacer.push_urgent([(77, 1250)], 9.0)
    assert one.deadline == pytest.approx(other.deadline)
    ((left, item, _),), ((expected, other_item, _),) = drain(one, 9.0), drain(other, 9.0)
    assert item == other_item
    assert left == pytest.approx(expected)
    admitted = [(one.admits(at), other.admits(at)) for at in (9.0, 9.01, 9.5)]
    assert all(mine == yours for mine, yours in admitted)


def test_nothing_passes_what_waits_or_probes_or_a_narrow_way():
    assert not Pacer[int](RATE).passes(13 * 1250, 1 / 30, 9.0)
    waiting = Pacer[int](2 * RATE)
    waiting.push(FRAME * 4, 1 / 30, 9.0)
    assert not waiting.passes(100, 1 / 30, 9.0)
    probing = Pacer[int](2 * RATE)
    probing.begin(ProbeCluster(1, 3 * RATE, 10_000), 9.0)
    assert not probing.passes(100, 1 / 30, 9.0)


def test_a_frame_behind_another_waits_for_it():
    pacer: Pacer[int] = Pacer(RATE)
    pacer.push(FRAME * 2, 1 / 30, 9.0)
    pacer.pop(9.0)
    pacer.push([(99, 100)], 1 / 30, 9.0)
    assert 99 not in [item for item, _ in pacer.pop(9.0)]
    assert drain(pacer, 9.0)[-1][1] == 99


def test_a_keyframe_has_left_in_bounded_time():
    pacer: Pacer[int] = Pacer(RATE)
    pacer.push([(index, 1250) for index in range(400)], 1 / 30, 9.0)
    gone = drain(pacer, 9.0)
    assert len(gone) == 400
    assert 9.0 + LONGEST / 2 < gone[-1][0] <= 9.0 + LONGEST + 2 * BURST


def test_repairs_go_first():
    pacer: Pacer[int] = Pacer(RATE)
    pacer.push(FRAME, 1 / 30, 9.0)
    first = len(pacer.pop(9.0))
    pacer.push_urgent([(99, 1250)], 9.0)
    assert [item for _, item, _ in drain(pacer, 9.0)] == [99, *range(first, 13)]


def test_many_repairs_do_not_fill_the_queue_that_lost_them():
    pacer: Pacer[int] = Pacer(RATE)
    pacer.push_urgent(FRAME * 4, 9.0)
    took = drain(pacer, 9.0)[-1][0] - 9.0
    assert took == pytest.approx(4 * 13 * 1250 * 8 / (GENTLE_PACE * RATE), abs=0.01)


def test_admits_no_more_than_can_be_paid_off():
    pacer: Pacer[int] = Pacer(RATE)
    frames = 0
    for index in range(300):
        now = 9 + index / 30
        if pacer.admits(now):
            frames += 1
            pacer.push([(i, 1250) for i in range(26)], 1 / 30, now)
        pacer.pop(now)
    took = frames * 26 * 1250 * 8 / 10
    assert RATE < took < RATE * (1.2 + DEBT / 10) + 26 * 1250 * 8, "not twice the rate, which came in"
    assert pacer.admits(30.0)


def test_how_much_room_is_left_is_known():
    pacer: Pacer[int] = Pacer(RATE)
    assert pacer.room == 1
    pacer.push([(0, int(DEBT * RATE / 8 / 2))], 1 / 30, 9.0)
    assert pacer.room == pytest.approx(0.5, abs=0.01)
    pacer.push([(0, int(DEBT * RATE / 8))], 1 / 30, 9.0)
    assert pacer.room == 0


def test_a_higher_rate_pays_off_faster_from_then_on():
    pacer: Pacer[int] = Pacer(RATE)
    pacer.push([(i, 1250) for i in range(1250)], 1 / 30, 9.0)
    assert not pacer.admits(9.2)
    pacer.set_rate(4 * RATE, 9.2)
    assert not pacer.admits(9.25)
    assert pacer.admits(9.8)


def test_frames_leave_more_evenly_where_packets_are_lost():
    pacer: Pacer[int] = Pacer(RATE)
    pacer.set_rate(RATE, 9.0, gentle=True)
    pacer.push(FRAME, 1 / 30, 9.0)
    assert drain(pacer, 9.0)[-1][0] - 9.0 == pytest.approx(13 * 1250 * 8 / (GENTLE_PACE * RATE), abs=0.006)


def test_a_probe_takes_what_waits_then_padding():
    pacer: Pacer[int] = Pacer(RATE)
    pacer.push(FRAME, 1 / 30, 9.0)
    pacer.pop(9.0)
    waiting = len(pacer)
    pacer.begin(ProbeCluster(7, 8e6, 20_000), 9.0)
    media, padding, moments = 0, 0, set()
    now = 9.0
    while pacer.deadline != NEVER:
        now = max(now, pacer.deadline)
        media += sum(probe == 7 for _, probe in pacer.pop(now))
        while room := pacer.padding(now):
            assert room[0] == 7
            pacer.padded(room[1], now)
            padding += room[1]
            moments.add(now)
    assert media == waiting
    assert padding == 20_000 - waiting * 1250
    assert 9.0 + 20_000 * 8 / 8e6 - 0.006 <= now <= 9.0 + 20_000 * 8 / 8e6
    assert pacer.padding(now) is None


def test_a_probe_that_cannot_be_padded_ends():
    pacer: Pacer[int] = Pacer(RATE)
    pacer.begin(ProbeCluster(7, 8e6, 20_000), 9.0)
    assert pacer.padding(9.0)
    pacer.cancel_probe()
    assert pacer.deadline == NEVER


def test_packets_that_nobody_wants_any_more_do_not_leave():
    pacer: Pacer[int] = Pacer(RATE)
    pacer.push(FRAME, 1 / 30, 9.0)
    pacer.keep(lambda item: item % 2 == 0)
    assert [item for _, item, _ in drain(pacer, 9.0)] == [0, 2, 4, 6, 8, 10, 12]


def test_a_timer_that_fires_late_does_not_lower_the_pace():
    pacer: Pacer[int] = Pacer(RATE)
    pacer.push(FRAME * 4, 1 / 30, 9.0)
    late = 0.025
    gone = len(pacer.pop(9.0)) + len(pacer.pop(9.0 + late)) + len(pacer.pop(9.0 + 2 * late))
    assert gone * 1250 * 8 == pytest.approx(PACE * RATE * (2 * late + BURST), rel=0.1)


def test_what_was_not_used_while_nothing_waited_is_gone():
    pacer: Pacer[int] = Pacer(RATE)
    pacer.push(FRAME, 1 / 30, 9.0)
    first = len(pacer.pop(9.0))
    drain(pacer, 9.0)
    pacer.push(FRAME, 1 / 30, 19.0)
    assert len(pacer.pop(19.0)) == first
