"""What tests of the engine share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.engine.served import ServedEngine


@pytest.fixture
async def engine() -> AsyncIterator[ServedEngine]:
    engine = ServedEngine()
    await engine.server.start(engine.sockets)
    engine.add(0, "default")
    yield engine
    await engine.engine.close()
    await engine.server.close()
