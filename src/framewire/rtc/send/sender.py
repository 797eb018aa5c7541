"""One subscription's RTP sender: takes units, sends packets, and turns the viewer's RTCP into events.

Must not know aiortc, sockets, clocks or encoders. Packets leave through the peer connection's `PacketSender`, ``now``
is an argument (seconds since the Unix epoch, steady), and the owner calls `tick` at `deadline`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from framewire.rtc.estimate.rtt import PathRtt
from framewire.rtc.events import KeyframeWanted, PeerStats
from framewire.rtc.repair.parity_packets import ParityPackets
from framewire.rtc.repair.playout_delay import PlayoutDelay
from framewire.rtc.repair.retransmission import Retransmitter
from framewire.rtc.rtp import rtcp
from framewire.rtc.rtp.flexfec import SourceHeader
from framewire.rtc.rtp.header_extensions import HeaderExtensions
from framewire.rtc.rtp.packets import RtpOrigin, RtpPacketDraft, RtpUnit
from framewire.rtc.send.deadline import NEVER
from framewire.rtc.send.frame_interval import FrameInterval
from framewire.rtc.send.media_packets import MediaPackets
from framewire.rtc.send.packet_sender import PacketSender
from framewire.rtc.send.sender_reports import SenderReports
from framewire.rtc.send.tail_probes import TailProbes
from framewire.rtc.send.unit_admission import UnitAdmission

DELAYED_PARITY_MIN_INTERVALS: Final = 1.5
"""Some parity comes with the next frame if the viewer holds frames back for more than this many frame intervals: else
it would come too late.

Source: benchmark `lossy-150ms-10%-bursts`; pinned by
`tests/rtc/send/test_sender.py::test_a_playout_delay_of_less_than_one_and_a_half_frames_is_too_short_for_that`."""

INSISTENT_RTT_FRACTION: Final = 0.6
"""On a lossy path, a packet that was sent again is sent once more if it is requested after this fraction of the round
trip. A viewer may ask a little before an answer can arrive; refused, it would ask a round trip later.

Source: benchmark `lossy-150ms-10%-bursts`; pinned by
`tests/rtc/send/test_sender.py::test_on_a_lossy_path_a_repeated_request_that_comes_a_little_early_is_answered`."""

RTP_CLOCK_HZ: Final = 90_000
"""Ticks per second of RTP timestamps and of the jitter in reports.

