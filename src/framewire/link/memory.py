"""Blocks of memory that an engine can map as well: by their descriptor or, where none can be sent, by their name.

Must not know what is in them, nor how a descriptor or a name reaches the engine.

A descriptor is better. Its memory has no name, so no killed process leaves anything behind. It is anonymous
(``memfd_create``; ``shm_open`` on macOS). Where that is refused, it is a file without a name, in /dev/shm or in the
directory for temporary files.

A name outlives its processes. On Windows the system removes it with the last process that has the memory mapped.
Elsewhere it is a file, and three remove it: its owner, at the latest when it exits; the engine of an owner that was
killed; and the next owner on this machine, if both were killed. The lock on such a file says whether its owner lives.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import re
import secrets
import stat
import sys
import tempfile
import weakref
from typing import Final

from framewire.errors import EngineError, NoProcessError
from framewire.link.descriptors import above_stdio
from framewire.shortages import CURES

PAGE_BYTES: Final = max(mmap.PAGESIZE, 4096)
_PREFIX: Final = "framewire-"
_NAME: Final = re.compile(rf"{_PREFIX}[0-9a-f]{{32}}")
"""Of a block, whole: what people call their own files begins like that as well."""
_RESERVED_AT_ONCE_BYTES: Final = 1 << 20
"""Bytes written at a time where a file's room can only be reserved by writing to it.

Source: chosen by hand."""
_MEMORY_DIRECTORY: Final = "/dev/shm"
_LIMITS: Final = {
    **{number: CURES[number] for number in (errno.EMFILE, errno.ENFILE, errno.ENOMEM)},
    errno.EFBIG: 'raise the limit of file sizes (ulimit -f), or use engine="thread", which needs no file',
}
"""Limits that are met by no other kind of memory: what to change."""
_NO_ROOM: Final = {errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EFBIG, errno.EIO}


class Memory:
    """A block of zero bytes, mapped in this process. Pages become memory when they are reserved or written.

    Of ``fd`` and ``name``, one or none is what the engine gets. The name of a file is removed when the block is
    closed, or with the program.
    """

    def __init__(self, mapping: mmap.mmap, fd: int | None = None, name: str | None = None) -> None:
        self.map: mmap.mmap = mapping
        self.name: str | None = name
        self._fd = fd
        self._remove = weakref.finalize(self, _remove_file, name) if name and fd is not None else None
        self._close_fd = weakref.finalize(self, os.close, fd) if fd is not None else None  # if no one closes the block
        if self._close_fd:
            self._close_fd.atexit = False

    @property
    def fd(self) -> int | None:
        """Stays the block's: sending it to another process makes a copy."""
        return self._fd

    def reserve(self, start: int, nbytes: int) -> None:
        """Make room for these bytes. Without it, writing to them ends the program (SIGBUS) where there is no room.

        Raises EngineError, in one line with the cure.
        """
        if self._fd is None:
            return
        try:
            _reserve(self._fd, start, nbytes)
        except OSError as error:
            raise refusal(nbytes, error) from error

    def close(self) -> None:
        """Unmap the block, and close its descriptor; whoever has mapped it keeps it. Idempotent."""
        if self._remove:
            self._remove()
        self._let_go()

    def after_fork_in_child(self) -> None:
        """Unmap the block: it is the parent's."""
        if self._remove:
            self._remove.detach()
        self._let_go()

    def _let_go(self) -> None:
        self._fd = None
        if self._close_fd:
            self._close_fd()
        # It stays mapped where it is leased in this process, or where a thread that does not exist after a fork was
        # half-way through a copy.
        with contextlib.suppress(BufferError):
            self.map.close()


def private_memory(size: int) -> Memory:
    """For this process alone. Raises EngineError."""
    try:
        return Memory(mmap.mmap(-1, size))
    except OSError as error:
        raise refusal(size, error) from error


def descriptor_memory(size: int, least: int) -> Memory:
    """Reaches an engine by its descriptor. ``least`` bytes of it will be written for certain. Raises EngineError."""
    try:
        fd = _without_name(size, least)
        return _mapped(fd, size)
    except OSError as error:
        raise refusal(size, error) from error


def named_memory(size: int, least: int) -> Memory:
    """Reaches an engine by its name, which no other user of the machine can open. Raises EngineError."""
    name = _PREFIX + secrets.token_hex(16)
    try:
        if sys.platform == "win32":
            return Memory(mmap.mmap(-1, size, tagname=name), name=name)
        remove_abandoned()
        fd, path = _named_file(name, size, least)
        try:
            return _mapped(fd, size, path)
        except BaseException:
            os.unlink(path)
            raise
    except OSError as error:
        raise refusal(size, error) from error


