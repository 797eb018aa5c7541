"""Feedback messages for the tests of the estimator. Must not know what the estimator makes of them."""

from __future__ import annotations

from framewire.rtc.estimate.estimator import START_BPS, BandwidthEstimator
from framewire.rtc.rtp.twcc import PacketResult

M = 1e6


class Feed:
    """Feedback messages for one estimator, ten a second, each about ten packets that left just before it."""

    def __init__(self, start_bps: float = START_BPS) -> None:
        self.estimator = BandwidthEstimator(start_bps)
        self.now = 1000.0
        self._sequence = 0

    def message(
        self, delay: float = 0.05, lost: int = 0, size: int = 1200, growth: float = 0.0, dip: float = 0.0
    ) -> None:
        """Packets that took ``delay`` seconds, each ``growth`` longer than the one before, but the first one ``dip``
        less; the first few are lost."""
        results = []
        for index in range(10):
            self._sequence += 1
            sent_at = self.now + index * 0.009
            self.estimator.sent(size, sent_at)
            arrived_at = None if index < lost else sent_at + 50 + delay + index * growth - dip * (not index)
            results.append(PacketResult(self._sequence, sent_at, size, arrived_at, None, late=False))
        self.now += 0.1
        self.estimator.feed(results, self.now)

    def run(self, seconds: float, **message: float) -> None:
        for _ in range(round(seconds * 10)):
            self.message(**message)  # type: ignore[arg-type]

    def decrease(self, queue: float) -> None:
        """A queue that grows to so much, so that the estimate falls with the last message."""
        before = self.estimator.bits_per_second
        steps = 0
        while self.estimator.bits_per_second == before:
            steps += 1
            assert steps < 30, "the estimate falls"
            self.message(0.05 + queue)
