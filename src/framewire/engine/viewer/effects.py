"""What a session asks its viewer to do (effects), and what happens to it (events), as plain data.

Must not know how the session decides, nor who carries it out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from framewire import wire
from framewire.authentication import ConnectionRequest
from framewire.engine.viewer.admission import Admitted, Refused
from framewire.errors import CloseCode
from framewire.options import Latency

# Effects, which the viewer carries out in order.


@dataclass(frozen=True, slots=True)
class Admit:
    """Decide whether to admit this viewer; answer with `Admitted` or `Refused`."""

    token: str = field(repr=False)
    request: ConnectionRequest


@dataclass(frozen=True, slots=True)
class Send:
    message: wire.ServerMessage


@dataclass(frozen=True, slots=True)
class Close:
    code: CloseCode
    reason: str


@dataclass(frozen=True, slots=True)
class OpenPeer:
    peer: int
    parity: bool
    """Whether the viewer understands FlexFEC."""


class OfferedTrack(NamedTuple):
    """One subscription that an offer carries."""

    sub: int
    codec: wire.Codec
    latency: Latency = "low"


@dataclass(frozen=True, slots=True)
class MakeOffer:
    """Negotiate these subscriptions on the peer; answer with `PeerOffered` or `PeerFailed`."""

    peer: int
    offer: int
    tracks: tuple[OfferedTrack, ...]


@dataclass(frozen=True, slots=True)
class SetAnswer:
    peer: int
    sdp: str


@dataclass(frozen=True, slots=True)
class AddCandidate:
    peer: int
    candidate: str
    sdp_mid: str


@dataclass(frozen=True, slots=True)
class ClosePeer:
    peer: int


@dataclass(frozen=True, slots=True)
class Attach:
    """From now on send this stream to this subscription."""

    sub: int
    stream: int
    mode: wire.Mode
    codec: wire.Codec | None


@dataclass(frozen=True, slots=True)
class Detach:
    """Stop sending to this subscription."""

    sub: int


@dataclass(frozen=True, slots=True)
class DeliverInput:
    """Hand an input event to the publisher of the stream."""

    stream: int
    principal: str | None
    event: wire.RenderviewEvent


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """The subscription has received this frame whole."""

    sub: int
    frame: int


@dataclass(frozen=True, slots=True)
class AnswerReport:
    """The viewer reported on a subscription; answer with `stats`."""

    report: wire.Report


Effect = (
    Admit | Send | Close | OpenPeer | MakeOffer | SetAnswer | AddCandidate | ClosePeer | Attach | Detach | DeliverInput
    | Acknowledge | AnswerReport
)  # fmt: skip

# Events: a viewer's message, `Admitted` or `Refused`, or one of these.


@dataclass(frozen=True, slots=True)
class ListedStream:
    """A stream as a session knows it: what its viewer is told of it, and how its video may be sent."""

    info: wire.StreamInfo
    codecs: tuple[wire.Codec, ...]
    """What it can be encoded in."""
    latency: Latency = "low"


@dataclass(frozen=True, slots=True)
class StreamsChanged:
    streams: tuple[ListedStream, ...]


@dataclass(frozen=True, slots=True)
class PeerOffered:
    peer: int
    offer: int
    sdp: str
    mids: dict[int, str]
    """The SDP mid of each subscription."""


@dataclass(frozen=True, slots=True)
class PeerFailed:
    peer: int
    detail: str
    reason: wire.EndReason = "peer_failed"


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """It is later than `Session.deadline`."""


Event = wire.ViewerMessage | Admitted | Refused | StreamsChanged | PeerOffered | PeerFailed | DeadlinePassed
