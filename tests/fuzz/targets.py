"""All targets. Must not know how they are run."""

from __future__ import annotations

from typing import Final

from tests.fuzz import engines, links, packets, pairs, sessions, texts
from tests.fuzz.fuzzer import Target

TARGETS: Final[dict[str, Target]] = {
    target.name: target for module in (texts, packets, links, sessions, engines, pairs) for target in module.TARGETS
}
