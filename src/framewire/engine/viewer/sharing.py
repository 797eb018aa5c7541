"""How one viewer's available bandwidth is divided among the streams that it watches. Pure.

Must not know streams, encoders or peers: it gets numbers and returns numbers.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, TypeVar

K = TypeVar("K", bound=Hashable)

GROWTH_FACTOR: Final = 2
"""A stream may get this many times what it was sent, so that it can grow before others take the rest.

Source: chosen by hand;
pinned by `tests/engine/viewer/test_sharing.py::test_a_quiet_stream_leaves_the_rest_to_the_others`.
"""


def share_bandwidth(total_bps: float, sent_bps: dict[K, float], max_bps: dict[K, int]) -> dict[K, float]:
    """Bits a second for each stream, out of ``total_bps`` for all of them (max-min fairness).

    A stream's demand is `GROWTH_FACTOR` times what it was sent, at most its maximum. Streams that demand little get
    it and leave the rest to the others. No stream gets less than an equal part that it demands. What no stream
    demands is divided equally.
    """
    demands = {key: min(GROWTH_FACTOR * sent, max_bps[key]) for key, sent in sent_bps.items()}
    parts: dict[K, float] = {}
    left_bps = total_bps
    for index, key in enumerate(sorted(demands, key=lambda key: demands[key])):
        parts[key] = min(demands[key], left_bps / (len(demands) - index))
        left_bps -= parts[key]
    return {key: part + left_bps / len(parts) for key, part in parts.items()}
