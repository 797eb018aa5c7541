"""Bit-exact units, their messages, and every rubbish message refused."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xxhash
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from framewire.codec.lossless import (
    HEADER_SIZE,
    MAX_MESSAGE,
    Assembler,
    Header,
    base_of,
    checksum_of,
    messages,
    pack_delta,
    unpack,
)
from framewire.codec.lossless import pack as pack_checked
from framewire.codec.tiles import Tiles
from framewire.errors import CloseCode, RemoteProtocolError
from framewire.frame import AccessUnit, Frame

PIXELS = hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3, 4]))).map(
    np.ascontiguousarray
)

VECTORS = Path(__file__).parents[2] / "signaling" / "vectors"
FRAMES: list[dict[str, Any]] = json.loads((VECTORS / "frames.json").read_text())
DELTAS: list[dict[str, Any]] = json.loads((VECTORS / "deltas.json").read_text())

HEADER = Header(
    codec="raw", pixel_format="rgb", keyframe=True, stream=7, number=0xFFFFFFFF, width=2, height=1,
    time_us=1_700_000_000_123_456, size=6, offset=0, checksum=xxhash.xxh32_intdigest(b"abcdef"),
)  # fmt: skip
MESSAGE = HEADER.pack() + b"abcdef"


def pack(frame: Frame, *, compress: bool) -> AccessUnit:
    return pack_checked(frame, checksum_of(frame.pixels), compress=compress)


def delta(old: np.ndarray, new: np.ndarray, *, compress: bool) -> AccessUnit:
    """Frame 7, as what makes it of frame 6."""
    tiles = Tiles()
    turn = tiles.update(Frame(old, 6, 0))
    frame = Frame(new, 7, 1)
    tiles.update(frame)
    return pack_delta(frame, checksum_of(new), 6, tiles.body(tiles.changed(turn)), compress=compress)


@pytest.mark.parametrize("case", [c for c in FRAMES if "header" in c], ids=lambda c: c["name"])
def test_every_header_of_the_contract_is_read(case):
    message = bytes.fromhex(case["hex"])
    header = asdict(Header.parse(message))
    header["frame"], header["pixel_format"] = header.pop("number"), header["pixel_format"] or "none"
    assert header == case["header"] and message[HEADER_SIZE:].hex() == case.get("payload", "")
    assert Header.parse(message).pack() == message[:HEADER_SIZE]


@pytest.mark.parametrize("case", [c for c in FRAMES if "error" in c], ids=lambda c: c["name"])
def test_every_message_that_the_contract_refuses_is_refused(case):
    with pytest.raises(RemoteProtocolError) as refused:
        Header.parse(bytes.fromhex(case["hex"]))
    assert refused.value.code == case["error"]


@pytest.mark.parametrize("case", DELTAS, ids=lambda c: c["name"])
def test_every_delta_of_the_contract(case):
    unit = Assembler().feed(bytes.fromhex(case["hex"]))
    assert unit and unit.pixel_format and not unit.keyframe
    base = np.frombuffer(bytes.fromhex(case["base"]["pixels"]), np.uint8)
    base = base.reshape(case["base"]["height"], case["base"]["width"], -1)
    if "pixels" in case:
        assert base_of(unit) == case["base"]["frame"]
        assert unpack(unit, base).tobytes().hex() == case["pixels"]
    else:
        with pytest.raises(RemoteProtocolError):
            # Which frame there is, is for the viewer to know.
            unpack(unit, base if base_of(unit) == case["base"]["frame"] else None)


@given(PIXELS, st.data(), st.booleans())
@settings(deadline=None, max_examples=60)
def test_a_delta_makes_the_new_picture_of_the_old(old, data, compress):
    new = old.copy()
    for place in data.draw(st.lists(st.integers(0, old.size - 1), max_size=5)):
        new.reshape(-1)[place] ^= data.draw(st.integers(0, 255))
    assembler = Assembler()
    *parts, last = messages(delta(old, new, compress=compress), 9, 500)
    assert all(assembler.feed(part) is None for part in parts)
    back = assembler.feed(last)
    assert back is not None and base_of(back) == 6 and back.size == new.nbytes
    np.testing.assert_array_equal(unpack(back, old), new)


def test_a_delta_over_another_picture_is_refused():
    old, new = np.zeros((40, 50, 3), np.uint8), np.zeros((40, 50, 3), np.uint8)
    new[3, 4] = 5
    unit = delta(old, new, compress=True)
    wrong = old.copy()
    wrong[39, 49] = 1
    for base in (None, wrong, old[:, :49].copy(), old[:, :, :1].copy()):
        with pytest.raises(RemoteProtocolError):
            unpack(unit, base)


@given(PIXELS, st.integers(0, 10_000), st.integers(1, 255), st.booleans())
@settings(deadline=None, max_examples=100)
def test_one_wrong_byte_in_a_delta_gives_no_picture_or_the_right_one(old, place, change, compress):
    unit = delta(old, 255 - old, compress=compress)
    broken = bytearray(unit.data)
    at = 4 + place % (len(broken) - 4)
    broken[at] ^= change
    try:
        # A tile's bytes beyond the picture's edge mean nothing.
        np.testing.assert_array_equal(unpack(replace(unit, data=bytes(broken)), old), 255 - old)
    except RemoteProtocolError:
        pass


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
