"""What aiortc expects of a sender, around framewire's own."""

from __future__ import annotations

from typing import Any

import pytest
from aiortc.rtcrtpparameters import (
    RTCRtcpParameters,
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
    RTCRtpSendParameters,
)

from framewire.rtc.rtp.header_extensions import MID_URI, TRANSPORT_CC_URI
from framewire.rtc.send.sender import SenderParameters
from framewire.rtc.stack.sender_slot import FLEXFEC_MIME, PACKET_FEEDBACK, SenderSlot, sender_parameters

TRANSPORT: Any = object()


class Sender:
    stopped = 0

    def stop(self) -> None:
        self.stopped += 1


@pytest.fixture
def slot():
    return SenderSlot("video", TRANSPORT)


@pytest.fixture
def ready(slot):
    """What the slot reported to be ready."""
    made: list[SenderParameters] = []
    slot.on_ready = lambda slot, parameters: made.append(parameters)
    return made


def parameters(*extensions: tuple[int, str], feedback: bool = True, extra: bool = True) -> RTCRtpSendParameters:
    def codec(mime: str, payload_type: int, **options: int) -> RTCRtpCodecParameters:
        wanted = [PACKET_FEEDBACK] if feedback else []
        return RTCRtpCodecParameters(mime, 90_000, None, payload_type, wanted, {**options})

    media = codec("video/VP8", 97)
    beside = [codec("video/rtx", 96, apt=95), codec("video/rtx", 98, apt=97), codec(FLEXFEC_MIME, 101)]
    return RTCRtpSendParameters(
        codecs=[media, *(beside if extra else [])],
        headerExtensions=[RTCRtpHeaderExtensionParameters(id, uri) for id, uri in extensions],
        muxId="3",
        rtcp=RTCRtcpParameters(cname="us"),
    )


def test_what_was_negotiated():
    made = sender_parameters(parameters((1, MID_URI), (4, TRANSPORT_CC_URI)))
    assert made == SenderParameters(97, 98, 101, {MID_URI: 1, TRANSPORT_CC_URI: 4}, "3", "us")
    bare = sender_parameters(parameters(extra=False))
    assert (bare.rtx_payload_type, bare.fec_payload_type, bare.extensions) == (None, None, {})


def test_extension_ids_that_cannot_be_written_are_left_out():
    made = sender_parameters(parameters(*((id, f"urn:{id}") for id in (0, 1, 14, 15, 99, 255))))
    assert sorted(made.extensions.values()) == [1, 14]


def test_without_feedback_on_packets_they_get_no_numbers():
    assert sender_parameters(parameters((1, MID_URI), (4, TRANSPORT_CC_URI), feedback=False)).extensions == {MID_URI: 1}


async def test_a_subscription_is_ready_once_it_is_negotiated_and_only_once(slot, ready):
    await slot.send(parameters())
    slot.assign(5)
    await slot.send(parameters())
    assert ready == [], "aiortc sends at once, but the viewer may not know this subscription yet"
    slot.negotiated = True
    await slot.send(parameters())
    assert len(ready) == 1
    slot.sender = Sender()
    await slot.send(parameters())
    assert len(ready) == 1


def test_each_subscription_has_ssrcs_and_a_name_of_its_own(slot):
    seen = set()
    for sub in (5, 6, 7):
        slot.assign(sub)
        slot.negotiated, slot.sender = True, (sender := Sender())
        origins = slot.origins()
        seen |= {origins.media.ssrc, origins.rtx.ssrc, origins.fec.ssrc}
        assert origins.fec.ssrc == slot.fec_ssrc
        assert (slot._track_id, slot._stream_id) == (f"framewire-{sub}", f"framewire-{sub}")
        slot.release()
        assert sender.stopped == 1
        assert (slot.sub, slot.sender, slot.negotiated) == (None, None, False)
    assert len(seen) == 9


def test_first_sequence_numbers_leave_room_before_they_wrap(slot):
    origins = [slot.origins() for _ in range(50)]
    assert all(each.media.sequence < 1 << 15 for each in origins)
    assert len({each.media.sequence for each in origins}) > 10


async def test_when_aiortc_stops_it_the_sender_stops(slot):
    await slot.stop()
    slot.sender = sender = Sender()
    await slot.stop()
    assert sender.stopped == 1


async def test_aiortc_finds_the_rest_of_a_sender(slot):
    other: Any = object()
    slot.setTransport(other)
    slot.replaceTrack(None)
    assert slot.transport is other
    assert len(await slot.getStats()) == 0
    assert SenderSlot.getCapabilities("video").codecs == []
