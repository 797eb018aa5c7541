"""Whether packets take longer and longer: the sign of a queue that grows. Must not know rates, sockets or clocks.

The delay-based half of Google congestion control (draft-ietf-rmcat-gcc-02 §5), with the trendline in the
place of the Kalman filter, as libwebrtc has it and with its constants.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

Usage = Literal["normal", "overuse", "underuse"]

BURST = 0.005
"""Seconds of departures that count as one group: what leaves together queues behind itself."""
LONGEST_BURST = 0.1
WINDOW = 20
"""Groups that the trend is taken over."""
SMOOTHING = 0.9
GAIN = 4.0
MOST_GROUPS = 60
"""From so many groups on, more of them make the trend no more certain."""
K_UP, K_DOWN = 0.0087, 0.039
LOWEST, HIGHEST = 6.0, 600.0
OVERUSE_TIME = 0.01
"""Seconds for which the trend must stay above the threshold."""
FLOOD_QUEUE, FLOOD_GROWTH = 0.05, 0.02
"""Seconds that even the luckiest packet of a feedback message waited, and that the later ones waited longer."""
FILL_QUEUE, FILL_GROWTH = 0.01, 0.025
"""Likewise, beyond noise, of a queue that has only begun to fill: less of a wait, but a steeper growth."""
FLOOD_PACKETS, FLOOD_TIME = 2, 0.03
"""Packets in each third of the message, and seconds between the arrivals of the first and the last, at least."""
FIRST_SPREAD = 0.005
"""Seconds: until more is known."""
MOST_SPREAD = 0.02
"""Seconds: beyond, it is no noise."""
BASE_SPAN = 15.0
"""Seconds, at least, for which the shortest way is remembered."""
REVEALED = 0.03
"""Seconds, beyond noise, by which a way is shorter than all before it where those met a queue that was never empty."""


@dataclass(slots=True)
class _Group:
    first_sent: float
    sent_at: float
    first_arrived: float
    arrived_at: float


class Groups:
    """Packets to groups, and groups to how much longer one took than the one before."""

    def __init__(self) -> None:
        self._group: _Group | None = None
        self._before: _Group | None = None

    def add(self, sent_at: float, arrived_at: float) -> tuple[float, float, float] | None:
        """Seconds between the departures and between the arrivals of the two newest complete groups, and when
        the newer arrived; None as long as a group goes on."""
        group = self._group
        if group is None:
            self._group = _Group(sent_at, sent_at, arrived_at, arrived_at)
            return None
        if sent_at < group.first_sent:
            return None
        if sent_at - group.first_sent <= BURST or self._catches_up(group, sent_at, arrived_at):
            group.sent_at = max(group.sent_at, sent_at)
            group.arrived_at = max(group.arrived_at, arrived_at)
            return None
        before, self._before = self._before, group
        self._group = _Group(sent_at, sent_at, arrived_at, arrived_at)
        if before is None:
            return None
        return group.sent_at - before.sent_at, group.arrived_at - before.arrived_at, group.arrived_at

    @staticmethod
    def _catches_up(group: _Group, sent_at: float, arrived_at: float) -> bool:
        """Arrived closer together than they left: something on the way held them back and let go of them at
        once, which says nothing about a queue."""
        arrival_gap = arrived_at - group.arrived_at
        catching_up = arrival_gap - (sent_at - group.sent_at) < 0
        return catching_up and arrival_gap <= BURST and arrived_at - group.first_arrived < LONGEST_BURST


class Trendline:
    """The slope of the smoothed delay over the newest groups."""

    def __init__(self) -> None:
        self._accumulated = self._smoothed = 0.0
        self._points: deque[tuple[float, float]] = deque(maxlen=WINDOW)
        self._groups = 0

    def add(self, growth: float, arrived_at: float) -> float | None:
        """How far the delay moves, in the detector's units, once a group took so much longer than the one
        before; None while there are too few groups to tell."""
        self._groups += 1
        self._accumulated += growth * 1000
        self._smoothed = SMOOTHING * self._smoothed + (1 - SMOOTHING) * self._accumulated
        self._points.append((arrived_at, self._smoothed))
        if len(self._points) < WINDOW:
            return None
        return _slope(self._points) / 1000 * min(self._groups, MOST_GROUPS) * GAIN


def _slope(points: deque[tuple[float, float]]) -> float:
    """Of the least-squares line, milliseconds a second."""
    # Near the first, as squares of times since an epoch lose their digits.
    origin = points[0][0]
    mean_x = sum(x for x, _ in points) / len(points) - origin
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - origin - mean_x) ** 2 for x, _ in points)
    return sum((x - origin - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


class Detector:
    """From the trend to a verdict, against a threshold that adapts: next to a flow that fills queues, one that
    reacts to every millisecond would starve (draft-ietf-rmcat-gcc-02 §5.4)."""

    def __init__(self) -> None:
        self.usage: Usage = "normal"
        self.threshold = 12.5
        self._over: float | None = None
        self._count = 0
        self._trend = 0.0
        self._updated_at: float | None = None

    def add(self, trend: float, span: float, now: float) -> None:
        """A group that took ``span`` seconds to leave moved the trend; ``now`` is its arrival."""
        if trend > self.threshold:
            self._over = span / 2 if self._over is None else self._over + span
            self._count += 1
            if self._over > OVERUSE_TIME and self._count > 1 and trend >= self._trend:
                self._over, self._count = 0.0, 0
                self.usage = "overuse"
        else:
            self._over, self._count = None, 0
            self.usage = "underuse" if trend < -self.threshold else "normal"
        self._trend = trend
        self._adapt(abs(trend), now)

    def _adapt(self, trend: float, now: float) -> None:
        last, self._updated_at = self._updated_at, now
        if last is None or trend > self.threshold + 15:
            # A leap is a change of route, or a stall; not what this link's noise is like.
            return
        gain = K_DOWN if trend < self.threshold else K_UP
        elapsed = min(max(now - last, 0.0), 0.1) * 1000
        moved = self.threshold + gain * (trend - self.threshold) * elapsed
        self.threshold = min(max(moved, LOWEST), HIGHEST)


class Queue:
    """Seconds that packets wait on the way: what they take beyond the shortest way of late."""

    def __init__(self) -> None:
        self.seconds = self.standing = 0.0
        self.shortened = 0.0
        """Seconds by which the newest message has made the shortest way shorter."""
        self._base = self._base_before = float("inf")
        self._since = 0.0

    def add(self, shortest: float, now: float) -> None:
        """The shortest way of the packets in one feedback message. The viewer's clock has another zero and
        drifts: only differences count, and only for a while."""
        if now - self._since > BASE_SPAN:
            self._since, self._base_before, self._base = now, self._base, float("inf")
        known = min(self._base, self._base_before)
        self.shortened = max(known - shortest, 0.0) if known < float("inf") else 0.0
        self._base = min(self._base, shortest)
        before, self.seconds = self.seconds, self.waited(shortest)
        self.standing = min(before, self.seconds)

    def waited(self, delay: float) -> float:
        """What a packet took beyond the shortest way of late."""
        return delay - min(self._base, self._base_before)


class DelayDetector:
    """All of the above for one peer."""

    def __init__(self) -> None:
        self._groups, self._trendline = Groups(), Trendline()
        self._detector = Detector()
        self._queue = Queue()
        self.revealed = False
        """Whether the newest feedback message shows that what was taken for an empty way was a queue: packets that came
        before it met one, whatever was thought of them."""
        self.spread = FIRST_SPREAD
        """Seconds between what the luckiest packets of two feedback messages took, on average: the noise above which a
        queue must rise to be one. Not what packets of one message differ by: those wait for each other."""
        self._shortest: float | None = None
        self.fills = False
        """Whether they begin to: each waited longer than those before it, though none long yet. So does a frame that is
        large for its link; only one that leaves faster than the link takes for good fills it."""
        self.flooded = False
        """Whether all packets of the newest feedback message waited long, and each longer than those before it:
        the link has shrunk at one blow. The trend sees it too, but only once many groups have come through."""

    def waited(self, delay: float) -> float:
        """Seconds that a packet waited on the way that arrived ``delay`` after it left, on two clocks."""
        return self._queue.waited(delay)

    def skip(self) -> None:
        """What follows is not to be compared with what was: a probe has filled the queue on purpose."""
        self._groups = Groups()

    @property
    def usage(self) -> Usage:
        return self._detector.usage

    @property
    def queue(self) -> float:
        """Seconds that even the luckiest packet of the newest feedback message waited."""
        return self._queue.seconds

    @property
    def standing(self) -> float:
        """Likewise, of the two newest."""
        return self._queue.standing

    def add(self, packets: list[tuple[float, float]], now: float) -> None:
        """When the packets of one feedback message left and arrived, in order of arrival."""
        self.flooded = self.fills = self.revealed = False
        for sent_at, arrived_at in packets:
            step = self._groups.add(sent_at, arrived_at)
            if step is None:
                continue
            left, arrived, when = step
            trend = self._trendline.add(arrived - left, when)
            if trend is not None:
                self._detector.add(trend, left, when)
        if packets:
            shortest = min(arrived - sent for sent, arrived in packets)
            if self._shortest is not None:
                self.spread += (min(abs(shortest - self._shortest), MOST_SPREAD) - self.spread) / 16
            self._shortest = shortest
            self._queue.add(shortest, now)
            self.revealed = self._queue.shortened > REVEALED + 2 * self.spread
            growth, noise = _growth(packets), 2 * self.spread
            self.flooded = self._queue.seconds > FLOOD_QUEUE and growth > FLOOD_GROWTH
            self.fills = self._queue.seconds > FILL_QUEUE and growth > FILL_GROWTH + noise


def _growth(packets: list[tuple[float, float]]) -> float:
    """How much longer the last of the packets, in order of arrival, were under way than the first: a queue that fills.
    A machine or a radio that stood still delays as much, but then lets go of all at once, the later the sooner."""
    third = len(packets) // 3
    if third < FLOOD_PACKETS or packets[-1][1] - packets[0][1] < FLOOD_TIME:
        return 0.0
    return _mean_delay(packets[-third:]) - _mean_delay(packets[:third])


def _mean_delay(packets: list[tuple[float, float]]) -> float:
    return sum(arrived - sent for sent, arrived in packets) / len(packets)
