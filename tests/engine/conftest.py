"""What tests of the engine share. Each starts with a log that has written nothing yet."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import pytest

from framewire.limited_log import LimitedLog
from framewire.log_limit import LogLimit
from tests.engine.served import ServedEngine


@pytest.fixture(autouse=True)
def empty_logs() -> None:
    """Lines that other tests have caused do not count."""
    for name, module in list(sys.modules.items()):
        if name.startswith("framewire"):
            for value in vars(module).values():
                if isinstance(value, LimitedLog):
                    value._limit = LogLimit()


@pytest.fixture
async def engine() -> AsyncIterator[ServedEngine]:
    engine = ServedEngine()
    await engine.server.start(engine.sockets)
    engine.add(0, "default")
    yield engine
    await engine.engine.close()
    await engine.server.close()
