"""The estimator alone: what it makes of feedback. `test_estimator_probes.py` is for its probes, and
`tests/rtc/test_simulated_links.py` runs it over whole links."""

from __future__ import annotations

import pytest

from framewire.rtc.estimate.estimator import MIN_BPS, START_BPS, BandwidthEstimator
from framewire.rtc.rtp.twcc import PacketResult
from tests.rtc.estimate.feed import Feed, M


def test_a_viewer_that_never_sent_feedback_is_not_overdue():
    estimator = BandwidthEstimator()
    for index in range(500):
        estimator.sent(1200, index * 0.01)
        estimator.tick(index * 0.01)
    assert estimator.bits_per_second == START_BPS


def test_a_process_that_was_stopped_halves_nothing():
    estimator = BandwidthEstimator()
    estimator.feed([PacketResult(1, 1.0, 1200, 71.0, None, late=False)], 1.0)
    for index in range(30):
        estimator.sent(1200, 1.1 + index * 0.001)
    for now in (1.2, 9.0, 9.1, 9.2):
        estimator.tick(now)
    assert estimator.bits_per_second == START_BPS
    for step in range(93, 105):
        estimator.tick(step / 10)
    assert estimator.bits_per_second == START_BPS / 2


def test_the_minimum_holds_whatever_comes():
    estimator = BandwidthEstimator()
    for index in range(200):
        lost = [PacketResult(index * 30 + i, index * 0.1, 1200, None, None, late=False) for i in range(30)]
        estimator.feed(lost, index * 0.1 + 0.05)
    assert estimator.bits_per_second == MIN_BPS
    assert estimator.target_bps(20.0) == MIN_BPS
    assert estimator.loss_fraction == 1.0


def collapsed_estimator() -> tuple[BandwidthEstimator, float]:
    """An estimator whose link has just shrunk to a tenth of what is sent."""
    estimator = BandwidthEstimator(start_bps=20 * M)
    now, queue, sequence = 1000.0, 0.0, 0
    for message in range(40):
        results = []
        for _ in range(20):
            sequence += 1
            now += 0.003
            estimator.sent(1200, now)
            queue += 0.0 if message < 38 else 0.0045
            results.append(PacketResult(sequence, now, 1200, now + 50 + queue, None, late=False))
        estimator.feed(results, now)
    return estimator, now


def test_a_collapse_is_reported_once_and_an_empty_message_reports_none():
    estimator, now = collapsed_estimator()
    assert estimator.collapsed
    assert estimator.bits_per_second < 2 * M
    estimator.feed([], now + 0.05)
    assert not estimator.collapsed


@pytest.mark.parametrize("arrivals", [[], [0.5], [0.5, 0.5, 0.5]])
def test_a_message_with_few_arrivals_after_a_collapse_is_understood(arrivals: list[float]):
    estimator, now = collapsed_estimator()
    lost = [PacketResult(2000 + i, now, 1200, None, None, late=False) for i in range(5)]
    came = [PacketResult(2010 + i, now, 1200, now + 50 + at, 7, late=False) for i, at in enumerate(arrivals)]
    estimator.feed(lost + came, now + 0.1)
    assert estimator.bits_per_second >= MIN_BPS


def shrinking(estimator: BandwidthEstimator, now: float, *, sent: float, passes: float) -> float:
    """One feedback message of packets that left at ``sent`` bits a second over a link that takes ``passes``, and whose
    queue was empty before. Returns the time."""
    results, arrival = [], now + 50.0
    for index in range(20):
        now += 1200 * 8 / sent
        arrival = max(arrival + 1200 * 8 / passes, now + 50)
        estimator.sent(1200, now)
        results.append(PacketResult(5000 + index, now, 1200, arrival, None, late=False))
    estimator.feed(results[6:], now + 0.1)
    return now


def running(estimator: BandwidthEstimator, rate: float) -> float:
    """Two seconds over a link that takes whatever is sent. Returns the time."""
    now = 1000.0
    for message in range(40):
        results = []
        for index in range(max(round(rate * 0.05 / 9600), 1)):
            now += 9600 / rate
            estimator.sent(1200, now)
            results.append(PacketResult(message * 100 + index, now, 1200, now + 50, None, late=False))
        estimator.feed(results, now)
    return now


