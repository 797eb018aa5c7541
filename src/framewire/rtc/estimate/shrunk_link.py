"""Whether the link has suddenly become too narrow for what is sent, and how much it still lets through. Must not know
estimates, sockets or clocks.

Behind a full link packets arrive evenly, one after the other, so their arrivals show its capacity at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

COLLAPSE_FRACTION: Final = 0.6
"""The link has collapsed if it lets through less than this fraction of what is sent. Then the pacer's packets are
discarded, and a keyframe replaces them.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_shrunk_link.py::test_a_filling_queue_counts_only_where_the_link_has_collapsed`."""

MAX_GAP_FRACTION: Final = 0.25
"""Behind a full link, no gap between two arrivals is longer than this fraction of the whole time. Where the viewer's
machine was busy, packets arrive in bursts.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_shrunk_link.py::test_packets_in_bursts_show_no_capacity`."""


class ShrunkLink:
    """What the newest feedback message says about a link that has shrunk."""

    def __init__(self) -> None:
        self.suddenly_congested: bool = False
        """Whether the link has become too narrow."""
        self.capacity_bps: float | None = None
        """What it lets through; None if it has not shrunk, or if that cannot be measured."""

    def update(
        self, arrivals: Sequence[tuple[float, int]], sent_bps: float, *, suddenly_congested: bool, queue_filling: bool
    ) -> None:
        """Take the arrivals of a feedback message, each with its moment and size, and what the delay says.

        A queue that only begins to fill counts where the link lets far less through than is sent: any large frame
        fills a queue.
        """
        self.suddenly_congested = suddenly_congested
        capacity_bps = _capacity_bps(arrivals) if suddenly_congested or queue_filling else None
        if capacity_bps is not None and queue_filling and capacity_bps < COLLAPSE_FRACTION * sent_bps:
            self.suddenly_congested = True
        self.capacity_bps = capacity_bps if self.suddenly_congested else None

    def collapsed(self, sent_bps: float) -> bool:
        """Whether the link lets through far less than is sent."""
        return self.capacity_bps is not None and self.capacity_bps < COLLAPSE_FRACTION * sent_bps


def _capacity_bps(arrivals: Sequence[tuple[float, int]]) -> float | None:
    """The bitrate of packets that arrived evenly, as behind a full link; None if they did not."""
    times = [at for at, _ in arrivals]
    span = times[-1] - times[0] if times else 0.0
    if span <= 0 or max(after - before for before, after in pairwise(times)) > MAX_GAP_FRACTION * span:
        return None
    return sum(size for _, size in arrivals[1:]) * 8 / span
