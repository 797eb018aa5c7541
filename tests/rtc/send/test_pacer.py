"""When packets leave."""

from __future__ import annotations

import pytest

from framewire.rtc.estimate.probe_bitrate import ProbeCluster
from framewire.rtc.send.deadline import NEVER
from framewire.rtc.send.pacer import (
    BURST_S,
    MAX_DEBT_S,
    MAX_QUEUE_S,
    PACING_FACTOR,
    UNPACED_HEADROOM_FACTOR,
    Pacer,
)

RATE = 4e6
FRAME = [(index, 1250) for index in range(13)]
"""130 kbit: 4 Mbit/s at 30 frames per second."""
FRAME_BYTES = 13 * 1250


def drain(pacer: Pacer[int], now: float) -> list[tuple[float, int, int | None]]:
    """What leaves and when, if `pop` is called in time."""
    gone = [(now, item, probe) for item, probe in pacer.pop(now)]
    while pacer.deadline != NEVER:
        now = max(pacer.deadline, now)
        gone += [(now, item, probe) for item, probe in pacer.pop(now)]
    return gone


@pytest.fixture
def pacer() -> Pacer[int]:
    return Pacer(RATE)


def test_a_frame_leaves_in_bursts_at_a_multiple_of_the_estimate(pacer):
    pacer.push(FRAME, 1 / 30, 9.0)
    assert pacer.queue_s == pytest.approx(FRAME_BYTES * 8 / (PACING_FACTOR * RATE))
    gone = drain(pacer, 9.0)
    assert [item for _, item, _ in gone] == list(range(13))
    moments = sorted({at for at, _, _ in gone})
    assert moments[0] == 9.0, "the first leave at once"
    assert len(moments) == 3
    assert moments[-1] - 9.0 == pytest.approx(FRAME_BYTES * 8 / (PACING_FACTOR * RATE), abs=0.006)
    assert pacer.queue_s == 0


def test_a_frame_leaves_at_once_where_the_bandwidth_is_far_above_it():
    needed = FRAME_BYTES * 8 * 30 * 1.5
    wide, narrow = Pacer[int](needed * 1.01), Pacer[int](needed * 0.99)
    for pacer in (wide, narrow):
        pacer.push(FRAME, 1 / 30, 9.0)
    assert len(wide.pop(9.0)) == 13
    assert wide.deadline == NEVER
    assert len(narrow.pop(9.0)) < 13


def test_just_enough_bandwidth_is_enough():
    assert Pacer[int](3e6).pass_whole(125_000, 0.5, 9.0)
    pacer = Pacer[int](3e6)
    pacer.push([(index, 1250) for index in range(100)], 0.5, 9.0)
    assert len(pacer.pop(9.0)) == 100


def test_a_frame_passes_whole_where_the_bandwidth_is_far_above_it_and_counts_like_any_other():
    one, other = Pacer[int](2 * RATE), Pacer[int](2 * RATE)
    assert one.pass_whole(FRAME_BYTES, 1 / 30, 9.0)
    other.push(FRAME, 1 / 30, 9.0)
    other.pop(9.0)
    assert (one.room, one.queue_s) == (other.room, other.queue_s)
    for pacer in (one, other):
        pacer.push_urgent([(77, 1250)], 9.0)
    assert one.deadline == pytest.approx(other.deadline)
    ((left, item, _),), ((expected, other_item, _),) = drain(one, 9.0), drain(other, 9.0)
    assert item == other_item
    assert left == pytest.approx(expected)


def test_a_frame_does_not_pass_whole_past_others_or_a_probe_or_without_bandwidth(pacer):
    assert not pacer.pass_whole(FRAME_BYTES, 1 / 30, 9.0)
    assert pacer.pass_whole(int(RATE / 30 / UNPACED_HEADROOM_FACTOR / 8), 1 / 30, 9.0)
    waiting = Pacer[int](2 * RATE)
    waiting.push(FRAME * 4, 1 / 30, 9.0)
    assert not waiting.pass_whole(100, 1 / 30, 9.0)
    probing = Pacer[int](2 * RATE)
    probing.start_probe(ProbeCluster(1, 3 * RATE, 10_000), 9.0)
    assert not probing.pass_whole(100, 1 / 30, 9.0)


