"""The server's column of every transcript, played against the session."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from framewire import wire
from framewire.authentication import ConnectionRequest
from framewire.engine.viewer.admission import Admission, Admitted, Refused
from framewire.engine.viewer.effects import (
    Admit,
    Attach,
    Close,
    Effect,
    Event,
    ListedStream,
    PeerFailed,
    PeerOffered,
    Send,
    StreamsChanged,
)
from framewire.engine.viewer.session import ServerInfo, Session
from framewire.errors import CloseCode, RemoteProtocolError

TRANSCRIPTS = sorted((Path(__file__).parent.parent / "signaling" / "transcripts").glob("*.json"))
CODECS: tuple[wire.Codec, ...] = ("h264", "vp8")


class Player:
    """Feeds what comes in, and compares what goes out. What the viewer sends by itself is checked for its cause."""

    def __init__(self, transcript: dict[str, Any]) -> None:
        self.column: list[dict[str, Any]] = transcript["server"]
        self.codecs: dict[str, list[wire.Codec]] = transcript.get("codecs", {})
        """Those of each stream."""
        self.session: Session | None = None
        self.admission: Admission = Admitted()
        self.now = 0.0
        self.sent: list[Any] = []
        """Sent by the session, not found in the column yet."""
        self.attached: list[Attach] = []
        """Those that have ended included: units that were sent before may still arrive."""

    def play(self) -> None:
        for index, entry in enumerate(self.column):
            self.now += 0.01
            if "in" in entry:
                assert not self.sent, f"the session sent {self.sent}, the transcript goes on with {entry}"
                self.receive(entry["in"], self.column[index + 1 :])
            else:
                self.expect(entry["out"])
        assert not self.sent

    def receive(self, what: dict[str, Any], rest: list[dict[str, Any]]) -> None:
        if "type" in what:
            self.feed(wire.decode_viewer(json.dumps(what)))
            return
        match what["event"]:
            case "socket_opened":
                self.open(rest)
            case "socket_closed":
                self.do(self.opened.close())
            case "peer_offered":
                mids = {int(sub): mid for sub, mid in what["mids"].items()}
                self.feed(PeerOffered(what["peer"], what["offer"], what["sdp"], mids))
            case "peer_failed":
                self.feed(PeerFailed(what["peer"], what["detail"], what.get("reason", "peer_failed")))
            case other:
                raise AssertionError(f"no server knows the event {other}")

    def open(self, rest: list[dict[str, Any]]) -> None:
        outgoing = [entry["out"] for entry in rest if "out" in entry]
        silent: dict[str, Any] = {"time": 0, "server": "", "epoch": ""}
        welcome: dict[str, Any] = next((m for m in outgoing if m.get("type") == "welcome"), silent)
        streams: list[Any] = next((m["streams"] for m in outgoing if m.get("type") == "streams"), [])
        refused = {"event": "close", "code": 4401} in outgoing
        self.admission = Refused(CloseCode.UNAUTHORIZED, "wrong token") if refused else Admitted()
        server = ServerInfo(
            software=welcome["server"],
            epoch=welcome["epoch"],
            ice_servers=msgspec.convert(welcome.get("ice_servers", []), list[wire.IceServer]),
        )
        self.welcome_time = welcome["time"]
        self.session = Session(server, ConnectionRequest(), self.listed(streams), self.now)

    def listed(self, streams: list[Any]) -> tuple[ListedStream, ...]:
        infos = msgspec.convert(streams, list[wire.StreamInfo])
        return tuple(ListedStream(info, tuple(self.codecs.get(info.name, CODECS))) for info in infos)

    @property
    def opened(self) -> Session:
        assert self.session, "a transcript begins with socket_opened"
        return self.session

    def feed(self, event: Event) -> None:
        try:
            effects = self.opened.feed(event, self.now)
        except RemoteProtocolError as error:
            effects = [Close(error.code, error.reason), *self.opened.close()]
        self.do(effects)

    def do(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(message):
                    self.sent.append(msgspec.to_builtins(message))
                case Close(code, _):
                    self.sent.append({"event": "close", "code": int(code)})
                case Attach():
                    self.attached.append(effect)
                case Admit():
                    self.feed(self.admission)

    def expect(self, what: dict[str, Any]) -> None:
        if what.get("event") == "unit":
            modes = {a.mode for a in self.attached if a.stream == what["stream"]}
            assert modes & ({"lossless"} if what["lossless"] else {"webcodecs"}), "units go to subscriptions only"
        elif what.get("type") == "stats":
            # The viewer's answer to a report, which a transcript may leave out.
            assert what["sub"] in {entry["in"].get("sub") for entry in self.column if "in" in entry}
        else:
            self.expect_of_session(what)

    def expect_of_session(self, what: dict[str, Any]) -> None:
        causes_itself = what.get("type") in ("streams", "ended") and not self.sent
        if causes_itself:
            self.streams_change(what)
        assert self.sent, f"the session sends nothing where the transcript has {what}"
        sent = self.sent.pop(0)
        if sent.get("type") == "welcome":
            sent["time"] = self.welcome_time
        if sent.get("event") == "close":
            what = {key: what[key] for key in ("event", "code")}
        assert sent == what

    def streams_change(self, what: dict[str, Any]) -> None:
        """The publisher added or removed a stream: the list that follows in the column shows which."""
        rest = self.column[[id(entry.get("out")) for entry in self.column].index(id(what)) :]
        following = next(e["out"] for e in rest if e.get("out", {}).get("type") == "streams")
        self.feed(StreamsChanged(self.listed(following["streams"])))


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_the_server_sends_what_the_transcript_contains(path: Path) -> None:
    Player(json.loads(path.read_text())).play()


def test_there_are_transcripts_to_play() -> None:
    assert len(TRANSCRIPTS) >= 6
