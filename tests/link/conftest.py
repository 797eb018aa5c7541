"""Both kinds of link: whatever holds for one holds for the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from framewire.link.kind import LINK_VARIABLE
from tests.link.engines import Engines


@pytest.fixture(params=["descriptors", "names"])
def link_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The kind of link that this test uses; the other one is switched off."""
    monkeypatch.setenv(LINK_VARIABLE, request.param)
    return str(request.param)


@pytest.fixture
def engines(link_kind: str) -> Iterator[Engines]:
    """Supervised engines over both kinds of link; closed in the end."""
    engines = Engines()
    yield engines
    engines.stack.close()
