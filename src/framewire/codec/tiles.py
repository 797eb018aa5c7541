"""Which tiles of a picture changed since when, and deltas made of them. Must not know units or viewers.

The bytes of a delta's body are those of ``signaling/README.md``: a bitmap of tiles, then the pixels of the marked
tiles, row by row.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from framewire.errors import bad_message
from framewire.frame import Frame, Pixels

SIDE_PX: Final = 16
"""The width and height of a tile. When the curves of a 1080p plot move, 16 % of the tiles change; with tiles twice as
wide 23 % do. A viewer spends its time on the pixels, not on the bytes that they pack to.

Source: measured; part of the contract."""
WORD_BYTES: Final = 8
"""The bitmap is padded to a multiple of this, so that pixels are read a word at a time."""

Mask = npt.NDArray[np.bool_]
"""Whether each tile is meant, by (row, column)."""


class Tiles:
    """The newest picture of a stream, and the turn in which each of its tiles last changed.

    A viewer that has the picture of turn n is sent the tiles that changed after n. So one kept picture serves viewers
    that are up to date to different degrees.
    """

    def __init__(self) -> None:
        self.turn: int = 0
        """Counts the pictures."""
        self.since: int = 1
        """The first turn with pictures of the present shape. No delta can build on earlier ones."""
        self._shape: tuple[int, ...] = ()
        # Set with the first picture's shape.
        self._newest: Pixels
        self._spare: Pixels
        self._different: npt.NDArray[np.bool_]
        self._changed: npt.NDArray[np.int64]

    def update(self, frame: Frame) -> int:
        """Copy a frame's pixels as the newest picture; returns its turn."""
        self.turn += 1
        pixels = frame.pixels
        if pixels.shape != self._shape:
            self._reset(pixels.shape)
        height, width, channels = self._shape
        self._spare[:height, : width * channels] = pixels.reshape(height, width * channels)
        rows, columns = self._changed.shape
        words = self._different.shape[1]
        np.not_equal(self._spare.view(np.uint64), self._newest.view(np.uint64), out=self._different)
        bands = np.bitwise_or.reduce(self._different.reshape(rows, SIDE_PX, words), axis=1)
        self._changed[bands.reshape(rows, columns, words // columns).any(axis=2)] = self.turn
        self._newest, self._spare = self._spare, self._newest
        return self.turn

    def _reset(self, shape: tuple[int, ...]) -> None:
        rows, columns = grid(shape[1], shape[0])
        padded = rows * SIDE_PX, columns * SIDE_PX * shape[2]
        # The padding at the right and the bottom stays zero in both, so it never differs.
        self._newest, self._spare = np.zeros(padded, np.uint8), np.zeros(padded, np.uint8)
        self._different = np.empty((padded[0], padded[1] // WORD_BYTES), np.bool_)
        self._changed = np.full((rows, columns), self.turn, np.int64)
        self._shape, self.since = shape, self.turn

    def changed(self, turn: int) -> Mask:
        """The tiles that changed after this turn, which is not before `since`."""
        assert turn >= self.since, "turns before the present shape have no tiles to compare"
        return self._changed > turn

    def body(self, mask: Mask) -> npt.NDArray[np.uint8]:
        """These tiles of the newest picture as a delta's body. The array belongs to the caller."""
        height, _, channels = self._shape
        bitmap = np.packbits(mask, bitorder="little")
        spans = np.flatnonzero(_spans(mask, height))
        begin = bitmap_size(mask.size)
        body = np.empty(begin + spans.size * SIDE_PX * channels, np.uint8)
        body[: bitmap.size], body[bitmap.size : begin] = bitmap, 0
        columns = self._changed.shape[1]
        pixels = self._newest[:height].reshape(height * columns, SIDE_PX * channels)
        np.take(pixels, spans, axis=0, out=body[begin:].reshape(spans.size, SIDE_PX * channels), mode="clip")
        return body


def apply(pixels: Pixels, body: bytes) -> Pixels:
    """A copy of these pixels, (height, width, channels), with a delta's tiles put over them.

    Raises ``RemoteProtocolError`` (4400) for a body that is not one of a picture of this shape.
    """
    height, width, channels = pixels.shape
    rows, columns = grid(width, height)
    begin = bitmap_size(rows * columns)
    bits = np.unpackbits(np.frombuffer(body[:begin], np.uint8), bitorder="little")
    if len(body) < begin or bits[rows * columns :].any():
        raise bad_message(f"a bitmap of {rows * columns} tiles in {len(body)} bytes")
    spans = _spans(bits[: rows * columns].reshape(rows, columns).astype(np.bool_), height)
    tiles = np.frombuffer(body, np.uint8, offset=begin)
    count = np.count_nonzero(spans)
    if tiles.size != count * SIDE_PX * channels:
        raise bad_message(f"{tiles.size} bytes for {count} spans of {SIDE_PX} pixels")
    padded = np.zeros((height, columns, SIDE_PX * channels), np.uint8)
    lines = padded.reshape(height, columns * SIDE_PX * channels)
    lines[:, : width * channels] = pixels.reshape(height, width * channels)
    padded[spans] = tiles.reshape(count, SIDE_PX * channels)
    return padded.reshape(height, columns * SIDE_PX, channels)[:, :width].copy()


def grid(width: int, height: int) -> tuple[int, int]:
    """The rows and columns of tiles that cover a picture."""
    return -(-height // SIDE_PX), -(-width // SIDE_PX)


def bitmap_size(tiles: int) -> int:
    """Bytes of the bitmap of so many tiles, padding included."""
    return -(-tiles // (8 * WORD_BYTES)) * WORD_BYTES


def _spans(mask: Mask, height: int) -> Mask:
    """(height, columns): the tiles whose part of each row of pixels is in the body."""
    return np.repeat(mask, SIDE_PX, axis=0)[:height]
