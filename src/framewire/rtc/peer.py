"""One viewer's peer connection: commands in, events out. Must not know sessions, frames or encoders."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from framewire.rtc.events import (
    BitrateEstimate,
    IceServer,
    KeyframeWanted,
    PeerEvent,
    PeerOffer,
    PeerState,
    PeerStats,
    PeerTrack,
)
from framewire.rtc.packets import PackedUnit

__all__ = [
    "BitrateEstimate",
    "IceServer",
    "KeyframeWanted",
    "Peer",
    "PeerEvent",
    "PeerOffer",
    "PeerState",
    "PeerStats",
    "PeerTrack",
]


class Peer:
    """A peer connection that offers. Made on a running event loop and used from it alone."""

    def __init__(self, *, ice_servers: Sequence[IceServer] = (), on_event: Callable[[PeerEvent], None]) -> None: ...

    async def offer(self, tracks: Sequence[PeerTrack]) -> PeerOffer:
        """An offer of exactly these tracks: all that are live, those already offered included."""
        raise NotImplementedError

    async def answer(self, sdp: str) -> None:
        """Take the viewer's answer to the newest offer. Raises ``PeerError`` if it is bad or refuses a track;
        the peer is of no use then and must be closed."""
        raise NotImplementedError

    async def add_candidate(self, candidate: str, sdp_mid: str) -> None:
        """Take one of the viewer's candidates. What cannot be used is dropped silently."""
        raise NotImplementedError

    def send(self, sub: int, unit: PackedUnit) -> bool:
        """Send a unit to a subscription. Never raises, never blocks; False if it was dropped."""
        raise NotImplementedError

    def stats(self, sub: int) -> PeerStats:
        raise NotImplementedError

    async def close(self) -> None:
        """Hang up. May be called twice."""
        raise NotImplementedError
