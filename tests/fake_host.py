"""A host without an engine: for tests of what displays, servers and `serve` ask of one."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from framewire import registry
from framewire import server as server_module
from framewire.options import EngineOptions, StreamOptions


class FakeOutlet:
    """Keeps a copy of each frame, of every outlet in one list."""

    written: ClassVar[list[np.ndarray]] = []

    def __init__(self) -> None:
        self.closed = False

    def write(self, pixels: np.ndarray, number: int, time_us: int) -> None:
        assert not self.closed
        FakeOutlet.written.append(pixels.copy())

    def newest(self, known: int | None = None) -> None: ...

    def describe(self, options: StreamOptions) -> None:
        self.described = options

    def close(self) -> None:
        self.closed = True


class FakeHost:
    """A host without an engine."""

    running: ClassVar[list[FakeHost]]
    pid = None

    def __init__(self, options: EngineOptions, listener: Any, authenticate: Any = None) -> None:
        self.port = options.port or 10_000 + len(FakeHost.running)
        self.listener = listener
        self.streams: list[StreamOptions] = []
        self.outlets: list[FakeOutlet] = []
        self.waits: list[float | None] = []
        self.over = False
        self.usable_here = True
        FakeHost.running.append(self)

    def open(self, options: StreamOptions) -> FakeOutlet:
        self.streams.append(options)
        self.outlets.append(FakeOutlet())
        return self.outlets[-1]

    def close(self) -> None:
        if self in FakeHost.running:
            FakeHost.running.remove(self)

    def stop(self) -> None:
        self.close()

    async def aclose(self) -> None:
        self.close()

    def wait_ready(self, timeout: float) -> None:
        self.waits.append(timeout)

    async def ready(self) -> None:
        self.waits.append(None)


def faked(monkeypatch: pytest.MonkeyPatch) -> list[FakeHost]:
    """Only fakes are started from now on, and none of another test's is shared. They are listed while they run."""
    FakeHost.running, FakeOutlet.written = [], []
    monkeypatch.setattr(server_module, "ProcessHost", FakeHost)
    monkeypatch.setattr(registry, "shared", [])
    return FakeHost.running
