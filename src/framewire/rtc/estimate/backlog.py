"""How long a packet that leaves now would wait in the link's queue. Must not know packets' contents, sockets or clocks.

The wait of the newest acknowledged packet is known. Since then more has left, and time has passed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from framewire.rtc.rtp.twcc import PacketResult

OVERFLOW_MESSAGE_LOSS_FRACTION: Final = 0.3
"""If more than this fraction of the packets in one feedback message is lost, the link's queue has overflowed: so many
are not lost by chance.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_backlog.py::test_a_queue_overflowed_where_more_than_three_of_ten_are_lost`."""


class Backlog:
    """What is known of the link's queue, and what is assumed to wait in it."""

    def __init__(self) -> None:
        self.newest_acked_sent_at: float = 0.0
        """When the newest packet left that is known to have arrived."""
        self._newest_waited_s = 0.0
        self._last_sent_at = 0.0
        self._overflow_s: float | None = None
        """The length of the full queue, in seconds: how long packets waited when it overflowed. None if it did not."""

    def sent(self, now: float) -> None:
        """Packets leave now."""
        self._last_sent_at = now

    def acked(self, sent_at: float, waited_s: float) -> None:
        """The newest packet of a feedback message left at ``sent_at`` and waited so long."""
        self.newest_acked_sent_at, self._newest_waited_s = sent_at, waited_s

    def note_overflow(self, results: Sequence[PacketResult]) -> None:
        """Take the results of a feedback message, after `acked`."""
        if sum(result.arrived_at is None for result in results) > OVERFLOW_MESSAGE_LOSS_FRACTION * len(results):
            self._overflow_s = max(self._overflow_s or 0.0, self._newest_waited_s)

    def link_changed(self) -> None:
        """How long the queue is when it is full is unknown again: the link's rate has changed."""
        self._overflow_s = None

    def seconds(self, outstanding_bytes: int, bits_per_second: float, now: float) -> float:
        """How long a packet would wait that leaves now, behind ``outstanding_bytes`` on a link of ``bits_per_second``.

        Where the queue has overflowed, the last packet waits no longer than the queue is long.
        """
        waits = self._newest_waited_s + outstanding_bytes * 8 / bits_per_second - (now - self.newest_acked_sent_at)
        if self._overflow_s is not None:
            waits = min(waits, self._overflow_s - (now - self._last_sent_at))
        return max(waits, 0.0)
