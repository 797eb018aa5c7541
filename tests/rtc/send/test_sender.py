"""One sender on a clock made of numbers, with a viewer made of aiortc's packet parser."""

from __future__ import annotations

from dataclasses import replace

import pytest
from aiortc.rtp import RtcpPacket, RtcpSrPacket, RtpPacket, unwrap_rtx

from framewire.frame import rtp_timestamp
from framewire.rtc.events import KeyframeWanted
from framewire.rtc.repair.protection import PlayoutDelay
from framewire.rtc.rtp.packets import HELD_AT_MOST, PLAYOUT_DELAY
from framewire.rtc.rtp.rtcp import KeyframeRequest, Nack, ReceptionReport, ntp
from framewire.rtc.send.sender import KEYFRAME_REPEAT, NEVER, PROBES, SenderParameters
from tests.rtc.rig import FEC, MEDIA, NOW, PARAMETERS, RTX, Rig


@pytest.fixture
def rig():
    return Rig()


@pytest.fixture
def live(rig):
    """A sender that has sent one keyframe."""
    assert rig.send(keyframe=True)
    return rig


def test_it_asks_for_a_keyframe_when_it_starts(rig):
    assert rig.events == [KeyframeWanted(5)]


def test_a_round_trip_that_is_known_already_counts_until_the_viewer_reports(rig):
    assert rig.sender.stats.rtt_s is None
    rig.sender.start(PARAMETERS, NOW, 0.15)
    assert rig.sender.stats.rtt_s == 0.15


def test_before_the_start_everything_is_dropped():
    rig = Rig(parameters=None)
    assert not rig.send(keyframe=True)
    assert rig.wire.bursts == []
    assert rig.sender.stats.frames_dropped == 1


def test_a_unit_is_one_burst_of_consecutive_packets_with_a_mark_at_the_end(live):
    (burst,) = live.wire.bursts
    packets = live.wire.packets()
    assert len(burst) == 3
    assert [p.sequence_number for p in packets] == [65_534, 65_535, 0]
    assert [p.marker for p in packets] == [0, 0, 1]
    assert {p.payload_type for p in packets} == {99}
    assert {p.ssrc for p in packets} == {MEDIA}
    assert [p.payload for p in packets] == [b"p0", b"p1", b"p2"]


def test_the_rtp_timestamp_is_the_publish_time(rig):
    rig.send(keyframe=True, time_us=1_234_567_890)
    assert {p.timestamp for p in rig.wire.packets()} == {rtp_timestamp(1_234_567_890)}


@pytest.mark.parametrize("again_us", [5_000_000, 4_000_000])
def test_a_frame_sent_again_or_out_of_time_is_a_new_frame_to_the_viewer(rig, again_us):
    rig.send(0, keyframe=True, parts=1, time_us=5_000_000)
    rig.send(1, parts=1, time_us=again_us)
    rig.send(2, parts=1, time_us=again_us)
    first = rtp_timestamp(5_000_000)
    assert [p.timestamp for p in rig.wire.packets()] == [first, first + 1, first + 2]


def test_after_a_silence_of_hours_time_still_moves_on(rig):
    rig.send(0, keyframe=True, parts=1, time_us=0)
    rig.send(1, parts=1, time_us=30_000_000_000)
    assert rig.wire.packets()[-1].timestamp == rtp_timestamp(30_000_000_000)


def test_deltas_wait_for_a_keyframe_which_is_asked_for_now_and_then(rig):
    for step in range(100):
        assert not rig.send(step * 0.01)
    assert len(rig.events) == 1 + int(0.99 / KEYFRAME_REPEAT)
    assert rig.send(1, keyframe=True)
    assert rig.send(1.01)
    assert rig.sender.stats.frames_dropped == 100


def test_two_units_may_wait_for_the_socket_and_the_third_is_dropped(live):
    live.wire.is_idle = False
    assert live.send(0.01)
    assert not live.send(1.02)
    assert live.events[-1] == KeyframeWanted(5)
    assert len(live.events) == 2


def test_after_a_drop_deltas_are_of_no_use_until_a_keyframe(live):
    live.wire.is_idle = False
    live.send(0.01)
    assert not live.send(0.02, keyframe=True)
    live.wire.is_idle = True
    assert not live.send(0.03)
    assert live.send(0.04, keyframe=True)
    assert live.send(0.05)


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
    live.tick(1.01)
    assert len(live.wire.rtcp) == 2


