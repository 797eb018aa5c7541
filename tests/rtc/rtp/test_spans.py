"""Spans for packets: as few as possible, and of one length."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framewire.rtc.rtp.spans import even_spans


@given(st.integers(0, 50), st.integers(0, 5000), st.integers(1, 300))
def test_spans_cover_the_range_in_order_with_the_fewest_spans(start, length, max_length):
    spans = list(even_spans(start, start + length, max_length))
    assert [at for span in spans for at in range(*span)] == list(range(start, start + length))
    assert len(spans) == -(-length // max_length)
    assert all(end - begin <= max_length for begin, end in spans)


@pytest.mark.parametrize("length", [101, 300, 1234, 4321])
def test_spans_have_one_length_but_the_last(length):
    *lengths, last = (end - start for start, end in even_spans(7, 7 + length, 100))
    assert len(set(lengths)) == 1
    assert 0 <= lengths[0] - last <= len(lengths)


def test_an_empty_range_has_no_spans():
    assert list(even_spans(3, 3, 100)) == []
