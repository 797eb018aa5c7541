"""All targets. Must not know how they are run."""

from __future__ import annotations

from typing import Final

from tests.fuzz import engines, links, live, packets, pairs, sessions, texts
from tests.fuzz.fuzzer import Target

TARGETS: Final[dict[str, Target]] = {
    target.name: target for module in (texts, packets, links, sessions, engines, pairs) for target in module.TARGETS
}

BY_HAND: Final[dict[str, Target]] = {target.name: target for target in live.TARGETS}
"""Those that only `make fuzz` runs."""
