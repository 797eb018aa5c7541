"""A port for each test that asks for one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.engine.http.ports import Port, served


@pytest.fixture
async def port() -> AsyncIterator[Port]:
    async with served() as port:
        yield port
