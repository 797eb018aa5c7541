"""A token bucket: how much of something may happen, in a burst and in the long run. Pure; time is an argument.

Must not know what it counts, nor what happens to those who exceed it.
"""

from __future__ import annotations


class TokenBucket:
    """Starts full with ``burst`` tokens; ``rate_per_s`` come back each second, up to ``burst``.

    An amount above ``burst`` needs a full bucket and leaves a debt, so that no amount waits for ever.
    """

    __slots__ = ("_at", "_tokens", "burst", "rate_per_s")

    def __init__(self, rate_per_s: float, burst: float) -> None:
        assert rate_per_s > 0 and burst > 0, "a bucket holds something, and is filled again"
        self.rate_per_s: float = rate_per_s
        self.burst: float = burst
        self._tokens = burst
        self._at = float("-inf")

    def take(self, now: float, amount: float = 1.0) -> bool:
        """Take ``amount`` tokens if they are there; returns whether they were."""
        self._fill(now)
        if self._tokens < min(amount, self.burst):
            return False
        self._tokens -= amount
        return True

    def spend(self, now: float, amount: float = 1.0) -> None:
        """Take ``amount`` tokens for what has happened already; what is missing is a debt."""
        self._fill(now)
        self._tokens -= amount

    def delay(self, now: float, amount: float = 1.0) -> float:
        """Seconds until ``take`` of this amount succeeds, if nothing is taken meanwhile; 0 for at once."""
        self._fill(now)
        return max(min(amount, self.burst) - self._tokens, 0.0) / self.rate_per_s

    def _fill(self, now: float) -> None:
        """``now`` does not go back: a time before the last one fills nothing."""
        if now > self._at:
            self._tokens = min(self._tokens + (now - self._at) * self.rate_per_s, self.burst)
            self._at = now
