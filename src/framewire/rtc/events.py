"""What goes in and out of a peer, as values. Must not know aiortc, sockets or clocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from framewire.codecs import CodecName
from framewire.options import Latency


@dataclass(frozen=True, slots=True)
class PeerTrack:
    """One subscription that the next offer must contain."""

    sub: int
    codec: CodecName
    latency: Latency = "low"


@dataclass(frozen=True, slots=True)
class PeerOffer:
    """An offer, and the mid of each subscription in it."""

    sdp: str
    mids: dict[int, str]


@dataclass(frozen=True, slots=True)
class KeyframeWanted:
    """The viewer of this subscription cannot continue without a keyframe."""

    sub: int


@dataclass(frozen=True, slots=True)
class BitrateEstimate:
    """The bits per second of media that the path to the viewer takes, for all subscriptions of the peer together."""

    bits_per_second: int
    measured: bool = False
    """Whether it was measured here, packet by packet: then it may be used in full, as headers and repairs are taken off
    and probes have looked for more. Otherwise it is the viewer's own estimate (REMB), which never rises far above what
    the viewer is sent."""


@dataclass(frozen=True, slots=True)
class PeerState:
    """``connected`` comes once. After it, or instead of it, comes at most one of ``failed`` (the viewer cannot be
    reached) and ``closed`` (the viewer hung up). `Peer.close` causes none."""

    state: Literal["connected", "failed", "closed"]


PeerEvent = KeyframeWanted | BitrateEstimate | PeerState


@dataclass(slots=True)
class PeerStats:
    """Counters of one subscription since it may send, and the viewer's newest report. Read by tests (`Peer.stats`)."""

    frames_sent: int = 0
    frames_dropped: int = 0
    packets: int = 0
    """RTP packets of media, without retransmissions."""
    payload_bytes: int = 0
    """Their RTP payload."""
    retransmitted: int = 0
    """Packets sent again, requested or not."""
    tail_probes: int = 0
    """Last packets sent again because nothing followed them."""
    nacks: int = 0
    """Packets that the viewer reported missing."""
    keyframe_requests: int = 0
    """PLI and FIR."""
    loss: float = 0.0
    """The fraction of packets lost between the viewer's two newest reports, 0 to 1."""
    jitter_s: float = 0.0
    """The jitter that the viewer reports, in seconds."""
    rtt_s: float | None = None
    """The round trip in seconds; None until it is known."""
