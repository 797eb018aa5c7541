"""The rate that loss allows. Must not know packets, delay, sockets or clocks.

After draft-ietf-rmcat-gcc-02 §6: loss alone speaks of a full link only when there is much of it. Radio loses a
few packets in a hundred at any rate; to go slower for it would help nobody.
"""

from __future__ import annotations

INTERVAL = 0.2
"""Seconds, at least, that one look at the loss covers."""
ENOUGH = 20
"""Packets, at least, in one look."""
LONGEST = 0.6
"""Seconds after which fewer will do, to learn that it is over."""
LITTLE, MUCH = 0.02, 0.1
MUCH_OF_CALM = 0.2
"""Likewise where nothing queues: a radio may lose as much in bad moments."""
MEMORY = 100
"""Packets that the smoothed fraction speaks of: losses in bursts make single looks jump."""
RISE = 1.05
CAREFUL_RISE = 1.02
BETWEEN_DECREASES = 0.3
"""Seconds, and a round trip: so long a decrease takes to show."""


class LossControl:
    """An upper bound on the rate; none until much is lost."""

    def __init__(self, floor: float) -> None:
        self.bits_per_second = float("inf")
        self.fraction = 0.0
        """Of packets lost of late, 0 to 1."""
        self._floor = floor
        self._arrived = self._lost = 0
        self._looked_at: float | None = None
        self._decreased_at = float("-inf")

    def add(self, arrived: int, lost: int, late: int) -> None:
        """Packets of one feedback message; ``late`` ones were counted as lost before, and are not."""
        self._arrived += arrived + late
        self._lost += lost - late

    def look(self, rate: float, rtt: float, now: float, *, calm: bool) -> None:
        """Adjust the bound, while ``rate`` is sent; ``calm`` says that no queue grows on the way."""
        if self._looked_at is None:
            self._looked_at = now
        packets, elapsed = self._arrived + self._lost, now - self._looked_at
        if elapsed < INTERVAL or packets < (ENOUGH if elapsed < LONGEST else 1):
            return
        newest = max(self._lost, 0) / packets
        self.fraction += (newest - self.fraction) * (min(1.0, packets / MEMORY) if elapsed < LONGEST else 1.0)
        self._looked_at, self._arrived, self._lost = now, 0, 0
        if min(self.fraction, newest) > (MUCH_OF_CALM if calm else MUCH):
            if packets >= ENOUGH:
                self._decrease(rate, rtt, now)
        elif self.fraction < LITTLE:
            self.bits_per_second *= RISE
        elif calm and self.fraction < MUCH / 2:
            # Held for good by a radio's loss, a bound that one bad second has set would outlive it.
            self.bits_per_second *= CAREFUL_RISE
        if self.bits_per_second > 2 * rate:
            self.bits_per_second = float("inf")

    def lift(self, rate: float) -> None:
        """A probe has come through at so much."""
        self.bits_per_second = max(self.bits_per_second, rate)

    def _decrease(self, rate: float, rtt: float, now: float) -> None:
        if now - self._decreased_at < BETWEEN_DECREASES + rtt:
            return
        self._decreased_at = now
        bound = min(rate, self.bits_per_second) * (1 - 0.5 * self.fraction)
        self.bits_per_second = max(bound, self._floor)