def test_silence_brings_the_last_packet_again_bit_by_bit_less_and_less_often(live):
    last = live.wire.bursts[0][-1]
    at, sent = 0.0, []
    while live.sender.deadline < NOW + 5:
        at = live.sender.deadline - NOW
        before = len(live.wire.bursts)
        live.tick(at)
        sent += [(at, burst) for burst in live.wire.bursts[before:]]
    assert [burst for _, burst in sent] == [[last]] * len(PROBES)
    gaps = [at - before for (at, _), before in zip(sent, [0.0, *(at for at, _ in sent)], strict=False)]
    assert gaps == pytest.approx(PROBES, abs=1e-6)
    assert live.sender.stats.probes == len(PROBES)
    assert live.sender.stats.packets == 3


def test_a_stream_that_flows_needs_no_probes(live):
    for step in range(1, 60):
        live.tick(step / 60)
        live.send(step / 60)
    assert live.sender.stats.probes == 0


def test_a_nack_brings_the_packet_as_a_retransmission(live):
    live.feed(Nack(MEDIA, (65_535, 0)), 0.1)
    again = live.wire.packets()[3:]
    assert [(p.payload_type, p.ssrc, p.sequence_number) for p in again] == [(100, RTX, 9), (100, RTX, 10)]
    originals = live.wire.packets()[1:3]
    for one, original in zip(again, originals, strict=True):
        plain = unwrap_rtx(one, payload_type=99, ssrc=MEDIA)
        assert plain.serialize() == RtpPacket.parse(original.serialize()).serialize()
    assert (live.sender.stats.nacks, live.sender.stats.retransmitted) == (2, 2)


def test_an_impatient_viewer_gets_a_packet_once_a_round_trip(live):
    live.feed(ReceptionReport(MEDIA, 0.0, 0, (ntp(NOW) >> 16) & 0xFFFFFFFF, 0), 0.2)
    assert live.sender.stats.rtt_s == pytest.approx(0.2, abs=0.001)
    for step in range(50):
        live.feed(Nack(MEDIA, (0,)), 0.2 + step * 0.01)
    assert live.sender.stats.retransmitted == 3


def test_a_viewer_without_rtx_gets_no_second_text_under_one_index():
    rig = Rig(parameters=SenderParameters(99, None, None, {}, "0", "us"))
    rig.send(keyframe=True)
    rig.feed(Nack(MEDIA, (65_534,)), 0.1)
    assert len(rig.wire.bursts) == 1


def test_a_keyframe_request_is_passed_on(live):
    live.feed(KeyframeRequest(MEDIA), 0.1)
    assert live.events == [KeyframeWanted(5)] * 2
    assert live.sender.stats.keyframe_requests == 1


def test_a_viewer_that_only_waited_for_long_gets_no_keyframe_unless_it_insists(live):
    live.events.clear()
    live.feed(KeyframeRequest(MEDIA), 3.0)
    live.feed(KeyframeRequest(MEDIA), 6.0)
    assert live.events == []
    live.feed(KeyframeRequest(MEDIA), 6.2)
    assert live.events == [KeyframeWanted(5)]
    live.send(7.0)
    live.feed(KeyframeRequest(MEDIA), 8.5)
    assert len(live.events) == 2, "it lacks something"


def test_a_viewer_that_was_sent_nothing_yet_gets_its_keyframe(rig):
    rig.feed(KeyframeRequest(MEDIA), 5.0)
    assert len(rig.events) == 2


def test_whose_packets_were_thrown_out_makes_up_for_them_by_a_keyframe(live):
    live.events.clear()
    live.flow.robbed.add(MEDIA)
    assert not live.send(0.5)
    assert live.events == [KeyframeWanted(5)] and not live.flow.robbed
    assert live.send(0.6, keyframe=True)


def test_it_does_so_too_where_nothing_is_sent(live):
    live.events.clear()
    live.flow.robbed.add(MEDIA)
    live.tick(1.0)
    assert live.events == [KeyframeWanted(5)]


def test_a_report_is_kept(live):
    live.feed(ReceptionReport(MEDIA, 0.125, 900, 0, 0), 0.1)
    stats = live.sender.stats
    assert (stats.loss, stats.jitter_s, stats.rtt_s) == (0.125, 0.01, None)


def test_counters(live):
    live.send(0.1, parts=2)
    stats = live.sender.stats
    assert (stats.frames_sent, stats.packets, stats.octets) == (2, 5, 10)


def test_after_stopping_nothing_is_sent(live):
    live.sender.stop()
    sent, said = len(live.wire.bursts), len(live.wire.rtcp)
    assert not live.send(1, keyframe=True)
    live.tick(2)
    live.feed(Nack(MEDIA, (0,)), 2)
    live.sender.stop()
    assert (len(live.wire.bursts), len(live.wire.rtcp), live.sender.deadline) == (sent, said, NEVER)


