"""How long a viewer holds frames back before it shows them. Must not know packets, sockets or clocks."""

from __future__ import annotations

import math
from typing import Final

LATE_MAX_FRACTION: Final = 0.2
"""Frames are held back once more than this fraction of them comes late, on a short path: there each late frame is a
stutter.

Source: benchmark `lossy-100ms-3%`; pinned by
`tests/rtc/repair/test_playout_delay.py::test_frames_are_held_back_once_too_many_wait_for_a_retransmission`."""

LATE_MAX_FRACTION_FAR: Final = 0.05
"""The same where a retransmission takes `FREEZE_S` or longer: there each late frame is a frozen picture.

Source: benchmark `lossy-150ms-10%-bursts`; pinned by
`tests/rtc/repair/test_playout_delay.py::test_frames_are_held_back_once_too_many_wait_for_a_retransmission`."""

FREEZE_S: Final = 0.2
"""A gap this long between frames is seen as a frozen picture.

Source: W3C webrtc-stats `freezeCount`, 150 ms beyond the average interval; pinned by
`tests/rtc/repair/test_playout_delay.py::test_frames_are_held_back_once_too_many_wait_for_a_retransmission`."""

PATH_NEW_WEIGHT: Final = 1 / 30
"""The weight of the newest frame in the fraction of late frames, the round trip and the jitter: averages over about a
second. Only lasting conditions may change the delay.

Source: benchmark `lossy-100ms-3%`; pinned by
`tests/rtc/repair/test_playout_delay.py::test_whether_frames_come_late_is_known_within_a_second`."""

RETRANSMISSION_OVERHEAD_S: Final = 0.06
"""A retransmission takes this much longer than the round trip: to notice the gap, for its second copy, to decode.

Source: benchmark `lossy-150ms-10%-bursts`; pinned by
`tests/rtc/repair/test_playout_delay.py::test_the_delay_covers_a_retransmission`."""

STEP_S: Final = 0.01
"""The delay is a multiple of this.

Source: libwebrtc `PlayoutDelayLimits::kGranularityMs`, the unit of the playout-delay header extension."""

MAX_DELAY_S: Final = 0.4
"""The delay is never longer than this: beyond, the picture is no longer live.

Source: chosen by hand; pinned by `tests/rtc/repair/test_playout_delay.py::test_the_delay_is_bounded`."""

JITTER_MIN_RTT_S: Final = 0.08
"""Frames are held back for jitter only from this round trip on, where a little more delay is not felt. Without it, two
frames may arrive together, and only one of them is seen.

Source: benchmark `lossy-100ms-3%`; pinned by
`tests/rtc/repair/test_playout_delay.py::test_a_little_is_held_back_for_jitter_on_a_long_path_only`."""

MIN_JITTER_S: Final = 0.006
"""Frames are held back for jitter only from this much of it on.

Source: benchmark `lossy-100ms-3%`; pinned by
`tests/rtc/repair/test_playout_delay.py::test_a_little_is_held_back_for_jitter_on_a_long_path_only`."""

JITTER_FACTOR: Final = 3.0
"""Frames are held back for this many times the jitter.

Source: chosen by hand; pinned by
`tests/rtc/repair/test_playout_delay.py::test_three_times_the_jitter_is_held_back`."""

MAX_JITTER_DELAY_S: Final = 0.02
"""Frames are held back for jitter no longer than this.

Source: chosen by hand; pinned by
`tests/rtc/repair/test_playout_delay.py::test_a_little_is_held_back_for_jitter_on_a_long_path_only`."""

MIN_CHANGE_S: Final = 0.015
"""A smaller change of the delay is not made: viewers see each change.

Source: chosen by hand; pinned by
`tests/rtc/repair/test_playout_delay.py::test_a_small_change_of_the_path_changes_nothing`."""

RAISE_AFTER_S: Final = 2.0
"""The delay is raised at the earliest this long after it was last changed.

Source: chosen by hand; pinned by
`tests/rtc/repair/test_playout_delay.py::test_the_delay_is_raised_soon_and_lowered_late`."""

LOWER_AFTER_S: Final = 10.0
"""The delay is lowered at the earliest this long after it was last changed.

Source: chosen by hand; pinned by
`tests/rtc/repair/test_playout_delay.py::test_the_delay_is_raised_soon_and_lowered_late`."""

MAX_STEP_PER_FRAME_S: Final = 0.01
"""From one frame to the next the delay changes by this much at most. A larger step would freeze the picture for as
long as the step.

Source: benchmark `lossy-150ms-10%-bursts`; pinned by
`tests/rtc/repair/test_playout_delay.py::test_the_delay_changes_step_by_step`."""


class PlayoutDelay:
    """How long a viewer should hold frames back, so that most of those that wait for a retransmission are in time.

    If few frames wait for one, there is no delay: it would cost all frames what it saves the few. If many do, and each
    of them keeps those after it waiting, the picture would freeze half of the time without it. A little delay also
    helps on a long path with jitter.
    """

    def __init__(self, minimum_s: float = 0.0) -> None:
        self.seconds: float = minimum_s
        self._minimum_s = self._target_s = minimum_s
        self._late = self._jitter_s = 0.0
        self._rtt_s: float | None = None
        """An average: one long round trip does not make a long path."""
        self._changed_at = -math.inf

    def update(self, late: float, rtt_s: float, jitter_s: float, now: float) -> None:
        """Take into account a frame that leaves: the fraction ``late`` of such frames waits for a retransmission, over
        a path with this round trip and jitter."""
        self._late += (min(late, 1.0) - self._late) * PATH_NEW_WEIGHT
        self._jitter_s += (jitter_s - self._jitter_s) * PATH_NEW_WEIGHT
        self._rtt_s = rtt_s if not self._rtt_s else self._rtt_s + (rtt_s - self._rtt_s) * PATH_NEW_WEIGHT
        wanted = max(self._wanted(self._rtt_s), self._minimum_s)
        settle_s = RAISE_AFTER_S if wanted > self._target_s else LOWER_AFTER_S
        if abs(wanted - self._target_s) > MIN_CHANGE_S and now - self._changed_at > settle_s:
            self._target_s, self._changed_at = wanted, now
        step = min(max(self._target_s - self.seconds, -MAX_STEP_PER_FRAME_S), MAX_STEP_PER_FRAME_S)
        self.seconds = round(self.seconds + step, 3)

    def reset(self) -> None:
        """Count no frame as late: the path was not the reason. The delay falls step by step, as it rose."""
        self._late, self._target_s, self._changed_at = 0.0, self._minimum_s, -math.inf

    def _wanted(self, rtt_s: float) -> float:
        max_late = LATE_MAX_FRACTION if rtt_s + RETRANSMISSION_OVERHEAD_S < FREEZE_S else LATE_MAX_FRACTION_FAR
        # Half of the limit once frames are held back, or the delay would come and go.
        if self._late > (max_late / 2 if self._target_s > rtt_s else max_late):
            return min(math.ceil((rtt_s + RETRANSMISSION_OVERHEAD_S) / STEP_S) * STEP_S, MAX_DELAY_S)
        if rtt_s > JITTER_MIN_RTT_S and self._jitter_s > (MIN_JITTER_S / 2 if self._target_s else MIN_JITTER_S):
            return min(math.ceil(JITTER_FACTOR * self._jitter_s / STEP_S) * STEP_S, MAX_JITTER_DELAY_S)
        return 0.0
