"""Cuts a range into spans for packets. Must not know codecs or packets."""

from __future__ import annotations

from collections.abc import Iterator


def even_spans(start: int, end: int, max_length: int) -> Iterator[tuple[int, int]]:
    """Cut ``[start, end)`` into the fewest spans of at most ``max_length``.

    All have the same length but the last, which is shorter by less than one byte for each span: packets of one length
    can be sent with one system call (UDP GSO).
    """
    if start == end:
        return
    count = -(-(end - start) // max_length)
    length = -(-(end - start) // count)
    for at in range(start, end, length):
        yield at, min(at + length, end)
