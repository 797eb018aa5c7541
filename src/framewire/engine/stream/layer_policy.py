"""Who gets which of at most three encodings of one stream, and what each of them may spend. Pure; time is an argument.

Must not know encoders, peers or how a viewer is moved: it is told what each viewer's way takes and what each encoding
spends, and answers with a rung for each viewer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeVar

K = TypeVar("K", bound=Hashable)

Layer = Literal[0, 1, 2]
FULL: Final[Layer] = 0
"""All that the best way among the viewers takes."""
LOW: Final[Layer] = 1
"""Full size, for those whose way takes less."""
HALF: Final[Layer] = 2
"""Half as wide and as high, for those whose way takes too little for full size."""
LAYERS: Final[tuple[Layer, ...]] = (FULL, LOW, HALF)

COMPANY: Final = (0.7, 0.5, 0.5)
"""Of the best limit on a rung: who can take so much stays, and all get what the least of them takes. A rung for each
small difference would cost an encoding each, and a keyframe at each move."""
FILLED: Final = 0.9
"""Of a viewer's limit: an encoding that spends less is not too much for him."""
ROOM: Final = 1.1
"""Times what an encoding needs: what the way must take of him who moves up."""
SPENDS: Final = 1.25
"""Times what an encoding spends of late: what it needs."""
DOWN: Final = 1.0
"""Seconds for which an encoding must have been too much: a move costs a keyframe, maybe an encoder."""
SOON, HOPELESS = 0.4, 0.5
"""Likewise, where the way takes not even this part of what the encoding spends."""
UP: Final = 3.0
"""Seconds for which the next better must have fitted."""
NEWCOMER: Final = 3.0
"""Seconds in which a new viewer's estimate is still being found, unless it falls."""
STEADY, LONGEST_FALL = 0.3, 2.0
"""Seconds that an estimate must not have fallen, and for how long a falling one is waited for."""
FALLS: Final = 0.9
"""Of the lowest of late: less is a fall."""
FELL: Final = 0.6
"""Of the first estimate: less means that the way took not even that, and waiting finds no more."""
FRESH: Final = 1.2
"""Seconds in which a new viewer raises no target: those whom that would flood move first."""
REGRET: Final = 15.0
"""Seconds from a move up within which a move down shows that it was a mistake: the next waits twice as long."""
LONGEST: Final = 60.0
THIN: Final = 0.02
"""Bits for a pixel of full size below which half the size looks better."""
SMALLEST: Final = 128
"""Pixels of the shorter side: smaller pictures are not halved."""


def thin(width: int, height: int, fps: float) -> float | None:
    """Bits a second below which a stream of this size is better seen at half of it; None where it is never."""
    return THIN * width * height * fps if min(width, height) >= SMALLEST else None


@dataclass(slots=True)
class _Viewer:
    since: float
    unknown: float
    """The limit of one of whom nothing is known."""
    first: float | None = None
    """The first that was."""
    lowest: float = float("inf")
    fell_at: float = float("-inf")
    rung: Layer = FULL
    visible: bool = True
    fresh: bool = True
    wanted: Layer = FULL
    wanted_since: float = 0.0
    patience: float = UP
    climbed_at: float = float("-inf")


