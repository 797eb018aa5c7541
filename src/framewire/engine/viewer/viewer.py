"""One viewer: carries out what its session decides. Owns its subscriptions, its peer and its timers.

Must not know which transport carries its messages, nor decide anything about signalling.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import secrets
import time
from collections.abc import Awaitable, Iterable
from functools import partial
from typing import Any, Final, Protocol

from msgspec import UNSET

from framewire import wire
from framewire.addresses import is_loopback
from framewire.authentication import ConnectionRequest
from framewire.engine.descriptors import can_open_more
from framewire.engine.stream.encoding import Encoding, EncodingReport, Key, PackedUnit, Sink
from framewire.engine.stream.stream import EncodingName, Stream
from framewire.engine.viewer.admission import Admission, Authorizer
from framewire.engine.viewer.budget import CLOSED_WAIT_S, WORK_TOKENS, Budget, cost
from framewire.engine.viewer.effects import (
    Acknowledge,
    AddCandidate,
    Admit,
    AnswerReport,
    Attach,
    Close,
    ClosePeer,
    DeadlinePassed,
    DeliverInput,
    Detach,
    Effect,
    Event,
    ListedStream,
    MakeOffer,
    OpenPeer,
    PeerFailed,
    PeerOffered,
    Send,
    SetAnswer,
    StreamsChanged,
)
from framewire.engine.viewer.input_pace import InputPace, ViewerInput
from framewire.engine.viewer.openings import PeerOpenings
from framewire.engine.viewer.session import ServerInfo, Session, State
from framewire.engine.viewer.sharing import share_bandwidth
from framewire.engine.viewer.transport import Transport
from framewire.engine.viewer.turns import Turns
from framewire.engine.viewer.viewer_peer import ViewerPeer
from framewire.errors import CloseCode, EngineError, RemoteProtocolError
from framewire.limited_log import LimitedLog
from framewire.options import EngineOptions
from framewire.rtc.peer import BitrateEstimate, DestinationBudget, KeyframeWanted, Peer, PeerEvent, PeerState
from framewire.token_bucket import TokenBucket
from framewire.viewers import WatchingViewer

log: Final = logging.getLogger(__name__)
limited_log: Final = LimitedLog(log)
"""For what a viewer can cause again and again."""

MAX_CLOSING_PEERS: Final = 8
"""Peer connections of one viewer that may be closing at a time. A viewer that opens more is closed with 4429.

Source: chosen by hand (SECURITY.md S12); pinned by
`tests/engine/viewer/test_viewer.py::test_peers_are_not_opened_faster_than_they_close`"""


MAX_UNADMITTED_SIZE: Final = wire.MAX_TEXT_MESSAGE_BYTES
"""Characters of all messages of a viewer that is not admitted yet; more closes it with 4429.

Source: chosen by hand: a few hundred are needed, and one message of any length is for the contract to judge; pinned by
`tests/engine/viewer/test_viewer.py::test_what_a_viewer_may_send_before_it_is_admitted_is_bounded`"""


PROXY_HEADERS: Final = ("forwarded", "x-forwarded-for", "x-real-ip")
"""Of a request that came by way of a reverse proxy, which may be on this machine while its viewers are not.

