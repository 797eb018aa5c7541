"""One viewer's signalling state machine: `feed(event, now)` returns effects.

It is the server's half of `signaling/README.md`; `viewer.py` carries out what it decides.
Pure: must not know transports, peers, encoders or clocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from framewire import wire
from framewire.authentication import ConnectionRequest
from framewire.engine.viewer.admission import Admitted, Refused
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
    OfferedTrack,
    OpenPeer,
    PeerFailed,
    PeerOffered,
    Send,
    SetAnswer,
    StreamsChanged,
)
from framewire.errors import CloseCode, RemoteProtocolError
from framewire.options import Latency

HELLO_TIMEOUT_S: Final = 5.0
"""Time from the opening of a connection until the viewer is admitted: its `hello` and the answer to `Admit`.

Source: chosen by hand (signaling/README.md, `hello`); pinned by
`tests/engine/viewer/test_session.py::test_a_silent_viewer_is_closed_at_the_deadline`"""

ANSWER_TIMEOUT_S: Final = 10.0
"""Time from an offer until its answer. Then the peer has failed.

Source: chosen by hand; pinned by `tests/engine/viewer/test_session.py::test_an_unanswered_offer_fails_the_peer`"""

MAX_VIDEOS: Final = 64
"""Subscriptions of one viewer over WebRTC at a time; further ones get `ended{limits}`, and their views stay lossless.

Source: chosen by hand (SECURITY.md S12): an answer for so many fits a message; pinned by
`tests/engine/viewer/test_session.py::test_the_65th_video_is_refused`"""

MAX_SUBSCRIPTIONS: Final = 128
"""Subscriptions of one viewer at a time; further ones get `ended{limits}`. A view has two until its video is shown.

Source: chosen by hand (SECURITY.md S12): two for each of `MAX_VIDEOS`; pinned by
`tests/engine/viewer/test_session.py::test_the_129th_subscription_is_refused`"""

MAX_CANDIDATE_MESSAGES: Final = 64
"""ICE candidates that a viewer may send for one peer; one more closes it with 4429. A browser sends about ten.

Source: chosen by hand (SECURITY.md S14); pinned by
`tests/engine/viewer/test_session.py::test_the_65th_candidate_of_a_peer_is_refused`"""

MAX_WAITING_MESSAGES: Final = 16
"""Messages of a viewer that wait until it is admitted; one more closes it with 4429. At 64 KiB in all, 256 viewers
that are not admitted yet hold 16 MiB at most.

Source: chosen by hand; pinned by
`tests/engine/viewer/test_session.py::test_the_17th_message_before_admission_is_refused`"""

MAX_DETAIL_CHARACTERS: Final = 512
"""Length of `ended.detail`.

