"""The private copy of aiortc, and every name we replace in it. Must not know units, frames or sessions.

The only file that knows aiortc's private names, and where its camelCase ends. aiortc has no seam for a sender
of one's own, and its codec and header extension tables belong to the whole process; so a second instance of
the module ``aiortc.rtcpeerconnection`` is made, in which those names mean ours. Others who use aiortc in the
process keep theirs.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from functools import cache
from types import ModuleType
from typing import Literal, get_args

import aiortc.rtcpeerconnection
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCIceServer, RTCSessionDescription
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcicetransport import RTCIceGatherer
from aiortc.rtcrtpparameters import (
    ParametersDict,
    RTCRtcpFeedback,
    RTCRtpCapabilities,
    RTCRtpCodecCapability,
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
    RTCRtpSendParameters,
)
from aiortc.sdp import GroupDescription, MediaDescription, SsrcDescription, candidate_from_sdp
from aiortc.stats import RTCStatsReport

from framewire.codecs import CODECS, CodecName
from framewire.errors import PeerError
from framewire.options import IceServer
from framewire.rtc.rtp import rtcp
from framewire.rtc.rtp.packets import ABS_SEND_TIME, MID, PLAYOUT_DELAY, TRANSPORT_CC
from framewire.rtc.send.sender import SenderParameters, UnitSender
from framewire.rtc.stack import ice
from framewire.rtc.stack.srtp import SrtpProtector

logger = logging.getLogger(__name__)

State = Literal["new", "connecting", "connected", "failed", "closed"]

FEC = "video/flexfec-03"
FEC_PAYLOAD_TYPE = 101
AGAIN = (0.04, 0.12, 0.25, 0.45, 0.7)
"""Seconds after which handshake messages are sent again that nothing has answered; OpenSSL's own timer waits for a
second, and does not listen to a viewer that repeats itself."""
REPAIR_WINDOW: ParametersDict = {"repair-window": "10000000"}
"""Microseconds (draft-ietf-payload-flexible-fec-scheme-03 §5.1); browsers ask for it and look no further."""
EXTENSIONS = [MID, ABS_SEND_TIME, PLAYOUT_DELAY]
PACKET_FEEDBACK = RTCRtcpFeedback("transport-cc")


Protocol = Literal["plain", "feedback", "parity"]
"""What is offered beside the codecs: nothing, feedback on each packet, or that and parity packets. Without feedback
nobody knows how much parity pays."""


def _codecs(protocol: Protocol) -> list[RTCRtpCodecParameters]:
    codecs = []
    for spec in CODECS.values():
        feedback = [
            RTCRtcpFeedback("nack"),
            RTCRtcpFeedback("nack", "pli"),
            RTCRtcpFeedback("ccm", "fir"),
            RTCRtcpFeedback("goog-remb"),
            *([PACKET_FEEDBACK] if protocol != "plain" else []),
        ]
        fmtp: ParametersDict = dict(spec.fmtp)
        codecs.append(RTCRtpCodecParameters(spec.mime, 90_000, None, spec.payload_type, feedback, fmtp))
        apt: ParametersDict = {"apt": spec.payload_type}
        codecs.append(RTCRtpCodecParameters("video/rtx", 90_000, None, spec.payload_type + 1, [], apt))
    if protocol == "parity":
        codecs.append(RTCRtpCodecParameters(FEC, 90_000, None, FEC_PAYLOAD_TYPE, [], dict(REPAIR_WINDOW)))
    return codecs


class _Gatherer(RTCIceGatherer):
    """aiortc's gatherer around our ICE connection."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        stock = self._connection
        self._connection = ice.Connection(
            ice_controlling=False,
            stun_server=stock.stun_server,
            turn_server=stock.turn_server,
            turn_username=stock.turn_username,
            turn_password=stock.turn_password,
            turn_ssl=stock.turn_ssl,
            turn_transport=stock.turn_transport,
            transport_policy=stock._transport_policy,
            local_username=stock.local_username,
            local_password=stock.local_password,
        )


