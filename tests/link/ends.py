"""Both ends of a link in one process, of either kind. Must not know what is sent."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from framewire.link.handles import Handles
from framewire.link.kind import by_name
from framewire.link.parent_end import DescriptorEnd, NameEnd


def parent_end() -> DescriptorEnd | NameEnd:
    """Of the kind that the environment says."""
    return NameEnd([]) if by_name() else DescriptorEnd([])


@contextlib.contextmanager
def engines_handles(end: DescriptorEnd | NameEnd) -> Iterator[Handles]:
    """What an engine is started with, for this process; by the end of the block the ends are connected."""
    if isinstance(end, DescriptorEnd):  # a process of its own would inherit them
        yield replace(end.handles, control=os.dup(end.handles.control), bell=os.dup(end.handles.bell))
        end.spawned()
        return
    connecting = threading.Thread(target=end.connected, args=[lambda: True])
    connecting.start()
    with as_stdin(end.stdin):
        yield end.handles
    connecting.join()


def left_names() -> set[str]:
    """Names of memory that this process has, or whose owner is gone. (Other programs of the machine have theirs.)"""
    with open("/proc/self/maps") as maps:
        mine = {Path(line.split()[-1]).name for line in maps if "/framewire-" in line}
    return mine | {path.name for path in Path("/dev/shm").glob("framewire-*") if _is_abandoned(path)}


def _is_abandoned(path: Path) -> bool:
    with contextlib.suppress(OSError), open(path, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return path.exists()
    return False


@contextlib.contextmanager
def as_stdin(data: bytes) -> Iterator[None]:
    """This process finds ``data`` on its standard input, as an engine does."""
    before, (read, write) = os.dup(0), os.pipe()
    os.write(write, data)
    os.close(write)
    os.dup2(read, 0)
    try:
        yield
    finally:
        os.dup2(before, 0)
        for fd in (before, read):
            os.close(fd)
