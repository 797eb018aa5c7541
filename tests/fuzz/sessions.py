"""Episodes of one viewer's session at the server: messages, timers, answers of peers and ends in any order.

Must not know how episodes are made smaller, kept or counted.
"""

from __future__ import annotations

from collections.abc import Hashable
from random import Random
from typing import Final

from framewire import wire
from framewire.authentication import ConnectionRequest
from framewire.engine.viewer import effects as fx
from framewire.engine.viewer import session as session_module
from framewire.engine.viewer.admission import Admitted, Refused
from framewire.engine.viewer.session import ServerInfo, Session, State
from framewire.errors import CloseCode, RemoteProtocolError
from tests.fuzz.choices import Choices
from tests.fuzz.fuzzer import Target
from tests.fuzz.mutators import spliced

SERVER: Final = ServerInfo(software="x", epoch="e")
REQUEST: Final = ConnectionRequest()
LISTED: Final = tuple(
    fx.ListedStream(wire.StreamInfo(id_, name, 64, 48, 30.0), codecs)
    for id_, (name, codecs) in enumerate((("a", ("h264", "vp8")), ("b", ("vp8",)), ("c", ()), ("a", ("h264",))))
)
LISTS: Final = (LISTED[:1], LISTED[:2], LISTED[:3], (), LISTED[1:3], LISTED[3:])
HELLOS: Final = (
    wire.Hello(1, "t", ["vp8", "h264"], webcodecs=["h264"], repair=["flexfec-03"]),
    wire.Hello(1, "t", []),
    wire.Hello(2, "t", ["vp8"]),
)
MODES: Final[tuple[wire.Mode, ...]] = ("lossless", "webrtc", "webcodecs", "webrtc")
STEPS_S: Final = (0.0, 0.1, 1.0, 4.9, 5.0, 9.9, 30.0)
MAX_STEPS: Final = 400


class Broken(Exception):
    """The viewer is closed, by either side."""


