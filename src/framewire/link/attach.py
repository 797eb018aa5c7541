"""The engine's end of the link, on its event loop: messages in and out, bells, and the parent's death.

Must not know what an engine does with them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from framewire.errors import LocalProtocolError
from framewire.link.bell import drain
from framewire.link.control import (
    AddStream,
    FromEngine,
    Handles,
    RemoveStream,
    Ring,
    ToEngine,
    encode,
    engine_decoder,
)

_READ: Final = 65_536
_MOST_FDS: Final = 16
_OUTBOX: Final = 8 << 20
"""Bytes kept for a parent that does not read (it is stopped in a debugger, say); what comes after is lost."""
WATCH: Final = 0.5
"""Seconds between two looks at who the parent is."""
GRACE: Final = 5.0
"""Seconds an orphaned engine has to end by itself."""


class EngineLink:
    """Made on the running loop. ``on_bell`` gets the streams that may have a newer frame. When the parent is gone,
    `receive` returns None, and the engine must exit. It is ended by force if it does not.

    Two signs of a parent's death are watched. The end of the control socket comes at once, but not as long as
    a process that the parent forked holds the other end; another parent process id comes always, and costs
    polling. That is done in a thread of its own, so that a loop which is stuck ends as well.
    """

    def __init__(
        self,
        handles: Handles,
        *,
        on_bell: Callable[[set[int]], None],
        by_force: Callable[[int], object] = os._exit,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_bell, self._by_force = on_bell, by_force
        self._parent = handles.parent
        self._control = socket.socket(fileno=handles.control)
        self._bell = socket.socket(fileno=handles.bell)
        self._decoder = engine_decoder()
        self._received: asyncio.Queue[tuple[ToEngine, int | None] | None] = asyncio.Queue()
        self._fds: deque[int] = deque()
        self._streams: set[int] = set()
        self._outbox = bytearray()
        self._ended = False
        self._abandoned = False
        self._settled = threading.Event()
        for sock, callback in ((self._control, self._read), (self._bell, self._drain)):
            sock.setblocking(False)
            self._loop.add_reader(sock, callback)
        self._watcher = threading.Thread(target=self._watch, name="framewire-parent", daemon=True)
        self._watcher.start()

    async def receive(self) -> tuple[ToEngine, int | None] | None:
        """The next message, with the descriptor that came beside a Ring (the caller's from now on).

        None: there will be no more; the parent is gone, or the link is closed.
        """
        item = await self._received.get()
        if item is None:
            self._received.put_nowait(None)  # for whoever asks again
        return item

    def send(self, message: FromEngine) -> None:
        """Never waits. On the loop's thread."""
        if self._ended or len(self._outbox) > _OUTBOX:
            return
        idle = not self._outbox
        self._outbox += encode(message)
        if idle:
            self._flush()
            if self._outbox and not self._ended:
                self._loop.add_writer(self._control, self._flush)

    def close(self) -> None:
        """Closes the sockets, and the descriptors nobody received. Idempotent."""
        self._ended = True
        self._settled.set()
        for sock in (self._control, self._bell):
            if sock.fileno() >= 0:
                self._loop.remove_reader(sock)
                self._loop.remove_writer(sock)
                sock.close()
        while not self._received.empty():
            item = self._received.get_nowait()
            if item and item[1] is not None:
                os.close(item[1])
        while self._fds:
            os.close(self._fds.popleft())
        self._received.put_nowait(None)

    def _read(self) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(self._control, _READ, _MOST_FDS)
            for fd in fds:
                os.set_inheritable(fd, False)
            self._fds.extend(fds)
            messages = self._decoder.feed(data)
            for message in messages:
                self._received.put_nowait((message, self._beside(message)))
        except (BlockingIOError, InterruptedError):
            return
        except (OSError, LocalProtocolError):
            data = b""
        if not data:
            self._orphaned()

    def _beside(self, message: ToEngine) -> int | None:
        match message:
            case AddStream():
                self._streams.add(message.options.id)
            case RemoveStream():
                self._streams.discard(message.id)
            case Ring():
                # Descriptors arrive no later than the first byte they were sent with, and in order.
                if not self._fds:
                    raise LocalProtocolError("a Ring came without its memory")
                return self._fds.popleft()
        return None

    def _drain(self) -> None:
        rung, any_ = drain(self._bell)
        streams = rung | self._streams if any_ else rung
        if streams:
            self._on_bell(streams)

    def _flush(self) -> None:
        try:
            del self._outbox[: self._control.send(self._outbox)]
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._outbox.clear()  # the reader sees the end, and says so
        if not self._outbox:
            self._loop.remove_writer(self._control)

    def _orphaned(self) -> None:
        if self._ended:
            return
        self._ended = self._abandoned = True
        self._settled.set()
        self._loop.remove_reader(self._control)
        self._loop.remove_reader(self._bell)
        self._loop.remove_writer(self._control)
        self._received.put_nowait(None)

    def _watch(self) -> None:
        while not self._settled.wait(WATCH):
            if os.getppid() != self._parent:
                self._abandoned = True
                with contextlib.suppress(RuntimeError):  # the loop is closed: the engine is ending, it believes
                    self._loop.call_soon_threadsafe(self._orphaned)
                break
        if self._abandoned:  # whatever the engine does about it, and even if it closed this link since
            time.sleep(GRACE)
            self._by_force(1)
