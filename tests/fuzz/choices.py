"""The bytes of an input, read as the choices of an episode: what happens next, and with what.

Must not know what is chosen. So an episode is a string of bytes, which can be mutated, kept and made shorter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """Reads choices; after the last one all are the first possibility."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def more(self) -> bool:
        """Whether there is another choice to read."""
        return self._at < len(self._data)

    def below(self, count: int) -> int:
        """A number below ``count``, which is 256 at most."""
        at = self._at
        if at >= len(self._data):
            return 0
        self._at = at + 1
        return self._data[at] % count

    def pick(self, values: Sequence[T]) -> T:
        return values[self.below(len(values))]

    def rest(self) -> bytes:
        """All that is left."""
        data, self._at = self._data[self._at :], len(self._data)
        return data
