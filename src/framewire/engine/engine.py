"""The engine: streams, and the viewers that watch them. Must not know transports, nor whether a process of its own or
the caller's event loop hosts it: it takes commands as calls, and reports what happens through `EngineListener`."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Any, Final, Protocol

from framewire._version import __version__
from framewire.authentication import ConnectionRequest
from framewire.codec.encoders import available_codecs
from framewire.engine.stream.pool import EncoderPool
from framewire.engine.stream.stream import Stream
from framewire.engine.viewer.admission import Admission, Admitted, Authorizer, Refused, token_authorizer
from framewire.engine.viewer.effects import ListedStream
from framewire.engine.viewer.openings import PeerOpenings
from framewire.engine.viewer.session import ServerInfo
from framewire.engine.viewer.transport import Transport
from framewire.engine.viewer.turns import Turns
from framewire.engine.viewer.viewer import Viewer
from framewire.errors import CloseCode
from framewire.frame import FrameSource
from framewire.options import EngineOptions, StreamOptions
from framewire.rtc.peer import engine_bucket
from framewire.token_bucket import TokenBucket
from framewire.viewers import WatchingViewer

ENCODER_THREAD_COUNT: Final = 4
"""Threads that encode and compress. Each encoding uses one at a time, and one viewer needs at most three encodings.

Source: chosen by hand; pinned by
`tests/engine/test_engine.py::test_three_encodings_that_take_long_do_not_delay_a_fourth`"""

SHUTDOWN_CLOSE_TIMEOUT_S: Final = 1.5
"""Time for all viewers to read their close code when the engine ends. Then they are cut off.

Source: chosen by hand; pinned by
`tests/engine/http/test_server.py::test_a_viewer_that_does_not_read_does_not_delay_the_shutdown`"""

MAX_UNADMITTED_VIEWERS: Final = 256
"""Viewers that have connected and are not admitted yet; for one more, the oldest of them is closed with 4429.

Source: chosen by hand (SECURITY.md S11); pinned by
`tests/engine/http/test_server.py::test_the_oldest_socket_without_hello_makes_way_with_4429`"""

MAX_VIEWERS: Final = 256
"""Viewers of one engine that are admitted; one more is closed with 4429.

Source: chosen by hand (SECURITY.md S12); pinned by
`tests/engine/http/test_server.py::test_the_number_of_viewers_is_limited`"""


STATS_INTERVAL_S: Final = 1.0
"""Time between two reports of the streams' numbers (`Display.stats`).

Source: chosen by hand; pinned by
`tests/engine/test_engine.py::test_the_numbers_of_every_stream_are_reported_once_a_second`"""


VIEWERS_DELAY_S: Final = 0.1
"""Time between a change of a stream's viewers and its report: one subscription may end a moment before the next begins.

Source: chosen by hand; pinned by
`tests/engine/test_engine.py::test_a_viewer_that_changes_its_mode_neither_leaves_nor_joins`"""


DESCRIPTION_INTERVAL_S: Final = 0.1
"""Time between two announcements of new titles and cursors: a program that sets one with each frame costs few messages.

