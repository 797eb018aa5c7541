"""When to probe, and what to conclude: a few packets sent faster than the estimate show whether the link takes more.
Must not know sockets, clocks or what is in the packets.

A stream that sends less than it may learns nothing from its own packets. One that grows by a few percent a second takes
half a minute to find that a link is ten times as wide. Twenty milliseconds at twice the bitrate show it at once, and
cost the link that much of a queue if they are wrong. As libwebrtc's `ProbeController`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from framewire.rtc.estimate.probe_bitrate import MIN_PROBE_PACKETS, MIN_PROBE_S, ProbeCluster, ProbeMeasurement
from framewire.rtc.rtp.twcc import PacketResult

PROBE_PACKET_BYTES: Final = 1200
"""A probe's packet has about this size.

Source: libwebrtc assumes 1200 (`AimdRateControl`, kPacketSize)."""

PROBE_NOISE_FACTOR: Final = 4.0
"""A probe lasts at least this multiple of the delay's noise, which would else hide the link's pace.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_probing.py::test_a_probe_is_large_enough_for_its_duration_its_packets_and_the_noise`."""

FIRST_PROBE_FACTOR: Final = 3.0
"""The first probe has this multiple of the estimate.

Source: libwebrtc `first_exponential_probe_scale`."""

FURTHER_PROBE_FACTOR: Final = 2.0
"""After a probe that succeeds, the next has this multiple of what it measured. No probe exceeds this multiple of the
goal.

Source: libwebrtc `further_exponential_probe_scale`."""

LATER_PROBE_FACTOR: Final = 1.5
"""Probes after the first success have this multiple of the estimate: most find nothing new, and fill a queue for it.

Source: chosen by hand, libwebrtc `alr_probe_scale` is 2; pinned by
`tests/rtc/estimate/test_probing.py::test_a_later_probe_is_one_and_a_half_times_the_estimate`."""

MIN_PROBE_BPS: Final = 1_000_000
"""A probe that starts from the estimate has at least this bitrate, unless the goal is lower. Slower, its packets would
take over 60 ms.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_probing.py::test_a_probe_has_at_least_a_megabit`."""

SUCCESS_FRACTION: Final = 0.7
"""A probe that measures at least this fraction of its planned bitrate succeeds, and another follows. One that was sent
at less than this fraction of it measures nothing.

Source: libwebrtc `further_probe_threshold`."""

UNSATURATED_FRACTION: Final = 0.9
"""A probe that arrives at less than this fraction of the bitrate at which it left has found the link full.

Source: libwebrtc `kMinRatioForUnsaturatedLink`."""

UTILIZATION_FRACTION: Final = 0.94
"""Of what a full link let through, this fraction may be used.

Source: libwebrtc `kTargetUtilizationFraction` is 0.95; ours leaves room for frames that vary."""

MAX_RECEIVED_FACTOR: Final = 2
"""A probe that arrives at more than this multiple of the bitrate at which it left measures nothing: it was held back
and released at once.

Source: libwebrtc `kMaxValidRatio`."""

PROBE_TIMEOUT_S: Final = 0.7
"""A probe without a result is given up after this long.

Source: chosen by hand, libwebrtc `kMaxWaitingTimeForProbingResult` is 1 s; pinned by
`tests/rtc/estimate/test_probing.py::test_a_probe_without_a_result_is_given_up`."""

PROBE_RETRY_S: Final = 0.4
"""A probe that measured nothing is sent again after this long.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_probing.py::test_a_probe_that_was_not_sent_in_time_is_sent_again_twice`."""

MAX_PROBE_TRIALS: Final = 3
"""Such a probe is sent this many times in all.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_probing.py::test_a_probe_that_was_not_sent_in_time_is_sent_again_twice`."""

MIN_PROBE_INTERVAL_S: Final = 1.5
"""After a probe that found nothing more, or a decrease, the next probe waits at least this long.

Source: chosen by hand, libwebrtc `alr_probing_interval` is 5 s; pinned by
`tests/rtc/estimate/test_probing.py::test_probes_that_find_nothing_become_rarer`."""

MAX_PROBE_INTERVAL_S: Final = 4.0
"""After a probe that found nothing more, the next one waits at most this long.

Source: chosen by hand, libwebrtc `alr_probing_interval` is 5 s; pinned by
`tests/rtc/estimate/test_probing.py::test_probes_that_find_nothing_become_rarer`."""

PROBE_INTERVAL_FACTOR: Final = 1.4
"""The interval grows by this factor after each probe that found nothing.

