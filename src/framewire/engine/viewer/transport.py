"""What a viewer needs of the connection that carries its messages and units. Must not know which kind it is:
a WebSocket, a kernel's comm, memory in a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from framewire import wire
from framewire.engine.stream.encoding import PackedUnit


class Transport(Protocol):
    """One viewer's open connection. Only `wait_closed` waits; the other methods queue and return at once."""

    def start(self, on_lost: Callable[[], None]) -> None:
        """Start sending. ``on_lost`` is called when the viewer can no longer be reached."""

    def admitted(self) -> None:
        """The viewer has been admitted: from now on its connection makes way for no other."""

    def send(self, message: wire.ServerMessage) -> bool:
        """Queue a message, ahead of all units. False: the queue is full, since the viewer does not read."""

    def send_unit(self, sub: int, packed: PackedUnit) -> None:
        """Queue a unit of this subscription."""

    def drop_units(self, sub: int) -> None:
        """Drop the queued units of this subscription. A unit that is partly sent is sent to its end."""

    def hold_units(self) -> None:
        """Send messages alone, until `release_units` or a short deadline of the transport's own."""

    def release_units(self) -> None:
        """End `hold_units`. Does nothing when units are not held."""

    def close(self, code: int, reason: str) -> None:
        """Send the queued messages, then close with this code; drop the queued units. Idempotent."""

    def abort(self) -> None:
        """Cut the connection off without waiting for the viewer."""

    async def wait_closed(self) -> None:
        """Wait until nothing is sent any more. Call `close` or `abort` first."""

    def delivery_rate_bps(self) -> float | None:
        """Bits per second that the connection delivers at the moment; None where that is unknown."""
