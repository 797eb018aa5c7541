"""One viewer's signalling machine: `feed(input, now)` returns effects. The server's half of `signaling/README.md`.

Pure: must not know sockets, peers, encoders or clocks. It decides; `connection.py` does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from framewire import wire
from framewire.errors import CloseCode, RemoteProtocolError

HELLO_TIMEOUT: Final = 5.0
ANSWER_TIMEOUT: Final = 10.0
MAX_SUBSCRIPTIONS: Final = 64
MAX_CANDIDATES: Final = 64

# Effects: what the machine asks its shell to do, in order.


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


@dataclass(frozen=True, slots=True)
class MakeOffer:
    """Negotiate these subscriptions on the peer; answer with `PeerOffered` or `PeerFailed`."""

    peer: int
    offer: int
    tracks: tuple[tuple[int, wire.Codec, int], ...]
    """(subscription, codec, stream id)"""


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
    sub: int


@dataclass(frozen=True, slots=True)
class Deliver:
    """Hand an input event to whoever publishes the stream."""

    stream: int
    event: wire.RenderviewEvent


@dataclass(frozen=True, slots=True)
class ReturnCredit:
    sub: int
    frame: int


@dataclass(frozen=True, slots=True)
class Heard:
    """The viewer reported on a subscription; it is owed `stats`."""

    report: wire.Report


Effect = (
    Send | Close | OpenPeer | MakeOffer | SetAnswer | AddCandidate | ClosePeer | Attach | Detach | Deliver
    | ReturnCredit | Heard
)  # fmt: skip

# Inputs: a viewer's message, or one of these.


@dataclass(frozen=True, slots=True)
class StreamsChanged:
    streams: tuple[wire.StreamInfo, ...]


@dataclass(frozen=True, slots=True)
class PeerOffered:
    peer: int
    offer: int
    sdp: str
    mids: dict[int, str]


@dataclass(frozen=True, slots=True)
class PeerFailed:
    peer: int
    detail: str
    reason: wire.EndReason = "peer_failed"


@dataclass(frozen=True, slots=True)
class Expired:
    """`Session.deadline` has passed."""


Event = wire.ViewerMessage | StreamsChanged | PeerOffered | PeerFailed | Expired


class State(Enum):
    OPENING = "opening"
    READY = "ready"
    CLOSED = "closed"


@dataclass(slots=True)
class _Subscription:
    stream: int
    mode: wire.Mode
    codec: wire.Codec | None
    live: bool = False
    """Attached: false between `subscribe` and the answer that carries it."""


@dataclass(frozen=True)
class Terms:
    """What the server brings to a conversation."""

    admits: Callable[[str], bool]
    """Whether a token is right."""
    codecs: tuple[wire.Codec, ...]
    """What the engine can encode, best first."""
    server: str
    epoch: str
    ice_servers: Sequence[wire.IceServer] = ()
    unix: float = 0.0
    """Seconds to add to the machine's time to get Unix time."""


