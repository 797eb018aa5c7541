"""Faults of the network between the engine and its viewers. Must not know how the time is taken."""

from __future__ import annotations

import asyncio
import time

from benchmarks.faults.processes import Play
from benchmarks.faults.stage import Stage, StageError

BACK_ON_WEBRTC_S = 45.0
"""The longest wait until WebRTC is tried again, and more."""

DOWN_S = 1.0
"""How long another server is away."""


async def drop_udp(stage: Stage) -> float:
    since = time.monotonic()
    stage.place.server.drop_udp()
    stage.place.viewer.drop_udp()
    return since


async def return_udp(stage: Stage) -> float:
    """The picture goes on over the WebSocket, and then changes to WebRTC: neither may stop it."""
    await drop_udp(stage)
    if await stage.screen.shows("lossless", 20) is None:
        raise StageError("no picture without UDP")
    since = time.monotonic()
    stage.place.server.allow_udp()
    stage.place.viewer.allow_udp()
    if await stage.screen.shows("webrtc", BACK_ON_WEBRTC_S) is None:
        raise StageError("no WebRTC after UDP had returned")
    return since


async def restart_proxy(stage: Stage) -> float:
    """It is killed, and started again one second later; until then there is no link."""
    await stage.beside.stop()
    await asyncio.sleep(DOWN_S)
    await stage.beside.start()
    return time.monotonic()


async def restart_turn(stage: Stage) -> float:
    """The same; the WebSocket does not pass through it, so the link is up."""
    since = time.monotonic()
    await restart_proxy(stage)
    return since


async def change_address(stage: Stage) -> float:
    viewer = stage.place.viewer
    stage.place.viewer = viewer.move("10.213.79.77" if viewer.address.endswith(".2") else "10.213.79.2")
    return time.monotonic()


def pull_cable(seconds: float) -> Play:
    async def play(stage: Stage) -> float:
        stage.place.pull()
        await asyncio.sleep(seconds)
        since = time.monotonic()
        stage.place.plug_in()
        return since

    return play


def cut_path(seconds: float) -> Play:
    async def play(stage: Stage) -> float:
        stage.place.cut()
        await asyncio.sleep(seconds)
        since = time.monotonic()
        stage.place.mend()
        return since

    return play
