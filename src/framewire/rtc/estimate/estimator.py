"""How much the way to one viewer takes: one estimate for all that a peer connection sends. Must not know packets'
contents, sockets or clocks.

Delay says first that the link is full, loss says it where queues are short, and probes say when it is wider
than what is sent; silence means that nothing gets through.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from framewire.rtc.estimate.acked_bitrate import SHORT_WINDOW, SlidingRate
from framewire.rtc.estimate.loss_control import LossControl
from framewire.rtc.estimate.probing import ProbeCluster, Prober
from framewire.rtc.estimate.rate_control import RateControl, Signals
from framewire.rtc.estimate.trendline import DelayDetector, Usage
from framewire.rtc.rtp.twcc import PacketResult

START_BPS = 2_000_000
MIN_BPS = 150_000
"""Bits a second. Below, no picture is worth the name; and it takes so much to hear that the link is back."""
HEADROOM = 1.5
"""Times what the streams can use that the estimate looks for: room for frames to leave in one go."""
LIMITED = 0.7
"""Of the estimate: who sends less does not learn about the link."""
SILENCE = 1.0
"""Seconds without feedback, while packets leave, after which the estimate is halved; and again each half."""
UNANSWERED = 10
"""Packets, at least, that the silence is about."""

CALM_QUEUE = 0.03
"""Seconds of queue up to which a probe may be sent."""
CALM_TIME = 1.0
"""Seconds since the queue last grew, likewise."""

OVERFLOW_LOSS, OVERFLOW_QUEUE = 0.03, 0.01
"""Fraction lost, and seconds beyond noise that even the luckiest packet waited, that together mean a short queue is
full."""
STANDING = 0.008
"""Seconds beyond noise that even the luckiest packet waits where there is a queue at all."""
NOISE = 2.0
"""Times the spread of delays: on a way whose delay varies, even the luckiest of a few packets waits so long."""
HOPELESS = 0.25
"""Fraction lost from which no probe is sent."""

DRAIN_ABOVE = 0.06
"""Seconds of queue that are left to the usual 15 %; what is longer was made by a link that shrank, and each
frame would wait in it."""
COLLAPSE = 0.6
"""Of what is sent: a link that takes less has shrunk so far that what is under way is of no use any more."""
OVERFLOWING = 0.3
"""Of the packets that one message tells of: so many are not lost by chance."""
EVEN = 0.25
"""Of the time in which packets arrive: the longest gap between two behind a full link. Where the viewer's machine was
busy, they come in lumps."""
DRAIN_LEAST = 0.4
DRAIN_LONGEST = 3.0
"""Seconds after a decrease. A queue that stays is somebody else's, and would stay however little we send."""