def test_a_queue_that_begins_to_fill_at_a_tenth_of_what_is_sent_is_a_collapse_already():
    estimator = BandwidthEstimator(start_bps=20 * M)
    shrinking(estimator, running(estimator, 8 * M), sent=20 * M, passes=2 * M)
    assert estimator.queueing_delay_s < 0.05, "no packet waited long yet"
    assert estimator.collapsed
    assert estimator.bits_per_second == pytest.approx(0.85 * 2 * M, rel=0.1)


def test_a_frame_that_is_large_for_its_link_is_no_collapse():
    """A keyframe takes as long on a slow link, which takes the average of what is sent."""
    estimator = BandwidthEstimator(start_bps=2.5 * M)
    shrinking(estimator, running(estimator, 1.5 * M), sent=6 * M, passes=2 * M)
    assert not estimator.collapsed
    assert estimator.bits_per_second > 2 * M


def test_a_collapse_is_not_followed_by_another_for_what_was_sent_before_it():
    estimator = BandwidthEstimator(start_bps=20 * M)
    now = shrinking(estimator, running(estimator, 8 * M), sent=20 * M, passes=2 * M)
    assert estimator.collapsed
    before = estimator.bits_per_second
    shrinking(estimator, now + 0.2, sent=4 * M, passes=1.5 * M)
    assert estimator.bits_per_second < before
    assert not estimator.collapsed, "a keyframe at the new rate"


def test_the_estimate_starts_at_two_megabits_and_is_at_least_150_kilobits():
    assert BandwidthEstimator().bits_per_second == START_BPS == 2 * M
    assert MIN_BPS == 0.15 * M
    assert BandwidthEstimator(0.1 * M).bits_per_second == MIN_BPS


def test_a_long_queue_is_drained_for_three_seconds_after_a_decrease():
    feed = Feed(10 * M)
    feed.run(8)
    feed.decrease(0.3)
    estimator, fell_at = feed.estimator, feed.now
    estimate, queue = estimator.bits_per_second, estimator.queueing_delay_s
    assert queue == pytest.approx(0.3)
    assert estimator.target_bps(fell_at) == pytest.approx(estimate * (1 - (0.3 - 0.06)))
    assert estimator.target_bps(fell_at + 3.0) == estimator.target_bps(fell_at)
    assert estimator.target_bps(fell_at + 3.01) == estimate, "a queue that stays is filled by others"


@pytest.mark.parametrize(("queue", "fraction"), [(0.059, 1.0), (0.07, 0.99), (0.64, 0.42), (0.9, 0.4)])
def test_a_longer_queue_is_drained_faster_down_to_four_tenths(queue: float, fraction: float):
    feed = Feed(10 * M)
    feed.run(8)
    feed.decrease(0.3)
    fell_at = feed.now
    feed.message(0.05 + queue)
    assert feed.estimator.target_bps(fell_at + 0.1) == pytest.approx(fraction * feed.estimator.bits_per_second)


def test_draining_leaves_the_minimum():
    feed = Feed(MIN_BPS)
    feed.run(8, size=50)
    for _ in range(20):
        feed.message(1.5, size=50)
    assert feed.estimator.queueing_delay_s > 1
    assert feed.estimator.target_bps(feed.now) == MIN_BPS


def test_a_trend_without_a_standing_queue_is_no_overuse():
    """One packet of each message waits as long as ``standing`` alone: bursts grow, and no queue does."""
    for standing, falls in ((0.0, False), (0.007, False), (0.011, True)):
        feed = Feed(10 * M)
        feed.run(8)
        for step in range(10):
            feed.message(0.05 + standing + 0.007 * step, dip=0.007 * step)
        assert (feed.estimator.bits_per_second < 10 * M) == falls, standing


def test_where_delays_vary_a_longer_standing_queue_is_no_overuse():
    for varies, falls in ((0.0, True), (0.004, False)):
        feed = Feed(10 * M)
        for step in range(80):
            feed.message(0.05 + varies * (step % 2))
        for step in range(10):
            feed.message(0.062 + 0.007 * step + varies * (step % 2), dip=0.007 * step)
        assert (feed.estimator.bits_per_second < 10 * M) == falls, varies


@pytest.mark.parametrize(
    ("lost", "queue", "falls"), [(1, 0.02, True), (1, 0.012, True), (1, 0.009, False), (0, 0.02, False)]
)
def test_loss_with_a_short_queue_is_overuse(lost: int, queue: float, falls: bool):
    feed = Feed(10 * M)
    for step in range(100):
        feed.message(0.05 + queue * step / 100, lost=lost)
    feed.run(3, delay=0.05 + queue, lost=lost)
    assert (feed.estimator.bits_per_second < 10 * M) == falls