Source: chosen by hand; pinned by
`tests/engine/test_engine.py::test_a_title_that_changes_often_is_announced_a_few_times`"""


class EngineListener(Protocol):
    """What the engine reports to its host. Called on the event loop; must return at once."""

    def on_input(self, stream: int, client_id: str, principal: str | None, event: dict[str, Any]) -> None:
        """A viewer sent an input event. ``principal`` is what its admission named it."""

    def on_viewers(self, stream: int, viewers: tuple[WatchingViewer, ...]) -> None:
        """The viewers that watch the stream have changed: all that there are now."""

    def on_stats(self, stream: int, stats: dict[str, Any]) -> None:
        """Measurements of the stream (`Display.stats`)."""


class Engine:
    """Streams and viewers. Made on a running loop and used from it alone.

    ``authorize`` decides which viewers are admitted. Without it, those that have the token of ``options`` are.
    """

    def __init__(self, options: EngineOptions, listener: EngineListener, authorize: Authorizer | None = None) -> None:
        self.epoch: str = secrets.token_hex(8)
        if authorize is None:
            assert options.token, "the host of an engine makes up a token where none is given"
            authorize = token_authorizer(options.token)
        self.authorize = authorize
        self.options = options
        self.turns: Turns = Turns()
        self.openings: PeerOpenings = PeerOpenings()
        self.announced: TokenBucket = engine_bucket()
        """The ICE candidates of all viewers."""
        self._listener = listener
        self._streams: dict[int, Stream] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._viewers: set[Viewer] = set()
        self._unadmitted: dict[Viewer, None] = {}
        """The oldest first; some may be closed."""
        self._pool = EncoderPool(ENCODER_THREAD_COUNT)
        self._available = available_codecs()
        self._closed = False
        self._reporting_viewers: dict[int, asyncio.TimerHandle] = {}
        self._announcing: asyncio.TimerHandle | None = None
        self._announced_at = float("-inf")

    # Streams

    def add_stream(self, options: StreamOptions, source: FrameSource) -> None:
        """Start a stream. A stream of the same id only gets the new source; another one of the same name ends."""
        if known := self._streams.get(options.id):
            known.replace_source(source)
            return
        for other in [s for s in self._streams.values() if s.options.name == options.name]:
            self._drop(other)
        self._streams[options.id] = Stream(options, source, self._pool, self._announce)
        self._announce()

    def describe_stream(self, options: StreamOptions) -> None:
        """The stream of this id has another title or cursor."""
        loop = asyncio.get_running_loop()
        if stream := self._streams.get(options.id):
            stream.describe(options)
            if self._announcing is None:
                due = max(loop.time(), self._announced_at + DESCRIPTION_INTERVAL_S)
                self._announcing = loop.call_at(due, self._announce)

    def remove_stream(self, id_: int) -> None:
        if stream := self._streams.get(id_):
            self._drop(stream)
            self._announce()

    def frame_published(self, id_: int) -> None:
        """The stream's source has a new frame."""
        if stream := self._streams.get(id_):
            stream.wake()

    def stats(self) -> dict[int, dict[str, Any]]:
        """The numbers of each stream, by id (`Display.stats`)."""
        now = time.monotonic()
        return {id_: stream.stats(now) for id_, stream in self._streams.items()}

    async def report_stats(self) -> None:
        """Report the numbers of each stream to the listener, again and again. The host runs this as a task."""
        while True:
            await asyncio.sleep(STATS_INTERVAL_S)
            for id_, stats in self.stats().items():
                self._listener.on_stats(id_, stats)

    def _drop(self, stream: Stream) -> None:
        del self._streams[stream.options.id]
        task = asyncio.get_running_loop().create_task(stream.close())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _announce(self) -> None:
        if self._announcing:
            self._announcing.cancel()
            self._announcing = None
        self._announced_at = asyncio.get_running_loop().time()
        streams = self.listed_streams
        for viewer in list(self._viewers):
            viewer.streams_changed(streams)

    # Viewers

    @property
    def viewers(self) -> int:
        """Viewers that are connected, whether admitted or not."""
        return len(self._viewers)

    @property
    def _admitted(self) -> int:
        return sum(viewer.admitted and not viewer.closed for viewer in self._viewers)

    def accept(self, transport: Transport, request: ConnectionRequest | None = None) -> Viewer:
        """Serve the viewer behind this transport, which is open. The oldest one that is not admitted makes way for it.

        Hand its messages to `Viewer.receive`; call `leave` when the transport is closed.
        """
        if len(self._unadmitted) >= MAX_UNADMITTED_VIEWERS:
            self._make_way()
        viewer = Viewer(transport, self, request or ConnectionRequest())
        self._viewers.add(viewer)
        self._unadmitted[viewer] = None
        if self._closed:
            viewer.close(CloseCode.GOING_AWAY, "the server is closing")
        return viewer

    def _make_way(self) -> None:
        self._unadmitted = {viewer: None for viewer in self._unadmitted if not viewer.closed}
        while len(self._unadmitted) >= MAX_UNADMITTED_VIEWERS:
            oldest = next(iter(self._unadmitted))
            del self._unadmitted[oldest]
            oldest.close(CloseCode.LIMITS, "others came, and it had not been admitted yet")

    async def leave(self, viewer: Viewer) -> None:
        """The viewer's transport is closed: wait until everything of it is."""
        self._unadmitted.pop(viewer, None)
        await viewer.wait_closed()
        self._viewers.discard(viewer)

    async def close(self) -> None:
        """Send every viewer its close code, stop every encoder. Takes no more viewers."""
        self._closed = True
        for viewer in self._viewers:
            viewer.close(CloseCode.GOING_AWAY, "the server is closing")
        await self._wait_until_left(SHUTDOWN_CLOSE_TIMEOUT_S)
        for viewer in self._viewers:
            viewer.abort()
        await self._wait_until_left(SHUTDOWN_CLOSE_TIMEOUT_S)
        await asyncio.gather(*(stream.close() for stream in self._streams.values()), *self._tasks)
        self._streams.clear()
        for timer in (*self._reporting_viewers.values(), self._announcing):
            if timer:
                timer.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _wait_until_left(self, timeout_s: float) -> None:
        leaving = [asyncio.ensure_future(self.leave(viewer)) for viewer in self._viewers]
        if leaving:
            await asyncio.wait(leaving, timeout=timeout_s)

    # What viewers need (`viewer.ViewerContext`)

    def admit(self, viewer: Viewer, admission: Admission) -> Admission:
        self._unadmitted.pop(viewer, None)
        if isinstance(admission, Admitted) and self._admitted >= MAX_VIEWERS:
            return Refused(CloseCode.LIMITS, f"{MAX_VIEWERS} viewers watch already")
        return admission

    @property
    def server_info(self) -> ServerInfo:
        return ServerInfo(
            software=f"framewire {__version__}",
            epoch=self.epoch,
            ice_servers=self.options.ice_servers,
            unix_offset_s=time.time() - time.monotonic(),
        )

    @property
    def listed_streams(self) -> tuple[ListedStream, ...]:
        return tuple(self._listed(stream) for stream in self._streams.values())

    def _listed(self, stream: Stream) -> ListedStream:
        codecs = tuple(codec for codec in stream.options.video_codecs if codec in self._available)
        return ListedStream(stream.info, codecs, stream.options.latency)

    def stream(self, id_: int) -> Stream | None:
        return self._streams.get(id_)

    def input_arrived(self, stream: int, client_id: str, principal: str | None, event: dict[str, Any]) -> None:
        self._listener.on_input(stream, client_id, principal, event)

    def viewers_changed(self, stream: int) -> None:
        """Report its viewers, a moment later: a subscription often takes the place of another one."""
        if stream not in self._reporting_viewers:
            loop = asyncio.get_running_loop()
            self._reporting_viewers[stream] = loop.call_later(VIEWERS_DELAY_S, self._report_viewers, stream)

    def _report_viewers(self, stream: int) -> None:
        del self._reporting_viewers[stream]
        if stream in self._streams:
            found = (viewer.watching(stream) for viewer in self._viewers)
            self._listener.on_viewers(stream, tuple(filter(None, found)))
