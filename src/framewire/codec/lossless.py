"""Bit-exact units, and any unit as binary WebSocket messages, and back. Must not know sockets or viewers.

The bytes are those of ``signaling/README.md``: a 36-byte little-endian header, then a chunk of the unit.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import xxhash
import zstandard

from framewire.codec import tiles
from framewire.codecs import LOSSLESS_CODINGS, CodecName, named_by, wire_number
from framewire.errors import CloseCode, RemoteProtocolError
from framewire.frame import CHANNELS, AccessUnit, Frame, PixelFormat, Pixels

VERSION: Final = 1
MAX_MESSAGE: Final = 256 * 1024
"""Bytes of the longest message, header included: jupyter-server-proxy kills one of 10 MiB, and a message is
what a link must carry before anything else gets through."""
LEVEL: Final = 1

PIXEL_FORMATS: dict[PixelFormat | None, int] = {None: 0, "gray": 1, "rgb": 3, "rgba": 4}
_FORMAT_OF = {number: name for name, number in PIXEL_FORMATS.items()}
_KEYFRAME = 1

_STRUCT = struct.Struct("<BBBBLLHHQLLL")
HEADER_SIZE: Final = _STRUCT.size
_BASE = struct.Struct("<L")


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before each chunk of a unit."""

    codec: CodecName
    pixel_format: PixelFormat | None
    keyframe: bool
    stream: int
    number: int
    width: int
    height: int
    time_us: int
    size: int
    """Bytes of the whole unit's data."""
    offset: int
    """Where in it this chunk begins."""
    checksum: int

    def pack(self) -> bytes:
        return _STRUCT.pack(
            VERSION,
            wire_number(self.codec),
            PIXEL_FORMATS[self.pixel_format],
            _KEYFRAME if self.keyframe else 0,
            self.stream,
            self.number,
            self.width,
            self.height,
            self.time_us,
            self.size,
            self.offset,
            self.checksum,
        )

    @classmethod
    def parse(cls, message: bytes) -> Header:
        """The header of a message. Raises ``RemoteProtocolError`` (4400) if it is not one, or its chunk does
        not lie in its unit."""
        if not HEADER_SIZE < len(message) <= MAX_MESSAGE:
            raise _bad(f"binary message of {len(message)} bytes")
        version, number, pixel_format, flags, *fields = _STRUCT.unpack_from(message)
        codec = named_by(number)
        if version != VERSION or codec is None or pixel_format not in _FORMAT_OF or flags > _KEYFRAME:
            raise _bad(f"binary header {message[:4].hex()}")
        header = cls(codec, _FORMAT_OF[pixel_format], flags == _KEYFRAME, *fields)
        header._check(len(message) - HEADER_SIZE)
        return header

    def _check(self, chunk: int) -> None:
        if (self.codec in LOSSLESS_CODINGS) != (self.pixel_format is not None):
            raise _bad(f"{self.codec} unit with pixel format {self.pixel_format}")
        if not (self.width and self.height):
            raise _bad(f"unit of {self.width}x{self.height} pixels")
        if self.offset + chunk > self.size:
            raise _bad(f"chunk of {chunk} bytes at {self.offset} in a unit of {self.size}")
        if self.codec == "raw" and self.keyframe and self.size != self.pixels_size:
            raise _bad(f"raw unit of {self.size} bytes for {self.pixels_size} bytes of pixels")
        if self.pixel_format and not self.keyframe and self.size <= _BASE.size:
            raise _bad(f"delta of {self.size} bytes")

    @property
    def pixels_size(self) -> int:
        """Bytes of the raw pixels; 0 for video."""
        return self.width * self.height * CHANNELS[self.pixel_format] if self.pixel_format else 0


def _bad(reason: str) -> RemoteProtocolError:
    return RemoteProtocolError(CloseCode.BAD_MESSAGE, reason)


def pack(frame: Frame, checksum: int, *, compress: bool) -> AccessUnit:
    """The whole frame as a unit that owns its bytes: zstd if asked for and smaller, else raw.

    ``checksum`` is that of its pixels, `checksum_of`.
    """
    pixels = frame.pixels.reshape(-1)
    return _unit(frame, checksum, *_packed(pixels, compress=compress), keyframe=True)


def pack_delta(frame: Frame, checksum: int, base: int, body: npt.NDArray[np.uint8], *, compress: bool) -> AccessUnit:
    """What makes the frame of number ``base`` this frame: a body of `tiles.Tiles`, as a unit that owns its bytes."""
    codec, data = _packed(body, compress=compress)
    return _unit(frame, checksum, codec, _BASE.pack(base) + data, keyframe=False)


