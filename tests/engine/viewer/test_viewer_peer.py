"""One viewer's peer: its commands in order, one at a time, none after its end; and what is deferred."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import cast

import pytest

from framewire.engine.viewer import viewer_peer as module
from framewire.engine.viewer.effects import AddCandidate, MakeOffer, OfferedTrack, PeerFailed, PeerOffered, SetAnswer
from framewire.engine.viewer.openings import OFFER_INTERVAL_S_PER_TRACK, PeerOpenings
from framewire.engine.viewer.viewer_peer import ViewerPeer
from framewire.errors import CodecRefusedError, PeerError
from framewire.rtc.peer import Peer, PeerOffer, PeerTrack
from tests.viewer import eventually

OFFER = MakeOffer(1, 4, (OfferedTrack(2, "vp8"),))


class SlowPeer:
    """A peer whose commands wait for ``go``, and then fail with ``error`` if there is one."""

    def __init__(self) -> None:
        self.log: list[object] = []
        self.go = asyncio.Event()
        self.go.set()
        self.error: Exception | None = None
        self.closed = False

    async def offer(self, tracks: list[PeerTrack]) -> PeerOffer:
        await self._do("offer", *tracks)
        return PeerOffer("sdp", {2: "0"})

    async def answer(self, sdp: str) -> None:
        await self._do("answer", sdp)

    async def add_candidate(self, candidate: str, sdp_mid: str) -> None:
        await self._do("candidate", candidate, sdp_mid)

    async def close(self) -> None:
        self.closed = True

    async def _do(self, *what: object) -> None:
        self.log.append(what)
        await self.go.wait()
        if self.error:
            raise self.error
        self.log.append(f"{what[0]} done")


class Made:
    def __init__(self) -> None:
        self.slow = SlowPeer()
        self.results: list[PeerOffered | PeerFailed] = []
        self.openings = PeerOpenings()
        self.peer = ViewerPeer(1, cast("Peer", self.slow), self.results.append, self.openings)


@pytest.fixture
async def made() -> AsyncIterator[Made]:
    made = Made()
    yield made
    await made.peer.close()


async def test_commands_are_carried_out_one_by_one_in_order(made: Made) -> None:
    made.slow.go.clear()
    for command in (OFFER, SetAnswer(1, "answer"), AddCandidate(1, "c", "0")):
        made.peer.negotiate(command)
    await eventually(lambda: made.slow.log)
    assert made.slow.log == [("offer", PeerTrack(2, "vp8"))]
    made.slow.go.set()
    await eventually(lambda: "candidate done" in made.slow.log)
    assert made.slow.log[1:] == [
        "offer done", ("answer", "answer"), "answer done", ("candidate", "c", "0"), "candidate done"
    ]  # fmt: skip
    assert made.results == [PeerOffered(1, 4, "sdp", {2: "0"})]


async def test_after_the_end_a_command_is_cut_short_and_the_others_never_begin(made: Made) -> None:
    made.slow.go.clear()
    made.peer.negotiate(OFFER)
    made.peer.negotiate(SetAnswer(1, "answer"))
    await eventually(lambda: made.slow.log)
    await made.peer.close()
    assert len(made.slow.log) == 1 and made.slow.closed and made.results == []


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (CodecRefusedError("no h264"), PeerFailed(1, "no h264", "no_codec")),
        (PeerError("bad SDP"), PeerFailed(1, "bad SDP")),
        (ValueError("secret"), PeerFailed(1, "negotiation failed at the server")),
    ],
)
async def test_a_command_that_fails_is_reported_with_its_reason(
    made: Made, error: Exception, result: PeerFailed, caplog: pytest.LogCaptureFixture
) -> None:
    made.slow.error = error
    made.peer.negotiate(SetAnswer(1, "answer"))
    await eventually(lambda: made.results)
    assert made.results == [result]
    unexpected = isinstance(error, ValueError)
    assert ("Traceback" in caplog.text) == unexpected, "the log has what the viewer must not see"


async def test_calls_are_deferred_only_while_the_first_video_frames_are_sent(made: Made) -> None:
    calls: list[int] = []
    assert not made.peer.connected and not made.peer.defer(lambda: calls.append(0))
    made.peer.mark_connected()
    assert made.peer.connected
    assert made.peer.defer(lambda: calls.append(1)) and made.peer.defer(lambda: calls.append(2))
    assert not calls
    await made.peer.close()
    assert calls == [1, 2]
    assert not made.peer.defer(lambda: calls.append(3))


async def test_deferred_calls_run_when_the_video_had_its_time(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0.5 < module.VIDEO_FIRST_S < 2, "two round trips of a slow link; a still picture must not wait longer"
    monkeypatch.setattr(module, "VIDEO_FIRST_S", 0.02)
    calls: list[int] = []
    made.peer.mark_connected()
    made.peer.defer(lambda: calls.append(1))
    await eventually(lambda: calls == [1])
    assert not made.peer.defer(lambda: calls.append(2)), "the time is over"


async def test_offers_follow_each_other_slowly(made: Made) -> None:
    offer = MakeOffer(1, 4, tuple(OfferedTrack(sub, "vp8") for sub in range(1, 31)))
    began = time.monotonic()
    for _ in range(4):
        made.peer.negotiate(offer)
    await eventually(lambda: len(made.results) == 4)
    assert time.monotonic() - began >= 3 * 30 * OFFER_INTERVAL_S_PER_TRACK


async def test_the_first_offer_of_a_peer_waits_for_its_turn_among_all_viewers(made: Made) -> None:
    async with made.openings._first:  # another viewer's turn
        made.peer.negotiate(OFFER)
        for _ in range(20):
            await asyncio.sleep(0)
        assert not made.slow.log
    await eventually(lambda: made.results)
