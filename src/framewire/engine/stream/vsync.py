"""How long frames wait so that they keep clear of the moment at which a viewer's screen is drawn. Pure; time is an
argument. Must not know viewers, encoders or how a wait is kept.

A stream as fast as the screen has one frame for each refresh. Frames that get ready about when the screen is drawn are
now just in time and now just too late; then two meet in the next refresh, of which one is never seen, and no buffer but
a whole frame's helps. Where they are ready is known (`wire.Report`), so they are moved instead: those that come close
to a refresh wait until a little behind it. It costs about two milliseconds on average, and nothing elsewhere.
"""

from __future__ import annotations

from typing import Final

CLOSE: Final = (0.0045, 0.25)
"""Seconds before and behind a refresh that frames keep clear of: about what they vary by. And of a refresh, at most."""
LEAVE: Final = 0.3
"""Of that, beyond it, at which they stop to wait: else noise would move them to and fro."""
MOVED: Final = 0.002
SETTLED: Final = 0.7
"""Seconds of a change from which on what the viewer says next still speaks of before it, and for how long."""
FORGET: Final = 2.0
"""Seconds without a word from the viewer."""
RATES: Final = (0.75, 1.3)
"""Refreshes from one frame to the next: faster streams lose frames anyway, slower ones have a refresh for each."""
REFRESHES: Final = (0.004, 0.05)
"""Seconds between two refreshes that are believed."""


class VsyncPhase:
    """One encoding's frames and the screen of the viewer that they are for."""

    def __init__(self) -> None:
        self._shift = 0.0
        self._refresh = 0.0
        self._looked_at = self._moved_at = float("-inf")

    def look(self, slack: float, refresh: float, now: float) -> None:
        """The viewer's frames are ready ``slack`` seconds before the refresh that shows them, with what they waited
        here; the screen is drawn every ``refresh`` seconds."""
        if not REFRESHES[0] <= refresh <= REFRESHES[1] or now - self._looked_at > FORGET:
            self._shift, self._moved_at = 0.0, float("-inf")
        self._refresh, self._looked_at = refresh, now
        if REFRESHES[0] <= refresh <= REFRESHES[1] and now - self._moved_at >= SETTLED:
            self._move((slack + self._shift) % refresh, now)

    def _move(self, unmoved: float, now: float) -> None:
        """Frames that waited for nothing would be ready ``unmoved`` seconds before a refresh."""
        close = min(CLOSE[0], CLOSE[1] * self._refresh)
        before = close * (1 + LEAVE) if self._shift > 0 else close
        shift = unmoved + close if unmoved < before else max(close - (self._refresh - unmoved), 0.0)
        if abs(shift - self._shift) > MOVED:
            self._moved_at = now
        self._shift = shift

    def rest(self) -> None:
        """There is nobody to move frames for, or they are for several, whose screens differ."""
        self._shift, self._looked_at = 0.0, float("-inf")

    def wait(self, interval: float, now: float) -> float:
        """Seconds that a frame waits, where one is published every ``interval`` seconds."""
        fast = RATES[0] * self._refresh < interval < RATES[1] * self._refresh
        return self._shift if fast and now - self._looked_at <= FORGET else 0.0