def checksum_of(pixels: Pixels) -> int:
    """The proof that travels with every unit of a frame, whole or delta: xxh32 of all its raw pixels."""
    return xxhash.xxh32_intdigest(pixels.reshape(-1).data)


def _packed(data: npt.NDArray[np.uint8], *, compress: bool) -> tuple[CodecName, bytes]:
    packed = zstandard.ZstdCompressor(level=LEVEL).compress(data.data) if compress else b""
    return ("zstd", packed) if 0 < len(packed) < data.nbytes else ("raw", data.tobytes())


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
    """Number of the frame that a lossless unit builds on; None where it is whole."""
    return None if unit.keyframe else int(_BASE.unpack_from(unit.data)[0])


def unpack(unit: AccessUnit, base: Pixels | None = None) -> Pixels:
    """The pixels of a lossless unit, height x width x channels, read-only; a delta's are put over those of its base.

    Raises ``RemoteProtocolError`` (4400) if they are not what the unit says, down to the checksum.
    """
    assert unit.pixel_format is not None, "video units are decoded elsewhere"
    shape = unit.height, unit.width, CHANNELS[unit.pixel_format]
    pixels = _whole(unit, shape) if unit.keyframe else _changed(unit, shape, base)
    pixels.flags.writeable = False
    if checksum_of(pixels) != unit.checksum:
        raise _bad("pixels do not match their checksum")
    return pixels


def _whole(unit: AccessUnit, shape: tuple[int, int, int]) -> Pixels:
    size = shape[0] * shape[1] * shape[2]
    pixels = np.frombuffer(_unpacked(unit.codec, unit.data, size), np.uint8)
    if pixels.size != size:
        raise _bad(f"{pixels.size} bytes for {size} bytes of pixels")
    return pixels.reshape(shape)


def _changed(unit: AccessUnit, shape: tuple[int, int, int], base: Pixels | None) -> Pixels:
    if base is None or base.shape != shape:
        raise _bad("a delta without the picture it builds on")
    rows, columns = tiles.grid(unit.width, unit.height)
    most = tiles.bitmap_size(rows * columns) + unit.height * columns * tiles.SIDE * shape[2]
    return tiles.apply(base, _unpacked(unit.codec, unit.data[_BASE.size :], most))


def _unpacked(codec: CodecName, data: bytes, most: int) -> bytes:
    """At most so many bytes, whatever the packed ones say."""
    if codec == "raw":
        return data
    try:
        if not 0 < zstandard.frame_content_size(data) <= most:
            raise _bad("compressed pixels of another size")
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=most)
    except zstandard.ZstdError as error:
        raise _bad(f"zstd: {error}") from error


def messages(unit: AccessUnit, stream: int, chunk: int = MAX_MESSAGE) -> list[bytes]:
    """The messages of a unit of any codec, in order; each at most ``chunk`` bytes, header included."""
    room = chunk - HEADER_SIZE
    assert room > 0 and unit.data, "a chunk holds a byte, and an encoder gives no empty units"
    data = memoryview(unit.data)
    video = unit.pixel_format is None
    header = Header(
        codec=unit.codec,
        pixel_format=unit.pixel_format,
        keyframe=unit.keyframe,
        stream=stream,
        number=unit.number,
        width=unit.width,
        height=unit.height,
        time_us=unit.time_us,
        size=len(data),
        offset=0,
        checksum=xxhash.xxh32_intdigest(unit.data) if video and not unit.checksum else unit.checksum,
    )
    return [b"".join((replace(header, offset=at).pack(), data[at : at + room])) for at in range(0, len(data), room)]


class Assembler:
    """Messages back to units, as a viewer does it: one for each stream and kind."""

    def __init__(self) -> None:
        self._header: Header | None = None
        self._chunks: list[bytes] = []

    def feed(self, message: bytes) -> AccessUnit | None:
        """The unit that this message completes, or None. Raises ``RemoteProtocolError`` (4400) if chunks are
        missing or mixed."""
        header = Header.parse(message)
        received = sum(map(len, self._chunks))
        expected = replace(self._header, offset=received) if self._header else replace(header, offset=0)
        if header != expected:
            raise _bad(f"chunk at {header.offset} of frame {header.number}, not at {expected.offset}")
        self._header = header
        self._chunks.append(message[HEADER_SIZE:])
        if header.offset + len(message) - HEADER_SIZE < header.size:
            return None
        data = b"".join(self._chunks)
        self._header, self._chunks = None, []
        return AccessUnit(
            codec=header.codec,
            data=data,
            number=header.number,
            time_us=header.time_us,
            width=header.width,
            height=header.height,
            keyframe=header.keyframe,
            pixel_format=header.pixel_format,
            checksum=header.checksum,
            size=header.pixels_size,
        )