Source: RFC 7239, and what proxies sent before it; pinned by
`tests/test_exposure.py::test_a_viewer_of_another_machine_makes_this_one_send_nothing_to_itself`"""


class ViewerContext(Protocol):
    """What viewers need of the engine that serves them."""

    @property
    def server_info(self) -> ServerInfo: ...
    @property
    def listed_streams(self) -> tuple[ListedStream, ...]: ...
    @property
    def options(self) -> EngineOptions: ...
    @property
    def authorize(self) -> Authorizer: ...
    @property
    def turns(self) -> Turns: ...
    @property
    def openings(self) -> PeerOpenings: ...
    @property
    def announced(self) -> TokenBucket:
        """The ICE candidates of all viewers."""

    def admit(self, viewer: Viewer, admission: Admission) -> Admission:
        """What was decided about the viewer; returns what holds, since there may be too many already."""

    def stream(self, id_: int) -> Stream | None: ...
    def input_arrived(self, stream: int, client_id: str, principal: str | None, event: dict[str, Any]) -> None: ...
    def viewers_changed(self, stream: int) -> None:
        """A subscription to the stream has begun or ended, or can be seen now or no more."""


class Viewer:
    """One viewer, from the opening of its transport to its end. Made on a running loop and used from it alone."""

    def __init__(self, transport: Transport, context: ViewerContext, request: ConnectionRequest) -> None:
        self.client_id: str = secrets.token_hex(6)
        self.transport = transport
        self._context = context
        self._session = Session(context.server_info, request, context.listed_streams, time.monotonic())
        self._budget = Budget()
        self._subs: dict[int, Attach] = {}
        self._visible: dict[int, bool] = {}
        """By subscription, as last reported."""
        self._peer: ViewerPeer | None = None
        self._destinations = DestinationBudget(context.announced, loopback=_may_be_here(request))
        self._timer: asyncio.TimerHandle | None = None
        self._input = InputPace()
        self._input_timer: asyncio.TimerHandle | None = None
        self._admission: asyncio.Task[None] | None = None
        self._unadmitted_size = 0
        self._closing_peers: set[asyncio.Task[None]] = set()
        self._closed = False
        transport.start(on_lost=partial(self.close, CloseCode.GOING_AWAY, ""))
        self._set_timer()

    @property
    def admitted(self) -> bool:
        """Whether the viewer has been admitted."""
        return self._session.state is State.READY

    @property
    def closed(self) -> bool:
        return self._closed

    def watching(self, stream: int) -> WatchingViewer | None:
        """This viewer as one of the stream; None if it does not subscribe to it."""
        subs = [sub for sub, effect in self._subs.items() if effect.stream == stream]
        if not subs:
            return None
        # A subscription that has not reported yet takes the place of one that has, most often.
        reported = [self._visible[sub] for sub in subs if sub in self._visible]
        return WatchingViewer(self.client_id, self._session.principal, any(reported) or not reported)

    # What the transport and the engine call

    async def take(self, text: str | bytes | None) -> None:
        """Take a text message of the viewer, or None for something that is answered without us, when the loop has time
        for it. Returns when the viewer may send another one: until then, read nothing of it."""
        await self._context.turns.wait()
        with self._context.turns.taken():
            if text is None:
                self._budget.spend(time.monotonic(), 1.0)
            else:
                self.receive(text)
        wait_s = self._excess_s()
        if wait_s and not self._closed:
            await asyncio.sleep(wait_s)

    def bytes_came(self, size: int) -> float:
        """So many bytes of the viewer have come. Returns the seconds in which no more are to be read."""
        self._budget.spend_bytes(time.monotonic(), size)
        wait_s = self._excess_s()
        return max(wait_s, CLOSED_WAIT_S) if self._closed else wait_s

    def _excess_s(self) -> float:
        """Seconds until the viewer may send more. One that has sent too much for too long is closed."""
        now = time.monotonic()
        wait_s = self._budget.wait_s(now)
        try:
            self._budget.check(now)
        except RemoteProtocolError as error:
            self.close(error.code, error.reason)
        return wait_s

    def receive(self, text: str | bytes) -> None:
        """Take a text message of the viewer at once."""
        if not self.admitted:
            self._unadmitted_size += len(text)
            if self._unadmitted_size > MAX_UNADMITTED_SIZE:
                return self.close(CloseCode.LIMITS, "too much before welcome")
        try:
            message = wire.decode_viewer(text)
        except RemoteProtocolError as error:
            self.close(error.code, error.reason)
        else:
            self._budget.spend(time.monotonic(), cost(message))
            self._feed(message)

    def streams_changed(self, streams: tuple[ListedStream, ...]) -> None:
        self._feed(StreamsChanged(streams))

    def close(self, code: int, reason: str) -> None:
        """Release everything and close the transport with this code. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._session.close()
        # By this table, not by the session's effects: those after the effect that closes the viewer are dropped.
        for sub in list(self._subs):
            self._detach(sub)
        self._close_peer()
        self._deliver(self._input.rest())
        for timer in (self._timer, self._input_timer):
            if timer:
                timer.cancel()
        if self._admission:
            self._admission.cancel()
        self.transport.close(code, reason)

    def abort(self) -> None:
        """Cut the transport off without waiting for the viewer."""
        self.transport.abort()

    async def wait_closed(self) -> None:
        """Close, and wait until the transport and the peers are closed as well."""
        self.close(CloseCode.GOING_AWAY, "")
        await asyncio.gather(self.transport.wait_closed(), *self._closing_peers, return_exceptions=True)

    def _feed(self, event: Event) -> None:
        if self._closed:
            return
        try:
            for effect in self._session.feed(event, time.monotonic()):
                if self._closed:
                    return  # An effect closed the viewer, which released everything.
                self._execute(effect)
            self._set_timer()
        except RemoteProtocolError as error:
            self.close(error.code, error.reason)
        except Exception:
            # A bug ends this viewer alone: what called us serves others as well.
            limited_log.exception("a viewer failed")
            self.close(CloseCode.GOING_AWAY, "internal error")

    def _set_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        deadline = self._session.deadline
        if deadline is not None and not self._closed:
            delay_s = max(0.0, deadline - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._feed, DeadlinePassed())

    # Effects

    def _execute(self, effect: Effect) -> None:
        log.debug("%s > %s", self.client_id, type(effect).__name__)
        match effect:
            case Send(message):
                self._send(message)
            case DeliverInput(stream, principal, event):
                arrived = ViewerInput(stream, principal, wire.event_dict(event))
                self._deliver(self._input.put(arrived, time.monotonic()))
            case Acknowledge(sub, frame):
                self._acknowledge(sub, frame)
            case AnswerReport(report):
                self._answer_report(report)
            case Attach():
                self._attach(effect)
            case Detach(sub):
                self._detach(sub)
            case Admit(token, request):
                self._admit(token, request)
            case Close(code, reason):
                self.close(code, reason)
            case _:
                self._execute_for_peer(effect)

    def _execute_for_peer(self, effect: Effect) -> None:
        match effect:
            case OpenPeer(number, parity):
                self._open_peer(number, parity)
            case ClosePeer():
                self._close_peer()
            case MakeOffer() | SetAnswer() | AddCandidate():
                if self._peer:
                    if isinstance(effect, MakeOffer):
                        self.transport.hold_units()
                    self._peer.negotiate(effect)

    def _send(self, message: wire.ServerMessage) -> None:
        if not self.transport.send(message):
            self.close(CloseCode.LIMITS, "the viewer does not read")

    # Input

    def _deliver(self, events: Iterable[ViewerInput]) -> None:
        """Hand the events on, and look again when more may go on."""
        for each in events:
            self._context.input_arrived(each.stream, self.client_id, each.principal, each.event)
        delay_s = self._input.delay(time.monotonic())
        if delay_s is not None and self._input_timer is None and not self._closed:
            self._input_timer = asyncio.get_running_loop().call_later(delay_s, self._deliver_due)

    def _deliver_due(self) -> None:
        self._input_timer = None
        self._deliver(self._input.due(time.monotonic()))

    # Admission

    def _admit(self, token: str, request: ConnectionRequest) -> None:
        answer = self._context.authorize(token, request)
        if inspect.isawaitable(answer):
            self._admission = asyncio.create_task(self._await_admission(answer))
        else:
            self._decided(answer)

    def _decided(self, admission: Admission) -> None:
        if self._closed:
            return
        self._feed(self._context.admit(self, admission))
        if self.admitted:
            self.transport.admitted()

    async def _await_admission(self, answer: Awaitable[Admission]) -> None:
        try:
            admission = await answer
        except EngineError as error:  # the program has said the rest
            limited_log.warning("a viewer could not be authorized: %s", error)
            self.close(CloseCode.GOING_AWAY, "internal error")
        except Exception:
            limited_log.exception("a viewer could not be authorized")
            self.close(CloseCode.GOING_AWAY, "internal error")
        else:
            self._decided(admission)

    # Subscriptions

    def _attach(self, effect: Attach) -> None:
        self._subs[effect.sub] = effect
        self._context.viewers_changed(effect.stream)
        over_rtp = effect.mode == "webrtc"
        if over_rtp and self._peer and not self._peer.connected:
            self._peer.pending.append(effect)
            return
        stream = self._context.stream(effect.stream)
        if stream is None:
            return
        name: EncodingName = "lossless" if effect.codec is None else effect.codec
        sink: Sink = partial(self._send_over_rtp if over_rtp else self._send_over_transport, effect.sub)
        stream.attach(self._key(effect.sub), name, sink, packets=over_rtp)
        if over_rtp and self._peer:
            self._share_bandwidth(self._peer)

    def _detach(self, sub: int) -> None:
        effect = self._subs.pop(sub, None)
        if effect is None:
            return
        if self._peer and effect in self._peer.pending:
            self._peer.pending.remove(effect)
        self.transport.drop_units(sub)
        self._visible.pop(sub, None)
        self._context.viewers_changed(effect.stream)
        if stream := self._context.stream(effect.stream):
            stream.detach(self._key(sub))

    def _send_over_rtp(self, sub: int, packed: PackedUnit) -> bool:
        peer = self._peer
        return peer is not None and packed.rtp is not None and peer.connection.send(sub, packed.rtp)

    def _send_over_transport(self, sub: int, packed: PackedUnit) -> bool:
        self.transport.send_unit(sub, packed)
        return True

    def _acknowledge(self, sub: int, frame: int) -> None:
        # Deferred, so that the next unit holds the newest frame.
        if self._peer and self._peer.defer(partial(self._acknowledge, sub, frame)):
            self._budget.spend(time.monotonic(), 1.0)
            return
        encoding = self._encoding(sub)
        if encoding is None or not encoding.acknowledge(self._key(sub), frame):
            self._budget.spend(time.monotonic(), 1.0)

    def _answer_report(self, report: wire.Report) -> None:
        effect, encoding = self._subs.get(report.sub), self._encoding(report.sub)
        stream = self._context.stream(effect.stream) if effect else None
        if stream is None or effect is None:
            return
        if self._visible.get(report.sub) != report.visible:
            if report.visible and report.sub in self._visible:
                self._budget.spend(time.monotonic(), WORK_TOKENS)  # it is sent a keyframe
            self._visible[report.sub] = report.visible
            self._context.viewers_changed(effect.stream)
        now, key = time.monotonic(), self._key(report.sub)
        numbers = EncodingReport()
        if encoding:
            encoding.show(key, report.visible)
            if report.keyframe:
                encoding.request_keyframe(key)
            if report.slack_ms is not UNSET and report.refresh_ms is not UNSET:
                encoding.vsync(key, report.slack_ms / 1000, report.refresh_ms / 1000)
            numbers = encoding.report(key, now)
        message = wire.Stats(
            sub=report.sub, time=time.time() * 1000, echo=report.time,
            published_fps=stream.published_fps(now), sent_fps=numbers.sent_fps,
            encode_ms=numbers.encode_ms, bitrate=numbers.sent_bps, target_bitrate=numbers.target_bps,
            viewers=stream.viewers,
            frames=[wire.FrameMark(mark.number, mark.rtp, mark.time_us / 1000) for mark in numbers.marks],
            codec=effect.codec or UNSET, rested_ms=stream.rested_ms(),
        )  # fmt: skip
        self._send(message)

    def _key(self, sub: int) -> Key:
        return (self.client_id, sub)

    def _encoding(self, sub: int) -> Encoding | None:
        effect = self._subs.get(sub)
        stream = self._context.stream(effect.stream) if effect else None
        return stream.encoding(self._key(sub)) if stream else None

    # The peer connection

    def _open_peer(self, number: int, parity: bool) -> None:
        if len(self._closing_peers) >= MAX_CLOSING_PEERS:
            return self.close(CloseCode.LIMITS, "peer connections are opened faster than they close")
        if not can_open_more():
            limited_log.warning("a viewer stays on its WebSocket: too many files are open for WebRTC (ulimit -n)")
            failed = PeerFailed(number, "too many files are open at the server (ulimit -n)")
            asyncio.get_running_loop().call_soon(self._feed, failed)  # after the effects that come with this one
            return None
        peer = Peer(
            self._context.options,
            parity=parity,
            on_event=partial(self._on_peer_event, number),
            tcp_bps=self.transport.delivery_rate_bps,
            budget=self._destinations,
        )
        self._peer = ViewerPeer(number, peer, self._on_negotiated, self._context.openings)

    def _close_peer(self) -> None:
        if self._peer is None:
            return
        task = asyncio.create_task(self._peer.close())
        self._peer = None
        self.transport.release_units()
        self._closing_peers.add(task)
        task.add_done_callback(self._closing_peers.discard)

    def _on_negotiated(self, event: PeerOffered | PeerFailed) -> None:
        self._feed(event)
        self.transport.release_units()

    def _on_peer_event(self, number: int, event: PeerEvent) -> None:
        peer = self._peer
        if peer is None or peer.number != number:
            return
        match event:
            case KeyframeWanted(sub):
                if encoding := self._encoding(sub):
                    encoding.request_keyframe(self._key(sub))
            case BitrateEstimate():
                peer.estimate = event
                self._share_bandwidth(peer)
            case PeerState("connected"):
                peer.mark_connected()
                pending, peer.pending = peer.pending, []
                for effect in pending:
                    self._attach(effect)
            case PeerState(state):
                self._feed(PeerFailed(number, f"the peer connection {state}"))

    def _share_bandwidth(self, peer: ViewerPeer) -> None:
        """Give each encoding that goes through the peer its part of the peer's one estimate."""
        now = time.monotonic()
        subs = [sub for sub, effect in self._subs.items() if effect.mode == "webrtc"]
        encodings = {self._key(sub): encoding for sub in subs if (encoding := self._encoding(sub))}
        peer.connection.set_useful_bitrate(sum(encoding.max_bps for encoding in encodings.values()))
        if peer.estimate is None or not encodings:
            return
        sent_bps = {key: encoding.sent_bps(key, now) for key, encoding in encodings.items()}
        max_bps = {key: encoding.max_bps for key, encoding in encodings.items()}
        parts = share_bandwidth(peer.estimate.bits_per_second, sent_bps, max_bps)
        for key, encoding in encodings.items():
            encoding.estimate(key, parts[key], sent_bps[key], measured=peer.estimate.measured)


def _may_be_here(request: ConnectionRequest) -> bool:
    """Whether the viewer may be on this machine, as one that comes by a forwarded port is, too."""
    if any(name in request.headers for name in PROXY_HEADERS):
        return False
    return request.remote is None or is_loopback(request.remote)
