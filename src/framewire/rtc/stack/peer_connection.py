"""A private copy of aiortc's ``RTCPeerConnection`` with framewire's parts in it. Must not know units, frames or
sessions.

aiortc has no seam for a sender of one's own, and its tables of codecs and header extensions belong to the whole
process. So a second instance of the module ``aiortc.rtcpeerconnection`` is made, in which these names mean ours. Other
users of aiortc in the process keep theirs. aiortc's camelCase ends in this room.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from types import ModuleType
from typing import Final, Literal

import aiortc.rtcpeerconnection
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCIceServer, RTCSessionDescription
from aiortc.rtcicetransport import RTCIceGatherer
from aiortc.rtcrtpparameters import (
    ParametersDict,
    RTCRtcpFeedback,
    RTCRtpCodecCapability,
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
)
from aiortc.sdp import GroupDescription, MediaDescription, SsrcDescription, candidate_from_sdp

from framewire.codecs import CODECS, CodecName
from framewire.errors import PeerError
from framewire.options import IceServer
from framewire.rtc.rtp import rtcp
from framewire.rtc.rtp.header_extensions import ABS_SEND_TIME_URI, MID_URI, PLAYOUT_DELAY_URI, TRANSPORT_CC_URI
from framewire.rtc.send.sender import RTP_CLOCK_HZ, SenderParameters
from framewire.rtc.stack import ice
from framewire.rtc.stack.certificate import Certificate
from framewire.rtc.stack.destinations import DestinationBudget
from framewire.rtc.stack.dtls_transport import DtlsTransport
from framewire.rtc.stack.sender_slot import FLEXFEC_MIME, PACKET_FEEDBACK, SenderSlot

ConnectionState = Literal["new", "connecting", "connected", "failed", "closed"]

FLEXFEC_PAYLOAD_TYPE: Final = 101
"""The RTP payload type of parity packets.

Source: chosen by hand, from the dynamic range of RFC 3551 §6 and in use by no entry of `framewire.codecs.CODECS`."""

REPAIR_WINDOW: Final[ParametersDict] = {"repair-window": "10000000"}
"""Parity protects packets of at most this many microseconds. Browsers require the parameter and do not use it.

