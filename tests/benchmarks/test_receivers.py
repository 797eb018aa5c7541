"""Viewers without a screen send what browsers send: the engine's own parsers understand it."""

from __future__ import annotations

import random
import time

import pytest

from benchmarks.receivers import SlowLink, Viewer, feedback, header_extension, remb, rtcp_packet
from framewire.rtc.rtp import rtcp, twcc
from framewire.rtc.rtp.header_extensions import MID_URI, PLAYOUT_DELAY_URI, TRANSPORT_CC_URI, HeaderExtensions
from framewire.rtc.rtp.packets import RtpPacketDraft


@pytest.mark.parametrize("first", [1, 65_500])
@pytest.mark.parametrize("lost", [0.0, 0.3])
def test_feedback_lists_what_arrived_and_when(first, lost):
    chance = random.Random(3)
    adapter = twcc.TransportFeedbackAdapter(first)
    arrived = {}
    at = 1000.0
    for index in range(200):
        number = adapter.sent(1200, index * 0.001)
        at += chance.choice([0.0, 0.0002, 0.03, 0.4])
        if chance.random() >= lost:
            arrived[number & 0xFFFF] = at
    outcomes = adapter.feed(feedback(arrived, 7))
    told = {o.sequence & 0xFFFF: o.arrived_at for o in outcomes if o.arrived_at is not None}
    assert told.keys() == arrived.keys()
    shift = told[min(arrived, key=arrived.__getitem__)] - min(arrived.values())
    assert all(abs(told[number] - shift - arrived[number]) < 0.001 for number in arrived)


def test_a_header_extension_is_found_among_others():
    extensions = HeaderExtensions({MID_URI: 1, PLAYOUT_DELAY_URI: 3, TRANSPORT_CC_URI: 4}, "0")
    packet = RtpPacketDraft(99, True, 1, 2, 3, extensions, b"payload").write(0.0, 0xABCD)
    assert header_extension(packet, 4) == 0xABCD
    assert header_extension(packet, 9) is None


def test_frames_are_counted_by_their_last_packet_and_repairs_are_not():
    class Silent:
        """A connection that is never made."""

        def __init__(self, configuration: object) -> None: ...

    viewer = Viewer(Silent, SlowLink(0))  # type: ignore[arg-type]
    extensions = HeaderExtensions({TRANSPORT_CC_URI: 4}, "0")
    now = int(time.time() * 90_000)
    for ssrc, marker, sequence in ((7, False, 1), (7, True, 2), (8, True, 1), (8, False, 2), (7, True, 3)):
        viewer.received(
            RtpPacketDraft(99, marker, sequence, now & 0xFFFFFFFF, ssrc, extensions, b"payload").write(0.0, sequence)
        )
    assert (viewer.packets, viewer.frames, len(viewer.delays)) == (5, 2, 2)


def test_its_estimate_is_thirty_megabits():
    (told,) = rtcp.parse(rtcp_packet(rtcp.PayloadFormat.APPLICATION, rtcp.PacketType.PSFB, remb(5)))
    assert isinstance(told, rtcp.Remb)
    assert told.ssrcs == (5,)
    assert told.bits_per_second == pytest.approx(30e6, rel=0.01)