class Shell:
    """Carries out a session's effects, and checks that each one is possible: what a `Viewer` would have to do."""

    def __init__(self) -> None:
        self.now = 100.0
        self.streams: tuple[fx.ListedStream, ...] = LISTS[2]
        self.session = Session(SERVER, REQUEST, self.streams, self.now)
        self.is_asked = False
        """Whether `Admit` waits for its answer."""
        self.subs: dict[int, int] = {}
        """The stream of each subscription that is neither refused nor ended."""
        self.attached: dict[int, fx.Attach] = {}
        self.peer: int | None = None
        self.offers: list[fx.MakeOffer] = []
        """That the open peer is to make; the last one may be answered."""
        self.answered = 0
        self.candidates = 0
        self.highest = 0
        self.is_batch = False
        """While what waited for the admission is taken at once: what is subscribed is known after it."""

    # What the session asks for

    def carry_out(self, effects: list[fx.Effect]) -> None:
        for effect in effects:
            self._carry_out(effect)

    def _carry_out(self, effect: fx.Effect) -> None:
        match effect:
            case fx.Admit():
                assert not self.is_asked
                self.is_asked = True
            case fx.Send(message):
                self._sent(message)
            case fx.Close():
                raise Broken
            case fx.Attach():
                assert effect.sub not in self.attached
                assert self.is_batch or self.subs[effect.sub] == effect.stream
                self.attached[effect.sub] = effect
            case fx.Detach(sub):
                del self.attached[sub]
            case fx.DeliverInput():
                assert self.is_batch or effect.stream in self.subs.values()
            case fx.Acknowledge(sub, _):
                assert self.is_batch or sub in self.subs
            case fx.AnswerReport(report):
                assert self.is_batch or report.sub in self.subs
            case _:
                self._carry_out_at_peer(effect)

    def _carry_out_at_peer(self, effect: fx.Effect) -> None:
        match effect:
            case fx.OpenPeer():
                assert self.peer is None and self.session.state is State.READY
                self.peer, self.offers, self.answered, self.candidates = effect.peer, [], 0, 0
            case fx.ClosePeer(peer):
                assert peer == self.peer
                self.peer = None
            case fx.MakeOffer():
                assert effect.peer == self.peer and effect.tracks, "an offer is of something"
                assert len(self.offers) == self.answered, "one offer at a time"
                assert self.is_batch or all(track.sub in self.subs for track in effect.tracks)
                self.offers.append(effect)
            case fx.SetAnswer(peer, _):
                assert peer == self.peer
                self.answered += 1
                assert self.answered <= len(self.offers)
            case fx.AddCandidate(peer, _, _):
                assert peer == self.peer
                self.candidates += 1
                assert self.candidates <= session_module.MAX_CANDIDATE_MESSAGES

    def _sent(self, message: wire.ServerMessage) -> None:
        assert wire.decode_server(wire.encode(message)) == message, "a viewer can read all that it is sent"
        match message:
            case wire.Ended():
                self.subs.pop(message.sub, None)
                assert message.sub not in self.attached
            case wire.Offer():
                assert message.peer == self.peer and all(track.sub in self.subs for track in message.tracks)

    # What happens

    def feed(self, event: fx.Event) -> None:
        """Raises `Broken` where the viewer is closed."""
        known = self.subs.get(event.sub) if isinstance(event, wire.Unsubscribe) else None
        if isinstance(event, wire.Subscribe):
            self._subscribing(event)
        try:
            effects = self.session.feed(event, self.now)
        except RemoteProtocolError as error:
            assert error.code in set(CloseCode) and error.reason.isprintable()
            raise Broken from None
        if isinstance(event, wire.Unsubscribe) and known is not None and self.session.state is State.READY:
            del self.subs[event.sub]
        self.carry_out(effects)
        if self.is_batch:
            self.subs = {number: sub.stream for number, sub in self.session._subs.items()}
            self.highest = self.session._highest_sub
            self.is_batch = False
        self.check()

    def _subscribing(self, event: wire.Subscribe) -> None:
        """Before admission it waits; the stream is that of the name when it is taken."""
        stream = next((each.info.id for each in self.streams if each.info.name == event.stream), None)
        if event.sub > self.highest:
            self.highest = event.sub
            self.subs[event.sub] = -1 if stream is None else stream

    def check(self) -> None:
        session = self.session
        assert len(session._waiting) <= session_module.MAX_WAITING_MESSAGES
        assert len(session._subs) <= session_module.MAX_SUBSCRIPTIONS
        deadline = session.deadline
        assert deadline is None or deadline <= self.now + session_module.ANSWER_TIMEOUT_S
        if session.state is not State.READY:
            return
        ids = {each.info.id for each in self.streams}
        assert session._subs.keys() == self.subs.keys()
        for sub, stream in self.subs.items():
            assert stream in ids and session._subs[sub].attached == (sub in self.attached)
        over_rtp = [sub for sub, each in session._subs.items() if each.mode == "webrtc"]
        assert (self.peer is not None) == bool(over_rtp), "a peer is open as long as something needs it"
        if self.peer is not None and len(self.offers) == self.answered:
            assert all(sub in self.attached for sub in over_rtp), "what is negotiated is attached"

    def end(self) -> None:
        """The connection is over: all that was opened is closed, and nothing happens after.

        A message that breaks the contract may follow others whose effects were not carried out any more."""
        for effect in self.session.close():
            match effect:
                case fx.Detach(sub):
                    self.attached.pop(sub, None)
                case fx.ClosePeer(peer):
                    assert self.peer in (peer, None) or self.is_batch
                    self.peer = None
        assert not self.attached and self.peer is None
        assert self.session.state is State.CLOSED and self.session.close() == []
        for event in (
            HELLOS[0],
            Admitted(),
            fx.DeadlinePassed(),
            wire.Ack(1, 1),
            fx.PeerFailed(1, ""),
            fx.StreamsChanged(()),
        ):
            assert self.session.feed(event, self.now) == []
        assert self.session.deadline is None or self.session.state is State.CLOSED


def play(data: bytes) -> Hashable:
    """An episode: whatever happens, the shell can carry it out; at last a viewer that behaves has its picture."""
    choices, shell = Choices(data), Shell()
    steps = 0
    try:
        while choices.more and steps < MAX_STEPS:
            steps += 1
            _step(choices, shell)
        _behave(shell)
    except Broken:
        pass
    state = shell.session.state.value
    reached = (state, min(len(shell.subs), 4), min(len(shell.attached), 4), shell.peer, min(len(shell.offers), 5))
    shell.end()
    return reached


def _step(choices: Choices, shell: Shell) -> None:
    kind = choices.below(16)
    if kind <= 3:
        _viewer_subscribes(choices, shell, kind)
    elif kind <= 7:
        _viewer_negotiates(choices, shell, kind)
    elif kind <= 9:
        _viewer_sends(choices, shell)
    elif kind == 10:
        _time_passes(choices, shell)
    elif kind == 11:
        shell.streams = choices.pick(LISTS)
        if shell.session.state is not State.READY:
            shell.subs.clear()  # what waits is taken later, and finds other streams
        shell.feed(fx.StreamsChanged(shell.streams))
    else:
        _server_goes_on(choices, shell, kind)


def _viewer_subscribes(choices: Choices, shell: Shell, kind: int) -> None:
    if kind == 3:
        shell.feed(wire.Unsubscribe(max(1, shell.highest - choices.below(4) + choices.below(2))))
        return
    sub = shell.highest + choices.pick((1, 1, 1, 1, 1, 1, 2, 0))
    stream = choices.pick(("a", "b", "a", "c", "gone"))
    codec = choices.pick((None, None, None, "vp8", "h264", "av1"))
    message = wire.Subscribe(max(1, sub), stream, choices.pick(MODES))
    shell.feed(message if codec is None else wire.Subscribe(message.sub, stream, message.mode, codec))


