"""The newest frame of one stream, in memory that two processes share: newest wins, never torn.

Must not know processes, sockets or what the pixels are for.

`link.memory` has it, and the engine gets its descriptor or its name. A slot's room is reserved before the first frame
is written there: memory that cannot be had is an error, not the signal that ends the program.

Layout, all words u64 of the machine: the header page ``magic, slots, slot bytes, latest``, then a line of
eight words per slot ``sequence, number, time_us, height, width, channels, bytes, leased``; after the header
page the slots' pixels. ``latest`` is ``publishes << 8 | slot + 1``, or 0 before the first frame.

How a torn frame is kept from the reader
    The reader marks a slot (``leased``), *then* looks whether its ``sequence`` is even. The writer makes
    ``sequence`` odd, *then* looks whether the slot is marked. Each stores before it loads what the other
    stores, so at least one of them sees the other and takes another slot: the writer a free one, the reader the
    newest by then. A leased slot is not written until it is released.

    "Then" is not free: x86 lets a load overtake an earlier store, ARM nearly anything. Python has no fence,
    but a lock that is released and taken again is one: a release followed by an acquire of the same word is
    never reordered, in neither direction, on either of them (see ``_fence``). Words are read and written by
    ``memoryview`` of format ``Q``, one aligned 8-byte move each.

A writer that is killed, or interrupted by Ctrl-C, in the middle of a slot leaves its ``sequence`` odd and
``latest`` where it was: the last whole frame stays the newest one.
"""

from __future__ import annotations

import mmap
import os
import threading
import weakref
from typing import Final, cast

import numpy as np

from framewire.errors import ClosedError, EngineError, LocalProtocolError, NoProcessError
from framewire.frame import Frame, Pixels
from framewire.link.kind import by_name
from framewire.link.memory import PAGE_BYTES, Memory, descriptor_memory, named_memory, private_memory

SLOT_COUNT: Final = 8
"""Slots of a ring. Pages that were never written cost nothing, and the writer takes the first free slot. So three of
them are real memory while the reader holds no more than one frame at a time.

Source: chosen by hand: three encodings of a stream, each with a frame at work and one to come; pinned by
`tests/link/test_ring.py::test_every_lease_holds_still_while_the_writer_goes_on`."""
MAX_LEASES: Final = SLOT_COUNT - 2
"""Slots that may be leased at once: all but the newest frame's and the one being written.

Source: follows from SLOT_COUNT."""

_MAGIC: Final = 0x676E69725F7766  # "fw_ring"
_SLOTS_WRITTEN: Final = 3  # as long as the reader holds no more than one frame
_LINE_WORDS: Final = 8
_SLOTS_WORD, _BYTES_WORD, _LATEST_WORD = 1, 2, 3
_SEQUENCE, _NUMBER, _TIME, _HEIGHT, _WIDTH, _CHANNELS, _BYTES, _LEASED = range(_LINE_WORDS)
_MASK: Final = (1 << 64) - 1
_MAX_ATTEMPTS: Final = 100
"""Looks for a slot that the other side is not using. One or two are enough, unless that side is interrupted between
two instructions; only a bug needs them all.

Source: chosen by hand."""


