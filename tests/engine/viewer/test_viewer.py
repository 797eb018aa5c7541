"""A viewer carries out its session: what is attached and released when, and what a greedy or broken viewer gets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import pytest

from framewire import wire
from framewire.authentication import ConnectionRequest
from framewire.engine.viewer import session as session_module
from framewire.engine.viewer import viewer as viewer_module
from framewire.engine.viewer import websocket as websocket_module
from framewire.engine.viewer.admission import Admission, Admitted, Refused
from framewire.engine.viewer.budget import CLOSED_WAIT_S, REPORT_TOKENS, WORK_TOKENS
from framewire.engine.viewer.viewer import MAX_CLOSING_PEERS, Viewer
from framewire.engine.viewer.websocket import MAX_QUEUED_MESSAGES
from framewire.errors import CloseCode, EngineError
from framewire.frame import AccessUnit
from framewire.rtc.peer import BitrateEstimate, KeyframeWanted, PeerEvent, PeerOffer, PeerState
from tests.engine.fakes import HELLO, TOKEN, Bench, FakeContext, FakePeer, MemoryTransport, units
from tests.engine.stills import Encoder
from tests.viewer import eventually, noise


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    FakePeer.made = []
    monkeypatch.setattr(viewer_module, "Peer", FakePeer)
    bench = Bench()
    bench.send(HELLO)
    yield bench
    bench.socket.open.set()
    for peer in FakePeer.made:
        peer.closing.set()
    await bench.viewer.wait_closed()
    for stream in bench.streams.values():
        assert stream.viewers == 0, "a viewer that has left subscribes to nothing"
    await bench.close()


# Transports


async def test_a_viewer_needs_nothing_of_its_transport_but_the_protocol() -> None:
    context, transport = FakeContext(), MemoryTransport()
    context.add("one")
    viewer = context.connect(transport)
    for message in (HELLO, wire.Subscribe(1, "one", "lossless"), wire.Input(1, wire.RenderviewEvent("show", 1.0))):
        viewer.receive(wire.encode(message))
    number = context.publish()
    await eventually(lambda: len(transport.sent) == 3)
    assert isinstance(transport.sent[0], wire.Welcome) and isinstance(transport.sent[1], wire.Streams)
    assert isinstance(unit := transport.sent[2], AccessUnit) and unit.number == number
    assert context.inputs == [(0, viewer.client_id, None, {"type": "show", "timestamp": 1.0})]
    transport.lost()
    assert viewer.closed and context.streams[0].viewers == 0
    await context.close()


# Admission


def hook(bench: Bench, answer: Admission | Exception | asyncio.Future[Admission]) -> Viewer:
    """A viewer that has sent its hello, at a server whose auth hook gives this answer."""

    async def later(future: asyncio.Future[Admission]) -> Admission:
        return await future

    def authorize(token: str, request: ConnectionRequest) -> Admission | Awaitable[Admission]:
        asked.append((token, request))
        if isinstance(answer, Exception):
            raise answer
        return later(answer) if isinstance(answer, asyncio.Future) else answer

    asked: list[tuple[str, ConnectionRequest]] = []
    bench.authorize = authorize
    request = ConnectionRequest(cookies={"session": "7"})
    viewer = bench.connect(MemoryTransport(), request)
    viewer.receive(wire.encode(HELLO))
    assert asked == [(TOKEN, request)]
    return viewer


def close_code(viewer: Viewer) -> int | None:
    assert isinstance(viewer.transport, MemoryTransport)
    return viewer.transport.closed_with[0] if viewer.transport.closed_with else None


INPUT = (wire.Subscribe(1, "two", "lossless"), wire.Input(1, wire.RenderviewEvent("key_down", 5.0, key="a")))


async def test_input_reaches_the_publisher_with_the_viewer_and_its_principal(bench: Bench) -> None:
    viewer = hook(bench, Admitted("ada"))
    for message in INPUT:
        viewer.receive(wire.encode(message))
    event = {"type": "key_down", "timestamp": 5.0, "key": "a"}
    assert bench.inputs == [(1, viewer.client_id, "ada", event)]
    viewer.close(1001, "")


async def test_a_flood_of_input_goes_on_by_and_by_and_its_end_at_the_latest_with_the_viewer(bench: Bench) -> None:
    viewer = hook(bench, Admitted("ada"))

    def send(kind: wire.EventType, count: int) -> None:
        for number in range(count):
            fields: dict[str, Any] = {"key": "a"} if kind.startswith("key") else {"x": number, "y": 0}
            viewer.receive(wire.encode(wire.Input(1, wire.RenderviewEvent(kind, number, **fields))))

    viewer.receive(wire.encode(INPUT[0]))
    send("pointer_move", 2000)
    at_once = len(bench.inputs)
    assert 1000 <= at_once < 2000
    await eventually(lambda: bench.inputs[-1][3].get("x") == 1999)
    assert len(bench.inputs) < 2000, "merged"
    for _ in range(60):
        send("key_down", 1)
        send("key_up", 1)
    send("key_down", 1)
    viewer.close(1001, "")
    pressed = [event["type"] for *_, event in bench.inputs if event["type"].startswith("key")]
    assert pressed == ["key_down", "key_up"] * 60 + ["key_down"], "none is lost"
    count = len(bench.inputs)
    await asyncio.sleep(0.05)
    assert len(bench.inputs) == count


async def test_an_event_that_lacks_a_field_of_its_type_closes_its_viewer(bench: Bench) -> None:
    viewer = hook(bench, Admitted("ada"))
    viewer.receive(wire.encode(INPUT[0]))
    viewer.receive(wire.encode(wire.Input(1, wire.RenderviewEvent("pointer_down", 1.0, x=1.0))))
    assert close_code(viewer) == 4400 and not bench.inputs


async def test_a_viewer_that_the_hook_refuses_is_closed_with_its_code(bench: Bench) -> None:
    assert close_code(hook(bench, Refused(CloseCode.LIMITS, "one viewer each"))) == 4429


async def test_messages_wait_for_a_hook_that_takes_its_time(bench: Bench) -> None:
    answer: asyncio.Future[Admission] = asyncio.get_running_loop().create_future()
    viewer = hook(bench, answer)
    for message in INPUT:
        viewer.receive(wire.encode(message))
    await asyncio.sleep(0.01)
    assert not viewer.admitted and not bench.inputs
    answer.set_result(Admitted("ada"))
    await eventually(lambda: viewer.admitted)
    assert [principal for _, _, principal, _ in bench.inputs] == ["ada"]
    viewer.close(1001, "")


async def test_what_a_viewer_may_send_before_it_is_admitted_is_bounded(bench: Bench) -> None:
    assert viewer_module.MAX_UNADMITTED_SIZE == wire.MAX_TEXT_MESSAGE_BYTES
    answer: asyncio.Future[Admission] = asyncio.get_running_loop().create_future()
    viewer = hook(bench, answer)
    await asyncio.sleep(0)
    subscribe = wire.encode(wire.Subscribe(1, "x" * 100, "lossless"))
    room = viewer_module.MAX_UNADMITTED_SIZE - viewer._unadmitted_size
    padded = subscribe + " " * (room // 2 - len(subscribe))
    for _ in range(2):
        viewer.receive(padded)
    assert not viewer.closed
    viewer.receive(subscribe)
    assert close_code(viewer) == 4429
    await eventually(answer.cancelled)


async def test_a_viewer_is_known_to_its_transport_from_its_admission_on(bench: Bench) -> None:
    said: list[str] = []

    class Transport(MemoryTransport):
        def admitted(self) -> None:
            said.append("admitted")

    viewer = bench.connect(Transport())
    assert not said
    viewer.receive(wire.encode(HELLO))
    assert said == ["admitted"]
    refused = bench.connect(Transport())
    refused.receive(wire.encode(wire.Hello(wire.VERSION, "x" * 30, [])))
    assert refused.closed and said == ["admitted"]
    viewer.close(1001, "")


async def test_where_too_many_files_are_open_a_viewer_stays_on_its_websocket(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(viewer_module, "can_open_more", lambda: False)
    for sub in range(1, 6):
        bench.send(wire.Subscribe(sub, "one", "webrtc"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    bench.send(wire.Subscribe(6, "one", "lossless"))
    bench.publish()
    bench.socket.open.set()
    await eventually(lambda: bench.socket.chunks)
    ended = bench.socket.messages(wire.Ended)
    assert [(each.sub, each.reason) for each in ended] == [(sub, "peer_failed") for sub in range(1, 6)]
    assert "ulimit -n" in ended[0].detail and not FakePeer.made and not bench.viewer.closed
    assert len(caplog.records) == 3, "a viewer that asks again and again fills no log"


async def test_a_hook_that_does_not_answer_is_ended_by_the_deadline_for_hello(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "HELLO_TIMEOUT_S", 0.02)
    answer: asyncio.Future[Admission] = asyncio.get_running_loop().create_future()
    viewer = hook(bench, answer)
    await eventually(lambda: close_code(viewer) == 4408)
    await eventually(answer.cancelled, "and is cancelled")


async def test_a_hook_whose_program_has_said_why_it_failed_is_one_line(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    answer: asyncio.Future[Admission] = asyncio.Future()
    viewer = hook(bench, answer)
    answer.set_exception(EngineError("the program did not say"))
    await eventually(lambda: close_code(viewer) is not None)
    assert "could not be authorized: the program did not say" in caplog.text and "Traceback" not in caplog.text


async def test_a_hook_that_fails_admits_no_viewer(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    answer: asyncio.Future[Admission] = asyncio.get_running_loop().create_future()
    for viewer in (hook(bench, OSError("no database")), hook(bench, answer)):
        if viewer.closed is False:
            answer.set_exception(OSError("no database"))
        await eventually(lambda v=viewer: close_code(v) == 1001)  # type: ignore[misc]
        assert not viewer.admitted
    assert caplog.text.count("no database") == 2


# Subscriptions


@pytest.mark.parametrize("made", [True, False], ids=["made", "never made"])
async def test_units_wait_for_an_offer_that_is_being_made_but_not_for_long(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, made: bool
) -> None:
    gathered, negotiate = asyncio.Event(), FakePeer.offer

    async def offer(self: FakePeer, tracks: Any) -> PeerOffer:
        await gathered.wait()
        return await negotiate(self, tracks)

    monkeypatch.setattr(FakePeer, "offer", offer)
    monkeypatch.setattr(websocket_module, "MAX_UNIT_HOLD_S", 60 if made else 0.01)
    bench.send(wire.Subscribe(1, "one", "lossless"), wire.Subscribe(2, "one", "webrtc"))
    bench.publish()
    await eventually(lambda: bench.transport._chunks or units(bench.socket.sent))
    if made:
        gathered.set()
    await eventually(lambda: units(bench.socket.sent))
    kinds = [
        "picture" if isinstance(each, bytes) else "offer"
        for each in bench.socket.sent
        if '"offer"' in str(each) or isinstance(each, bytes)
    ]
    assert kinds[0] == ("offer" if made else "picture")
    gathered.set()


async def test_viewers_are_counted_as_they_subscribe_and_leave(bench: Bench) -> None:
    bench.send(wire.Subscribe(1, "one", "lossless"), wire.Subscribe(2, "one", "webcodecs"), wire.Unsubscribe(1))
    bench.viewer.close(1001, "")
    assert bench.watching == [(0, [True]), (0, [True]), (0, [True]), (0, [])]


async def test_a_viewer_is_visible_as_long_as_one_subscription_reports_it(bench: Bench) -> None:
    bench.send(wire.Subscribe(1, "one", "lossless"))
    steps = [(1, False), (1, False), (1, True), (1, False)]
    bench.send(*(wire.Report(sub, 0.0, visible, 0, 0) for sub, visible in steps))
    assert bench.watching == [(0, [True]), (0, [False]), (0, [True]), (0, [False])]
    bench.send(wire.Subscribe(2, "one", "webcodecs"))
    assert bench.watching[-1] == (0, [False]), "a subscription that has not reported does not make it visible"
    bench.send(wire.Report(2, 0.0, True, 0, 0))
    assert bench.watching[-1] == (0, [True])
    bench.send(wire.Unsubscribe(2))
    assert bench.watching[-1] == (0, [False])
    bench.send(wire.Subscribe(3, "two", "lossless"), wire.Report(3, 0.0, False, 0, 0))
    assert bench.watching[-2:] == [(1, [True]), (1, [False])]


async def test_a_viewer_is_known_by_its_connection_and_its_principal(bench: Bench) -> None:
    bench.send(wire.Subscribe(1, "one", "lossless"))
    watching = bench.viewer.watching(0)
    assert watching and (watching.client_id, watching.principal) == (bench.viewer.client_id, None)
    bench.viewer._session.principal = "ada"
    watching = bench.viewer.watching(0)
    assert watching and watching.principal == "ada"


async def test_a_report_is_answered_with_stats_and_its_echo(bench: Bench) -> None:
    bench.send(wire.Subscribe(1, "one", "lossless"))
    number = bench.publish()
    await eventually(lambda: units(bench.socket.sent))
    bench.send(wire.Report(1, 12.5, True, 1, 1))
    await eventually(lambda: bench.socket.messages(wire.Stats))
    (stats,) = bench.socket.messages(wire.Stats)
    assert (stats.sub, stats.echo, stats.viewers) == (1, 12.5, 1)
    assert abs(stats.time / 1000 - time.time()) < 60
    assert [mark.frame for mark in stats.frames] == [number]
    assert stats.frames[0].rtp_timestamp == number * 9 // 100 and stats.frames[0].time == number / 1000


# The end of a subscription


async def test_after_unsubscribe_a_partly_sent_unit_is_finished_and_no_other_is_begun(bench: Bench) -> None:
    bench.send(wire.Subscribe(1, "one", "lossless"))
    bench.socket.open.clear()
    first = bench.publish(noise(640, 480, seed=1))
    await eventually(lambda: bench.transport._chunks)
    bench.publish(noise(640, 480, seed=2))
    await eventually(lambda: len({message[8:12] for *_, message in bench.transport._chunks}) == 2)
    # The viewer hangs with the first chunk of the first unit half sent; the second unit is all here.
    bench.send(wire.Unsubscribe(1), wire.Subscribe(2, "one", "lossless"))
    assert {message[8:12] for sub, _, message in bench.transport._chunks if sub == 1} == {first.to_bytes(4, "little")}
    newest = bench.publish(noise(640, 480, seed=3))
    await eventually(lambda: any(sub == 2 for sub, *_ in bench.transport._chunks))
    bench.socket.open.set()
    await eventually(lambda: [unit.number for unit in units(bench.socket.sent)][-1:] == [newest])
    numbers = [unit.number for unit in units(bench.socket.sent)]
    assert numbers[0] == first and numbers == sorted(set(numbers))
    assert {header.number for header in bench.socket.headers()} == set(numbers), "no unit was left half sent"


# The end of a viewer


async def test_a_closed_viewer_is_sent_its_code_last_and_is_not_listened_to(bench: Bench) -> None:
    bench.send(wire.Subscribe(1, "one", "lossless"), wire.Subscribe(2, "nowhere", "lossless"))
    bench.viewer.receive("rubbish")
    bench.send(wire.Subscribe(3, "two", "lossless"))
    bench.viewer.streams_changed(())
    await bench.viewer.wait_closed()
    assert bench.socket.closed_with and bench.socket.closed_with[0] == 4400
    assert len(bench.socket.messages(wire.Ended)) == 1, "messages that were queued before are still sent"
    assert bench.watching == [(0, [True]), (0, [])]


async def test_a_closed_viewer_is_hardly_read(bench: Bench) -> None:
    assert bench.viewer.bytes_came(100) == 0.0
    bench.viewer.close(1001, "")
    assert bench.viewer.bytes_came(100) == CLOSED_WAIT_S


async def test_what_makes_work_is_charged_and_what_a_viewer_owes_is_not(bench: Bench) -> None:
    def charged(*messages: wire.ViewerMessage) -> float:
        before = bench.viewer._budget._bucket._tokens
        bench.viewer._budget._bucket.rate_per_s = 1e-9
        bench.send(*messages)
        return round(before - bench.viewer._budget._bucket._tokens, 3)

    number = bench.publish()
    assert charged(wire.Subscribe(1, "one", "lossless")) == WORK_TOKENS
    await eventually(lambda: units(bench.socket.sent))
    assert charged(wire.Ack(1, number)) == 0, "it returns a credit"
    assert charged(wire.Ack(1, number)) == 1, "it returns none"
    assert charged(wire.Report(1, 0.0, True, 0, 0)) == REPORT_TOKENS
    assert charged(wire.Report(1, 0.0, False, 0, 0)) == REPORT_TOKENS
    assert charged(wire.Report(1, 0.0, True, 0, 0)) == REPORT_TOKENS + WORK_TOKENS, "a keyframe follows"
    assert charged(wire.Unsubscribe(1)) == 1


async def test_a_lost_viewer_is_released(bench: Bench) -> None:
    bench.send(wire.Subscribe(1, "one", "lossless"))
    bench.socket.gone = True
    bench.publish()
    await eventually(lambda: bench.viewer.closed)
    assert bench.streams[0].viewers == 0


async def test_a_viewer_that_reads_nothing_is_closed_when_its_queue_is_full(bench: Bench) -> None:
    await eventually(lambda: len(bench.socket.sent) == 2)
    bench.socket.open.clear()
    bench.send(wire.Subscribe(1, "one", "lossless"))
    for time_ms in range(MAX_QUEUED_MESSAGES + 5):
        bench.send(wire.Report(1, float(time_ms), True, 0, 0))
    assert bench.viewer.closed and len(bench.transport._messages) <= MAX_QUEUED_MESSAGES
    bench.socket.open.set()
    await eventually(lambda: bench.socket.closed_with)
    assert bench.socket.closed_with and bench.socket.closed_with[0] == 4429


async def test_a_queue_that_fills_between_effects_leaves_nothing_attached(bench: Bench) -> None:
    bench.send(wire.Subscribe(1, "one", "lossless"), wire.Subscribe(2, "two", "lossless"))
    bench.socket.open.clear()
    bench.transport._messages.extend(["x"] * MAX_QUEUED_MESSAGES)
    streams = dict(bench.streams)
    bench.viewer.streams_changed(())
    assert bench.viewer.closed
    assert [stream.viewers for stream in streams.values()] == [0, 0]


async def test_a_bug_ends_the_viewer_that_it_happens_in(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.streams[0], "attach", lambda *_, **__: 1 / 0)
    bench.send(wire.Subscribe(1, "one", "lossless"))
    assert bench.viewer.closed, "and nothing was raised to the caller"


# Peers


async def negotiated(bench: Bench, sub: int = 1) -> FakePeer:
    offers = len(bench.socket.messages(wire.Offer))
    bench.send(wire.Subscribe(sub, "one", "webrtc"))
    await eventually(lambda: len(bench.socket.messages(wire.Offer)) > offers)
    offer = bench.socket.messages(wire.Offer)[-1]
    bench.send(wire.Answer(offer.peer, offer.offer, "an answer"))
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


async def test_feedback_of_the_peer_reaches_the_encoder(bench: Bench, encoder: Encoder) -> None:
    peer = await negotiated(bench)
    peer.on_event(PeerState("connected"))
    bench.publish()
    await eventually(lambda: peer.sent)
    events: list[PeerEvent] = [KeyframeWanted(1), BitrateEstimate(1), KeyframeWanted(99)]
    for event in events:
        peer.on_event(event)
    await eventually(lambda: len(encoder.asked) > 1)
    assert encoder.asked[1][1] and encoder.rates


async def test_a_peer_that_fails_ends_its_subscriptions_and_is_closed(bench: Bench, encoder: Encoder) -> None:
    peer = await negotiated(bench)
    peer.on_event(PeerState("connected"))
    peer.on_event(PeerState("failed"))
    await eventually(lambda: bench.socket.messages(wire.Ended))
    assert bench.socket.messages(wire.Ended)[0].reason == "peer_failed"
    await eventually(lambda: peer.closed)
    assert not bench.viewer.closed
    peer.on_event(PeerState("connected"))
    assert bench.streams[0].viewers == 0, "events of a closed peer are ignored"


async def test_an_answer_that_cannot_be_used_fails_the_peer(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.send(wire.Subscribe(1, "one", "webrtc"))
    await eventually(lambda: bench.socket.messages(wire.Offer))
    bench.send(wire.Answer(1, 1, "bad"))
    await eventually(lambda: bench.socket.messages(wire.Ended))
    assert bench.socket.messages(wire.Ended)[0].reason == "peer_failed"
    assert "negotiation failed" in caplog.text
    await eventually(lambda: FakePeer.made[0].closed)


async def test_unsubscribing_before_the_peer_connects_leaves_nothing_waiting(bench: Bench, encoder: Encoder) -> None:
    peer = await negotiated(bench)
    bench.send(wire.Unsubscribe(1))
    peer.on_event(PeerState("connected"))
    bench.publish()
    await eventually(lambda: peer.closed)
    assert not encoder.asked and bench.streams[0].viewers == 0


async def test_an_estimate_of_the_peer_is_shared_among_the_streams_that_it_carries(
    bench: Bench, encoder: Encoder
) -> None:
    peer = await negotiated(bench)
    bench.send(wire.Subscribe(2, "two", "webcodecs"))
    peer.on_event(PeerState("connected"))
    bench.publish()
    bench.publish(stream=1)
    await eventually(lambda: peer.sent and units(bench.socket.sent))
    assert peer.useful_bps == 20_000_000
    peer.on_event(BitrateEstimate(1))
    assert target(bench, 1) < 1_000_000
    assert target(bench, 2) == 20_000_000, "a stream over the WebSocket is not slowed down"


def target(bench: Bench, sub: int) -> int:
    key = bench.viewer._key(sub)
    encoding = bench.streams[bench.viewer._subs[sub].stream].encoding(key)
    assert encoding is not None
    return encoding.report(key, time.monotonic()).target_bps


async def test_a_subscription_starts_with_the_estimate_of_its_peer(bench: Bench, encoder: Encoder) -> None:
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
        bench.send(wire.Subscribe(sub, "one", "webrtc"))
        if FakePeer.made:
            FakePeer.made[-1].closing.clear()
        bench.send(wire.Unsubscribe(sub))
    assert len(FakePeer.made) == MAX_CLOSING_PEERS == 8
    for peer in FakePeer.made:
        peer.closing.set()
    await bench.viewer.wait_closed()
    assert bench.socket.closed_with and bench.socket.closed_with[0] == 4429
    assert all(peer.closed for peer in FakePeer.made)
    FakePeer.made = real


# Limits


async def test_a_flood_of_subscriptions_leaves_nothing_behind(bench: Bench) -> None:
    async def drain() -> None:
        await eventually(lambda: not bench.transport._messages)

    tasks = len(asyncio.all_tasks())
    for round_ in range(30):
        for sub in range(round_ * 100 + 1, round_ * 100 + 100, 2):
            bench.send(wire.Subscribe(sub, "one", "lossless"), wire.Unsubscribe(sub))
            bench.send(wire.Subscribe(sub + 1, "nowhere", "lossless"))
        await drain()
    assert not bench.viewer.closed and not bench.viewer._subs and not bench.transport._chunks
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks)
    assert bench.streams[0].viewers == 0
