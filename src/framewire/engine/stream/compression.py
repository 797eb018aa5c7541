"""Whether compressing lossless units gets them to the viewer's screen sooner. Pure; time is an argument.

Must not know which compressor or which viewers: it gets sizes and times.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

UNPACK_BYTES_PER_S: Final = 500e6
"""A browser unpacks at least this many bytes a second, once its WebAssembly runs.

Source: chosen by hand, as zstd in WebAssembly unpacks 0.3 to 1 GB a second;
pinned by `tests/engine/stream/test_compression.py::test_unpacking_in_the_browser_counts`.
"""

RETRY_COMPRESSION_AFTER_S: Final = 2.0
"""While raw units win, one is compressed this often to measure again: contents change.

Source: chosen by hand; pinned by `tests/engine/stream/test_compression.py::test_compression_is_measured_again`.
"""

SMALL_UNIT_BYTES: Final = 100_000
"""A smaller unit measures the round trip rather than the link, so it may only raise the estimate.

Source: chosen by hand;
pinned by `tests/engine/stream/test_compression.py::test_small_units_do_not_lower_the_link_estimate`.
"""

LINK_NEW_WEIGHT: Final = 0.3
"""The weight of the newest measurement in the link's smoothed speed.

Source: chosen by hand; pinned by `tests/engine/stream/test_compression.py::test_the_link_estimate_is_smoothed`.
"""

MIN_ARRIVAL_S: Final = 1e-4
"""A credit that comes back sooner counts as this long: no link is infinitely fast.

Source: chosen by hand; pinned by `tests/engine/stream/test_compression.py::test_a_credit_at_once_is_a_fast_link`.
"""


@dataclass(frozen=True, slots=True)
class CompressionTrial:
    """One unit was compressed: what it cost and what it saved."""

    raw_bytes: int
    packed_bytes: int
    seconds: float
    at: float


@dataclass(frozen=True, slots=True)
class CompressionChoice:
    """What is known of the link and of the compressor. Immutable, so that a worker thread may use it.

    Raw bytes cost time on the link. Compressed bytes cost packing, less time on the link, and unpacking. Credits that
    come back measure the link; a unit that is compressed measures the compressor.
    """

    link_bytes_per_s: float | None = None
    """None until a unit has arrived."""
    trial: CompressionTrial | None = None
    """The newest one."""

    def arrived(self, size_bytes: int, seconds: float) -> CompressionChoice:
        """A unit's credit came back this long after it was sent."""
        speed = size_bytes / max(seconds, MIN_ARRIVAL_S)
        known = self.link_bytes_per_s
        if known is None:
            return replace(self, link_bytes_per_s=speed)
        if size_bytes < SMALL_UNIT_BYTES and speed < known:
            return self
        return replace(self, link_bytes_per_s=known + LINK_NEW_WEIGHT * (speed - known))

    def tried(self, trial: CompressionTrial) -> CompressionChoice:
        """A unit was compressed."""
        return replace(self, trial=trial)

    def compress(self, raw_bytes: int, now: float) -> bool:
        """Whether to compress the next unit of this size."""
        trial = self.trial
        if self.link_bytes_per_s is None or trial is None or now - trial.at >= RETRY_COMPRESSION_AFTER_S:
            return True
        raw_s = raw_bytes / self.link_bytes_per_s
        pack_s = raw_bytes * trial.seconds / trial.raw_bytes
        packed_s = raw_s * trial.packed_bytes / trial.raw_bytes
        unpack_s = raw_bytes / UNPACK_BYTES_PER_S
        return pack_s + packed_s + unpack_s < raw_s