class Lease:
    """A `frame.Lease`: it holds still until :meth:`release`. ``frame.pixels`` is a read-only view of the slot."""

    __slots__ = ("_reader", "_slot", "frame")

    def __init__(self, frame: Frame, reader: RingReader, slot: int) -> None:
        self.frame: Frame = frame
        self._reader: RingReader | None = reader
        self._slot = slot

    def release(self) -> None:
        """Let the writer use the slot again; ``frame.pixels`` must not be read after. Idempotent."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.release(self._slot)

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class RingWriter:
    """The publisher's end: owns the memory. Any thread may write; writers wait for each other.

    ``capacity`` is the bytes of the largest frame it will ever take; a larger one needs a new ring. In a
    forked child the ring is closed: two processes writing one ring would tear it.
    """

    def __init__(self, capacity: int, *, shared: bool = True) -> None:
        assert capacity > 0, "a frame has at least one byte: publish refuses empty arrays"
        slot_bytes = -(-capacity // PAGE_BYTES) * PAGE_BYTES
        size = PAGE_BYTES + SLOT_COUNT * slot_bytes
        self._memory = _shared_memory(size, slot_bytes) if shared else private_memory(size)
        self._map = self._memory.map
        self._reserved = [0] * SLOT_COUNT
        self._bytes = memoryview(self._map)
        self._words = self._bytes.cast("Q")
        self._slot_bytes = slot_bytes
        self._lock = threading.Lock()
        self._fence = _Fence()
        self._previous = 0
        # The writer's own record. What stands in the memory, the other process may have written over.
        self._newest: tuple[int, int, int, tuple[int, int, int]] | None = None
        """Slot, number, time and shape of the newest frame."""
        self._publishes = 0
        self._sequences = [0] * SLOT_COUNT
        self._closed = False
        self._words[_SLOTS_WORD], self._words[_BYTES_WORD] = SLOT_COUNT, slot_bytes
        self._words[0] = _MAGIC
        _writers.add(self)

    def fileno(self) -> int:
        """The memory's descriptor, which stays the ring's: sending it to another process makes a copy."""
        if self._closed or self._memory.fd is None:
            raise ClosedError("this ring is closed, or has no descriptor")
        return self._memory.fd

    @property
    def name(self) -> str | None:
        """The memory's name, where it has one. Raises ClosedError."""
        if self._closed:
            raise ClosedError("this ring is closed")
        return self._memory.name

    @property
    def memory(self) -> mmap.mmap:
        """The mapping, for a reader in this process."""
        return self._map

    def fits(self, nbytes: int) -> bool:
        """Whether a frame of so many bytes can be written."""
        return nbytes <= self._slot_bytes

    def newest(self, known: int | None = None) -> Frame | None:
        """A copy of the newest frame; None before the first one, or if its number is ``known``.

        The writer waits while it is copied. Raises ClosedError.
        """
        with self._lock:
            if self._closed:
                raise ClosedError("the ring is closed (or this is a forked child of its owner)")
            if self._newest is None or self._newest[1] == known:
                return None
            slot, number, time_us, shape = self._newest
            start = PAGE_BYTES + slot * self._slot_bytes
            return Frame(np.ndarray(shape, np.uint8, self._map, start).copy(), number, time_us)

    def write(self, pixels: Pixels, number: int, time_us: int) -> None:
        """Copy ``pixels`` (height, width, channels; uint8; any strides) and make it the newest frame.

        Never waits for the reader. Raises ClosedError, and EngineError where there is no memory for it.
        """
        assert pixels.dtype == np.uint8 and pixels.ndim == 3 and self.fits(pixels.nbytes), (
            "as_pixels makes them so, and the caller asks `fits`"
        )
        with self._lock:
            if self._closed:
                raise ClosedError("the ring is closed (or this is a forked child of its owner)")
            slot = self._take()
            if pixels.nbytes > self._reserved[slot]:
                self._reserve(slot, pixels.nbytes)
            self._copy(slot, pixels)
            height, width, channels = pixels.shape
            self._newest = slot, number & _MASK, time_us & _MASK, (height, width, channels)
            self._publish(slot, (number & _MASK, time_us & _MASK, height, width, channels, pixels.nbytes))

    def close(self) -> None:
        """Unmap the memory and close its descriptor; readers keep what they have mapped. Idempotent."""
        with self._lock:
            self._unmap()

    def _take(self) -> int:
        """A slot that is neither the newest nor leased, with its ``sequence`` odd.

        A reader leases at most `MAX_LEASES` slots. One that marks all of them is broken or means harm, and gets torn
        frames: a program that publishes must not fail for it."""
        newest = self._newest[0] if self._newest else -1
        # If possible not the one before the newest either: a reader that is slow between reading `latest` and
        # marking then finds its slot whole, and need not look again.
        order = [slot for slot in range(SLOT_COUNT) if slot not in (newest, self._previous)]
        for _ in range(_MAX_ATTEMPTS):
            for slot in (*order, self._previous):
                if slot != newest and self._claim(slot):
                    self._previous = newest
                    return slot
        self._words[_line(order[0]) + _SEQUENCE] = self._sequences[order[0]] | 1
        return order[0]

    def _claim(self, slot: int) -> bool:
        words, line = self._words, _line(slot)
        if words[line + _LEASED]:
            return False
        before = self._sequences[slot]
        words[line + _SEQUENCE] = before | 1
        self._fence()
        if words[line + _LEASED]:
            words[line + _SEQUENCE] = before
            return False
        return True

    def _reserve(self, slot: int, nbytes: int) -> None:
        self._memory.reserve(PAGE_BYTES + slot * self._slot_bytes, nbytes)
        self._reserved[slot] = nbytes

    def _copy(self, slot: int, pixels: Pixels) -> None:
        start = PAGE_BYTES + slot * self._slot_bytes
        if pixels.flags.c_contiguous:
            # Not by NumPy: it releases the GIL for the copy, and beside a busy Python thread getting it back
            # takes the switch interval. Measured, 1080p RGB: 0.7 ms this way, 5.9 ms with np.copyto (without
            # such a thread: 0.4 ms both).
            self._bytes[start : start + pixels.nbytes] = pixels.data.cast("B")
        else:
            np.copyto(np.ndarray(pixels.shape, np.uint8, self._map, start), pixels)

    def _publish(self, slot: int, header: tuple[int, ...]) -> None:
        words, line = self._words, _line(slot)
        for offset, value in enumerate(header, line + _NUMBER):
            words[offset] = value
        self._fence()
        self._sequences[slot] = words[line + _SEQUENCE] = (self._sequences[slot] + 2) & _MASK
        self._publishes += 1
        words[_LATEST_WORD] = (self._publishes << 8 | (slot + 1)) & _MASK

    def _unmap(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._words.release()
        self._bytes.release()
        self._memory.close()

    def after_fork_in_child(self) -> None:
        """Unmap: the memory is the parent's. A thread that does not exist here may hold the lock."""
        self._lock = threading.Lock()
        self._memory.after_fork_in_child()
        self._unmap()


def check_memory() -> None:
    """Raises NoProcessError where no memory can be shared with an engine. Where there is too little, the writer of
    frames says so, with their size."""
    try:
        RingWriter(1).close()
    except NoProcessError:
        raise
    except EngineError:
        pass


class RingReader:
    """The engine's end; a `frame.FrameSource`. One reader per ring at a time; any thread may use it.

    ``memory`` is the descriptor that came beside the Ring message (taken over, closed here), or a mapping. Raises
    LocalProtocolError where that is no ring, OSError where it cannot be mapped.
    """

    def __init__(self, memory: int | mmap.mmap) -> None:
        self._map: mmap.mmap | None = memory if isinstance(memory, mmap.mmap) else _mapped(memory)
        self._words = memoryview(self._map).cast("Q")
        self._lock = threading.Lock()
        self._fence = _Fence()
        self._held: dict[int, int] = {}
        self._closed = False
        self._slot_bytes = self._words[_BYTES_WORD]
        if self._words[:3].tolist() != [_MAGIC, SLOT_COUNT, self._slot_bytes] or (
            len(self._map) != PAGE_BYTES + SLOT_COUNT * self._slot_bytes
        ):
            raise LocalProtocolError("that is not a ring's memory")
        for slot in range(SLOT_COUNT):  # the leases of a reader that was killed
            self._words[_line(slot) + _LEASED] = 0

    def latest(self) -> Lease | None:
        """The newest whole frame, leased; None before the first one, after :meth:`close`, and where the header
        describes no frame.

        Called again before a newer frame came, it leases the same one. With more than ``MAX_LEASES`` different
        frames leased it leases the last of those again: so many mean that the caller does not release.
        """
        with self._lock:
            lease = None if self._closed else self._lease()
        if self._closed:
            self.close()
        return lease

    def _lease(self) -> Lease | None:
        for _ in range(_MAX_ATTEMPTS):
            slot = (self._words[_LATEST_WORD] & 0xFF) - 1
            if not 0 <= slot < SLOT_COUNT:
                return None
            if slot not in self._held and len(self._held) >= MAX_LEASES:
                slot = next(reversed(self._held))
            if self._mark(slot):
                frame = self._frame(slot)
                if frame is None:
                    self._unmark(slot)
                    return None
                return Lease(frame, self, slot)
        return None  # only if the writer overtook every attempt: its next bell will come

    def close(self) -> None:
        """No more frames; leased ones hold still until released. Idempotent.

        Never waits: a call that is at work, which a signal handler may have interrupted, does it when it ends.
        """
        self._closed = True
        if not self._lock.locked():
            with self._lock:
                self._unmap_if_unused()

    def _mark(self, slot: int) -> bool:
        if slot not in self._held:
            line = _line(slot)
            self._words[line + _LEASED] = 1
            self._fence()
            if self._words[line + _SEQUENCE] & 1:
                self._words[line + _LEASED] = 0
                return False
        self._held[slot] = self._held.get(slot, 0) + 1
        return True

    def _frame(self, slot: int) -> Frame | None:
        line = _line(slot)
        number, time_us, height, width, channels = self._words[line + _NUMBER : line + _BYTES].tolist()
        if not 0 < height * width * channels <= self._slot_bytes:
            return None  # the other process has written what is no frame
        pixels: Pixels = np.ndarray(
            (height, width, channels), np.uint8, cast(mmap.mmap, self._map), PAGE_BYTES + slot * self._slot_bytes
        )
        pixels.flags.writeable = False
        return Frame(pixels, number, time_us)

    def release(self, slot: int) -> None:
        """Count a lease less; called by `Lease`."""
        with self._lock:
            self._unmark(slot)
            self._unmap_if_unused()

    def _unmark(self, slot: int) -> None:
        self._held[slot] -= 1
        if not self._held[slot]:
            del self._held[slot]
            self._fence()
            self._words[_line(slot) + _LEASED] = 0

    def _unmap_if_unused(self) -> None:
        # Dropped, not closed: a view that is kept for too long must read old pixels, not segfault.
        if self._closed and not self._held and self._map is not None:
            self._words.release()
            self._map = None


class _Fence:
    """Orders everything before the call, as other processors see it, before everything after it.

    Taking a lock twice does it: a release and then an acquire of one word, which neither x86 (a locked
    instruction) nor ARMv8 (release and acquire are sequentially consistent among each other) lets anything pass.
    A KeyboardInterrupt in its middle leaves it usable. Callers hold a lock of their own, so this one is never
    waited for and the GIL stays.
    """

    __slots__ = ("_word",)

    def __init__(self) -> None:
        self._word = threading.Lock()

    def __call__(self) -> None:
        with self._word:
            pass
        with self._word:
            pass


def _line(slot: int) -> int:
    return _LINE_WORDS * (1 + slot)


def _shared_memory(size: int, slot_bytes: int) -> Memory:
    make = named_memory if by_name() else descriptor_memory
    return make(size, PAGE_BYTES + _SLOTS_WRITTEN * slot_bytes)


def _mapped(fd: int) -> mmap.mmap:
    try:
        size = os.fstat(fd).st_size
        if size <= PAGE_BYTES:
            raise LocalProtocolError("that is not a ring's memory")
        return mmap.mmap(fd, size)  # not 0, which is the size of a file alone, and macOS' shared memory is none
    finally:
        os.close(fd)


_writers: weakref.WeakSet[RingWriter] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for writer in list(_writers):
        writer.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
