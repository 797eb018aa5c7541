"""Viewers that come and go in one process, and leave in every possible way. They decode nothing, as in `receivers`.

    python -m benchmarks.guests WS_URL TOKEN [--guests 6] [--stay 6] [--ending is_killed]

Prints a line of JSON for each line on its standard input: how many came, how many got frames, and how each left. At the
end of its input, all of them close their connections. Must not know what is measured.
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
from collections.abc import Sequence
from typing import Any

import aiohttp

from benchmarks.receivers import SlowLink, Viewer, peer_connection

STAY_S = 6.0
"""A guest watches so long at most, and a sixth of it at least."""
FIRST_FRAME_TIMEOUT_S = 15.0
"""A guest waits this long for its first frame."""
SILENCE_S = 34.0
"""The engine notices within this time that a guest is gone, from pings without an answer."""


class Guest(Viewer):
    """A viewer that may end without closing its connections."""

    def kill(self) -> None:
        """End like a killed process: the sockets are closed without a goodbye."""
        if self.socket and (transport := self.socket.get_extra_info("socket")) is not None:
            # TCP sends a reset or an end; the WebSocket is not closed.
            with contextlib.suppress(OSError):
                transport.shutdown(2)
        for protocol in self._protocols():
            protocol.transport.abort()

    def cut_network(self) -> None:
        """End like a machine without network: the sockets stay open, and nothing leaves or arrives."""
        for protocol in self._protocols():
            protocol.datagram_received = _ignore
            protocol.send_stun = _ignore
            protocol.send_data = _ignore_soon
            protocol.gso.send = _ignore

    def _protocols(self) -> list[Any]:
        if not self._pc.getTransceivers():
            return []
        protocols: list[Any] = list(self._connection._protocols)
        return protocols


def _ignore(*args: object) -> None:
    return


async def _ignore_soon(*args: object) -> None:
    return


async def leaves(guest: Guest, watching: asyncio.Task[None]) -> None:
    """Closes its connections as a browser does."""


async def is_killed(guest: Guest, watching: asyncio.Task[None]) -> None:
    guest.kill()


async def loses_udp(guest: Guest, watching: asyncio.Task[None]) -> None:
    """Media stops and the WebSocket stays open, so the engine has to send over the WebSocket."""
    guest.cut_network()
    await asyncio.wait([watching], timeout=12)


async def loses_all(guest: Guest, watching: asyncio.Task[None]) -> None:
    """Nothing arrives from it any more, not even pongs, and no connection ends."""
    guest.cut_network()
    if guest.socket and (response := guest.socket._response).connection and response.connection.transport:
        response.connection.transport.pause_reading()
    await asyncio.sleep(SILENCE_S)
    guest.kill()


async def gives_up(guest: Guest, watching: asyncio.Task[None]) -> None:
    """Leaves before the first frame: `_visit` handles it."""


ENDINGS = {leaves: 8, is_killed: 8, gives_up: 3, loses_udp: 2, loses_all: 1}
"""How often each happens, as weights."""


class Guests:
    """A fixed number of guests at a time, and counts of how they came and left."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._connection = peer_connection("packets")
        self._random = random.Random(options.seed)
        wanted = options.ending or [ending.__name__ for ending in ENDINGS]
        self._endings = {ending: weight for ending, weight in ENDINGS.items() if ending.__name__ in wanted}
        self.counts: Counter[str] = Counter()

    async def keep_visiting(self) -> None:
        """One guest after another, without end."""
        while True:
            await self._visit()

    async def _visit(self) -> None:
        ending = self._random.choices(list(self._endings), list(self._endings.values()))[0]
        guest = Guest(self._connection, SlowLink(0))
        options = self._options
        watching = asyncio.create_task(guest.watch(options.url, options.token, options.stream))
        self.counts["came"] += 1
        try:
            if ending is gives_up:
                await asyncio.wait([watching], timeout=self._random.uniform(0.02, 0.6))
            else:
                await asyncio.wait_for(guest.receiving.wait(), FIRST_FRAME_TIMEOUT_S)
                self.counts["watched"] += 1
                await asyncio.sleep(self._random.uniform(self._options.stay / 6, self._options.stay))
                await ending(guest, watching)
            self.counts[ending.__name__] += 1
        except TimeoutError:
            self.counts["never saw a frame"] += 1
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError, aiohttp.ClientError, ConnectionError):
                await watching


async def answer(visits: Sequence[asyncio.Task[None]], counts: Counter[str]) -> None:
    """Print the counts for each line on the standard input; at its end, end the visits."""
    while await asyncio.to_thread(sys.stdin.readline):
        broken = [visit.exception() for visit in visits if visit.done()]
        if broken:
            raise RuntimeError("a guest failed, and no other takes its place") from broken[0]
        sys.stdout.write(json.dumps(counts) + "\n")
        sys.stdout.flush()
    for visit in visits:
        visit.cancel()
    await asyncio.gather(*visits, return_exceptions=True)


async def main(options: argparse.Namespace) -> None:
    guests = Guests(options)
    await answer([asyncio.create_task(guests.keep_visiting()) for _ in range(options.guests)], guests.counts)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("token")
    parser.add_argument("--stream", default="default")
    parser.add_argument("--guests", type=int, default=6)
    parser.add_argument("--stay", type=float, default=STAY_S)
    parser.add_argument("--ending", action="append", choices=[ending.__name__ for ending in ENDINGS])
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    os.nice(10)
    asyncio.run(main(_options()))
