"""One sender on a clock of numbers, and aiortc's packet parser to read what it sends."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from aiortc.rtp import RtcpPacket, RtcpSrPacket, RtpPacket, unwrap_rtx

from framewire.frame import rtp_timestamp
from framewire.rtc.events import KeyframeWanted
from framewire.rtc.repair.playout_delay import MAX_STEP_PER_FRAME_S
from framewire.rtc.rtp.header_extensions import PLAYOUT_DELAY_URI
from framewire.rtc.rtp.rtcp import KeyframeRequest, Nack, ReceptionReport, ntp
from framewire.rtc.send.deadline import NEVER
from framewire.rtc.send.tail_probes import DELAYS_S
from tests.rtc.rig import FEC, MEDIA, NOW, PARAMETERS, RTX, Rig

WITH_PARITY = replace(PARAMETERS, fec_payload_type=101)


@pytest.fixture
def live():
    """A sender that has sent one keyframe."""
    rig = Rig()
    assert rig.send(keyframe=True)
    return rig


def ssrcs(rig: Rig) -> list[int]:
    return [packet.ssrc for packet in rig.wire.packets()]


def test_it_requests_a_keyframe_when_it_starts():
    assert Rig().events == [KeyframeWanted(5)]


def test_a_round_trip_that_is_known_already_counts_until_the_viewer_reports():
    assert Rig().sender.stats.rtt_s is None
    rig = Rig(rtt_s=0.15)
    assert rig.sender.stats.rtt_s == 0.15
    rig.feed(ReceptionReport(MEDIA, 0.0, 0, 0, 0), 0.1)
    assert rig.sender.stats.rtt_s == 0.15, "a report without a round trip"
    rig.feed(ReceptionReport(MEDIA, 0.0, 0, (ntp(NOW) >> 16) & 0xFFFFFFFF, 0), 0.2)
    assert rig.sender.stats.rtt_s == pytest.approx(0.2, abs=0.001)


def test_a_round_trip_that_is_unknown_counts_as_none():
    rig, round_trips = Rig(parameters=WITH_PARITY), []

    def parity_count(packets: int, rtt_s: float, interval_s: float) -> int:
        round_trips.append(rtt_s)
        return 0

    rig.packets.parity_count = parity_count
    rig.send(keyframe=True)
    assert round_trips == [0]


def test_nothing_is_due_before_the_first_unit():
    assert Rig().sender.deadline == NEVER


def test_a_unit_is_one_burst_of_packets(live):
    (burst,) = live.wire.bursts
    packets = live.wire.packets()
    assert len(burst) == 3
    assert [(p.sequence_number, p.marker) for p in packets] == [(65_534, 0), (65_535, 0), (0, 1)]
    assert {(p.payload_type, p.ssrc) for p in packets} == {(99, MEDIA)}
    assert [p.payload for p in packets] == [b"p0", b"p1", b"p2"]


def test_deltas_are_dropped_until_the_keyframe_that_is_requested():
    rig = Rig()
    assert not rig.send(0.3)
    assert rig.events == [KeyframeWanted(5)] * 2
    assert rig.send(0.4, keyframe=True)
    assert rig.send(0.5)
    assert rig.sender.stats.frames_dropped == 1


def test_units_that_the_socket_does_not_take_are_dropped(live):
    live.wire.is_idle = False
    assert live.send(0.01)
    assert not live.send(1.02)
    assert live.events[1:] == [KeyframeWanted(5)]


def test_the_first_report_follows_the_first_frame_and_then_one_a_second(live):
    (compound,) = live.wire.rtcp
    report = RtcpPacket.parse(compound)[0]
    assert isinstance(report, RtcpSrPacket)
    assert report.sender_info.ntp_timestamp == ntp(NOW)
    assert report.sender_info.rtp_timestamp == rtp_timestamp(round(NOW * 1e6))
    assert (report.sender_info.packet_count, report.sender_info.octet_count) == (3, 6)
    live.tick(0.99)
    assert len(live.wire.rtcp) == 1
    live.tick(1.0)
    assert len(live.wire.rtcp) == 2
    live.tick(1.01)
    assert len(live.wire.rtcp) == 2


def test_silence_brings_the_last_packet_again_byte_for_byte(live):
    last = live.wire.bursts[0][-1]
    sent = []
    while live.sender.deadline < NOW + 0.99:
        at = live.sender.deadline - NOW
        before = len(live.wire.bursts)
        live.tick(at)
        sent += [(at, burst) for burst in live.wire.bursts[before:]]
    assert [burst for _, burst in sent] == [[last]] * len(DELAYS_S)
    assert [at for at, _ in sent] == pytest.approx([0.04, 0.12, 0.28, 0.6], abs=1e-6)
    assert live.sender.stats.tail_probes == len(DELAYS_S)
    assert live.sender.stats.packets == 3


def test_a_stream_that_flows_needs_no_probes(live):
    for step in range(1, 60):
        live.tick(step / 60)
        live.send(step / 60)
    assert live.sender.stats.tail_probes == 0


def test_a_nack_brings_the_packet_as_a_retransmission(live):
    live.feed(Nack(MEDIA, (65_535, 0)), 0.1)
    again = live.wire.packets()[3:]
    assert [(p.payload_type, p.ssrc, p.sequence_number) for p in again] == [(100, RTX, 9), (100, RTX, 10)]
    originals = live.wire.packets()[1:3]
    for one, original in zip(again, originals, strict=True):
        plain = unwrap_rtx(one, payload_type=99, ssrc=MEDIA)
        assert plain.serialize() == RtpPacket.parse(original.serialize()).serialize()
    assert (live.sender.stats.nacks, live.sender.stats.retransmitted) == (2, 2)


def test_an_impatient_viewer_gets_a_packet_once_a_round_trip():
    rig = Rig(rtt_s=0.2)
    rig.send(keyframe=True)
    for step in range(50):
        rig.feed(Nack(MEDIA, (0,)), 0.2 + step * 0.01)
    assert rig.sender.stats.retransmitted == 3


def test_before_the_round_trip_is_known_a_packet_is_sent_again_at_once(live):
    for step in range(3):
        live.feed(Nack(MEDIA, (0,)), 0.1 + step * 0.01)
    assert live.sender.stats.retransmitted == 3


def test_a_viewer_without_rtx_gets_no_second_text_under_one_index():
    rig = Rig(parameters=replace(PARAMETERS, rtx_payload_type=None))
    rig.send(keyframe=True)
    rig.feed(Nack(MEDIA, (65_534,)), 0.1)
    assert len(rig.wire.bursts) == 1
    assert rig.sender.stats.nacks == 0


def test_a_keyframe_request_is_passed_on(live):
    live.feed(KeyframeRequest(MEDIA), 0.1)
    assert live.events == [KeyframeWanted(5)] * 2
    assert live.sender.stats.keyframe_requests == 1
    live.feed(KeyframeRequest(MEDIA), 3.0)
    assert len(live.events) == 2, "it only waited for long"
    assert live.sender.stats.keyframe_requests == 2


def test_flushed_packets_are_made_up_for_by_a_keyframe(live):
    live.events.clear()
    for at in (0.05, 0.2, 0.4, 0.8):
        live.tick(at)
    assert live.sender.deadline == NOW + 1, "the next report"
    live.sender.flushed(NOW + 0.9)
    assert live.sender.deadline == NOW + 0.9
    live.tick(0.9)
    assert live.events == [KeyframeWanted(5)]
    assert not live.send(0.95)
    assert live.send(0.96, keyframe=True)


def test_a_report_is_kept(live):
    live.feed(ReceptionReport(MEDIA, 0.125, 900, 0, 0), 0.1)
    stats = live.sender.stats
    assert (stats.loss, stats.jitter_s, stats.rtt_s) == (0.125, 0.01, None)


def test_counters(live):
    live.send(0.1, parts=2)
    stats = live.sender.stats
    assert (stats.frames_sent, stats.packets, stats.payload_bytes) == (2, 5, 10)
    live.send(0.2)
    assert stats.frames_sent == 2, "a copy"


def test_after_stopping_nothing_is_sent(live):
    live.sender.stop()
    sent, reports = len(live.wire.bursts), len(live.wire.rtcp)
    assert not live.send(1, keyframe=True)
    live.tick(2)
    live.feed(Nack(MEDIA, (0,)), 2)
    live.sender.flushed(NOW + 2)
    assert live.sender.make_padding(100) is None
    live.packets.repeat_last(MEDIA)
    live.sender.stop()
    assert (len(live.wire.bursts), len(live.wire.rtcp), live.sender.deadline) == (sent, reports, NEVER)


def test_padding_is_made_of_retransmissions(live):
    padding = live.sender.make_padding(100)
    assert padding is not None
    assert (padding.ssrc, padding.payload_bytes) == (RTX, 100)


# More than the path takes


@pytest.fixture
def congested():
    """A sender that sent more than the first estimate of any path."""
    rig = Rig(controlled=True)
    assert rig.send(keyframe=True, parts=3)
    for _ in range(9):
        rig.send(keyframe=True, parts=60_000)
    return rig


def test_a_sender_that_sent_too_much_waits_for_room_and_then_for_a_keyframe(congested):
    assert not congested.send(0.01, keyframe=True)
    requested = len(congested.events)
    at = 0.02
    while len(congested.events) == requested:
        assert congested.sender.deadline < NOW + at + 0.1
        assert not congested.send(at)
        at += 0.05
        congested.tick(at)
    assert at > 0.25, "there was no room at once"
    assert not congested.send(at), "a delta of what was never sent"
    assert congested.send(at, keyframe=True)
    assert congested.send(at)


def test_a_refused_sender_wakes_up_soon(live):
    live.packets.room = False
    assert not live.send(0.01)
    assert live.sender.deadline == pytest.approx(NOW + 0.02, abs=1e-6)


def test_nothing_is_repaired_while_there_is_no_room(congested):
    congested.feed(Nack(MEDIA, (65_534,)), 0.01)
    assert congested.sender.stats.nacks == 0 and congested.sender.stats.retransmitted == 0


def test_what_still_waits_here_is_not_sent_again():
    rig = Rig(controlled=True)
    rig.send(keyframe=True, parts=300)
    rig.feed(Nack(MEDIA, (65_534,)), 0.01)
    rig.feed(Nack(MEDIA, (65_534,)), 0.03)
    assert rig.sender.stats.retransmitted == 1


# Repairs


def test_what_a_keyframe_makes_needless_is_not_repaired(live):
    live.send(0.1)
    live.send(0.2, keyframe=True)
    before, of_it = (65_534, 65_535, 0, 1, 2, 3), (4, 6)
    live.feed(Nack(MEDIA, before), 0.3)
    assert live.sender.stats.retransmitted == 0
    live.feed(Nack(MEDIA, (*before, *of_it)), 0.4)
    assert live.sender.stats.retransmitted == 2


def test_nothing_is_repaired_while_a_keyframe_is_needed(live):
    live.wire.is_idle = False
    while live.send(0.1):
        pass
    live.feed(Nack(MEDIA, (65_534,)), 0.3)
    assert live.sender.stats.retransmitted == 0


@pytest.fixture
def lossy():
    """A sender over a path that loses much, to a viewer that understands parity; a keyframe was sent."""
    rig = Rig(parameters=WITH_PARITY, rtt_s=0.15)
    rig.packets.loses_repairs = True
    rig.send(keyframe=True)
    return rig


def test_on_a_lossy_path_a_repair_leaves_again_behind_the_next_unit(lossy):
    lossy.feed(Nack(MEDIA, (65_534,)), 0.1)
    lossy.send(0.11)
    lossy.send(0.14)
    assert ssrcs(lossy) == [MEDIA] * 3 + [RTX] + [MEDIA] * 3 + [RTX] + [MEDIA] * 3
    first, second = (p for p in lossy.wire.packets() if p.ssrc == RTX)
    one, other = (unwrap_rtx(p, payload_type=99, ssrc=MEDIA) for p in (first, second))
    assert (one.sequence_number, one.payload) == (other.sequence_number, other.payload)
    assert first.sequence_number != second.sequence_number


def test_a_keyframe_makes_second_copies_needless(lossy):
    lossy.feed(Nack(MEDIA, (65_534,)), 0.1)
    lossy.send(0.2, keyframe=True)
    assert ssrcs(lossy).count(RTX) == 1


def test_so_does_the_keyframe_that_follows_a_refusal(lossy):
    lossy.feed(Nack(MEDIA, (65_534,)), 0.1)
    lossy.packets.room = False
    assert not lossy.send(0.11)
    lossy.packets.room = True
    lossy.send(0.2, keyframe=True)
    assert ssrcs(lossy).count(RTX) == 1


def test_on_a_lossy_path_a_repeated_request_that_comes_a_little_early_is_answered(lossy):
    lossy.feed(Nack(MEDIA, (65_534,)), 0.1)
    lossy.feed(Nack(MEDIA, (65_534,)), 0.1 + 0.5 * 0.15)
    assert lossy.sender.stats.retransmitted == 1
    lossy.feed(Nack(MEDIA, (65_534,)), 0.1 + 0.65 * 0.15)
    assert lossy.sender.stats.retransmitted == 2


def test_while_feedback_is_overdue_what_may_be_lost_is_sent_again(lossy):
    lossy.send(0.03)
    lossy.packets.unacknowledged_from = NOW - 1
    lossy.send(0.06)
    assert ssrcs(lossy) == [MEDIA] * 9 + [RTX] * 6, "all but the newest unit"
    lossy.send(0.09)
    assert ssrcs(lossy)[15:] == [MEDIA] * 3 + [RTX] * 3, "once each"
    assert lossy.sender.stats.retransmitted == 9


@pytest.mark.parametrize(("rtt_s", "again"), [(0.15, [65_535, 0]), (None, [65_534, 65_535, 0])])
def test_what_was_sent_again_within_a_round_trip_is_not_so_unrequested(rtt_s, again):
    rig = Rig(rtt_s=rtt_s)
    rig.send(keyframe=True)
    rig.feed(Nack(MEDIA, (65_534,)), 0.02)
    rig.packets.unacknowledged_from = NOW - 1
    rig.send(0.05)
    repairs = [unwrap_rtx(p, payload_type=99, ssrc=MEDIA) for p in rig.wire.packets() if p.ssrc == RTX]
    assert [repair.sequence_number for repair in repairs[1:]] == again


# Parity and playout delay


def test_parity_follows_its_unit_under_numbers_of_its_own():
    rig = Rig(parameters=WITH_PARITY)
    rig.packets.parities = 2
    rig.send(keyframe=True, parts=5)
    rig.send(0.1, parts=3)
    kinds = [(p.ssrc, p.payload_type, p.sequence_number, p.marker) for p in rig.wire.packets()]
    assert [kind for kind in kinds if kind[0] == FEC] == [(FEC, 101, n, 0) for n in (3, 4, 5, 6)]
    assert [ssrc for ssrc, *_ in kinds] == [MEDIA] * 5 + [FEC] * 2 + [MEDIA] * 3 + [FEC] * 2
    named = [p.payload[12:18] for p in rig.wire.packets() if p.ssrc == FEC]
    # Five packets from 65534, interleaved by two: the first parity begins with the second packet.
    assert named[0] == MEDIA.to_bytes(4) + (65_535).to_bytes(2)
    assert named[1] == MEDIA.to_bytes(4) + (65_534).to_bytes(2)


def test_a_viewer_that_does_not_understand_parity_gets_none():
    rig = Rig()
    rig.packets.parities = 2
    rig.send(keyframe=True)
    assert set(ssrcs(rig)) == {MEDIA}


def test_with_a_playout_delay_the_second_cover_comes_with_the_next_unit_or_instead_of_it():
    rig = Rig(parameters=WITH_PARITY, min_playout_delay_s=0.2)
    rig.packets.parities = 5
    rig.send(keyframe=True, parts=6)
    rig.send(0.033, parts=6)
    assert ssrcs(rig) == [MEDIA] * 6 + [FEC] * 3 + [MEDIA] * 6 + [FEC] * 5
    rig.wire.bursts.clear()
    rig.tick(0.033 + DELAYS_S[0])
    assert ssrcs(rig) == [MEDIA] + [FEC] * 2, "the last packet again, then what waited"
    assert [p.sequence_number for p in rig.wire.packets()][1:] == [11, 12]
    rig.wire.bursts.clear()
    rig.tick(0.033 + sum(DELAYS_S[:2]))
    assert ssrcs(rig) == [MEDIA]


@pytest.mark.parametrize(("delay_s", "at_once"), [(0.05, 5), (0.06, 3)])
def test_a_playout_delay_of_less_than_one_and_a_half_frames_is_too_short_for_that(delay_s, at_once):
    rig = Rig(parameters=WITH_PARITY, min_playout_delay_s=delay_s)
    rig.packets.parities = 5
    rig.send(-1.0, keyframe=True)
    for index in range(60):
        rig.send(index / 28, parts=6)
    rig.wire.bursts.clear()
    rig.send(60 / 28, keyframe=True, parts=6)
    delayed = 5 - at_once
    assert ssrcs(rig).count(FEC) == at_once + delayed, "those of the unit before come now"
    rig.wire.bursts.clear()
    rig.tick(60 / 28 + DELAYS_S[0])
    assert ssrcs(rig).count(FEC) == delayed


def test_parity_of_a_unit_that_is_needless_does_not_come_late():
    rig = Rig(parameters=WITH_PARITY, min_playout_delay_s=0.2)
    rig.packets.parities = 5
    rig.send(keyframe=True, parts=6)
    rig.packets.room = False
    assert not rig.send(0.033, parts=6)
    rig.packets.room = True
    rig.wire.bursts.clear()
    rig.send(0.066, keyframe=True, parts=6)
    assert ssrcs(rig) == [MEDIA] * 6 + [FEC] * 3, "its own, and at once"


def delays(rig: Rig) -> list[int]:
    """The minimum playout delay in each packet of the newest burst, in hundredths of a second."""
    return [int.from_bytes(packet[17:20]) >> 12 for packet in rig.wire.bursts[-1]]


def test_the_viewer_is_told_to_hold_frames_back_as_soon_as_too_many_come_late(monkeypatch):
    rig = Rig(parameters=replace(PARAMETERS, extensions={PLAYOUT_DELAY_URI: 3}), rtt_s=0.15)
    monkeypatch.setattr(rig.packets, "late_fraction", lambda *_: 0.6)
    rig.send(keyframe=True)
    assert delays(rig) == [0, 0, 0]
    for index in range(1, 90):
        rig.send(index / 30)
    assert delays(rig) == [21, 21, 21]


def test_once_the_loss_was_not_the_paths_frames_are_not_held_back(monkeypatch):
    rig = Rig(parameters=replace(PARAMETERS, extensions={PLAYOUT_DELAY_URI: 3}), rtt_s=0.15)
    monkeypatch.setattr(rig.packets, "late_fraction", lambda *_: 0.6)
    for index in range(90):
        rig.send(index / 30, keyframe=True)
    monkeypatch.setattr(rig.packets, "late_fraction", lambda *_: 0.0)
    rig.send(3.0)
    assert delays(rig) == [21, 21, 21]
    rig.sender.loss_reset()
    held = []
    for index in range(1, 40):
        rig.send(3 + index / 30)
        held.append(delays(rig)[0])
    assert held[-1] == 0
    steps = [before - after for before, after in pairwise(held)]
    assert set(steps) <= {0, round(MAX_STEP_PER_FRAME_S * 100)}, "step by step"


def test_a_minimum_playout_delay_is_asked_for_from_the_first_unit_on():
    rig = Rig(parameters=replace(PARAMETERS, extensions={PLAYOUT_DELAY_URI: 3}), min_playout_delay_s=0.1)
    rig.send(keyframe=True)
    assert delays(rig) == [10, 10, 10]
