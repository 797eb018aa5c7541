"""When a keyframe is allowed, and when a still scene is encoded again. Pure; time is an argument.

Must not know encoders, viewers or timers: it is asked and answers with times.
"""

from __future__ import annotations

from typing import Final

from framewire.token_bucket import TokenBucket

MIN_KEYFRAME_INTERVAL_S: Final = 0.3
"""Keyframes of one encoder are at least this far apart; requests of several viewers are answered by one keyframe.

Source: chosen by hand, below LiveKit's `pli_throttle` of 0.5 to 1 s;
pinned by `tests/engine/stream/test_keyframes.py::test_frequent_requests_are_answered_by_few_keyframes`.
"""

MAX_KEYFRAMES_AT_ONCE: Final = 6
"""So many keyframes of one encoder may follow each other sooner, for a lone viewer that leaves and comes back.

Source: chosen by hand: a page that is loaded again comes back once;
pinned by `tests/engine/stream/test_keyframes.py::test_a_few_are_allowed_at_once_and_no_more_in_the_long_run`.
"""

REFRESH_STILL_AFTER_S: Final = (0.12, 0.3, 0.6, 1.0)
"""Times after the last publish at which the newest frame is encoded again.

Each refresh sharpens the still picture. It may also show a receiver that the last packet before the pause was lost, but
`rtc.send.tail_probes` does so sooner, and without an encoder.

Source: chosen by hand, checked by benchmark `still-after-motion`;
pinned by `tests/engine/stream/test_keyframes.py::test_a_still_scene_is_refreshed_four_times_within_a_second`.
"""


class KeyframeThrottle:
    """Allows a keyframe at most once per `MIN_KEYFRAME_INTERVAL_S`, and a few at once."""

    def __init__(self) -> None:
        self._last_at = float("-inf")
        self._at_once = TokenBucket(1 / MIN_KEYFRAME_INTERVAL_S, MAX_KEYFRAMES_AT_ONCE)

    @property
    def next_at(self) -> float:
        """From when on the next keyframe is allowed."""
        return self._last_at + MIN_KEYFRAME_INTERVAL_S

    def allows(self, now: float) -> bool:
        """Whether a keyframe is allowed now."""
        return now >= self.next_at

    def allow_at_once(self, now: float) -> None:
        """Allow one now, as no other viewer is to be spared: unless that was asked for too often."""
        if self._at_once.take(now):
            self._last_at = float("-inf")

    def made(self, now: float) -> None:
        """A keyframe was encoded."""
        self._last_at = now


class StillRefresh:
    """Which refreshes of a still scene are due."""

    def __init__(self) -> None:
        self.due: bool = False
        """Whether a refresh became due at the last `advance`."""
        self._published_at = float("inf")
        self._refreshes = len(REFRESH_STILL_AFTER_S)

    @property
    def next_at(self) -> float | None:
        """When the next refresh is due; None after the last one."""
        if self._refreshes >= len(REFRESH_STILL_AFTER_S):
            return None
        return self._published_at + REFRESH_STILL_AFTER_S[self._refreshes]

    def published(self, now: float) -> None:
        """A new frame was published: the scene moves."""
        self._published_at, self._refreshes = now, 0

    def advance(self, now: float) -> None:
        """It is ``now``. A refresh that becomes due counts as done, even if no viewer can receive it.

        Otherwise the moment that has passed would stay the next one, and the loop would never rest.
        """
        self.due = self.next_at is not None and now >= self.next_at
        self._refreshes += self.due

    def age_s(self, now: float) -> float:
        """Seconds since the newest frame was published."""
        return max(now - self._published_at, 0.0)
