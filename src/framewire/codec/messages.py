"""Units as binary WebSocket messages, and back. Must not know sockets or viewers.

The bytes are those of ``signaling/README.md``: a 36-byte little-endian header, then a chunk of the unit.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Final

import xxhash

from framewire.codecs import LOSSLESS_CODINGS, CodecName, named_by, wire_number
from framewire.errors import bad_message
from framewire.frame import CHANNELS, AccessUnit, PixelFormat
from framewire.wire import VERSION

MAX_BINARY_MESSAGE_BYTES: Final = 256 * 1024
"""The longest message, header included. jupyter-server-proxy closes the socket for one of 10 MiB, and while a message
is sent nothing else gets through."""

PIXEL_FORMAT_NUMBERS: Final[dict[PixelFormat | None, int]] = {None: 0, "gray": 1, "rgb": 3, "rgba": 4}
"""The number of each pixel format in the header; None is video."""
_FORMAT_OF: Final = {number: name for name, number in PIXEL_FORMAT_NUMBERS.items()}
_KEYFRAME_FLAG: Final = 1

_HEADER: Final = struct.Struct("<BBBBLLHHQLLL")
HEADER_BYTES: Final = _HEADER.size
DELTA_BASE: Final = struct.Struct("<L")
"""The first field of a lossless delta: the number of the frame that it builds on."""


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
    """Where this chunk begins in the unit's data."""
    checksum: int

    def pack(self) -> bytes:
        return _HEADER.pack(
            VERSION,
            wire_number(self.codec),
            PIXEL_FORMAT_NUMBERS[self.pixel_format],
            _KEYFRAME_FLAG if self.keyframe else 0,
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
        """The header of a message.

        Raises ``RemoteProtocolError`` (4400) if it is not one, or if its chunk does not lie in its unit.
        """
        if not HEADER_BYTES < len(message) <= MAX_BINARY_MESSAGE_BYTES:
            raise bad_message(f"binary message of {len(message)} bytes")
        version, number, pixel_format, flags, *fields = _HEADER.unpack_from(message)
        codec = named_by(number)
        if version != VERSION or codec is None or pixel_format not in _FORMAT_OF or flags > _KEYFRAME_FLAG:
            raise bad_message(f"binary header {message[:4].hex()}")
        header = cls(codec, _FORMAT_OF[pixel_format], flags == _KEYFRAME_FLAG, *fields)
        _check(header, len(message) - HEADER_BYTES)
        return header

    @property
    def pixels_size(self) -> int:
        """Bytes of the raw pixels; 0 for video."""
        return self.width * self.height * CHANNELS[self.pixel_format] if self.pixel_format else 0


def _check(header: Header, chunk: int) -> None:
    if (header.codec in LOSSLESS_CODINGS) != (header.pixel_format is not None):
        raise bad_message(f"{header.codec} unit with pixel format {header.pixel_format}")
    if not (header.width and header.height):
        raise bad_message(f"unit of {header.width}x{header.height} pixels")
    if header.offset + chunk > header.size:
        raise bad_message(f"chunk of {chunk} bytes at {header.offset} in a unit of {header.size}")
    if header.codec == "raw" and header.keyframe and header.size != header.pixels_size:
        raise bad_message(f"raw unit of {header.size} bytes for {header.pixels_size} bytes of pixels")
    if header.pixel_format and not header.keyframe and header.size <= DELTA_BASE.size:
        raise bad_message(f"delta of {header.size} bytes")


def messages(unit: AccessUnit, stream: int, max_bytes: int = MAX_BINARY_MESSAGE_BYTES) -> list[bytes]:
    """The messages of a unit of any codec, in order. Each has at most ``max_bytes``, header included."""
    room = max_bytes - HEADER_BYTES
    assert room > 0 and unit.data, "a chunk holds a byte, and an encoder makes no empty units"
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
    """Puts messages together to units, as a viewer does.

    Each stream needs two: one for its video units and one for its lossless units.
    """

    def __init__(self) -> None:
        self._header: Header | None = None
        self._chunks: list[bytes] = []

    def feed(self, message: bytes) -> AccessUnit | None:
        """The unit that this message completes, or None.

        Raises ``RemoteProtocolError`` (4400) if chunks are missing or mixed.
        """
        header = Header.parse(message)
        received = sum(map(len, self._chunks))
        expected = replace(self._header, offset=received) if self._header else replace(header, offset=0)
        if header != expected:
            raise bad_message(f"chunk at {header.offset} of frame {header.number}, not at {expected.offset}")
        self._header = header
        self._chunks.append(message[HEADER_BYTES:])
        if header.offset + len(message) - HEADER_BYTES < header.size:
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
