"""Reads in small pieces, over a real connection: everything arrives in order, and pauses are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from framewire.engine.http.reads import READ_BYTES, BoundedReads
from tests.viewer import TEST_TIMEOUT_S, eventually


class Inner(asyncio.Protocol):
    """What an HTTP connection has for a protocol, as far as reads are concerned."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.said: list[str] = []
        self.lost = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.pieces.append(data)

    def eof_received(self) -> bool:
        self.said.append("eof")
        return False

    def pause_writing(self) -> None:
        self.said.append("pause")

    def resume_writing(self) -> None:
        self.said.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


class Pair:
    """A connection whose server's end is read by `BoundedReads`."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    inner: Inner
    transport: asyncio.Transport
    reads: BoundedReads

    async def open(self, on_bytes: Callable[[int], float]) -> None:
        connected = asyncio.get_running_loop().create_future()

        class Accepted(Inner):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                connected.set_result((self, transport))

        self.server = await asyncio.get_running_loop().create_server(Accepted, "127.0.0.1", 0)
        self.reader, self.writer = await asyncio.open_connection(*self.server.sockets[0].getsockname())
        self.inner, self.transport = await connected
        self.reads = BoundedReads(self.transport, on_bytes)

    async def close(self) -> None:
        self.writer.close()
        await asyncio.wait_for(self.inner.lost, TEST_TIMEOUT_S)
        self.server.close()


async def test_much_at_once_is_read_in_pieces() -> None:
    pair, counted = Pair(), list[int]()

    def count(size: int) -> float:
        counted.append(size)
        return 0.0

    await pair.open(count)
    data = bytes(range(256)) * 1024
    pair.writer.write(data)
    await eventually(lambda: sum(counted) == len(data))
    assert b"".join(pair.inner.pieces) == data
    assert max(counted) <= READ_BYTES == 8192 and [len(piece) for piece in pair.inner.pieces] == counted
    await pair.close()
    assert pair.inner.said == ["eof"]


async def test_nothing_is_read_while_too_much_has_come() -> None:
    pair, waits_s = Pair(), [60.0]
    await pair.open(lambda size: waits_s[0])
    pair.writer.write(bytes(4 * READ_BYTES))
    await eventually(lambda: pair.inner.pieces)
    await asyncio.sleep(0.05)
    assert len(pair.inner.pieces) == 1 and not pair.transport.is_reading()
    await close_paused(pair)


async def test_reading_goes_on_after_the_pause() -> None:
    pair = Pair()
    await pair.open(lambda size: 0.001)
    pair.writer.write(bytes(4 * READ_BYTES))
    await eventually(lambda: sum(map(len, pair.inner.pieces)) == 4 * READ_BYTES)
    await pair.close()


async def test_a_pause_of_the_protocols_own_is_not_ended() -> None:
    pair = Pair()
    await pair.open(lambda size: 0.001)
    pair.inner.data_received = lambda data: pair.transport.pause_reading()  # type: ignore[method-assign]
    pair.writer.write(bytes(4 * READ_BYTES))
    await eventually(lambda: not pair.transport.is_reading())
    await asyncio.sleep(0.05)
    assert not pair.transport.is_reading()
    await close_paused(pair)


async def test_the_protocol_is_told_of_writing_too() -> None:
    pair = Pair()
    await pair.open(lambda size: 0.0)
    pair.reads.pause_writing()
    pair.reads.resume_writing()
    assert pair.inner.said == ["pause", "resume"]
    await pair.close()


async def close_paused(pair: Pair) -> None:
    pair.transport.abort()
    await asyncio.wait_for(pair.inner.lost, TEST_TIMEOUT_S)
    assert pair.reads._paused is None or pair.reads._paused.cancelled()
    pair.writer.close()
    pair.server.close()
