"""How long frames wait so that they keep clear of the moment at which a viewer's screen is drawn. Pure; time is an
argument. Must not know viewers, encoders or how a wait is kept.

A stream as fast as the screen has one frame for each refresh. Frames that get ready about when the screen is drawn are
now just in time and now just too late; then two meet in the next refresh, of which one is never seen, and no buffer but
a whole frame's helps. Where they are ready is known (`wire.Report`), so they are moved instead: those that come close
to a refresh wait until a little behind it. It costs about two milliseconds on average, and nothing elsewhere.
"""

from __future__ import annotations

from typing import Final

CLOSE: Final = 0.0045
"""Seconds before and behind a refresh that frames keep clear of: about what they vary by."""
LEAVE: Final = 0.0015
"""Seconds beyond it at which they stop to wait: else noise would move them to and fro."""
FORGET: Final = 2.0
"""Seconds without a word from the viewer."""
RATES: Final = (0.75, 1.3)
"""Refreshes from one frame to the next: faster streams lose frames anyway, slower ones have a refresh for each."""
REFRESHES: Final = (0.004, 0.05)
"""Seconds between two refreshes that are believed."""


class Beat:
    """One encoding's frames and the screen of the viewer that they are for."""

    def __init__(self) -> None:
        self._shift = 0.0
        self._refresh = 0.0
        self._looked_at = float("-inf")

    def look(self, slack: float, refresh: float, now: float) -> None:
        """The viewer's frames are ready ``slack`` seconds before the refresh that shows them, with what they waited
        here; the screen is drawn every ``refresh`` seconds."""
        if not REFRESHES[0] <= refresh <= REFRESHES[1] or now - self._looked_at > FORGET:
            self._shift = 0.0
        self._refresh, self._looked_at = refresh, now
        if not REFRESHES[0] <= refresh <= REFRESHES[1]:
            return
        unmoved = (slack + self._shift) % refresh
        before = CLOSE + (LEAVE if self._shift > 0 else 0.0)
        if unmoved < before:
            self._shift = unmoved + CLOSE
        else:
            self._shift = max(CLOSE - (refresh - unmoved), 0.0)

    def rest(self) -> None:
        """There is nobody to move frames for, or they are for several, whose screens differ."""
        self._shift = 0.0

    def wait(self, interval: float, now: float) -> float:
        """Seconds that a frame waits, where one is published every ``interval`` seconds."""
        fast = RATES[0] * self._refresh < interval < RATES[1] * self._refresh
        return self._shift if fast and now - self._looked_at <= FORGET else 0.0