@pytest.mark.parametrize(("queue", "falls"), [(0.021, False), (0.031, True)])
def test_loss_where_delays_vary_is_overuse_only_with_a_longer_queue(queue: float, falls: bool):
    """Delays vary by 5 ms, which adds 20 ms to the limit of 10 ms; at the most, packets wait 5 ms longer than this."""
    feed = Feed(10 * M)
    for step in range(250):
        feed.message(0.05 + queue * min(step / 200, 1.0) + 0.005 * (step % 2), lost=1)
    assert (feed.estimator.bits_per_second < 10 * M) == falls


def test_fifteen_percent_lost_without_a_queue_lower_nothing():
    feed = Feed(10 * M)
    for step in range(80):
        feed.message(lost=1 + step % 2)
    assert feed.estimator.loss_fraction == pytest.approx(0.15, abs=0.01)
    assert feed.estimator.bits_per_second == 10 * M


@pytest.mark.parametrize("response", [0.2, 1.0])
def test_a_second_decrease_for_loss_waits_for_the_newest_packets_to_be_answered(response: float):
    """Half is lost. Each message also covers a packet that left three seconds ago."""
    estimator, sequence, falls = BandwidthEstimator(10 * M), 0, []
    for step in range(60):
        sent_at, results = 1000.0 + step / 10, []
        for index in range(21):
            sequence += 1
            at = sent_at if index else sent_at - 3.0
            results.append(PacketResult(sequence, at, 1200, None if index % 2 else at + 50, None, late=False))
        before, now = estimator.bits_per_second, sent_at + response
        estimator.feed(results, now)
        if estimator.bits_per_second < before:
            falls.append(now)
    assert 0.28 + response < falls[-1] - falls[-2] < 0.52 + response


def test_less_than_seven_tenths_of_the_estimate_is_application_limited():
    """Sending less, the estimate does not grow; sending more, it does."""
    for size, grows in ((800, False), (900, True)):
        feed = Feed(1 * M)
        feed.run(3, size=size)
        assert (feed.estimator.bits_per_second > 1 * M) == grows, size


def test_a_decrease_counts_only_losses_after_it():
    feed = Feed(10 * M)
    feed.run(8)
    feed.decrease(0.3)
    late = [PacketResult(9000 + i, feed.now, 1200, None, None, late=False) for i in range(100)]
    feed.estimator.feed(late, feed.now + 0.05)
    feed.run(1, delay=0.05)
    assert feed.estimator.loss_fraction == 0


def test_an_overtaken_packet_is_not_lost():
    feed = Feed(10 * M)
    feed.run(1, lost=2)
    for index in range(20):
        late = PacketResult(index, feed.now, 1200, feed.now + 50.05, None, late=True)
        feed.estimator.feed([late], feed.now + 0.05)
    feed.run(1)
    assert feed.estimator.loss_fraction < 0.15
    lossy = Feed(10 * M)
    lossy.run(1, lost=2)
    lossy.run(1)
    assert lossy.estimator.loss_fraction > feed.estimator.loss_fraction


def test_an_overtaken_packet_counts_once_as_arrived():
    estimator = BandwidthEstimator()
    sent = [PacketResult(i, 1.0, 1200, None if i < 10 else 51.0, None, late=False) for i in range(30)]
    estimator.feed(sent, 1.0)
    late = [PacketResult(i, 1.0, 1200, 51.1, None, late=True) for i in range(5)]
    estimator.feed(late, 1.7)
    assert estimator.loss_fraction == 5 / 30


def test_packets_before_a_decrease_and_packets_in_a_queue_were_congested():
    feed = Feed(10 * M)
    feed.run(8)
    assert feed.estimator.uncongested_since < feed.now - 8
    feed.decrease(0.2)
    assert feed.estimator.uncongested_since == float("inf"), "a queue is known of"
    fell_at = feed.now
    feed.run(8)
    assert feed.estimator.uncongested_since == fell_at


def test_the_backlog_is_what_the_newest_packet_waited_and_what_left_since():
    feed = Feed(8 * M)
    feed.run(3)
    feed.message(0.05 + 0.02)
    assert feed.estimator.newest_acked_sent_at == pytest.approx(feed.now - 0.1 + 0.081)
    assert feed.estimator.bits_per_second == 8 * M
    waited = feed.estimator.backlog_s(100_000, feed.estimator.newest_acked_sent_at)
    assert waited == pytest.approx(0.02 + 0.1)


