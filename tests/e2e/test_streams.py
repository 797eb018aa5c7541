"""Streams that differ in codec, chroma and latency share one engine and one port and, on one page, one peer."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

import framewire as fw
from tests.e2e.conftest import NewPage
from tests.e2e.stage import Publisher, debug, say, until

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

STREAMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "whole": {"chroma": "444"},
    "old": {"codecs": ["vp8"]},
    "smooth": {"latency": "smooth"},
}
CODECS = {"plain": "h264", "whole": "h264_444", "old": "vp8", "smooth": "h264"}
KEEP_PEERS = """
const Real = RTCPeerConnection;
globalThis.peers = [];
globalThis.RTCPeerConnection = class extends Real { constructor(...all) { super(...all); peers.push(this); } };
"""
RECEIVED = """async () => {
  const received = new Map();
  for (const each of (await peers[0].getStats()).values())
    if (each.type === "inbound-rtp") received.set(each.mid, each);
  return Object.fromEntries(received);
}"""


async def codecs_shown(page: Any) -> dict[str, str]:
    """The codec of each stream on the page that plays over WebRTC."""
    seen = [(await debug(page, view)).get("status") or {} for view in range(len(STREAMS))]
    return {one["stream"]: one["codec"] for one in seen if one.get("showing") == "webrtc" and one.get("codec")}


async def held_back_ms(page: Any) -> list[float]:
    """For how long the browser holds frames back, of each video, in ascending order."""
    before = await page.evaluate(RECEIVED)
    await asyncio.sleep(1)
    after = await page.evaluate(RECEIVED)

    def grown(mid: str, name: str) -> float:
        return float(after[mid][name] - before[mid][name])

    frames = {mid: grown(mid, "jitterBufferEmittedCount") for mid in after}
    assert all(frames.values()), "each video plays"
    return sorted(1000 * grown(mid, "jitterBufferDelay") / count for mid, count in frames.items())


async def test_one_page_shows_streams_of_different_codecs_and_latencies_over_one_peer(new_page: NewPage):
    async with contextlib.AsyncExitStack() as stack:
        displays = [
            await stack.enter_async_context(fw.serve(320, 240, name=name, port=0, **options))
            for name, options in STREAMS.items()
        ]
        server = displays[0].server
        assert all(display.server is server for display in displays)
        for display in displays:
            stack.enter_context(Publisher(display))
        # Large enough for all four: a video that is out of sight is not sent.
        page = await new_page("about:blank", width=1280, height=1000)
        await page.add_init_script(KEEP_PEERS)
        await page.goto(f"http://{server.address}/?mode=webrtc#token={server.token}")

        async def as_asked() -> bool:
            return await codecs_shown(page) == CODECS

        await until(as_asked)
        assert await page.evaluate("peers.length") == 1
        await until(
            lambda: [display.stats["encodings"] for display in displays] == [[each] for each in CODECS.values()]
        )
        *low, smooth = await held_back_ms(page)
        say("held back, in ms:", *low, smooth)
        assert smooth > 60, "a tenth of a second, less the time to decode and to show"
        assert max(low) < smooth / 2
