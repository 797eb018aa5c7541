"""The shell around one session: carries out its effects. Owns the peers, the outgoing messages and the timers
of one WebSocket; must not know which library the WebSocket comes from, nor decide anything about signalling."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Coroutine, Iterable, Iterator
from functools import partial
from typing import Any, Final, Protocol

from msgspec import UNSET

from framewire import wire
from framewire.engine.stream.encoding import Encoding, EncodingReport, Key, PackedUnit, Sink
from framewire.engine.stream.stream import EncodingName, Stream
from framewire.engine.viewer import session as s
from framewire.engine.viewer.peer_runner import PeerRunner
from framewire.engine.viewer.sharing import shares
from framewire.errors import CloseCode, CodecRefusedError, PeerError, RemoteProtocolError
from framewire.rtc.peer import BitrateEstimate, KeyframeWanted, Peer, PeerEvent, PeerOptions, PeerState, PeerTrack

log = logging.getLogger(__name__)

MAX_CONTROL: Final = 512
"""Text messages waiting for a viewer that does not read, at most."""
MAX_HANGING_UP: Final = 8
"""Peers of one viewer that are being closed at the same time, at most."""
OFFER_FIRST: Final = 0.15
"""Seconds, at most, that pictures wait for an offer: where TCP crawls, one behind a picture comes a second later."""
GOODBYE: Final = 5.0
"""Seconds a viewer has to take its goodbye; then it is cut off."""


class Socket(Protocol):
    """One accepted WebSocket. Sending waits while the viewer is slow; a closed one raises `ConnectionError`.
    ``abort`` cuts it off without a word, and lets go whoever waits in a send; ``speed`` is the bits a second that it
    takes, if that is known."""

    async def send_text(self, text: str) -> None: ...
    async def send_bytes(self, data: bytes) -> None: ...
    async def close(self, code: int, reason: str) -> None: ...
    def abort(self) -> None: ...
    def speed(self) -> float | None: ...


class Host(Protocol):
    """What a connection needs of the engine around it."""

    @property
    def peer_options(self) -> PeerOptions: ...
    def stream(self, id_: int) -> Stream | None: ...
    def arrived(self, stream: int, client_id: str, event: dict[str, Any]) -> None: ...
    def watched(self, stream: int) -> None: ...


class Connection:
    """One viewer's socket, from its acceptance to its end."""

    def __init__(self, socket: Socket, host: Host, terms: s.Terms, streams: tuple[wire.StreamInfo, ...]) -> None:
        self.client_id = secrets.token_hex(6)
        self._socket = socket
        self._host = host
        self._session = s.Session(terms, streams, time.monotonic())
        self._subs: dict[int, s.Attach] = {}
        self._runner: PeerRunner | None = None
        self._control: deque[str] = deque()
        self._chunks: deque[tuple[int, int, bytes]] = deque()
        """(subscription, index in its unit, message)"""
        self._ready = asyncio.Event()
        self._offering: asyncio.TimerHandle | None = None
        """While it is set, pictures wait."""
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: tuple[int, str] | None = None
        self._writer = asyncio.create_task(self._write())
        self._set_timer()

    @property
    def greeted(self) -> bool:
        """Whether the viewer has shown a right token."""
        return self._session.state is s.State.READY

    @property
    def ended(self) -> bool:
        return self._closing is not None

    # In

    def received(self, text: str | bytes) -> None:
        """A text message came in."""
        try:
            message = wire.decode_viewer(text)
        except RemoteProtocolError as error:
            self.close(error.code, error.reason)
        else:
            self._feed(message)

    def streams_changed(self, streams: tuple[wire.StreamInfo, ...]) -> None:
        self._feed(s.StreamsChanged(streams))

    def close(self, code: int, reason: str) -> None:
        """Say goodbye with this code and let go of everything. Idempotent."""
        if self._closing is None:
            self._closing = (int(code), reason)
            self._let_go()
            self._ready.set()
            self._timer = asyncio.get_running_loop().call_later(GOODBYE, self.cut_off)

    def cut_off(self) -> None:
        """End the socket without waiting for a viewer that does not take its goodbye."""
        self._socket.abort()
        # Or it waits for the rest of the goodbye, which nobody will say.
        self._writer.cancel()

    async def wait_closed(self) -> None:
        """Let go of everything and wait until it is gone; the socket is closed by then."""
        self.close(CloseCode.GOING_AWAY, "")
        await asyncio.gather(self._writer, *self._tasks, return_exceptions=True)

    def _feed(self, event: s.Event) -> None:
        if self._closing is not None:
            return
        try:
            for effect in self._session.feed(event, time.monotonic()):
                if self._closing is not None:
                    return  # an effect closed the socket, which let go of everything
                self._execute(effect)
            self._set_timer()
        except RemoteProtocolError as error:
            self.close(error.code, error.reason)
        except Exception:
            # A bug, and this viewer's alone: whoever fed us has others to serve.
            log.exception("a connection failed")
            self.close(CloseCode.GOING_AWAY, "internal error")

    def _let_go(self) -> None:
        self._session.close()
        # By our own books: effects that were cut short by the end are not in the session's any more.
        for sub in list(self._subs):
            self._detach(sub)
        self._hang_up()
        self._chunks.clear()
        for timer in (self._timer, self._offering):
            if timer:
                timer.cancel()

    # Effects

    def _execute(self, effect: s.Effect) -> None:
        log.debug("%s > %s", self.client_id, type(effect).__name__)
        match effect:
            case s.Send(message):
                self._post(wire.encode(message))
            case s.Close(code, reason):
                self.close(code, reason)
            case s.Deliver(stream, event):
                self._host.arrived(stream, self.client_id, wire.event_dict(event))
            case s.Attach():
                self._attach(effect)
            case s.Detach(sub):
                self._detach(sub)
            case s.ReturnCredit(sub, frame):
                self._return_credit(sub, frame)
            case s.Heard(report):
                self._answer_report(report)
            case _:
                self._execute_peer(effect)

    def _execute_peer(self, effect: s.Effect) -> None:
        match effect:
            case s.OpenPeer():
                self._open_peer(effect)
            case s.ClosePeer():
                self._hang_up()
            case s.MakeOffer() | s.SetAnswer() | s.AddCandidate():
                if runner := self._runner:
                    if isinstance(effect, s.MakeOffer):
                        self._hold_pictures()
                    runner.do(self._negotiate(runner, effect))

    def _attach(self, effect: s.Attach) -> None:
        self._subs[effect.sub] = effect
        if effect.mode == "webrtc" and self._runner and not self._runner.connected:
            self._runner.waiting.append(effect)
            return
        stream = self._host.stream(effect.stream)
        if stream is None:
            return
        name: EncodingName = "lossless" if effect.codec is None else effect.codec
        packets = effect.mode == "webrtc"
        stream.attach(self._key(effect.sub), name, self._sink(effect.sub, packets), packets=packets)
        self._host.watched(effect.stream)
        if packets and self._runner:
            self._share(self._runner)

    def _return_credit(self, sub: int, frame: int) -> None:
        # While the video comes up, so that what is sent then is the newest frame and not one that waited.
        if self._runner and self._runner.later(partial(self._return_credit, sub, frame)):
            return
        if encoding := self._encoding(sub):
            encoding.acknowledge(self._key(sub), frame)

    def _detach(self, sub: int) -> None:
        effect = self._subs.pop(sub, None)
        if effect is None:
            return
        if self._runner and effect in self._runner.waiting:
            self._runner.waiting.remove(effect)
        self._chunks = deque(_without(sub, self._chunks))
        if stream := self._host.stream(effect.stream):
            stream.detach(self._key(sub))
            self._host.watched(effect.stream)

    def _sink(self, sub: int, packets: bool) -> Sink:
        def to_peer(packed: PackedUnit) -> bool:
            runner = self._runner
            return runner is not None and packed.rtp is not None and runner.peer.send(sub, packed.rtp)

        def to_socket(packed: PackedUnit) -> bool:
            self._chunks.extend((sub, index, message) for index, message in enumerate(packed.messages))
            self._ready.set()
            return True

        return to_peer if packets else to_socket

    def _answer_report(self, report: wire.Report) -> None:
        effect, encoding = self._subs.get(report.sub), self._encoding(report.sub)
        stream = self._host.stream(effect.stream) if effect else None
        if stream is None or effect is None:
            return
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
        self._post(wire.encode(message))

    # The peer

    def _open_peer(self, effect: s.OpenPeer) -> None:
        if len(self._tasks) >= MAX_HANGING_UP:
            return self.close(CloseCode.LIMITS, "peers are opened faster than they close")
        on_event, options = partial(self._on_peer, effect.peer), self._host.peer_options
        peer = Peer(**options, parity=effect.parity, on_event=on_event, speed=self._socket.speed)
        self._runner = PeerRunner(effect.peer, peer)

    def _hang_up(self) -> None:
        if self._runner:
            self._spawn(self._runner.close())
            self._runner = None

    def _hold_pictures(self) -> None:
        if self._offering is None:
            self._offering = asyncio.get_running_loop().call_later(OFFER_FIRST, self._release_pictures)

    def _release_pictures(self) -> None:
        if self._offering is not None:
            self._offering.cancel()
            self._offering = None
            self._ready.set()

    async def _negotiate(self, runner: PeerRunner, effect: s.Effect) -> None:
        try:
            match effect:
                case s.MakeOffer(number, offer, tracks):
                    made = await runner.peer.offer([PeerTrack(sub, codec, f"s{id_}") for sub, codec, id_ in tracks])
                    self._feed(s.PeerOffered(number, offer, made.sdp, made.mids))
                case s.SetAnswer(_, sdp):
                    await runner.peer.answer(sdp)
                case s.AddCandidate(_, candidate, sdp_mid):
                    await runner.peer.add_candidate(candidate, sdp_mid)
        except CodecRefusedError as error:
            self._feed(s.PeerFailed(runner.number, str(error), "no_codec"))
        except PeerError as error:
            self._feed(s.PeerFailed(runner.number, str(error)))
        except Exception:
            # aiortc meets whatever a browser may say; the viewer gets another way, the log gets the trace.
            log.exception("negotiation failed")
            self._feed(s.PeerFailed(runner.number, "negotiation failed at the server"))
        finally:
            if isinstance(effect, s.MakeOffer):
                self._release_pictures()

    def _on_peer(self, number: int, event: PeerEvent) -> None:
        runner = self._runner
        if runner is None or runner.number != number:
            return
        match event:
            case KeyframeWanted(sub):
                if encoding := self._encoding(sub):
                    encoding.request_keyframe(self._key(sub))
            case BitrateEstimate():
                runner.estimate = event
                self._share(runner)
            case PeerState("connected"):
                runner.begin()
                waiting, runner.waiting = runner.waiting, []
                for effect in waiting:
                    self._attach(effect)
            case PeerState(state):
                self._feed(s.PeerFailed(number, f"the peer connection {state}"))

    def _share(self, runner: PeerRunner) -> None:
        """One estimate for all that goes through the peer: each stream gets the part it can use."""
        now = time.monotonic()
        peers = [sub for sub, effect in self._subs.items() if effect.mode == "webrtc"]
        encodings = {self._key(sub): encoding for sub in peers if (encoding := self._encoding(sub))}
        runner.peer.want(sum(encoding.max_bps for encoding in encodings.values()))
        if runner.estimate is None or not encodings:
            return
        sent_bps = {key: encoding.sent_bps(key, now) for key, encoding in encodings.items()}
        max_bps = {key: encoding.max_bps for key, encoding in encodings.items()}
        parts = shares(runner.estimate.bits_per_second, sent_bps, max_bps)
        for key, encoding in encodings.items():
            encoding.estimate(key, parts[key], sent_bps[key], measured=runner.estimate.measured)

    # Out

    async def _write(self) -> None:
        """The only writer. Control goes before pixels: an offer must not wait for a picture."""
        try:
            while await self._ready.wait():
                self._ready.clear()
                while self._control or (self._chunks and not self._offering):
                    if self._control:
                        await self._socket.send_text(self._control.popleft())
                    else:
                        await self._socket.send_bytes(self._chunks.popleft()[2])
                if self._closing:
                    await self._socket.close(*self._closing)
                    return
        except (ConnectionError, RuntimeError):
            pass  # the viewer is gone; whoever reads from it finds out as well
        except Exception:
            log.exception("a viewer cannot be written to")
            self._socket.abort()
        finally:
            self._closing = self._closing or (int(CloseCode.GOING_AWAY), "")
            self._let_go()

    def _post(self, text: str) -> None:
        if len(self._control) >= MAX_CONTROL:
            self.close(CloseCode.LIMITS, "the viewer does not read")
            return
        self._control.append(text)
        self._ready.set()

    # Small things

    def _key(self, sub: int) -> Key:
        return (self.client_id, sub)

    def _encoding(self, sub: int) -> Encoding | None:
        effect = self._subs.get(sub)
        stream = self._host.stream(effect.stream) if effect else None
        return stream.encoding(self._key(sub)) if stream else None

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _set_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        deadline = self._session.deadline
        if deadline is not None and self._closing is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, deadline - time.monotonic()) + 0.001, self._feed, s.Expired())


def _without(sub: int, chunks: Iterable[tuple[int, int, bytes]]) -> Iterator[tuple[int, int, bytes]]:
    """The chunks still to send when a subscription is over. A unit that was begun is finished: the next
    subscription to the same stream would seem to begin in its middle."""
    begun = True
    for chunk in chunks:
        if chunk[0] != sub:
            yield chunk
            continue
        begun = begun and chunk[1] > 0
        if begun:
            yield chunk