Source: signaling/schema.json; pinned by
`tests/engine/viewer/test_session.py::test_a_detail_is_cut_to_what_the_contract_allows`"""


class State(Enum):
    OPENING = "opening"
    """No `hello` yet."""
    ADMITTING = "admitting"
    """`Admit` is not answered yet."""
    READY = "ready"
    CLOSED = "closed"


@dataclass(slots=True)
class _Subscription:
    stream: int
    mode: wire.Mode
    codec: wire.Codec | None
    latency: Latency
    attached: bool = False
    """False between `subscribe` and the answer to the offer that carries it."""


@dataclass(frozen=True)
class ServerInfo:
    """What a session sends of its server."""

    software: str
    epoch: str
    ice_servers: Sequence[wire.IceServer] = ()
    unix_offset_s: float = 0.0
    """Added to the time that `feed` gets, this is the Unix time."""


class Session:
    """The state of one viewer's connection. `feed` raises `RemoteProtocolError` when the viewer breaks the contract:
    the caller then closes the connection with its code, and calls nothing but `close`."""

    def __init__(
        self, server: ServerInfo, request: ConnectionRequest, streams: tuple[ListedStream, ...], now: float
    ) -> None:
        self._server = server
        self._request = request
        self._streams = streams
        self._state = State.OPENING
        self.principal: str | None = None
        """Who the viewer was admitted as, where authentication says so."""
        self._hello: wire.Hello | None = None
        self._hello_by = now + HELLO_TIMEOUT_S
        self._waiting: list[wire.ViewerMessage] = []
        """Messages that came before the viewer was admitted."""
        self._subs: dict[int, _Subscription] = {}
        self._highest_sub = self._peer = self._offer = self._candidates = 0
        self._peer_open = False
        self._offered: tuple[int, ...] = ()
        self._answer_by: float | None = None
        self._offer_outdated = False
        """The subscriptions have changed since the offer that waits for its answer."""

    @property
    def state(self) -> State:
        return self._state

    @property
    def deadline(self) -> float | None:
        """When to feed `DeadlinePassed`; None for never."""
        return self._hello_by if self._state in (State.OPENING, State.ADMITTING) else self._answer_by

    def feed(self, event: Event, now: float) -> list[Effect]:
        """Take an event that happened at ``now`` seconds; returns what to do, in order."""
        match event:
            case _ if self._state is State.CLOSED:
                return []
            case StreamsChanged():
                return self._streams_changed(event, now)
            case PeerOffered():
                return self._peer_offered(event, now)
            case PeerFailed():
                return self._peer_failed(event) if event.peer == self._peer and self._peer_open else []
            case DeadlinePassed():
                return self._deadline_passed(now)
            case Admitted() | Refused():
                return self._admission(event, now)
        match self._state:
            case State.OPENING:
                return self._on_hello(event)
            case State.ADMITTING:
                return self._wait(event)
        return self._on_message(event, now)

    def close(self) -> list[Effect]:
        """The connection is over: releases everything. Idempotent."""
        if self._state is State.CLOSED:
            return []
        self._state = State.CLOSED
        effects: list[Effect] = [Detach(sub) for sub, s in self._subs.items() if s.attached]
        if self._peer_open:
            effects.append(ClosePeer(self._peer))
        return effects

    # Opening

    def _on_hello(self, event: wire.ViewerMessage) -> list[Effect]:
        if not isinstance(event, wire.Hello):
            raise RemoteProtocolError(CloseCode.BAD_MESSAGE, "the first message must be hello")
        if event.version != wire.VERSION:
            raise RemoteProtocolError(CloseCode.VERSION, f"this server has version {wire.VERSION} of the protocol")
        self._hello = event
        self._state = State.ADMITTING
        return [Admit(event.token, self._request)]

    def _wait(self, event: wire.ViewerMessage) -> list[Effect]:
        if len(self._waiting) >= MAX_WAITING_MESSAGES:
            raise RemoteProtocolError(CloseCode.LIMITS, "too many messages before welcome")
        self._waiting.append(event)
        return []

    def _admission(self, event: Admitted | Refused, now: float) -> list[Effect]:
        assert self._state is State.ADMITTING, "Admit is answered once"
        if isinstance(event, Refused):
            raise RemoteProtocolError(event.code, event.reason)
        self._state = State.READY
        self.principal = event.principal
        server, unix_ms = self._server, (now + self._server.unix_offset_s) * 1000
        welcome = wire.Welcome(wire.VERSION, server.software, server.epoch, unix_ms, list(server.ice_servers))
        effects: list[Effect] = [Send(welcome), Send(self._stream_list())]
        waiting, self._waiting = self._waiting, []
        for message in waiting:
            effects += self._on_message(message, now)
        return effects

    def _deadline_passed(self, now: float) -> list[Effect]:
        if self._state is State.OPENING and now >= self._hello_by:
            return [Close(CloseCode.HELLO_TIMEOUT, f"no hello in {HELLO_TIMEOUT_S:.0f} s")]
        if self._state is State.ADMITTING and now >= self._hello_by:
            return [Close(CloseCode.HELLO_TIMEOUT, f"not admitted in {HELLO_TIMEOUT_S:.0f} s")]
        if self._answer_by is not None and now >= self._answer_by:
            return self._peer_failed(PeerFailed(self._peer, f"no answer in {ANSWER_TIMEOUT_S:.0f} s"))
        return []

    # Ready

    def _on_message(self, event: wire.ViewerMessage, now: float) -> list[Effect]:
        match event:
            case wire.Subscribe():
                return self._subscribe(event, now)
            case wire.Answer():
                return self._answer(event, now)
            case wire.Candidate():
                return self._candidate(event)
            case wire.Hello():
                raise RemoteProtocolError(CloseCode.BAD_MESSAGE, "a second hello")
        sub = self._subscription(event.sub)
        if sub is None:
            return []
        match event:
            case wire.Unsubscribe():
                return self._unsubscribe(event.sub, now)
            case wire.Input():
                return [DeliverInput(sub.stream, self.principal, event.event)]
            case wire.Ack():
                return [Acknowledge(event.sub, event.frame)]
            case wire.Report():
                return [AnswerReport(event)]

    def _subscription(self, number: int) -> _Subscription | None:
        """The subscription; None for one that has ended: its messages and the ending crossed."""
        if number > self._highest_sub:
            raise RemoteProtocolError(CloseCode.BAD_MESSAGE, f"subscription {number} was never made")
        return self._subs.get(number)

    def _subscribe(self, event: wire.Subscribe, now: float) -> list[Effect]:
        if event.sub <= self._highest_sub:
            raise RemoteProtocolError(CloseCode.BAD_MESSAGE, f"sub {event.sub} is not above {self._highest_sub}")
        self._highest_sub = event.sub
        if len(self._subs) >= MAX_SUBSCRIPTIONS:
            return [_ended(event.sub, "limits", f"at most {MAX_SUBSCRIPTIONS} subscriptions on one socket")]
        if event.mode == "webrtc" and sum(sub.mode == "webrtc" for sub in self._subs.values()) >= MAX_VIDEOS:
            return [_ended(event.sub, "limits", f"at most {MAX_VIDEOS} videos over WebRTC on one socket")]
        stream = next((s for s in self._streams if s.info.name == event.stream), None)
        if stream is None:
            return [_ended(event.sub, "no_such_stream", f"there is no stream {event.stream!r}")]
        id_ = stream.info.id
        if event.mode != "webrtc" and any((s.stream, s.mode) == (id_, event.mode) for s in self._subs.values()):
            raise RemoteProtocolError(CloseCode.BAD_MESSAGE, f"{event.mode} of this stream is subscribed already")
        codec = self._choose_codec(event, stream.codecs)
        if codec is None and event.mode != "lossless":
            return [_ended(event.sub, "no_codec", "viewer and stream share no video codec")]
        self._subs[event.sub] = _Subscription(id_, event.mode, codec, stream.latency)
        if event.mode == "webrtc":
            return self._open_peer(now)
        self._subs[event.sub].attached = True
        return [Attach(event.sub, id_, event.mode, codec)]

    def _choose_codec(self, event: wire.Subscribe, codecs: tuple[wire.Codec, ...]) -> wire.Codec | None:
        """The first codec of the viewer's list that is one of the stream's ``codecs`` as well."""
        assert self._hello is not None, "nothing is subscribed before hello"
        if event.mode == "lossless":
            return None
        decodable = self._hello.codecs if event.mode == "webrtc" else (self._hello.webcodecs or [])
        wanted = [event.codec] if event.codec else decodable
        return next((codec for codec in wanted if codec in decodable and codec in codecs), None)

    def _unsubscribe(self, number: int, now: float) -> list[Effect]:
        sub = self._subs.pop(number)
        effects: list[Effect] = [Detach(number)] if sub.attached else []
        if sub.mode == "webrtc":
            effects += self._webrtc_ended(now)
        return effects

    def _streams_changed(self, event: StreamsChanged, now: float) -> list[Effect]:
        self._streams = event.streams
        if self._state is not State.READY:
            return []
        ids = {stream.info.id for stream in event.streams}
        gone = [number for number, sub in self._subs.items() if sub.stream not in ids]
        effects: list[Effect] = []
        for number in gone:
            effects += [*self._unsubscribe(number, now), _ended(number, "stream_closed", "the stream was closed")]
        return [*effects, Send(self._stream_list())]

    def _stream_list(self) -> wire.Streams:
        return wire.Streams([stream.info for stream in self._streams])

    # The peer connection

    def _open_peer(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        if not self._peer_open:
            self._peer += 1
            self._peer_open = True
            self._candidates = 0
            effects.append(OpenPeer(self._peer, bool(self._hello and self._hello.repair)))
        return effects + self._negotiate(now)

    def _negotiate(self, now: float) -> list[Effect]:
        """Offer all WebRTC subscriptions. While an offer waits for its answer, only note that another must follow."""
        if self._answer_by is not None:
            self._offer_outdated = True
            return []
        self._offer_outdated = False
        self._offer += 1
        self._answer_by = now + ANSWER_TIMEOUT_S
        tracks = tuple(
            OfferedTrack(number, sub.codec, sub.latency)
            for number, sub in self._subs.items()
            if sub.mode == "webrtc" and sub.codec
        )
        self._offered = tuple(track.sub for track in tracks)
        return [MakeOffer(self._peer, self._offer, tracks)]

    def _webrtc_ended(self, now: float) -> list[Effect]:
        """A WebRTC subscription has ended: negotiate those that remain, or close the peer."""
        if any(sub.mode == "webrtc" for sub in self._subs.values()):
            return self._negotiate(now)
        return self._close_peer()

    def _close_peer(self) -> list[Effect]:
        self._peer_open = False
        self._answer_by = None
        return [ClosePeer(self._peer)]

    def _peer_offered(self, event: PeerOffered, now: float) -> list[Effect]:
        if not self._peer_open or (event.peer, event.offer) != (self._peer, self._offer):
            return []
        if self._answer_by is not None:
            self._answer_by = now + ANSWER_TIMEOUT_S  # where many viewers come at once, an offer waits
        tracks = [
            wire.Track(sub, mid, codec)
            for sub, mid in event.mids.items()
            if (known := self._subs.get(sub)) and (codec := known.codec)
        ]
        return [Send(wire.Offer(event.peer, event.offer, event.sdp, tracks))]

    def _answer(self, event: wire.Answer, now: float) -> list[Effect]:
        if event.peer > self._peer or event.offer > self._offer:
            raise RemoteProtocolError(CloseCode.BAD_MESSAGE, "an answer to an offer that was never made")
        if not self._peer_open or self._answer_by is None or (event.peer, event.offer) != (self._peer, self._offer):
            return []
        self._answer_by = None
        effects: list[Effect] = [SetAnswer(event.peer, event.sdp)]
        for number in self._offered:
            sub = self._subs.get(number)
            if sub and not sub.attached:
                sub.attached = True
                effects.append(Attach(number, sub.stream, sub.mode, sub.codec))
        return effects + (self._negotiate(now) if self._offer_outdated else [])

    def _candidate(self, event: wire.Candidate) -> list[Effect]:
        if event.peer > self._peer:
            raise RemoteProtocolError(CloseCode.BAD_MESSAGE, "a candidate for a peer that was never made")
        if not self._peer_open or event.peer != self._peer:
            return []
        self._candidates += 1
        if self._candidates > MAX_CANDIDATE_MESSAGES:
            raise RemoteProtocolError(CloseCode.LIMITS, f"more than {MAX_CANDIDATE_MESSAGES} candidates")
        return [AddCandidate(event.peer, event.candidate, event.sdp_mid)]

    def _peer_failed(self, event: PeerFailed) -> list[Effect]:
        effects: list[Effect] = []
        for number in [n for n, s in self._subs.items() if s.mode == "webrtc"]:
            if self._subs.pop(number).attached:
                effects.append(Detach(number))
            effects.append(_ended(number, event.reason, event.detail))
        return effects + self._close_peer()


def _ended(sub: int, reason: wire.EndReason, detail: str) -> Send:
    return Send(wire.Ended(sub, reason, detail[:MAX_DETAIL_CHARACTERS]))
