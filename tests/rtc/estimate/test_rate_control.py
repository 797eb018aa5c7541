"""The delay-based estimate: up slowly, down at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from framewire.rtc.estimate.rate_control import BACKOFF_FACTOR, AimdRateControl, RateControlInput

FINE = RateControlInput(
    usage="normal",
    acked_bps=5e6,
    newest_acked_bps=5e6,
    sent_bps=5e6,
    application_limited=False,
    response_s=0.05,
    standing_queue_s=0.0,
)
FULL = replace(FINE, usage="overuse", newest_acked_bps=4e6)
LIMITED = replace(FINE, acked_bps=1e6, newest_acked_bps=1e6, sent_bps=1e6, application_limited=True)
MIN = 150e3


def control(start_bps: float = 5e6) -> AimdRateControl:
    made = AimdRateControl(start_bps, MIN)
    made.update(FINE, 0.0)
    return made


def run(made: AimdRateControl, signals: RateControlInput, seconds: float, since: float = 0.0) -> float:
    for step in range(1, int(seconds * 10) + 1):
        made.update(replace(signals, acked_bps=made.bits_per_second), since + step / 10)
    return made.bits_per_second


def test_the_estimate_grows_by_eight_percent_a_second_where_the_link_was_never_full():
    assert run(control(), FINE, 5) == pytest.approx(5e6 * 1.08**5, rel=0.01)


def test_the_first_update_only_begins_the_increase():
    made = AimdRateControl(5e6, MIN)
    made.update(FINE, 10.0)
    assert made.bits_per_second == 5e6
    made.update(FINE, 10.1)
    assert made.bits_per_second == pytest.approx(5e6 * 1.08**0.1)


def test_one_update_increases_for_at_most_a_second():
    made = control()
    made.update(replace(FINE, acked_bps=9e6), 30.0)
    assert made.bits_per_second == pytest.approx(5e6 * 1.08)


def test_a_very_low_estimate_grows_by_a_kilobit_a_second_at_least():
    made = AimdRateControl(5000, 1000)
    made.update(replace(FINE, acked_bps=5000), 0.0)
    made.update(replace(FINE, acked_bps=5000), 0.5)
    assert made.bits_per_second == pytest.approx(5500)


def test_the_estimate_does_not_grow_before_it_is_known_what_arrives():
    made = control()
    made.update(replace(FINE, acked_bps=None), 0.1)
    assert made.bits_per_second == 5e6


def test_the_estimate_never_runs_far_ahead_of_what_arrives():
    made = control()
    for step in range(1, 200):
        made.update(replace(FINE, acked_bps=4e6), step / 10)
    assert made.bits_per_second == pytest.approx(1.5 * 4e6 + 10_000)
    made.update(replace(FINE, acked_bps=1e6), 20.0)
    assert made.bits_per_second == pytest.approx(1.5 * 4e6 + 10_000), "and does not fall for it"


def test_the_estimate_falls_below_what_arrives_when_the_queue_grows():
    made = control()
    made.update(FULL, 0.1)
    assert made.bits_per_second == pytest.approx(BACKOFF_FACTOR * 4e6) == pytest.approx(3.4e6)
    assert made.decreased_at == 0.1


def test_a_decrease_never_raises_the_estimate():
    made = control(3e6)
    made.update(FULL, 0.1)
    assert made.bits_per_second == 3e6


def test_a_decrease_goes_by_the_estimate_before_it_is_known_what_arrives():
    made = control()
    made.update(replace(FULL, newest_acked_bps=None), 0.1)
    assert made.bits_per_second == pytest.approx(0.85 * 5e6)


def test_a_link_that_shrank_is_believed_though_it_was_never_full():
    made = control(20e6)
    little = replace(FULL, application_limited=True, acked_bps=8e6, newest_acked_bps=6e6, sent_bps=8e6)
    made.update(little, 0.1)
    assert made.bits_per_second > 8e6, "few packets measure badly"
    made.update(replace(little, shrunk_to_bps=2e6), 0.11)
    assert made.bits_per_second == pytest.approx(BACKOFF_FACTOR * 2e6)
    made.update(replace(little, shrunk_to_bps=1.5e6), 0.12)
    assert made.bits_per_second == pytest.approx(BACKOFF_FACTOR * 2e6), "the first cannot show yet"


@pytest.mark.parametrize(("response_s", "interval_s"), [(0.01, 0.05), (0.12, 0.12), (0.9, 0.3)])
def test_a_second_decrease_waits_for_a_response_time(response_s: float, interval_s: float):
    made = control()
    full = replace(FULL, response_s=response_s)
    made.update(full, 1.0)
    made.update(replace(full, newest_acked_bps=3e6), 1.0 + interval_s - 0.001)
    assert made.bits_per_second == pytest.approx(BACKOFF_FACTOR * 4e6)
    made.update(replace(full, newest_acked_bps=3e6), 1.0 + interval_s + 0.001)
    assert made.bits_per_second == pytest.approx(BACKOFF_FACTOR * 3e6)


@pytest.mark.parametrize(("acked", "waits"), [(1.69e6, False), (1.71e6, True)])
def test_a_decrease_does_not_wait_where_not_even_half_arrives(acked: float, waits: bool):
    made = control()
    made.update(FULL, 0.1)
    made.update(replace(FULL, newest_acked_bps=acked), 0.12)
    assert (made.bits_per_second == pytest.approx(BACKOFF_FACTOR * 4e6)) == waits


@pytest.mark.parametrize("signals", [replace(FULL, newest_acked_bps=None), replace(LIMITED, usage="overuse")])
def test_a_decrease_waits_where_it_is_not_known_what_the_link_takes(signals: RateControlInput):
    made = control()
    made.update(FULL, 0.1)
    made.update(signals, 0.12)
    assert made.bits_per_second == pytest.approx(BACKOFF_FACTOR * 4e6)


def test_the_estimate_grows_by_a_packet_in_a_response_time_near_where_the_link_was_full():
    made = control()
    made.update(FULL, 0.1)
    before = made.bits_per_second
    made.update(FINE, 0.2)
    assert made.bits_per_second == before
    made.update(replace(FINE, acked_bps=4e6), 0.3)
    frame_bits = before / 30
    packet_bits = frame_bits / 12
    assert packet_bits < 9600 < frame_bits / 11, "12 packets of at most 1200 bytes"
    assert made.bits_per_second - before == pytest.approx(packet_bits / (0.05 + 0.1) * 0.1)


@pytest.mark.parametrize(("rate", "packet_bits"), [(0.25e6, 0.25e6 / 30), (0.34e6, 0.34e6 / 60)])
def test_a_packet_is_what_a_frame_of_thirty_a_second_is_divided_into(rate: float, packet_bits: float):
    made = control()
    made.set(rate, link_full=True)
    made.update(replace(FINE, acked_bps=rate), 0.1)
    assert made.bits_per_second - rate == pytest.approx(packet_bits / (0.05 + 0.1) * 0.1)


def test_the_additive_increase_is_at_least_four_kilobits_a_second():
    made = AimdRateControl(200e3, MIN)
    slow = replace(FINE, acked_bps=170e3, newest_acked_bps=170e3, sent_bps=170e3, response_s=2.0)
    made.update(replace(slow, usage="overuse"), 1.0)
    before = made.bits_per_second
    made.update(slow, 1.1)
    made.update(slow, 1.6)
    assert before == MIN and made.bits_per_second == pytest.approx(MIN + 0.5 * 4000)


def test_the_estimate_grows_fast_again_once_the_link_is_wider_than_it_was():
    made = control()
    made.update(FULL, 0.1)
    made.update(FINE, 0.2)
    before = made.bits_per_second
    made.update(replace(FINE, acked_bps=4.2e6), 0.7)
    assert made.bits_per_second == pytest.approx(before * 1.08**0.5)


def test_a_link_that_became_narrower_is_full_at_its_new_capacity():
    """Were the old one kept, what arrives would seem to be far below where the link is full, and then far above."""
    made = control()
    made.update(FULL, 1.0)
    made.update(replace(FULL, newest_acked_bps=2e6), 2.0)
    made.update(replace(FINE, acked_bps=2e6), 2.1)
    before = made.bits_per_second
    made.update(replace(FINE, acked_bps=2.05e6), 2.2)
    assert made.bits_per_second - before < before * 0.004, "a packet in a response time"
    before = made.bits_per_second
    made.update(replace(FINE, acked_bps=2.2e6), 2.3)
    assert made.bits_per_second == pytest.approx(before * 1.08**0.1)


def test_a_link_that_is_full_at_about_the_same_bitrate_again_is_known_better():
    made = control()
    made.update(FULL, 1.0)
    made.update(replace(FULL, newest_acked_bps=3.9e6), 2.0)
    made.update(FINE, 2.1)
    before = made.bits_per_second
    made.update(replace(FINE, acked_bps=4.08e6), 2.2)
    assert made.bits_per_second - before < before * 0.004, "near both, and too much for the second alone"


def test_a_probe_sets_the_estimate_and_resets_the_capacity():
    made = control()
    made.update(FULL, 0.1)
    made.set(9e6, link_full=False)
    assert made.bits_per_second == 9e6
    assert run(made, FINE, 2, since=0.1) == pytest.approx(9e6 * 1.08**2, rel=0.02)


def test_a_probe_that_did_not_find_the_link_full_leaves_its_capacity_unknown():
    made = control()
    made.set(4e6, link_full=True)
    made.set(4.05e6, link_full=False)
    made.update(replace(FINE, acked_bps=4.05e6), 0.1)
    assert made.bits_per_second == pytest.approx(4.05e6 * 1.08**0.1)


def test_a_probe_that_found_the_link_full_leaves_little_to_gain():
    made = control()
    made.set(4e6, link_full=True)
    gained = run(made, replace(FINE, acked_bps=4e6), 1) - 4e6
    assert 0 < gained < 0.03 * 4e6


def test_the_estimate_holds_while_the_queue_empties():
    made = control()
    made.update(FULL, 0.1)
    before = made.bits_per_second
    assert run(made, replace(FINE, usage="underuse"), 3, since=0.1) == before
    made.update(FINE, 3.3)
    assert made.bits_per_second == before, "and begins to grow with the second message after that"


def test_the_estimate_holds_for_a_message_after_an_emptying_queue():
    made = control()
    made.update(replace(FINE, usage="underuse"), 0.1)
    made.update(FINE, 0.2)
    assert made.bits_per_second == 5e6


def test_the_estimate_holds_for_a_message_after_a_growing_queue():
    made = control()
    made.update(replace(FULL, newest_acked_bps=9e6), 0.1)
    made.update(FINE, 0.2)
    assert made.bits_per_second == 5e6


def test_an_application_limited_stream_does_not_raise_its_estimate():
    made = control()
    for step in range(1, 50):
        made.update(LIMITED, step / 10)
    assert made.bits_per_second == 5e6


def test_an_application_limited_stream_keeps_its_estimate_where_all_arrives():
    made = control()
    made.update(replace(LIMITED, usage="overuse", acked_bps=0.81e6), 6.0)
    assert made.bits_per_second == pytest.approx(BACKOFF_FACTOR * 5e6), "nearly all of what was sent arrived"
    before = made.bits_per_second
    made.update(replace(LIMITED, usage="overuse", acked_bps=0.79e6, newest_acked_bps=0.5e6), 7.0)
    assert made.bits_per_second == before / 2, "much of it did not, but few packets measure badly"
    made.update(replace(LIMITED, usage="overuse", acked_bps=None), 8.0)
    assert made.bits_per_second == before / 4, "nor is it known that all did"


@pytest.mark.parametrize(("queue", "full"), [(0.1, False), (0.11, True)])
def test_an_application_limited_stream_with_a_long_queue_has_filled_the_link(queue: float, full: bool):
    made = control()
    for step in range(1, 9):
        made.update(replace(LIMITED, usage="overuse", newest_acked_bps=0.9e6, standing_queue_s=queue), float(step))
    assert made.bits_per_second == pytest.approx(BACKOFF_FACTOR * 0.9e6 if full else 1.5e6)


def test_an_application_limited_stream_keeps_the_room_to_grow():
    made = control(40e6)
    sent = replace(LIMITED, usage="overuse", acked_bps=14e6, newest_acked_bps=14e6, sent_bps=14e6)
    for step in range(1, 50):
        made.update(sent, float(step))
    assert made.bits_per_second == pytest.approx(1.5 * 14e6)


def test_the_estimate_is_never_below_the_minimum():
    made = control()
    for step in range(1, 100):
        made.update(replace(FULL, newest_acked_bps=1000.0), step)
    assert made.bits_per_second == MIN
    made.halve(200)
    assert made.bits_per_second == MIN
    made.set(10.0, link_full=True)
    assert made.bits_per_second == MIN


def test_without_feedback_the_estimate_is_halved():
    made = control()
    made.halve(1.0)
    assert made.bits_per_second == 2.5e6
    made.update(FINE, 1.1)
    assert made.bits_per_second == pytest.approx(2.5e6 * 1.08**0.1), "the time without feedback is no time to grow"
