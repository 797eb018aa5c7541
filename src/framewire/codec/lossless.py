"""Bit-exact units: a frame's pixels, or what changed in them, and back. Must not know sockets or viewers.

``signaling/README.md`` says what the bytes are.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import xxhash
import zstandard

from framewire.codec import tiles
from framewire.codec.messages import DELTA_BASE
from framewire.codecs import CodecName
from framewire.errors import bad_message
from framewire.frame import CHANNELS, AccessUnit, Frame, Pixels

ZSTD_LEVEL: Final = 1
"""zstd's fastest level with full compression: a frame must be packed in a fraction of its interval.

Source: chosen by hand."""


def pack(frame: Frame, checksum: int, *, compress: bool) -> AccessUnit:
    """The whole frame as a unit that owns its bytes: zstd if asked for and smaller, else raw.

    ``checksum`` is the `checksum_of` its pixels.
    """
    codec, data = _packed(frame.pixels.ravel(), compress=compress)
    return _unit(frame, checksum, codec, data, keyframe=True)


def pack_delta(frame: Frame, checksum: int, base: int, body: npt.NDArray[np.uint8], *, compress: bool) -> AccessUnit:
    """What turns the frame of number ``base`` into this one: a body of `tiles.Tiles`, as a unit that owns its bytes."""
    codec, data = _packed(body, compress=compress)
    return _unit(frame, checksum, codec, DELTA_BASE.pack(base) + data, keyframe=False)


def checksum_of(pixels: Pixels) -> int:
    """The proof that travels with every unit of a frame, whole or delta: xxh32 of all its raw pixels."""
    return xxhash.xxh32_intdigest(pixels.ravel().data)


def _packed(data: npt.NDArray[np.uint8], *, compress: bool) -> tuple[CodecName, bytes]:
    if compress:
        packed = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(data.data)
        if len(packed) < data.nbytes:
            return "zstd", packed
    return "raw", data.tobytes()


def _unit(frame: Frame, checksum: int, codec: CodecName, data: bytes, *, keyframe: bool) -> AccessUnit:
    return AccessUnit(
        codec=codec,
        data=data,
        number=frame.number,
        time_us=frame.time_us,
        width=frame.width,
        height=frame.height,
        keyframe=keyframe,
        pixel_format=frame.format,
        checksum=checksum,
        size=frame.pixels.nbytes,
    )


def base_of(unit: AccessUnit) -> int | None:
    """The number of the frame that a lossless unit builds on; None where it is whole."""
    return None if unit.keyframe else int(DELTA_BASE.unpack_from(unit.data)[0])


def unpack(unit: AccessUnit, base: Pixels | None = None) -> Pixels:
    """The pixels of a lossless unit, (height, width, channels), read-only. A delta needs the pixels of its ``base``.

    Raises ``RemoteProtocolError`` (4400) if they are not what the unit says, down to the checksum.
    """
    assert unit.pixel_format is not None, "video units are decoded elsewhere"
    shape = unit.height, unit.width, CHANNELS[unit.pixel_format]
    pixels = _whole(unit, shape) if unit.keyframe else _with_delta(unit, shape, base)
    pixels.flags.writeable = False
    if checksum_of(pixels) != unit.checksum:
        raise bad_message("pixels do not match their checksum")
    return pixels


def _whole(unit: AccessUnit, shape: tuple[int, int, int]) -> Pixels:
    size = shape[0] * shape[1] * shape[2]
    pixels = np.frombuffer(_unpacked(unit.codec, unit.data, size), np.uint8)
    if pixels.size != size:
        raise bad_message(f"{pixels.size} bytes for {size} bytes of pixels")
    return pixels.reshape(shape)


def _with_delta(unit: AccessUnit, shape: tuple[int, int, int], base: Pixels | None) -> Pixels:
    if base is None or base.shape != shape:
        raise bad_message("a delta without the picture it builds on")
    rows, columns = tiles.grid(unit.width, unit.height)
    max_size = tiles.bitmap_size(rows * columns) + unit.height * columns * tiles.SIDE_PX * shape[2]
    return tiles.apply(base, _unpacked(unit.codec, unit.data[DELTA_BASE.size :], max_size))


def _unpacked(codec: CodecName, data: bytes, max_size: int) -> bytes:
    """The bytes, unpacked. However few they are packed to, no more than ``max_size`` is allocated."""
    if codec == "raw":
        return data
    try:
        if not 0 < zstandard.frame_content_size(data) <= max_size:
            raise bad_message("compressed pixels of another size")
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=max_size)
    except zstandard.ZstdError as error:
        raise bad_message(f"zstd: {error}") from error
