"""Everything that one peer connection sends: numbered, paced, and no more than the way takes. Must not know what is
in the packets, sockets or clocks.

Without control it hands packets through as they come, as for a viewer that gives no feedback on each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from framewire.rtc.estimate.estimator import START_BPS, BandwidthEstimator
from framewire.rtc.estimate.loss import LossModel
from framewire.rtc.repair.protection import ceiling, lateness, parity_count
from framewire.rtc.rtp.twcc import MalformedFeedback, TransportFeedbackAdapter
from framewire.rtc.send.pacer import NEVER, Pacer

HEADERS = 28
"""Octets of IPv4 and UDP: the link carries them too."""
OVERHEAD = HEADERS + 48
"""With RTP header, extensions and the cipher's tag, about."""
TICK = 0.1
"""Seconds between two looks at whether a probe is due, or nothing is heard."""
INTERVAL = 0.1
"""Seconds between two estimates told, if they rise."""
REMINDER = 1.0
"""Seconds after which an estimate is told again: whoever subscribed meanwhile has not heard it."""
MATTERS = 0.02
"""Of an estimate: a smaller change is not told."""
GENTLE_LOSS = 0.02
"""Fraction lost from which frames leave more evenly."""
MUCH = 0.02
"""Fraction lost from which repairs leave twice."""
NEARLY_EMPTY, LONGEST_DRAIN = 0.03, 1.0
"""Seconds of backlog at which a link that has shrunk is taken to be free again, as the keyframe takes its time to be
made; and at most until then."""
REST = 1.5
"""Seconds without a frame after which nothing more is found out about the way: a scene at rest costs nothing."""
DEAF, USUAL = 2.2, 0.25
"""Times the usual time between two messages of feedback after which requests may be lost as they are, and seconds that
this is at most."""
OF_LATE = 8
"""Frames that what they weigh with all that protects them is taken over: loss that begins doubles it at once."""
SHARE, SLOWEST_START = 0.8, 400_000
"""Of what another connection takes on the same way: what is tried at first, and bits a second that are in any case. It
may have lost packets that say nothing of the way's width, and what it takes is about to end."""
MOST_LOSS = 0.25
"""Of what is sent, kept for sending it again."""


class Draft(Protocol):
    """A packet but for what is known only when it leaves."""

    @property
    def ssrc(self) -> int: ...

    @property
    def octets(self) -> int:
        """Of payload, padding included."""
        ...

    def write(self, now: float, transport_sequence: int | None) -> bytes:
        """The packet, leaving at ``now`` under this transport-wide number."""
        ...


class Exit(Protocol):
    """Where packets leave."""

    def protect(self, packets: list[bytes]) -> list[bytes]:
        """The packets encrypted."""
        ...

    def transmit(self, packets: list[bytes]) -> None:
        """Hand encrypted packets to the socket. Never blocks, never raises."""
        ...