class _Transport(RTCDtlsTransport):
    """aiortc's DTLS transport with our RTCP parser, a send path without an await, and no way in for media."""

    on_feedback: Callable[[rtcp.Feedback], None]
    _cipher: SrtpProtector | None = None
    _repeats: tuple[asyncio.TimerHandle, ...] = ()

    async def _write_ssl(self) -> None:
        """Send what OpenSSL has to say, and in the handshake say it again before long.

        As it was, bit by bit: the viewer drops a record whose number it has seen (RFC 6347 §4.1.2.6), so that only
        what was lost is news to it. The last message has no answer; what follows it cannot be read without."""
        connection = getattr(self.transport, "_connection", None)
        if not isinstance(connection, ice.Connection):
            # Over another's transport, as aiortc's own tests have it, nobody can tell what was sent.
            return await super()._write_ssl()
        connection.sent = b""
        await super()._write_ssl()
        if connection.sent and self.state == "connecting":
            self._cancel_repeats()
            loop = asyncio.get_running_loop()
            self._repeats = tuple(loop.call_later(delay, self.transmit, [connection.sent]) for delay in AGAIN)

    def _cancel_repeats(self) -> None:
        for repeat in self._repeats:
            repeat.cancel()
        self._repeats = ()

    async def stop(self) -> None:
        self._cancel_repeats()
        await super().stop()

    async def _handle_rtcp_data(self, data: bytes) -> None:
        for feedback in rtcp.parse(data):
            self.on_feedback(feedback)

    async def _handle_rtp_data(self, data: bytes, arrival_time_ms: int) -> None:
        return

    @property
    def connection(self) -> ice.Connection:
        connection = self.transport._connection
        assert isinstance(connection, ice.Connection), "our gatherer made it"
        return connection

    def protect(self, packets: list[bytes]) -> list[bytes]:
        if self._cipher is None:
            self._cipher = SrtpProtector(self._tx_srtp)
        return self._cipher.protect(packets)

    def transmit(self, packets: list[bytes]) -> None:
        self.connection.send_now(packets)

    def transmit_rtcp(self, compound: bytes) -> None:
        self.connection.send_now([self._tx_srtp.protect_rtcp(compound)])

    def idle(self) -> bool:
        return self.connection.flushed()

    @property
    def rtt(self) -> float | None:
        """Seconds, as ICE has measured it."""
        return self.connection.rtt


class Slot:
    """One pooled transceiver's sender: what aiortc expects of an ``RTCRtpSender``, with our `UnitSender`.

    Each subscription that moves in gets SSRCs of its own, so that the viewer starts over: sequence numbers,
    timestamps and jitter of the one before mean nothing to it.
    """

    kind = "video"
    track = None
    codec: CodecName
    unit_sender: UnitSender | None = None
    negotiated = False
    """Whether the viewer has answered the offer that holds the present subscription."""

    def __init__(self, track_or_kind: object, transport: _Transport) -> None:
        self.transport = transport
        self._ssrc = self._rtx_ssrc = self.fec_ssrc = 0
        self._enabled = True
        self._stream_id = self._track_id = "-"
        self.renew()

    def renew(self) -> tuple[int, int, int]:
        """New SSRCs, for media, retransmissions and parity."""
        self._ssrc, self._rtx_ssrc, self.fec_ssrc = random.sample(range(1, 1 << 32), 3)
        return self._ssrc, self._rtx_ssrc, self.fec_ssrc

    def name(self, name: str) -> None:
        """Name the stream and its track (``msid``, RFC 8830) as the viewer will see them."""
        self._stream_id = self._track_id = name

    async def send(self, parameters: RTCRtpSendParameters) -> None:
        """aiortc calls this whenever the transport is up and the transceiver sends."""
        if self.unit_sender is None or not self.negotiated or self.unit_sender.started:
            return
        self.on_ready(self, _sender_parameters(parameters))

    on_ready: Callable[[Slot, SenderParameters], None]

    async def stop(self) -> None:
        if self.unit_sender is not None:
            self.unit_sender.stop()

    async def getStats(self) -> RTCStatsReport:
        return RTCStatsReport()

    def replaceTrack(self, track: None) -> None:
        """There are no tracks: units come by `UnitSender.send`."""

    def setTransport(self, transport: _Transport) -> None:
        self.transport = transport

    @classmethod
    def getCapabilities(cls, kind: str) -> RTCRtpCapabilities:
        return RTCRtpCapabilities()