class BandwidthEstimator:
    """What is sent and what comes back, to bits a second."""

    def __init__(self, start: float = START_BPS, floor: float = MIN_BPS) -> None:
        self.useful_bps = 20_000_000.0
        """Bits a second that all streams together can use."""
        self._delay = DelayDetector()
        self._control = RateControl(start, floor)
        self._loss = LossControl(floor)
        self._prober = Prober()
        self._floor = floor
        self._arrived = SlidingRate()
        self._arriving = SlidingRate(SHORT_WINDOW)
        self._sent = SlidingRate()
        self._rtt = 0.1
        self._heard = False
        self._unanswered = 0
        self._unanswered_since = self._ticked_at = 0.0
        self._probing: int | None = None
        self._shrunk_to: float | None = None
        self._flooded = False
        self.collapsed = False
        """Whether the newest feedback says that the link has shrunk far below what is sent."""
        self._newest_sent_at = self._newest_waited = self._last_sent_at = 0.0
        self._overflowed: float | None = None
        """Seconds that packets waited in a queue that lost others, since the link has shrunk."""

    @property
    def bits_per_second(self) -> float:
        """The estimate, everything included that has a sequence number."""
        rate = min(self._control.bits_per_second, self._loss.bits_per_second)
        return max(rate, self._floor)

    @property
    def queueing_delay_s(self) -> float:
        """Seconds that packets wait on the way."""
        return self._delay.queue

    @property
    def loss_fraction(self) -> float:
        """Fraction of packets lost of late."""
        return self._loss.loss_fraction

    def sent_uncongested(self, outcome: PacketResult) -> bool:
        """Whether a packet met no queue of ours that was full, as far as is known."""
        return self._quiet and outcome.sent_at > self._control.decreased_at

    @property
    def hidden_queue_revealed(self) -> bool:
        """Whether the newest feedback shows that the packets before it met a queue, though none was known of."""
        return self._delay.revealed

    @property
    def rtt(self) -> float:
        """Seconds, with the time that the viewer holds feedback back."""
        return self._rtt

    @property
    def newest_acked_sent_at(self) -> float:
        """When the newest packet left that is known to have arrived."""
        return self._newest_sent_at

    def target_bps(self, now: float) -> float:
        """What to send: the estimate, or less for as long as a queue of our own has to empty."""
        rate, queue = self.bits_per_second, self._delay.queue
        if queue <= DRAIN_ABOVE or now - self._control.decreased_at > DRAIN_LONGEST:
            return rate
        return max(rate * max(1 - (queue - DRAIN_ABOVE), DRAIN_LEAST), self._floor)

    def backlog_s(self, outstanding_bytes: int, now: float) -> float:
        """Seconds that a packet would wait on the way that leaves now, behind so many octets of which nothing is known:
        what the newest one known of waited, and those after it, less the time since. Where a queue was seen to
        overflow, the last one waits no longer than the queue is long."""
        waits = self._newest_waited + outstanding_bytes * 8 / self.bits_per_second - (now - self._newest_sent_at)
        if self._overflowed is not None:
            waits = min(waits, self._overflowed - (now - self._last_sent_at))
        return max(waits, 0.0)

    def sent(self, octets: int, now: float, packets: int = 1) -> None:
        """So many packets leave, of so many octets together."""
        self._sent.add(now, octets)
        self._last_sent_at = now
        if not self._unanswered:
            self._unanswered_since = now
        self._unanswered += packets

    def feed(self, outcomes: Sequence[PacketResult], now: float) -> None:
        """A feedback message came in."""
        self._heard, self._unanswered = True, 0
        self.collapsed = False
        arrivals = [(o.arrived_at, o) for o in outcomes if o.arrived_at is not None]
        arrivals.sort(key=lambda arrival: arrival[0])
        if not outcomes:
            return
        for outcome in outcomes:
            if outcome.arrived_at is None and outcome.probe_id is not None:
                self._prober.lost(outcome)
        self._rtt += (max(now - max(o.sent_at for o in outcomes), 0.0) - self._rtt) / 8
        sent = self._sent.bits_per_second(now)
        self._measure(arrivals, sent, now)
        self._count(outcomes)
        signals = self._signals(sent)
        self._control.update(signals, now)
        decreased = self._control.decreased_at == now
        if decreased:
            self._prober.lost_ground(now)
        if sum(outcome.arrived_at is None for outcome in outcomes) > OVERFLOWING * len(outcomes):
            self._overflowed = max(self._overflowed or 0.0, self._newest_waited)
        self.collapsed = decreased and self._shrunk_to is not None and self._shrunk_to < COLLAPSE * signals.sent
        if self.collapsed:
            self._overflowed = None
            # What was sent before it says nothing against what is sent from now on.
            self._sent = SlidingRate()
        self._loss.update(self.bits_per_second, self._rtt, now, congested=not self._quiet)
        self._conclude(now)

    def _measure(self, arrivals: Sequence[tuple[float, PacketResult]], sent: float, now: float) -> None:
        media: list[tuple[float, float]] = []
        passed = [(arrived_at, outcome.size) for arrived_at, outcome in arrivals]
        self._arrived.add_all(passed)
        self._arriving.add_all(passed)
        for arrived_at, outcome in arrivals:
            if outcome.probe_id is None:
                media.append((outcome.sent_at, arrived_at))
            else:
                self._prober.arrived(outcome)
                if outcome.probe_id != self._probing:
                    # From here on the queue holds what the probe put there.
                    self._probing = outcome.probe_id
                    self._delay.skip()
        self._delay.add(media, now)
        self._shrunk_to = self._shrunk(passed, sent)
        if arrivals:
            arrived_at, newest = arrivals[-1]
            self._newest_sent_at = newest.sent_at
            self._newest_waited = self._delay.waited(arrived_at - newest.sent_at)

    def _shrunk(self, passed: Sequence[tuple[float, int]], sent: float) -> float | None:
        """Bits a second that a link lets through which has become too narrow for what is ``sent``; None if it has not.
        Where its queue only begins to fill it must be far too narrow, as any large frame fills a queue."""
        self._flooded = self._delay.flooded
        rate = _link_rate(passed) if self._delay.flooded or self._delay.fills else None
        if rate is not None and self._delay.fills and rate < COLLAPSE * sent:
            self._flooded = True
        return rate if self._flooded else None

    def _count(self, outcomes: Sequence[PacketResult]) -> None:
        """Packets that left before the last decrease tell what was wrong before it, and that is known."""
        since = [o for o in outcomes if o.sent_at > self._control.decreased_at]
        arrived = sum(o.arrived_at is not None for o in since)
        late = sum(o.late for o in since)
        self._loss.add(arrived - late, len(since) - arrived, late)

    def _signals(self, sent: float) -> Signals:
        return Signals(
            usage=self._usage,
            arrived=self._arrived.bits_per_second() if self._arrived.known else None,
            arriving=self._arriving.bits_per_second() if self._arriving.known else None,
            sent=sent,
            limited=sent < LIMITED * self.bits_per_second,
            rtt=self._rtt,
            standing=self._delay.standing,
            shrunk_to=self._shrunk_to,
        )

    @property
    def _usage(self) -> Usage:
        queue = self._delay.queue
        noise = NOISE * self._delay.spread
        if self._loss.loss_fraction > OVERFLOW_LOSS and queue > OVERFLOW_QUEUE + 2 * noise:
            # A short queue that is full loses packets and grows no more.
            return "overuse"
        if self._flooded:
            return "overuse"
        if self._delay.usage == "overuse" and self._delay.standing < STANDING + noise:
            # A lump that was larger than the one before, or a machine that was busy: others came without a wait.
            return "underuse"
        return self._delay.usage

    def _calm(self, now: float) -> bool:
        return self._quiet and now - self._control.decreased_at > CALM_TIME and self._loss.loss_fraction < HOPELESS

    @property
    def _quiet(self) -> bool:
        return self._usage == "normal" and self._delay.queue < CALM_QUEUE + NOISE * self._delay.spread

    def _conclude(self, now: float) -> None:
        first = self._prober.first
        found = self._prober.result(now, self._delay.spread)
        if found is None or self._usage == "overuse":
            return
        # The start came from nowhere, so that a full link holds either way.
        if found.bits_per_second > self._control.bits_per_second or (first and found.full):
            self._control.set(found.bits_per_second, full=found.full)
            self._loss.raise_to(found.bits_per_second)

    def next_probe(self, now: float) -> ProbeCluster | None:
        """A probe to be sent now, if one is due."""
        if not self._heard:
            # Not before it is known that the first packets do not queue already.
            return None
        return self._prober.next(
            self.bits_per_second, HEADROOM * self.useful_bps, now, self._delay.spread, calm=self._calm(now)
        )

    def tick(self, now: float) -> None:
        """Look whether nothing is heard any more, ten times a second or so. A viewer that was never heard may not
        give feedback at all."""
        stood_still, self._ticked_at = now - self._ticked_at > SILENCE / 2, now
        if stood_still:
            # So did whoever reads what is heard.
            self._unanswered_since = now
        if self._heard and self._unanswered >= UNANSWERED and now - self._unanswered_since >= SILENCE:
            self._unanswered_since = now - SILENCE / 2
            self._control.halve(now)
            self._prober.lost_ground(now)


def _link_rate(passed: Sequence[tuple[float, int]]) -> float | None:
    """Bits a second of what arrived one by one, as behind a link that is full; None if it did not."""
    times = [at for at, _ in passed]
    span = times[-1] - times[0] if times else 0.0
    if span <= 0 or max(after - before for before, after in pairwise(times)) > EVEN * span:
        return None
    return sum(octets for _, octets in passed[1:]) * 8 / span
