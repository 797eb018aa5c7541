"""Datagrams from the viewer's address, into a peer connection that shows a picture: SRTCP and SRTP with the right keys,
and anything at all without. Needs sockets and some seconds: `make test` leaves it to tests/rtc/test_hostile_viewers.py.

Must not know how inputs are made smaller, kept or counted.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Hashable, Sequence
from functools import cache
from random import Random
from typing import Any, Final
from unittest import mock

import aioice.ice
import pylibsrtp

from framewire.rtc.stack import ice
from tests.fuzz.fuzzer import Target
from tests.fuzz.mutators import below, pick, rtcp_mutator, spliced
from tests.fuzz.packets import _rtcp_seeds, _stun_seeds, stun_mutator
from tests.rtc.live_pair import LivePair
from tests.rtc.rig import MEDIA

CHECK_INPUTS: Final = 2000
"""After so many datagrams, the viewer still sees a new picture, and is still heard."""
KINDS: Final = 4
MAX_IDLE_S: Final = 2.0


class _Live:
    """One pair for all inputs of this process."""

    def __init__(self) -> None:
        self.complaints: list[Any] = []
        self.inputs = 0
        self.runner = asyncio.Runner(loop_factory=asyncio.SelectorEventLoop)
        handler = logging.Handler(logging.WARNING)
        handler.emit = self.complaints.append  # type: ignore[assignment, method-assign]
        logging.getLogger().addHandler(handler)
        self.runner.get_loop().set_exception_handler(lambda _, context: self.complaints.append(context))
        self.used_at = 0.0
        self._pair: LivePair | None = None

    def pair(self) -> LivePair:
        """A pair that was used a moment ago: while other targets have their turn, one falls silent and ends."""
        now = time.monotonic()
        if self._pair is None or now - self.used_at > MAX_IDLE_S:
            if self._pair:
                self.runner.run(self._pair.close())
            self.complaints.clear()
            self._pair = self.runner.run(self._open())
        self.used_at = now
        return self._pair

    async def _open(self) -> LivePair:
        with (
            mock.patch.object(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"]),
            mock.patch.object(ice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: []),
        ):
            return await LivePair.open(feedback=True)

    async def take(self, pair: LivePair, datagram: bytes) -> None:
        self.inputs += 1
        pair.inject(datagram)
        await asyncio.sleep(0)
        if self.inputs % CHECK_INPUTS == 0:
            await pair.settled()
            assert await pair.still_shows(60 + self.inputs // CHECK_INPUTS % 100), "the peer goes on"
        complaints, self.complaints = self.complaints, []
        assert not complaints, complaints


@cache
def _live() -> _Live:
    return _Live()


def take(data: bytes) -> Hashable:
    live = _live()
    pair = live.pair()
    kind, payload = data[0] % KINDS if data else 0, data[1:]
    ssrc = pair.ssrc.to_bytes(4)
    payload = payload.replace(MEDIA.to_bytes(4), ssrc)
    try:
        if kind == 0:
            datagram = payload
        elif kind == 3:
            datagram = pair.rtp(payload)
        else:
            datagram = pair.rtcp(payload)
    except (pylibsrtp.Error, ValueError):
        return "cannot be encrypted"
    before = pair.stats
    live.runner.run(live.take(pair, datagram))
    after = pair.stats
    return (
        kind,
        after.nacks > before.nacks,
        after.keyframe_requests > before.keyframe_requests,
        len(data).bit_length(),
    )


def _seeds() -> list[bytes]:
    datagrams = [b"\0" + each for each in (*_stun_seeds(), b"\x16\xfe\xfd" + bytes(60), b"\x80\xc8" + bytes(30))]
    return [*(b"\1" + each for each in _rtcp_seeds()), *datagrams, b"\3\x80\x63" + bytes(40)]


def _mutate(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    kind, payload = data[:1] or b"\0", data[1:]
    if random.random() < 0.1:
        kind = bytes([below(random, KINDS)])
    others = [each[1:] for each in (pick(random, others), pick(random, others))]
    if kind[0] % KINDS in (1, 2):
        return kind + rtcp_mutator(payload, random, others)
    if payload[:1] < b"\4" and random.random() < 0.8:
        return kind + stun_mutator(payload, random, others)
    return kind + spliced(payload, random, others)


TARGETS: Final = (
    Target("live", take, _seeds, _mutate, max_bytes=1490, variations=6, max_cpu_s=30.0, max_peak_bytes=1 << 30),
)