def open_named(name: str, size: int) -> mmap.mmap:
    """The engine's view of a named block. Raises OSError where it is not there any more."""
    if sys.platform == "win32":
        return mmap.mmap(-1, size, tagname=name)
    fd = os.open(name, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        return mmap.mmap(fd, size)
    finally:
        os.close(fd)


def remove_if_abandoned(path: str) -> bool:
    """Remove the file of a named block if its owner does not live any more; whether it is gone."""
    if sys.platform == "win32":  # names are no files
        return True
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        return error.errno not in CURES  # else it cannot be looked at now
    try:
        if not _lock(fd):
            return False
        _remove_file(path)
        return True
    finally:
        os.close(fd)


def remove_abandoned() -> None:
    """Remove the files of owners that were killed together with their engines."""
    for directory in _directories():
        with contextlib.suppress(OSError), os.scandir(directory) as entries:
            for entry in entries:
                if _NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    remove_if_abandoned(entry.path)


def refusal(nbytes: int, error: OSError) -> EngineError:
    """One line for people: how much memory cannot be had, why, and what to change."""
    number, kind = error.errno or 0, EngineError
    cure = _LIMITS.get(number)
    if number in _NO_ROOM:
        cure = cure or "make room there, or let TMPDIR in the environment name a directory with more"
    elif not cure:
        cure, kind = 'engine="thread" needs none', NoProcessError
    reason = error.strerror or str(error)
    where = f" in {error.filename}" if error.filename and number not in _LIMITS else ""
    return kind(f"{_megabytes(nbytes)} of shared memory for frames cannot be had: {reason}{where}; {cure}")


def _megabytes(nbytes: int) -> str:
    return f"{nbytes / 1e6:.0f} MB" if nbytes >= 1e6 else f"{nbytes / 1e6:.2g} MB"


def _mapped(fd: int, size: int, name: str | None = None) -> Memory:
    try:
        return Memory(mmap.mmap(fd, size), fd, name)
    except BaseException:
        os.close(fd)
        raise


def _without_name(size: int, least: int) -> int:
    """A descriptor of ``size`` zero bytes that have no name."""
    if sys.platform == "linux" and hasattr(os, "memfd_create"):
        try:
            return _sized(above_stdio(os.memfd_create("framewire", os.MFD_CLOEXEC)), size)
        except OSError as error:
            if error.errno in _LIMITS:
                raise
    if sys.platform == "darwin":
        with contextlib.suppress(OSError, ImportError):
            return _sized(above_stdio(_shared_object()), size)
    with tempfile.TemporaryFile(dir=_roomy_directory(least)) as file:  # has no name by the time it is returned
        return _sized(above_stdio(os.dup(file.fileno())), size)


def _shared_object() -> int:
    """POSIX shared memory whose name is removed at once. macOS writes the pages of a file to the disk now and then."""
    if sys.platform == "win32":
        raise AssertionError("there memory has no descriptor")
    import _posixshmem  # what `multiprocessing.shared_memory` opens it with, whose tracker would be one more process

    name = f"/fw-{secrets.token_hex(8)}"  # macOS allows 31 characters
    fd: int = _posixshmem.shm_open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    _posixshmem.shm_unlink(name)
    return fd


def _named_file(name: str, size: int, least: int) -> tuple[int, str]:
    if sys.platform == "win32":
        raise AssertionError("there a name is no file")
    directory = _roomy_directory(least)
    path, first_path = os.path.join(directory, name), os.path.join(directory, f".{name}")
    fd = above_stdio(os.open(first_path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        _lock(fd)
        os.rename(first_path, path)  # from now on, whoever finds it unlocked removes it
    except BaseException:
        os.close(fd)
        os.unlink(first_path)
        raise
    try:
        return _sized(fd, size), path
    except BaseException:
        os.unlink(path)
        raise


def _sized(fd: int, size: int) -> int:
    try:
        os.truncate(fd, size)
        _reserve(fd, 0, PAGE_BYTES)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _roomy_directory(least: int) -> str:
    """The first directory where a file can be made that is so large. Raises OSError where there is none."""
    refused = OSError(errno.ENOENT, "there is no directory for temporary files")
    for directory in _directories():
        try:
            with tempfile.TemporaryFile(dir=directory) as file:
                if _has_room(file.fileno(), least):
                    return directory
            refused = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), directory)
        except OSError as error:
            refused = error
            if error.errno in _LIMITS:
                break
    raise refused


def _directories() -> list[str]:
    found = [_MEMORY_DIRECTORY] if os.path.isdir(_MEMORY_DIRECTORY) else []
    with contextlib.suppress(OSError):
        found.append(tempfile.gettempdir())
    return found


def _has_room(fd: int, nbytes: int) -> bool:
    if sys.platform == "win32":
        return True
    there = os.fstatvfs(fd)
    return not there.f_blocks or there.f_bavail * there.f_frsize >= nbytes  # a tmpfs without a limit has 0 blocks


def _reserve(fd: int, start: int, nbytes: int) -> None:
    if sys.platform == "win32":
        raise AssertionError("there memory has no descriptor")
    if sys.platform == "linux":
        try:
            os.posix_fallocate(fd, start, nbytes)
            return
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):  # shared memory of macOS: its pages are reserved when it is made
        return
    zeros, end = bytes(min(nbytes, _RESERVED_AT_ONCE_BYTES)), start + nbytes
    while start < end:
        start += os.pwrite(fd, zeros[: end - start], start)


def _lock(fd: int) -> bool:
    """Whether this process has the file's lock now, until it closes the file or ends."""
    if sys.platform == "win32":
        return True
    import fcntl  # POSIX alone has it

    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove_file(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
