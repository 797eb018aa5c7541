"""The one way out of a peer connection."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from framewire.rtc.estimate.estimator import START_BPS, BandwidthEstimator
from framewire.rtc.send import controller as flow_module
from framewire.rtc.send.controller import REMINDER, SendController
from framewire.rtc.send.pacer import NEVER
from tests.rtc.linksim import feedback


@dataclass(frozen=True)
class Draft:
    ssrc: int
    octets: int
    name: str = "media"

    def write(self, now: float, transport_sequence: int | None) -> bytes:
        return f"{self.name} {transport_sequence} {now} ".encode().ljust(self.octets, b".")


@dataclass
class Socket:
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


FRAME = [Draft(1, 1000)] * 3


def controlled() -> tuple[SendController, Socket, list[int]]:
    socket, told = Socket(), list[int]()
    flow = SendController(socket, told.append)
    flow.control(1000.0)
    return flow, socket, told


def test_without_control_packets_go_through_as_they_come():
    socket, told = Socket(), list[int]()
    flow = SendController(socket, told.append)
    flow.send(FRAME * 100, (), 1 / 30, 1000.0)
    flow.repair([Draft(2, 10, "again")], 1000.0)
    assert len(socket.sent) == 301 and socket.bursts == 2
    assert socket.names[0] == "#media None" and socket.names[-1] == "#again None"
    assert flow.admits(1000.0) and flow.deadline == NEVER and not told
    flow.tick(1001.0)
    flow.feed(feedback(1, [5.0], 0), 1001.0)
    assert not told


def test_all_packets_share_one_numbering():
    flow, socket, _ = controlled()
    flow.send(FRAME, (), 1 / 30, 1000.0)
    flow.repair([Draft(2, 10, "again")], 1000.01)
    flow.send([Draft(3, 10, "other")], (), 1 / 30, 1000.02)
    assert socket.names == ["#media 1", "#media 2", "#media 3", "#again 4", "#other 5"]


def test_a_large_frame_waits_and_the_deadline_says_for_how_long():
    flow, socket, _ = controlled()
    flow.send(FRAME * 10, (), 1 / 30, 1000.0)
    assert 0 < len(socket.sent) < 30
    now = 1000.0
    while len(socket.sent) < 30:
        assert flow.deadline <= now + 0.1
        now = max(now, flow.deadline)
        flow.tick(now)
    assert now < 1000.2


def test_the_start_is_told_and_then_reminded_of():
    flow, _, told = controlled()
    assert len(told) == 1 and 0.9 * START_BPS < told[0] < START_BPS
    now = 1000.0
    while now < 1000 + 2.5 * REMINDER:
        now = flow.deadline
        flow.tick(now)
    assert told == [told[0]] * 3


def test_the_newest_packet_is_repeated_bit_by_bit_and_left_out_of_account():
    flow, socket, _ = controlled()
    flow.send(FRAME, (), 1 / 30, 1000.0)
    flow.repeat(1)
    assert socket.sent[3] == socket.sent[2]
    flow.repeat(77)
    assert len(socket.sent) == 4
    assert len(flow._adapter) == 2


def test_nothing_of_a_forgotten_sender_leaves():
    flow, socket, _ = controlled()
    flow.send([Draft(1, 1000)] * 20, (), 1 / 30, 1000.0)
    flow.send([Draft(3, 1000, "other")] * 2, (), 1 / 30, 1000.0)
    left = len(socket.sent)
    flow.forget(1)
    for step in range(1, 40):
        flow.tick(1000 + step / 100)
    assert socket.names[left:] == [f"#other {left + 1}", f"#other {left + 2}"]
    flow.repeat(1)
    assert len(socket.sent) == left + 2


def test_rubbish_for_feedback_changes_nothing():
    flow, _, told = controlled()
    for fci in (b"", b"\xff" * 40, feedback(900, [5.0] * 9, 0)):
        flow.feed(fci, 1000.1)
    assert len(told) == 1


def answered(flow: SendController, socket: Socket, frames: int, delay: float = 0.02) -> None:
    """Frames at 30 a second over a way that takes everything, feedback on each."""
    arrived = 0
    for index in range(frames):
        now = 1000 + index / 30
        flow.send(FRAME, (), 1 / 30, now)
        while flow.deadline < now + 1 / 30:
            flow.tick(flow.deadline)
        arrivals = [socket.left_at(i) + 50 + delay for i in range(arrived, len(socket.sent))]
        flow.feed(feedback(arrived + 1, arrivals, index & 255), now + 0.033)
        arrived += len(arrivals)


def test_a_probe_is_padded():
    flow, socket, _ = controlled()
    flow.pad = lambda octets: Draft(2, min(octets, 1100), "pad")
    answered(flow, socket, 10)
    padding = [name for name in socket.names if name.startswith("#pad")]
    assert len(padding) > 10, "three times 2 Mbit/s for 20 ms, and the frames are much smaller"


def test_a_scene_at_rest_is_not_probed_for():
    flow, socket, _ = controlled()
    flow.want(1e9)
    flow.pad = lambda octets: Draft(2, min(octets, 1100), "pad")
    answered(flow, socket, 10)
    while flow.deadline < 1002:
        flow.tick(flow.deadline)
    # Feedback goes on, as for a neighbour; what is known of the way could be more.
    before = len(socket.sent)
    for index in range(100):
        now = 1002 + index / 10
        while flow.deadline < now:
            flow.tick(flow.deadline)
        flow.feed(feedback(before, [socket.left_at(before - 1) + 50], 60 + index & 255), now)
    assert len(socket.sent) == before


def test_a_probe_that_cannot_be_padded_is_let_go():
    flow, socket, _ = controlled()
    answered(flow, socket, 10)
    assert len(socket.sent) == 30


def test_estimates_that_rise_are_told_ten_times_a_second_at_most():
    flow, socket, told = controlled()
    flow.want(1e9)
    flow.pad = lambda octets: Draft(2, min(octets, 1100), "pad")
    answered(flow, socket, 60)
    assert told[-1] > 2 * told[0]
    assert len(told) <= 2 + 20


def test_what_is_told_leaves_room_for_headers():
    flow, _, told = controlled()
    for index in range(400):
        flow.send([Draft(1, 100)], (), 1 / 30, 1000 + index / 30)
        flow.tick(1000 + index / 30)
    assert told[-1] == pytest.approx(START_BPS * 100 / 176, rel=0.05)


def test_what_is_told_follows_what_protects_frames_within_a_few_of_them():
    flow, _, told = controlled()
    for index in range(70):
        now = 1000 + index / 30
        flow.send([Draft(1, 1000)], [Draft(3, 1000)] if index >= 40 else (), 1 / 30, now)
        flow.tick(now)
        if index == 39:
            before = told[-1]
    assert told[-1] < 0.6 * before


def test_parities_leave_the_room_to_frames_where_more_is_sent_than_the_way_takes(monkeypatch):
    flow, _, _ = controlled()
    monkeypatch.setattr(flow_module, "parity_count", lambda *_: 8)
    counts = [flow.parity_count(8, 0.15, 1 / 30)]
    for _ in range(9):
        flow.send([Draft(1, 1000)] * 20, (), 1 / 30, 1000.0)
        counts.append(flow.parity_count(8, 0.15, 1 / 30))
    assert counts[0] == 8 and counts[-1] == 0
    assert counts == sorted(counts, reverse=True) and any(0 < count < 8 for count in counts)


def test_a_viewer_that_is_overdue_where_much_is_lost_is_not_heard(monkeypatch):
    flow, socket, _ = controlled()

    def hear(now: float) -> None:
        flow.send([Draft(1, 100)], (), 1 / 30, now)
        flow.feed(feedback(len(socket.sent), [now + 50], round(now * 10)), now + 0.01)

    for index in range(40):
        hear(1000 + index / 20)
    last = 1000 + 39 / 20
    assert flow.unheard(last + 0.5) is None, "nothing is lost here"
    monkeypatch.setattr(SendController, "loses_repairs", property(lambda flow: True))
    assert flow.unheard(last + 0.06) is None
    assert flow.unheard(last + 0.2) == pytest.approx(last)
    flow.send([Draft(1, 1000)] * 200, (), 1 / 30, last + 0.2)
    assert flow.unheard(last + 0.2) is None, "there is no room for more"


def test_when_the_link_collapses_what_waits_is_thrown_out_and_its_owner_told(monkeypatch):
    flow, socket, _ = controlled()
    monkeypatch.setattr(BandwidthEstimator, "backlog_s", lambda estimator, octets, now: 0.2 if now < 1000.3 else 0.0)
    flow.send([Draft(7, 1100)] * 300, (), 1 / 30, 1000)
    before = len(socket.sent)
    assert before < 300
    monkeypatch.setattr(
        BandwidthEstimator, "feed", lambda estimator, outcomes, now: setattr(estimator, "collapsed", True)
    )
    flow.feed(feedback(1, [1050.0], 0), 1000.05)
    assert flow.robbed == {7}
    flow.tick(1000.2)
    assert len(socket.sent) == before
    assert not flow.admits(1000.2), "what left before is still on the way"
    assert flow.admits(1000.31), "and owes nothing then"
    assert flow.admits(1000.1), "once it is over"


def test_what_a_queue_threw_away_before_it_was_known_is_no_trait_of_the_way():
    """Somebody else had filled it before the first packet, so that the shortest way known led through it."""
    flow, _, _ = controlled()

    def message(count: int, way: float, fates: list[bool]) -> None:
        now = 1000 + count / 10
        flow.send([Draft(1, 1000)] * len(fates), (), 1 / 30, now)
        flow.feed(feedback(1 + count * len(fates), [now + way if arrives else None for arrives in fates], count), now)

    for count in range(5):
        message(count, 50.2, [True, False, False, True])
    assert flow.parity_count(4, 0.1, 1 / 30) > 0 and flow.loses_repairs and not flow.forgiven
    message(5, 50.02, [True] * 4)
    assert not flow.loses_repairs and flow.lateness(4, 0, 0.1, 1 / 30) == 0
    assert flow.forgiven == 1


def test_what_another_connection_takes_on_the_same_way_is_not_exceeded_at_first():
    told = [list[int](), list[int](), list[int]()]
    for speed, says in zip((None, 1e6, 50e6), told, strict=True):
        flow = SendController(Socket(), says.append)
        flow.want(3e6)
        flow.control(1000.0, speed)
    unknown, thin, wide = (says[-1] for says in told)
    assert unknown == wide
    assert thin == pytest.approx(unknown * 0.8e6 / START_BPS, rel=0.01)
