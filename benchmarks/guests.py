"""Viewers that come and go, in every manner of going, in one process: those of `receivers`, which decode nothing.

    python -m benchmarks.guests WS_URL TOKEN [--seats 6]

Prints a line of JSON for each line on its standard input: how many came, how many got frames, and how each went. With
its input's end they all leave as clean as can be. Must not know what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import sys
from collections import Counter
from typing import Any

import aiohttp

from benchmarks.receivers import Viewer, Way, peer_connection

STAY = (1.0, 6.0)
"""Seconds that one watches."""
PATIENCE = 15.0
"""Seconds that one waits for a first frame."""
LONGEST_SILENCE = 34.0
"""Seconds: an engine that is not told finds out by then, from pings that nobody answers."""


class Guest(Viewer):
    """One who may go without a word."""

    def dies(self) -> None:
        """As a process that was killed: its sockets are closed, and say nothing."""
        if self.socket and (transport := self.socket.get_extra_info("socket")) is not None:
            # Of TCP there comes a reset or an end, and no close of the WebSocket.
            with contextlib.suppress(OSError):
                transport.shutdown(2)
        for protocol in self._ways():
            protocol.transport.abort()

    def falls_silent(self) -> None:
        """As a machine that lost its network: the sockets are there, and nothing leaves or arrives."""
        for protocol in self._ways():
            protocol.datagram_received = _ignore
            protocol.send_stun = _ignore
            protocol.send_data = _ignore_soon
            protocol.gso.send = _ignore

    def _ways(self) -> list[Any]:
        if not self._pc.getTransceivers():
            return []
        ways: list[Any] = list(self._connection._protocols)
        return ways


def _ignore(*args: object) -> None:
    return


async def _ignore_soon(*args: object) -> None:
    return


async def leaves(guest: Guest, watching: asyncio.Task[None]) -> None:
    """Closes its connections, and says so."""


async def is_killed(guest: Guest, watching: asyncio.Task[None]) -> None:
    guest.dies()


async def loses_udp(guest: Guest, watching: asyncio.Task[None]) -> None:
    """Media stops and the WebSocket stays, so the engine has to find another way for him."""
    guest.falls_silent()
    await asyncio.wait([watching], timeout=12)


async def loses_all(guest: Guest, watching: asyncio.Task[None]) -> None:
    """Nothing comes from him any more, pongs neither, and no connection ends."""
    guest.falls_silent()
    if guest.socket and (response := guest.socket._response).connection and response.connection.transport:
        response.connection.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(LONGEST_SILENCE)
    guest.dies()


async def gives_up(guest: Guest, watching: asyncio.Task[None]) -> None:
    """Before a frame came: handled where one is waited for."""


MANNERS = {leaves: 8, is_killed: 8, gives_up: 3, loses_udp: 2, loses_all: 1}
"""How often each."""


class House:
    """All seats, and the book of who came."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._connection = peer_connection("packets")
        self._random = random.Random(options.seed)
        self.book: Counter[str] = Counter()

    async def seat(self) -> None:
        """One visit after another."""
        while True:
            await self._visit()

    async def _visit(self) -> None:
        manner = self._random.choices(list(MANNERS), list(MANNERS.values()))[0]
        guest = Guest(self._connection, Way(0))
        options = self._options
        watching = asyncio.create_task(guest.watch(options.url, options.token, options.stream))
        self.book["came"] += 1
        try:
            if manner is gives_up:
                await asyncio.wait([watching], timeout=self._random.uniform(0.02, 0.6))
            else:
                await asyncio.wait_for(guest.receiving.wait(), PATIENCE)
                self.book["watched"] += 1
                await asyncio.sleep(self._random.uniform(*STAY))
                await manner(guest, watching)
            self.book[manner.__name__] += 1
        except TimeoutError:
            self.book["never saw a frame"] += 1
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError, aiohttp.ClientError, ConnectionError):
                await watching


async def main(options: argparse.Namespace) -> None:
    house = House(options)
    seats = [asyncio.create_task(house.seat()) for _ in range(options.seats)]
    while await asyncio.to_thread(sys.stdin.readline):
        broken = [seat.exception() for seat in seats if seat.done()]
        if broken:
            raise RuntimeError("a seat is empty for good") from broken[0]
        sys.stdout.write(json.dumps(house.book) + "\n")
        sys.stdout.flush()
    for seat in seats:
        seat.cancel()
    await asyncio.gather(*seats, return_exceptions=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("token")
    parser.add_argument("--stream", default="default")
    parser.add_argument("--seats", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    os.nice(10)
    asyncio.run(main(_options()))
