"""The engine as a whole: streams that come, go and are replaced; viewers with real sockets; the end."""

from __future__ import annotations

import asyncio
import os
import threading
import time

import pytest
from msgspec import UNSET

from framewire import wire
from framewire.engine import engine as engine_module
from framewire.engine.engine import DESCRIPTION_INTERVAL_S, ENCODER_THREAD_COUNT, Engine
from framewire.engine.stream import keyframes
from framewire.engine.viewer import budget
from framewire.link.slot import LocalSlot
from framewire.options import EngineOptions, StreamOptions
from framewire.rtc.rtp.h264 import nal_units
from tests.engine.served import TOKEN, Recorder, ServedEngine
from tests.engine.stream.virtual import VirtualLoop
from tests.rtc.viewers import Viewer as Browser
from tests.viewer import connected, eventually, flat, noise, same

# Streams


async def test_viewers_are_sent_the_list_when_a_stream_is_added_or_removed(engine: ServedEngine) -> None:
    async with connected(engine.url, TOKEN) as viewer:
        assert set(viewer.streams) == {"default"}
        engine.add(1, "second", 7, 5)
        await eventually(lambda: viewer.streams.get("second") == wire.StreamInfo(1, "second", 7, 5, 60.0))
        engine.engine.remove_stream(1)
        await eventually(lambda: set(viewer.streams) == {"default"})


async def test_viewers_are_sent_the_list_when_a_stream_changes_its_size(engine: ServedEngine) -> None:
    async with connected(engine.url, TOKEN) as viewer:
        engine.publish(0, flat(33, 21))
        await eventually(lambda: (viewer.streams["default"].width, viewer.streams["default"].height) == (33, 21))


async def test_a_stream_of_the_same_name_replaces_the_old_one(engine: ServedEngine) -> None:
    async with connected(engine.url, TOKEN) as viewer:
        sub = await viewer.subscribe("default")
        engine.publish(0, flat(64, 48, 1))
        await viewer.unit()
        engine.add(1, "default", 32, 16)
        ended = await viewer.message(wire.Ended)
        assert (ended.sub, ended.reason) == (sub, "stream_closed")
        streams = await viewer.message(wire.Streams)
        assert [info.id for info in streams.streams] == [1], "the new list comes after the end of the old stream"
        picture = noise(32, 16)
        engine.publish(1, picture)
        await viewer.subscribe("default")
        assert same(await viewer.unit(), picture)
        assert set(engine.engine.stats()) == {1}


async def test_viewers_are_sent_the_title_and_the_cursor_of_a_stream(engine: ServedEngine) -> None:
    async with connected(engine.url, TOKEN) as viewer:
        before = viewer.streams["default"]
        assert before.title is UNSET and before.cursor is UNSET
        engine.describe(0, title="The pond", cursor="crosshair")
        await eventually(lambda: viewer.streams["default"].title == "The pond")
        assert viewer.streams["default"].cursor == "crosshair"
        engine.describe(0)
        await eventually(lambda: viewer.streams["default"].title is UNSET)
        engine.describe(9, title="of no stream")


async def test_a_title_that_changes_often_is_announced_a_few_times(engine: ServedEngine) -> None:
    async with connected(engine.url, TOKEN) as viewer:
        began = time.monotonic()
        for number in range(100):
            engine.describe(0, title=f"frame {number}")
            await asyncio.sleep(0.002)
        await eventually(lambda: viewer.streams["default"].title == "frame 99")
        lists = [message for message in viewer._messages if isinstance(message, wire.Streams)]
        assert len(lists) <= 2 + (time.monotonic() - began) / DESCRIPTION_INTERVAL_S


async def test_a_stream_added_again_gets_new_memory_and_keeps_its_viewers(engine: ServedEngine) -> None:
    async with connected(engine.url, TOKEN) as viewer:
        await viewer.subscribe("default")
        engine.publish(0, flat(64, 48, 1))
        await viewer.unit()
        engine.add(0, "default")
        picture = noise(200, 100)
        number = engine.publish(0, picture)
        assert same(await viewer.unit(lambda unit: unit.number == number), picture)


async def test_new_frames_of_removed_streams_are_ignored(engine: ServedEngine) -> None:
    engine.engine.frame_published(77)
    engine.engine.remove_stream(77)
    assert set(engine.engine.stats()) == {0}


def test_the_numbers_of_every_stream_are_reported_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "stats", lambda _: {0: {"viewers": 2}, 1: {"viewers": 0}})
    listener = Recorder()

    async def watch() -> None:
        reports = asyncio.create_task(Engine(EngineOptions(token=TOKEN), listener).report_stats())
        await asyncio.sleep(10.5)
        reports.cancel()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(watch())
    assert listener.stats == [(0, {"viewers": 2}), (1, {"viewers": 0})] * 10


