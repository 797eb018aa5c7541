"""A pooled transceiver's sender: what aiortc expects of an ``RTCRtpSender``, around framewire's own. Must not know
peers, sessions or SDP."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from aiortc.rtcrtpparameters import RTCRtcpFeedback, RTCRtpCapabilities, RTCRtpSendParameters
from aiortc.stats import RTCStatsReport

from framewire.codecs import CodecName
from framewire.rtc.rtp.header_extensions import TRANSPORT_CC_URI
from framewire.rtc.rtp.packets import RtpOrigin
from framewire.rtc.send.sender import SenderOrigins, SenderParameters, UnitSender
from framewire.rtc.stack.dtls_transport import DtlsTransport

FLEXFEC_MIME: Final = "video/flexfec-03"
PACKET_FEEDBACK: Final = RTCRtcpFeedback("transport-cc")


class SenderSlot:
    """The sender of one transceiver, with at most one subscription at a time.

    Each subscription gets SSRCs of its own, so that the viewer starts anew: sequence numbers, timestamps and jitter of
    the one before mean nothing to it.
    """

    kind = "video"
    track = None
    codec: CodecName
    on_ready: Callable[[SenderSlot, SenderParameters], None]
    """Called when the subscription may send."""

    def __init__(self, track_or_kind: object, transport: DtlsTransport) -> None:
        self.transport: DtlsTransport = transport
        self.sub: int | None = None
        """The subscription; None while the slot is free."""
        self.sender: UnitSender | None = None
        """The subscription's sender, once it may send."""
        self.negotiated: bool = False
        """Whether the viewer has answered an offer with this subscription."""
        # aiortc reads these.
        self._enabled = True
        self._ssrc = self._rtx_ssrc = 0
        self.fec_ssrc: int = 0
        self._stream_id = self._track_id = "-"
        self._renew()

    def assign(self, sub: int) -> None:
        """Give the slot to a subscription, under new SSRCs and a new ``msid`` (RFC 8830)."""
        assert self.sub is None, "a slot has one subscription at a time"
        self.sub, self.negotiated = sub, False
        self._stream_id = self._track_id = f"framewire-{sub}"
        self._renew()

    def release(self) -> None:
        """End the subscription; the next offer makes the slot inactive, or has another in it."""
        if self.sender is not None:
            self.sender.stop()
        self.sub = self.sender = None
        self.negotiated = False

    def _renew(self) -> None:
        self._ssrc, self._rtx_ssrc, self.fec_ssrc = random.sample(range(1, 1 << 32), 3)

    def origins(self) -> SenderOrigins:
        """Where the subscription's streams begin. The first sequence numbers are in the lower half, so that no viewer
        sees them wrap before it has seen the stream (RFC 3711 §3.3.1)."""
        ssrcs = (self._ssrc, self._rtx_ssrc, self.fec_ssrc)
        return SenderOrigins(*(RtpOrigin(ssrc, random.randrange(1 << 15)) for ssrc in ssrcs))

    async def send(self, parameters: RTCRtpSendParameters) -> None:
        """aiortc calls this whenever the transport is up and the transceiver sends."""
        if self.sub is not None and self.negotiated and self.sender is None:
            self.on_ready(self, sender_parameters(parameters))

    async def stop(self) -> None:
        if self.sender is not None:
            self.sender.stop()

    async def getStats(self) -> RTCStatsReport:
        return RTCStatsReport()

    def replaceTrack(self, track: None) -> None:
        """There are no tracks: units come by `UnitSender.send`."""

    def setTransport(self, transport: DtlsTransport) -> None:
        self.transport = transport

    @classmethod
    def getCapabilities(cls, kind: str) -> RTCRtpCapabilities:
        return RTCRtpCapabilities()


def sender_parameters(parameters: RTCRtpSendParameters) -> SenderParameters:
    """What was negotiated, in framewire's words."""
    media = parameters.codecs[0].payloadType
    assert media is not None, "a negotiated codec has a payload type"
    rtx = [codec.payloadType for codec in parameters.codecs if codec.parameters.get("apt") == media]
    fec = [codec.payloadType for codec in parameters.codecs if codec.mimeType.lower() == FLEXFEC_MIME]
    # The one-byte form has no other ids (RFC 8285 §4.2), whatever the answer says.
    extensions = {each.uri: each.id for each in parameters.headerExtensions if 0 < each.id < 15}
    if PACKET_FEEDBACK not in parameters.codecs[0].rtcpFeedback:
        # Sequence numbers without feedback would only keep the viewer from making its own estimate.
        extensions.pop(TRANSPORT_CC_URI, None)
    return SenderParameters(
        payload_type=media,
        rtx_payload_type=rtx[0] if rtx else None,
        fec_payload_type=fec[0] if fec else None,
        extensions=extensions,
        mid=parameters.muxId,
        cname=parameters.rtcp.cname or "",
    )
