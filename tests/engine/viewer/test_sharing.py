"""One viewer's bandwidth, divided among its streams."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framewire.engine.viewer.sharing import share_bandwidth


def test_a_quiet_stream_leaves_the_rest_to_the_others() -> None:
    parts = share_bandwidth(10e6, {"still": 0.1e6, "moving": 9e6}, {"still": 20_000_000, "moving": 20_000_000})
    assert parts == {"still": 0.2e6, "moving": 9.8e6}


def test_a_stream_that_demands_it_gets_at_least_an_equal_part() -> None:
    max_bps = dict.fromkeys("abc", 20_000_000)
    assert share_bandwidth(9e6, {"a": 8e6, "b": 2e6, "c": 2e6}, max_bps) == pytest.approx(dict.fromkeys("abc", 3e6))
    assert share_bandwidth(9e6, {"a": 8e6, "b": 0.5e6, "c": 8e6}, max_bps) == pytest.approx(
        {"a": 4e6, "b": 1e6, "c": 4e6}
    )


def test_what_no_stream_demands_is_divided_equally() -> None:
    max_bps = dict.fromkeys("abc", 20_000_000)
    assert share_bandwidth(9e6, dict.fromkeys("abc", 0.0), max_bps) == pytest.approx(dict.fromkeys("abc", 3e6))
    assert share_bandwidth(9e6, {"a": 0.0}, max_bps) == {"a": 9e6}
    assert share_bandwidth(9e6, {"a": 1e6, "b": 0.5e6}, max_bps) == {"a": 5e6, "b": 4e6}


def test_a_demand_ends_at_the_streams_maximum() -> None:
    assert share_bandwidth(9e6, {"a": 8e6, "b": 8e6}, {"a": 1_000_000, "b": 20_000_000}) == {"a": 1e6, "b": 8e6}


def test_without_streams_there_is_nothing_to_share() -> None:
    assert share_bandwidth(9e6, {}, {}) == {}


@given(
    st.floats(1e4, 1e8),
    st.dictionaries(st.integers(0, 9), st.tuples(st.floats(0, 1e8), st.integers(1, 10**8)), min_size=1),
)
def test_all_of_the_bandwidth_is_shared_and_none_twice(total: float, streams: dict[int, tuple[float, int]]) -> None:
    sent_bps = {key: sent for key, (sent, _) in streams.items()}
    parts = share_bandwidth(total, sent_bps, {key: most for key, (_, most) in streams.items()})
    assert sum(parts.values()) == pytest.approx(total) and min(parts.values()) >= 0
    assert parts.keys() == streams.keys()
