"""One viewer's peer connection: its negotiation, and what waits until it is connected. Must not know the session's
rules, encodings or transports."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Final

from framewire.engine.viewer.effects import AddCandidate, Attach, MakeOffer, PeerFailed, PeerOffered, SetAnswer
from framewire.engine.viewer.openings import OFFER_INTERVAL_S_PER_TRACK, PeerOpenings
from framewire.errors import CodecRefusedError, PeerError
from framewire.limited_log import LimitedLog
from framewire.rtc.peer import BitrateEstimate, Peer, PeerTrack

log: Final = LimitedLog(logging.getLogger(__name__))

VIDEO_FIRST_S: Final = 1.0
"""For this long after connecting, credits of WebSocket units are withheld, so that the video has the link.

On a slow link those units would delay the first, largest video frames, and the estimator would see half of the link.

Source: benchmark `1mbps-80ms`; pinned by
`tests/engine/viewer/test_viewer_peer.py::test_deferred_calls_run_when_the_video_had_its_time`"""

Command = MakeOffer | SetAnswer | AddCandidate


class ViewerPeer:
    """A peer connection that carries out negotiation commands in order, one at a time. Made on a running loop.

    ``on_result`` gets the session's event for each offer, and for whatever fails.
    """

    def __init__(
        self,
        number: int,
        connection: Peer,
        on_result: Callable[[PeerOffered | PeerFailed], None],
        openings: PeerOpenings,
    ) -> None:
        self.number = number
        self.connection = connection
        self.connected: bool = False
        self.estimate: BitrateEstimate | None = None
        """The newest one; a subscription that is attached later starts with it."""
        self.pending: list[Attach] = []
        """Negotiated subscriptions that are attached once the peer is connected."""
        self._on_result = on_result
        self._openings = openings
        self._next_offer_at: float | None = None
        """None before the first offer."""
        self._deferred: list[Callable[[], None]] = []
        self._video_first: asyncio.TimerHandle | None = None
        """Set during the first `VIDEO_FIRST_S` of the connection."""
        self._commands: asyncio.Queue[Command] = asyncio.Queue()
        self._task = asyncio.create_task(self._run())

    def negotiate(self, command: Command) -> None:
        """Carry this out after the commands before it."""
        self._commands.put_nowait(command)

    def mark_connected(self) -> None:
        self.connected = True
        self._video_first = asyncio.get_running_loop().call_later(VIDEO_FIRST_S, self._run_deferred)

    def defer(self, call: Callable[[], None]) -> bool:
        """Whether the call is deferred until the first video frames are sent. False: the caller makes it itself."""
        if self._video_first is None:
            return False
        self._deferred.append(call)
        return True

    async def close(self) -> None:
        """Make the deferred calls, drop the commands that are left, and close the connection."""
        self._run_deferred()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self.connection.close()

    def _run_deferred(self) -> None:
        if self._video_first is not None:
            self._video_first.cancel()
            self._video_first = None
        deferred, self._deferred = self._deferred, []
        for call in deferred:
            call()

    async def _run(self) -> None:
        while True:
            command = await self._commands.get()
            try:
                await self._carry_out(command)
            except CodecRefusedError as error:
                self._on_result(PeerFailed(self.number, str(error), "no_codec"))
            except PeerError as error:
                self._on_result(PeerFailed(self.number, str(error)))
            except Exception:
                # aiortc raises all kinds of errors for odd SDP. The viewer falls back, the log gets the traceback.
                log.exception("a negotiation failed")
                self._on_result(PeerFailed(self.number, "negotiation failed at the server"))

    async def _carry_out(self, command: Command) -> None:
        match command:
            case MakeOffer():
                await self._wait_for_offer(len(command.tracks))
                tracks = [PeerTrack(track.sub, track.codec, track.latency) for track in command.tracks]
                made = await self.connection.offer(tracks)
                self._on_result(PeerOffered(self.number, command.offer, made.sdp, made.mids))
            case SetAnswer():
                await self.connection.answer(command.sdp)
            case AddCandidate():
                await self.connection.add_candidate(command.candidate, command.sdp_mid)

    async def _wait_for_offer(self, tracks: int) -> None:
        now = time.monotonic()
        if self._next_offer_at is None:
            await self._openings.wait()
        elif self._next_offer_at > now:
            await asyncio.sleep(self._next_offer_at - now)
        self._next_offer_at = time.monotonic() + OFFER_INTERVAL_S_PER_TRACK * tracks
