"""RTCP that aiortc writes and we read, that we write and aiortc reads, and that nothing can read."""

from __future__ import annotations

from dataclasses import replace

import pytest
from aiortc.rtp import (
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
    pack_remb_fci,
)
from hypothesis import given
from hypothesis import strategies as st

from framewire.frame import rtp_timestamp
from framewire.rtc.rtp import rtcp
from framewire.rtc.rtp.rtcp import (
    MAX_TRANSPORT_CC_PER_COMPOUND,
    KeyframeRequest,
    Nack,
    ReceptionReport,
    Remb,
    TransportCcFeedback,
    parse,
)

NOW = 1_700_000_000.25
PLI = bytes(RtcpPsfbPacket(fmt=1, ssrc=1, media_ssrc=42))
SSRC = 0xAABBCCDD
# Transport-cc feedback with RTCP padding, as Chromium sends it; aiortc's own parser refuses the whole compound.
TWCC = bytes.fromhex("afcd0005 00000001 0000002a 00010002 00000100 d4000002".replace(" ", ""))


def info(**changes):
    fields = {
        "ssrc": 42, "fraction_lost": 64, "packets_lost": 3, "highest_sequence": 9, "jitter": 90, "lsr": 0, "dlsr": 0
    }  # fmt: skip
    return RtcpReceiverInfo(**(fields | changes))


def test_nack():
    lost = [5, 6, 21, 22, 300, 65535]
    (nack,) = parse(bytes(RtcpRtpfbPacket(fmt=1, ssrc=1, media_ssrc=42, lost=lost)))
    assert nack == Nack(42, tuple(lost))


def test_a_nack_bitmap_has_sixteen_bits_after_its_number():
    packet = bytes([0x81, 205, 0, 3]) + bytes(8) + (0x9000).to_bytes(2) + (0x8001).to_bytes(2)
    assert parse(packet) == [Nack(0, (0x9000, 0x9001, 0x9010))]


def test_a_nack_bitmap_wraps_with_the_sequence_numbers():
    packet = bytes([0x81, 205, 0, 3]) + bytes(8) + (65535).to_bytes(2) + (0b11).to_bytes(2)
    assert parse(packet) == [Nack(0, (65535, 0, 1))]


def test_pli_and_fir():
    entries = b"".join(ssrc.to_bytes(4) + bytes(4) for ssrc in (SSRC, 42))
    fir = bytes(RtcpPsfbPacket(fmt=4, ssrc=1, media_ssrc=0, fci=entries))
    assert parse(bytes(RtcpPsfbPacket(fmt=1, ssrc=1, media_ssrc=SSRC))) == [KeyframeRequest(SSRC)]
    assert parse(fir) == [KeyframeRequest(SSRC), KeyframeRequest(42)]


@pytest.mark.parametrize("bitrate", [0, 1, 262_143, 262_144, 20_000_000])
def test_remb(bitrate: int):
    packet = bytes(RtcpPsfbPacket(fmt=15, ssrc=1, media_ssrc=0, fci=pack_remb_fci(bitrate, [42, 43])))
    (remb,) = parse(packet)
    assert isinstance(remb, Remb)
    assert remb.ssrcs == (42, 43)
    assert bitrate * 0.99 <= remb.bits_per_second <= bitrate


def test_reception_reports_of_receivers_and_of_senders():
    report = ReceptionReport(ssrc=42, fraction_lost=0.25, jitter=90, last_sr=0, delay_since_sr=0)
    both = bytes(RtcpRrPacket(ssrc=1, reports=[info(), info(ssrc=43)]))
    assert parse(both) == [report, replace(report, ssrc=43)]
    assert parse(bytes([both[0] - 1]) + both[1:]) == [report], "as many as it says"
    assert parse(both[:3] + bytes([both[3] - 3]) + both[4:-12]) == [report], "and no half of one"
    sender_info = RtcpSenderInfo(ntp_timestamp=0, rtp_timestamp=0, packet_count=0, octet_count=0)
    assert parse(bytes(RtcpSrPacket(ssrc=1, sender_info=sender_info, reports=[info()]))) == [report]


