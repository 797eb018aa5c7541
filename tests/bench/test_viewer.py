"""The viewer without a screen: what it receives, and its errors where it receives nothing."""

from __future__ import annotations

import numpy as np
import pytest

import framewire as fw
from framewire.bench import viewer
from framewire.bench.viewer import watch
from framewire.errors import EngineError


async def test_it_receives_the_frames_of_a_stream_with_their_age() -> None:
    async with fw.serve(64, 48, engine="inline", port=0, name="watched") as display:
        numbers = iter(range(1 << 30))
        loop = fw.publish_loop(display, lambda: np.full((48, 64), next(numbers) % 256, np.uint8), fps=50)
        arrivals = await watch(display.ws_url, display.server.token, "watched", 0.4)
        loop.cancel()
    assert len(arrivals.ages) >= 2 and all(0 <= age < 30 for age in arrivals.ages)
    assert arrivals.size_bytes > 0 and arrivals.seconds >= 0.4


async def test_an_unknown_stream_is_an_error() -> None:
    async with fw.serve(64, 48, engine="inline", port=0, name="watched") as display:
        with pytest.raises(EngineError, match="no_such_stream"):
            await watch(display.ws_url, display.server.token, "another", 0.1)


async def test_a_wrong_token_is_an_error() -> None:
    async with fw.serve(64, 48, engine="inline", port=0, name="watched") as display:
        with pytest.raises(EngineError, match="4401"):
            await watch(display.ws_url, "x" * 22, "watched", 0.1)


async def test_a_port_without_an_engine_is_an_error(unused_tcp_port: int) -> None:
    with pytest.raises(EngineError, match="cannot connect"):
        await watch(f"ws://127.0.0.1:{unused_tcp_port}/ws", "x" * 22, "watched", 0.1)


async def test_a_stream_without_a_frame_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewer, "FIRST_FRAME_TIMEOUT_S", 0.2)
    async with fw.serve(64, 48, engine="inline", port=0, name="watched") as display:
        with pytest.raises(EngineError, match="no frame arrived in time"):
            await watch(display.ws_url, display.server.token, "watched", 0.1)
