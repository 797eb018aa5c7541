"""One unit, many subscribers: who gets it. Pure; must not know encoders, peers or sockets.

The only place where a unit is dropped for want of room, so no viewer is ever sent a delta whose
reference it did not get. A credit is receipt, never paint: hidden tabs do not paint.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

CREDITS: Final = 2
"""Units under way to one subscriber, at most: one on the wire, one being sent."""

K = TypeVar("K", bound=Hashable)


@dataclass(slots=True)
class _Subscriber:
    credited: bool
    """False where somebody else counts the room (the peer's own queue)."""
    visible: bool = True
    waiting: bool = True
    """For a keyframe: a delta would refer to what it never got."""
    choked: bool = False
    """Whether it refused a unit, and has not said yet that it can take one again."""
    newest: int | None = None
    under_way: list[int] = field(default_factory=list)

    @property
    def room(self) -> bool:
        return not self.choked and (not self.credited or len(self.under_way) < CREDITS)


class Fanout(Generic[K]):
    """The subscribers of one encoding."""

    def __init__(self) -> None:
        self._subscribers: dict[K, _Subscriber] = {}

    def __len__(self) -> int:
        return len(self._subscribers)

    def __iter__(self) -> Iterator[K]:
        return iter(self._subscribers)

    def __contains__(self, key: K) -> bool:
        return key in self._subscribers

    def add(self, key: K, *, credited: bool) -> None:
        self._subscribers[key] = _Subscriber(credited)

    def remove(self, key: K) -> None:
        self._subscribers.pop(key, None)

    def show(self, key: K, visible: bool) -> None:
        """A hidden view costs nothing; one that comes back starts from a keyframe."""
        subscriber = self._subscribers[key]
        if visible and not subscriber.visible:
            subscriber.waiting = True
        subscriber.visible = visible

    def wait(self, key: K) -> None:
        """This subscriber lost its reference: nothing but a keyframe helps, and that it can take."""
        if key in self._subscribers:
            self._subscribers[key].waiting = True
            self._subscribers[key].choked = False

    def choke(self, key: K) -> None:
        """This subscriber takes nothing until it asks: a keyframe made for it meanwhile would cost all others
        some sharpness, and be refused like the unit before."""
        if key in self._subscribers:
            self._subscribers[key].choked = True

    def missed(self, key: K, number: int) -> None:
        """A routed unit did not leave after all: its credit is back, and only a keyframe helps."""
        self.acknowledge(key, number)
        if key in self._subscribers:
            self._subscribers[key].newest = None
            self._subscribers[key].waiting = True

    def acknowledge(self, key: K, number: int) -> None:
        """The unit of this frame arrived whole: its credit is back. Unknown frames are ignored."""
        subscriber = self._subscribers.get(key)
        if subscriber and number in subscriber.under_way:
            subscriber.under_way.remove(number)

    def wants(self, number: int) -> bool:
        """Whether anybody could take the unit of this frame now."""
        return any(s.visible and s.room and s.newest != number for s in self._subscribers.values())

    @property
    def wants_keyframe(self) -> bool:
        """Whether somebody who could take a unit waits for a keyframe."""
        return any(s.visible and s.room and s.waiting for s in self._subscribers.values())

    @property
    def follows(self) -> bool:
        """Whether a delta is of use to anybody."""
        return any(s.visible and s.room and not s.waiting for s in self._subscribers.values())

    def newest(self, key: K) -> int | None:
        """Number of the newest frame this subscriber was sent."""
        return self._subscribers[key].newest if key in self._subscribers else None

    def route(self, number: int, *, keyframe: bool) -> list[K]:
        """Those to send this unit to now; everybody else who sees the stream waits for the next keyframe."""
        takers = []
        for key, subscriber in self._subscribers.items():
            if not subscriber.visible or (subscriber.waiting and not keyframe):
                continue
            if not subscriber.room:
                subscriber.waiting = True
                continue
            self.took(key, number)
            takers.append(key)
        return takers

    def behind(self, number: int) -> dict[K, int | None]:
        """Those who could take this frame now and have another, and the number of that; None: only a keyframe helps.

        For encodings whose deltas build on any frame, and not on the unit before alone: nobody waits for having
        missed one.
        """
        return {
            key: None if subscriber.waiting else subscriber.newest
            for key, subscriber in self._subscribers.items()
            if subscriber.visible and subscriber.room and subscriber.newest != number
        }

    def took(self, key: K, number: int) -> None:
        """A unit of this frame goes to this subscriber, who has room for it."""
        subscriber = self._subscribers[key]
        subscriber.waiting = False
        subscriber.newest = number
        if subscriber.credited:
            subscriber.under_way.append(number)