Source: RFC 7741 §4.1 and RFC 6184 §8.2.1, the RTP clock rate of all video."""


class RtcpOutlet(Protocol):
    """Where RTCP leaves, and what is known of the socket."""

    def transmit_rtcp(self, compound: bytes) -> None:
        """Encrypt RTCP and hand it to the socket. Never blocks, never raises."""
        ...

    def idle(self) -> bool:
        """Whether the socket took everything that it was handed."""
        ...


@dataclass(frozen=True, slots=True)
class SenderParameters:
    """What was negotiated."""

    payload_type: int
    rtx_payload_type: int | None
    fec_payload_type: int | None
    extensions: Mapping[str, int]
    """Header extension ids by URI."""
    mid: str
    cname: str


@dataclass(frozen=True, slots=True)
class SenderOrigins:
    """Where the RTP streams of one subscription begin."""

    media: RtpOrigin
    rtx: RtpOrigin
    fec: RtpOrigin


class UnitSender:
    """Sends the units of one subscription from `start` to `stop`."""

    def __init__(
        self,
        sub: int,
        origins: SenderOrigins,
        parameters: SenderParameters,
        packets: PacketSender,
        outlet: RtcpOutlet,
        on_event: Callable[[KeyframeWanted], None],
        *,
        rtt: PathRtt,
        min_playout_delay_s: float,
    ) -> None:
        """``rtt``: the round trip, one for all senders of the peer. ``min_playout_delay_s``: how long the viewer holds
        frames back at least."""
        self.ssrc: int = origins.media.ssrc
        self.deadline: float = NEVER
        """When to call `tick`."""
        self._parameters = parameters
        self._packets = packets
        self._outlet = outlet
        self._stopped = False
        self._stats = PeerStats()
        self._rtt = rtt
        self._admission = UnitAdmission(lambda: on_event(KeyframeWanted(sub)))
        self._media = MediaPackets(origins.media)
        self._retransmitter = Retransmitter(origins.rtx, parameters.rtx_payload_type)
        self._parity = ParityPackets(origins.fec, parameters.fec_payload_type)
        self._playout_delay = PlayoutDelay(min_playout_delay_s)
        self._interval = FrameInterval()
        self._tail_probes = TailProbes()
        self._reports = SenderReports(self.ssrc)
        self._extensions_delay_s = 0.0
        """The playout delay in `_extensions`."""
        self._set_extensions(HeaderExtensions(parameters.extensions, parameters.mid))

    @property
    def stats(self) -> PeerStats:
        """A copy of the counters."""
        return replace(self._stats, rtt_s=self._rtt.seconds)

    def start(self, now: float) -> None:
        """Request the keyframe that everything waits for."""
        self._admission.start(now)

    def stop(self) -> None:
        """Send nothing more. The next offer tells the viewer; an RTCP BYE would end a stock aiortc receiver for good,
        and the transceiver with it."""
        self._stopped = True
        self.deadline = NEVER
        self._retransmitter.clear()
        for ssrc in (self.ssrc, self._retransmitter.ssrc, self._parity.ssrc):
            self._packets.remove(ssrc)

    # Units out

    def send(self, packed: RtpUnit, now: float) -> bool:
        """Send a unit. Returns False if it was dropped: the viewer could not decode it, or is too slow for it."""
        if self._stopped:
            return False
        room = self._packets.admits(now)
        if not room:
            # The next unit that leaves is a keyframe: repairs of those before it are needless.
            self._parity.discard_delayed()
        if not self._admission.admit(now, keyframe=packed.unit.keyframe, room=room, socket_idle=self._outlet.idle()):
            self._stats.frames_dropped += 1
            self._schedule()
            return False
        self._send_unit(packed, now)
        self._tail_probes.unit_sent(now)
        if not self._reports.started:
            # Right behind the first frame: until it comes, the viewer knows no capture time.
            self._report(now)
        self._schedule()
        return True

    def _send_unit(self, packed: RtpUnit, now: float) -> None:
        self._apply_playout_delay()
        if packed.unit.keyframe:
            self._retransmitter.discard_second_copies()
        packets = self._media.make(packed, self._parameters.payload_type, self._extensions)
        first, timestamp = self._media.first, self._media.timestamp
        self._retransmitter.add(first, timestamp, packed.payloads, now)
        interval_s = self._interval.frame_sent(now)
        parities = self._parity.delayed(timestamp)
        parities += self._protect(packed, first, timestamp, interval_s, now)
        self._packets.send(packets, parities, interval_s, now)
        self._packets.send_urgent(self._retransmitter.second_copies(), now)
        self._resend_unrequested(first, now)
        stats = self._stats
        stats.frames_sent += 1
        stats.packets += len(packed.payloads)
        stats.payload_bytes += sum(map(len, packed.payloads))

    def _apply_playout_delay(self) -> None:
        """Send a new delay with this unit. Queued packets keep the old one, as parity was computed over it."""
        if self._playout_delay.seconds != self._extensions_delay_s:
            self._extensions_delay_s = self._playout_delay.seconds
            extensions = HeaderExtensions(self._parameters.extensions, self._parameters.mid, self._extensions_delay_s)
            self._set_extensions(extensions)

    def _set_extensions(self, extensions: HeaderExtensions) -> None:
        self._extensions = self._retransmitter.extensions = self._parity.extensions = extensions

    def _protect(
        self, packed: RtpUnit, first: int, timestamp: int, interval_s: float, now: float
    ) -> list[RtpPacketDraft]:
        """Parity packets for a unit, and the playout delay that the loss asks for."""
        packets, rtt_s = len(packed.payloads), self._rtt.seconds or 0.0
        understood = self._parity.payload_type is not None
        count = self._packets.parity_count(packets, rtt_s, interval_s) if understood else 0
        late = self._packets.late_fraction(packets, count, rtt_s, interval_s)
        self._playout_delay.update(late, rtt_s, self._stats.jitter_s, now)
        if not count:
            return []
        extensions = self._extensions.block(0.0)
        source = SourceHeader(self._parameters.payload_type, self.ssrc, timestamp, first, extensions)
        delay_second = self._extensions_delay_s > interval_s * DELAYED_PARITY_MIN_INTERVALS
        return self._parity.make(packed, source, count, delay_second=delay_second)

    def _resend_unrequested(self, newest: int, now: float) -> None:
        """Send again what may be lost while no feedback comes. Where bursts are lost, requests are lost as well, and
        the picture would freeze until one gets through."""
        since = self._packets.unacknowledged_since(now)
        if since is not None:
            self._resend(self._retransmitter.unrequested(since, newest, now, self._rtt.seconds or 0.0), now)

    def _resend(self, packets: Sequence[RtpPacketDraft], now: float) -> None:
        self._packets.send_urgent(packets, now)
        self._stats.retransmitted += len(packets)

    # Time

    def tick(self, now: float) -> None:
        """Do what is due."""
        if self._stopped:
            return
        self._admission.tick(now, self._packets.admits)
        if now >= self._reports.deadline:
            self._report(now)
        if now >= self._tail_probes.deadline:
            self._send_tail_probe(now)
        self._schedule()

    def _report(self, now: float) -> None:
        stats = self._stats
        report = self._reports.make(stats.packets, stats.payload_bytes, self._parameters.cname, now)
        self._outlet.transmit_rtcp(report)

    def _send_tail_probe(self, now: float) -> None:
        """Send the last packet again.

        Byte for byte, and not as a retransmission: libwebrtc looks for gaps behind media packets only (if it did
        arrive, the copy is dropped as a replay), and one SRTP index must never encrypt two plaintexts.
        """
        self._packets.repeat_last(self.ssrc)
        self._packets.send_urgent(self._parity.delayed(self._media.timestamp), now)
        self._tail_probes.probe_sent(now)
        self._stats.tail_probes += 1

    def _schedule(self) -> None:
        self.deadline = min(self._reports.deadline, self._tail_probes.deadline, self._admission.deadline)

    # Feedback

    def flushed(self, now: float) -> None:
        """Packets of this sender were discarded before they left: a keyframe must make up for them."""
        if not self._stopped:
            self._admission.flushed(now)
            self._schedule()

    def loss_reset(self) -> None:
        """The loss measured so far was not the path's: frames were not late because of it."""
        self._playout_delay.reset()

    def feed(self, feedback: rtcp.Feedback, now: float) -> None:
        """Take feedback of the viewer about this sender's SSRC."""
        if isinstance(feedback, rtcp.Nack):
            self._retransmit(feedback, now)
        elif isinstance(feedback, rtcp.KeyframeRequest):
            self._stats.keyframe_requests += 1
            self._admission.viewer_requests_keyframe(now, self._interval.newest_at)
        elif isinstance(feedback, rtcp.ReceptionReport):
            self._stats.loss, self._stats.jitter_s = feedback.fraction_lost, feedback.jitter / RTP_CLOCK_HZ
            rtt_s = feedback.rtt(now)
            if rtt_s is not None:
                self._rtt.add_report(rtt_s)

    def _retransmit(self, nack: rtcp.Nack, now: float) -> None:
        if self._stopped or self._admission.needs_keyframe or not self._packets.admits(now):
            # More would only be lost like those before; a keyframe will make it needless.
            return
        # The viewer asks again after a round trip. It does not know how long the answer waits here and on the path.
        rtt_s, lossy = (self._rtt.seconds or 0.0) + self._packets.queueing_delay_s, self._packets.loses_repairs
        answered_s = rtt_s * INSISTENT_RTT_FRACTION if lossy else rtt_s
        again = self._retransmitter.requested(self._media.useful(nack.sequences), now, answered_s, twice=lossy)
        if self._retransmitter.payload_type is not None:
            self._stats.nacks += len(nack.sequences)
        self._resend(again, now)

    def make_padding(self, size_bytes: int) -> RtpPacketDraft | None:
        """A packet of about this size, or smaller, that changes nothing for the viewer; None if there is none."""
        return self._retransmitter.make_padding(size_bytes) if not self._stopped else None
