"""One viewer's peer connection: commands in, events out. Must not know sessions, frames or encoders."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import TypedDict

from framewire.errors import PeerError
from framewire.options import IceServer
from framewire.rtc.events import (
    BitrateEstimate,
    KeyframeWanted,
    PeerEvent,
    PeerOffer,
    PeerState,
    PeerStats,
    PeerTrack,
)
from framewire.rtc.repair.retransmission import Origin
from framewire.rtc.rtp import rtcp
from framewire.rtc.rtp.packets import TRANSPORT_CC, Draft, RtpUnit
from framewire.rtc.send.controller import SendController
from framewire.rtc.send.sender import NEVER, SenderParameters, UnitSender
from framewire.rtc.stack.peer_connection import Connection, Protocol, Slot, State
from framewire.rtc.stack.sdp_filter import MAX_CANDIDATES, clean_answer, usable_candidate

__all__ = [
    "BitrateEstimate",
    "KeyframeWanted",
    "Peer",
    "PeerEvent",
    "PeerOffer",
    "PeerOptions",
    "PeerState",
    "PeerStats",
    "PeerTrack",
]

logger = logging.getLogger(__name__)

CONNECT_DEADLINE = 10.0
"""Seconds from the answer to a working connection; aiortc itself gives up after a minute."""
SILENCE_DEADLINE = 7
"""Seconds without a datagram of the viewer until it is gone. Its consent checks alone come every two."""
CLOSE_DEADLINE = 5.0
HOLD = 0.1
"""Seconds that frames are held back where they shall be smooth: three at 30 a second."""


class PeerOptions(TypedDict):
    """What all peers of an engine have in common: arguments of `Peer`."""

    ice_servers: Sequence[IceServer]
    smooth: bool


class Peer:
    """A peer connection that offers. Made on a running event loop and used from it alone.

    Events are delivered from the loop, never from inside a call to this object.
    """

    def __init__(
        self,
        *,
        on_event: Callable[[PeerEvent], None],
        ice_servers: Sequence[IceServer] = (),
        congestion_control: bool = True,
        parity: bool = False,
        smooth: bool = False,
        speed: Callable[[], float | None] = lambda: None,
    ) -> None:
        """``congestion_control``: whether to ask the viewer for feedback on each packet, and to send by it.
        Without, and for a viewer that gives none, packets leave as they come and its own estimate is told.
        ``parity``: whether the viewer understands FlexFEC-03, so that frames may be protected against loss.
        ``smooth``: whether the viewer shall hold frames back a little, for an even rhythm.
        ``speed``: bits a second that another connection on the same way takes at this moment, if that is known."""
        self._loop = asyncio.get_running_loop()
        # A clock that is steady and yet the wall's: sender reports name moments to the viewer.
        self._clock_origin = time.time() - self._loop.time()
        self._on_event = on_event
        protocol: Protocol = "plain" if not congestion_control else "parity" if parity else "feedback"
        self._connection = Connection(ice_servers, self._start, self._feed, self._changed, protocol)
        self._flow: SendController | None = None
        self._wanted = 20_000_000
        self._hold = HOLD if smooth else 0.0
        self._speed = speed
        self._senders: dict[int, UnitSender] = {}
        self._mids: dict[int, str] = {}
        self._candidates = 0
        self._timer: asyncio.TimerHandle | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._silence = 0
        self._connected = self._over = self._closed = False

    def _now(self) -> float:
        return self._clock_origin + self._loop.time()

    def _emit(self, event: PeerEvent) -> None:
        self._loop.call_soon(self._deliver, event)

    def _deliver(self, event: PeerEvent) -> None:
        if not self._closed:
            self._on_event(event)

    async def offer(self, tracks: Sequence[PeerTrack]) -> PeerOffer:
        """An offer of exactly these tracks: all that are live, those already offered included.

        Raises ``PeerError`` if the peer is closed, there is nothing to offer yet, or an ICE server's URL is none.
        """
        if self._closed:
            raise PeerError("the peer is closed")
        self._assign(tracks)
        if not self._connection.slots:
            raise PeerError("nothing to offer")
        sdp = await self._connection.offer()
        self._mids = {
            slot.unit_sender.sub: self._connection.mid(slot) for slot in self._connection.slots if slot.unit_sender
        }
        return PeerOffer(sdp, dict(self._mids))

    def _assign(self, tracks: Sequence[PeerTrack]) -> None:
        """Free the slots of tracks that are gone, and give the new ones a slot each."""
        wanted = {track.sub for track in tracks}
        for slot in self._connection.slots:
            if slot.unit_sender and slot.unit_sender.sub not in wanted:
                slot.unit_sender.stop()
                del self._senders[slot.unit_sender.sub]
                slot.unit_sender, slot.negotiated = None, False
        for track in tracks:
            if track.sub not in self._senders:
                self._move_in(self._free_slot(track), track)

    def _free_slot(self, track: PeerTrack) -> Slot:
        free = (s for s in self._connection.slots if s.unit_sender is None and s.codec == track.codec)
        return next(free, None) or self._connection.add_slot(track.codec)

    def _move_in(self, slot: Slot, track: PeerTrack) -> None:
        # In the lower half, so that no viewer sees a wrap before it has seen the stream (RFC 3711 §3.3.1).
        media, rtx, fec = (Origin(ssrc, random.randrange(1 << 15)) for ssrc in slot.renew())
        if self._flow is None:
            self._flow = SendController(
                slot.transport, lambda estimate: self._emit(BitrateEstimate(estimate, measured=True))
            )
            self._flow.pad = self._pad
            self._flow.want(self._wanted)
        slot.unit_sender = UnitSender(track.sub, media, rtx, fec, self._flow, slot.transport, self._emit, self._hold)
        slot.name(f"framewire-{track.sub}")
        self._senders[track.sub] = slot.unit_sender

    async def answer(self, sdp: str) -> None:
        """Take the viewer's answer to the newest offer. Raises ``PeerError`` if it is bad or refuses a track;
        the peer is of no use then and must be closed."""
        if self._closed:
            raise PeerError("the peer is closed")
        await self._connection.accept(clean_answer(sdp))
        if self._watch is None:
            self._watch = self._loop.call_later(1.0, self._tick_watch, self._loop.time() + CONNECT_DEADLINE)

    async def add_candidate(self, candidate: str, sdp_mid: str) -> None:
        """Take one of the viewer's candidates. What cannot be used is dropped silently; all mids share one
        transport, so ``sdp_mid`` decides nothing."""
        text = usable_candidate(candidate)
        if text is None or self._closed or self._candidates >= MAX_CANDIDATES or not self._connection.slots:
            return
        self._candidates += 1
        await self._connection.add_candidate(text)

    def _start(self, slot: Slot, parameters: SenderParameters) -> None:
        assert slot.unit_sender is not None and self._flow is not None, "only a slot with a subscription gets ready"
        now = self._now()
        if TRANSPORT_CC in parameters.extensions:
            self._flow.control(now, self._speed())
        slot.unit_sender.start(parameters, now, slot.transport.rtt)
        self._schedule()

    def _pad(self, octets: int) -> Draft | None:
        """Padding from any sender that can make some."""
        drafts = (sender.pad(octets) for sender in self._senders.values())
        return next((draft for draft in drafts if draft is not None), None)

    def want(self, bits_per_second: int) -> None:
        """So much is of use, all subscriptions together: no need to find out whether the way takes more."""
        self._wanted = bits_per_second
        if self._flow is not None:
            self._flow.want(bits_per_second)

    def send(self, sub: int, unit: RtpUnit) -> bool:
        """Send a unit to a subscription. Never raises, never blocks; False if it was dropped.

        It is dropped while the subscription is not connected, while it waits for a keyframe (which is then
        asked for), when two units still wait for the socket, and when more was sent than the way takes (a keyframe
        is asked for once there is room again).
        """
        sender = self._senders.get(sub)
        if sender is None or self._over or self._closed:
            return False
        sent = sender.send(unit, self._now())
        self._schedule()
        return sent

    def stats(self, sub: int) -> PeerStats:
        """Counters of a subscription; all zero if it is not one of this peer's."""
        sender = self._senders.get(sub)
        return sender.stats if sender else PeerStats()

    def _feed(self, feedback: rtcp.Feedback) -> None:
        if isinstance(feedback, rtcp.Remb):
            ours = any(sender.ssrc in feedback.ssrcs for sender in self._senders.values())
            if ours and not (self._flow is not None and self._flow.controlled):
                self._emit(BitrateEstimate(feedback.bits_per_second))
            return
        if self._over or self._closed:
            return
        if isinstance(feedback, rtcp.TransportCcFeedback):
            if self._flow is not None:
                self._flow.feed(feedback.fci, self._now())
        else:
            for sender in self._senders.values():
                if sender.ssrc == feedback.ssrc:
                    sender.feed(feedback, self._now())
        self._schedule()

    def _schedule(self) -> None:
        """Wake up by the first deadline. Waking up early costs a look, moving the timer costs more."""
        flow = NEVER if self._flow is None else self._flow.deadline
        deadline = min((s.deadline for s in self._senders.values()), default=NEVER)
        deadline = min(deadline, flow) - self._clock_origin
        if deadline == NEVER or (self._timer is not None and self._timer.when() <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._over or self._closed:
            return
        for sender in self._senders.values():
            sender.tick(self._now())
        if self._flow is not None:
            self._flow.tick(self._now())
        self._schedule()

    def _changed(self, state: State) -> None:
        if state == "connected" and not self._connected:
            self._connected = True
            self._emit(PeerState("connected"))
        elif state in ("failed", "closed"):
            self._end(PeerState("failed" if state == "failed" else "closed"))

    def _tick_watch(self, connect_by: float) -> None:
        """Once a second. Silence is counted in these, not in clock time: a machine that slept, or a loop that
        stood still, heard nobody and must not conclude that nobody spoke."""
        self._silence = 0 if self._connection.heard() else self._silence + 1
        too_late = not self._connected and self._loop.time() >= connect_by
        if too_late or (self._connected and self._silence >= SILENCE_DEADLINE):
            logger.info("peer gave up: %s", "never connected" if too_late else "the viewer is silent")
            self._end(PeerState("failed"))
        if not self._over:
            self._watch = self._loop.call_later(1.0, self._tick_watch, connect_by)

    def _end(self, state: PeerState) -> None:
        if not (self._over or self._closed):
            self._over = True
            self._emit(state)

    async def close(self) -> None:
        """Hang up. May be called twice."""
        if self._closed:
            return
        self._closed = True
        for timer in (self._timer, self._watch):
            if timer is not None:
                timer.cancel()
        try:
            await asyncio.wait_for(self._connection.close(), CLOSE_DEADLINE)
        except Exception as error:
            logger.warning("peer did not close cleanly: %r", error)