def _sender_parameters(parameters: RTCRtpSendParameters) -> SenderParameters:
    media = parameters.codecs[0].payloadType
    assert media is not None, "a negotiated codec has a payload type"
    rtx = [codec.payloadType for codec in parameters.codecs if codec.parameters.get("apt") == media]
    fec = [codec.payloadType for codec in parameters.codecs if codec.mimeType.lower() == FEC]
    # Whatever the answer says: the one-byte form knows these ids only (RFC 8285 §4.2).
    extensions = {each.uri: each.id for each in parameters.headerExtensions if 0 < each.id < 15}
    if PACKET_FEEDBACK not in parameters.codecs[0].rtcpFeedback:
        # Numbers that nobody answers would only keep the viewer from its own estimate.
        extensions.pop(TRANSPORT_CC, None)
    return SenderParameters(
        payload_type=media,
        rtx_payload_type=rtx[0] if rtx else None,
        fec_payload_type=fec[0] if fec else None,
        extensions=extensions,
        mid=parameters.muxId,
        cname=parameters.rtcp.cname or "",
    )


def _describe(transceiver: aiortc.RTCRtpTransceiver, cname: str, direction: str, mid: str) -> MediaDescription:
    """aiortc's description of a slot, with the SSRC of its parity packets."""
    media = aiortc.rtcpeerconnection.create_media_description_for_transceiver(transceiver, cname, direction, mid)
    slot = transceiver.sender
    if isinstance(slot, Slot) and any(codec.mimeType == FEC for codec in media.rtp.codecs):
        media.ssrc.append(SsrcDescription(ssrc=slot.fec_ssrc, cname=cname))
        media.ssrc_group.append(GroupDescription(semantic="FEC-FR", items=[slot._ssrc, slot.fec_ssrc]))
    return media


def _private_copy(protocol: Protocol) -> ModuleType:
    """What is offered is a table of the module, so each of the offers has a copy."""
    extensions = EXTENSIONS if protocol == "plain" else [*EXTENSIONS, TRANSPORT_CC]
    return ice.private_copy(
        "aiortc.rtcpeerconnection",
        CODECS={"audio": [], "video": _codecs(protocol)},
        HEADER_EXTENSIONS={
            "audio": [],
            "video": [RTCRtpHeaderExtensionParameters(id, uri) for id, uri in enumerate(extensions, 1)],
        },
        RTCDtlsTransport=_Transport,
        RTCIceGatherer=_Gatherer,
        RTCRtpSender=Slot,
        create_media_description_for_transceiver=_describe,
    )


@cache
def _peer_connection_class(protocol: Protocol, codecs: tuple[CodecName, ...]) -> type[aiortc.RTCPeerConnection]:
    """The class whose connections offer these codecs, the whole of `CODECS`."""
    made: type[aiortc.RTCPeerConnection] = _private_copy(protocol).RTCPeerConnection
    return made


for _protocol in get_args(Protocol):
    # Made here, so that the first viewer does not wait for it.
    _peer_connection_class(_protocol, tuple(CODECS))