class Session:
    """One socket's state. `feed` raises `RemoteProtocolError` when the viewer breaks the contract:
    the shell closes with its code, then feeds nothing more but `close`."""

    def __init__(self, terms: Terms, streams: tuple[wire.StreamInfo, ...], now: float) -> None:
        self._terms = terms
        self._streams = streams
        self.state = State.OPENING
        """Read it, leave it."""
        self._hello: wire.Hello | None = None
        self._hello_by = now + HELLO_TIMEOUT
        self._subs: dict[int, _Subscription] = {}
        self._highest = self._peer = self._offer = self._candidates = 0
        self._peer_open = False
        self._offered: tuple[int, ...] = ()
        self._answer_by: float | None = None
        self._stale = False
        """The live subscriptions changed since the offer that is out."""

    @property
    def deadline(self) -> float | None:
        """When to feed `Expired`; None for never."""
        return self._hello_by if self.state is State.OPENING else self._answer_by

    def feed(self, event: Event, now: float) -> list[Effect]:
        """What happened, at ``now`` seconds; returns what to do, in order."""
        if self.state is State.CLOSED:
            return []
        if isinstance(event, StreamsChanged):
            return self._streams_changed(event, now)
        if isinstance(event, PeerOffered):
            return self._peer_offered(event)
        if isinstance(event, PeerFailed):
            return self._peer_failed(event) if event.peer == self._peer and self._peer_open else []
        if isinstance(event, Expired):
            return self._expired(now)
        if self.state is State.OPENING:
            return self._on_hello(event, now)
        return self._on_message(event, now)

    def close(self) -> list[Effect]:
        """The socket is gone: lets go of everything. Idempotent."""
        if self.state is State.CLOSED:
            return []
        self.state = State.CLOSED
        effects: list[Effect] = [Detach(sub) for sub, s in self._subs.items() if s.live]
        if self._peer_open:
            effects.append(ClosePeer(self._peer))
        self._subs.clear()
        return effects

    # Opening

    def _on_hello(self, event: wire.ViewerMessage, now: float) -> list[Effect]:
        if not isinstance(event, wire.Hello):
            raise RemoteProtocolError(CloseCode.BAD_MESSAGE, "the first message is hello")
        if event.version != wire.VERSION:
            raise RemoteProtocolError(CloseCode.VERSION, f"this server speaks version {wire.VERSION}")
        if not self._terms.admits(event.token):
            raise RemoteProtocolError(CloseCode.UNAUTHORIZED, "wrong token")
        self._hello = event
        self.state = State.READY
        terms, time = self._terms, (now + self._terms.unix) * 1000
        welcome = wire.Welcome(wire.VERSION, terms.server, terms.epoch, time, list(terms.ice_servers))
        return [Send(welcome), Send(wire.Streams(list(self._streams)))]

    def _expired(self, now: float) -> list[Effect]:
        if self.state is State.OPENING and now >= self._hello_by:
            return [Close(CloseCode.HELLO_TIMEOUT, f"no hello in {HELLO_TIMEOUT:.0f} s")]
        if self._answer_by is not None and now >= self._answer_by:
            return self._peer_failed(PeerFailed(self._peer, f"no answer in {ANSWER_TIMEOUT:.0f} s"))
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
        sub = self._known(event.sub)
        if sub is None:
            return []
        match event:
            case wire.Unsubscribe():
                return self._unsubscribe(event.sub, now)
            case wire.Input():
                return [Deliver(sub.stream, event.event)]
            case wire.Ack():
                return [ReturnCredit(event.sub, event.frame)]
            case wire.Report():
                return [Heard(event)]

    def _known(self, number: int) -> _Subscription | None:
        """The live subscription; None for one that is over: its messages crossed the ending."""
        if number > self._highest:
            raise RemoteProtocolError(CloseCode.BAD_MESSAGE, f"subscription {number} was never made")
        return self._subs.get(number)

    def _subscribe(self, event: wire.Subscribe, now: float) -> list[Effect]:
        if event.sub <= self._highest:
            raise RemoteProtocolError(CloseCode.BAD_MESSAGE, f"subscription {event.sub} is not above {self._highest}")
        self._highest = event.sub
        if len(self._subs) >= MAX_SUBSCRIPTIONS:
            return [_ended(event.sub, "limits", f"at most {MAX_SUBSCRIPTIONS} subscriptions on one socket")]
        info = next((s for s in self._streams if s.name == event.stream), None)
        if info is None:
            return [_ended(event.sub, "no_such_stream", f"there is no stream {event.stream!r}"[:512])]
        if event.mode != "webrtc" and any((s.stream, s.mode) == (info.id, event.mode) for s in self._subs.values()):
            raise RemoteProtocolError(CloseCode.BAD_MESSAGE, f"{event.mode} of this stream is subscribed already")
        codec = self._choose(event)
        if codec is None and event.mode != "lossless":
            return [_ended(event.sub, "no_codec", "viewer and server share no video codec")]
        self._subs[event.sub] = _Subscription(info.id, event.mode, codec)
        if event.mode == "webrtc":
            return self._open_peer(now)
        self._subs[event.sub].live = True
        return [Attach(event.sub, info.id, event.mode, codec)]

    def _choose(self, event: wire.Subscribe) -> wire.Codec | None:
        assert self._hello is not None, "nothing is subscribed before hello"
        if event.mode == "lossless":
            return None
        theirs = self._hello.codecs if event.mode == "webrtc" else (self._hello.webcodecs or [])
        wanted = [event.codec] if event.codec else theirs
        return next((codec for codec in wanted if codec in theirs and codec in self._terms.codecs), None)

    def _unsubscribe(self, number: int, now: float) -> list[Effect]:
        sub = self._subs.pop(number)
        effects: list[Effect] = [Detach(number)] if sub.live else []
        if sub.mode == "webrtc":
            effects += self._fewer(now)
        return effects

    def _streams_changed(self, event: StreamsChanged, now: float) -> list[Effect]:
        self._streams = event.streams
        if self.state is not State.READY:
            return []
        ids = {info.id for info in event.streams}
        gone = [number for number, sub in self._subs.items() if sub.stream not in ids]
        effects: list[Effect] = []
        for number in gone:
            effects += [*self._unsubscribe(number, now), _ended(number, "stream_closed", "the stream was closed")]
        return [*effects, Send(wire.Streams(list(event.streams)))]

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
        """Offer what is live; while an offer is out, only remember that another must follow."""
        if self._answer_by is not None:
            self._stale = True
            return []
        self._stale = False
        self._offer += 1
        self._answer_by = now + ANSWER_TIMEOUT
        tracks = tuple((n, s.codec, s.stream) for n, s in self._subs.items() if s.mode == "webrtc" and s.codec)
        self._offered = tuple(number for number, _, _ in tracks)
        return [MakeOffer(self._peer, self._offer, tracks)]

    def _fewer(self, now: float) -> list[Effect]:
        if any(sub.mode == "webrtc" for sub in self._subs.values()):
            return self._negotiate(now)
        return self._close_peer()

    def _close_peer(self) -> list[Effect]:
        if not self._peer_open:
            return []
        self._peer_open = False
        self._answer_by, self._offered, self._stale = None, (), False
        return [ClosePeer(self._peer)]

    def _peer_offered(self, event: PeerOffered) -> list[Effect]:
        if not self._peer_open or (event.peer, event.offer) != (self._peer, self._offer):
            return []
        tracks = [
            wire.Track(sub, mid, codec)
            for sub, mid in event.mids.items()
            if (live := self._subs.get(sub)) and (codec := live.codec)
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
            if sub and not sub.live:
                sub.live = True
                effects.append(Attach(number, sub.stream, sub.mode, sub.codec))
        return effects + (self._negotiate(now) if self._stale else [])

    def _candidate(self, event: wire.Candidate) -> list[Effect]:
        if event.peer > self._peer:
            raise RemoteProtocolError(CloseCode.BAD_MESSAGE, "a candidate for a peer that was never made")
        if not self._peer_open or event.peer != self._peer:
            return []
        self._candidates += 1
        if self._candidates > MAX_CANDIDATES:
            raise RemoteProtocolError(CloseCode.LIMITS, f"more than {MAX_CANDIDATES} candidates")
        return [AddCandidate(event.peer, event.candidate, event.sdp_mid)]

    def _peer_failed(self, event: PeerFailed) -> list[Effect]:
        effects: list[Effect] = []
        for number in [n for n, s in self._subs.items() if s.mode == "webrtc"]:
            if self._subs.pop(number).live:
                effects.append(Detach(number))
            effects.append(_ended(number, event.reason, event.detail))
        return effects + self._close_peer()


def _ended(sub: int, reason: wire.EndReason, detail: str) -> Send:
    return Send(wire.Ended(sub, reason, detail[:512]))