def test_more_duplicates_than_losses_are_no_loss():
    (report,) = parse(bytes(RtcpRrPacket(ssrc=1, reports=[info(fraction_lost=0, packets_lost=-5)])))
    assert isinstance(report, ReceptionReport)
    assert report.fraction_lost == 0


def test_all_packets_of_a_compound_are_read():
    compound = bytes(RtcpRrPacket(ssrc=1, reports=[info()])) + PLI + PLI
    assert [type(each) for each in parse(compound)] == [ReceptionReport, KeyframeRequest, KeyframeRequest]


def test_transport_wide_feedback_is_read_without_its_padding():
    with pytest.raises(ValueError, match="length"):
        RtcpPacket.parse(TWCC + PLI)
    assert parse(TWCC + PLI) == [TransportCcFeedback(TWCC[12:-2]), KeyframeRequest(42)]


def test_an_unknown_packet_does_not_cost_the_one_beside_it():
    extended_report = bytes([0x80, 207, 0, 2]) + bytes(8)
    assert parse(extended_report + PLI) == [KeyframeRequest(42)]


@pytest.mark.parametrize(
    "malformed",
    [
        b"",
        b"\x81",
        b"\x81\xcd\0\5",
        b"\x81\xcd\0\0",
        b"\x41\xce\0\2" + bytes(8),  # another version
        b"\x81\xcd\0\4" + bytes(12),  # longer than the compound
        b"\xa1\xcd\0\0",  # padding, and nothing to pad
        b"\xa1\xcd\0\1\0\0\0\x09",  # more padding than there is
        b"\x8f\xce\0\2" + bytes(8),  # application feedback without a name
        b"\x8f\xce\0\4" + bytes(8) + b"RUBB" + b"\xff" * 4,
        b"\x8f\xce\0\3" + bytes(8) + b"REMB",
        b"\xaf\xce\0\4" + bytes(8) + b"REMB" + b"\0\0\0\1",  # cut by its padding
        b"\x9f\xce\0\4" + bytes(8) + b"REMB" + bytes(4),  # format 31, not 15
        b"\x85\xc9\0\2" + bytes(8),
        b"\xa1\xce\0\2" + bytes(7) + b"\1",  # a PLI cut by its padding
        b"\xa4\xce\0\4" + bytes(15) + b"\1",  # a FIR
        b"\xa1\xcd\0\3" + bytes(11) + b"\1",  # a NACK
        b"\xc0" * 40,
    ],
)
def test_a_malformed_packet_gives_nothing(malformed):
    assert parse(malformed) == []


@pytest.mark.parametrize(("padding", "follows"), [(0, False), (1, True), (8, True), (9, False)])
def test_a_packet_whose_padding_is_wrong_ends_the_compound(padding: int, follows: bool):
    packet = b"\xa1\xce\0\2" + bytes(7) + bytes([padding])
    assert parse(packet + PLI) == ([KeyframeRequest(42)] if follows else [])


@given(st.binary(max_size=200))
def test_no_bytes_raise(data):
    parse(data)
    parse(PLI + data)


@given(st.integers(0, len(PLI) + 40), st.integers(0, 255))
def test_no_single_wrong_byte_raises(at, value):
    compound = bytearray(PLI + bytes(RtcpRtpfbPacket(fmt=1, ssrc=1, media_ssrc=42, lost=[1, 2])) + TWCC)
    compound[at % len(compound)] = value
    parse(bytes(compound))


def test_a_remb_without_ssrcs_is_understood():
    packet = bytes(RtcpPsfbPacket(fmt=15, ssrc=1, media_ssrc=0, fci=b"REMB" + bytes([0, 0, 0, 7])))
    assert parse(packet) == [Remb(7, ())]


