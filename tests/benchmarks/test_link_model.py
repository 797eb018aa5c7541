"""The link as arithmetic, with time and random numbers as arguments."""

from __future__ import annotations

import itertools
from random import Random

import pytest

from benchmarks.link_model import Direction, Link, Loss, Phase, pair, soonest


def direction(phase: Phase, seed: int = 1) -> Direction:
    return Direction(Link.steady(phase), Random(seed))


def arrivals(one: Direction) -> list[tuple[float, bytes]]:
    """Each packet with the time it arrives; the link's deadlines are the only times asked for."""
    came = []
    while (due := one.deadline) is not None:
        came += [(due, packet) for packet in one.pop(due)]
    return came


def test_a_packet_arrives_after_the_delay_and_not_before():
    one = direction(Phase(delay=0.1))
    one.push(b"x", now=5.0)
    assert one.deadline == pytest.approx(5.1)
    assert one.pop(5.0999) == []
    assert one.pop(5.1) == [b"x"]
    assert one.deadline is None


def test_a_wire_of_finite_rate_spaces_packets():
    one = direction(Phase(rate=8e6))  # one byte a microsecond
    for _ in range(3):
        one.push(bytes(1000), now=0.0)
    assert [at for at, _ in arrivals(one)] == pytest.approx([0.001, 0.002, 0.003])


def test_the_wire_is_free_again_after_a_pause():
    one = direction(Phase(rate=8e6))
    one.push(bytes(1000), now=0.0)
    one.push(bytes(1000), now=1.0)
    assert [at for at, _ in arrivals(one)] == pytest.approx([0.001, 1.001])


def test_a_full_queue_drops_what_comes_last():
    one = direction(Phase(rate=8e6, queue=0.1))
    for number in range(200):
        one.push(number.to_bytes(2, "big") + bytes(998), now=0.0)
    came = [int.from_bytes(packet[:2], "big") for _, packet in arrivals(one)]
    assert came == list(range(100))
    assert one.counters.overflowed == 100


def test_a_slow_link_still_queues_ten_packets():
    one = direction(Phase(rate=1e5, queue=0.01))
    for _ in range(20):
        one.push(bytes(1500), now=0.0)
    assert len(arrivals(one)) == 10


def test_jitter_varies_the_delay_but_never_the_order():
    one = direction(Phase(delay=0.05, jitter=0.02))
    for number in range(500):
        one.push(number.to_bytes(2, "big"), now=number / 1000)
    came = arrivals(one)
    assert [int.from_bytes(packet, "big") for _, packet in came] == list(range(500))
    spread = {round(at - number / 1000, 3) for number, (at, _) in enumerate(came)}
    assert len(spread) > 20


@pytest.mark.parametrize("burst", [1, 4, 10])
@pytest.mark.parametrize("rate", [0.01, 0.1, 0.3])
def test_the_configured_fraction_is_lost(rate: float, burst: float):
    one = direction(Phase(loss=Loss(rate, burst)))
    for _ in range(200_000):
        one.push(b"", now=0.0)
    assert one.counters.lost / 200_000 == pytest.approx(rate, rel=0.15)


def test_bursts_have_the_configured_length():
    one = direction(Phase(loss=Loss(0.1, burst=4)))
    fates = []
    for _ in range(100_000):
        before = one.counters.lost
        one.push(b"", now=0.0)
        fates.append(one.counters.lost > before)
    runs = [len(list(group)) for lost, group in itertools.groupby(fates) if lost]
    assert sum(runs) / len(runs) == pytest.approx(4, rel=0.1)


def test_a_schedule_changes_the_link_and_its_last_phase_lasts():
    link = Link((Phase(delay=0.01), Phase(delay=0.2)), (0.0, 10.0))
    one = Direction(link, Random(1), began=100.0)
    for now, delay in ((50.0, 0.01), (109.9, 0.01), (110.0, 0.2), (999.0, 0.2)):
        one.push(b"x", now)
        assert one.deadline == pytest.approx(now + delay)
        one.pop(now + delay)


def test_a_shorter_delay_does_not_let_packets_overtake():
    one = Direction(Link((Phase(delay=0.5), Phase(delay=0.0)), (0.0, 1.0)), Random(1))
    one.push(b"first", 0.9)
    one.push(b"second", 1.1)
    assert one.pop(1.3) == []
    assert one.pop(1.4) == [b"first", b"second"]


def test_the_same_seed_gives_the_same_link():
    def fates(seed: int) -> list[int]:
        down, up = pair(Link.steady(Phase(loss=Loss(0.5))), seed, 0.0)
        for one in (down, up):
            for number in range(64):
                one.push(bytes([number]), 0.0)
        return [packet[0] for one in (down, up) for packet in one.pop(1.0)]

    assert fates(3) == fates(3) != fates(4)


def test_the_sooner_deadline_of_both_directions_counts():
    down, up = pair(Link.steady(Phase(delay=0.1)), 1, 0.0)
    assert soonest((down, up)) is None
    up.push(b"x", 2.0)
    down.push(b"x", 1.0)
    assert soonest((down, up)) == pytest.approx(1.1)


@pytest.mark.parametrize(("rate", "burst"), [(-0.1, 1), (1.0, 1), (0.1, 0.5)])
def test_impossible_losses_are_refused(rate: float, burst: float):
    with pytest.raises(ValueError, match="must be below 1"):
        Loss(rate, burst)


def test_phases_begin_one_after_the_other():
    with pytest.raises(ValueError, match="one after the other"):
        Link((Phase(), Phase()), (0.0,))
    with pytest.raises(ValueError, match="one after the other"):
        Link((Phase(), Phase()), (5.0, 1.0))