def test_a_frame_behind_another_waits_for_it(pacer):
    pacer.push(FRAME * 2, 1 / 30, 9.0)
    pacer.pop(9.0)
    pacer.push([(99, 100)], 1 / 30, 9.0)
    assert 99 not in [item for item, _ in pacer.pop(9.0)]
    assert drain(pacer, 9.0)[-1][1] == 99


def test_a_keyframe_has_left_in_bounded_time(pacer):
    keyframe = [(index, 1250) for index in range(1200)]
    unbounded_s = len(keyframe) * 1250 * 8 / (PACING_FACTOR * RATE)
    assert unbounded_s > 2 * MAX_QUEUE_S, "or the bound would not matter"
    pacer.push(keyframe, 1 / 30, 9.0)
    gone = drain(pacer, 9.0)
    assert len(gone) == 1200
    assert sum(at < 9.2 for at, _, _ in gone) == pytest.approx(600, abs=20), "evenly"
    assert 9.0 + MAX_QUEUE_S * 0.75 < gone[-1][0] <= 9.0 + MAX_QUEUE_S + 2 * BURST_S


def test_what_has_waited_longer_than_that_leaves_at_once(pacer):
    pacer.push([(index, 1250) for index in range(400)], 1 / 30, 9.0)
    assert len(pacer.pop(9.0 + MAX_QUEUE_S + 0.01)) == 400


def test_repairs_go_first(pacer):
    pacer.push(FRAME, 1 / 30, 9.0)
    first = len(pacer.pop(9.0))
    pacer.push_urgent([(99, 1250)], 9.0)
    assert [item for _, item, _ in drain(pacer, 9.0)] == [99, *range(first, 13)]


def test_many_repairs_do_not_fill_the_queue_that_lost_them(pacer):
    pacer.push_urgent(FRAME * 4, 9.0)
    took = drain(pacer, 9.0)[-1][0] - 9.0
    assert took == pytest.approx(4 * FRAME_BYTES * 8 / (1.3 * RATE), abs=0.01)


def test_admits_no_more_than_can_be_paid_off(pacer):
    frames, frame = 0, [(i, 1250) for i in range(26)]
    for index in range(300):
        now = 9 + index / 30
        if pacer.admits(now):
            frames += 1
            pacer.push(frame, 1 / 30, now)
        pacer.pop(now)
    took_bps = frames * 26 * 1250 * 8 / 10
    assert 1.15 * RATE < took_bps < RATE * (1.2 + MAX_DEBT_S / 10) + 26 * 1250 * 8 / 10, (
        "not twice the rate, as came in"
    )
    assert pacer.admits(30.0)


def test_a_rate_that_can_be_paid_off_is_never_refused(pacer):
    size = int(1.19 * RATE / 30 / 8)
    for index in range(900):
        now = 9 + index / 30
        assert pacer.admits(now)
        pacer.push([(0, size)], 1 / 30, now)
        pacer.pop(now)


