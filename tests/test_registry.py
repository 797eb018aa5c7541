"""The servers of a process are found by their port while they are open."""

from __future__ import annotations

import gc
from types import SimpleNamespace

import pytest

from framewire import registry


class Server(SimpleNamespace):
    __hash__ = object.__hash__  # type: ignore[assignment]


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> list[Server]:
    monkeypatch.setattr(registry, "servers", type(registry.servers)())
    made = [
        Server(port=1, closed=True, failure=None),
        Server(port=1, closed=False, failure=None),
        Server(port=2, closed=False, failure=None),
        Server(port=4, closed=False, failure="it exited again and again"),
        Server(closed=False, failure=None),
    ]
    registry.servers.update(made)  # type: ignore[arg-type]
    return made


def test_the_open_server_of_a_port_is_found(servers: list[Server]) -> None:
    assert registry.on_port(1) is servers[1]  # type: ignore[comparison-overlap]
    assert registry.on_port(2) is servers[2]  # type: ignore[comparison-overlap]
    assert registry.on_port(3) is registry.on_port(4) is None


def test_nothing_is_kept(servers: list[Server]) -> None:
    servers.clear()
    gc.collect()
    assert registry.on_port(2) is None and not registry.servers
