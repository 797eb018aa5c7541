"""A peer and a stock aiortc viewer on one machine: pictures, losses, renegotiation, strangers, ends."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import Callable
from dataclasses import replace

import pytest

from framewire.errors import PeerError
from framewire.options import EngineOptions
from framewire.rtc import peer
from framewire.rtc.events import BitrateEstimate, KeyframeWanted, PeerState, PeerTrack
from framewire.rtc.peer import SMOOTH_PLAYOUT_DELAY_S, Peer
from framewire.rtc.send.controller import SendController
from framewire.rtc.stack import ice
from framewire.rtc.stack.destinations import MAX_CANDIDATES, DestinationBudget
from framewire.rtc.stack.peer_connection import PeerConnection
from tests.rtc.viewers import Show, Stage, Viewer

A, B, C = PeerTrack(1, "h264"), PeerTrack(2, "h264"), PeerTrack(3, "vp8")


def delays(stage: Stage) -> dict[int, float]:
    """For how long the viewer is to hold back the frames of each subscription."""
    return {sub: sender._playout_delay.seconds for sub, sender in stage.peer._senders.items()}


def dropping(stage: Stage, keep: Callable[[int], bool]) -> list[int]:
    """Lose datagrams to the viewer by their number; returns a list that counts those lost."""
    connection = stage.peer._connection.transport.connection
    send, lost, count = connection.send_now, [], 0

    def lossy(datagrams: list[bytes]) -> None:
        nonlocal count
        for datagram in datagrams:
            count += 1
            send([datagram]) if keep(count) else lost.append(count)

    connection.send_now = lossy  # type: ignore[method-assign]
    return lost


@pytest.mark.parametrize("track", [A, C], ids=["h264", "vp8"])
async def test_a_stock_viewer_sees_the_picture(stage: Stage, track):
    await stage.negotiate(track)
    await stage.until(lambda: stage.shown(track.sub, 90), level=90)
    await stage.until(lambda: stage.shown(track.sub, 170), level=170)
    assert stage.events[:2] == [PeerState("connected"), KeyframeWanted(track.sub)]
    stats = stage.peer.stats(track.sub)
    assert stats.frames_sent >= len(stage.viewer.pictures["0"])
    assert stats.packets > stats.frames_sent


async def test_the_viewer_reports_and_estimates(stage: Stage):
    await stage.negotiate(C)
    await stage.until(lambda: stage.peer.stats(3).rtt_s is not None and stage.kinds(BitrateEstimate))
    assert 0 <= (stage.peer.stats(3).rtt_s or 9) < 1


@pytest.mark.parametrize("track", [A, C], ids=["h264", "vp8"])
async def test_lost_packets_are_repaired_without_a_keyframe(stage: Stage, track):
    await stage.negotiate(track)
    await stage.until(lambda: stage.shown(track.sub, 128))
    asked = stage.kinds(KeyframeWanted)
    seen, number = len(stage.viewer.pictures["0"]), stage.shows[track.sub].number
    lost = dropping(stage, lambda count: count % 11 != 5)
    await stage.until(lambda: len(stage.viewer.pictures["0"]) >= seen + 40)
    assert len(lost) > 5
    assert stage.peer.stats(track.sub).retransmitted >= len(lost) // 2
    assert stage.kinds(KeyframeWanted) == asked
    played = stage.shows[track.sub].number - number
    assert played <= 40 + 12, "all but those on their way were seen"


async def test_a_lost_tail_is_found_though_nothing_follows(stage: Stage):
    await stage.negotiate(C)
    await stage.until(lambda: stage.shown(3, 128))
    unit = stage.shows[3].unit(200)
    assert len(unit.payloads) > 3
    first = stage.peer.stats(3).packets
    lost = dropping(stage, lambda count: not 1 < count <= len(unit.payloads))
    assert stage.peer.send(3, unit)
    await stage.watch(lambda: stage.peer.stats(3).retransmitted >= len(lost) - 1)
    assert stage.peer.stats(3).packets == first + len(unit.payloads)
    assert stage.peer.stats(3).tail_probes >= 1


async def test_a_keyframe_request_of_the_viewer_arrives(stage: Stage):
    await stage.negotiate(A)
    await stage.until(lambda: stage.shown(1, 128))
    asked = stage.kinds(KeyframeWanted)
    receiver = stage.viewer.pc.getReceivers()[0]
    await receiver._send_rtcp_pli(stage.peer._senders[1].ssrc)
    await stage.until(lambda: stage.kinds(KeyframeWanted) > asked)
    assert stage.peer.stats(1).keyframe_requests == 1


async def test_streams_come_and_go_on_one_connection(stage: Stage):
    await stage.negotiate(A)
    await stage.until(lambda: stage.shown(1, 60), level=60)
    await stage.negotiate(A, C)
    assert stage.mids == {1: "0", 3: "1"}
    await stage.until(lambda: stage.shown(1, 128) and stage.shown(3, 128))
    gone = stage.shows[1]
    await stage.negotiate(C)
    assert not gone.play()
    assert stage.peer.stats(1).frames_sent == 0
    await stage.until(lambda: stage.shown(3, 200), level=200)
    assert stage.kinds(PeerState) == 1


async def test_a_free_slot_is_used_by_the_next_subscription_of_its_codec(stage: Stage):
    await stage.negotiate(A)
    await stage.until(lambda: stage.shown(1, 128))
    await stage.negotiate(C)
    assert stage.mids == {3: "1"}, "a slot keeps its codec"
    await stage.negotiate(B, C)
    assert stage.mids == {2: "0", 3: "1"}
    await stage.until(lambda: stage.shown(2, 70) and stage.shown(3, 70), level=70)
    assert KeyframeWanted(2) in stage.events


async def test_a_track_swapped_in_one_offer_waits_for_the_answer(stage: Stage):
    await stage.negotiate(A)
    await stage.until(lambda: stage.shown(1, 128))
    offer = await stage.peer.offer([B])
    assert offer.mids == {2: "0"}
    unit = stage.shows[1].unit(64)
    for _ in range(5):
        assert not stage.peer.send(2, unit)
        await asyncio.sleep(0.01)
    assert KeyframeWanted(2) not in stage.events
    await stage.peer.answer(await stage.viewer.answer(offer.sdp))
    await asyncio.sleep(0.05)
    assert KeyframeWanted(2) in stage.events


async def test_candidates_may_trickle_and_invalid_ones_are_ignored(loopback):
    stage = Stage()
    offer = await stage.peer.offer([C])
    answer = await stage.viewer.answer(offer.sdp)
    candidates = [line[2:] for line in answer.splitlines() if line.startswith("a=candidate")]
    await stage.peer.answer("".join(f"{line}\r\n" for line in answer.splitlines() if "candidate" not in line))
    for invalid in ("", "candidate:1 1 udp 1 x.local 5000 typ host", "\0", "candidate:" + "9 " * 20):
        await stage.peer.add_candidate(invalid, "0")
    for candidate in candidates:
        await stage.peer.add_candidate(candidate, "0")
    await stage.until(lambda: PeerState("connected") in stage.events)
    await stage.close()


async def test_a_viewer_that_may_announce_no_more_connects_by_its_own_checks(stage: Stage, monkeypatch):
    monkeypatch.setattr(DestinationBudget, "may_announce", lambda self, address, now: False)
    await stage.negotiate(C)
    await stage.until(lambda: stage.shown(3, 128))
    known = stage.peer._connection.transport.connection.remote_candidates
    assert {candidate.type for candidate in known} == {"prflx"}


async def test_the_number_of_candidates_is_bounded(stage: Stage):
    await stage.peer.offer([C])
    for port in range(2000, 3000):
        await stage.peer.add_candidate(f"candidate:1 1 udp 1 127.0.0.1 {port} typ host", "0")
    assert len(stage.peer._connection.transport.connection.remote_candidates) == MAX_CANDIDATES


async def test_a_flood_of_strangers_does_not_keep_the_viewer_out(stage: Stage):
    offer = await stage.peer.offer([C])
    port = next(int(line.split()[5]) for line in offer.sdp.splitlines() if "candidate" in line and "127.0.0.1" in line)
    hello = b"\x16\xfe\xff\0\0\0\0\0\0\0\0\0\x30\1" + bytes(40)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:

        async def flood() -> None:
            while True:
                for _ in range(20):
                    stranger.sendto(hello, ("127.0.0.1", port))
                await asyncio.sleep(0.001)

        flooding = asyncio.create_task(flood())
        await stage.peer.answer(await stage.viewer.answer(offer.sdp))
        await stage.watch(lambda: PeerState("connected") in stage.events)
        assert stage.peer._connection.transport.connection._queue.qsize() < ice.MAX_QUEUED_DATAGRAMS
        flooding.cancel()


async def test_a_viewer_that_refuses_a_track_is_an_error(stage: Stage):
    offer = await stage.peer.offer([A])
    answer = await stage.viewer.answer(offer.sdp)
    with pytest.raises(PeerError, match="no decoder"):
        await stage.peer.answer(answer.replace("m=video ", "m=video 0 x ").replace("0 x 9", "0"))


@pytest.mark.parametrize(
    ("old", "new"),
    [("H264/90000", "H265/90000"), ("a=recvonly", "a=inactive"), ("a=ice-pwd", "a=x"), ("a=mid:0", "a=mid:7")],
)
async def test_an_answer_that_does_not_fit_is_a_peer_error(stage: Stage, old, new):
    offer = await stage.peer.offer([A])
    answer = await stage.viewer.answer(offer.sdp)
    assert old in answer
    with pytest.raises(PeerError):
        await stage.peer.answer(answer.replace(old, new))


async def test_a_viewer_whose_certificate_is_not_that_of_its_answer_gets_no_media(stage: Stage):
    offer = await stage.peer.offer([A])
    answer = await stage.viewer.answer(offer.sdp)
    name = "a=fingerprint:sha-256 "
    digit = answer[answer.index(name) + len(name)]
    other = "0" if digit != "0" else "1"
    await stage.peer.answer(answer.replace(name + digit, name + other))
    await stage.watch(lambda: stage.kinds(PeerState))
    assert stage.events == [PeerState("failed")]
    assert not stage.peer.send(1, Show(stage.peer, A).unit(128))
    await asyncio.sleep(0.2)
    assert stage.events == [PeerState("failed")] and stage.viewer.pictures == {}


def compacted(answer: str) -> str:
    """An answer as the browser client sends it (`js/src/core/compact-answer.ts`): what all sections say, once."""
    head, *sections = re.split(r"(?m)^(?=m=)", answer)
    lines = [section.split("\r\n") for section in sections]
    names = ("a=ice-", "a=fingerprint:", "a=setup:", "a=extmap:", "a=recvonly")
    shared = [line for line in lines[0] if line.startswith(names) and all(line in section for section in lines)]
    own = ["\r\n".join(line for line in section if line not in shared) for section in lines]
    return head + "".join(f"{line}\r\n" for line in shared) + "".join(own)


async def test_sixty_four_videos_are_negotiated_and_shown_in_one_message_each(measured: Stage):
    tracks = [PeerTrack(sub, "vp8") for sub in range(1, 65)]
    offer = await measured.peer.offer(tracks)
    measured.mids = offer.mids
    answer = compacted(await measured.viewer.answer(offer.sdp))
    assert len(json.dumps(answer)) < 65_000
    await measured.peer.answer(answer)
    await measured.watch(lambda: measured.kinds(KeyframeWanted) == 64)
    assert "transport-cc" in offer.sdp and measured.peer._measures, "header extensions were negotiated"
    for track in tracks[::9]:
        measured.shows[track.sub] = Show(measured.peer, track, width=32, height=32)
        measured.shows[track.sub].keyframe = True
    await measured.until(lambda: all(measured.shown(sub, 128) for sub in measured.shows))


async def test_an_answer_to_no_offer_is_a_peer_error(stage: Stage):
    with pytest.raises(PeerError):
        await stage.peer.answer("v=0\r\n")


async def test_a_viewer_that_hangs_up_is_closed(stage: Stage):
    await stage.negotiate(C)
    await stage.until(lambda: stage.shown(3, 128))
    await stage.viewer.close()
    await stage.until(lambda: PeerState("closed") in stage.events)
    assert not stage.shows[3].play()
    assert stage.kinds(PeerState) == 2


async def test_a_viewer_that_vanishes_has_failed(stage: Stage, monkeypatch):
    monkeypatch.setattr(peer, "SILENCE_TIMEOUT_S", 2)
    await stage.negotiate(C)
    await stage.until(lambda: stage.shown(3, 128))
    for protocol in stage.viewer.pc.getReceivers()[0].transport.transport._connection._protocols:
        protocol.transport.close()
    await stage.until(lambda: PeerState("failed") in stage.events)
    assert not stage.shows[3].play()


async def test_whether_the_viewer_is_silent_is_looked_at_every_second(stage: Stage):
    await stage.negotiate(C)
    timer = stage.peer._watch_timer
    assert timer is not None
    assert 0.6 < timer.when() - asyncio.get_running_loop().time() <= 1.0


async def test_a_viewer_that_never_connects_has_failed(stage: Stage, monkeypatch):
    assert peer.CONNECT_TIMEOUT_S == 10, "aiortc itself takes a minute"
    monkeypatch.setattr(peer, "CONNECT_TIMEOUT_S", 0.5)
    offer = await stage.peer.offer([C])
    answer = await Viewer().answer(offer.sdp)
    silent = "\r\n".join(line for line in answer.split("\r\n") if "candidate" not in line)
    await stage.peer.answer(silent.replace("a=ice-ufrag:", "a=ice-ufrag:unknown"))
    await stage.until(lambda: PeerState("failed") in stage.events)


async def test_after_the_end_nothing_raises_but_offers(stage: Stage):
    await stage.negotiate(C)
    await stage.until(lambda: stage.shown(3, 128))
    before = len(stage.events)
    await stage.peer.close()
    await stage.peer.close()
    assert not stage.shows[3].play()
    assert not stage.peer.send(99, stage.shows[3].unit(64))
    await stage.peer.add_candidate("candidate:1 1 udp 1 127.0.0.1 5000 typ host", "0")
    await asyncio.sleep(0.05)
    assert len(stage.events) == before
    for late in (stage.peer.offer([C]), stage.peer.answer("v=0")):
        with pytest.raises(PeerError):
            await late


async def test_a_peer_that_never_offered_closes():
    lonely = Peer(EngineOptions(), on_event=lambda event: None)
    with pytest.raises(PeerError, match="nothing"):
        await lonely.offer([])
    await lonely.close()


async def test_a_connection_that_does_not_close_is_given_up(monkeypatch, stage: Stage):
    async def never(self: PeerConnection) -> None:
        await asyncio.Event().wait()

    await stage.peer.offer([C])
    assert peer.PEER_CLOSE_TIMEOUT_S == 5
    monkeypatch.setattr(peer, "PEER_CLOSE_TIMEOUT_S", 0.05)
    with monkeypatch.context() as patch:
        patch.setattr(PeerConnection, "close", never)
        await stage.peer.close()
    await stage.peer._connection.close()


@pytest.fixture
async def measured(loopback):
    """A stage whose viewer gives feedback on each packet."""
    stage = Stage(feedback=True)
    yield stage
    await stage.close()


def estimates(stage: Stage) -> list[BitrateEstimate]:
    return [event for event in stage.events if isinstance(event, BitrateEstimate)]


async def test_feedback_on_packets_becomes_an_estimate_beyond_what_is_sent(measured: Stage):
    await measured.negotiate(A)
    await measured.until(lambda: measured.shown(1, 128) and estimates(measured)[-1].bits_per_second > 5_000_000)
    assert all(estimate.measured for estimate in estimates(measured)), "the viewer's own estimates are not reported"
    assert estimates(measured)[0].bits_per_second < 2_000_000, "the first word comes before the first feedback"


async def test_two_streams_share_one_estimate_and_one_numbering(measured: Stage):
    await measured.negotiate(A, C)
    await measured.until(lambda: measured.shown(1, 128) and measured.shown(3, 128))
    await measured.until(lambda: estimates(measured)[-1].bits_per_second > 5_000_000)


async def test_what_is_lost_is_repaired_under_feedback_too(measured: Stage):
    await measured.negotiate(A)
    await measured.until(lambda: measured.shown(1, 128))
    lost = dropping(measured, lambda count: count % 11 != 5)
    await measured.until(lambda: len(lost) > 20 and measured.peer.stats(1).retransmitted > 5)
    await measured.until(lambda: measured.shown(1, 60), level=60)


async def test_without_feedback_on_packets_the_viewers_own_estimate_counts(stage: Stage):
    await stage.negotiate(C)
    await stage.until(lambda: estimates(stage))
    assert not any(estimate.measured for estimate in estimates(stage))


async def test_a_smooth_track_asks_for_a_playout_delay_beside_one_that_does_not(stage: Stage):
    await stage.negotiate(A, replace(C, latency="smooth"))
    await stage.until(lambda: stage.shown(1, 128) and stage.shown(3, 128))
    assert delays(stage) == {1: 0.0, 3: SMOOTH_PLAYOUT_DELAY_S} and SMOOTH_PLAYOUT_DELAY_S == 0.1
    # The slot that is free is used again, and keeps nothing of the one before.
    await stage.negotiate(A)
    await stage.negotiate(A, replace(C, sub=4))
    await stage.until(lambda: 4 in stage.peer._senders)
    assert delays(stage) == {1: 0.0, 4: 0.0}


async def test_what_is_useful_is_known_before_the_viewer_is(measured: Stage, monkeypatch):
    useful: list[float] = []
    monkeypatch.setattr(SendController, "set_useful_bitrate", lambda self, bps: useful.append(bps))
    await measured.negotiate(A)
    await measured.until(lambda: estimates(measured))
    assert useful == [20_000_000]
    measured.peer.set_useful_bitrate(3_000_000)
    assert useful == [20_000_000, 3_000_000]


async def test_no_more_bandwidth_is_looked_for_than_is_useful(measured: Stage):
    measured.peer.set_useful_bitrate(1_000_000)
    await measured.negotiate(A)
    await measured.until(lambda: measured.shows[1].number > 60)
    assert max(estimate.bits_per_second for estimate in estimates(measured)) < 4_000_000