Source: draft-ietf-payload-flexible-fec-scheme-03 §5.1; libwebrtc offers the same value."""

HEADER_EXTENSIONS: Final = (MID_URI, ABS_SEND_TIME_URI, PLAYOUT_DELAY_URI, TRANSPORT_CC_URI)
"""The header extensions that are offered, with ids from 1 on."""

FEEDBACK: Final = (
    RTCRtcpFeedback("nack"),
    RTCRtcpFeedback("nack", "pli"),
    RTCRtcpFeedback("ccm", "fir"),
    RTCRtcpFeedback("goog-remb"),
    PACKET_FEEDBACK,
)
"""The RTCP feedback that is asked for. A viewer without transport-cc sends REMB instead."""


def _codecs(parity: bool) -> list[RTCRtpCodecParameters]:
    codecs = []
    for spec in CODECS.values():
        fmtp: ParametersDict = dict(spec.fmtp)
        apt: ParametersDict = {"apt": spec.payload_type}
        codecs += [
            RTCRtpCodecParameters(spec.mime, RTP_CLOCK_HZ, None, spec.payload_type, list(FEEDBACK), fmtp),
            RTCRtpCodecParameters("video/rtx", RTP_CLOCK_HZ, None, spec.payload_type + 1, [], apt),
        ]
    if parity:
        window = dict(REPAIR_WINDOW)
        codecs.append(RTCRtpCodecParameters(FLEXFEC_MIME, RTP_CLOCK_HZ, None, FLEXFEC_PAYLOAD_TYPE, [], window))
    return codecs


class IceGatherer(RTCIceGatherer):
    """aiortc's gatherer around our ICE connection."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        stock = self._connection
        self._connection = ice.IceConnection(
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


def _describe(transceiver: aiortc.RTCRtpTransceiver, cname: str, direction: str, mid: str) -> MediaDescription:
    """aiortc's description of a transceiver, with the SSRC of its parity packets."""
    media = aiortc.rtcpeerconnection.create_media_description_for_transceiver(transceiver, cname, direction, mid)
    slot = transceiver.sender
    if isinstance(slot, SenderSlot) and any(codec.mimeType == FLEXFEC_MIME for codec in media.rtp.codecs):
        media.ssrc.append(SsrcDescription(ssrc=slot.fec_ssrc, cname=cname))
        media.ssrc_group.append(GroupDescription(semantic="FEC-FR", items=[slot._ssrc, slot.fec_ssrc]))
    return media


_receivers = ice.private_copy("aiortc.rtcrtpreceiver", RemoteBitrateEstimator=lambda: None)
"""aiortc makes a receiver for each track, though nothing is received: its estimator alone takes 2 ms of the loop."""


def _private_copy(parity: bool) -> ModuleType:
    """The module that offers parity packets or does not: what is offered is one of its tables."""
    return ice.private_copy(
        "aiortc.rtcpeerconnection",
        CODECS={"audio": [], "video": _codecs(parity)},
        HEADER_EXTENSIONS={
            "audio": [],
            "video": [RTCRtpHeaderExtensionParameters(id, uri) for id, uri in enumerate(HEADER_EXTENSIONS, 1)],
        },
        RTCCertificate=Certificate,
        RTCDtlsTransport=DtlsTransport,
        RTCIceGatherer=IceGatherer,
        RTCRtpSender=SenderSlot,
        RTCRtpReceiver=_receivers.RTCRtpReceiver,
        create_media_description_for_transceiver=_describe,
    )


@cache
def _rtc_peer_connection(parity: bool, codecs: tuple[CodecName, ...]) -> type[aiortc.RTCPeerConnection]:
    """The class whose connections offer ``codecs``, which is the whole of `CODECS`."""
    made: type[aiortc.RTCPeerConnection] = _private_copy(parity).RTCPeerConnection
    return made


for _parity in (False, True):
    # Now, so that the first viewer does not wait for it.
    _rtc_peer_connection(_parity, tuple(CODECS))


class PeerConnection:
    """One ``RTCPeerConnection`` that offers, sends video and receives none.

    Slots are added and never removed: aiortc signals no end of a transceiver, so an unused one is ``inactive``.
    """

    def __init__(
        self,
        ice_servers: Sequence[IceServer],
        on_ready: Callable[[SenderSlot, SenderParameters], None],
        on_feedback: Callable[[rtcp.Feedback], None],
        on_state: Callable[[ConnectionState], None],
        *,
        parity: bool = False,
        udp_hosts: Sequence[str] = (),
        budget: DestinationBudget | None = None,
    ) -> None:
        """``parity``: whether to offer parity packets (FlexFEC) as well. ``udp_hosts``: where to open sockets;
        without any, at every interface. ``budget``: the viewer's, if it has other connections."""
        # An empty list, never None: aiortc's default asks a public STUN server.
        servers = [RTCIceServer(s.urls, s.username or None, s.credential or None) for s in ice_servers]
        configuration = RTCConfiguration(servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        self._pc = _rtc_peer_connection(parity, tuple(CODECS))(configuration)
        self._on_ready = on_ready
        self._on_feedback = on_feedback
        self._udp_hosts = udp_hosts
        self._budget = budget or DestinationBudget()
        self._pc.on("connectionstatechange", lambda: on_state(self.state))
        self.slots: list[SenderSlot] = []

    @property
    def state(self) -> ConnectionState:
        state: ConnectionState = self._pc.connectionState  # type: ignore[assignment]
        return state

    @property
    def transport(self) -> DtlsTransport:
        return self.slots[0].transport

    def add_slot(self, codec: CodecName) -> SenderSlot:
        """One more slot. Raises ``PeerError`` if the URL of an ICE server is invalid."""
        try:
            transceiver = self._pc.addTransceiver("video", "sendonly")
        except ValueError as error:
            raise PeerError(f"ICE servers: {error}") from error
        spec = CODECS[codec]
        # The public setCodecPreferences compares with the process-wide tables, which are not ours.
        transceiver._preferred_codecs = [
            RTCRtpCodecCapability(spec.mime, RTP_CLOCK_HZ, None, dict(spec.fmtp)),
            RTCRtpCodecCapability("video/rtx", RTP_CLOCK_HZ),
            RTCRtpCodecCapability(FLEXFEC_MIME, RTP_CLOCK_HZ, None, dict(REPAIR_WINDOW)),
        ]
        slot = transceiver.sender
        assert isinstance(slot, SenderSlot), "the private copy makes senders of this class"
        slot.codec = codec
        slot.on_ready = self._on_ready
        slot.transport.on_feedback = self._on_feedback
        connection = slot.transport.connection
        connection.budget, connection.udp_hosts = self._budget, self._udp_hosts
        self.slots.append(slot)
        return slot

    def _transceiver(self, slot: SenderSlot) -> aiortc.RTCRtpTransceiver:
        return self._pc.getTransceivers()[self.slots.index(slot)]

    def mid(self, slot: SenderSlot) -> str:
        """The slot's mid; empty before it was in an offer."""
        return self._transceiver(slot).mid or ""

    async def offer(self) -> str:
        """Offer all slots, those without a subscription ``inactive``. Returns when all candidates are gathered."""
        for slot in self.slots:
            self._transceiver(slot).direction = "inactive" if slot.sub is None else "sendonly"
        try:
            await self._pc.setLocalDescription()
        except Exception as error:
            # Closed meanwhile, or no descriptor to be had.
            raise PeerError(f"no offer: {error}") from error
        if not self.transport.connection.local_candidates:
            # aioice leaves out each address that it cannot open a socket at. Such an offer would only time out.
            raise PeerError("no offer: no UDP socket could be opened")
        return self._pc.localDescription.sdp

    async def accept(self, sdp: str) -> None:
        """Take the answer. Raises ``PeerError``, whatever is wrong with it."""
        offered = [slot for slot in self.slots if slot.sub is not None]
        try:
            await self._pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        except Exception as error:
            # aiortc's SDP parser may raise anything.
            raise PeerError(f"answer refused: {error}") from error
        for slot in offered:
            slot.negotiated = True
            if self._transceiver(slot).currentDirection != "sendonly":
                raise PeerError(f"the viewer does not receive {slot.codec} track {self.mid(slot)}")

    async def add_candidate(self, candidate: str) -> None:
        """Take a candidate of the viewer, without its ``candidate:`` prefix."""
        parsed = candidate_from_sdp(candidate)
        # With everything bundled, aiortc looks at the first slot's mid only.
        parsed.sdpMid = self.mid(self.slots[0])
        await self._pc.addIceCandidate(parsed)

    def take_received(self) -> bool:
        """Whether anything came from the viewer since the last call."""
        connection = self.transport.connection
        received, connection.received = connection.received, False
        return received

    async def close(self) -> None:
        await self._pc.close()