class Connection:
    """One ``RTCPeerConnection`` that offers, sends video and takes none. Slots are added and never removed:
    aiortc signals no end of a transceiver, so one that is not used is ``inactive``."""

    def __init__(
        self,
        ice_servers: Sequence[IceServer],
        on_ready: Callable[[Slot, SenderParameters], None],
        on_feedback: Callable[[rtcp.Feedback], None],
        on_state: Callable[[State], None],
        protocol: Protocol = "plain",
    ) -> None:
        # An empty list, never None: the default of aiortc asks a public STUN server.
        servers = [RTCIceServer(s.urls, s.username or None, s.credential or None) for s in ice_servers]
        peer_connection = _peer_connection_class(protocol, tuple(CODECS))
        self._pc = peer_connection(RTCConfiguration(servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self._on_ready = on_ready
        self._on_feedback = on_feedback
        self._pc.on("connectionstatechange", lambda: on_state(self.state))
        self.slots: list[Slot] = []

    @property
    def state(self) -> State:
        state: State = self._pc.connectionState  # type: ignore[assignment]
        return state

    @property
    def transport(self) -> _Transport:
        return self.slots[0].transport

    def add_slot(self, codec: CodecName) -> Slot:
        """One more slot. Raises ``PeerError`` if an ICE server's URL is none."""
        try:
            transceiver = self._pc.addTransceiver("video", "sendonly")
        except ValueError as error:
            raise PeerError(f"ICE servers: {error}") from error
        spec = CODECS[codec]
        # The public setCodecPreferences compares with the process-wide tables, which are not ours.
        transceiver._preferred_codecs = [
            RTCRtpCodecCapability(spec.mime, 90_000, None, dict(spec.fmtp)),
            RTCRtpCodecCapability("video/rtx", 90_000),
            RTCRtpCodecCapability(FEC, 90_000, None, dict(REPAIR_WINDOW)),
        ]
        slot = transceiver.sender
        assert isinstance(slot, Slot), "the private copy makes senders of this class"
        slot.codec = codec
        slot.on_ready = self._on_ready
        slot.transport.on_feedback = self._on_feedback
        self.slots.append(slot)
        return slot

    def _transceiver(self, slot: Slot) -> aiortc.RTCRtpTransceiver:
        return self._pc.getTransceivers()[self.slots.index(slot)]

    def mid(self, slot: Slot) -> str:
        """The slot's mid, once it was in an offer."""
        return self._transceiver(slot).mid or ""

    async def offer(self) -> str:
        """Offer all slots, those without a subscription ``inactive``. Returns when all is gathered."""
        for slot in self.slots:
            self._transceiver(slot).direction = "sendonly" if slot.unit_sender else "inactive"
        try:
            await self._pc.setLocalDescription()
        except Exception as error:
            # Closed meanwhile, or no socket to be had.
            raise PeerError(f"no offer: {error}") from error
        return self._pc.localDescription.sdp

    async def accept(self, sdp: str) -> None:
        """Take the answer. Raises ``PeerError``, whatever is wrong with it."""
        offered = [slot for slot in self.slots if slot.unit_sender]
        try:
            await self._pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        except Exception as error:
            # The parsers of SDP raise whatever a line makes them raise.
            raise PeerError(f"answer refused: {error}") from error
        for slot in offered:
            slot.negotiated = True
            if self._transceiver(slot).currentDirection != "sendonly":
                raise PeerError(f"the viewer does not receive {slot.codec} track {self.mid(slot)}")

    async def add_candidate(self, candidate: str) -> None:
        parsed = candidate_from_sdp(candidate)
        # With everything bundled, aiortc looks at the first slot's mid only.
        parsed.sdpMid = self.mid(self.slots[0])
        await self._pc.addIceCandidate(parsed)

    def heard(self) -> bool:
        """Whether anything came from the viewer since the last call."""
        connection = self.transport.connection
        heard, connection.heard = connection.heard, False
        return heard

    async def close(self) -> None:
        await self._pc.close()
