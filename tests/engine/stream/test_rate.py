"""Numbers that steer: keyframes, targets, settling, packing, meters. Time is an argument."""

from __future__ import annotations

from framewire.engine.stream.rate import (
    FLOOR,
    KEYFRAME_GAP,
    SETTLE,
    KeyframeThrottle,
    Meter,
    Packing,
    RembLimiter,
    Settle,
)  # fmt: skip


def test_fifty_keyframe_requests_a_second_make_three_keyframes_a_second() -> None:
    throttle, made = KeyframeThrottle(), 0
    for ms in range(0, 3000, 20):
        if throttle.due(ms / 1000):
            throttle.made(ms / 1000)
            made += 1
    assert 3 / KEYFRAME_GAP - 1 <= made <= 3 / KEYFRAME_GAP + 1


def test_an_estimate_above_what_is_sent_brakes_nothing() -> None:
    """A receiver never estimates more than about 1.5x of what it gets: a quiet stream is no narrow link."""
    brake: RembLimiter[str] = RembLimiter(20_000_000)
    for _ in range(20):
        brake.estimate("a", 600_000, sent=400_000)
    assert brake.limit("a") == 20_000_000


def test_an_estimate_below_what_is_sent_brakes_at_once_and_lets_go_as_it_rises() -> None:
    brake: RembLimiter[str] = RembLimiter(8_000_000)
    brake.estimate("a", 2_000_000, sent=8_000_000)
    assert 1_500_000 < brake.limit("a") < 2_000_000
    seen = [brake.limit("a")]
    for estimate in (2_500_000, 4_000_000, 6_000_000, 9_000_000):
        brake.estimate("a", estimate, sent=seen[-1])
        seen.append(brake.limit("a"))
    assert seen == sorted(seen) and seen[-1] == 8_000_000


def test_a_brake_that_says_nothing_new_loosens_by_itself() -> None:
    brake: RembLimiter[str] = RembLimiter(8_000_000)
    brake.estimate("a", 1_000_000, sent=4_000_000)
    for _ in range(200):
        brake.estimate("a", 900_000, sent=600_000)
    assert brake.limit("a") == 8_000_000


def test_a_viewers_limit_is_its_own_and_goes_with_it() -> None:
    brake: RembLimiter[int] = RembLimiter(8_000_000)
    brake.estimate(0, 300_000, sent=8_000_000)
    assert brake.limit(0) < 300_000
    assert brake.limit(1) == 8_000_000
    brake.forget(0)
    assert brake.limit(0) == 8_000_000


def test_what_is_measured_holds_both_ways() -> None:
    brake: RembLimiter[str] = RembLimiter(8_000_000)
    for measured in (2_000_000, 1_000_000, 5_000_000):
        brake.measured("a", measured)
        assert brake.limit("a") == measured
    brake.measured("a", 9_000_000)
    assert brake.limit("a") == 8_000_000
    brake.measured("a", 1)
    assert brake.limit("a") == FLOOR


def test_no_target_below_the_floor() -> None:
    brake: RembLimiter[str] = RembLimiter(8_000_000)
    brake.estimate("a", 1, sent=8_000_000)
    assert brake.limit("a") == FLOOR


def test_a_still_scene_is_refreshed_a_few_times_and_then_costs_nothing() -> None:
    settle = Settle()
    assert settle.next is None
    settle.published(10.0)
    times: list[float] = []
    while (due := settle.next) is not None:
        times.append(round(due - 10.0, 6))
        settle.refreshed()
    assert times == list(SETTLE)
    settle.published(20.0)
    assert settle.next == 20.0 + SETTLE[0]


def packing(*, mbps: float, ratio: float, pack_ms: float) -> bool:
    """Whether a 6 MB frame is compressed, once the way and the compressor are known."""
    policy, raw = Packing(), 6_220_800
    assert policy.compress(raw, 0.0), "the first picture over an unknown way is a small one"
    policy.tried(raw, int(raw * ratio), pack_ms / 1000, 0.0)
    for _ in range(20):
        policy.arrived(raw, raw * 8 / (mbps * 1e6))
    return policy.compress(raw, 1.0)


def test_raw_wins_on_a_fast_way_and_compressed_on_a_slow_one() -> None:
    assert not packing(mbps=8000, ratio=0.02, pack_ms=2)
    assert not packing(mbps=8000, ratio=1.0, pack_ms=20)
    assert packing(mbps=100, ratio=0.02, pack_ms=2)
    assert not packing(mbps=100, ratio=1.0, pack_ms=20)


def test_the_compressor_is_tried_again_now_and_then() -> None:
    policy = Packing()
    policy.tried(1000, 1000, 0.1, 0.0)
    policy.arrived(1_000_000, 0.001)
    assert not policy.compress(1000, Packing.AGAIN / 2)
    assert policy.compress(1000, Packing.AGAIN)


def test_small_units_measure_the_round_trip_and_may_not_slow_the_way() -> None:
    policy = Packing()
    policy.tried(6_000_000, 60_000, 0.002, 0.0)
    policy.arrived(6_000_000, 0.006)
    before = policy.compress(6_000_000, 0.5)
    for _ in range(50):
        policy.arrived(60_000, 0.005)
    assert policy.compress(6_000_000, 0.5) == before


def test_a_meter_counts_events_and_values_over_its_window() -> None:
    meter = Meter()
    for i in range(61):
        meter.add(i / 30, 1000)
    assert round(meter.rate(2.0)) == 30
    assert round(meter.per_second(2.0) / 1000) in (30, 31)
    assert meter.mean(2.0) == 1000
    assert meter.rate(60.0) == meter.per_second(60.0) == meter.mean(60.0) == 0
