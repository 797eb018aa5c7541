"""Bit-exact units, whole and as deltas, and every unit that is not refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from framewire.codec.lossless import base_of, checksum_of, pack_delta, unpack
from framewire.codec.lossless import pack as pack_checked
from framewire.codec.messages import HEADER_BYTES, Assembler, messages
from framewire.codec.tiles import Tiles
from framewire.errors import RemoteProtocolError
from framewire.frame import AccessUnit, Frame

PIXELS = hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3, 4]))).map(
    np.ascontiguousarray
)

VECTORS = Path(__file__).parents[2] / "signaling" / "vectors"
DELTAS: list[dict[str, Any]] = json.loads((VECTORS / "deltas.json").read_text())


def pack(frame: Frame, *, compress: bool) -> AccessUnit:
    return pack_checked(frame, checksum_of(frame.pixels), compress=compress)


def delta(old: np.ndarray, new: np.ndarray, *, compress: bool) -> AccessUnit:
    """Frame 7, as what makes it of frame 6."""
    tiles = Tiles()
    turn = tiles.update(Frame(old, 6, 0))
    frame = Frame(new, 7, 1)
    tiles.update(frame)
    return pack_delta(frame, checksum_of(new), 6, tiles.body(tiles.changed(turn)), compress=compress)


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
def test_one_wrong_byte_in_a_delta_is_refused_or_changes_nothing(old, place, change, compress):
    unit = delta(old, 255 - old, compress=compress)
    broken = bytearray(unit.data)
    at = 4 + place % (len(broken) - 4)
    broken[at] ^= change
    try:
        # A tile's bytes beyond the picture's edge mean nothing.
        np.testing.assert_array_equal(unpack(replace(unit, data=bytes(broken)), old), 255 - old)
    except RemoteProtocolError:
        pass


@given(PIXELS, st.booleans(), st.integers(HEADER_BYTES + 16, 2000))
@settings(deadline=None, max_examples=60)
def test_any_pixels_are_bit_exact_in_messages_of_any_size(pixels, compress, chunk):
    unit = pack(Frame(pixels, 5, 123), compress=compress)
    assembler = Assembler()
    *parts, last = messages(unit, 9, chunk)
    assert all(assembler.feed(part) is None for part in parts)
    back = assembler.feed(last)
    assert back == unit
    np.testing.assert_array_equal(unpack(back), pixels)


def test_noise_is_sent_raw():
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
def test_malformed_zstd_is_refused(data):
    unit = pack(Frame(np.frombuffer(b"abcdef", np.uint8).reshape(1, 2, 3), 0, 0), compress=False)
    with pytest.raises(RemoteProtocolError):
        unpack(replace(unit, codec="zstd", data=data))
    with pytest.raises(RemoteProtocolError):
        unpack(replace(unit, data=data))


@pytest.mark.parametrize("width", range(1, 60))
def test_zstd_only_where_it_is_smaller(width):
    pixels = np.arange(width, dtype=np.uint8).reshape(1, -1, 1) // 8
    unit = pack(Frame(pixels, 0, 0), compress=True)
    assert (unit.codec == "zstd") == (len(zstandard.ZstdCompressor(level=1).compress(pixels.tobytes())) < width)


@pytest.mark.parametrize("compress", [True, False])
def test_unpacked_pixels_are_read_only(compress):
    old = np.zeros((20, 20, 3), np.uint8)
    for unit in (pack(Frame(old, 0, 0), compress=compress), delta(old, old, compress=compress)):
        with pytest.raises(ValueError, match="read-only"):
            unpack(unit, old)[0, 0, 0] = 1


def test_one_compressed_pixel_of_gray_is_unpacked():
    unit = pack(Frame(np.full((1, 1, 1), 7, np.uint8), 0, 0), compress=False)
    assert unpack(replace(unit, codec="zstd", data=zstandard.compress(b"\7"))).tolist() == [[[7]]]


@pytest.mark.parametrize("size", [0, 8 + 20 * 2 * 16 * 3 + 1])
def test_a_delta_that_unpacks_to_nothing_or_to_more_than_every_tile_is_not_unpacked(size):
    # Four tiles of 20 rows in all: 8 bytes of bitmap, then 20 rows of 2 tiles of 16 RGB pixels.
    old = np.zeros((20, 20, 3), np.uint8)
    unit = replace(delta(old, old, compress=True), codec="zstd")
    with pytest.raises(RemoteProtocolError, match="another size"):
        unpack(replace(unit, data=unit.data[:4] + zstandard.compress(bytes(size))), old)


def test_a_delta_of_every_tile_is_unpacked():
    old = np.zeros((20, 17, 3), np.uint8)
    assert (unpack(delta(old, old + 1, compress=True), old) == 1).all()
