"""The server's column of every transcript, played against the session machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from framewire import wire
from framewire.engine.viewer import session as s
from framewire.errors import RemoteProtocolError

TRANSCRIPTS = sorted((Path(__file__).parent.parent / "signaling" / "transcripts").glob("*.json"))
CODECS: tuple[wire.Codec, ...] = ("h264", "vp8")


class Player:
    """Feeds what comes in, and compares what goes out; what the shell does by itself is checked for its cause."""

    def __init__(self, transcript: dict[str, Any]) -> None:
        self.column: list[dict[str, Any]] = transcript["server"]
        self.codecs: tuple[wire.Codec, ...] = tuple(transcript.get("codecs", CODECS))
        self.session: s.Session | None = None
        self.now = 0.0
        self.owed: list[Any] = []
        """Said by the machine, not yet found in the column."""
        self.attached: list[s.Attach] = []
        """Also those that are over: what was under way still arrives."""

    def play(self) -> None:
        for index, entry in enumerate(self.column):
            self.now += 0.01
            if "in" in entry:
                assert not self.owed, f"the machine said {self.owed}, the transcript goes on with {entry}"
                self.hear(entry["in"], self.column[index + 1 :])
            else:
                self.expect(entry["out"])
        assert not self.owed

    def hear(self, what: dict[str, Any], rest: list[dict[str, Any]]) -> None:
        if "type" in what:
            self.feed(wire.decode_viewer(json.dumps(what)))
            return
        match what["event"]:
            case "socket_opened":
                self.open(rest)
            case "socket_closed":
                self.do(self.machine.close())
            case "peer_offered":
                mids = {int(sub): mid for sub, mid in what["mids"].items()}
                self.feed(s.PeerOffered(what["peer"], what["offer"], what["sdp"], mids))
            case "peer_failed":
                self.feed(s.PeerFailed(what["peer"], what["detail"], what.get("reason", "peer_failed")))
            case other:
                raise AssertionError(f"no server knows the event {other}")

    def open(self, rest: list[dict[str, Any]]) -> None:
        said = [entry["out"] for entry in rest if "out" in entry]
        silent: dict[str, Any] = {"time": 0, "server": "", "epoch": ""}
        welcome: dict[str, Any] = next((m for m in said if m.get("type") == "welcome"), silent)
        streams: list[Any] = next((m["streams"] for m in said if m.get("type") == "streams"), [])
        terms = s.Terms(
            admits=lambda token: {"event": "close", "code": 4401} not in said,
            codecs=self.codecs,
            server=welcome["server"],
            epoch=welcome["epoch"],
            ice_servers=msgspec.convert(welcome.get("ice_servers", []), list[wire.IceServer]),
        )
        self.welcome_time = welcome["time"]
        self.session = s.Session(terms, msgspec.convert(streams, tuple[wire.StreamInfo, ...]), self.now)

    @property
    def machine(self) -> s.Session:
        assert self.session, "a transcript begins with socket_opened"
        return self.session

    def feed(self, event: s.Event) -> None:
        try:
            effects = self.machine.feed(event, self.now)
        except RemoteProtocolError as error:
            effects = [s.Close(error.code, error.reason), *self.machine.close()]
        self.do(effects)

    def do(self, effects: list[s.Effect]) -> None:
        for effect in effects:
            match effect:
                case s.Send(message):
                    self.owed.append(msgspec.to_builtins(message))
                case s.Close(code, _):
                    self.owed.append({"event": "close", "code": int(code)})
                case s.Attach():
                    self.attached.append(effect)

    def expect(self, what: dict[str, Any]) -> None:
        if what.get("event") == "unit":
            modes = {a.mode for a in self.attached if a.stream == what["stream"]}
            assert modes & ({"lossless"} if what["lossless"] else {"webcodecs"}), "units go to subscriptions only"
        elif what.get("type") == "stats":
            # The shell's answer to a report, which a transcript may leave out where it is of no matter.
            assert what["sub"] in {entry["in"].get("sub") for entry in self.column if "in" in entry}
        else:
            self.expect_of_machine(what)

    def expect_of_machine(self, what: dict[str, Any]) -> None:
        causes_itself = what.get("type") in ("streams", "ended") and not self.owed
        if causes_itself:
            self.streams_change(what)
        assert self.owed, f"the machine says nothing where the transcript has {what}"
        said = self.owed.pop(0)
        if said.get("type") == "welcome":
            said["time"] = self.welcome_time
        if said.get("event") == "close":
            what = {key: what[key] for key in ("event", "code")}
        assert said == what

    def streams_change(self, what: dict[str, Any]) -> None:
        """The publisher did something: the column tells what by the list that follows."""
        rest = self.column[[id(entry.get("out")) for entry in self.column].index(id(what)) :]
        following = next(e["out"] for e in rest if e.get("out", {}).get("type") == "streams")
        self.feed(s.StreamsChanged(msgspec.convert(following["streams"], tuple[wire.StreamInfo, ...])))


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_the_server_says_what_the_transcript_says(path: Path) -> None:
    Player(json.loads(path.read_text())).play()


def test_there_are_transcripts_to_play() -> None:
    assert len(TRANSCRIPTS) >= 6