# What the way takes


def flooded(rig) -> None:
    """Send more than the start of any way takes."""
    rig.flow.control(NOW)
    assert rig.send(keyframe=True, parts=3)
    for _ in range(9):
        rig.send(keyframe=True, parts=60_000)


def test_a_sender_that_sent_too_much_waits_for_room_and_then_for_a_keyframe(rig):
    flooded(rig)
    assert not rig.send(0.01, keyframe=True)
    asked = len(rig.events)
    at = 0.02
    while len(rig.events) == asked:
        assert rig.sender.deadline < NOW + at + 0.1
        assert not rig.send(at)
        at += 0.05
        rig.tick(at)
    assert at > KEYFRAME_REPEAT, "there was no room at once"
    assert not rig.send(at), "a delta of what it never got"
    assert rig.send(at, keyframe=True)
    assert rig.send(at)


def test_nothing_is_repaired_while_there_is_no_room(rig):
    flooded(rig)
    rig.feed(Nack(MEDIA, (65_534,)), 0.01)
    assert rig.sender.stats.nacks == 0 and rig.sender.stats.retransmitted == 0


def test_what_a_keyframe_makes_needless_is_not_repaired(live):
    live.send(0.1)
    live.send(0.2, keyframe=True)
    before, of_it = (65_534, 65_535, 0, 1, 2, 3), (4, 6)
    live.feed(Nack(MEDIA, before), 0.3)
    assert live.sender.stats.retransmitted == 0
    live.feed(Nack(MEDIA, (*before, *of_it)), 0.4)
    assert live.sender.stats.retransmitted == 2


def test_repairs_go_on_however_long_ago_the_keyframe_was(live):
    for index in range(1, 500):
        live.send(index / 30, parts=150)
        newest = live.wire.packets()[-1].sequence_number
        live.wire.bursts.clear()
        live.feed(Nack(MEDIA, (newest,)), index / 30 + 0.001)
        assert len(live.wire.packets()) == 1, f"after {150 * index} packets"
        live.wire.bursts.clear()


def test_a_keyframe_makes_copies_of_repairs_needless(live, monkeypatch):
    monkeypatch.setattr(type(live.flow), "loses_repairs", property(lambda flow: True))
    live.feed(Nack(MEDIA, (65_534,)), 0.1)
    live.send(0.2, keyframe=True)
    assert [p.ssrc for p in live.wire.packets()].count(RTX) == 1


def test_nothing_is_repaired_for_one_that_waits_for_a_keyframe(rig):
    rig.send(keyframe=True)
    rig.wire.is_idle = False
    while rig.send(0.1):
        pass
    rig.feed(Nack(MEDIA, (65_534,)), 0.3)
    assert rig.sender.stats.retransmitted == 0


@pytest.fixture
def lossy(monkeypatch):
    """A sender over a way that loses packets, to a viewer that understands parities."""
    rig = Rig(parameters=replace(PARAMETERS, fec_payload_type=101))
    monkeypatch.setattr(rig.flow, "parity_count", lambda packets, rtt, interval: 2)
    return rig


def test_parities_follow_their_unit_under_a_number_of_their_own(lossy):
    lossy.send(keyframe=True, parts=5)
    lossy.send(0.1, parts=3)
    kinds = [(p.ssrc, p.payload_type, p.sequence_number, p.marker) for p in lossy.wire.packets()]
    assert [kind for kind in kinds if kind[0] == FEC] == [(FEC, 101, n, 0) for n in (3, 4, 5, 6)]
    assert [ssrc for ssrc, *_ in kinds] == [MEDIA] * 5 + [FEC] * 2 + [MEDIA] * 3 + [FEC] * 2
    named = [p.payload[12:18] for p in lossy.wire.packets() if p.ssrc == FEC]
    # Five packets from 65534, two ways: the fifth has left the turn at the second.
    assert named[0] == MEDIA.to_bytes(4) + (65_535).to_bytes(2)
    assert named[1] == MEDIA.to_bytes(4) + (65_534).to_bytes(2)


