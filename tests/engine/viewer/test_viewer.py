"""One viewer's socket: what is sent in which order, what is let go of when, and what a slow or greedy one gets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from framewire import wire
from framewire.codec.lossless import MAX_MESSAGE
from framewire.engine.viewer import viewer as connection_module
from framewire.engine.viewer.viewer import MAX_CONTROL, MAX_HANGING_UP
from framewire.rtc.peer import BitrateEstimate, KeyframeWanted, PeerEvent, PeerOffer, PeerState
from tests.engine.hands import HELLO, Bench, FakePeer, units
from tests.engine.stills import Encoder
from tests.viewer import eventually, noise


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    FakePeer.made = []
    monkeypatch.setattr(connection_module, "Peer", FakePeer)
    bench = Bench()
    bench.add("one")
    bench.add("two")
    bench.connect()
    bench.connection.received(HELLO)
    yield bench
    bench.wire.open.set()
    for peer in FakePeer.made:
        peer.closing.set()
    await bench.connection.wait_closed()
    for stream in bench.streams.values():
        assert stream.viewers == 0, "whoever has left watches nothing"
        await stream.close()
    bench.pool.shutdown()


# In and out


async def test_a_picture_travels_in_chunks_that_proxies_take(bench: Bench) -> None:
    picture = noise(640, 480)
    bench.say(wire.Subscribe(1, "one", "lossless"))
    bench.publish(picture)
    await eventually(lambda: units(bench.wire.sent))
    chunks = [each for each in bench.wire.sent if isinstance(each, bytes)]
    assert len(chunks) == 4 and max(map(len, chunks)) == MAX_MESSAGE
    offsets = [header.offset for header in bench.wire.headers()]
    assert offsets == sorted(offsets) and offsets[0] == 0


async def test_control_goes_before_pixels(bench: Bench) -> None:
    bench.say(wire.Subscribe(1, "one", "lossless"))
    bench.wire.open.clear()
    bench.publish(noise(640, 480))
    await eventually(lambda: bench.connection._chunks)
    bench.say(wire.Subscribe(2, "nowhere", "lossless"))
    bench.wire.open.set()
    await eventually(lambda: units(bench.wire.sent))
    ended = next(index for index, each in enumerate(bench.wire.sent) if isinstance(each, str) and '"ended"' in each)
    binary = [index for index, each in enumerate(bench.wire.sent) if isinstance(each, bytes)]
    assert ended < binary[1], "no message waits for more than the chunk that is being sent"


@pytest.mark.parametrize("made", [True, False], ids=["made", "never made"])
async def test_pictures_wait_for_an_offer_that_is_being_made_but_not_for_long(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, made: bool
) -> None:
    gathered, negotiate = asyncio.Event(), FakePeer.offer

    async def offer(self: FakePeer, tracks: Any) -> PeerOffer:
        await gathered.wait()
        return await negotiate(self, tracks)

    monkeypatch.setattr(FakePeer, "offer", offer)
    monkeypatch.setattr(connection_module, "OFFER_FIRST", 60 if made else 0.01)
    bench.say(wire.Subscribe(1, "one", "lossless"), wire.Subscribe(2, "one", "webrtc"))
    bench.publish()
    await eventually(lambda: bench.connection._chunks or units(bench.wire.sent))
    if made:
        gathered.set()
    await eventually(lambda: units(bench.wire.sent))
    kinds = [
        "picture" if isinstance(each, bytes) else "offer"
        for each in bench.wire.sent
        if '"offer"' in str(each) or isinstance(each, bytes)
    ]
    assert kinds[0] == ("offer" if made else "picture")
    gathered.set()


async def test_input_reaches_the_publisher_with_the_viewers_name(bench: Bench) -> None:
    bench.say(wire.Subscribe(1, "two", "lossless"), wire.Input(1, wire.RenderviewEvent("key_down", 5.0, key="a")))
    assert bench.inputs == [(1, bench.connection.client_id, {"type": "key_down", "timestamp": 5.0, "key": "a"})]


async def test_viewers_are_counted_as_they_come_and_go(bench: Bench) -> None:
    bench.say(wire.Subscribe(1, "one", "lossless"), wire.Subscribe(2, "one", "webcodecs"), wire.Unsubscribe(1))
    bench.connection.close(1001, "")
    assert bench.counts == [(0, 1), (0, 1), (0, 1), (0, 0)]


async def test_a_report_is_answered_with_its_echo_and_what_is_known(bench: Bench) -> None:
    bench.say(wire.Subscribe(1, "one", "lossless"))
    number = bench.publish()
    await eventually(lambda: units(bench.wire.sent))
    bench.say(wire.Report(1, 12.5, True, 1, 1))
    await eventually(lambda: bench.wire.messages(wire.Stats))
    (stats,) = bench.wire.messages(wire.Stats)
    assert (stats.sub, stats.echo, stats.viewers) == (1, 12.5, 1)
    assert abs(stats.time / 1000 - time.time()) < 60
    assert [mark.frame for mark in stats.frames] == [number]
    assert stats.frames[0].rtp_timestamp == number * 9 // 100 and stats.frames[0].time == number / 1000


# The end of a subscription


async def test_a_unit_that_was_begun_is_finished_and_none_is_begun_any_more(bench: Bench) -> None:
    bench.say(wire.Subscribe(1, "one", "lossless"))
    bench.wire.open.clear()
    first = bench.publish(noise(640, 480, seed=1))
    await eventually(lambda: bench.connection._chunks)
    bench.publish(noise(640, 480, seed=2))
    await eventually(lambda: len({message[8:12] for *_, message in bench.connection._chunks}) == 2)
    # The viewer hangs with the first chunk of the first unit half sent; the second unit is all here.
    bench.say(wire.Unsubscribe(1), wire.Subscribe(2, "one", "lossless"))
    assert {message[8:12] for sub, _, message in bench.connection._chunks if sub == 1} == {first.to_bytes(4, "little")}
    newest = bench.publish(noise(640, 480, seed=3))
    await eventually(lambda: any(sub == 2 for sub, *_ in bench.connection._chunks))
    bench.wire.open.set()
    await eventually(lambda: [unit.number for unit in units(bench.wire.sent)][-1:] == [newest])
    numbers = [unit.number for unit in units(bench.wire.sent)]
    assert numbers[0] == first and numbers == sorted(set(numbers))
    assert {header.number for header in bench.wire.headers()} == set(numbers), "no unit was left half sent"


async def test_a_unit_that_was_not_begun_is_not_sent_after_the_end(bench: Bench) -> None:
    bench.say(wire.Subscribe(1, "two", "lossless"), wire.Subscribe(2, "one", "lossless"))
    bench.wire.open.clear()
    bench.publish(noise(640, 480), stream=1)
    await eventually(lambda: bench.connection._chunks)
    bench.publish()
    await eventually(lambda: any(sub == 2 for sub, *_ in bench.connection._chunks))
    bench.say(wire.Unsubscribe(2))
    bench.wire.open.set()
    await eventually(lambda: units(bench.wire.sent))
    assert {header.stream for header in bench.wire.headers()} == {1}


# The end of a socket


async def test_a_closed_connection_says_its_code_last_and_hears_nothing_more(bench: Bench) -> None:
    bench.say(wire.Subscribe(1, "one", "lossless"), wire.Subscribe(2, "nowhere", "lossless"))
    bench.connection.received("rubbish")
    bench.say(wire.Subscribe(3, "two", "lossless"))
    bench.connection.streams_changed(())
    await bench.connection.wait_closed()
    assert bench.wire.goodbye and bench.wire.goodbye[0] == 4400
    assert len(bench.wire.messages(wire.Ended)) == 1, "what was said before is still said"
    assert bench.counts == [(0, 1), (0, 0)]


async def test_a_viewer_that_is_gone_is_let_go_of(bench: Bench) -> None:
    bench.say(wire.Subscribe(1, "one", "lossless"))
    bench.wire.gone = True
    bench.publish()
    await eventually(lambda: bench.connection.ended)
    assert bench.streams[0].viewers == 0


async def test_whoever_reads_nothing_is_closed_when_its_queue_is_full(bench: Bench) -> None:
    await eventually(lambda: len(bench.wire.sent) == 2)
    bench.wire.open.clear()
    bench.say(wire.Subscribe(1, "one", "lossless"))
    for time_ms in range(MAX_CONTROL + 5):
        bench.say(wire.Report(1, float(time_ms), True, 0, 0))
    assert bench.connection.ended and len(bench.connection._control) <= MAX_CONTROL
    bench.wire.open.set()
    await eventually(lambda: bench.wire.goodbye)
    assert bench.wire.goodbye and bench.wire.goodbye[0] == 4429


async def test_a_queue_that_fills_in_the_midst_of_effects_leaves_nothing_attached(bench: Bench) -> None:
    bench.say(wire.Subscribe(1, "one", "lossless"), wire.Subscribe(2, "two", "lossless"))
    bench.wire.open.clear()
    bench.connection._control.extend(["x"] * MAX_CONTROL)
    streams = dict(bench.streams)
    bench.connection.streams_changed(())
    assert bench.connection.ended
    assert [stream.viewers for stream in streams.values()] == [0, 0]


async def test_the_goodbye_has_a_deadline(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "GOODBYE", 0.01)
    bench.wire.open.clear()
    await bench.connection.wait_closed()
    assert bench.wire.gone and bench.wire.goodbye is None


async def test_a_bug_ends_the_connection_it_is_met_in(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.streams[0], "attach", lambda *_, **__: 1 / 0)
    bench.say(wire.Subscribe(1, "one", "lossless"))
    assert bench.connection.ended, "and nothing was raised to whoever fed it"


# Peers


async def negotiated(bench: Bench, sub: int = 1) -> FakePeer:
    offers = len(bench.wire.messages(wire.Offer))
    bench.say(wire.Subscribe(sub, "one", "webrtc"))
    await eventually(lambda: len(bench.wire.messages(wire.Offer)) > offers)
    offer = bench.wire.messages(wire.Offer)[-1]
    bench.say(wire.Answer(offer.peer, offer.offer, "an answer"))
    peer = FakePeer.made[-1]
    await eventually(lambda: peer.answers)
    return peer


@pytest.fixture
def encoder(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Encoder:
    encoder = Encoder()
    monkeypatch.setattr("framewire.engine.stream.stream.open_encoder", lambda *_, **__: encoder)
    return encoder


async def test_nothing_is_encoded_before_the_peer_is_connected(bench: Bench, encoder: Encoder) -> None:
    peer = await negotiated(bench)
    number = bench.publish()
    await asyncio.sleep(0.05)
    assert not encoder.asked
    peer.on_event(PeerState("connected"))
    await eventually(lambda: (1, number) in peer.sent)
    assert encoder.asked[0] == (number, True)


async def test_the_viewers_feedback_reaches_the_encoder(bench: Bench, encoder: Encoder) -> None:
    peer = await negotiated(bench)
    peer.on_event(PeerState("connected"))
    bench.publish()
    await eventually(lambda: peer.sent)
    events: list[PeerEvent] = [KeyframeWanted(1), BitrateEstimate(1), KeyframeWanted(99)]
    for event in events:
        peer.on_event(event)
    await eventually(lambda: len(encoder.asked) > 1)
    assert encoder.asked[1][1] and encoder.rates


async def test_a_peer_that_fails_ends_its_subscriptions_and_is_hung_up(bench: Bench, encoder: Encoder) -> None:
    peer = await negotiated(bench)
    peer.on_event(PeerState("connected"))
    peer.on_event(PeerState("failed"))
    await eventually(lambda: bench.wire.messages(wire.Ended))
    assert bench.wire.messages(wire.Ended)[0].reason == "peer_failed"
    await eventually(lambda: peer.closed)
    assert not bench.connection.ended
    peer.on_event(PeerState("connected"))
    assert bench.streams[0].viewers == 0, "an old peer's words are nothing to the next one"


async def test_an_answer_that_cannot_be_used_is_a_failed_peer(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.say(wire.Subscribe(1, "one", "webrtc"))
    await eventually(lambda: bench.wire.messages(wire.Offer))
    bench.say(wire.Answer(1, 1, "bad"))
    await eventually(lambda: bench.wire.messages(wire.Ended))
    assert bench.wire.messages(wire.Ended)[0].reason == "peer_failed"
    assert "negotiation failed" in caplog.text
    await eventually(lambda: FakePeer.made[0].closed)


async def test_unsubscribing_before_the_peer_connects_leaves_nothing_waiting(bench: Bench, encoder: Encoder) -> None:
    peer = await negotiated(bench)
    bench.say(wire.Unsubscribe(1))
    peer.on_event(PeerState("connected"))
    bench.publish()
    await eventually(lambda: peer.closed)
    assert not encoder.asked and bench.streams[0].viewers == 0


async def test_an_estimate_of_the_peer_is_shared_among_what_goes_through_the_peer(
    bench: Bench, encoder: Encoder
) -> None:
    peer = await negotiated(bench)
    bench.say(wire.Subscribe(2, "two", "webcodecs"))
    peer.on_event(PeerState("connected"))
    bench.publish()
    bench.publish(stream=1)
    await eventually(lambda: peer.sent and units(bench.wire.sent))
    assert peer.wanted == 20_000_000
    peer.on_event(BitrateEstimate(1))
    assert target(bench, 1) < 1_000_000
    assert target(bench, 2) == 20_000_000, "what goes through the socket is not slowed down"


def target(bench: Bench, sub: int) -> int:
    key = bench.connection._key(sub)
    encoding = bench.streams[bench.connection._subs[sub].stream].encoding(key)
    assert encoding is not None
    return encoding.report(key, time.monotonic()).target_bps


async def test_a_subscription_begins_with_what_is_known_of_the_way(bench: Bench, encoder: Encoder) -> None:
    peer = await negotiated(bench)
    peer.on_event(BitrateEstimate(2_000_000, measured=True))
    peer.on_event(PeerState("connected"))
    assert target(bench, 1) == 2_000_000
    assert encoder.rates == [2_000_000] and not encoder.asked
    peer.on_event(BitrateEstimate(5_000_000, measured=True))
    assert target(bench, 1) == 5_000_000


async def test_peers_are_not_opened_faster_than_they_close(bench: Bench) -> None:
    real, FakePeer.made = FakePeer.made, []
    for sub in range(1, 100):
        bench.say(wire.Subscribe(sub, "one", "webrtc"))
        if FakePeer.made:
            FakePeer.made[-1].closing.clear()
        bench.say(wire.Unsubscribe(sub))
    assert len(FakePeer.made) <= MAX_HANGING_UP + 1
    for peer in FakePeer.made:
        peer.closing.set()
    await bench.connection.wait_closed()
    assert bench.wire.goodbye and bench.wire.goodbye[0] == 4429
    assert all(peer.closed for peer in FakePeer.made)
    FakePeer.made = real


# Greed


async def test_a_flood_of_subscriptions_leaves_nothing_behind(bench: Bench) -> None:
    async def drain() -> None:
        await eventually(lambda: not bench.connection._control)

    tasks = len(asyncio.all_tasks())
    for round_ in range(30):
        for sub in range(round_ * 100 + 1, round_ * 100 + 100, 2):
            bench.say(wire.Subscribe(sub, "one", "lossless"), wire.Unsubscribe(sub))
            bench.say(wire.Subscribe(sub + 1, "nowhere", "lossless"))
        await drain()
    assert not bench.connection.ended and not bench.connection._subs and not bench.connection._chunks
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks)
    assert bench.streams[0].viewers == 0 and not bench.streams[0]._lane_of
