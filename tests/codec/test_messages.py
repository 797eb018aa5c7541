"""Units as binary messages and back, and every malformed message refused."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from framewire.codec.messages import HEADER_BYTES, MAX_BINARY_MESSAGE_BYTES, Assembler, Header, messages
from framewire.errors import CloseCode, RemoteProtocolError
from framewire.frame import AccessUnit

VECTORS = Path(__file__).parents[2] / "signaling" / "vectors"
FRAMES: list[dict[str, Any]] = json.loads((VECTORS / "frames.json").read_text())

HEADER = Header(
    codec="raw", pixel_format="rgb", keyframe=True, stream=7, number=0xFFFFFFFF, width=2, height=1,
    time_us=1_700_000_000_123_456, size=6, offset=0, checksum=xxhash.xxh32_intdigest(b"abcdef"),
)  # fmt: skip
MESSAGE = HEADER.pack() + b"abcdef"


@pytest.mark.parametrize("case", [c for c in FRAMES if "header" in c], ids=lambda c: c["name"])
def test_every_header_of_the_contract_is_read(case):
    message = bytes.fromhex(case["hex"])
    header = asdict(Header.parse(message))
    header["frame"], header["pixel_format"] = header.pop("number"), header["pixel_format"] or "none"
    assert header == case["header"] and message[HEADER_BYTES:].hex() == case.get("payload", "")
    assert Header.parse(message).pack() == message[:HEADER_BYTES]


@pytest.mark.parametrize("case", [c for c in FRAMES if "error" in c], ids=lambda c: c["name"])
def test_every_message_that_the_contract_refuses_is_refused(case):
    with pytest.raises(RemoteProtocolError) as refused:
        Header.parse(bytes.fromhex(case["hex"]))
    assert refused.value.code == case["error"]


def test_the_header_is_the_one_of_the_contract():
    assert MESSAGE.hex(" ", 1).split()[:HEADER_BYTES] == (
        "01 00 03 01 07 00 00 00 ff ff ff ff 02 00 01 00 40 22 20 18 24 0a 06 00 06 00 00 00 00 00 00 00".split()
        + list(HEADER.checksum.to_bytes(4, "little").hex(" ").split())
    )
    assert Header.parse(MESSAGE) == HEADER


def test_the_longest_message_is_256_kib():
    # The contract: proxies in front of notebooks refuse long messages.
    unit = AccessUnit(codec="vp8", data=bytes(300_000), number=1, time_us=2, width=3, height=4)
    assert list(map(len, messages(unit, 1))) == [262_144, 300_000 - 262_144 + 2 * 36]


def test_a_message_of_the_greatest_length_is_read():
    unit = AccessUnit(codec="vp8", data=bytes(262_144 - 36), number=1, time_us=2, width=3, height=4, checksum=9)
    (message,) = messages(unit, 1)
    assert Assembler().feed(message) == unit
    with pytest.raises(RemoteProtocolError, match="262145 bytes"):
        Header.parse(message + b"x")


@pytest.mark.parametrize(("width", "height"), [(0, 4), (3, 0)])
def test_video_of_no_size_is_refused(width, height):
    (message,) = messages(AccessUnit(codec="vp8", data=b"x", number=1, time_us=2, width=width, height=height), 1)
    with pytest.raises(RemoteProtocolError, match=f"{width}x{height}"):
        Header.parse(message)


def test_a_raw_unit_has_the_bytes_of_its_pixels():
    header = replace(HEADER, width=2, height=3, pixel_format="rgba", size=24)
    assert Header.parse(header.pack() + bytes(24)).pixels_size == 24
    assert replace(header, pixel_format=None).pixels_size == 0


@given(st.integers(1, 3 * MAX_BINARY_MESSAGE_BYTES))
@settings(deadline=None, max_examples=30)
def test_no_message_is_longer_than_allowed(size):
    unit = AccessUnit(codec="vp8", data=bytes(size), number=1, time_us=2, width=3, height=4, keyframe=False)
    parts = messages(unit, 1)
    assert max(map(len, parts)) <= MAX_BINARY_MESSAGE_BYTES
    assert len(parts) == -(-size // (MAX_BINARY_MESSAGE_BYTES - HEADER_BYTES))


@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_video_units_have_a_checksum_of_their_bytes(codec):
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
        MESSAGE[:HEADER_BYTES],
        MESSAGE + bytes(MAX_BINARY_MESSAGE_BYTES),
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
        assert Header.parse(data).pack() + data[HEADER_BYTES:] == data
    except RemoteProtocolError:
        pass


def test_chunks_out_of_order_missing_or_mixed_are_refused():
    parts, others = (
        messages(AccessUnit(codec="vp8", data=bytes(300), number=number, time_us=2, width=3, height=4), 1, 150)
        for number in (1, 2)
    )
    for wrong in ([parts[1]], [parts[0], parts[2]], [parts[0], parts[0]], [parts[0], others[1]]):
        assembler = Assembler()
        with pytest.raises(RemoteProtocolError):
            for part in wrong:
                assembler.feed(part)


def test_an_assembler_begins_anew_with_the_next_unit():
    unit = AccessUnit(codec="vp8", data=bytes(300), number=1, time_us=2, width=3, height=4, checksum=5)
    assembler = Assembler()
    for number in (1, 2):
        numbered = replace(unit, number=number)
        assert [assembler.feed(part) for part in messages(numbered, 1, 150)] == [None, None, numbered]
