"""Parity packets, read as the draft says, and lost packets restored from them."""

from __future__ import annotations

import struct
from functools import reduce
from itertools import combinations
from math import gcd
from operator import xor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framewire.rtc.rtp.flexfec import (
    MAX_COVERED_PACKETS,
    SourceHeader,
    fec_payload,
    interleaving_depths,
    parities,
)

SSRC, FIRST, TIMESTAMP = 0xDECAFBAD, 65_530, 0x12345678
BLOCK = bytes.fromhex("bede0001") + b"\x10\x30\x00\x00"
HEADER = SourceHeader(99, SSRC, TIMESTAMP, FIRST, BLOCK)


def packets(payloads):
    """The protected packets as they leave."""
    return [
        struct.pack("!BBHLL", 0x90, 99 | 0x80 * (index == len(payloads) - 1), (FIRST + index) & 0xFFFF, TIMESTAMP, SSRC)
        + BLOCK
        + payload
        for index, payload in enumerate(payloads)
    ]


def covered(fec):
    """Sequence numbers that a parity packet's mask names, and where its protected part begins."""
    base = int.from_bytes(fec[16:18])
    bits, at = [], 18
    for size in (2, 4, 8):
        word = int.from_bytes(fec[at : at + size])
        at += size
        width = size * 8 - 1
        bits += [word >> (width - 1 - place) & 1 for place in range(width)]
        if word >> width:
            break
    return [(base + place) & 0xFFFF for place, bit in enumerate(bits) if bit], at


def restore(fec, known):
    """The one packet that is missing of those covered; None if more are, or none."""
    numbers, at = covered(fec)
    missing = [number for number in numbers if number not in known]
    if len(missing) != 1:
        return None
    others = [known[number] for number in numbers if number in known]
    first, second = (reduce(xor, (packet[place] for packet in others), fec[place]) for place in (0, 1))
    length = reduce(xor, (len(packet) - 12 for packet in others), int.from_bytes(fec[2:4]))
    timestamp = reduce(xor, (int.from_bytes(packet[4:8]) for packet in others), int.from_bytes(fec[4:8]))
    bodies = [int.from_bytes(packet[12:], "little") for packet in others]
    body = reduce(xor, bodies, int.from_bytes(fec[at:], "little"))
    head = struct.pack("!BBHLL", first & 0x3F | 0x80, second, missing[0], timestamp, SSRC)
    return head + body.to_bytes(4096, "little")[:length]


def fecs(payloads, count):
    return [fec_payload(parity, HEADER) for cover in parities(payloads, count) for parity in cover]


def received(payloads, lost, fec):
    sent = packets(payloads)
    known = {(FIRST + i) & 0xFFFF: packet for i, packet in enumerate(sent) if i not in lost}
    # What one parity restores lets another restore more.
    while found := [packet for each in fec if (packet := restore(each, known)) is not None]:
        known |= {int.from_bytes(packet[2:4]): packet for packet in found}
    return [known.get((FIRST + i) & 0xFFFF) for i in range(len(sent))] == sent


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=120), st.data())
@settings(deadline=None)
def test_any_one_packet_is_restored_bit_by_bit(payloads, data):
    count = data.draw(st.integers(1, len(payloads)))
    lost = data.draw(st.integers(0, len(payloads) - 1))
    assert received(payloads, {lost}, fecs(payloads, count))


@pytest.mark.parametrize("count", [2, 4, 5, 7, 9])
@pytest.mark.parametrize("packets", [10, 16, 40])
def test_a_burst_as_long_as_there_are_parities_is_restored(packets, count):
    payloads = [bytes([index]) * (20 + index) for index in range(packets)]
    # With two covers without a common divisor, one fewer.
    burst = count if count < 5 else count - 1
    for start in range(packets - burst + 1):
        assert received(payloads, set(range(start, start + burst)), fecs(payloads, count))


@pytest.mark.parametrize("packets", [9, 10, 11, 30])
def test_a_burst_over_the_last_packets_and_the_first_parities_is_restored(packets):
    count = 4
    payloads = [bytes([index]) * 30 for index in range(packets)]
    for of_packets in range(1, count):
        lost = set(range(packets - of_packets, packets))
        assert received(payloads, lost, fecs(payloads, count)[count - of_packets :])


def test_two_losses_that_one_parity_covers_are_not_restored():
    payloads = [b"ab", b"cd", b"ef", b"gh"]
    assert not received(payloads, {0, 2}, fecs(payloads, 2))


@pytest.mark.parametrize("count", [5, 7, 8, 9])
def test_two_losses_anywhere_are_restored_where_packets_are_covered_twice(count):
    first, second = interleaving_depths(count)
    packets = min(first * second, 20)
    payloads = [bytes([index]) * 30 for index in range(packets)]
    fec = fecs(payloads, count)
    for pair in combinations(range(packets), 2):
        assert received(payloads, set(pair), fec)


@given(st.integers(1, 100))
def test_depths_have_no_common_divisor_and_make_up_the_count(count):
    first, second = interleaving_depths(count)
    assert first + second == count and (not second or gcd(first, second) == 1)


@pytest.mark.parametrize("packets", [1, 15, 16, 46, 47, 300])
def test_each_cover_covers_every_packet_once_with_masks_that_browsers_read(packets):
    payloads = [b"x"] * packets
    for cover in parities(payloads, 40)[: 1 + (packets > 1)]:
        numbers = [number for parity in cover for number in covered(fec_payload(parity, HEADER))[0]]
        assert sorted(numbers) == sorted((FIRST + index) & 0xFFFF for index in range(packets))
        assert all(parity.offsets[0] == 0 and parity.offsets[-1] < MAX_COVERED_PACKETS for parity in cover)


def test_from_five_parities_on_some_cover_the_packets_a_second_time():
    depths = [interleaving_depths(count) for count in range(3, 10)]
    assert depths == [(3, 0), (4, 0), (3, 2), (5, 1), (4, 3), (5, 3), (5, 4)]


def test_a_unit_of_several_blocks_has_as_many_parities_as_one_block():
    assert [len(cover) for cover in parities([b"x"] * 92, 8)] == [8, 0], "four for each block of 46"
    assert [len(cover) for cover in parities([b"x"] * 93, 9)] == [9, 0], "three for each block of 31"
    assert [len(cover) for cover in parities([b"x"] * 48, 400)] == [48, 48], "and at most one for each packet"


def test_the_fixed_part_is_as_the_draft_draws_it():
    [fec] = fecs([b"ab", b"cde", b"f"], 1)
    assert fec[0] == 0x10, "R, F and padding 0, three extension bits make one, no CSRCs"
    assert fec[1] == 0x80 | 99, "one marker, three times the payload type"
    assert int.from_bytes(fec[2:4]) == (8 + 2) ^ (8 + 3) ^ (8 + 1)
    assert int.from_bytes(fec[4:8]) == TIMESTAMP
    assert fec[8:12] == b"\1\0\0\0", "one protected SSRC"
    assert (int.from_bytes(fec[12:16]), int.from_bytes(fec[16:18])) == (SSRC, FIRST)
    assert int.from_bytes(fec[18:20]) == 0b1_111_0000_0000_0000
    assert fec[20:28] == BLOCK
    assert fec[28:] == bytes([ord("a") ^ ord("c") ^ ord("f"), ord("b") ^ ord("d"), ord("e")])


def test_a_cover_has_at_most_one_parity_for_each_packet():
    assert [len(cover) for cover in parities([b"x"] * 3, 50)] == [3, 3]
