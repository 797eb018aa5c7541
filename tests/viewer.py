"""A viewer written in Python: it follows the contract over a real socket, acknowledges units and puts them together.

Must not know the server's code.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import aiohttp
import msgspec
import numpy as np
import xxhash

from framewire import wire
from framewire.codec.lossless import base_of, unpack
from framewire.codec.messages import MAX_BINARY_MESSAGE_BYTES, Assembler, Header
from framewire.frame import AccessUnit, Pixels

TEST_TIMEOUT_S = 30.0
"""After this, a test gives up waiting. Much more than anything needs, since the machine may be busy."""

M = TypeVar("M")
T = TypeVar("T")


class Viewer:
    """One viewer's socket. Keeps what it receives until a test takes it."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.acknowledging = True
        self.streams: dict[str, wire.StreamInfo] = {}
        self.unacknowledged: dict[int, int] = {}
        """How many units each subscription has received and not acknowledged."""
        self.binary: list[Header] = []
        """The header of every binary message, in order."""
        self._subs: dict[tuple[int, bool], int] = {}
        self._assemblers: dict[tuple[int, bool], Assembler] = {}
        self._pictures: dict[int, tuple[int, Pixels]] = {}
        """The newest frame's number and pixels, by stream."""
        self._highest = 0
        self._messages: list[Any] = []
        self._units: list[AccessUnit] = []
        self._changed = asyncio.Condition()
        self._reading = asyncio.Event()
        self._reading.set()
        self._reader = asyncio.create_task(self._read())

    async def send(self, message: wire.ViewerMessage) -> None:
        await self.ws.send_str(wire.encode(message))

    async def hello(self, token: str, codecs: Sequence[wire.Codec] = ("h264", "vp8")) -> wire.Welcome:
        await self.send(wire.Hello(wire.VERSION, token, list(codecs), webcodecs=list(codecs)))
        welcome = await self.message(wire.Welcome)
        await self.message(wire.Streams)
        return welcome

    async def subscribe(self, stream: str, mode: wire.Mode = "lossless", codec: wire.Codec | None = None) -> int:
        """The number of the new subscription."""
        self._highest += 1
        if stream in self.streams and mode != "webrtc":
            self._subs[self.streams[stream].id, mode == "lossless"] = self._highest
        await self.send(wire.Subscribe(self._highest, stream, mode, codec or msgspec.UNSET))
        return self._highest

    async def report(self, sub: int, *, visible: bool = True, keyframe: bool = False) -> wire.Stats:
        await self.send(wire.Report(sub, time.time() * 1000, visible, 0, 0, keyframe=keyframe))
        return await self.message(wire.Stats, lambda stats: stats.sub == sub)

    async def acknowledge(self, unit: AccessUnit, sub: int) -> None:
        self.unacknowledged[sub] = self.unacknowledged.get(sub, 0) - 1
        await self.send(wire.Ack(sub, unit.number))

    def pause(self) -> None:
        """Stop reading, like a program that hangs."""
        self._reading.clear()

    async def message(self, kind: type[M], where: Callable[[M], bool] = lambda _: True) -> M:
        """Take the next text message of this kind."""
        found: M = await self._next(self._messages, lambda each: isinstance(each, kind) and where(each))
        return found

    async def unit(self, where: Callable[[AccessUnit], bool] = lambda _: True) -> AccessUnit:
        """Take the next unit like this, and drop those before it."""
        unit = await self._next(self._units, where)
        return unit

    async def closed(self) -> int:
        """Wait until the server closes the socket; returns the code."""
        async with asyncio.timeout(TEST_TIMEOUT_S):
            await self._reader
        assert self.ws.close_code is not None, "the reader ends with the socket"
        return self.ws.close_code

    async def close(self) -> None:
        self._reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader
        await self.ws.close()

    async def _next(self, kept: list[T], where: Callable[[T], bool]) -> T:
        async with asyncio.timeout(TEST_TIMEOUT_S), self._changed:
            while True:
                for index, each in enumerate(kept):
                    if where(each):
                        # Units come in order. Messages of other kinds stay until a test asks for them.
                        del kept[0 if isinstance(each, AccessUnit) else index : index + 1]
                        return each
                if self._reader.done():
                    raise AssertionError(f"the socket was closed with {self.ws.close_code}")
                await self._changed.wait()

    async def _read(self) -> None:
        while True:
            await self._reading.wait()
            received = await self.ws.receive()
            async with self._changed:
                if received.type is aiohttp.WSMsgType.TEXT:
                    self._on_message(wire.decode_server(received.data))
                elif received.type is aiohttp.WSMsgType.BINARY:
                    await self._received(received.data)
                self._changed.notify_all()
            if received.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                return

    def _on_message(self, message: wire.ServerMessage) -> None:
        if isinstance(message, wire.Streams):
            self.streams = {info.name: info for info in message.streams}
        self._messages.append(message)

    async def _received(self, data: bytes) -> None:
        assert len(data) <= MAX_BINARY_MESSAGE_BYTES
        header = Header.parse(data)
        self.binary.append(header)
        kind = header.stream, header.pixel_format is not None
        unit = self._assemblers.setdefault(kind, Assembler()).feed(data)
        if unit is None:
            return
        sub = self._subs[kind]
        self.unacknowledged[sub] = self.unacknowledged.get(sub, 0) + 1
        self._units.append(self._whole(header.stream, unit) if unit.pixel_format else unit)
        if self.acknowledging:
            await self.acknowledge(unit, sub)

    def _whole(self, stream: int, unit: AccessUnit) -> AccessUnit:
        """A lossless unit with the pixels that it stands for: a delta is applied. Its base is checked in every test."""
        number, base = self._pictures.get(stream, (None, None))
        assert base_of(unit) in (None, number), f"a delta on frame {base_of(unit)}, and this viewer has {number}"
        pixels = unpack(unit, base)
        self._pictures[stream] = unit.number, pixels
        return unit if unit.keyframe else replace(unit, codec="raw", data=pixels.tobytes(), keyframe=True)


@contextlib.asynccontextmanager
async def connected(url: str, token: str | None = None, **options: Any) -> AsyncIterator[Viewer]:
    """A viewer with an open socket. With a token, it has been admitted."""
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(url, max_msg_size=0, **options) as ws:
            viewer = Viewer(ws)
            try:
                if token is not None:
                    await viewer.hello(token)
                yield viewer
            finally:
                await viewer.close()


def noise(width: int, height: int, channels: int = 3, seed: int = 0) -> Pixels:
    """Pixels that no codec can compress."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def flat(width: int, height: int, value: int = 0) -> Pixels:
    return np.full((height, width, 3), value, np.uint8)


def same(unit: AccessUnit, pixels: Pixels) -> bool:
    """Whether the unit has exactly these pixels, by its bytes and by its checksum."""
    return bool(np.array_equal(unpack(unit), pixels)) and unit.checksum == xxhash.xxh32_intdigest(pixels.tobytes())


async def eventually(what: Callable[[], T], because: str = "it did not happen") -> T:
    """Wait until ``what`` returns something true, and return that."""
    deadline = time.monotonic() + TEST_TIMEOUT_S
    while not (value := what()):
        assert time.monotonic() < deadline, because
        await asyncio.sleep(0.01)
    return value
