"""When peer connections may be opened and negotiated: so many a second, first come first served.

Each takes the loop a few milliseconds. Viewers that come and go, or offer anew, again and again, so leave the others
their time; their picture comes over the WebSocket meanwhile. Must not know peers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from framewire.token_bucket import TokenBucket

PEERS_PER_S: Final = 20.0
"""Peer connections of one engine that are opened each second.

Source: chosen by hand: one takes 5 ms of the loop, so a tenth of it; pinned by
`tests/engine/viewer/test_openings.py::test_many_peers_are_opened_one_after_another`"""

PEERS_AT_ONCE: Final = 32
"""So many are opened at once after a pause.

Source: chosen by hand, an audience that joins together; pinned by
`tests/engine/viewer/test_openings.py::test_many_peers_are_opened_one_after_another`"""

OFFER_INTERVAL_S_PER_TRACK: Final = 0.005
"""Time from one offer of a peer to the next, for each of its tracks.

Source: measured: a track takes 0.5 ms of the loop in each negotiation, so a tenth of it; pinned by
`tests/engine/viewer/test_viewer_peer.py::test_offers_follow_each_other_slowly`"""


class PeerOpenings:
    """Of one engine."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._bucket = TokenBucket(PEERS_PER_S, PEERS_AT_ONCE)
        self._first = asyncio.Lock()

    async def wait(self) -> None:
        """Wait until one more may be opened. Whoever is cancelled meanwhile has taken nothing."""
        async with self._first:
            await asyncio.sleep(self._bucket.delay(self._clock()))
            self._bucket.spend(self._clock())
