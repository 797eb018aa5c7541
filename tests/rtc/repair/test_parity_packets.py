"""The packets that carry parity."""

from __future__ import annotations

import pytest

from framewire.rtc.repair.parity_packets import ParityPackets
from framewire.rtc.rtp.flexfec import SourceHeader
from framewire.rtc.rtp.packets import RtpOrigin
from tests.rtc.rig import unit

SOURCE = SourceHeader(99, 0xAAAA, 5000, 65_534, b"")


@pytest.fixture
def parity():
    return ParityPackets(RtpOrigin(0xCCCC, 65_533), 101)


def test_they_have_an_ssrc_and_numbers_of_their_own_and_the_units_timestamp(parity):
    made = parity.make(unit(parts=6), SOURCE, 2, delay_second=False)
    made += parity.make(unit(parts=6), SOURCE, 2, delay_second=False)
    assert [packet.sequence for packet in made] == [65_533, 65_534, 65_535, 0]
    kinds = {(packet.ssrc, packet.payload_type, packet.timestamp, packet.marker) for packet in made}
    assert kinds == {(0xCCCC, 101, 5000, False)}
    assert made[0].payload[12:16] == (0xAAAA).to_bytes(4), "what they protect"


def test_the_second_cover_comes_at_once_or_later(parity):
    assert len(parity.make(unit(parts=6), SOURCE, 5, delay_second=False)) == 5
    assert parity.delayed(6000) == []
    at_once = parity.make(unit(parts=6), SOURCE, 5, delay_second=True)
    later = parity.delayed(6000)
    assert (len(at_once), len(later)) == (3, 2)
    assert {packet.timestamp for packet in later} == {6000}
    assert [packet.sequence for packet in at_once + later] == [2, 3, 4, 5, 6]
    assert parity.delayed(6000) == [], "once"


def test_delayed_packets_can_be_discarded(parity):
    parity.make(unit(parts=6), SOURCE, 5, delay_second=True)
    parity.discard_delayed()
    assert parity.delayed(6000) == []
