"""Both kinds of link: whatever holds for one holds for the other."""

from __future__ import annotations

import pytest

from framewire.link.kind import LINK_VARIABLE


@pytest.fixture(params=["descriptors", "names"])
def link_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The kind of link that this test uses; the other one is switched off."""
    monkeypatch.setenv(LINK_VARIABLE, request.param)
    return str(request.param)
