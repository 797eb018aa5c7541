"""Times what the engine does to a frame: encoders, colours, lossless packing. Must not know streams or viewers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count

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

LEAST = 3
"""Times that everything is done, however long it takes."""


def played(clip: Pixels, fps: float) -> Iterator[Frame]:
    """The pictures of a clip as frames, there and back again, without end."""
    last = len(clip) - 1
    for number in count():
        place = number % (2 * last) if last else 0
        yield Frame(clip[min(place, 2 * last - place)], number + 1, round(number * 1e6 / fps))


def timed(action: Callable[[Frame], int], frames: Iterator[Frame], seconds: float) -> tuple[list[float], int]:
    """The seconds that each ``action`` took, for so long in all, and the sum of what they gave; the first is left out,
    as it opens what it needs."""
    action(next(frames))
    took: list[float] = []
    total = 0
    began = time.perf_counter()
    while len(took) < LEAST or time.perf_counter() - began < seconds:
        frame, start = next(frames), time.perf_counter()
        total += action(frame)
        took.append(time.perf_counter() - start)
    return took, total


def encoding(size: str, clip: Pixels, fps: float, bits_per_second: int, seconds: float) -> Iterator[Row]:
    """A row for each codec that opens here, colour conversion included; the others say why not."""
    for codec in available_codecs():
        encoder = open_encoder(codec, fps=fps, max_bitrate=bits_per_second)
        try:
            took, octets = timed(partial(_encoded, encoder), played(clip, fps), seconds)
            yield _row(size, f"encode {codec}", took, mbps=octets * 8e-6 / len(took) * fps)
        except EncoderError as error:
            yield Row(size, f"encode {codec}", Spread.of([]), note=str(error))
        finally:
            encoder.close()


def colours(size: str, clip: Pixels, fps: float, seconds: float) -> Iterator[Row]:
    """What of an encoding is the conversion."""
    kinds: dict[str, Chroma] = {"colours, chroma halved": "420", "colours, chroma whole": "444"}
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
    """The whole picture, and what changed since the one before; checksums included."""
    raw = clip[0].nbytes

    def row(name: str, took: list[float], octets: int) -> Row:
        mean = octets / len(took)
        return _row(size, name, took, mbps=mean * 8e-6 * fps, ratio=raw / mean)

    yield row("lossless, whole", *timed(_whole, played(clip, fps), seconds))
    frames, change = played(clip, fps), Change()
    change(next(frames))
    yield row("lossless, changes", *timed(change, frames, seconds))


def _whole(frame: Frame) -> int:
    return len(pack(frame, checksum_of(frame.pixels), compress=True).data)


class Change:
    """Packs what each frame changes of the one before."""

    def __init__(self) -> None:
        self._tiles = Tiles()
        self._before: tuple[int, int] | None = None
        """Number of the frame before, and the tiles' turn of it."""

    def __call__(self, frame: Frame) -> int:
        before, turn = self._before, self._tiles.update(frame)
        self._before = frame.number, turn
        if before is None:
            return 0
        body = self._tiles.body(self._tiles.changed(before[1]))
        return len(pack_delta(frame, checksum_of(frame.pixels), before[0], body, compress=True).data)


def clip_of(render: Callable[[int], Pixels], frames: int) -> Pixels:
    """So many pictures, drawn before anything is timed."""
    return np.stack([render(number) for number in range(frames)])
