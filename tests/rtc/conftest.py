"""Peers on this machine alone: the tests need no network and see none."""

from __future__ import annotations

import aioice.ice
import pytest

from framewire.rtc.stack import ice
from tests.rtc.viewers import Stage


@pytest.fixture
def loopback(monkeypatch):
    """Stock aiortc gathers on loopback only; ours has no other addresses than the loopback of its own."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
    monkeypatch.setattr(ice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: [])


@pytest.fixture
async def stage(loopback):
    stage = Stage()
    yield stage
    await stage.close()
