"""How long frames wait so that they are not ready just when a viewer's screen is drawn. Pure; time is an argument.

Must not know encoders, nor how the wait is kept.

A stream as fast as the screen has one frame for each refresh. A frame that is ready about when the screen is drawn is
sometimes just in time and sometimes just too late. Then two frames meet in the next refresh, and one of them is never
seen. The viewer reports when its frames are ready (`wire.Report`), so frames close to a refresh wait until just behind
it. That costs about two milliseconds on average, and nothing for frames that are ready elsewhere.
"""

from __future__ import annotations

from typing import Final

KEEP_CLEAR_S: Final = 0.0045
"""Frames keep this far from a refresh, before and behind it: about as much as their arrival varies.

Source: benchmark `720p60`;
pinned by `tests/engine/stream/test_vsync.py::test_slow_screens_keep_no_more_clear_than_frames_vary_by`.
"""

KEEP_CLEAR_MAX_REFRESH_FRACTION: Final = 0.25
"""Frames keep at most this fraction of a refresh clear, so that fast screens leave them room.

Source: chosen by hand;
pinned by `tests/engine/stream/test_vsync.py::test_slow_screens_keep_no_more_clear_than_frames_vary_by`.
"""

STOP_WAITING_MARGIN_FRACTION: Final = 0.3
"""Frames that wait stop doing so this fraction farther out than they started: noise must not move them to and fro.

Source: chosen by hand; pinned by `tests/engine/stream/test_vsync.py::test_frames_that_wait_go_on_a_little_longer`.
"""

MIN_MOVE_S: Final = 0.002
"""A smaller change of the wait does not make the viewer's next reports stale.

Source: chosen by hand; pinned by `tests/engine/stream/test_vsync.py::test_a_small_move_makes_no_report_stale`.
"""

REPORTS_STALE_AFTER_MOVE_S: Final = 0.7
"""For this long after the wait has changed, reports still describe frames sent before: viewers report twice a second.

Source: chosen by hand; pinned by `tests/engine/stream/test_vsync.py::test_a_report_right_after_a_move_is_ignored`.
"""

REPORT_TIMEOUT_S: Final = 2.0
"""A viewer that has not reported for this long is not waited for.

Source: chosen by hand; pinned by `tests/engine/stream/test_vsync.py::test_a_silent_viewer_is_not_waited_for`.
"""

MIN_INTERVAL_REFRESHES: Final = 0.75
"""With fewer refreshes than this from one frame to the next, frames are lost in any case, and none waits.

Source: chosen by hand;
pinned by `tests/engine/stream/test_vsync.py::test_streams_about_as_fast_as_the_screen_wait`.
"""

MAX_INTERVAL_REFRESHES: Final = 1.3
"""With more refreshes than this from one frame to the next, each frame has a refresh of its own, and none waits.

Source: chosen by hand;
pinned by `tests/engine/stream/test_vsync.py::test_streams_about_as_fast_as_the_screen_wait`.
"""

MIN_REFRESH_S: Final = 0.004
"""A shorter refresh interval (more than 250 Hz) is not believed.

Source: chosen by hand; pinned by `tests/engine/stream/test_vsync.py::test_impossible_refresh_rates_move_nothing`.
"""

MAX_REFRESH_S: Final = 0.05
"""A longer refresh interval (less than 20 Hz) is not believed.

Source: chosen by hand; pinned by `tests/engine/stream/test_vsync.py::test_impossible_refresh_rates_move_nothing`.
"""


class VsyncPhase:
    """When one encoder's frames are ready, relative to the refreshes of the one screen that shows them."""

    def __init__(self) -> None:
        self._wait_s = 0.0
        self._refresh_s = 0.0
        self._reported_at = self._moved_at = float("-inf")

    def report(self, slack_s: float, refresh_s: float, now: float) -> None:
        """The viewer's frames, with the wait they had here, are ready ``slack_s`` before the refresh that shows them.

        The screen is drawn every ``refresh_s``.
        """
        believed = MIN_REFRESH_S <= refresh_s <= MAX_REFRESH_S
        if not believed or now - self._reported_at > REPORT_TIMEOUT_S:
            self._wait_s, self._moved_at = 0.0, float("-inf")
        self._refresh_s, self._reported_at = refresh_s, now
        if believed and now - self._moved_at >= REPORTS_STALE_AFTER_MOVE_S:
            self._move((slack_s + self._wait_s) % refresh_s, now)

    def _move(self, slack_s: float, now: float) -> None:
        """Frames that did not wait would be ready ``slack_s`` before a refresh."""
        clear_s = min(KEEP_CLEAR_S, KEEP_CLEAR_MAX_REFRESH_FRACTION * self._refresh_s)
        before_s = clear_s * (1 + STOP_WAITING_MARGIN_FRACTION) if self._wait_s > 0 else clear_s
        if slack_s < before_s:
            wait_s = slack_s + clear_s
        else:
            behind_s = self._refresh_s - slack_s
            wait_s = max(clear_s - behind_s, 0.0)
        if abs(wait_s - self._wait_s) > MIN_MOVE_S:
            self._moved_at = now
        self._wait_s = wait_s

    def reset(self) -> None:
        """No frame waits: there is no viewer, or there are several whose screens differ."""
        self._reported_at = float("-inf")

    def wait_s(self, interval_s: float, now: float) -> float:
        """Seconds that a frame waits, when one is published every ``interval_s``."""
        fewest_s, most_s = MIN_INTERVAL_REFRESHES * self._refresh_s, MAX_INTERVAL_REFRESHES * self._refresh_s
        if not fewest_s < interval_s < most_s or now - self._reported_at > REPORT_TIMEOUT_S:
            return 0.0
        return self._wait_s