def test_a_remb_names_as_many_streams_as_it_says():
    fci = bytearray(pack_remb_fci(1000, [42, 43]))
    fci[4] = 1
    assert parse(bytes(RtcpPsfbPacket(fmt=15, ssrc=1, media_ssrc=0, fci=bytes(fci)))) == [Remb(1000, (42,))]


def test_a_remb_that_names_more_streams_than_it_holds():
    fci = bytearray(pack_remb_fci(1000, [42, 43, 44]))
    fci[4] = 200
    assert parse(bytes(RtcpPsfbPacket(fmt=15, ssrc=1, media_ssrc=0, fci=bytes(fci)))) == [Remb(1000, (42, 43, 44))]


@pytest.mark.parametrize(("rtt", "held"), [(0.0, 0.0), (0.120, 0.5), (2.5, 1.0)])
def test_the_round_trip_is_without_the_time_that_the_viewer_held_the_report(rtt, held):
    last = (rtcp.ntp(NOW) >> 16) & 0xFFFFFFFF
    report = ReceptionReport(ssrc=1, fraction_lost=0, jitter=0, last_sr=last, delay_since_sr=round(held * 65536))
    measured = report.rtt(NOW + rtt + held)
    assert measured == pytest.approx(rtt, abs=0.001)


def test_a_report_without_a_plausible_round_trip_has_none():
    assert ReceptionReport(1, 0, 0, 0, 5).rtt(NOW) is None
    future = (rtcp.ntp(NOW + 5) >> 16) & 0xFFFFFFFF
    assert ReceptionReport(1, 0, 0, future, 0).rtt(NOW) is None
    report = ReceptionReport(1, 0, 0, (rtcp.ntp(NOW) >> 16) & 0xFFFFFFFF, 0)
    assert report.rtt(NOW + 63) == pytest.approx(63)
    assert report.rtt(NOW + 64) is None
    assert report.rtt(NOW + 32_769) is None


def test_the_round_trip_is_measured_across_a_wrap_of_the_clock():
    """The middle 32 bits of NTP time wrap every 18 hours."""
    before = NOW - (int(NOW) + rtcp.NTP_EPOCH_S) % 65536 - 1
    for wraps in range(2):
        at = before + wraps * 65536
        report = ReceptionReport(1, 0, 0, (rtcp.ntp(at) >> 16) & 0xFFFFFFFF, 0)
        assert report.rtt(at + 2 + 1 / 65536) == 2 + 1 / 65536


def test_ntp_time_wraps_in_2036():
    assert rtcp.ntp(2_300_000_000.5) == (2_300_000_000 + 2_208_988_800 - (1 << 32)) << 32 | 1 << 31


@pytest.mark.parametrize("cname", [b"a", b"ab", b"abcdef", b"1" * 36])
def test_a_sender_report_is_read_by_another_stack(cname):
    report, sdes = RtcpPacket.parse(rtcp.sender_report(42, NOW, (7, (1 << 33) + 0x80000001), cname))
    assert isinstance(report, RtcpSrPacket)
    assert isinstance(sdes, RtcpSdesPacket)
    assert report.ssrc == 42
    assert report.sender_info == RtcpSenderInfo(
        ntp_timestamp=(1_700_000_000 + 2_208_988_800 << 32) + (1 << 30),
        rtp_timestamp=rtp_timestamp(round(NOW * 1e6)),
        packet_count=7,
        octet_count=0x80000001,
    )
    assert [(chunk.ssrc, chunk.items) for chunk in sdes.chunks] == [(42, [(1, cname)])]


def test_four_transport_wide_feedback_messages_of_one_compound_are_read():
    one = bytes([0x80 | rtcp.TransportFormat.TRANSPORT_CC, rtcp.PacketType.RTPFB]) + (4).to_bytes(2) + bytes(16)
    found = parse(PLI + one * 40 + PLI)
    assert [type(each) for each in found] == [KeyframeRequest] + [TransportCcFeedback] * 4 + [KeyframeRequest]
    assert MAX_TRANSPORT_CC_PER_COMPOUND == 4
    assert len(parse(one * 2)) == 2
