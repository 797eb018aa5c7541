"""One viewer's peer connection: commands in, events out. Must not know sessions, frames or encoders."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence, Set
from typing import Final

from framewire.errors import PeerError
from framewire.options import MAX_BITRATE_BPS, EngineOptions
from framewire.rtc.estimate.rtt import PathRtt
from framewire.rtc.events import (
    BitrateEstimate,
    KeyframeWanted,
    PeerEvent,
    PeerOffer,
    PeerState,
    PeerStats,
    PeerTrack,
)
from framewire.rtc.rtp import rtcp
from framewire.rtc.rtp.header_extensions import TRANSPORT_CC_URI
from framewire.rtc.rtp.packets import RtpPacketDraft, RtpUnit
from framewire.rtc.send.controller import SendController
from framewire.rtc.send.deadline import NEVER
from framewire.rtc.send.packet_sender import PacketSender
from framewire.rtc.send.sender import SenderParameters, UnitSender
from framewire.rtc.send.uncontrolled import UncontrolledSend
from framewire.rtc.stack.destinations import DestinationBudget, engine_bucket
from framewire.rtc.stack.peer_connection import ConnectionState, PeerConnection
from framewire.rtc.stack.sdp_filter import clean_answer, usable_candidate
from framewire.rtc.stack.sender_slot import SenderSlot

__all__ = [
    "BitrateEstimate",
    "DestinationBudget",
    "KeyframeWanted",
    "Peer",
    "PeerEvent",
    "PeerOffer",
    "PeerState",
    "PeerStats",
    "PeerTrack",
    "engine_bucket",
]

logger: Final = logging.getLogger(__name__)

CONNECT_TIMEOUT_S: Final = 10.0
"""A peer has failed if it is not connected this long after the answer. aiortc itself gives up after a minute.

Source: chosen by hand; pinned by `tests/rtc/test_peer.py::test_a_viewer_that_never_connects_has_failed`."""

SILENCE_TIMEOUT_S: Final = 7
"""A peer has failed if nothing came from the viewer for this many seconds. It answers our consent checks, and sends its
own.

Source: RFC 7675 §5.1, consent checks are at most 6 s apart."""

PEER_CLOSE_TIMEOUT_S: Final = 5.0
"""Closing may take this long, then it is given up.

Source: chosen by hand; pinned by
`tests/rtc/test_peer.py::test_a_connection_that_does_not_close_is_given_up`."""

SMOOTH_PLAYOUT_DELAY_S: Final = 0.1
"""With ``latency="smooth"`` the viewer holds frames back this long: three frames at 30 per second.

Source: chosen by hand; pinned by
`tests/rtc/test_peer.py::test_a_smooth_track_asks_for_a_playout_delay_beside_one_that_does_not`."""

WATCH_INTERVAL_S: Final = 1.0
"""Look this often whether the viewer is silent.

