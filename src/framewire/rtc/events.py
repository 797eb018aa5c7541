"""What a peer says and counts, as values. Must not know aiortc, sockets or clocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from framewire.codecs import CodecName


@dataclass(frozen=True, slots=True)
class PeerTrack:
    """One subscription that the next offer must carry."""

    sub: int
    codec: CodecName
    stream: str


@dataclass(frozen=True, slots=True)
class PeerOffer:
    """An offer, and the mid each subscription has in it."""

    sdp: str
    mids: dict[int, str]


@dataclass(frozen=True, slots=True)
class KeyframeWanted:
    """The viewer of this subscription cannot go on without a keyframe."""

    sub: int


@dataclass(frozen=True, slots=True)
class BitrateEstimate:
    """What the way to the viewer takes, all subscriptions of the peer together."""

    bits_per_second: int
    measured: bool = False
    """Whether it was measured here, packet by packet, with probes beyond what is sent: it holds both ways, and
    headers and repairs are taken off. Else it is the viewer's own guess (REMB), which never rises far above
    what it is sent."""


@dataclass(frozen=True, slots=True)
class PeerState:
    """``connected`` once; then at most one of ``failed`` (never or no longer reachable) and ``closed`` (the
    viewer hung up). Our own `Peer.close` says nothing."""

    state: Literal["connected", "failed", "closed"]


PeerEvent = KeyframeWanted | BitrateEstimate | PeerState


@dataclass(frozen=True, slots=True)
class PeerStats:
    """Counters of one subscription since it began, and the newest report of its viewer."""

    frames_sent: int = 0
    frames_dropped: int = 0
    packets: int = 0
    """Without retransmissions."""
    octets: int = 0
    """Of RTP payload, without retransmissions."""
    retransmitted: int = 0
    """Packets sent again because they were asked for."""
    probes: int = 0
    """Last packets sent again because nothing followed them."""
    nacks: int = 0
    """Packets the viewer reported missing."""
    keyframe_requests: int = 0
    """PLI and FIR."""
    loss: float = 0.0
    """Fraction of packets lost between the viewer's two newest reports, 0 to 1."""
    jitter_s: float = 0.0
    rtt_s: float | None = None
    """Round trip, seconds; None until the viewer's first report."""
