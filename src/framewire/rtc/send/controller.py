"""Sends everything of one peer connection under congestion control: numbered, paced, and no more than the estimated
bandwidth. Must not know what is in the packets, sockets or clocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from typing import Final

from framewire.rtc.estimate.estimator import START_BPS, BandwidthEstimator
from framewire.rtc.estimate.loss import LossModel
from framewire.rtc.repair import fec_policy
from framewire.rtc.rtp.twcc import MalformedFeedback, TransportFeedbackAdapter
from framewire.rtc.send.deadline import NEVER
from framewire.rtc.send.feedback_watch import FeedbackWatch
from framewire.rtc.send.media_bitrate import MediaBitrate
from framewire.rtc.send.pacer import Pacer
from framewire.rtc.send.packet_sender import PacketDraft, PacketOutlet

IP_UDP_HEADER_BYTES: Final = 28
"""Bytes of IPv4 and UDP headers: the link carries them too.

Source: RFC 791 §3.1 and RFC 768."""

PACKET_OVERHEAD_BYTES: Final = IP_UDP_HEADER_BYTES + 48
"""About the bytes of a packet beyond its payload: besides IP and UDP, RTP header and extensions (32), SRTP tag (16).

Source: RFC 3550 §5.1, RFC 8285 §4.2, RFC 7714 §13.2."""

TICK_INTERVAL_S: Final = 0.1
"""Look this often whether a probe is due, or feedback is missing.

Source: libwebrtc asks `GoogCcNetworkController::OnProcessInterval` every 25 ms; no rule here is as quick."""

GENTLE_MIN_LOSS_FRACTION: Final = 0.02
"""Frames are paced more evenly (`GENTLE_PACING_FACTOR`) once more than this is lost.

Source: benchmark `lossy-40ms-1%`; pinned by
`tests/rtc/send/test_controller.py::test_frames_leave_more_evenly_while_packets_are_lost`."""

REPAIR_TWICE_MIN_LOSS_FRACTION: Final = 0.02
"""Repairs leave twice once the path loses more than this.

Source: benchmark `lossy-150ms-10%-bursts`; pinned by
`tests/rtc/send/test_controller.py::test_repairs_leave_twice_once_two_percent_are_lost`."""

DRAINED_BACKLOG_S: Final = 0.03
"""After a link has shrunk, frames are admitted again once its backlog is down to this: the rest drains while the
keyframe is encoded.

Source: benchmark `rate-20-2-20`; pinned by
`tests/rtc/send/test_controller.py::test_a_link_has_drained_before_it_is_quite_empty`."""

MAX_COLLAPSE_DRAIN_S: Final = 1.0
"""After a link has shrunk, frames are admitted again after this long at the latest.

Source: benchmark `rate-20-2-20`; pinned by
`tests/rtc/send/test_controller.py::test_a_link_that_shrank_is_left_to_drain_for_a_second_at_most`."""

PROBE_MAX_IDLE_S: Final = 1.5
"""Probing stops this long after the last frame: a still scene must cost nothing.

Source: benchmark `still-after-motion`; pinned by
`tests/rtc/send/test_controller.py::test_a_probe_is_thought_of_ten_times_a_second_until_the_scene_is_still`."""

TCP_START_FACTOR: Final = 0.8
"""Start at this fraction of the WebSocket's TCP delivery rate: a first keyframe at the full rate would queue behind
what TCP still sends. TCP may also have slowed down for random loss, so `MIN_START_BPS` holds.

Source: benchmark `1mbps-80ms`; pinned by
`tests/rtc/send/test_controller.py::test_the_first_estimate_follows_the_delivery_rate_of_tcp`."""

MIN_START_BPS: Final = 400_000
"""Start at this bitrate at least, however slow TCP is.

Source: chosen by hand; pinned by
`tests/rtc/send/test_controller.py::test_the_first_estimate_follows_the_delivery_rate_of_tcp`."""

FULL_PARITY_ROOM_FRACTION: Final = 0.5
"""Parity is cut once less than this fraction of the pacer's room is left: a frame that is refused costs more than one
that waits for a repair.

Source: benchmark `lossy-150ms-10%-bursts`; pinned by
`tests/rtc/send/test_controller.py::test_parity_makes_room_for_frames_while_more_is_sent_than_the_link_takes`."""

UNREQUESTED_MIN_ROOM_FRACTION: Final = 0.5
"""Packets are sent again unrequested only if this fraction of the pacer's room is left.

