"""Bit-exact units, their messages, and every rubbish message refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xxhash
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from framewire.codec.lossless import HEADER_SIZE, MAX_MESSAGE, Assembler, Header, messages, pack, unpack
from framewire.errors import CloseCode, RemoteProtocolError
from framewire.frame import AccessUnit, Frame

PIXELS = hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3, 4]))).map(
    np.ascontiguousarray
)

HEADER = Header(
    codec="raw", pixel_format="rgb", keyframe=True, stream=7, number=0xFFFFFFFF, width=2, height=1,
    time_us=1_700_000_000_123_456, size=6, offset=0, checksum=xxhash.xxh32_intdigest(b"abcdef"),
)  # fmt: skip
MESSAGE = HEADER.pack() + b"abcdef"


@given(PIXELS, st.booleans(), st.integers(HEADER_SIZE + 16, 2000))
@settings(deadline=None, max_examples=60)
def test_pixels_come_back_bit_by_bit_whatever_they_are_and_however_cut(pixels, compress, chunk):
    unit = pack(Frame(pixels, 5, 123), compress=compress)
    assembler = Assembler()
    *parts, last = messages(unit, 9, chunk)
    assert all(assembler.feed(part) is None for part in parts)
    back = assembler.feed(last)
    assert back == unit
    np.testing.assert_array_equal(unpack(back), pixels)


def test_what_does_not_get_smaller_goes_raw():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert pack(Frame(noise, 0, 0), compress=True).codec == "raw"
    assert pack(Frame(noise // 255, 0, 0), compress=True).codec == "zstd"
    assert pack(Frame(noise // 255, 0, 0), compress=False).codec == "raw"


@pytest.mark.parametrize("compress", [True, False])
def test_the_unit_owns_its_bytes(compress):
    pixels = np.zeros((8, 8, 4), np.uint8)
    unit = pack(Frame(pixels, 0, 0), compress=compress)
    pixels[:] = 255
    assert not unpack(unit).any()


def test_the_header_is_the_one_of_the_contract():
    assert MESSAGE.hex(" ", 1).split()[:HEADER_SIZE] == (
        "01 00 03 01 07 00 00 00 ff ff ff ff 02 00 01 00 40 22 20 18 24 0a 06 00 06 00 00 00 00 00 00 00".split()
        + list(HEADER.checksum.to_bytes(4, "little").hex(" ").split())
    )
    assert Header.parse(MESSAGE) == HEADER


@given(st.integers(1, 3 * MAX_MESSAGE))
@settings(deadline=None, max_examples=30)
def test_no_message_is_longer_than_allowed(size):
    unit = AccessUnit(codec="vp8", data=bytes(size), number=1, time_us=2, width=3, height=4, keyframe=False)
    parts = messages(unit, 1)
    assert max(map(len, parts)) <= MAX_MESSAGE
    assert len(parts) == -(-size // (MAX_MESSAGE - HEADER_SIZE))


@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_video_units_travel_too_with_a_checksum_of_their_bytes(codec):
    unit = AccessUnit(codec=codec, data=b"\0\0\0\1coded", number=1, time_us=2, width=3, height=4, keyframe=False)
    (message,) = messages(unit, 6)
    header = Header.parse(message)
    assert (header.stream, header.pixel_format, header.keyframe) == (6, None, False)
    assert header.checksum == xxhash.xxh32_intdigest(unit.data)
    assert Assembler().feed(message) == replace(unit, checksum=header.checksum)


def altered(at: int, value: int) -> bytes:
    return MESSAGE[:at] + bytes([value]) + MESSAGE[at + 1 :]


@pytest.mark.parametrize(
    "message",
    [
        b"",
        MESSAGE[:HEADER_SIZE],
        MESSAGE + bytes(MAX_MESSAGE),
        altered(0, 2),
        altered(1, 2),
        altered(1, 16),
        altered(2, 0),
        altered(2, 2),
        altered(2, 4),
        altered(3, 0),
        altered(3, 2),
        altered(12, 0),
        altered(14, 0),
        altered(24, 5),
        altered(24, 7),
        altered(28, 1),
    ],
)
def test_a_message_that_breaks_the_contract_is_refused(message):
    with pytest.raises(RemoteProtocolError) as refused:
        Header.parse(message)
    assert refused.value.code is CloseCode.BAD_MESSAGE


@given(st.binary(max_size=80))
def test_arbitrary_bytes_are_a_message_or_refused(data):
    try:
        assert Header.parse(data).pack() + data[HEADER_SIZE:] == data
    except RemoteProtocolError:
        pass


def test_chunks_out_of_order_missing_or_mixed_are_refused():
    unit = pack(Frame(np.arange(300, dtype=np.uint8).reshape(10, 10, 3) % 251, 1, 0), compress=False)
    other = pack(Frame(np.zeros((10, 10, 3), np.uint8), 2, 0), compress=False)
    parts, others = messages(unit, 1, 150), messages(other, 1, 150)
    for wrong in ([parts[1]], [parts[0], parts[2]], [parts[0], parts[0]], [parts[0], others[1]]):
        assembler = Assembler()
        with pytest.raises(RemoteProtocolError):
            for part in wrong:
                assembler.feed(part)


@pytest.mark.parametrize(
    "data",
    [
        b"rubbish",
        zstandard.compress(bytes(5)),
        zstandard.compress(bytes(10_000_000)),
        zstandard.compress(b"abcdeX"),
        zstandard.compress(bytes(6))[:-2],
    ],
)
def test_pixels_that_are_not_what_the_unit_says_are_refused(data):
    unit = pack(Frame(np.frombuffer(b"abcdef", np.uint8).reshape(1, 2, 3), 0, 0), compress=False)
    with pytest.raises(RemoteProtocolError):
        unpack(replace(unit, codec="zstd", data=data))
    with pytest.raises(RemoteProtocolError):
        unpack(replace(unit, data=data))
