"""The engine's end of the link, on its event loop: messages in and out, bells, and the exit of the parent.

Must not know what an engine does with them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import mmap
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from framewire.errors import LocalProtocolError
from framewire.link.bell import drain
from framewire.link.control import (
    AddStream,
    FromEngine,
    InputArrived,
    Listeners,
    RemoveStream,
    Ring,
    RingLost,
    ToEngine,
    encode,
    engine_decoder,
)
from framewire.link.engine_end import EngineEnd, listening_socket, parent_watch
from framewire.link.handles import Handles
from framewire.link.memory import open_named, remove_if_abandoned
from framewire.shortages import cure
from framewire.waiting_events import Dropped, WaitingEvents

logger: Final = logging.getLogger("framewire")

RingMemory = int | mmap.mmap
"""A descriptor, or mapped already."""

_MAX_OUTBOX_BYTES: Final = 8 << 20
"""Bytes kept for a parent that does not read, because it is stopped in a debugger for example. Later messages are lost.

Source: chosen by hand; pinned by
`tests/link/test_attach.py::test_what_waits_for_a_parent_that_does_not_read_is_bounded`."""
MAX_WAITING_INPUT: Final = 1024
"""Input events of all viewers that wait for such a parent, in 2 MiB at most.

Source: chosen by hand: to choose what is dropped takes a few milliseconds then; pinned by
`tests/link/test_attach.py::test_input_for_a_parent_that_does_not_read_is_bounded_and_in_no_reports_way`."""
_INPUT_BATCH: Final = 16
"""Input events that are sent at a time. What waits longer may still be merged.

Source: chosen by hand."""
RING_RETRY_S: Final = 1.0
"""Time after which a ring whose memory could not be taken is asked for again, and what could not be read is read.

Source: chosen by hand; pinned by
`tests/link/test_attach.py::test_a_ring_whose_descriptor_was_cut_off_is_asked_for_again`."""
PARENT_POLL_INTERVAL_S: Final = 0.5
"""Time between two looks at the parent.

Source: chosen by hand."""
ORPHAN_EXIT_GRACE_S: Final = 5.0
"""Time for the engine to exit by itself once its parent is gone.

Source: chosen by hand, twice what an engine takes to close its viewers' sockets; pinned by
`tests/link/test_attach.py::test_an_engine_without_a_parent_is_ended_by_force`."""
_REMOVE_TIMEOUT_S: Final = 1.0
"""Time for the system to close what a parent that was killed had open.