Source: chosen by hand; pinned by
`tests/rtc/estimate/test_probing.py::test_probes_that_find_nothing_become_rarer`."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a probe has shown."""

    bits_per_second: float
    """What may be sent from now on."""
    link_full: bool
    """Whether the link let no more through. If not, it may let more through than this."""


class ProbeController:
    """When to probe, at which bitrate, and what a probe has shown."""

    def __init__(self) -> None:
        self._last_id = 0
        self._measurement: ProbeMeasurement | None = None
        self.due_at: float = float("-inf")
        """When the next probe may be sent."""
        self._next_bps: float | None = None
        self._interval_s = MIN_PROBE_INTERVAL_S
        self.has_result: bool = False
        """Whether any probe has shown anything yet."""
        self._trials = 0

    def next(
        self, estimate_bps: float, goal_bps: float, now: float, noise_s: float, *, allowed: bool
    ) -> ProbeCluster | None:
        """The probe to send now, if one is due and ``allowed``. No stream needs more than ``goal_bps``; delays vary by
        ``noise_s`` seconds."""
        measurement = self._measurement
        if measurement is not None and (measurement.failed or now - measurement.began_at > PROBE_TIMEOUT_S):
            self._measurement, self.due_at = None, now
        if self._measurement is not None or now < self.due_at or not allowed:
            return None
        factor = LATER_PROBE_FACTOR if self.has_result else FIRST_PROBE_FACTOR
        rate_bps, self._next_bps = self._next_bps or max(estimate_bps * factor, MIN_PROBE_BPS), None
        if estimate_bps >= goal_bps:
            return None
        self._last_id += 1
        rate_bps = min(rate_bps, FURTHER_PROBE_FACTOR * goal_bps)
        duration_s = max(MIN_PROBE_S, PROBE_NOISE_FACTOR * noise_s)
        size_bytes = max(MIN_PROBE_PACKETS * PROBE_PACKET_BYTES, int(rate_bps * duration_s / 8))
        probe = ProbeCluster(self._last_id, rate_bps, size_bytes)
        self._measurement = ProbeMeasurement(probe, now)
        return probe

    def add(self, packet: PacketResult) -> None:
        """Take a packet that was part of a probe. Of a probe that loses too much, nothing more is waited for."""
        if self._measurement is not None and self._measurement.probe.id == packet.probe_id:
            self._measurement.add(packet)

    def result(self, now: float, noise_s: float) -> ProbeResult | None:
        """What the newest probe has shown, once, as soon as it is known."""
        rates = self._measurement.rates(noise_s) if self._measurement is not None else None
        if self._measurement is None or rates is None:
            return None
        probe = self._measurement.probe
        sent, received = rates
        if received > MAX_RECEIVED_FACTOR * sent or sent < SUCCESS_FRACTION * probe.rate_bps:
            # The sender or the path held packets back: the bitrates are not the link's.
            self._retry(probe, now)
            return None
        full = received < UNSATURATED_FRACTION * sent
        found = UTILIZATION_FRACTION * received if full else min(sent, received)
        self.has_result, self._trials = True, 0
        success = found >= SUCCESS_FRACTION * probe.rate_bps
        self._end(now, success=success)
        if success:
            self._next_bps, self.due_at = found * FURTHER_PROBE_FACTOR, now
        return ProbeResult(found, full)

    def _retry(self, probe: ProbeCluster, now: float) -> None:
        self._trials += 1
        if self._trials >= MAX_PROBE_TRIALS:
            self._trials = 0
            self._end(now, success=False)
        else:
            self._measurement, self._next_bps, self.due_at = None, probe.rate_bps, now + PROBE_RETRY_S

    def estimate_fell(self, now: float) -> None:
        """Probe again soon: the estimate fell, and perhaps not for long."""
        self._interval_s = MIN_PROBE_INTERVAL_S
        self._next_bps = None
        self.due_at = max(self.due_at, now + MIN_PROBE_INTERVAL_S)

    def _end(self, now: float, *, success: bool) -> None:
        self._measurement = None
        self._interval_s = (
            MIN_PROBE_INTERVAL_S if success else min(self._interval_s * PROBE_INTERVAL_FACTOR, MAX_PROBE_INTERVAL_S)
        )
        self.due_at = now + self._interval_s
