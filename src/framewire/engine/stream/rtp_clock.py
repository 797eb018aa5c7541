"""The RTP clock of a stream: publish times, except that it never goes back where the wall clock was set back. Pure.

Must not know units or packets.
"""

from __future__ import annotations

from typing import Final

RTP_TICK_US: Final = 12
"""Units of one encoder are at least this far apart: one tick of the RTP clock, rounded up.

Source: RFC 6184 §8.2.1 and RFC 7741 §6.1 (90 kHz, so 11.1 µs);
pinned by `tests/engine/stream/test_rtp_clock.py::test_units_of_one_time_are_a_tick_apart`.
"""

CLOCK_SET_US: Final = 1_000_000
"""A unit this much older than the newest one is not out of order: the wall clock was set back.

Source: chosen by hand, well above what publishing and encoding take;
pinned by `tests/engine/stream/test_rtp_clock.py::test_a_unit_out_of_order_changes_nothing`.
"""


class RtpClock:
    """How far a stream's RTP clock is ahead of the wall clock: nothing, until the wall clock is set back.

    All encoders of the stream share it: a viewer that changes from one to another must not see time run back.
    """

    def __init__(self) -> None:
        self._ahead_us = self._newest_us = 0

    def ahead_us(self, time_us: int) -> int:
        """Microseconds to add to the time of a unit."""
        behind_us = self._newest_us - time_us
        if behind_us <= 0:
            self._ahead_us = 0
        elif behind_us - self._ahead_us > CLOCK_SET_US:
            self._ahead_us = behind_us
        self._newest_us = max(self._newest_us, time_us + self._ahead_us)
        return self._ahead_us


class UnitTimes:
    """The times of one encoder's units on the RTP clock: each is later than the one before."""

    def __init__(self) -> None:
        self._newest_us = -RTP_TICK_US

    def next_us(self, time_us: int) -> int:
        """This time, or a tick after the last unit's."""
        self._newest_us = max(time_us, self._newest_us + RTP_TICK_US)
        return self._newest_us