def test_where_frames_are_held_the_second_turn_of_parities_comes_with_the_next_unit_or_in_its_stead(lossy, monkeypatch):
    monkeypatch.setattr(lossy.flow, "parity_count", lambda packets, rtt, interval: 5)
    lossy.sender._patience = PlayoutDelay(0.2)
    lossy.send(keyframe=True, parts=6)
    lossy.send(0.033, parts=6)
    assert [p.ssrc for p in lossy.wire.packets()] == [MEDIA] * 6 + [FEC] * 3 + [MEDIA] * 6 + [FEC] * 5
    lossy.wire.bursts.clear()
    lossy.tick(0.033 + PROBES[0])
    assert [p.ssrc for p in lossy.wire.packets()] == [MEDIA] + [FEC] * 2, "what was sent last again, then what waited"
    assert [p.sequence_number for p in lossy.wire.packets()][1:] == [11, 12]
    lossy.wire.bursts.clear()
    lossy.tick(0.033 + sum(PROBES[:2]))
    assert len(lossy.wire.packets()) == 1


def test_parities_of_a_unit_that_is_needless_do_not_come_late(lossy, monkeypatch):
    monkeypatch.setattr(lossy.flow, "parity_count", lambda packets, rtt, interval: 5)
    lossy.sender._patience = PlayoutDelay(0.2)
    lossy.send(keyframe=True, parts=6)
    monkeypatch.setattr(lossy.flow, "admits", lambda now: False)
    assert not lossy.send(0.033, parts=6)
    monkeypatch.setattr(lossy.flow, "admits", lambda now: True)
    lossy.wire.bursts.clear()
    lossy.send(0.066, keyframe=True, parts=6)
    assert [p.ssrc for p in lossy.wire.packets()] == [MEDIA] * 6 + [FEC] * 3, "its own, and at once"


def test_where_much_is_lost_a_repair_leaves_again_behind_the_next_unit(live, monkeypatch):
    monkeypatch.setattr(type(live.flow), "loses_repairs", property(lambda flow: True))
    live.feed(Nack(MEDIA, (65_534,)), 0.1)
    live.send(0.11)
    live.send(0.14)
    order = [p.ssrc for p in live.wire.packets()]
    assert order == [MEDIA] * 3 + [RTX] + [MEDIA] * 3 + [RTX] + [MEDIA] * 3
    first, second = (unwrap_rtx(p, payload_type=99, ssrc=MEDIA) for p in live.wire.packets() if p.ssrc == RTX)
    assert (first.sequence_number, first.payload) == (second.sequence_number, second.payload)
    assert len({p.sequence_number for p in live.wire.packets() if p.ssrc == RTX}) == 2


def test_where_much_is_lost_who_asks_again_a_little_too_soon_is_answered(live, monkeypatch):
    monkeypatch.setattr(type(live.flow), "loses_repairs", property(lambda flow: True))
    live.sender.start(PARAMETERS, NOW, 0.15)
    live.feed(Nack(MEDIA, (65_534,)), 0.1)
    live.feed(Nack(MEDIA, (65_534,)), 0.15)
    assert live.sender.stats.retransmitted == 1
    live.feed(Nack(MEDIA, (65_534,)), 0.22)
    assert live.sender.stats.retransmitted == 2


def test_while_nothing_is_heard_what_is_on_its_way_goes_once_more(live, monkeypatch):
    live.send(0.03)
    monkeypatch.setattr(live.flow, "unheard", lambda now: NOW - 1)
    live.send(0.06)
    assert [p.ssrc for p in live.wire.packets()] == [MEDIA] * 9 + [RTX] * 6
    live.send(0.09)
    assert [p.ssrc for p in live.wire.packets()][15:] == [MEDIA] * 3 + [RTX] * 3
    assert live.sender.stats.retransmitted == 9


def test_how_long_frames_are_held_is_told_from_the_next_unit_on(monkeypatch):
    parameters = replace(PARAMETERS, extensions={PLAYOUT_DELAY: 3})
    rig = Rig(parameters=parameters)
    rig.send(keyframe=True)
    rig.sender._patience.seconds = 0.19
    rig.send(0.1)
    delays = [packet[17:20] for burst in rig.wire.bursts for packet in burst]
    assert delays[:3] == [bytes(3)] * 3
    assert {int.from_bytes(delay) >> 12 for delay in delays[3:]} == {19}
    assert {int.from_bytes(delay) & 0xFFF for delay in delays[3:]} == {19 + HELD_AT_MOST}


def test_a_viewer_that_understands_no_parities_gets_none(lossy):
    lossy.sender.start(PARAMETERS, NOW)
    lossy.send(keyframe=True)
    assert {p.ssrc for p in lossy.wire.packets()} == {MEDIA}


def test_what_still_waits_here_is_not_sent_again(rig):
    rig.flow.control(NOW)
    rig.send(keyframe=True, parts=300)
    rig.feed(Nack(MEDIA, (65_534,)), 0.01)
    rig.feed(Nack(MEDIA, (65_534,)), 0.03)
    assert rig.sender.stats.retransmitted == 1
