"""When packets leave: at once where the bandwidth is far above what they need, else in small bursts. Must not know
what is in them, sockets or clocks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from framewire.rtc.estimate.probe_bitrate import ProbeCluster
from framewire.rtc.send.deadline import NEVER

T = TypeVar("T")

PACING_FACTOR: Final = 2.5
"""A frame leaves at this multiple of the estimated bandwidth, so that little waits in the pacer. The link is idle until
the next frame anyway.

Source: libwebrtc `PacingController::kDefaultPaceMultiplier`."""

GENTLE_PACING_FACTOR: Final = 1.3
"""The multiple for repairs, and for frames while packets are lost: the queue that lost them may hold less than a frame.

Source: benchmark `lossy-40ms-1%`; pinned by
`tests/rtc/send/test_pacer.py::test_frames_leave_more_evenly_where_packets_are_lost`."""

BURST_S: Final = 0.005
"""Packets for this much time leave in one go: a timer for each packet would cost more than it gives.

Source: libwebrtc `PacingController::kDefaultMinPacketLimit`, 5 ms between two looks at the queue."""

MAX_CATCH_UP_S: Final = 0.04
"""If a timer fires late, packets for at most this much time leave at once: a busy machine must not lower the pace.

Source: libwebrtc `PacingController::kDefaultBurstInterval`."""

MAX_QUEUE_S: Final = 0.4
"""Packets leave faster than the pacing factor says if the oldest would wait longer than this, so that every frame
leaves within this time.

Source: libwebrtc `PacingController::queue_time_limit_`, 2 s there; pinned by
`tests/rtc/send/test_pacer.py::test_a_keyframe_has_left_in_bounded_time`."""

MAX_DEBT_S: Final = 0.6
"""Frames are refused once more bits are queued than the estimate carries in this time. What left faster than the
estimate counts as queued too, as it waits on the link.

Source: benchmark `1mbps-80ms`; pinned by
`tests/rtc/send/test_pacer.py::test_time_before_a_rate_was_known_counts_at_the_old_rate`."""

RESUME_DEBT_FRACTION: Final = 0.5
"""After a refusal, frames are taken in again when the debt is down to this fraction of its limit. Otherwise the first
frame let in would cause the next refusal.

Source: chosen by hand; pinned by
`tests/rtc/send/test_pacer.py::test_after_a_refusal_half_of_the_debt_must_be_paid_off_first`."""

DEBT_PAYOFF_FACTOR: Final = 1.2
"""Debt is paid off at this multiple of the estimate: an encoder that always exceeds its bitrate by less is not refused.

Source: benchmark `720p30`; pinned by `tests/rtc/send/test_pacer.py::test_admits_no_more_than_can_be_paid_off`."""

UNPACED_HEADROOM_FACTOR: Final = 1.5
"""A frame leaves at once if the estimate is this many times the rate that the frame itself needs.

Source: benchmark `720p60`; pinned by
`tests/rtc/send/test_pacer.py::test_a_frame_leaves_at_once_where_the_bandwidth_is_far_above_it`."""

TIMER_SLACK_S: Final = 0.0005
"""A timer may fire this much too early; packets that would be due then leave.