Source: chosen by hand."""


class EngineLink:
    """Made on the running loop. ``on_bell`` gets the streams that may have a newer frame.

    When the parent is gone, `receive` returns None and the engine must exit. After `ORPHAN_EXIT_GRACE_S`,
    ``exit_process`` ends it by force. Two signs are watched. The end of the control socket comes at once, but not as
    long as a process that the parent forked holds the other end. The end of its process always shows, and costs
    polling. A thread of its own does that, so that a loop which is stuck ends as well.
    """

    def __init__(
        self,
        handles: Handles,
        *,
        on_bell: Callable[[set[int]], None],
        exit_process: Callable[[int], object] = os._exit,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_bell, self._exit_process = on_bell, exit_process
        self._is_parent_gone = parent_watch(handles.parent)
        self._end = EngineEnd(handles)
        self._control, self._bell = self._end.control, self._end.bell
        self._decoder = engine_decoder()
        self._received: asyncio.Queue[tuple[ToEngine, RingMemory | None] | None] = asyncio.Queue()
        self._fds: deque[int | None] = deque()
        """Those of Rings to come; None for one that was cut off."""
        self._streams: set[int] = set()
        self._lost: dict[int, int] = {}
        """The number of the newest ring that could not be taken, by stream, until another one is."""
        self._names: dict[int, list[str]] = {}
        """The names of the last two memories, by stream."""
        self._outbox = bytearray()
        self._input: WaitingEvents[InputArrived] = WaitingEvents(
            MAX_WAITING_INPUT,
            Dropped(),
            replace=replace,
            source=lambda each: (each.stream, each.client_id),
            merging=True,
        )
        self._viewer_outbox: deque[bytes] = deque()
        self._sending = memoryview(b"")
        """The rest of what was begun to be sent: whole messages of an outbox."""
        self._closed = False
        self._parent_gone = False
        self._stop_watching = threading.Event()
        for sock, callback in ((self._control, self._read), (self._bell, self._drain)):
            self._loop.add_reader(sock, callback)
        self._watcher = threading.Thread(target=self._watch_parent, name="framewire-parent", daemon=True)
        self._watcher.start()

    @property
    def listeners(self) -> list[socket.socket]:
        """The listening sockets. All are there before the first message."""
        return self._end.listeners

    async def receive(self) -> tuple[ToEngine, RingMemory | None] | None:
        """The next message, with the memory of a Ring (the caller's from now on).

        None: there will be no more, since the parent is gone or the link is closed.
        """
        item = await self._received.get()
        if item is None:
            self._received.put_nowait(None)  # for the next call
        return item

    def send(self, message: FromEngine) -> None:
        """Never waits. On the loop's thread. Lost where a parent that does not read has left too many."""
        if self._closed or len(self._outbox) > _MAX_OUTBOX_BYTES:
            return
        idle = self._idle
        self._outbox += encode(message)
        if idle:
            self._start_sending()

    def send_input(self, message: InputArrived) -> None:
        """As `send`, after all messages of that. Where a parent does not read, moves are merged, and what a viewer
        sends is dropped before what others do."""
        if self._closed:
            return
        idle = self._idle
        self._input.put(message)
        if idle:
            self._start_sending()

    def send_to_viewer(self, message: FromEngine) -> None:
        """As `send`, after all messages of that. None is lost: the caller bounds how much waits."""
        if self._closed:
            return
        idle = self._idle
        self._viewer_outbox.append(encode(message))
        if idle:
            self._start_sending()

    def ring_lost(self, ring: Ring) -> None:
        """Its memory cannot be had now: the last ring stays, and this one is asked for again. On the loop's thread."""
        if self._lost.get(ring.stream) != ring.number:
            self._lost[ring.stream] = ring.number
            logger.warning(
                "framewire: the engine cannot take a larger frame yet, and tries again every second: "
                "raise the limit of open files (ulimit -n), or free some memory"
            )
        self._loop.call_later(RING_RETRY_S, self._ask_again, ring.stream, ring.number)

    def _ask_again(self, stream: int, number: int) -> None:
        if self._lost.get(stream) == number:
            self.send(RingLost(stream=stream, number=number))

    def close(self) -> None:
        """Close the sockets, and the descriptors that were not received. Idempotent."""
        self._closed = True
        self._stop_watching.set()
        for sock in (self._control, self._bell):
            if sock.fileno() >= 0:
                self._loop.remove_reader(sock)
                self._loop.remove_writer(sock)
                sock.close()
        while not self._received.empty():
            item = self._received.get_nowait()
            if item and isinstance(item[1], int):
                os.close(item[1])
        while self._fds:
            if (fd := self._fds.popleft()) is not None:
                os.close(fd)
        self._remove_abandoned()  # which needs a descriptor
        self._received.put_nowait(None)

    def _read(self) -> None:
        try:
            data, fds = self._end.receive()
            self._fds.extend(fds)
            for message in self._decoder.feed(data):
                self._take(message)
        except (BlockingIOError, InterruptedError):
            return
        except (OSError, LocalProtocolError) as error:
            if cure(error):  # it may be read when there is memory again
                self._loop.remove_reader(self._control)
                self._loop.call_later(RING_RETRY_S, self._read_again)
                return
            data = b""
        if not data:
            self._on_parent_gone()

    def _read_again(self) -> None:
        if not self._closed:
            self._loop.add_reader(self._control, self._read)

    def _take(self, message: ToEngine) -> None:
        memory: RingMemory | None = None
        match message:
            case Listeners():
                self._end.listeners += map(listening_socket, message.shares)
                return
            case AddStream():
                self._streams.add(message.options.id)
            case RemoveStream():
                self._streams.discard(message.id)
                self._lost.pop(message.id, None)
                self._names.pop(message.id, None)
            case Ring():
                memory = self._named(message) if message.memory else self._beside(message)
                if memory is None:
                    return
                if self._lost.get(message.stream) != message.number:  # or its next loss would be logged as the first
                    self._lost.pop(message.stream, None)
        self._received.put_nowait((message, memory))

    def _beside(self, ring: Ring) -> int | None:
        # Descriptors arrive no later than the first byte they were sent with, and in order.
        if not self._fds:
            raise LocalProtocolError("a Ring came without its memory")
        fd = self._fds.popleft()
        if fd is None:
            self.ring_lost(ring)
        return fd

    def _named(self, ring: Ring) -> mmap.mmap | None:
        assert ring.memory, "asked by the caller"
        try:
            memory = open_named(ring.memory, ring.size)
        except FileNotFoundError:  # closed by now: the stream's next Ring, or its end, is on its way
            return None
        except OSError:
            self.ring_lost(ring)
            return None
        self._names[ring.stream] = [*self._names.get(ring.stream, [])[-1:], ring.memory]
        return memory

    def _remove_abandoned(self) -> None:
        """Remove the names of a parent that was killed. It may take a moment to be gone."""
        deadline = time.monotonic() + (_REMOVE_TIMEOUT_S if self._parent_gone else 0)
        for name in [name for names in self._names.values() for name in names]:
            while not remove_if_abandoned(name) and time.monotonic() < deadline:
                time.sleep(0.01)
        self._names.clear()

    def _drain(self) -> None:
        streams, some_lost = drain(self._bell)
        if some_lost:
            streams |= self._streams
        if streams:
            self._on_bell(streams)

    @property
    def _idle(self) -> bool:
        return not (self._sending or self._outbox or len(self._input) or self._viewer_outbox)

    def _start_sending(self) -> None:
        self._flush()
        if not (self._idle or self._closed):
            self._loop.add_writer(self._control, self._flush)

    def _flush(self) -> None:
        try:
            while not self._idle:
                if not self._sending:
                    self._sending = self._next_messages()
                self._sending = self._sending[self._control.send(self._sending) :]
        except (BlockingIOError, InterruptedError):
            return
        except OSError:  # reading finds the end of the socket
            self._sending = memoryview(b"")
            self._outbox.clear()
            self._input.take()
            self._viewer_outbox.clear()
        self._loop.remove_writer(self._control)

    def _next_messages(self) -> memoryview:
        """Reports first: they are few, and viewers must not delay them."""
        if self._outbox:
            messages = bytes(self._outbox)
            self._outbox.clear()
            return memoryview(messages)
        if len(self._input):
            return memoryview(b"".join(map(encode, self._input.take(_INPUT_BATCH))))
        return memoryview(self._viewer_outbox.popleft())

    def _on_parent_gone(self) -> None:
        if self._closed:
            return
        self._closed = self._parent_gone = True
        self._stop_watching.set()
        self._loop.remove_reader(self._control)
        self._loop.remove_reader(self._bell)
        self._loop.remove_writer(self._control)
        self._received.put_nowait(None)

    def _watch_parent(self) -> None:
        while not self._stop_watching.wait(PARENT_POLL_INTERVAL_S):
            if self._is_parent_gone():
                self._parent_gone = True
                with contextlib.suppress(RuntimeError):  # the loop is closed: the engine is about to exit
                    self._loop.call_soon_threadsafe(self._on_parent_gone)
                break
        if self._parent_gone:  # whatever the engine does about it, and even if it has closed this link since
            time.sleep(ORPHAN_EXIT_GRACE_S)
            self._remove_abandoned()
            self._exit_process(1)