# Lossless


async def test_noise_arrives_as_it_was_published_200_frames_across_sizes_and_layouts(engine: ServedEngine) -> None:
    shapes = [(64, 48, 3), (65, 47, 4), (1, 1, 1), (320, 200, 3), (33, 3, 1), (640, 480, 4)]
    async with connected(engine.url, TOKEN) as viewer:
        await viewer.subscribe("default")
        for count in range(200):
            width, height, channels = shapes[count // 5 % len(shapes)]
            picture = noise(width, height, channels, seed=count)
            number = engine.publish(0, picture)
            unit = await viewer.unit(lambda unit, n=number: unit.number == n)  # type: ignore[misc]
            assert same(unit, picture), f"frame {count}, {width}x{height}x{channels}"
        assert max(header.size for header in viewer.binary) == 640 * 480 * 4
        assert {header.codec for header in viewer.binary} <= {"raw", "zstd"}


async def test_pixels_that_compress_are_sent_compressed(engine: ServedEngine) -> None:
    async with connected(engine.url, TOKEN) as viewer:
        await viewer.subscribe("default")
        engine.publish(0, flat(640, 480))
        unit = await viewer.unit()
        assert unit.codec == "zstd" and len(unit.data) < 10_000 and same(unit, flat(640, 480))


async def test_without_acks_two_units_are_sent_and_then_the_newest(engine: ServedEngine) -> None:
    async with connected(engine.url, TOKEN) as viewer:
        viewer.acknowledging = False
        sub = await viewer.subscribe("default")
        engine.publish(0, flat(64, 48, 1))
        first = await viewer.unit()
        for value in range(2, 50):
            newest = engine.publish(0, flat(64, 48, value))
            await asyncio.sleep(0.002)
        second = await viewer.unit()
        await viewer.report(sub)  # what was sent before the answer is here
        assert viewer.unacknowledged[sub] == 2 and not viewer._units
        await viewer.acknowledge(first, sub)
        assert same(await viewer.unit(), flat(64, 48, 49))
        await viewer.acknowledge(second, sub)
        await viewer.report(sub)
        assert viewer.unacknowledged[sub] == 1 and viewer.binary[-1].number == newest, "nothing newer, nothing sent"


async def test_a_hidden_view_costs_no_encoding(engine: ServedEngine) -> None:
    async with connected(engine.url, TOKEN) as viewer:
        sub = await viewer.subscribe("default")
        engine.publish(0, flat(64, 48, 1))
        await viewer.unit()
        await viewer.report(sub, visible=False)
        for value in range(2, 20):
            engine.publish(0, flat(64, 48, value))
            await asyncio.sleep(0.002)
        await viewer.report(sub, visible=False)
        assert engine.engine.stats()[0]["encodes"] == {"lossless": 1}
        await viewer.report(sub, visible=True)
        assert same(await viewer.unit(), flat(64, 48, 19))


async def test_a_viewer_that_stops_reading_does_not_slow_others(engine: ServedEngine) -> None:
    async with connected(engine.url, TOKEN) as stuck, connected(engine.url, TOKEN) as quick:
        await stuck.subscribe("default")
        await quick.subscribe("default")
        stuck.pause()
        for count in range(30):
            picture = noise(512, 512, seed=count)
            number = engine.publish(0, picture)
            assert same(await quick.unit(lambda unit, n=number: unit.number == n), picture)  # type: ignore[misc]
        waiting = [engine.queued_chunks(viewer) for viewer in engine.engine._viewers]
        assert max(waiting) <= 2 * 4, "what waits for the stuck one is two units, not thirty"


async def test_subscribing_again_within_a_unit_keeps_units_whole(engine: ServedEngine) -> None:
    async with connected(engine.url, TOKEN) as viewer:
        for count in range(30):
            sub = await viewer.subscribe("default")
            engine.publish(0, noise(512, 512, seed=count))
            if count % 3:
                await viewer.unit()
            await viewer.send(wire.Unsubscribe(sub))
        await viewer.subscribe("default")
        picture = noise(512, 512, seed=99)
        number = engine.publish(0, picture)
        assert same(await viewer.unit(lambda unit: unit.number == number), picture)


# Coded units over the socket


async def test_all_viewers_share_one_encoding_and_the_last_one_ends_it(
    engine: ServedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyframes, "REFRESH_STILL_AFTER_S", ())  # refreshes of a scene that a slow machine makes still
    engine.publish(0, flat(64, 48, 1))
    async with (
        connected(engine.url, TOKEN) as one,
        connected(engine.url, TOKEN) as two,
        connected(engine.url, TOKEN) as three,
    ):
        viewers = (one, two, three)
        for viewer in viewers:
            await viewer.subscribe("default", "webcodecs", "h264")
        for viewer in viewers:
            assert (await viewer.unit()).keyframe, "a new viewer starts with a keyframe"
        before = engine.engine.stats()[0]["encodes"]["h264"]
        for value in range(2, 12):
            number = engine.publish(0, flat(64, 48, value))
            units = [await v.unit(lambda unit, n=number: unit.number == n) for v in viewers]  # type: ignore[misc]
            assert len({unit.data for unit in units}) == 1, "the same bytes for all viewers"
        after = engine.engine.stats()[0]["encodes"]["h264"]
        assert 10 <= after - before < 20, "ten frames, and not three times as many"
        assert engine.engine.stats()[0]["viewers"] == 3 and engine.engine.stats()[0]["encodings"] == ["h264"]
    await eventually(lambda: engine.engine.stats()[0]["viewers"] == 0)
    assert engine.engine.stats()[0]["encodings"] == []


async def test_each_chroma_format_is_encoded_once_for_the_viewers_that_decode_it(engine: ServedEngine) -> None:
    engine.add(9, "whole", chroma="444")
    engine.publish(9, flat(64, 48, 1))
    async with connected(engine.url) as whole, connected(engine.url, TOKEN) as halved:
        await whole.hello(TOKEN, ["h264_444", "h264"])
        for viewer in (whole, halved):
            await viewer.subscribe("whole", "webcodecs")
        units = [await viewer.unit() for viewer in (whole, halved)]
        profiles = [next(nal[1] for nal in nal_units(unit.data) if nal[0] & 31 == 7) for unit in units]
        assert profiles == [244, 66]
        assert engine.engine.stats()[9]["encodings"] == ["h264", "h264_444"]


async def test_streams_of_different_codecs_go_to_one_viewer_side_by_side(engine: ServedEngine) -> None:
    engine.add(8, "old", codecs=("vp8",))
    engine.add(9, "whole", chroma="444")
    async with connected(engine.url) as viewer:
        await viewer.hello(TOKEN, ["h264_444", "h264", "vp8"])
        for id_, name in ((8, "old"), (9, "whole"), (0, "default")):
            engine.publish(id_, flat(64, 48, 1))
            await viewer.subscribe(name, "webcodecs")
            await viewer.unit()
    encodings = {id_: stats["encodings"] for id_, stats in engine.engine.stats().items()}
    assert encodings == {0: ["h264"], 8: ["vp8"], 9: ["h264_444"]}


async def test_a_keyframe_requested_on_a_still_scene_has_a_later_time(engine: ServedEngine) -> None:
    async with connected(engine.url, TOKEN) as viewer:
        sub = await viewer.subscribe("default", "webcodecs", "vp8")
        engine.publish(0, flat(64, 48, 1))
        first = await viewer.unit()
        await viewer.report(sub, keyframe=True)
        again = await viewer.unit(lambda unit: unit.keyframe)
        assert again.number == first.number and again.time_us > first.time_us


async def test_three_encodings_that_take_long_do_not_delay_a_fourth(engine: ServedEngine) -> None:
    assert engine_module.ENCODER_THREAD_COUNT == 4, "more would share the processors with sending"
    done = threading.Event()
    for _ in range(3):
        engine.engine._pool.submit(done.wait)
    async with connected(engine.url, TOKEN) as viewer:
        await viewer.subscribe("default")
        engine.publish(0, flat(64, 48))
        assert (await viewer.unit()).number == 1
    done.set()


# WebRTC


async def test_a_peer_is_sent_the_picture_and_leaves_nothing_behind(engine: ServedEngine) -> None:
    descriptors = len(os.listdir("/proc/self/fd"))
    browser = Browser()
    async with connected(engine.url, TOKEN) as viewer:
        sub = await viewer.subscribe("default", "webrtc")
        offer = await viewer.message(wire.Offer)
        assert [(track.sub, track.mid) for track in offer.tracks] == [(sub, "0")]
        await viewer.send(wire.Answer(offer.peer, offer.offer, await browser.answer(offer.sdp)))
        engine.publish(0, flat(64, 48, 200))
        await eventually(lambda: browser.pictures.get("0"), "a still picture, published once, arrives")
        picture = browser.pictures["0"][-1]
        assert picture.shape == (48, 64, 3) and abs(int(picture[24, 32, 0]) - 200) < 10
        stats = await viewer.report(sub)
        assert stats.codec == offer.tracks[0].codec and stats.sent_fps >= 0 and stats.frames[0].frame == 1
        assert engine.engine.stats()[0]["viewers"] == 1
    await browser.close()
    await eventually(lambda: not engine.engine._viewers and engine.engine.stats()[0]["encodings"] == [])
    await eventually(lambda: len(os.listdir("/proc/self/fd")) <= descriptors, "no socket stays open")


# Input


async def test_input_and_viewer_counts_reach_the_listener(engine: ServedEngine) -> None:
    engine.add(1, "second")
    async with connected(engine.url, TOKEN) as one, connected(engine.url, TOKEN) as two:
        for viewer, key in ((one, "a"), (two, "b")):
            sub = await viewer.subscribe("second")
            await viewer.send(wire.Input(sub, wire.RenderviewEvent("key_down", 1.0, key=key)))
        await eventually(lambda: len(engine.listener.inputs) == 2)
        assert sorted((stream, event["key"]) for stream, _, _, event in engine.listener.inputs) == [(1, "a"), (1, "b")]
        assert len({client for _, client, _, _ in engine.listener.inputs}) == 2, "each viewer has its own id"
        await eventually(lambda: [len(there) for _, there in engine.listener.viewers[-1:]] == [2])
    await eventually(lambda: engine.listener.viewers[-1] == (1, ()))


async def test_a_viewer_that_changes_its_mode_neither_leaves_nor_joins(engine: ServedEngine) -> None:
    async with connected(engine.url, TOKEN) as viewer:
        sub = await viewer.subscribe("default")
        await eventually(lambda: engine.listener.viewers)
        await viewer.send(wire.Unsubscribe(sub))
        await viewer.subscribe("default", "webcodecs", "vp8")
        await eventually(lambda: len(engine.listener.viewers) > 1)
        (ours,) = engine.engine._viewers
        assert [viewers for _, viewers in engine.listener.viewers] == [(ours.watching(0),)] * 2
    await eventually(lambda: engine.listener.viewers[-1] == (0, ()))


async def test_a_flood_of_subscriptions_leaves_memory_and_tasks_flat(
    engine: ServedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "TOKENS_PER_S", 1e9)  # what a flood does beyond its budget
    engine.publish(0, flat(64, 48))
    async with connected(engine.url, TOKEN) as viewer:
        tasks, threads = len(asyncio.all_tasks()), threading.active_count()
        for number in range(10_000):
            sub = await viewer.subscribe("default", ("lossless", "webcodecs")[number % 2])
            await viewer.send(wire.Unsubscribe(sub))
        for _ in range(100):
            await viewer.subscribe("nowhere", "webrtc")
        limits = [await viewer.message(wire.Ended) for _ in range(100)]
        assert {ended.reason for ended in limits} == {"no_such_stream"}
        await eventually(lambda: len(asyncio.all_tasks()) <= tasks)
        assert threading.active_count() <= threads + ENCODER_THREAD_COUNT
        (ours,) = engine.engine._viewers
        assert not ours._subs and engine.queued_chunks(ours) <= 2 and not engine.engine._streams[0].viewers


async def test_a_129th_subscription_is_refused(engine: ServedEngine) -> None:
    for id_ in range(1, 129):
        engine.add(id_, f"s{id_}")
    async with connected(engine.url, TOKEN) as viewer:
        await eventually(lambda: len(viewer.streams) == 129)
        for name in list(viewer.streams):
            await viewer.subscribe(name)
        ended = await viewer.message(wire.Ended)
        assert (ended.sub, ended.reason) == (129, "limits")


# The end


async def test_a_closed_engine_accepts_no_viewers(engine: ServedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected(engine.url, TOKEN) as viewer:
        await viewer.subscribe("default")
        await engine.engine.close()
        assert await viewer.closed() == 1001
    assert engine.engine.stats() == {} and not engine.engine._tasks
    async with connected(engine.url) as late:
        assert await late.closed() == 1001
    await engine.engine.close()


async def test_a_codec_that_this_machine_cannot_encode_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "available_codecs", lambda: ("vp8",))
    engine = Engine(EngineOptions(token=TOKEN), Recorder())
    engine.add_stream(StreamOptions(id=0, name="whole", width=4, height=4, chroma="444"), LocalSlot())
    (listed,) = engine.listed_streams
    assert listed.codecs == ("vp8",)
    await engine.close()


async def test_an_engine_that_admits_by_token_has_one() -> None:
    with pytest.raises(AssertionError, match="token"):
        Engine(EngineOptions(), Recorder())