def test_after_a_refusal_half_of_the_debt_must_be_paid_off_first(pacer):
    limit_bytes = int(MAX_DEBT_S * RATE / 8)
    pacer.push([(0, limit_bytes)], 1 / 30, 9.0)
    assert pacer.admits(9.0), "as much as is allowed"
    pacer.push([(0, 10)], 1 / 30, 9.0)
    assert not pacer.admits(9.0)
    half_paid_s = MAX_DEBT_S / 2 / 1.2
    assert not pacer.admits(9.0 + half_paid_s * 0.98)
    assert pacer.admits(9.0 + half_paid_s * 1.02)
    pacer.push([(0, limit_bytes // 3)], 1 / 30, 9.0 + half_paid_s * 1.02)
    assert pacer.admits(9.0 + half_paid_s * 1.02), "up to the whole limit again"


def test_how_much_room_is_left_is_known(pacer):
    assert pacer.room == 1
    pacer.push([(0, int(MAX_DEBT_S * RATE / 8 / 4))], 1 / 30, 9.0)
    assert pacer.room == pytest.approx(0.75, abs=0.01)
    pacer.push_urgent([(0, int(MAX_DEBT_S * RATE / 8 / 4))], 9.0)
    assert pacer.room == pytest.approx(0.5, abs=0.01), "repairs take room as well"
    pacer.push([(0, int(MAX_DEBT_S * RATE / 8))], 1 / 30, 9.0)
    assert pacer.room == 0


def test_a_higher_rate_pays_off_faster_from_then_on(pacer):
    pacer.push([(i, 1250) for i in range(1250)], 1 / 30, 9.0)
    assert not pacer.admits(9.2)
    pacer.set_rate(4 * RATE, 9.2)
    assert not pacer.admits(9.25)
    assert pacer.admits(9.8)


def test_time_before_a_rate_was_known_counts_at_the_old_rate(pacer):
    pacer.push([(0, int(MAX_DEBT_S * RATE / 8))], 1 / 30, 9.0)
    pacer.set_rate(RATE / 10, 9.25)
    assert pacer.room == 0
    pacer.set_rate(RATE, 9.25)
    assert pacer.room == pytest.approx(0.5, abs=0.01)


def test_frames_leave_more_evenly_where_packets_are_lost(pacer):
    pacer.set_rate(RATE, 9.0, gentle=True)
    pacer.push(FRAME, 1 / 30, 9.0)
    expected = FRAME_BYTES * 8 / (1.3 * RATE)
    assert pacer.queue_s == pytest.approx(expected)
    assert drain(pacer, 9.0)[-1][0] - 9.0 == pytest.approx(expected, abs=0.006)
    pacer.set_rate(RATE, 9.5)
    pacer.push(FRAME, 1 / 30, 9.5)
    assert pacer.queue_s == pytest.approx(FRAME_BYTES * 8 / (2.5 * RATE)), "unless they are not any more"


def test_a_probe_takes_what_waits_then_padding(pacer):
    pacer.push(FRAME, 1 / 30, 9.0)
    pacer.pop(9.0)
    waiting = len(pacer)
    pacer.start_probe(ProbeCluster(7, 8e6, 20_000), 9.0)
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


def test_a_probe_paces_frames_that_would_leave_at_once_otherwise():
    pacer = Pacer[int](20e6)
    pacer.start_probe(ProbeCluster(7, 16e6, 25_000), 9.0)
    pacer.push([(index, 1250) for index in range(40)], 1 / 30, 9.0)
    gone = drain(pacer, 9.0)
    assert gone[19][0] - gone[0][0] == pytest.approx(25_000 * 8 / 16e6 - BURST_S, abs=0.003)
    assert [probe for _, _, probe in gone] == [7] * 20 + [None] * 20, "it ends when it is full"
    assert gone[39][0] == gone[20][0]


def test_a_probe_is_complete_to_the_byte(pacer):
    pacer.start_probe(ProbeCluster(7, 8e6, 1251), 9.0)
    pacer.push([(0, 1250)], 1 / 30, 9.0)
    assert pacer.pop(9.0) == [(0, 7)]
    assert pacer.padding(9.0) == (7, 1)
    pacer.padded(1, 9.0)
    assert pacer.padding(9.1) is None


def test_padding_fills_no_more_than_a_late_timer_missed(pacer):
    pacer.start_probe(ProbeCluster(7, 8e6, 1_000_000), 9.0)
    room = pacer.padding(9.0)
    assert room == (7, int(BURST_S * 8e6 / 8) + 1)
    room = pacer.padding(9.0 + 1.0)
    assert room is not None and room[1] == pytest.approx((BURST_S + 0.04) * 8e6 / 8, rel=0.01)


def test_padding_waits_for_its_time_and_for_packets(pacer):
    pacer.start_probe(ProbeCluster(7, 8e6, 20_000), 9.0)
    pacer.push([(0, 20)], 1 / 30, 9.0)
    assert pacer.padding(9.0) is None, "a packet goes first"
    pacer.pop(9.0)
    pacer.padded(10_000, 9.0)
    assert pacer.padding(9.0) is None, "10 kB take 10 ms"
    assert pacer.padding(9.006) is not None


def test_a_probe_that_cannot_be_padded_ends(pacer):
    pacer.start_probe(ProbeCluster(7, 8e6, 20_000), 9.0)
    assert pacer.padding(9.0)
    pacer.cancel_probe()
    assert pacer.deadline == NEVER


def test_packets_that_are_not_wanted_any_more_do_not_leave(pacer):
    pacer.push_urgent([(50, 1250), (51, 1250)], 9.0)
    pacer.push(FRAME, 1 / 30, 9.0)
    pacer.keep(lambda item: item % 2 == 0)
    assert pacer.queue_s == pytest.approx(8 * 1250 * 8 / (PACING_FACTOR * RATE))
    assert [item for _, item, _ in drain(pacer, 9.0)] == [50, 0, 2, 4, 6, 8, 10, 12]


def test_flushed_packets_do_not_leave_and_are_no_debt(pacer):
    pacer.push(FRAME * 20, 1 / 30, 9.0)
    pacer.push_urgent([(99, 1250)], 9.0)
    assert not pacer.admits(9.0)
    assert pacer.flush() == [99, *(item for item, _ in FRAME * 20)]
    assert pacer.admits(9.0) and pacer.room == 1 and pacer.queue_s == 0
    assert pacer.pop(9.0) == [] and pacer.deadline == NEVER


def test_a_timer_that_fires_late_does_not_lower_the_pace(pacer):
    pacer.push(FRAME * 4, 1 / 30, 9.0)
    late = 0.025
    gone = len(pacer.pop(9.0)) + len(pacer.pop(9.0 + late)) + len(pacer.pop(9.0 + 2 * late))
    assert gone * 1250 * 8 == pytest.approx(PACING_FACTOR * RATE * (2 * late + BURST_S), rel=0.1)


def test_a_timer_that_fires_a_little_early_finds_packets(pacer):
    # 50 kbit take 5 ms at this pace: just as much as may leave ahead of time.
    pacer.push([(0, 6250), (1, 6250)], 1 / 30, 9.0)
    assert len(pacer.pop(9.0)) == 1, "the next is due in 5 ms"
    assert pacer.pop(9.0004) == []
    assert len(pacer.pop(9.0006)) == 1


def test_a_timer_that_fires_very_late_lets_a_burst_go_and_no_more(pacer):
    pacer.push(FRAME * 8, 1 / 30, 9.0)
    pacer.pop(9.0)
    gone = len(pacer.pop(9.2))
    # What waited so long leaves faster than the pacing factor says.
    rate = max(PACING_FACTOR * RATE, pacer.queue_s * PACING_FACTOR * RATE / (MAX_QUEUE_S - 0.2))
    assert gone * 1250 * 8 <= 1.1 * rate * (0.04 + BURST_S)
    assert gone > 0.7 * PACING_FACTOR * RATE * 0.04 / 8 / 1250


def test_a_frame_that_comes_late_takes_no_time_from_those_that_wait(pacer):
    other = Pacer[int](RATE)
    for each in (pacer, other):
        each.push(FRAME * 4, 1 / 30, 9.0)
        each.pop(9.0)
    pacer.push(FRAME, 1 / 30, 9.025)
    assert len(pacer.pop(9.025)) == len(other.pop(9.025)) > 10


def test_time_in_which_nothing_waited_cannot_be_used_later(pacer):
    pacer.push(FRAME, 1 / 30, 9.0)
    first = len(pacer.pop(9.0))
    drain(pacer, 9.0)
    pacer.push(FRAME, 1 / 30, 19.0)
    assert len(pacer.pop(19.0)) == first
