"""System calls that fail where a test wants them to: the n-th of a kind, once. And what is left open after that.

Must not know what is tested.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import mmap
import os
import selectors
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

TEST_TIMEOUT_S = 30.0
KINDS: dict[str, tuple[Any, str, BaseException]] = {
    "memfd_create": (os, "memfd_create", OSError(errno.EMFILE, os.strerror(errno.EMFILE))),
    "open": (os, "open", OSError(errno.EMFILE, os.strerror(errno.EMFILE))),
    "dup": (os, "dup", OSError(errno.EMFILE, os.strerror(errno.EMFILE))),
    "truncate": (os, "truncate", OSError(errno.EFBIG, os.strerror(errno.EFBIG))),
    "fallocate": (os, "posix_fallocate", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))),
    "mmap": (mmap, "mmap", OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))),
    "rename": (os, "rename", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))),
    "pipe": (os, "pipe", OSError(errno.EMFILE, os.strerror(errno.EMFILE))),
    "fork": (subprocess, "_fork_exec", OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))),
    "socket": (socket.socket, "__init__", OSError(errno.EMFILE, os.strerror(errno.EMFILE))),
    "socketpair": (socket, "socketpair", OSError(errno.EMFILE, os.strerror(errno.EMFILE))),
    "bind": (socket.socket, "bind", OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))),
    "listen": (socket.socket, "listen", OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))),
    "accept": (socket.socket, "accept", OSError(errno.EMFILE, os.strerror(errno.EMFILE))),
    "sendmsg": (socket.socket, "sendmsg", OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))),
    "epoll": (selectors.DefaultSelector, "_selector_cls", OSError(errno.EMFILE, os.strerror(errno.EMFILE))),
    "thread": (threading.Thread, "start", RuntimeError("can't start new thread")),
}  # fmt: skip
"""Where Python has each call, and the error that the system's shortage gives."""


class Fault:
    """The ``number``-th call of a kind fails; the others work."""

    def __init__(self, kind: str, number: int) -> None:
        self.kind, self._left = kind, number
        self.hit = False

    def count(self) -> None:
        self._left -= 1
        if self._left == 0:
            self.hit = True
            raise KINDS[self.kind][2]


@contextlib.contextmanager
def failing(kind: str, number: int) -> Iterator[Fault]:
    """Within it, the ``number``-th call of this kind fails, on whichever thread."""
    owner, name, _ = KINDS[kind]
    fault, real = Fault(kind, number), getattr(owner, name)
    had = name in vars(owner)
    setattr(owner, name, _counted(real, fault))
    try:
        yield fault
    finally:
        setattr(owner, name, real) if had else delattr(owner, name)


def _counted(real: Any, fault: Fault) -> Any:
    if fault.kind == "mmap":  # a type, which programs ask for by isinstance

        class Mapping(real):  # type: ignore[misc]
            def __new__(cls, *arguments: Any, **keywords: Any) -> Any:
                fault.count()
                return real.__new__(cls, *arguments, **keywords)

        return Mapping

    def call(*arguments: Any, **keywords: Any) -> Any:
        if fault.kind != "socket" or not (len(arguments) > 4 or keywords.get("fileno")):  # a new one
            fault.count()
        return real(*arguments, **keywords)

    return staticmethod(call) if fault.kind == "epoll" else call


class Left:
    """What this process has open: descriptors, threads, children; and the files in ``directory``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        gc.collect()
        self._before = self._now()

    def more(self) -> list[str]:
        """What there is more than at first, once what ends by itself has ended."""
        deadline, found = time.monotonic() + TEST_TIMEOUT_S, {"not looked"}
        while found and time.monotonic() < deadline:
            found = self._now() - self._before
            if found:
                gc.collect()
                time.sleep(0.005)
        return sorted(found)

    def _now(self) -> set[str]:
        return {
            *map("descriptor {}".format, _descriptors()),
            *(f"thread {thread.name} {thread.ident}" for thread in threading.enumerate()),
            *(f"child {child.pid}" for child in psutil.Process().children()),
            *(f"file {file.name}" for file in self._directory.iterdir()),
        }


def _descriptors() -> Iterator[str]:
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # that of the directory itself
            yield f"{fd}: {os.readlink(f'/proc/self/fd/{fd}')}"


def every_fault(kind: str, act: Callable[[], Any], most: int = 30) -> Iterator[tuple[int, BaseException | None]]:
    """``act`` again and again, with a later call of this kind failing each time, until none does. The error of each."""
    for number in range(1, most):
        error: BaseException | None = None
        with failing(kind, number) as fault:
            try:
                act()
            except BaseException as raised:
                error = raised
        if not fault.hit:
            assert error is None, "without a fault it works"
            return
        yield number, error.with_traceback(None) if error else None
        error = None
    raise AssertionError(f"more than {most} calls of {kind}")
