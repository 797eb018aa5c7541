"""Times what the engine does with a frame: encoding, colour conversion, lossless packing.

Must not know streams or viewers.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Final

import numpy as np

from framewire.bench.figures import Row, Spread
from framewire.codec.base import VideoEncoder
from framewire.codec.colour import to_video_frame
from framewire.codec.encoders import available_codecs, open_encoder
from framewire.codec.lossless import checksum_of, pack, pack_delta
from framewire.codec.tiles import Tiles
from framewire.codecs import Chroma
from framewire.errors import EncoderError
from framewire.frame import Frame, Pixels

MIN_REPEAT_COUNT: Final = 3
"""Everything is timed so often at least, however long it takes.

Source: chosen by hand; pinned by `tests/bench/test_codecs.py::test_the_first_time_opens_things_and_does_not_count`."""


def played(clip: Pixels, fps: float) -> Iterator[Frame]:
    """The pictures of a clip as frames: forwards, backwards, and again without end."""
    last = len(clip) - 1
    for number in count():
        index = number % (2 * last) if last else 0
        yield Frame(clip[min(index, 2 * last - index)], number + 1, round(number * 1e6 / fps))


def timed(action: Callable[[Frame], int], frames: Iterator[Frame], seconds: float) -> tuple[list[float], int]:
    """Repeat ``action`` for so many seconds. Returns the seconds that each took, and the sum of their results.

    The first one is left out: it opens encoders and the like.
    """
    action(next(frames))
    took: list[float] = []
    total = 0
    started = time.perf_counter()
    while len(took) < MIN_REPEAT_COUNT or time.perf_counter() - started < seconds:
        frame, start = next(frames), time.perf_counter()
        total += action(frame)
        took.append(time.perf_counter() - start)
    return took, total


def encoding(size: str, clip: Pixels, fps: float, bits_per_second: int, seconds: float) -> Iterator[Row]:
    """A row for each codec, colour conversion included; one that cannot be opened has a note that says why."""
    for codec in available_codecs():
        encoder = open_encoder(codec, fps=fps, max_bitrate=bits_per_second)
        try:
            took, size_bytes = timed(partial(_encoded, encoder), played(clip, fps), seconds)
            yield _row(size, f"encode {codec}", took, mbps=size_bytes * 8e-6 / len(took) * fps)
        except EncoderError as error:
            yield Row(size, f"encode {codec}", Spread.of([]), note=str(error))
        finally:
            encoder.close()


def colours(size: str, clip: Pixels, fps: float, seconds: float) -> Iterator[Row]:
    """Colour conversion alone, the first part of an encoding."""
    kinds: dict[str, Chroma] = {"colours, half chroma": "420", "colours, full chroma": "444"}
    for name, chroma in kinds.items():
        took, _ = timed(partial(_converted, chroma), played(clip, fps), seconds)
        yield _row(size, name, took)


def _row(size: str, what: str, took: list[float], mbps: float = math.nan, ratio: float = math.nan) -> Row:
    return Row(size, what, Spread.of(took), fps=len(took) / sum(took), mbps=mbps, ratio=ratio)


def _encoded(encoder: VideoEncoder, frame: Frame) -> int:
    return len(encoder.encode(frame).data)


def _converted(chroma: Chroma, frame: Frame) -> int:
    return to_video_frame(frame.pixels, chroma).width


def lossless(size: str, clip: Pixels, fps: float, seconds: float) -> Iterator[Row]:
    """The whole picture, and only what changed since the one before; checksums included."""
    raw = clip[0].nbytes

    def row(name: str, took: list[float], size_bytes: int) -> Row:
        mean = size_bytes / len(took)
        return _row(size, name, took, mbps=mean * 8e-6 * fps, ratio=raw / mean)

    yield row("lossless, whole", *timed(_whole, played(clip, fps), seconds))
    frames, change = played(clip, fps), Change()
    change(next(frames))
    yield row("lossless, changes", *timed(change, frames, seconds))


def _whole(frame: Frame) -> int:
    return len(pack(frame, checksum_of(frame.pixels), compress=True).data)


class Change:
    """Packs what each frame changes in the one before."""

    def __init__(self) -> None:
        self._tiles = Tiles()
        self._before: tuple[int, int] | None = None
        """Number of the frame before, and the turn of the tiles at it."""

    def __call__(self, frame: Frame) -> int:
        before, turn = self._before, self._tiles.update(frame)
        self._before = frame.number, turn
        if before is None:
            return 0
        body = self._tiles.body(self._tiles.changed(before[1]))
        return len(pack_delta(frame, checksum_of(frame.pixels), before[0], body, compress=True).data)


def clip_of(render: Callable[[int], Pixels], frames: int) -> Pixels:
    """So many pictures, rendered before anything is timed."""
    return np.stack([render(number) for number in range(frames)])
