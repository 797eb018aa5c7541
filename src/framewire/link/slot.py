"""The newest frame of one stream, for an engine in the same process. Must not know engines or event loops."""

from __future__ import annotations

import threading

from framewire.errors import ClosedError
from framewire.frame import Frame, Pixels
from framewire.link.ring import Lease, RingReader, RingWriter


class LocalSlot:
    """A ring that no other process sees, replaced as frames grow.

    A `frame.FrameSource` with :meth:`write`; works wherever Python does.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ring: tuple[RingWriter, RingReader] | None = None
        self._closed = False

    def write(self, pixels: Pixels, number: int, time_us: int) -> None:
        """As :meth:`RingWriter.write`, for frames of any size."""
        with self._lock:
            if self._closed:
                raise ClosedError("the slot is closed")
            old = self._ring
            ring = old if old and old[0].fits(pixels.nbytes) else _open_ring(pixels.nbytes)
            ring[0].write(pixels, number, time_us)
            self._ring = ring
        if old and old is not ring:
            _close_ring(old)

    def newest(self, known: int | None = None) -> Frame | None:
        """As :meth:`RingWriter.newest`."""
        with self._lock:
            if self._closed:
                raise ClosedError("the slot is closed")
            return self._ring[0].newest(known) if self._ring else None

    def latest(self) -> Lease | None:
        """As :meth:`RingReader.latest`."""
        while True:
            ring = self._ring
            lease = ring[1].latest() if ring else None
            if lease or ring is self._ring:  # else it was replaced and closed between these lines
                return lease

    def close(self) -> None:
        """No more frames; leased ones hold still until released. Idempotent."""
        with self._lock:
            self._closed, ring, self._ring = True, self._ring, None
        if ring:
            _close_ring(ring)


def _open_ring(capacity: int) -> tuple[RingWriter, RingReader]:
    writer = RingWriter(capacity, shared=False)
    return writer, RingReader(writer.memory)


def _close_ring(ring: tuple[RingWriter, RingReader]) -> None:
    ring[1].close()
    ring[0].close()
