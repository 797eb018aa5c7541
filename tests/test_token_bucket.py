"""The token bucket: bursts, the rate in the long run, debts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framewire.token_bucket import TokenBucket


def test_a_burst_is_free_and_one_more_is_not() -> None:
    bucket = TokenBucket(rate_per_s=2, burst=3)
    assert [bucket.take(10.0) for _ in range(4)] == [True, True, True, False]


def test_tokens_come_back_at_the_rate() -> None:
    bucket = TokenBucket(rate_per_s=2, burst=3)
    assert bucket.take(10.0, 3)
    assert not bucket.take(10.25), "half a token is none"
    assert bucket.take(10.5)
    assert not bucket.take(10.5)
    assert bucket.take(11.5, 2)


def test_a_bucket_never_holds_more_than_its_burst() -> None:
    bucket = TokenBucket(rate_per_s=2, burst=3)
    assert bucket.take(0.0)
    assert [bucket.take(1000.0) for _ in range(4)] == [True, True, True, False]


def test_what_is_refused_costs_nothing() -> None:
    bucket = TokenBucket(rate_per_s=1, burst=2)
    assert bucket.take(0.0)
    assert not bucket.take(0.0, 2)
    assert bucket.take(0.0)


def test_the_delay_is_how_long_an_amount_must_wait() -> None:
    bucket = TokenBucket(rate_per_s=4, burst=2)
    assert bucket.delay(0.0, 2) == 0.0
    assert bucket.take(0.0, 2)
    assert bucket.delay(0.0) == 0.25
    assert bucket.delay(0.0, 2) == 0.5
    assert bucket.delay(0.125, 2) == 0.375
    assert bucket.delay(9.0) == 0.0


def test_a_time_that_goes_back_fills_nothing() -> None:
    bucket = TokenBucket(rate_per_s=1, burst=2)
    assert bucket.take(10.0, 2)
    assert not bucket.take(5.0)
    assert not bucket.take(10.5)
    assert bucket.take(11.0)


def test_an_amount_above_the_burst_needs_a_full_bucket_and_leaves_a_debt() -> None:
    bucket = TokenBucket(rate_per_s=1, burst=2)
    assert bucket.take(0.0, 5)
    assert bucket.delay(0.0) == 4.0
    assert not bucket.take(4.0, 5)
    assert bucket.delay(4.0, 5) == 1.0
    assert bucket.take(5.0, 5)


def test_what_has_happened_already_may_leave_a_debt() -> None:
    bucket = TokenBucket(rate_per_s=1, burst=2)
    bucket.spend(0.0)
    bucket.spend(0.0, 4)
    assert bucket.delay(0.0) == 4.0
    assert not bucket.take(3.5)
    assert bucket.take(4.0)


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (1, 0), (-1, 1), (1, -1)])
def test_a_bucket_without_rate_or_burst_is_a_bug(rate: float, burst: float) -> None:
    with pytest.raises(AssertionError, match="holds something"):
        TokenBucket(rate, burst)


@given(st.lists(st.tuples(st.integers(0, 80), st.integers(0, 40)), max_size=50))
def test_no_order_of_events_gets_more_than_burst_and_rate_allow(events: list[tuple[int, int]]) -> None:
    bucket, now, taken = TokenBucket(rate_per_s=4, burst=5), 0.0, 0.0
    for eighths_of_a_second, amount in events:
        now += eighths_of_a_second / 8
        waits = bucket.delay(now, amount) > 0
        taken_now = bucket.take(now, amount)
        assert taken_now != waits
        taken += min(amount, 5) * taken_now
        assert taken <= 5 + 4 * now
