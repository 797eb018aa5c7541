"""Sending under congestion control."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import pytest

from framewire.rtc.estimate.estimator import START_BPS, BandwidthEstimator
from framewire.rtc.estimate.loss import LossModel
from framewire.rtc.estimate.probe_bitrate import ProbeCluster
from framewire.rtc.repair import fec_policy
from framewire.rtc.rtp.twcc import TransportFeedbackAdapter
from framewire.rtc.send.controller import SendController
from framewire.rtc.send.deadline import NEVER
from framewire.rtc.send.media_bitrate import REMIND_INTERVAL_S, MediaBitrate
from framewire.rtc.send.pacer import Pacer
from tests.rtc.linksim import feedback


@dataclass(frozen=True)
class Draft:
    ssrc: int
    payload_bytes: int
    name: str = "media"

    def write(self, now: float, transport_sequence: int | None) -> bytes:
        return f"{self.name} {transport_sequence} {now} ".encode().ljust(self.payload_bytes, b".")


@dataclass
class Socket:
    """An outlet that keeps what leaves; encryption is a byte in front."""

    sent: list[bytes] = field(default_factory=list)
    bursts: int = 0

    def protect(self, packets: list[bytes]) -> list[bytes]:
        return [b"#" + packet for packet in packets]

    def transmit(self, packets: list[bytes]) -> None:
        self.sent += packets
        self.bursts += 1

    @property
    def names(self) -> list[str]:
        return [" ".join(packet.decode().split()[:2]) for packet in self.sent]

    def left_at(self, index: int) -> float:
        return float(self.sent[index].decode().split()[2])


class Rig(SendController):
    """A started controller, and what it did."""

    def __init__(self, **options: Any) -> None:
        self.socket = Socket()
        self.bitrates: list[int] = []
        self.flushed: list[tuple[Set[int], float]] = []
        self.resets = 0
        self.now = 1000.0
        super().__init__(
            self.socket,
            on_bitrate=self.bitrates.append,
            on_flushed=lambda ssrcs, now: self.flushed.append((ssrcs, now)),
            on_loss_reset=self._count_reset,
            **options,
        )
        self.start(1000.0)

    def _count_reset(self) -> None:
        self.resets += 1

    def send(self, packets: Sequence[Any], parities: Sequence[Any], interval_s: float, now: float) -> None:
        self.now = now
        super().send(packets, parities, interval_s, now)

    def run(self, until: float) -> float:
        """Tick until then; returns when something left last."""
        at, left = 0.0, len(self.socket.sent)
        while self.deadline < until:
            self.now = max(self.now, self.deadline)
            self.tick(self.now)
            if len(self.socket.sent) > left:
                at, left = self.now, len(self.socket.sent)
        return at

    def answer(self, frames: int, *, interval: float = 1 / 30, size: int = 3) -> None:
        """Send frames over a path that takes everything, with feedback on each."""
        arrived = len(self.socket.sent)
        for index in range(frames):
            now = 1000 + index * interval
            self.send([Draft(1, 1000)] * size, (), interval, now)
            self.run(now + interval)
            arrivals: list[float | None] = [
                self.socket.left_at(i) + 50 + 0.02 for i in range(arrived, len(self.socket.sent))
            ]
            self.feed(feedback(arrived + 1, arrivals, index & 255), now + interval - 0.0003)
            arrived += len(arrivals)


FRAME = [Draft(1, 1000)] * 3


@pytest.fixture
def rig():
    return Rig()


def padded(**options: Any) -> Rig:
    return Rig(make_padding=lambda size_bytes: Draft(2, min(size_bytes, 1100), "pad"), **options)


def test_all_packets_share_one_numbering(rig):
    rig.send(FRAME, (), 1 / 30, 1000.0)
    rig.send_urgent([Draft(2, 10, "again")], 1000.01)
    assert rig.socket.names[3:] == ["#again 4"]
    rig.send([Draft(3, 10, "other")], [Draft(4, 10, "parity")], 1 / 30, 1000.02)
    assert rig.socket.names == ["#media 1", "#media 2", "#media 3", "#again 4", "#other 5", "#parity 6"]


def test_numbers_use_all_of_sixteen_bits(rig):
    rig._feedback = TransportFeedbackAdapter(0xFFFF)
    rig.send(FRAME, (), 1 / 30, 1000.0)
    assert rig.socket.names == ["#media 65535", "#media 0", "#media 1"]


def test_all_bytes_on_the_link_are_counted(rig, monkeypatch):
    counted: list[tuple[int, float, int]] = []
    monkeypatch.setattr(
        BandwidthEstimator, "sent", lambda self, size, now, packets: counted.append((size, now, packets))
    )
    rig.send(FRAME, (), 1 / 30, 1000.0)
    # Each has 1000 bytes, one more when encrypted, and 28 of IP and UDP.
    assert counted == [(3 * 1029, 1000.0, 3)]
    assert rig._feedback.outstanding_bytes == 3 * 1029


def test_nothing_to_send_is_no_call_of_the_socket(rig):
    rig.send_urgent([], 1000.0)
    rig.tick(1000.01)
    assert rig.socket.bursts == 0


def test_the_estimator_gets_a_tick_ten_times_a_second(rig, monkeypatch):
    ticks: list[float] = []
    monkeypatch.setattr(BandwidthEstimator, "tick", lambda self, now: ticks.append(now))
    assert rig.deadline == pytest.approx(1000.1)
    rig.run(1000.35)
    assert ticks == pytest.approx([1000.1, 1000.2, 1000.3])


def test_before_the_start_nothing_is_due():
    controller = SendController(Socket(), on_bitrate=lambda bps: None)
    assert controller.deadline == NEVER


def test_a_large_frame_waits_and_the_deadline_says_how_long(rig):
    rig.send(FRAME * 10, (), 1 / 30, 1000.0)
    assert 0 < len(rig.socket.sent) < 30
    assert rig.queueing_delay_s > 0
    assert rig.run(1000.5) < 1000.2
    assert len(rig.socket.sent) == 30
    assert rig.queueing_delay_s == 0


def test_a_packet_waits_here_and_on_the_path(rig, monkeypatch):
    rig.send(FRAME * 10, (), 1 / 30, 1000.0)
    here = rig.queueing_delay_s
    monkeypatch.setattr(BandwidthEstimator, "queueing_delay_s", property(lambda self: 0.05))
    assert rig.queueing_delay_s == here + 0.05 > 0.05


def test_the_first_estimate_is_reported_at_once_and_repeated_every_second(rig):
    assert rig.bitrates == [0.95 * START_BPS]
    rig.run(1000 + 2.5 * REMIND_INTERVAL_S)
    assert rig.bitrates == [0.95 * START_BPS] * 3


def test_the_newest_packet_is_repeated_byte_for_byte_and_its_feedback_ignored(rig):
    rig.send(FRAME, (), 1 / 30, 1000.0)
    rig.repeat_last(1)
    assert rig.socket.sent[3] == rig.socket.sent[2]
    rig.repeat_last(77)
    assert len(rig.socket.sent) == 4
    assert len(rig._feedback) == 2


def test_nothing_of_a_removed_sender_leaves(rig):
    rig.send([Draft(1, 1000)] * 20, (), 1 / 30, 1000.0)
    rig.send([Draft(3, 1000, "other")] * 2, (), 1 / 30, 1000.0)
    left = len(rig.socket.sent)
    rig.remove(1)
    rig.run(1000.4)
    assert rig.socket.names[left:] == [f"#other {left + 1}", f"#other {left + 2}"]
    rig.repeat_last(1)
    assert len(rig.socket.sent) == left + 2


def test_invalid_feedback_changes_nothing(rig):
    for fci in (b"", b"\xff" * 40, feedback(900, [5.0] * 9, 0)):
        rig.feed(fci, 1000.1)
    assert len(rig.bitrates) == 1


def test_a_probe_is_padded():
    rig = padded()
    rig.answer(10)
    padding = [name for name in rig.socket.names if name.startswith("#pad")]
    assert len(padding) > 10, "three times 2 Mbit/s for 20 ms, and the frames are much smaller"


def test_a_probe_that_cannot_be_padded_is_cancelled(rig):
    rig.answer(10)
    assert len(rig.socket.sent) == 30


def test_a_still_scene_is_not_probed_for():
    rig = padded()
    rig.set_useful_bitrate(1e9)
    rig.answer(10)
    rig.run(1002)
    before = len(rig.socket.sent)
    # Feedback goes on, as for another stream; and there is more bandwidth to find.
    for index in range(100):
        rig.run(1002 + index / 10)
        arrival = rig.socket.left_at(before - 1) + 50
        rig.feed(feedback(before, [arrival], 60 + index & 255), 1002 + index / 10)
    assert len(rig.socket.sent) == before


def test_a_probe_is_thought_of_ten_times_a_second_until_the_scene_is_still(rig, monkeypatch):
    asked: list[float] = []
    monkeypatch.setattr(BandwidthEstimator, "next_probe", lambda self, now: asked.append(now))
    rig.run(1000.55)
    assert asked == [], "no frame was sent yet"
    rig.send(FRAME, (), 1 / 30, 1000.55)
    rig.run(1004)
    assert asked == pytest.approx([1000.6 + step / 10 for step in range(15)])


def test_the_scene_is_still_one_and_a_half_seconds_after_the_last_frame(rig, monkeypatch):
    asked: list[float] = []
    monkeypatch.setattr(BandwidthEstimator, "next_probe", lambda self, now: asked.append(now))
    rig.send(FRAME, (), 1 / 30, 1000.0)
    rig.tick(1001.5)
    assert asked == []


def test_a_probe_leaves_as_soon_as_feedback_allows_it(monkeypatch):
    rig = padded()
    rig.send(FRAME, (), 1 / 30, 1000.0)
    monkeypatch.setattr(BandwidthEstimator, "next_probe", lambda self, now: ProbeCluster(1, 8e6, 5000))
    rig.feed(feedback(1, [1050.02] * 3, 0), 1000.04)
    assert "#pad 4" in rig.socket.names


def test_a_scene_in_motion_is_probed_for():
    rig = padded()
    rig.set_useful_bitrate(1e9)
    rig.answer(60)
    assert rig.bitrates[-1] > 2 * rig.bitrates[0]
    assert len(rig.bitrates) <= 2 + 20, "ten times a second"


def test_no_more_is_looked_for_than_is_useful():
    rig = padded()
    rig.set_useful_bitrate(1e6)
    rig.answer(60)
    assert rig.bitrates[-1] < 2 * START_BPS


def test_headers_and_parity_are_taken_off_the_bitrate(rig):
    for index in range(100):
        rig.send([Draft(1, 100)], (), 1 / 30, 1000 + index / 30)
        rig.run(1000 + index / 30)
    assert rig.bitrates[-1] == pytest.approx(START_BPS * 100 / 176, rel=0.05)
    for index in range(100, 200):
        rig.send([Draft(1, 1000)], [Draft(3, 1000)], 1 / 30, 1000 + index / 30)
        rig.run(1000 + index / 30)
    assert rig.bitrates[-1] == pytest.approx(START_BPS * 1000 / 2152, rel=0.05)


def test_parity_makes_room_for_frames_while_more_is_sent_than_the_link_takes(rig, monkeypatch):
    monkeypatch.setattr(fec_policy, "parity_count", lambda *_: 8)
    counts = [rig.parity_count(8, 0.15, 1 / 30)]
    for _ in range(9):
        rig.send([Draft(1, 1000)] * 20, (), 1 / 30, 1000.0)
        counts.append(rig.parity_count(8, 0.15, 1 / 30))
    assert counts[:4] == [8] * 4, "half of the room is left"
    assert counts[4] == 7 and counts[-1] == 0
    assert counts == sorted(counts, reverse=True) and any(0 < count < 8 for count in counts)


def lossy(rig: Rig, fraction: float, frames: int = 60) -> float:
    """Lose packets evenly, with feedback on each frame; returns the time after it."""
    lost = 0.0
    for index in range(frames):
        now, first = 1000 + index / 30, len(rig.socket.sent)
        rig.send([Draft(1, 100)] * 10, (), 1 / 30, now)
        arrivals: list[float | None] = []
        for _ in range(10):
            lost += fraction
            arrivals.append(None if lost >= 1 else now + 50)
            lost -= lost >= 1
        rig.feed(feedback(first + 1, arrivals, index & 255), now + 0.01)
    return 1000 + frames / 30


@pytest.mark.parametrize(("fraction", "twice"), [(0.0, False), (0.015, False), (0.03, True)])
def test_repairs_leave_twice_once_two_percent_are_lost(rig, fraction, twice):
    lossy(rig, fraction, 150)
    assert rig.loses_repairs is twice


@pytest.mark.parametrize(("loss", "kept"), [(0.01, 0.01), (0.02, 0.02), (0.03, 0.06)])
def test_repairs_that_leave_twice_count_twice(rig, monkeypatch, loss, kept):
    retransmitted: list[float] = []
    rig._loss.fraction = loss
    monkeypatch.setattr(
        MediaBitrate, "update", lambda self, bandwidth, fraction, again, now: retransmitted.append(again)
    )
    rig.tick(1000.1)
    assert retransmitted == [kept]


def test_neither_probes_nor_what_left_into_a_full_queue_say_how_much_the_path_loses(monkeypatch):
    rig = padded()
    rig.send(FRAME, (), 1 / 30, 1000.0)
    rig.send(FRAME, (), 1 / 30, 1000.05)
    rig._pacer.start_probe(ProbeCluster(1, 8e6, 1000), 1000.06)
    rig.tick(1000.06)
    assert rig.socket.names[6:] == ["#pad 7"]
    counted: list[int] = []
    monkeypatch.setattr(BandwidthEstimator, "uncongested_since", property(lambda self: 1000.0))
    monkeypatch.setattr(LossModel, "feed", lambda self, results: counted.extend(each.sequence for each in results))
    rig.feed(feedback(1, [1050.1] * 7, 0), 1000.1)
    assert counted == [4, 5, 6]


def test_what_is_lost_is_kept_for_retransmissions(rig):
    before = rig.bitrates[-1]
    now = lossy(rig, 0.1, 150)
    rig.tick(now + 1.5)
    share = 1000 / (1000 + 10 * 76)
    assert rig._loss.fraction == pytest.approx(0.1, rel=0.2)
    target = rig._estimator.target_bps(now + 1.5)
    limit = fec_policy.max_media_bps(rig._loss.fraction)
    assert rig.bitrates[-1] == pytest.approx(min(target * share * (1 - 2 * rig._loss.fraction), limit), rel=0.02)
    assert rig.bitrates[-1] < before


@pytest.mark.parametrize(("loss", "factor"), [(0.0, 2.5), (0.02, 2.5), (0.0201, 1.3)])
def test_frames_leave_more_evenly_while_packets_are_lost(rig, loss, factor, monkeypatch):
    monkeypatch.setattr(BandwidthEstimator, "loss_fraction", property(lambda self: loss))
    rig.tick(1000.1)
    # Less than the queue time limit allows, or that would decide.
    packets = int(0.2 * factor * START_BPS / 8 / 1076)
    rig.send([Draft(1, 1000)] * packets, (), 1 / 30, 1000.1)
    took = rig.run(1000.7) - 1000.1
    assert took == pytest.approx(packets * 1076 * 8 / (factor * START_BPS), rel=0.1)


def test_feedback_that_is_overdue_on_a_lossy_path_is_noticed(rig, monkeypatch):
    for index in range(40):
        now = 1000 + index / 20
        rig.send([Draft(1, 100)], (), 1 / 30, now)
        rig.feed(feedback(len(rig.socket.sent), [now + 50], index), now + 0.01)
    last = 1000 + 39 / 20
    assert rig.unacknowledged_since(last + 0.5) is None, "nothing is lost here"
    monkeypatch.setattr(SendController, "loses_repairs", property(lambda rig: True))
    assert rig.unacknowledged_since(last + 0.06) is None
    assert rig.unacknowledged_since(last + 0.2) == pytest.approx(last)
    # Half of the room is taken, and then more.
    bytes_of_room = 0.6 * rig._estimator.target_bps(last) / 8
    rig.send([Draft(1, 924)] * int(0.45 * bytes_of_room / 1000), (), 1 / 30, last + 0.2)
    assert rig.unacknowledged_since(last + 0.2) == pytest.approx(last)
    rig.send([Draft(1, 924)] * int(0.1 * bytes_of_room / 1000), (), 1 / 30, last + 0.2)
    assert rig.unacknowledged_since(last + 0.2) is None
    monkeypatch.setattr(Pacer, "room", property(lambda self: 0.5))
    assert rig.unacknowledged_since(last + 0.2) == pytest.approx(last), "half of it is enough"


@pytest.fixture
def collapsed(rig, monkeypatch):
    """A link that has shrunk at 1000.05, with 0.2 s of backlog until 1000.3."""
    backlog = {"until": 1000.3}
    monkeypatch.setattr(
        BandwidthEstimator, "backlog_s", lambda self, size_bytes, now: 0.2 if now < backlog["until"] else 0.0
    )
    rig.backlog = backlog
    rig.send([Draft(7, 1100)] * 300, [Draft(8, 9)], 1 / 30, 1000)
    rig.left = len(rig.socket.sent)
    assert rig.left < 300
    with monkeypatch.context() as patch:
        patch.setattr(BandwidthEstimator, "feed", lambda self, results, now: setattr(self, "collapsed", True))
        rig.feed(feedback(1, [1050.0], 0), 1000.05)
    return rig


def test_when_the_link_collapses_waiting_packets_are_flushed_and_their_senders_told(collapsed):
    assert collapsed.flushed == [({7, 8}, 1000.05)]
    collapsed.tick(1000.2)
    assert len(collapsed.socket.sent) == collapsed.left


def test_a_link_that_shrank_is_left_to_drain(collapsed):
    assert not collapsed.admits(1000.2), "what left before is still on the path"
    assert collapsed.admits(1000.31)
    collapsed.backlog["until"] = 1010
    assert collapsed.admits(1000.32), "once is enough"


@pytest.mark.parametrize(("backlog_s", "drained"), [(0.031, False), (0.029, True)])
def test_a_link_has_drained_before_it_is_quite_empty(collapsed, monkeypatch, backlog_s, drained):
    monkeypatch.setattr(BandwidthEstimator, "backlog_s", lambda self, size_bytes, now: backlog_s)
    assert collapsed.admits(1000.2) is drained


def test_a_link_that_shrank_is_left_to_drain_for_a_second_at_most(collapsed):
    collapsed.backlog["until"] = 1010
    assert not collapsed.admits(1000.05 + 1.0 - 0.01)
    assert collapsed.admits(1000.05 + 1.0)


def test_what_a_full_queue_lost_before_it_was_known_is_not_the_paths_loss(rig):
    """Other traffic had filled the queue before the first packet, so the shortest delay known was a full queue's."""

    def message(count: int, delay: float, fates: list[bool]) -> None:
        now = 1000 + count / 10
        rig.send([Draft(1, 1000)] * len(fates), (), 1 / 30, now)
        arrivals = [now + delay if arrives else None for arrives in fates]
        rig.feed(feedback(1 + count * len(fates), arrivals, count), now)

    for count in range(5):
        message(count, 50.2, [True, False, False, True])
    assert rig.parity_count(4, 0.1, 1 / 30) > 0 and rig.loses_repairs and not rig.resets
    message(5, 50.02, [True] * 4)
    assert not rig.loses_repairs and rig.late_fraction(4, 0, 0.1, 1 / 30) == 0
    assert rig.resets == 1


@pytest.mark.parametrize(
    ("tcp_bps", "start_bps"),
    [
        (None, START_BPS),
        (50e6, START_BPS),
        (START_BPS, START_BPS),
        (1.9e6, 1.52e6),
        (1e6, 0.8e6),
        (1e5, 400_000),
    ],
)
def test_the_first_estimate_follows_the_delivery_rate_of_tcp(tcp_bps, start_bps):
    assert Rig(tcp_bps=tcp_bps).bitrates == [pytest.approx(0.95 * start_bps)]
