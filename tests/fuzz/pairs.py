"""Episodes of both sessions together: the server's in this process, the viewer's in Node, and between them a socket, a
peer connection and a page that do what such things do, in any order.

Must not know how episodes are made smaller, kept or counted.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections import deque
from collections.abc import Hashable
from functools import cache
from pathlib import Path
from typing import Any, Final

from framewire import wire
from framewire.engine.viewer import effects as fx
from framewire.engine.viewer.admission import Admitted
from framewire.engine.viewer.session import ServerInfo, Session, State
from framewire.errors import RemoteProtocolError
from tests.fuzz.choices import Choices
from tests.fuzz.fuzzer import Target
from tests.fuzz.mutators import spliced
from tests.fuzz.sessions import LISTS, REQUEST, episode_seeds

ROOT: Final = Path(__file__).resolve().parents[2]
ESBUILD: Final = ROOT / "node_modules" / ".bin" / "esbuild"
START_MS: Final = 1_000_000.0
MAX_STEPS: Final = 80
PICTURE_MS: Final = 15_000
"""Within this time, once all works, every view of a stream that there is has its picture."""
STEPS_MS: Final = (0, 5, 50, 200, 1000, 4000, 11_000)
CODECS: Final[tuple[list[str], ...]] = (["h264", "vp8"], ["vp8"], [])
MODES: Final = ("auto", "auto", "auto", "lossless", "webrtc", "webcodecs")
EVENTS: Final[tuple[dict[str, Any], ...]] = (
    {"type": "pointer_move", "x": 1, "y": 2},
    {"type": "wheel", "x": 1, "y": 2, "dx": 0, "dy": 1},
    {"type": "key_down", "key": "a"},
    {"type": "show"},
)
WHOLE_LISTS: Final = LISTS[:4]


def is_possible() -> bool:
    """Whether there are Node and the bundler, as `make setup` leaves them."""
    return shutil.which("node") is not None and ESBUILD.exists()


class _Node:
    """The viewer's session, started once for all episodes of this process."""

    def __init__(self) -> None:
        source = ROOT / "js" / "tests" / "fuzz" / "lines.ts"
        self._folder = tempfile.TemporaryDirectory()
        bundle = Path(self._folder.name) / "lines.mjs"
        command = [ESBUILD, source, "--bundle", "--format=esm", "--platform=node", f"--outfile={bundle}"]
        subprocess.run([str(each) for each in command], check=True, capture_output=True)
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(["node", bundle], stdin=pipe, stdout=pipe, text=True, bufsize=1)

    def ask(self, line: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout, "both are pipes"
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer


@cache
def _node() -> _Node:
    return _Node()


class Pair:
    """A page, a server, and what is between them."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        self.now = START_MS
        self.epoch = 1
        self.streams: tuple[fx.ListedStream, ...] = LISTS[1]
        self.server: Session | None = None
        self.is_opening = False
        self.up: deque[str] = deque()
        self.down: deque[str | tuple[str, int, bool]] = deque()
        self.attached: dict[int, fx.Attach] = {}
        self.offers: deque[fx.MakeOffer] = deque()
        """That the server's peer is to make."""
        self.answers: deque[dict[str, Any]] = deque()
        """What the page's peer is to say."""
        self.peer: int | None = None
        self.connected = False
        self.udp_works = True
        self.mids: list[str] = []
        self.deadline: float | None = None
        self.views: dict[int, dict[str, Any]] = {}
        self.shown: dict[int, str] = {}
        self.frame = 0
        _node().ask({"begin": {"codecs": choices.pick(CODECS), "webcodecs": choices.pick(CODECS)}})
        self.feed({"type": "start"})

    # The viewer

    def feed(self, event: dict[str, Any]) -> None:
        self._viewer({"now": self.now, "input": event})

    def _viewer(self, line: dict[str, Any]) -> None:
        answer = _node().ask(line)
        self.deadline = answer["deadline"]
        hung_up = False
        for effect in answer["effects"]:
            if effect["type"] == "disconnect":
                hung_up = True
            elif effect["type"] == "send" and not hung_up:
                assert self.server, "a viewer that is not connected sends nothing"
                self.up.append(effect["text"])
            else:
                self._page(effect)
        if hung_up:
            self.cut(4000)

    def _page(self, effect: dict[str, Any]) -> None:
        match effect["type"]:
            case "connect":
                assert self.server is None
                self.is_opening = True
            case "peer_offer":
                if self.peer != effect["peer"]:
                    self.connected = False
                self.peer = effect["peer"]
                self.answers.append({"type": "peer_answer", "peer": self.peer, "offer": effect["offer"], "sdp": "v=0"})
            case "peer_close":
                self.peer, self.connected = None, False
                self.answers.clear()
            case "peer_attach":
                assert self.peer == effect["peer"]
                self.shown[effect["view"]] = effect["mid"]
            case "peer_detach":
                del self.shown[effect["view"]]
            case "view_status":
                self.views[effect["view"]] = effect["status"]

    def cut(self, code: int) -> None:
        """The socket is closed: both ends notice."""
        if self.server:
            self.server.close()
        self.server = None
        self.is_opening = False
        self.up.clear()
        self.down.clear()
        self.attached.clear()
        self.offers.clear()
        self.feed({"type": "socket_closed", "code": code, "reason": "", "jitter": 0.5})

    # The server

    def tell(self, event: fx.Event, at: float = 0.0) -> None:
        """``at``: not before this; milliseconds to seconds and back may be a little less."""
        assert self.server
        try:
            effects = self.server.feed(event, max(self.now / 1000, at))
        except RemoteProtocolError as error:
            raise AssertionError(f"the server refuses what our own viewer sends: {error}, {event}") from None
        for effect in effects:
            self._carry_out(effect)

    def _carry_out(self, effect: fx.Effect) -> None:
        match effect:
            case fx.Admit():
                self.tell(Admitted())
            case fx.Send(message):
                self.down.append(wire.encode(message))
            case fx.Attach():
                self.attached[effect.sub] = effect
            case fx.Detach(sub):
                del self.attached[sub]
            case fx.MakeOffer():
                self.offers.append(effect)
            case fx.ClosePeer():
                self.offers.clear()
            case fx.AnswerReport(report):
                rate = 30.0
                numbers = wire.Stats(
                    sub=report.sub, time=self.now, echo=report.time, published_fps=rate, sent_fps=rate, encode_ms=1.0,
                    bitrate=1e6, target_bitrate=2e6, viewers=1, frames=[wire.FrameMark(self.frame, 0, self.now - 5)],
                )  # fmt: skip
                self.down.append(wire.encode(numbers))
            case fx.Close(code, _):
                raise AssertionError(f"the server closes our own viewer with {code}")

    # What happens between them

    def open(self) -> None:
        if self.is_opening:
            self.is_opening = False
            info = ServerInfo(software="s", epoch=str(self.epoch), unix_offset_s=0.0)
            self.server = Session(info, REQUEST, self.streams, self.now / 1000)
            self.feed({"type": "socket_opened"})

    def move(self, count: int) -> None:
        """So many messages arrive, in both directions."""
        for _ in range(count):
            if self.up and self.server:
                self.tell(wire.decode_viewer(self.up.popleft()))
            if self.down and self.server:
                self._arrive(self.down.popleft())

    def _arrive(self, what: str | tuple[str, int, bool]) -> None:
        if isinstance(what, str):
            self._viewer({"now": self.now, "text": what})
            return
        _, stream, lossless = what
        self.frame += 1
        self.feed({"type": "unit", "stream": stream, "lossless": lossless, "frame": self.frame})
        name = next((each.info.name for each in self.streams if each.info.id == stream), None)
        views = [view for view, status in self.views.items() if status["stream"] == name]
        painted = {"stream": stream, "lossless": lossless, "views": views, "time_us": self.now * 1000}
        self.feed({"type": "painted", **painted})

    def send_units(self) -> None:
        for each in self.attached.values():
            if each.mode != "webrtc" and len(self.down) < 50:
                self.down.append(("unit", each.stream, each.mode == "lossless"))

    def make_offer(self) -> None:
        if self.offers and self.server:
            made = self.offers.popleft()
            self.mids = [str(index) for index, _ in enumerate(made.tracks)]
            mids = {track.sub: mid for track, mid in zip(made.tracks, self.mids, strict=True)}
            self.tell(fx.PeerOffered(made.peer, made.offer, "v=0", mids))

    def answer(self) -> None:
        if self.answers and self.server:
            self.feed(self.answers.popleft())

    def media(self) -> None:
        """The connection comes up, and its frames arrive."""
        if self.peer is None or self.server is None or not self.udp_works or self.answers:
            return
        if not self.connected:
            self.connected = True
            self.feed({"type": "peer_connected", "peer": self.peer})
            return
        # Each video is shown by the views that it was attached to.
        videos = [
            {"mid": mid, "arrived": 6, "decoded": 6, "fps": 30, "latency_ms": 20, "dropped": 0,
             "views": [{"view": view, "painted": 6} for view, shown in self.shown.items() if shown == mid]}
            for mid in self.mids
        ]  # fmt: skip
        self.feed({"type": "peer_progress", "peer": self.peer, "videos": videos})

    def passes(self, milliseconds: float) -> None:
        end = self.now + milliseconds
        for _ in range(10_000):
            server = self.server.deadline if self.server else None
            due = [at for at in (self.deadline, server and server * 1000) if at is not None]
            if not due or min(due) > end:
                break
            self.now = max(self.now, min(due))
            if server is not None and server * 1000 <= self.now:
                self.tell(fx.DeadlinePassed(), server)
            self.feed({"type": "tick"})
        else:
            raise AssertionError("time passes between two timers")
        self.now = end

    def change_streams(self, streams: tuple[fx.ListedStream, ...]) -> None:
        self.streams = streams
        if self.server:
            self.tell(fx.StreamsChanged(streams))

    def restart_engine(self) -> None:
        self.epoch += 1
        if self.server or self.is_opening:
            self.cut(1006)

    def peer_fails(self) -> None:
        if self.server and self.server.state is State.READY:
            self.tell(fx.PeerFailed(self.server._peer, "it failed"))

    def open_view(self, stream: str, mode: str, visible: bool) -> None:
        view = 1 + max(self.views, default=0)
        self.views[view] = {"stream": stream, "mode": mode, "showing": "none"}
        self.feed({"type": "view_open", "view": view, "stream": stream, "mode": mode, "visible": visible})


def play(data: bytes) -> Hashable:
    choices = Choices(data)
    pair = Pair(choices)
    for _ in range(MAX_STEPS):
        if not choices.more:
            break
        _step(choices, pair)
    _works(pair)
    shown = sorted(str(status["showing"]) for status in pair.views.values())
    pair.feed({"type": "stop"})
    assert pair.peer is None, "the page's connection ends with the session"
    return (tuple(dict.fromkeys(shown)), min(pair.epoch, 3))


def _step(choices: Choices, pair: Pair) -> None:
    kind = choices.below(18)
    if kind <= 4:
        pair.open()
        pair.move(1 + choices.below(6))
    elif kind <= 9:
        (pair.make_offer, pair.answer, pair.media, pair.send_units, pair.media)[kind - 5]()
    elif kind <= 11:
        pair.passes(choices.pick(STEPS_MS))
    elif kind == 12:
        pair.change_streams(choices.pick(WHOLE_LISTS))
    elif kind == 13:
        (pair.restart_engine, pair.peer_fails, lambda: pair.cut(1006) if pair.server else None)[choices.below(3)]()
    elif kind == 14:
        pair.udp_works = choices.below(3) > 0
    elif kind == 15 and len(pair.views) < 4:
        pair.open_view(choices.pick(("a", "b", "c", "gone")), choices.pick(MODES), choices.below(4) > 0)
    elif pair.views:
        _page_changes(choices, pair, choices.pick(sorted(pair.views)))


def _page_changes(choices: Choices, pair: Pair, view: int) -> None:
    kind = choices.below(5)
    if kind == 0:
        del pair.views[view]
        pair.feed({"type": "view_close", "view": view})
    elif kind == 1:
        pair.feed({"type": "view_mode", "view": view, "mode": choices.pick(MODES)})
    elif kind == 2:
        pair.feed({"type": "view_stream", "view": view, "stream": choices.pick(("a", "b", "c", "gone"))})
    elif kind == 3:
        pair.feed({"type": "view_visible", "view": view, "visible": choices.below(2) == 0})
    else:
        event = choices.pick(EVENTS) | {"timestamp": pair.now / 1000}
        pair.feed({"type": "view_input", "view": view, "event": event})


def _works(pair: Pair) -> None:
    """From here on everything does what it should: each view has its picture in time."""
    pair.udp_works = True
    pair.change_streams(LISTS[1])
    pair.open_view("a", "auto", True)
    end = pair.now + PICTURE_MS
    while pair.now < end and not _has_pictures(pair):
        pair.open()
        pair.move(20)
        for happens in (pair.make_offer, pair.answer, pair.media, pair.send_units):
            happens()
        pair.passes(100)
    assert _has_pictures(pair), pair.views


def _has_pictures(pair: Pair) -> bool:
    return all(
        status["showing"] != "none"
        for status in pair.views.values()
        if status["stream"] in ("a", "b") and status["mode"] in ("auto", "lossless")
    )


TARGETS: Final = (
    (
        Target(
            "pair", play, episode_seeds, spliced, max_bytes=300, is_episode=True, variations=1, ci_inputs=60,
            max_cpu_s=2.0, max_peak_bytes=16 << 20,
        ),
    )
    if is_possible()
    else ()
)  # fmt: skip
