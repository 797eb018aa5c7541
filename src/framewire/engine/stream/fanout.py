"""One unit, many subscribers: which of them it goes to. Pure; must not know encoders, peers or sockets.

Each unit that a subscriber does not get is noted here, also one that its sink refuses. So no subscriber is ever sent a
delta whose reference it did not get. A credit means receipt, never paint: hidden tabs do not paint.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from framewire.engine.stream.encoding import Key, Sink
from framewire.engine.stream.meter import Meter

MAX_IN_FLIGHT_UNITS: Final = 2
"""Unacknowledged units of one WebSocket subscriber: one on the wire and one being sent.

Source: chosen by hand; pinned by `tests/engine/stream/test_fanout.py::test_two_units_are_in_flight_at_most`.
"""


@dataclass(slots=True, eq=False)
class Subscriber:
    """One subscriber of an encoding: where its units go, whether it is visible, and what it was sent."""

    key: Key
    sink: Sink
    packets: bool
    """Whether it takes RTP packets, and counts its own room; otherwise it has credits."""
    visible: bool = True
    sent: Meter = field(default_factory=Meter)
    """Bytes of the units sent to it."""

    def show(self, visible: bool) -> bool:
        """Set whether it is visible; returns whether it was hidden until now."""
        reappears = visible and not self.visible
        self.visible = visible
        return reappears


@dataclass(slots=True)
class InFlight:
    """A unit on its way to a subscriber that has credits."""

    number: int
    size_bytes: int
    sent_at: float


@dataclass(slots=True)
class _Delivery:
    """How far one subscriber is with the units of one encoder."""

    subscriber: Subscriber
    needs_keyframe: bool = True
    """A delta would refer to a unit that it did not get."""
    paused: bool = False
    """It refused a unit and has not asked for a keyframe since."""
    newest: int | None = None
    """Number of the newest frame that it was sent."""
    in_flight: list[InFlight] = field(default_factory=list)

    @property
    def ready(self) -> bool:
        """Whether it can be sent a unit now."""
        has_room = self.subscriber.packets or len(self.in_flight) < MAX_IN_FLIGHT_UNITS
        return has_room and not self.paused and self.subscriber.visible


class Fanout:
    """The subscribers of one encoder."""

    def __init__(self) -> None:
        self._deliveries: dict[Key, _Delivery] = {}

    def __len__(self) -> int:
        return len(self._deliveries)

    def __iter__(self) -> Iterator[Subscriber]:
        return (delivery.subscriber for delivery in self._deliveries.values())

    def __contains__(self, key: Key) -> bool:
        return key in self._deliveries

    def get(self, key: Key) -> Subscriber | None:
        """The subscriber of this key."""
        delivery = self._deliveries.get(key)
        return delivery.subscriber if delivery else None

    def add(self, subscriber: Subscriber) -> None:
        """Start sending to a subscriber, from a keyframe on."""
        self._deliveries[subscriber.key] = _Delivery(subscriber)

    def remove(self, key: Key) -> None:
        """Stop sending to a subscriber."""
        self._deliveries.pop(key, None)

    # What subscribers report

    def restart(self, key: Key) -> None:
        """This subscriber missed units, since it was hidden: it goes on from a keyframe."""
        if delivery := self._deliveries.get(key):
            delivery.needs_keyframe = True

    def request_keyframe(self, key: Key) -> None:
        """This subscriber asks for a keyframe, so it can take one: it is not paused any more."""
        if delivery := self._deliveries.get(key):
            delivery.needs_keyframe = True
            delivery.paused = False

    def pause(self, key: Key) -> None:
        """This subscriber refused a unit, so it gets none until it asks for a keyframe.

        A keyframe made for it earlier would be refused too, and would cost the others sharpness.
        """
        if delivery := self._deliveries.get(key):
            delivery.paused = True

    def missed(self, key: Key, number: int) -> None:
        """A routed unit was not sent after all: its credit is free again, and only a keyframe helps."""
        self.acknowledge(key, number)
        if delivery := self._deliveries.get(key):
            delivery.newest = None
            delivery.needs_keyframe = True

    def acknowledge(self, key: Key, number: int) -> InFlight | None:
        """The unit of this frame arrived whole, and its credit is free again. None for frames not in flight."""
        delivery = self._deliveries.get(key)
        if delivery is None:
            return None
        for index, unit in enumerate(delivery.in_flight):
            if unit.number == number:
                return delivery.in_flight.pop(index)
        return None

    # What is to be made

    def wants(self, number: int) -> bool:
        """Whether a subscriber can take the unit of this frame now."""
        return any(each.ready and each.newest != number for each in self._deliveries.values())

    @property
    def wants_keyframe(self) -> bool:
        """Whether a subscriber that can take a unit needs a keyframe."""
        return any(each.ready and each.needs_keyframe for each in self._deliveries.values())

    @property
    def wants_delta(self) -> bool:
        """Whether a subscriber can decode a delta."""
        return any(each.ready and not each.needs_keyframe for each in self._deliveries.values())

    def behind(self, number: int) -> dict[Key, int | None]:
        """The subscribers that can take this frame now, each with the number of the frame that it has.

        None instead of a number means that it needs the whole frame. This is for encodings whose deltas build on any
        older frame, so that their subscribers may skip frames.
        """
        return {
            key: None if each.needs_keyframe else each.newest
            for key, each in self._deliveries.items()
            if each.ready and each.newest != number
        }

    def held(self) -> set[int]:
        """Numbers of the frames that subscribers have."""
        return {each.newest for each in self._deliveries.values() if each.newest is not None}

    # Units that are sent

    def route(self, number: int, *, keyframe: bool, size_bytes: int, now: float) -> list[Subscriber]:
        """Those to send this unit to now. Visible subscribers without room need a keyframe from now on."""
        takers = []
        for delivery in self._deliveries.values():
            if delivery.needs_keyframe and not keyframe:
                continue
            if delivery.ready:
                _note_sent(delivery, number, size_bytes, now)
                takers.append(delivery.subscriber)
            elif delivery.subscriber.visible:
                delivery.needs_keyframe = True
        return takers

    def sent(self, key: Key, number: int, *, size_bytes: int, now: float) -> None:
        """A unit of this frame is sent to a subscriber of `behind`."""
        _note_sent(self._deliveries[key], number, size_bytes, now)


def _note_sent(delivery: _Delivery, number: int, size_bytes: int, now: float) -> None:
    delivery.needs_keyframe = False
    delivery.newest = number
    if not delivery.subscriber.packets:
        delivery.in_flight.append(InFlight(number, size_bytes, now))
