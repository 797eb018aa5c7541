"""One subscription's RTP sender: units in, packets out, the viewer's RTCP back into events.

Must not know aiortc, sockets, clocks or encoders: packets leave through the peer's `SendController`, ``now`` is an
argument (seconds since the Unix epoch, steady), and its owner calls `tick` at `deadline`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from framewire.frame import rtp_timestamp
from framewire.rtc.events import KeyframeWanted, PeerStats
from framewire.rtc.repair.protection import PlayoutDelay
from framewire.rtc.repair.retransmission import Origin, Retransmitter
from framewire.rtc.rtp import rtcp
from framewire.rtc.rtp.flexfec import SourceHeader, fec_payload
from framewire.rtc.rtp.packets import Draft, Extensions, RtpUnit
from framewire.rtc.send.controller import SendController

MAX_QUEUED = 2
"""Units that may wait for the socket. A third is dropped: late, it is worth less than the next in time."""
KEYFRAME_REPEAT = 0.25
"""Seconds until a keyframe that did not come is asked for again."""
PROBES = (0.04, 0.08, 0.16, 0.32)
"""Seconds of silence before the last packet is sent again, first and after each."""
REPORT_INTERVAL = 1.0
ROOM_CHECK = 0.01
"""Seconds between two looks whether there is room again for a sender that has sent more than the way takes."""
MAX_INTERVAL = 0.1
"""Seconds between two frames that still are motion."""

REST, INSISTS = 2.0, 1.0
"""Seconds without a unit after which a viewer that asks for a keyframe has only waited for long (libwebrtc: three
seconds); one that lacks something does so several times a second."""
LATER = 1.5
"""Intervals that a viewer must hold frames back for parities to be of use that come with the next frame."""
INSISTENT = 0.6
"""Of the round trip: who asks again so long after an answer gets another, where repairs are lost like all else."""
FARTHEST = 0x4000
"""Packets for which a keyframe is remembered: more than are kept for sending again."""

NEVER = float("inf")


class Outlet(Protocol):
    """Where RTCP leaves, and what is known of the socket."""

    def transmit_rtcp(self, compound: bytes) -> None:
        """Encrypt RTCP and hand it to the socket. Never blocks, never raises."""
        ...

    def idle(self) -> bool:
        """Whether the socket took everything it was handed."""
        ...


@dataclass(frozen=True, slots=True)
class SenderParameters:
    """What the negotiation came to."""

    payload_type: int
    rtx_payload_type: int | None
    fec_payload_type: int | None
    extensions: Mapping[str, int]
    mid: str
    cname: str


class UnitSender:
    """Sends the units of one subscription from `start` to `stop`."""

    def __init__(
        self,
        sub: int,
        media: Origin,
        rtx: Origin,
        fec: Origin,
        flow: SendController,
        outlet: Outlet,
        on_event: Callable[[KeyframeWanted], None],
        hold: float = 0.0,
    ) -> None:
        """``hold``: seconds that the viewer shall hold frames back, at least."""
        self.sub = sub
        self.ssrc = media.ssrc
        self.stats = PeerStats()
        self.deadline = NEVER
        self._sequence = media.sequence
        self._repairs = Retransmitter(rtx)
        self._fec_ssrc, self._fec_sequence = fec.ssrc, fec.sequence
        self._flow = flow
        self._outlet = outlet
        self._on_event = on_event
        self._parameters: SenderParameters | None = None
        self._extensions = Extensions({}, "")
        self._time_us = -1
        self._timestamp = 0
        self._needs_keyframe = True
        self._asked_at = -NEVER
        self._queued = 0
        self._sent_at = self._requested_at = -NEVER
        self._interval = 1 / 30
        self._keyframe_at = media.sequence
        self._late_parities: list[bytes] = []
        self._patience = PlayoutDelay(hold)
        self._forgiven = flow.forgiven
        self._held = 0.0
        self._probes_left: tuple[float, ...] = ()
        self._room_at = self._probe_at = self._report_at = NEVER

    @property
    def started(self) -> bool:
        return self._parameters is not None

    def start(self, parameters: SenderParameters, now: float, rtt: float | None = None) -> None:
        """Begin: ask for the keyframe that everything waits for. ``rtt``: seconds of round trip, where they are known
        before the viewer reports."""
        self._parameters = parameters
        self.stats = replace(self.stats, rtt_s=rtt)
        self._extensions = self._repairs.extensions = Extensions(parameters.extensions, parameters.mid)
        self._repairs.payload_type = parameters.rtx_payload_type
        self._ask(now)

    def stop(self) -> None:
        """Send nothing more. The next offer tells the viewer; an RTCP BYE would end a stock aiortc receiver
        for good, and its slot with it."""
        self._parameters = None
        self._repairs.clear()
        self._late_parities = []
        for ssrc in (self.ssrc, self._repairs.ssrc, self._fec_ssrc):
            self._flow.forget(ssrc)
        self.deadline = NEVER

    def send(self, packed: RtpUnit, now: float) -> bool:
        """Send a unit, or drop it and say False: the viewer could not decode it, or is too slow for it."""
        if self._parameters is None or not self._admits(packed, now):
            self.stats = replace(self.stats, frames_dropped=self.stats.frames_dropped + 1)
            if self.started:
                # Whoever is refused sends nothing more until it is asked to.
                self._room_at = now + ROOM_CHECK
                self._schedule()
            return False
        self._timestamp = self._next_timestamp(packed.unit.time_us)
        self._transmit(packed, self._parameters, now)
        if self._report_at == NEVER:
            # The first report right behind the first frame: until it comes, the viewer knows no capture time.
            self._report(now)
        self._schedule()
        return True

    def _admits(self, packed: RtpUnit, now: float) -> bool:
        if not self._flow.admits(now):
            # A keyframe is of no use before there is room for it.
            self._needs_keyframe = True
            self._repairs.forget_copies()
            self._late_parities = []
            return False
        self._make_up()
        if self._outlet.idle():
            self._queued = 0
        if self._queued >= MAX_QUEUED:
            self._needs_keyframe = True
        elif packed.unit.keyframe:
            self._needs_keyframe = False
        if self._needs_keyframe:
            self._ask(now)
        return not self._needs_keyframe

    def _make_up(self) -> bool:
        """Whether packets of ours were thrown out, which only a keyframe makes needless."""
        robbed = self.ssrc in self._flow.robbed
        self._flow.robbed.discard(self.ssrc)
        self._needs_keyframe |= robbed
        return robbed

    def _ask(self, now: float) -> None:
        if now - self._asked_at >= KEYFRAME_REPEAT:
            self._asked_at = now
            self._on_event(KeyframeWanted(self.sub))

    def _next_timestamp(self, time_us: int) -> int:
        """The publish time on the RTP clock; one tick on where a frame is sent again, as two units with one
        timestamp would be one frame to the viewer."""
        if time_us <= self._time_us:
            return (self._timestamp + 1) & 0xFFFFFFFF
        self._time_us = time_us
        return rtp_timestamp(time_us)

    def _transmit(self, packed: RtpUnit, parameters: SenderParameters, now: float) -> None:
        self._hold(parameters)
        first, count = self._sequence, len(packed.payloads)
        if packed.unit.keyframe:
            self._keyframe_at = first
            # Made needless by it, and it wants the room.
            self._repairs.forget_copies()
        elif (first - self._keyframe_at) & 0xFFFF > FARTHEST:
            # Half a circle on, what comes after it would seem to come before.
            self._keyframe_at = (first - FARTHEST) & 0xFFFF
        kind, timestamp, ssrc, extensions = parameters.payload_type, self._timestamp, self.ssrc, self._extensions
        drafts = [
            Draft(kind, index == count - 1, (first + index) & 0xFFFF, timestamp, ssrc, extensions, payload)
            for index, payload in enumerate(packed.payloads)
        ]
        self._repairs.add(first, timestamp, packed.payloads, now)
        self._sequence = (first + count) & 0xFFFF
        interval = self._measured_interval(now)
        late = self._waiting_parities()
        parities = self._protection(packed, first, parameters, interval, now)
        self._flow.send(drafts, [*late, *parities], interval, now)
        self._flow.repair(self._repairs.copies(), now)
        self._repair_unasked(first, now)
        self._queued += 1
        self._probes_left = PROBES
        self._probe_at = now + PROBES[0]
        self.stats = replace(
            self.stats,
            frames_sent=self.stats.frames_sent + 1,
            packets=self.stats.packets + len(packed.payloads),
            octets=self.stats.octets + sum(map(len, packed.payloads)),
        )

    def _protection(
        self, packed: RtpUnit, first: int, parameters: SenderParameters, interval: float, now: float
    ) -> list[Draft]:
        """Parity packets for a unit whose packets are numbered from ``first``."""
        packets, rtt = len(packed.payloads), self.stats.rtt_s or 0.0
        able = parameters.fec_payload_type is not None
        count = self._flow.parity_count(packets, rtt, interval) if able else 0
        if self._flow.forgiven != self._forgiven:
            self._forgiven = self._flow.forgiven
            self._patience.forget()
        self._patience.look(self._flow.lateness(packets, count, rtt, interval), rtt, self.stats.jitter_s or 0.0, now)
        if not count:
            return []
        header = SourceHeader(parameters.payload_type, self.ssrc, self._timestamp, first, self._extensions.block(0.0))
        at_once, later = ([fec_payload(parity, header) for parity in turn] for turn in packed.parities(count))
        if self._held > interval * LATER:
            # There is time, and what is sent apart is not lost together.
            self._late_parities = later
        else:
            at_once += later
        return self._parity_packets(at_once, parameters)

    def _waiting_parities(self) -> list[Draft]:
        """Those of the last unit that were to come with the next, or when there is none."""
        payloads, self._late_parities = self._late_parities, []
        return self._parity_packets(payloads, self._parameters) if self._parameters and payloads else []

    def _hold(self, parameters: SenderParameters) -> None:
        """How long the viewer holds frames back from this one on. Packets that still wait keep what they were given,
        as parities cover it."""
        if self._patience.seconds != self._held:
            self._held = self._patience.seconds
            self._extensions = Extensions(parameters.extensions, parameters.mid, self._held)
            self._repairs.extensions = self._extensions

    def _parity_packets(self, payloads: Sequence[bytes], parameters: SenderParameters) -> list[Draft]:
        kind, first = parameters.fec_payload_type, self._fec_sequence
        assert kind is not None, "protection was negotiated"
        self._fec_sequence = (first + len(payloads)) & 0xFFFF
        timestamp, ssrc, extensions = self._timestamp, self._fec_ssrc, self._extensions
        return [
            Draft(kind, False, (first + index) & 0xFFFF, timestamp, ssrc, extensions, payload)
            for index, payload in enumerate(payloads)
        ]

    def _repair_unasked(self, newest: int, now: float) -> None:
        """Send what is on its way once more while nothing is heard of the viewer: on a way that loses in bursts its
        requests are lost like all else, and the picture would stand until one gets through."""
        since = self._flow.unheard(now)
        if since is not None:
            self._resend(self._repairs.unasked(since, newest, now, self.stats.rtt_s or 0.0), now)

    def _resend(self, again: Sequence[Draft], now: float) -> None:
        self._flow.repair(again, now)
        self.stats = replace(self.stats, retransmitted=self.stats.retransmitted + len(again))

    def _measured_interval(self, now: float) -> float:
        """Seconds between frames, as they come of late."""
        self._interval += (min(now - self._sent_at, MAX_INTERVAL) - self._interval) / 8
        self._sent_at = now
        return self._interval

    def tick(self, now: float) -> None:
        """Do what is due."""
        if self._parameters is None:
            return
        if self._make_up() or now >= self._room_at:
            self._look_for_room(now)
        if now >= self._report_at:
            self._report(now)
        if now >= self._probe_at:
            self._probe(now)
        self._schedule()

    def _report(self, now: float) -> None:
        assert self._parameters is not None, "only a started sender reports"
        self._report_at = now + REPORT_INTERVAL
        sent = self.stats.packets, self.stats.octets
        cname = self._parameters.cname.encode()
        self._outlet.transmit_rtcp(rtcp.sender_report(self.ssrc, now, sent, cname))

    def _look_for_room(self, now: float) -> None:
        self._room_at = NEVER
        if self._needs_keyframe:
            self._room_at = now + ROOM_CHECK
            if self._flow.admits(now):
                self._ask(now)

    def _probe(self, now: float) -> None:
        """Send the last packet again: a viewer notices a gap only when something follows it.

        As it was, bit by bit, and not as a retransmission: libwebrtc looks for gaps behind media packets only
        (one that did arrive is dropped as a replay), and one SRTP index must never protect two texts.
        """
        self._flow.repeat(self.ssrc)
        self._flow.repair(self._waiting_parities(), now)
        self._probes_left = self._probes_left[1:]
        self._probe_at = now + self._probes_left[0] if self._probes_left else NEVER
        self.stats = replace(self.stats, probes=self.stats.probes + 1)

    def _schedule(self) -> None:
        self.deadline = min(self._report_at, self._probe_at, self._room_at)

    def feed(self, feedback: rtcp.Feedback, now: float) -> None:
        """Take feedback of the viewer about this sender's SSRC."""
        if isinstance(feedback, rtcp.Nack):
            self._repair(feedback, now)
        elif isinstance(feedback, rtcp.KeyframeRequest):
            self.stats = replace(self.stats, keyframe_requests=self.stats.keyframe_requests + 1)
            before, self._requested_at = self._requested_at, now
            rests = REST < now - self._sent_at < NEVER
            if not rests or now - before < INSISTS:
                self._on_event(KeyframeWanted(self.sub))
        elif isinstance(feedback, rtcp.ReceptionReport):
            rtt = feedback.rtt(now)
            self.stats = replace(
                self.stats,
                loss=feedback.loss,
                jitter_s=feedback.jitter / 90_000,
                rtt_s=self.stats.rtt_s if rtt is None else rtt,
            )

    def _repair(self, nack: rtcp.Nack, now: float) -> None:
        if not self.started or self._needs_keyframe or not self._flow.admits(now):
            # More would only be lost like those before; a keyframe will make it needless.
            return
        # The viewer asks again after a round trip, and knows of no queue that the answer waits in.
        rtt, lossy = (self.stats.rtt_s or 0.0) + self._flow.delay(), self._flow.loses_repairs
        # It does so a little sooner than an answer can be there: refused, it would wait for as long once more.
        again = self._repairs.asked(self._needed(nack), now, rtt * INSISTENT if lossy else rtt, twice=lossy)
        if self._repairs.payload_type is not None:
            self.stats = replace(self.stats, nacks=self.stats.nacks + len(nack.sequences))
        self._resend(again, now)

    def _needed(self, nack: rtcp.Nack) -> list[int]:
        """What is not made needless by a keyframe after it. Where much is lost at once, all of it asked for again
        would keep the keyframe out that ends the need."""
        return [number for number in nack.sequences if (number - self._keyframe_at) & 0xFFFF < 0x8000]

    def pad(self, octets: int) -> Draft | None:
        """A packet of about so many octets, or fewer, that tells the viewer nothing new: sent for its length."""
        return self._repairs.pad(octets) if self.started else None
