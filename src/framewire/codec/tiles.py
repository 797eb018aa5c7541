"""Which tiles of a picture changed, and since when; their pixels as a delta's body, and a body put over a picture.

Pure. Must not know units, viewers or why somebody's picture is older. The bytes are those of
``signaling/README.md``: a bitmap of tiles, then the pixels of the marked ones, row by row.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from framewire.errors import CloseCode, RemoteProtocolError
from framewire.frame import Frame, Pixels

SIDE: Final = 16
"""Pixels of a tile's side. Of a 1080p plot whose curves move, 16 % of the tiles change; of tiles twice as wide it is
23 %, and the pixels are what a viewer spends its time on, not the bytes that they pack to."""
WORD: Final = 8
"""The bitmap is filled up to a multiple of so many bytes, so that pixels are read a word at a time."""

Mask = npt.NDArray[np.bool_]
"""(rows, columns) of tiles."""


class Tiles:
    """The newest picture of a stream, and for each of its tiles the turn in which it last changed.

    A viewer that has the picture of turn n is sent the tiles that changed after n: one old picture serves
    viewers that have come differently far.
    """

    def __init__(self) -> None:
        self.turn = 0
        """Counts the pictures; what was made of one of another shape is of no use any more."""
        self.since = 1
        """The first turn of this shape: nothing can be told from pictures before it."""
        self._shape: tuple[int, ...] = (0, 0, 0)
        self._newest = self._spare = np.empty((0, 0), np.uint8)
        self._different = np.empty((0, 0), np.bool_)
        self._changed = np.empty((0, 0), np.int64)

    def update(self, frame: Frame) -> int:
        """Take over a copy of a frame's pixels; returns its turn."""
        self.turn += 1
        pixels = frame.pixels
        if pixels.shape != self._shape:
            self._begin(pixels.shape)
        height, width, channels = self._shape
        self._spare[:height, : width * channels] = pixels.reshape(height, width * channels)
        rows, columns = self._changed.shape
        np.not_equal(self._spare.view(np.uint64), self._newest.view(np.uint64), out=self._different)
        bands = np.bitwise_or.reduce(self._different.reshape(rows, SIDE, -1), axis=1)
        self._changed[bands.reshape(rows, columns, -1).any(axis=2)] = self.turn
        self._newest, self._spare = self._spare, self._newest
        return self.turn

    def _begin(self, shape: tuple[int, ...]) -> None:
        rows, columns = grid(shape[1], shape[0])
        padded = rows * SIDE, columns * SIDE * shape[2]
        # What sticks out at the right and the bottom stays zero in both, and so never differs.
        self._newest, self._spare = np.zeros(padded, np.uint8), np.zeros(padded, np.uint8)
        self._different = np.empty((padded[0], padded[1] // WORD), np.bool_)
        self._changed = np.full((rows, columns), self.turn, np.int64)
        self._shape, self.since = shape, self.turn

    def changed(self, turn: int) -> Mask:
        """The tiles that are not any more as they were in this turn, which is not before `since`."""
        assert turn >= self.since, "nothing is known of what was there before"
        return self._changed > turn

    def body(self, mask: Mask) -> npt.NDArray[np.uint8]:
        """These tiles of the newest picture, as a delta holds them. The array is the caller's."""
        height, _, channels = self._shape
        bitmap = np.packbits(mask, bitorder="little")
        spans = np.flatnonzero(_spans(mask, height))
        begin = bitmap_size(mask.size)
        body = np.empty(begin + spans.size * SIDE * channels, np.uint8)
        body[: bitmap.size], body[bitmap.size : begin] = bitmap, 0
        pixels = self._newest[:height].reshape(-1, SIDE * channels)
        np.take(pixels, spans, axis=0, out=body[begin:].reshape(spans.size, SIDE * channels), mode="clip")
        return body


def apply(pixels: Pixels, body: bytes) -> Pixels:
    """A new picture: these pixels, (height, width, channels), with a delta's tiles put over them.

    Raises ``RemoteProtocolError`` (4400) for a body that is not one of a picture of this shape.
    """
    height, width, channels = pixels.shape
    rows, columns = grid(width, height)
    begin = bitmap_size(rows * columns)
    bits = np.unpackbits(np.frombuffer(body[:begin], np.uint8), bitorder="little")
    if len(body) < begin or bits[rows * columns :].any():
        raise RemoteProtocolError(CloseCode.BAD_MESSAGE, f"a bitmap of {rows * columns} tiles in {len(body)} bytes")
    spans = _spans(bits[: rows * columns].reshape(rows, columns).astype(np.bool_), height)
    tiles = np.frombuffer(body, np.uint8, offset=begin)
    if tiles.size != np.count_nonzero(spans) * SIDE * channels:
        raise RemoteProtocolError(CloseCode.BAD_MESSAGE, f"{tiles.size} bytes of {np.count_nonzero(spans)} spans")
    padded = np.zeros((height, columns, SIDE * channels), np.uint8)
    padded.reshape(height, -1)[:, : width * channels] = pixels.reshape(height, -1)
    padded[spans] = tiles.reshape(-1, SIDE * channels)
    return padded.reshape(height, columns * SIDE, channels)[:, :width].copy()


def grid(width: int, height: int) -> tuple[int, int]:
    """Rows and columns of tiles that cover so many pixels."""
    return -(-height // SIDE), -(-width // SIDE)


def bitmap_size(tiles: int) -> int:
    """Bytes of a bitmap of so many tiles, filled up."""
    return -(-tiles // (8 * WORD)) * WORD


def _spans(mask: Mask, height: int) -> Mask:
    """For each row of pixels the tiles that have a part of it in the body."""
    return np.repeat(mask, SIDE, axis=0)[:height]