class LayerPolicy(Generic[K]):
    """The viewers of one stream and codec."""

    def __init__(self, limit: Callable[[K], float]) -> None:
        """``limit``: bits a second that the way to a viewer takes, as far as is known; never more than is of use."""
        self._limit = limit
        self._viewers: dict[K, _Viewer] = {}

    def add(self, key: K, now: float) -> None:
        """A viewer comes, and begins at the top: nothing is known of its way yet."""
        self._viewers[key] = _Viewer(now, self._limit(key))

    def remove(self, key: K) -> None:
        self._viewers.pop(key, None)

    def show(self, key: K, visible: bool) -> None:
        """Whoever cannot see counts for nothing."""
        if key in self._viewers:
            self._viewers[key].visible = visible

    def rung(self, key: K) -> Layer:
        """Where a viewer is."""
        return self._viewers[key].rung

    def target(self, rung: Layer) -> float | None:
        """Bits a second for the encoding of a rung; None if nobody who sees is on it."""
        on = [(self._limit(key), v.fresh) for key, v in self._viewers.items() if v.visible and v.rung == rung]
        limits = [limit for limit, fresh in on if not fresh] or [limit for limit, _ in on]
        # Those whose ways are alike. Others are on their way down, or beyond help.
        return min((limit for limit in limits if limit >= COMPANY[rung] * max(limits)), default=None)

    def _best(self, rung: Layer) -> float:
        on = (self._limit(key) for key, v in self._viewers.items() if v.visible and v.rung == rung)
        return max(on, default=math.inf)

    def review(self, spent: Mapping[Layer, float], thin: float | None, now: float) -> dict[K, Layer]:
        """The viewers that move now, and where to. ``spent``: bits a second of each encoding, of late; ``thin`` as
        `thin` says."""
        moves: dict[K, Layer] = {}
        alone = sum(viewer.visible for viewer in self._viewers.values()) == 1
        for key, viewer in self._viewers.items():
            self._look(key, viewer, now)
            if not viewer.visible:
                viewer.wanted, viewer.wanted_since = viewer.rung, now
                continue
            wanted = FULL if alone else self._wanted(self._limit(key), viewer.rung, spent, thin)
            # Where to may change on the way: what counts is for how long he has been wrong where he is.
            if _way(wanted, viewer.rung) != _way(viewer.wanted, viewer.rung) or wanted == viewer.rung:
                viewer.wanted_since = now
            viewer.wanted = wanted
            if wanted != viewer.rung and now >= self._move_at(key, viewer, spent, now):
                moves[key] = wanted
        for key, rung in moves.items():
            self._move(self._viewers[key], rung, now)
        return moves

    def _look(self, key: K, viewer: _Viewer, now: float) -> None:
        limit = self._limit(key)
        viewer.fresh = now - viewer.since < FRESH
        if viewer.first is None and limit != viewer.unknown:
            viewer.first = limit
        if limit < FALLS * viewer.lowest:
            viewer.fell_at = now
        if not FALLS * viewer.lowest <= limit <= viewer.lowest / FALLS:
            viewer.lowest = limit

    def _wanted(self, limit: float, rung: Layer, spent: Mapping[Layer, float], thin: float | None) -> Layer:
        better = (each for each in LAYERS[:rung] if self._takes_in(each, limit, spent, thin))
        found = next(better, None)
        if found is not None:
            return found
        if self._keeps(rung, limit, spent, thin):
            return rung
        crowd = self.target(LOW) if rung != LOW else None
        fits_low = rung != LOW and (thin is None or limit >= thin) and (crowd is None or limit >= COMPANY[LOW] * crowd)
        return LOW if fits_low or thin is None else HALF

    def _takes_in(self, rung: Layer, limit: float, spent: Mapping[Layer, float], thin: float | None) -> bool:
        """Whether somebody from below fits in."""
        if rung == LOW and thin is not None and limit < SPENDS * thin:
            return False
        target = self.target(rung)
        need = 0.0 if target is None else min(target, SPENDS * spent.get(rung, target))
        # Or as well as the best who is there: an encoding that spends all it may has room for nobody.
        return limit >= min(ROOM * need, self._best(rung))

    def _keeps(self, rung: Layer, limit: float, spent: Mapping[Layer, float], thin: float | None) -> bool:
        """Whether somebody fits where he is."""
        if rung == HALF:
            return thin is not None
        if spent.get(rung, 0.0) <= FILLED * limit:
            return True
        if rung == LOW and thin is not None and limit < thin:
            return False
        return limit >= COMPANY[rung] * self._best(rung)

    def _move_at(self, key: K, viewer: _Viewer, spent: Mapping[Layer, float], now: float) -> float:
        if viewer.wanted < viewer.rung:
            return viewer.wanted_since + viewer.patience
        limit = self._limit(key)
        fell = viewer.first is not None and limit < FELL * viewer.first
        if now - viewer.since < NEWCOMER and not fell:
            return viewer.since + NEWCOMER
        hopeless = limit < HOPELESS * spent.get(viewer.rung, 0.0)
        # Not while it still falls: the next rung would be wrong as well.
        steady = min(viewer.fell_at + STEADY, viewer.wanted_since + LONGEST_FALL)
        return max(viewer.wanted_since + (SOON if hopeless else DOWN), steady)

    def _move(self, viewer: _Viewer, rung: Layer, now: float) -> None:
        if rung < viewer.rung:
            viewer.climbed_at = now
        else:
            mistaken = now - viewer.climbed_at < REGRET
            viewer.patience = min(2 * viewer.patience, LONGEST) if mistaken else UP
        viewer.rung = rung


def _way(wanted: Layer, rung: Layer) -> int:
    """Up, down or neither."""
    return (wanted > rung) - (wanted < rung)
