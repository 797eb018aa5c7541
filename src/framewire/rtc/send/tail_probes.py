"""When the last packet is sent again because nothing follows it. Must not know packets, sockets or clocks.

A viewer notices a gap only by what comes behind it, so a loss at the end of motion would stay unseen. A still
scene is also encoded again (`REFRESH_STILL_AFTER_S`), but only three times later, and that costs an encoding.
"""

from __future__ import annotations

from typing import Final

from framewire.rtc.send.deadline import NEVER

DELAYS_S: Final = (0.04, 0.08, 0.16, 0.32)
"""The last packet is sent again after this much silence, and after this much more each time.

Source: after TCP's tail loss probe (RFC 8985 §7), with fixed delays; pinned by
`tests/rtc/send/test_tail_probes.py::test_silence_brings_probes_less_and_less_often`."""


class TailProbes:
    """The schedule of probes after each unit."""

    def __init__(self) -> None:
        self.deadline: float = NEVER
        """When a probe is due."""
        self._left: tuple[float, ...] = ()

    def unit_sent(self, now: float) -> None:
        """A unit left: start the schedule again."""
        self._left = DELAYS_S
        self.deadline = now + DELAYS_S[0]

    def probe_sent(self, now: float) -> None:
        self._left = self._left[1:]
        self.deadline = now + self._left[0] if self._left else NEVER