Source: chosen by hand; pinned by
`tests/rtc/test_peer.py::test_whether_the_viewer_is_silent_is_looked_at_every_second`."""


class Peer:
    """A peer connection that offers. Made on a running event loop and used from it alone.

    Events are delivered by the loop, never during a call to this object.
    """

    def __init__(
        self,
        options: EngineOptions,
        *,
        on_event: Callable[[PeerEvent], None],
        parity: bool = False,
        tcp_bps: Callable[[], float | None] = lambda: None,
        budget: DestinationBudget | None = None,
    ) -> None:
        """``parity``: whether the viewer understands parity packets (FlexFEC). ``tcp_bps`` returns the bits per second
        that a TCP connection to the viewer delivers, or None if unknown: the first estimate. ``budget`` is one for all
        peers of a viewer."""
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        # Steady, and yet wall-clock time: sender reports tell the viewer when a frame was published.
        self._clock_origin = time.time() - self._loop.time()
        self._connection = PeerConnection(
            options.ice_servers,
            self._slot_ready,
            self._feed,
            self._state_changed,
            parity=parity,
            udp_hosts=options.udp_host,
            budget=budget,
        )
        # Until `set_useful_bitrate` is called: one stream with the usual maximum.
        self._useful_bps: float = MAX_BITRATE_BPS
        self._tcp_bps = tcp_bps
        self._rtt = PathRtt()
        self._packets: PacketSender | None = None
        """None until it is negotiated whether the viewer gives feedback on each packet."""
        self._measures = False
        """Whether the viewer gives that feedback."""
        self._smooth: Set[int] = frozenset()
        """The subscriptions of the newest offer that are to be smooth."""
        self._senders: dict[int, UnitSender] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._watch_timer: asyncio.TimerHandle | None = None
        self._silent_intervals = 0
        self._connected = self._ended = self._closed = False

    def _now(self) -> float:
        return self._clock_origin + self._loop.time()

    def _emit(self, event: PeerEvent) -> None:
        self._loop.call_soon(self._deliver, event)

    def _deliver(self, event: PeerEvent) -> None:
        if not self._closed:
            self._on_event(event)

    # Negotiation

    async def offer(self, tracks: Sequence[PeerTrack]) -> PeerOffer:
        """An offer of exactly these tracks: all that are subscribed, those offered before included.

        Raises ``PeerError`` if the peer is closed, there is nothing to offer yet, or an ICE server's URL is invalid.
        """
        if self._closed:
            raise PeerError("the peer is closed")
        self._assign(tracks)
        if not self._connection.slots:
            raise PeerError("nothing to offer")
        sdp = await self._connection.offer()
        slots = self._connection.slots
        return PeerOffer(sdp, {slot.sub: self._connection.mid(slot) for slot in slots if slot.sub is not None})

    def _assign(self, tracks: Sequence[PeerTrack]) -> None:
        """Release the slots of tracks that are gone, and give each new track a slot."""
        self._smooth = {track.sub for track in tracks if track.latency == "smooth"}
        wanted = {track.sub for track in tracks}
        for slot in self._connection.slots:
            if slot.sub is not None and slot.sub not in wanted:
                self._senders.pop(slot.sub, None)
                slot.release()
        assigned = {slot.sub for slot in self._connection.slots}
        for track in tracks:
            if track.sub not in assigned:
                self._free_slot(track).assign(track.sub)

    def _free_slot(self, track: PeerTrack) -> SenderSlot:
        free = (slot for slot in self._connection.slots if slot.sub is None and slot.codec == track.codec)
        return next(free, None) or self._connection.add_slot(track.codec)

    async def answer(self, sdp: str) -> None:
        """Take the viewer's answer to the newest offer. Raises ``PeerError`` if it is bad or refuses a track; then the
        peer is of no use and must be closed."""
        if self._closed:
            raise PeerError("the peer is closed")
        await self._connection.accept(clean_answer(sdp))
        if self._watch_timer is None:
            deadline = self._loop.time() + CONNECT_TIMEOUT_S
            self._watch_timer = self._loop.call_later(WATCH_INTERVAL_S, self._watch, deadline)

    async def add_candidate(self, candidate: str, sdp_mid: str) -> None:
        """Take one of the viewer's candidates. Useless ones are ignored. All mids share one transport, so ``sdp_mid``
        makes no difference."""
        text = usable_candidate(candidate)
        if text is None or self._closed or not self._connection.slots:
            return
        await self._connection.add_candidate(text)

    def _slot_ready(self, slot: SenderSlot, parameters: SenderParameters) -> None:
        assert slot.sub is not None, "only a slot with a subscription becomes ready"
        now = self._now()
        if self._packets is None:
            self._measures = TRANSPORT_CC_URI in parameters.extensions
            self._packets = self._make_packet_sender(slot, now)
        self._rtt.add_check(slot.transport.rtt_s)
        slot.sender = self._senders[slot.sub] = UnitSender(
            slot.sub,
            slot.origins(),
            parameters,
            self._packets,
            slot.transport,
            self._emit,
            rtt=self._rtt,
            min_playout_delay_s=SMOOTH_PLAYOUT_DELAY_S if slot.sub in self._smooth else 0.0,
        )
        slot.sender.start(now)
        self._schedule()

    def _make_packet_sender(self, slot: SenderSlot, now: float) -> PacketSender:
        if not self._measures:
            return UncontrolledSend(slot.transport)
        controller = SendController(
            slot.transport,
            on_bitrate=lambda bps: self._emit(BitrateEstimate(bps, measured=True)),
            on_flushed=self._flushed,
            on_loss_reset=self._loss_reset,
            make_padding=self._make_padding,
            tcp_bps=self._tcp_bps(),
        )
        controller.set_useful_bitrate(self._useful_bps)
        controller.start(now)
        return controller

    def _flushed(self, ssrcs: Set[int], now: float) -> None:
        for sender in self._senders.values():
            if sender.ssrc in ssrcs:
                sender.flushed(now)

    def _loss_reset(self) -> None:
        for sender in self._senders.values():
            sender.loss_reset()

    def _make_padding(self, size_bytes: int) -> RtpPacketDraft | None:
        """Padding of any sender that can make some."""
        made = (sender.make_padding(size_bytes) for sender in self._senders.values())
        return next((padding for padding in made if padding is not None), None)

    # Units out, feedback in

    def set_useful_bitrate(self, bits_per_second: float) -> None:
        """All subscriptions together can use this much: there is no need to find out whether the path takes more."""
        self._useful_bps = bits_per_second
        if self._packets is not None:
            self._packets.set_useful_bitrate(bits_per_second)

    def send(self, sub: int, unit: RtpUnit) -> bool:
        """Send a unit to a subscription. Never raises, never blocks. Returns False if it was dropped.

        It is dropped if the subscription is not connected; if it needs a keyframe, which is then requested; if two
        units still wait for the socket; or if more was sent than the path takes. In that case a keyframe is requested
        once there is room again.
        """
        sender = self._senders.get(sub)
        if sender is None or self._ended or self._closed:
            return False
        sent = sender.send(unit, self._now())
        self._schedule()
        return sent

    def stats(self, sub: int) -> PeerStats:
        """Counters of a subscription; all zero if it may not send yet, or is not one of this peer's. For tests: the
        engine counts what it sends itself."""
        sender = self._senders.get(sub)
        return sender.stats if sender else PeerStats()

    def _feed(self, feedback: rtcp.Feedback) -> None:
        if isinstance(feedback, rtcp.Remb):
            ours = any(sender.ssrc in feedback.ssrcs for sender in self._senders.values())
            if ours and not self._measures:
                self._emit(BitrateEstimate(feedback.bits_per_second))
            return
        if self._ended or self._closed:
            return
        if isinstance(feedback, rtcp.TransportCcFeedback):
            if self._packets is not None:
                self._packets.feed(feedback.fci, self._now())
        else:
            for sender in self._senders.values():
                if sender.ssrc == feedback.ssrc:
                    sender.feed(feedback, self._now())
        self._schedule()

    # Time

    def _schedule(self) -> None:
        """Wake up at the first deadline. Waking up too early costs less than moving the timer."""
        deadline = min((sender.deadline for sender in self._senders.values()), default=NEVER)
        if self._packets is not None:
            deadline = min(deadline, self._packets.deadline)
        deadline -= self._clock_origin
        if deadline == NEVER or (self._timer is not None and self._timer.when() <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._ended or self._closed:
            return
        for sender in self._senders.values():
            sender.tick(self._now())
        if self._packets is not None:
            self._packets.tick(self._now())
        self._schedule()

    # The end

    def _state_changed(self, state: ConnectionState) -> None:
        if state == "connected" and not self._connected:
            self._connected = True
            self._emit(PeerState("connected"))
        elif state in ("failed", "closed"):
            self._end(PeerState("failed" if state == "failed" else "closed"))

    def _watch(self, connect_by: float) -> None:
        """Look whether the viewer is silent. Silence is counted in calls, not in clock time: if the machine slept or
        the loop was blocked, nothing could be received, and the viewer may have sent."""
        self._silent_intervals = 0 if self._connection.take_received() else self._silent_intervals + 1
        too_late = not self._connected and self._loop.time() >= connect_by
        if too_late or (self._connected and self._silent_intervals * WATCH_INTERVAL_S >= SILENCE_TIMEOUT_S):
            logger.info("the peer failed: %s", "it never connected" if too_late else "the viewer is silent")
            self._end(PeerState("failed"))
        if not self._ended:
            self._watch_timer = self._loop.call_later(WATCH_INTERVAL_S, self._watch, connect_by)

    def _end(self, state: PeerState) -> None:
        if not (self._ended or self._closed):
            self._ended = True
            self._emit(state)

    async def close(self) -> None:
        """Hang up. Idempotent."""
        if self._closed:
            return
        self._closed = True
        for timer in (self._timer, self._watch_timer):
            if timer is not None:
                timer.cancel()
        try:
            await asyncio.wait_for(self._connection.close(), PEER_CLOSE_TIMEOUT_S)
        except Exception as error:
            logger.warning("the peer did not close cleanly: %r", error)