Source: chosen by hand, half of asyncio's coarsest clock; pinned by
`tests/rtc/send/test_pacer.py::test_a_timer_that_fires_a_little_early_finds_packets`."""


@dataclass(frozen=True, slots=True)
class _Queued(Generic[T]):
    item: T
    size_bytes: int
    since: float
    unpaced: bool


class Pacer(Generic[T]):
    """Holds packets back until they may leave; retransmissions first, as the viewer waits for them."""

    def __init__(self, estimate_bps: float) -> None:
        self._estimate_bps = estimate_bps
        self._factor = PACING_FACTOR
        self._urgent: deque[_Queued[T]] = deque()
        self._queue: deque[_Queued[T]] = deque()
        self._queued_bytes = 0
        self._free_at = 0.0
        self._debt_bits = 0.0
        self._debt_at = 0.0
        self._refusing = False
        self._probe: ProbeCluster | None = None
        self._probe_bytes_left = 0

    def __len__(self) -> int:
        return len(self._urgent) + len(self._queue)

    def set_rate(self, estimate_bps: float, now: float, *, gentle: bool = False) -> None:
        """Go by a new estimate of the bandwidth; ``gentle`` paces frames as evenly as repairs."""
        self._pay_off(now)
        self._estimate_bps = estimate_bps
        self._factor = GENTLE_PACING_FACTOR if gentle else PACING_FACTOR

    def admits(self, now: float) -> bool:
        """Whether a frame may come in. One that may not would only be late, and make all after it late."""
        self._pay_off(now)
        limit = MAX_DEBT_S * self._estimate_bps
        self._refusing = self._debt_bits > (limit * RESUME_DEBT_FRACTION if self._refusing else limit)
        return not self._refusing

    @property
    def room(self) -> float:
        """The fraction of `MAX_DEBT_S` that is left, 0 to 1, when debt was last paid off."""
        return max(1 - self._debt_bits / (MAX_DEBT_S * self._estimate_bps), 0.0)

    def push(self, packets: Iterable[tuple[T, int]], interval_s: float, now: float) -> None:
        """Take in a frame's packets, each with its size in bytes; frames come about ``interval_s`` apart."""
        packets = list(packets)
        self._wake(now)
        bits = 8 * sum(size for _, size in packets)
        unpaced = not self._queue and self._far_below_estimate(bits, interval_s)
        self._queue.extend(_Queued(item, size, now, unpaced) for item, size in packets)
        self._take_in(bits, now)

    def pass_whole(self, size_bytes: int, interval_s: float, now: float) -> bool:
        """Take in a whole frame of this size that leaves at once. Returns False, and does nothing, if its packets must
        be pushed one by one instead."""
        bits = size_bytes * 8
        if len(self) or self._probe is not None or not self._far_below_estimate(bits, interval_s):
            return False
        self._wake(now)
        self._take_in(bits, now)
        self._queued_bytes -= size_bytes
        self._charge(size_bytes, self._rate_bps(now), now)
        return True

    def _far_below_estimate(self, bits: int, interval_s: float) -> bool:
        """Whether frames of this size, ``interval_s`` apart, need so little that they may leave at once."""
        return bits * UNPACED_HEADROOM_FACTOR <= self._estimate_bps * interval_s

    def push_urgent(self, packets: Iterable[tuple[T, int]], now: float) -> None:
        """Take in packets, each with its size in bytes, that go before all others."""
        self._wake(now)
        for item, size in packets:
            self._urgent.append(_Queued(item, size, now, unpaced=False))
            self._take_in(size * 8, now)

    def _wake(self, now: float) -> None:
        """Drop the credit from before, if nothing waited: time without packets cannot be used later."""
        if not len(self) and self._probe is None:
            self._free_at = max(self._free_at, now)

    def _take_in(self, bits: int, now: float) -> None:
        self._pay_off(now)
        self._queued_bytes += bits // 8
        self._debt_bits += bits

    def _pay_off(self, now: float) -> None:
        paid = max(now - self._debt_at, 0.0) * DEBT_PAYOFF_FACTOR * self._estimate_bps
        self._debt_bits, self._debt_at = max(self._debt_bits - paid, 0.0), now

    def start_probe(self, probe: ProbeCluster, now: float) -> None:
        """From now on, all that leaves is part of the probe and leaves at its rate, until the probe is complete."""
        self._probe, self._probe_bytes_left = probe, probe.size_bytes
        self._free_at = now

    def pop(self, now: float) -> list[tuple[T, int | None]]:
        """The packets that leave now, each with the id of the probe that it is part of."""
        leaving: list[tuple[T, int | None]] = []
        while queue := self._urgent or self._queue:
            if not (self._free(now) or (queue[0].unpaced and self._probe is None)):
                break
            rate_bps = self._rate_bps(now)
            first = queue.popleft()
            self._queued_bytes -= first.size_bytes
            leaving.append((first.item, self._probe.id if self._probe else None))
            self._charge(first.size_bytes, rate_bps, now)
        return leaving

    def padding(self, now: float) -> tuple[int, int] | None:
        """The id of a probe that no packets are left for, and how many bytes of padding should leave now in their
        place. The caller reports what it sends to `padded`."""
        if self._probe is None or len(self) or not self._free(now):
            return None
        room = (now + BURST_S - max(self._free_at, now - MAX_CATCH_UP_S)) * self._probe.rate_bps / 8
        return self._probe.id, min(self._probe_bytes_left, int(room) + 1)

    def padded(self, size_bytes: int, now: float) -> None:
        """Count padding that left."""
        self._charge(size_bytes, self._rate_bps(now), now)

    def cancel_probe(self) -> None:
        """End the probe: there is nothing to pad it with."""
        self._probe = None

    @property
    def deadline(self) -> float:
        """When to call `pop` again."""
        return self._free_at if len(self) or self._probe is not None else NEVER

    @property
    def queue_s(self) -> float:
        """Seconds until all that waits now has left, about."""
        return self._queued_bytes * 8 / (self._factor * self._estimate_bps)

    def flush(self) -> list[T]:
        """Remove all packets, and all debt. Returns the packets."""
        flushed = [queued.item for queued in (*self._urgent, *self._queue)]
        self._urgent.clear()
        self._queue.clear()
        self._queued_bytes, self._debt_bits = 0, 0.0
        return flushed

    def keep(self, wanted: Callable[[T], bool]) -> None:
        """Remove all packets except the wanted ones."""
        self._urgent = deque(queued for queued in self._urgent if wanted(queued.item))
        self._queue = deque(queued for queued in self._queue if wanted(queued.item))
        self._queued_bytes = sum(queued.size_bytes for queued in (*self._urgent, *self._queue))

    def _free(self, now: float) -> bool:
        return self._free_at <= now + BURST_S - TIMER_SLACK_S

    def _rate_bps(self, now: float) -> float:
        if self._probe is not None:
            return self._probe.rate_bps
        if self._urgent:
            # A queue lost many packets at once; sent as fast again, they would be lost again.
            return GENTLE_PACING_FACTOR * self._estimate_bps
        rate_bps = self._factor * self._estimate_bps
        if not self._queue:
            return rate_bps
        left_s = max(MAX_QUEUE_S - (now - self._queue[0].since), BURST_S)
        return max(rate_bps, self._queued_bytes * 8 / left_s)

    def _charge(self, size_bytes: int, rate_bps: float, now: float) -> None:
        self._free_at = max(self._free_at, now - MAX_CATCH_UP_S) + size_bytes * 8 / rate_bps
        if self._probe is not None:
            self._probe_bytes_left -= size_bytes
            if self._probe_bytes_left <= 0:
                self._probe = None
