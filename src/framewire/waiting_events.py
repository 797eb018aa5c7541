"""Input events that wait until they are taken: never more than so many, and never more than so much memory. Pure.

Two that can be one become one. Where there are too many still, those that tell least go first, and only those of the
viewers that sent most. What goes down comes up, whatever is dropped. Must not know threads, nor who takes the events.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from math import isfinite
from typing import Any, Final, Generic, Protocol, TypeVar

Event = Mapping[str, Any]

BYTES_PER_EVENT: Final = 2048
"""Memory for each event that may wait, on the average. A pointer's takes rather less, the largest one eight times that.

Source: chosen by hand; pinned by `tests/test_waiting_events.py::test_the_largest_events_are_fewer`."""
MAX_DROPPED_DOWNS: Final = 1024
"""Keys and buttons that went down unseen, to be remembered until they come up.

Source: chosen by hand: no hand holds so many; pinned by
`tests/test_waiting_events.py::test_what_went_down_unseen_is_not_remembered_without_end`."""

_EVENT_BYTES: Final = 300
_FIELD_BYTES: Final = 100
_TOUCH_BYTES: Final = 400
_CHARACTER_BYTES: Final = 4
_ITEM_BYTES: Final = 64
_TEXTS: Final = ("key", "code", "data", "input_type")
_LISTS: Final = ("buttons", "modifiers")

_DOWN: Final = frozenset({"key_down", "pointer_down"})
_UP: Final = frozenset({"key_up", "pointer_up"})
_TRACES: Final = frozenset({"pointer_move", "pointer_enter", "pointer_leave", "wheel"})
"""What tells where a pointer was meanwhile."""


class Arrived(Protocol):
    """An event and what is known of it."""

    @property
    def event(self) -> Any: ...


T = TypeVar("T", bound=Arrived)


def size_of(event: Event) -> int:
    """Bytes of memory that the event takes, about: rather more than less."""
    characters = sum(len(event[name]) for name in _TEXTS if name in event)
    items = sum(len(event[name]) for name in _LISTS if name in event)
    touches = len(event.get("touches", ()))
    parts = characters * _CHARACTER_BYTES + items * _ITEM_BYTES + touches * _TOUCH_BYTES
    return _EVENT_BYTES + len(event) * _FIELD_BYTES + parts


def merged(first: Event, second: Event) -> Event | None:
    """One event in place of two that a viewer sent one after the other; None where both are needed."""
    if first["type"] != second["type"] or not _same_held(first, second):
        return None
    if first["type"] in ("pointer_move", "resize"):
        return second
    if first["type"] != "wheel":
        return None
    turned = {name: first.get(name, 0) + second.get(name, 0) for name in ("dx", "dy")}
    # No viewer can send what is not finite, so no program expects it.
    return {**second, **turned} if all(map(isfinite, turned.values())) else None


def _same_held(first: Event, second: Event) -> bool:
    return all(first.get(name) == second.get(name) for name in ("buttons", "modifiers", "ntouches"))


def fair_share(amounts: Iterable[float], total: float) -> float:
    """How much each may keep, so that all keep ``total`` at most, and none loses anything to one that has more."""
    left, rest = total, sorted(amounts)
    for index, amount in enumerate(rest):
        share = left / (len(rest) - index)
        if amount > share:
            return share
        left -= amount
    return float("inf")


class Dropped:
    """Keys and buttons that went down unseen, so that they come up unseen too. It counts all events dropped."""

    def __init__(self) -> None:
        self.count: int = 0
        """Events dropped so far. Of two that become one, none is."""
        self._down: dict[Hashable, int] = {}

    def add(self, source: Hashable, event: Event) -> None:
        """This event is dropped, though not what comes up later."""
        self.count += 1
        if event["type"] in _DOWN:
            held = source, _held(event)
            self._down[held] = self._down.get(held, 0) + 1
            if len(self._down) > MAX_DROPPED_DOWNS:
                del self._down[next(iter(self._down))]

    def add_pair(self) -> None:
        """Both of a pair are dropped, down and up."""
        self.count += 2

    def takes(self, source: Hashable, event: Event) -> bool:
        """Whether it is the coming up of what went down unseen: then it is dropped as well."""
        held = source, _held(event)
        if event["type"] not in _UP or held not in self._down:
            return False
        self.count += 1
        self._down[held] -= 1
        if not self._down[held]:
            del self._down[held]
        return True


def _held(event: Event) -> Hashable:
    """The key or button that an event is about. Virtual keyboards name no code."""
    is_key = event["type"] in ("key_down", "key_up")
    held: Hashable = event.get("code") or event["key"] if is_key else event.get("button")
    return held


@dataclass(slots=True)
class _Entry(Generic[T]):
    item: T
    source: Hashable
    size: int


class _Excess:
    """By how much events are too many."""

    def __init__(self, entries: Collection[_Entry[Any]], max_count: float, max_bytes: float) -> None:
        self._count = len(entries) - max_count
        self._bytes = sum(entry.size for entry in entries) - max_bytes

    def __bool__(self) -> bool:
        return self._count > 0 or self._bytes > 0

    def less(self, size: int) -> None:
        self._count -= 1
        self._bytes -= size


class WaitingEvents(Generic[T]):
    """At most ``size`` events, and ``size`` times `BYTES_PER_EVENT`, in the order of their arrival.

    ``source`` says which events come one after the other: those of one viewer and stream. ``replace(item, event=…)``
    makes the same item with another event. With ``merging``, two become one as soon as they can; else only where
    there are too many.
    """

    def __init__(
        self,
        size: int,
        dropped: Dropped,
        *,
        replace: Callable[..., T],
        source: Callable[[T], Hashable],
        merging: bool = False,
    ) -> None:
        self._size = size
        self._dropped = dropped
        self._replace, self._source, self._merging = replace, source, merging
        self._entries: dict[int, _Entry[T]] = {}
        self._newest: dict[Hashable, int] = {}
        """By source: the number of its newest event."""
        self._number = self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """What all events take, as `size_of` says."""
        return self._bytes

    def put(self, item: T) -> None:
        """Add the newest event."""
        source = self._source(item)
        if self._dropped.takes(source, item.event):
            return
        if self._merging:
            newest = self._newest.get(source)
            item = self._merge(newest, item) if newest in self._entries else item
            self._newest[source] = self._number + 1
        self._number += 1
        self._entries[self._number] = _Entry(item, source, size_of(item.event))
        self._bytes += self._entries[self._number].size
        if len(self._entries) > self._size or self._bytes > self._size * BYTES_PER_EVENT:
            self._make_room()

    def take(self, count: int | None = None) -> list[T]:
        """The oldest ``count`` of them, or all, in their order."""
        taken = [self._remove(number).item for number in list(islice(self._entries, count))]
        if not self._entries:
            self._newest.clear()
        return taken

    def _merge(self, number: int, item: T) -> T:
        """``item``, into which the event of this number is merged where it can be."""
        event = merged(self._entries[number].item.event, item.event)
        if event is None:
            return item
        self._remove(number)
        return item if event is item.event else self._replace(item, event=event)

    def _remove(self, number: int) -> _Entry[T]:
        entry = self._entries.pop(number)
        self._bytes -= entry.size
        return entry

    def _make_room(self) -> None:
        """An eighth more than needed: so that it is needed seldom."""
        of_source: defaultdict[Hashable, list[int]] = defaultdict(list)
        for number, entry in self._entries.items():
            of_source[entry.source].append(number)
        size = self._size - self._size // 8
        counts = [len(numbers) for numbers in of_source.values()]
        sizes = [sum(self._entries[number].size for number in numbers) for numbers in of_source.values()]
        max_count, max_bytes = fair_share(counts, size), fair_share(sizes, size * BYTES_PER_EVENT)
        whole = _Excess(self._entries.values(), size, size * BYTES_PER_EVENT)
        for numbers in of_source.values():
            excess = _Excess([self._entries[number] for number in numbers], max_count, max_bytes)
            if excess and whole:  # a share may be less than one event
                self._reduce(numbers, excess, whole)
        self._newest = {source: number for source, number in self._newest.items() if number in self._entries}

    def _reduce(self, numbers: Sequence[int], excess: _Excess, whole: _Excess) -> None:
        for victims in (self._mergeable, self._traces, self._passing, self._pairs, self._lone_downs, self._oldest):
            for entry in victims([number for number in numbers if number in self._entries]):
                excess.less(entry.size)
                whole.less(entry.size)
                if not (excess and whole):
                    return

    # What goes, in this order. Each gives up the next one whenever it is asked for it.

    def _mergeable(self, numbers: Sequence[int]) -> Iterator[_Entry[T]]:
        for number, following in pairwise(numbers):
            first, second = self._entries[number], self._entries[following]
            event = merged(first.item.event, second.item.event)
            if event is not None:
                if event is not second.item.event:
                    second.item = self._replace(second.item, event=event)
                yield self._remove(number)

    def _traces(self, numbers: Sequence[int]) -> Iterator[_Entry[T]]:
        return self._drop(numbers, lambda kind: kind in _TRACES)

    def _passing(self, numbers: Sequence[int]) -> Iterator[_Entry[T]]:
        return self._drop(numbers, lambda kind: kind not in _DOWN | _UP)

    def _pairs(self, numbers: Sequence[int]) -> Iterator[_Entry[T]]:
        """Keys and buttons that went down and came up again."""
        downs: defaultdict[Hashable, list[int]] = defaultdict(list)
        for number in numbers:
            event = self._entries[number].item.event
            waiting = downs[_held(event)]
            if event["type"] in _DOWN:
                waiting.append(number)
            elif waiting:
                self._dropped.add_pair()
                yield from [self._remove(waiting.pop(0)), self._remove(number)]  # both, even if one is enough

    def _lone_downs(self, numbers: Sequence[int]) -> Iterator[_Entry[T]]:
        return self._drop(numbers, lambda kind: kind in _DOWN)

    def _oldest(self, numbers: Sequence[int]) -> Iterator[_Entry[T]]:
        return self._drop(numbers, lambda _: True)

    def _drop(self, numbers: Sequence[int], which: Callable[[str], bool]) -> Iterator[_Entry[T]]:
        for number in numbers:
            entry = self._entries[number]
            if which(entry.item.event["type"]):
                self._dropped.add(entry.source, entry.item.event)
                yield self._remove(number)