Source: benchmark `lossy-150ms-10%-bursts`; pinned by
`tests/rtc/send/test_controller.py::test_feedback_that_is_overdue_on_a_lossy_path_is_noticed`."""


class SendController:
    """A `PacketSender` with congestion control. Nothing may be sent before `start`."""

    def __init__(
        self,
        outlet: PacketOutlet,
        *,
        on_bitrate: Callable[[int], None],
        on_flushed: Callable[[Set[int], float], None] = lambda ssrcs, now: None,
        on_loss_reset: Callable[[], None] = lambda: None,
        make_padding: Callable[[int], PacketDraft | None] = lambda size_bytes: None,
        max_media_bps: Callable[[float], float] = fec_policy.max_media_bps,
        tcp_bps: float | None = None,
    ) -> None:
        """``on_bitrate`` gets the bits per second that media may use, never more than ``max_media_bps(loss_fraction)``.
        ``on_flushed`` gets the SSRCs whose waiting packets were discarded, and the time: a keyframe must make up for
        them. ``on_loss_reset`` is called if the loss measured so far was not the path's: conclusions from it are wrong.
        ``make_padding`` makes a packet of at most so many bytes that changes nothing for the viewer; None if it cannot.
        ``tcp_bps`` is the delivery rate of a TCP connection on the same path, if known: the first estimate."""
        self._outlet = outlet
        self._on_flushed = on_flushed
        self._on_loss_reset = on_loss_reset
        self._make_padding = make_padding
        self._estimator = BandwidthEstimator(_start_bps(tcp_bps))
        self._feedback = TransportFeedbackAdapter()
        self._feedback_watch = FeedbackWatch()
        self._loss = LossModel()
        self._media_bitrate = MediaBitrate(on_bitrate, max_media_bps)
        self._pacer: Pacer[PacketDraft] = Pacer(self._estimator.bits_per_second)
        self._last: dict[int, tuple[bytes, int]] = {}
        """The newest packet of each SSRC, encrypted, and its transport-wide sequence number without wrap."""
        self._tick_at = NEVER
        self._draining_until = self._frame_at = -NEVER

    @property
    def deadline(self) -> float:
        return min(self._tick_at, self._pacer.deadline)

    def start(self, now: float) -> None:
        """Begin, and report the first bitrate."""
        self._tick_at = now + TICK_INTERVAL_S
        self._report(now)

    def set_useful_bitrate(self, bits_per_second: float) -> None:
        self._estimator.useful_bps = bits_per_second

    # Out

    def admits(self, now: float) -> bool:
        return not self._draining(now) and self._pacer.admits(now)

    def _draining(self, now: float) -> bool:
        """Whether the link still carries what was sent before it shrank."""
        if now >= self._draining_until:
            return False
        if self._estimator.backlog_s(self._feedback.outstanding_bytes, now) < DRAINED_BACKLOG_S:
            self._draining_until = -NEVER
        return now < self._draining_until

    @property
    def queueing_delay_s(self) -> float:
        return self._pacer.queue_s + self._estimator.queueing_delay_s

    @property
    def loses_repairs(self) -> bool:
        return self._loss.fraction > REPAIR_TWICE_MIN_LOSS_FRACTION

    def unacknowledged_since(self, now: float) -> float | None:
        if not self.loses_repairs or self._pacer.room < UNREQUESTED_MIN_ROOM_FRACTION:
            return None
        return self._estimator.newest_acked_sent_at if self._feedback_watch.overdue(now) else None

    def parity_count(self, packets: int, rtt_s: float, interval_s: float) -> int:
        count = fec_policy.parity_count(packets, *self._loss.assumed(rtt_s), rtt_s, interval_s)
        return round(count * min(1.0, self._pacer.room / FULL_PARITY_ROOM_FRACTION))

    def late_fraction(self, packets: int, parities: int, rtt_s: float, interval_s: float) -> float:
        loss = self._loss
        return fec_policy.late_fraction(packets, parities, loss.fraction, loss.burst, rtt_s, interval_s)

    def send(
        self, packets: Sequence[PacketDraft], parities: Sequence[PacketDraft], interval_s: float, now: float
    ) -> None:
        self._frame_at = now
        payload_bytes = sum(packet.payload_bytes for packet in packets)
        everything = [*packets, *parities]
        wire_bytes = sum(packet.payload_bytes for packet in everything) + len(everything) * PACKET_OVERHEAD_BYTES
        self._media_bitrate.add_frame(payload_bytes, wire_bytes)
        if self._pacer.pass_whole(wire_bytes, interval_s, now):
            self._transmit([(packet, None) for packet in everything], now)
        else:
            self._pacer.push(_sized(everything), interval_s, now)
            self._release(now)

    def send_urgent(self, packets: Sequence[PacketDraft], now: float) -> None:
        self._pacer.push_urgent(_sized(packets), now)
        self._release(now)

    def repeat_last(self, ssrc: int) -> None:
        if ssrc in self._last:
            packet, number = self._last[ssrc]
            self._feedback.exclude(number)
            self._outlet.transmit([packet])

    def remove(self, ssrc: int) -> None:
        self._last.pop(ssrc, None)
        self._pacer.keep(lambda packet: packet.ssrc != ssrc)

    def _release(self, now: float) -> None:
        """Send what may leave now, and fill up a probe that media does not fill."""
        leaving = self._pacer.pop(now)
        while wanted := self._pacer.padding(now):
            probe_id, size_bytes = wanted
            padding = self._make_padding(size_bytes)
            if padding is None:
                self._pacer.cancel_probe()
                break
            leaving.append((padding, probe_id))
            self._pacer.padded(_wire_bytes(padding), now)
        self._transmit(leaving, now)

    def _transmit(self, packets: Sequence[tuple[PacketDraft, int | None]], now: float) -> None:
        """Send packets, each with the id of the probe that it is part of."""
        if not packets:
            return
        # Write all, encrypt all, send all: in one burst, and with fewer handovers of the interpreter lock.
        first = self._feedback.next_sequence_number
        written = [packet.write(now, (first + index) & 0xFFFF) for index, (packet, _) in enumerate(packets)]
        protected = self._outlet.protect(written)
        self._estimator.sent(sum(map(len, protected)) + IP_UDP_HEADER_BYTES * len(protected), now, len(protected))
        sent, last = self._feedback.sent, self._last
        for (packet, probe_id), data in zip(packets, protected, strict=True):
            last[packet.ssrc] = data, sent(len(data) + IP_UDP_HEADER_BYTES, now, probe_id)
        self._outlet.transmit(protected)

    # Back

    def feed(self, fci: bytes, now: float) -> None:
        """Take transport-wide feedback. What cannot be understood is ignored."""
        try:
            results = self._feedback.feed(fci)
        except MalformedFeedback:
            return
        self._feedback_watch.received(now)
        self._estimator.feed(results, now)
        if self._estimator.collapsed:
            # Queued packets would delay the keyframe that replaces them.
            flushed = {packet.ssrc for packet in self._pacer.flush()}
            self._draining_until = now + MAX_COLLAPSE_DRAIN_S
            self._on_flushed(flushed, now)
        if results and self._estimator.hidden_queue_revealed:
            # A full queue lost the packets before, not the path: they say nothing of losses to come.
            self._loss = LossModel()
            self._on_loss_reset()
        since = self._estimator.uncongested_since
        self._loss.feed([result for result in results if result.probe_id is None and result.sent_at > since])
        self._adapt(now)
        self._release(now)

    def tick(self, now: float) -> None:
        if now >= self._tick_at:
            self._tick_at = now + TICK_INTERVAL_S
            self._estimator.tick(now)
            self._adapt(now)
        self._release(now)

    def _adapt(self, now: float) -> None:
        gentle = self._estimator.loss_fraction > GENTLE_MIN_LOSS_FRACTION
        self._pacer.set_rate(self._estimator.target_bps(now), now, gentle=gentle)
        probe = self._estimator.next_probe(now) if now - self._frame_at < PROBE_MAX_IDLE_S else None
        if probe is not None:
            self._pacer.start_probe(probe, now)
        self._report(now)

    def _report(self, now: float) -> None:
        retransmitted = self._loss.fraction * (2 if self.loses_repairs else 1)
        self._media_bitrate.update(self._estimator.target_bps(now), self._loss.fraction, retransmitted, now)


def _start_bps(tcp_bps: float | None) -> float:
    """The first estimate, in bits per second."""
    if tcp_bps is None or tcp_bps >= START_BPS:
        return START_BPS
    return max(tcp_bps * TCP_START_FACTOR, MIN_START_BPS)


def _sized(packets: Sequence[PacketDraft]) -> list[tuple[PacketDraft, int]]:
    return [(packet, _wire_bytes(packet)) for packet in packets]


def _wire_bytes(packet: PacketDraft) -> int:
    """About what it takes on the link."""
    return packet.payload_bytes + PACKET_OVERHEAD_BYTES