def test_the_newest_packet_is_the_last_to_arrive():
    estimator = BandwidthEstimator()
    times = [(1.0, 51.08), (1.01, 51.06)]
    estimator.feed([PacketResult(i, at, 1200, there, None, late=False) for i, (at, there) in enumerate(times)], 1.1)
    assert estimator.newest_acked_sent_at == 1.0


def test_the_backlog_is_no_longer_than_the_queue_that_overflowed():
    feed = Feed(8 * M)
    feed.run(3)
    feed.message(0.05 + 0.02, lost=4)
    last_sent_at = feed.now - 0.1 + 0.081
    assert feed.estimator.backlog_s(10**6, last_sent_at) == pytest.approx(0.02)
    assert feed.estimator.backlog_s(10**6, last_sent_at + 0.015) == pytest.approx(0.005)


def test_after_a_collapse_how_long_the_full_queue_is_is_unknown():
    estimator = BandwidthEstimator(start_bps=20 * M)
    now = running(estimator, 8 * M)
    full = [PacketResult(4000 + i, now, 1200, now + 50.02 if i < 6 else None, None, late=False) for i in range(10)]
    estimator.feed(full, now + 0.05)
    assert estimator.backlog_s(10**6, now) == pytest.approx(0.02)
    now = shrinking(estimator, now + 0.06, sent=20 * M, passes=2 * M)
    assert estimator.collapsed
    assert estimator.backlog_s(10**6, now) > 1


def test_without_feedback_the_estimate_is_halved_and_no_probe_is_sent_for_a_while():
    feed = Feed(10 * M)
    feed.run(3)
    feed.estimator.sent(1200, feed.now, packets=10)
    for step in range(11):
        feed.estimator.tick(feed.now + step / 10)
    assert feed.estimator.bits_per_second == 5 * M
    halved_at = feed.now + 1.0
    feed.now += 1.1
    feed.message()
    assert feed.estimator.next_probe(feed.now) is None
    feed.run(halved_at + 1.5 - feed.now + 0.1)
    assert feed.estimator.next_probe(feed.now) is not None


@pytest.mark.parametrize(("every", "falls"), [(2, True), (6, False)])
def test_more_than_three_percent_lost_with_a_short_queue_is_overuse(every: int, falls: bool):
    """One of ten packets in every so many messages, with a short queue."""
    feed = Feed(10 * M)
    for step in range(130):
        feed.message(0.05 + 0.02 * min(step / 100, 1.0), lost=step % every == 0)
    assert (feed.estimator.bits_per_second < 10 * M) == falls


def test_the_estimate_grows_on_by_what_arrives():
    feed = Feed(1 * M)
    feed.run(3)
    assert feed.estimator.bits_per_second == pytest.approx(1 * M * 1.08**2.6, rel=0.03)


def test_packets_that_leave_one_by_one_count_as_one():
    feed = Feed(10 * M)
    feed.run(1)
    for index in range(9):
        feed.estimator.sent(1200, feed.now + index / 1000)
    for step in range(20):
        feed.estimator.tick(feed.now + step / 10)
    assert feed.estimator.bits_per_second == 10 * M


def test_where_delays_vary_a_longer_queue_is_none():
    feed = Feed(10 * M)
    for step in range(200):
        feed.message(0.05 + 0.012 * (step % 2))
    assert feed.estimator.queueing_delay_s == pytest.approx(0.012)
    for step in range(200):
        feed.message(0.05 + 0.04 * step / 200 + 0.012 * (step % 2))
    assert 0.03 < feed.estimator.queueing_delay_s - 0.012 < feed.estimator.queueing_delay_s < 0.055
    assert feed.estimator.uncongested_since < feed.now


def test_a_queue_that_was_there_from_the_start_is_revealed_when_it_empties():
    feed = Feed()
    feed.run(2, delay=0.2)
    assert not feed.estimator.hidden_queue_revealed
    feed.message(0.05)
    assert feed.estimator.hidden_queue_revealed
    feed.message(0.05)
    assert not feed.estimator.hidden_queue_revealed


def test_a_decrease_goes_below_what_arrives_now():
    feed = Feed(1.2 * M)
    feed.run(1)
    assert not feed.estimator.collapsed
    feed.decrease(0.2)
    assert feed.estimator.bits_per_second == pytest.approx(0.85 * 0.96 * M, rel=0.1)
    assert not BandwidthEstimator().collapsed