class SendController:
    """The one way out of a peer connection, for all its senders."""

    def __init__(
        self, outlet: Exit, on_estimate: Callable[[int], None], most: Callable[[float], float] = ceiling
    ) -> None:
        """``on_estimate`` is told the bits a second of media that fit, headers and repairs taken off; never more than
        ``most`` says for the fraction that is lost."""
        self._most = most
        self._outlet = outlet
        self._on_estimate = on_estimate
        self._estimator = BandwidthEstimator()
        self._wanted = self._estimator.useful_bps
        self._adapter = TransportFeedbackAdapter()
        self._losses = LossModel()
        self._pacer: Pacer[Draft] = Pacer(self._estimator.bits_per_second)
        self._tails: dict[int, tuple[bytes, int | None]] = {}
        self._tick_at = NEVER
        self._draining_until = self._framed_at = -NEVER
        self._told = 0
        self._told_at = -NEVER
        self._payload, self._wire = 9_500.0, 10_000.0
        self._heard_at, self._heard_every = NEVER, 0.1
        self.forgiven = 0
        """Times that what had been lost turned out to be no trait of the way: what was concluded from it is wrong."""
        self.robbed: set[int] = set()
        """SSRCs of which packets were thrown out. Whoever makes up for them by a keyframe takes them off."""
        self.pad: Callable[[int], Draft | None] = lambda octets: None
        """Makes a packet of about so many octets that no viewer minds; None if there is none to make."""

    @property
    def controlled(self) -> bool:
        return self._tick_at != NEVER

    @property
    def deadline(self) -> float:
        """When to `tick`."""
        return min(self._tick_at, self._pacer.deadline)

    def want(self, bits_per_second: float) -> None:
        """So much is of use, all streams together: no need to look for more."""
        self._wanted = self._estimator.useful_bps = bits_per_second

    def control(self, now: float, speed: float | None = None) -> None:
        """From now on every packet is numbered, and feedback on them will come. ``speed``: bits a second that another
        connection on the same way takes, if that is known: no more is tried at first."""
        if not self.controlled:
            if speed is not None and speed < START_BPS:
                self._estimator = BandwidthEstimator(max(speed * SHARE, SLOWEST_START))
                self._estimator.useful_bps, self._pacer = self._wanted, Pacer(self._estimator.bits_per_second)
            self._tick_at = now + TICK
            self._tell(now)

    # Out

    def admits(self, now: float) -> bool:
        """Whether a frame may be sent; one that may not would only make all after it late."""
        return not self.controlled or (not self._drains(now) and self._pacer.admits(now))

    def _drains(self, now: float) -> bool:
        """Whether what was sent before the link shrank still fills it."""
        if (
            now < self._draining_until
            and self._estimator.backlog_s(self._adapter.outstanding_bytes, now) < NEARLY_EMPTY
        ):
            self._draining_until = -NEVER
        return now < self._draining_until

    def delay(self) -> float:
        """Seconds that a packet waits now, here and on the way."""
        return self._pacer.waiting() + self._estimator.queueing_delay_s if self.controlled else 0.0

    def parity_count(self, packets: int, rtt: float, interval: float) -> int:
        """Parities for a frame of so many packets; see `protection.parity_count`."""
        count = parity_count(packets, *self._losses.assumed(rtt), rtt, interval)
        # A frame that is refused costs more than one that waits for a repair.
        return round(count * min(1.0, 2 * self._pacer.room))

    @property
    def loses_repairs(self) -> bool:
        """Whether so much is lost that a repair should leave twice."""
        return self._losses.fraction > MUCH

    def unheard(self, now: float) -> float | None:
        """Since when nothing is known of what left, if feedback is overdue where much is lost: a viewer that lacks
        something cannot say so."""
        if not self.loses_repairs or self._pacer.room < 0.5:
            return None
        overdue = now - self._heard_at > DEAF * self._heard_every
        return self._estimator.newest_acked_sent_at if overdue else None

    def lateness(self, packets: int, count: int, rtt: float, interval: float) -> float:
        """Of frames of so many packets and parities; see `protection.lateness`."""
        return lateness(packets, count, self._losses.fraction, self._losses.burst, rtt, interval)

    def send(self, drafts: Sequence[Draft], parities: Sequence[Draft], interval: float, now: float) -> None:
        """Send a frame and what protects it; frames come about ``interval`` seconds apart."""
        self._framed_at = now
        if not self.controlled:
            self._leave([(draft, None) for draft in (*drafts, *parities)], now)
            return
        payload = sum(draft.octets for draft in drafts)
        everything = [*drafts, *parities]
        wire = sum(draft.octets for draft in everything) + len(everything) * OVERHEAD
        self._payload += (payload - self._payload) / OF_LATE
        self._wire += (wire - self._wire) / OF_LATE
        if self._pacer.passes(wire, interval, now):
            self._leave([(draft, None) for draft in everything], now)
        else:
            self._pacer.push(_weighed(everything), interval, now)
            self._release(now)

    def repair(self, drafts: Sequence[Draft], now: float) -> None:
        """Send packets before all others that wait: somebody waits for them."""
        if not self.controlled:
            self._leave([(draft, None) for draft in drafts], now)
            return
        self._pacer.push_urgent(_weighed(drafts), now)
        self._release(now)

    def repeat(self, ssrc: int) -> None:
        """Send the newest packet of this SSRC again, bit by bit."""
        if ssrc in self._tails:
            packet, number = self._tails[ssrc]
            if number is not None:
                self._adapter.exclude(number)
            self._outlet.transmit([packet])

    def forget(self, ssrc: int) -> None:
        """Nothing of this SSRC shall leave any more."""
        self._tails.pop(ssrc, None)
        self._pacer.keep(lambda draft: draft.ssrc != ssrc)

    def _release(self, now: float) -> None:
        """Let go of what may leave, and pad a probe that the media does not fill."""
        leaving = self._pacer.pop(now)
        while room := self._pacer.padding(now):
            number, octets = room
            draft = self.pad(octets)
            if draft is None:
                self._pacer.cancel_probe()
                break
            leaving.append((draft, number))
            self._pacer.padded(_weight(draft), now)
        self._leave(leaving, now)

    def _leave(self, drafts: Sequence[tuple[Draft, int | None]], now: float) -> None:
        if not drafts:
            return
        # Write all, encrypt all, send all: in one burst, and with fewer handovers of the interpreter lock.
        if self.controlled:
            first = self._adapter.next_sequence_number
            written = [draft.write(now, (first + index) & 0xFFFF) for index, (draft, _) in enumerate(drafts)]
            packets = self._outlet.protect(written)
            self._account(drafts, packets, now)
        else:
            packets = self._outlet.protect([draft.write(now, None) for draft, _ in drafts])
            self._tails.update((draft.ssrc, (packet, None)) for (draft, _), packet in zip(drafts, packets, strict=True))
        self._outlet.transmit(packets)

    def _account(self, drafts: Sequence[tuple[Draft, int | None]], packets: Sequence[bytes], now: float) -> None:
        self._estimator.sent(sum(map(len, packets)) + HEADERS * len(packets), now, len(packets))
        sent, tails = self._adapter.sent, self._tails
        for (draft, probe), packet in zip(drafts, packets, strict=True):
            tails[draft.ssrc] = packet, sent(len(packet) + HEADERS, now, probe)

    # Back

    def feed(self, fci: bytes, now: float) -> None:
        """Take transport-wide feedback; what cannot be understood, or was not asked for, is dropped."""
        if not self.controlled:
            return
        try:
            outcomes = self._adapter.feed(fci)
        except MalformedFeedback:
            return
        if now > self._heard_at:
            self._heard_every += (min(now - self._heard_at, USUAL) - self._heard_every) / 8
        self._heard_at = now
        self._estimator.feed(outcomes, now)
        if self._estimator.collapsed:
            # Whatever waits, here or there, or is lost of it, keeps out the keyframe that makes it needless.
            self.robbed |= {draft.ssrc for draft in self._pacer.clear()}
            self._draining_until = now + LONGEST_DRAIN
        # What a full queue drops is no trait of the way.
        if outcomes and self._estimator.hidden_queue_revealed:
            self._losses = LossModel()
            self.forgiven += 1
        self._losses.feed([o for o in outcomes if o.probe_id is None and self._estimator.sent_uncongested(o)])
        self._steer(now)
        self._release(now)

    def tick(self, now: float) -> None:
        """Do what is due."""
        if not self.controlled:
            return
        if now >= self._tick_at:
            self._tick_at = now + TICK
            self._estimator.tick(now)
            self._steer(now)
        self._release(now)

    def _steer(self, now: float) -> None:
        self._pacer.set_rate(self._estimator.target_bps(now), now, gentle=self._estimator.loss_fraction > GENTLE_LOSS)
        probe = self._estimator.next_probe(now) if now - self._framed_at < REST else None
        if probe is not None:
            self._pacer.begin(probe, now)
        self._tell(now)

    def _tell(self, now: float) -> None:
        usable = self._estimator.target_bps(now) * self._payload / self._wire
        repairs = self._losses.fraction * (2 if self.loses_repairs else 1)
        estimate = int(min(usable * (1 - min(repairs, MOST_LOSS)), self._most(self._losses.fraction)))
        since = now - self._told_at
        fell = estimate < self._told * (1 - MATTERS)
        rose = estimate > self._told * (1 + MATTERS) and since >= INTERVAL
        if fell or rose or since >= REMINDER:
            self._told, self._told_at = estimate, now
            self._on_estimate(estimate)


def _weighed(drafts: Sequence[Draft]) -> list[tuple[Draft, int]]:
    return [(draft, _weight(draft)) for draft in drafts]


def _weight(draft: Draft) -> int:
    """About what it will weigh on the link."""
    return draft.octets + OVERHEAD