def _viewer_negotiates(choices: Choices, shell: Shell, kind: int) -> None:
    peer = max(1, (shell.peer or 1) - choices.pick((0, 0, 0, 0, 1)) + choices.pick((0, 0, 0, 0, 0, 0, 1)))
    newest = shell.offers[-1].offer if shell.offers else 1
    if kind <= 5:
        shell.feed(
            wire.Answer(peer, max(1, newest - choices.pick((0, 0, 0, 1)) + choices.pick((0,) * 9 + (1,))), "sdp")
        )
    else:
        for _ in range(choices.pick((1, 1, 70))):
            shell.feed(wire.Candidate(peer, "candidate:1", "0"))


def _viewer_sends(choices: Choices, shell: Shell) -> None:
    sub = max(1, shell.highest - choices.below(3))
    kind = choices.below(8)
    if kind <= 2:
        shell.feed(wire.Ack(sub, choices.below(256)))
    elif kind <= 4:
        shell.feed(wire.Report(sub, 1.0, choices.below(2) == 0, 1, 1))
    elif kind <= 6:
        shell.feed(wire.Input(sub, wire.RenderviewEvent("show", 1.0)))
    else:
        shell.feed(choices.pick(HELLOS))


def _time_passes(choices: Choices, shell: Shell) -> None:
    shell.now += choices.pick(STEPS_S)
    deadline = shell.session.deadline
    if deadline is not None and shell.now >= deadline:
        shell.feed(fx.DeadlinePassed())
        later = shell.session.deadline
        assert later is None or later > shell.now, "a deadline that has passed is done with"


def _server_goes_on(choices: Choices, shell: Shell, kind: int) -> None:
    if shell.session.state is State.OPENING:
        shell.feed(HELLOS[0])
    elif shell.is_asked:
        _admitted(shell, is_refused=choices.below(20) == 19)
    elif kind <= 14 and shell.offers:
        made = shell.offers[-1] if choices.below(6) else shell.offers[0]
        mids = {track.sub: str(index) for index, track in enumerate(made.tracks)}
        shell.feed(fx.PeerOffered(made.peer - choices.pick((0, 0, 0, 1)), made.offer, "v=0", mids))
    else:
        shell.feed(fx.PeerFailed(choices.below(5), "it " * 400, choices.pick(("peer_failed", "no_codec"))))


def _admitted(shell: Shell, *, is_refused: bool = False) -> None:
    shell.is_asked = False
    shell.is_batch = True
    shell.feed(Refused(CloseCode.UNAUTHORIZED, "no") if is_refused else Admitted("ada"))


def _behave(shell: Shell) -> None:
    """From here on the viewer does what the contract says, and the server's peers work."""
    if shell.session.state is State.OPENING:
        shell.feed(HELLOS[0])
    if shell.is_asked:
        _admitted(shell)
    shell.streams = LISTS[0]
    shell.feed(fx.StreamsChanged(shell.streams))
    if shell.peer is not None and len(shell.offers) > shell.answered:
        _negotiate(shell)
    lossless = [each for each in shell.session._subs.values() if each.mode == "lossless"]
    room = session_module.MAX_SUBSCRIPTIONS - len(shell.subs)
    if not lossless and room:
        shell.feed(wire.Subscribe(shell.highest + 1, "a", "lossless"))
        assert shell.attached[shell.highest].mode == "lossless", "a viewer that behaves has its first picture"
    videos = sum(each.mode == "webrtc" for each in shell.session._subs.values())
    if (
        room > 1
        and videos < session_module.MAX_VIDEOS
        and shell.session._hello
        and "h264" in shell.session._hello.codecs
    ):
        shell.feed(wire.Subscribe(shell.highest + 1, "a", "webrtc"))
        sub = shell.highest
        while len(shell.offers) > shell.answered:
            _negotiate(shell)
        assert shell.attached[sub].mode == "webrtc", "and then its video"


def _negotiate(shell: Shell) -> None:
    made = shell.offers[-1]
    shell.feed(fx.PeerOffered(made.peer, made.offer, "v=0", {track.sub: "0" for track in made.tracks}))
    shell.feed(wire.Answer(made.peer, made.offer, "v=0"))


def episode_seeds() -> list[bytes]:
    """Some orders of everything, the same in every run."""
    random = Random(1)
    return [bytes([12, 12]) + random.randbytes(size) for size in (8, 20, 40, 60, 80, 120) for _ in range(4)]


TARGETS: Final = (
    Target("session", play, episode_seeds, spliced, max_bytes=400, is_episode=True, variations=3, ci_inputs=6000),
)
