"""Changes inputs in the ways of their formats: bytes, JSON and MessagePack trees, lines of text, blocks with a length.

Must not know targets.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

import msgspec

from tests.fuzz.fuzzer import MAX_INPUT_BYTES, Mutator

_INFLATE_CHANCE: Final = 0.003
"""Of so many changes, one repeats a part until the input is as long as may be: what is quadratic shows there."""


def pick(random: Random, values: Sequence[Any]) -> Any:
    return values[int(random.random() * len(values))]


def below(random: Random, count: int) -> int:
    return int(random.random() * count)


_LENGTHS: Final = (0, 1, 2, 3, 4, 7, 8, 16, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 512, 513, 1500, 65_535)


def spliced(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """Bytes changed without knowing what they are."""
    size = len(data)
    at = below(random, size + 1)
    end = min(size, at + 1 + below(random, 1 + min(size, 16)))
    kind = below(random, 9)
    if kind == 0:
        return data[:at] + data[end:]
    if kind == 1:
        return data[:end] + data[at:]
    if kind == 2:
        return data[:at] + random.randbytes(1 + below(random, 8)) + data[at:]
    if kind == 3:
        other: bytes = pick(random, others)
        return data[:at] + other[below(random, len(other) + 1) :]
    if kind == 4:
        number: bytes = struct.pack(pick(random, ("!L", "<L")), pick(random, _LENGTHS))
        return data[:at] + number[-pick(random, (2, 4)) :] + data[at + 2 :]
    if kind == 5 and random.random() < 40 * _INFLATE_CHANCE and end > at:
        return data[:at] + data[at:end] * (MAX_INPUT_BYTES // (end - at)) + data[end:]
    if kind == 6:
        other = pick(random, others)
        start = below(random, len(other) + 1)
        return data[:at] + other[start : start + 1 + below(random, 32)] + data[at:]
    changed = bytearray(data)
    for _ in range(1 + below(random, 4) if changed else 0):
        changed[below(random, size)] = pick(random, (0, 1, 127, 128, 255, below(random, 256)))
    return bytes(changed)


# Trees: JSON and MessagePack

_VALUES: Final[tuple[Any, ...]] = (
    None, True, False, 0, 1, -1, 2, 32, 33, 64, 65, 255, 256, 65_535, 65_536, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF,
    1 << 32, 1 << 53, (1 << 53) + 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, -(1 << 63), 0.0, -0.0, 0.5, 1.0, 1e-300,
    1e300, 1.5e308, 4294967295.0, "", "a", "a" * 16, "a" * 17, "a" * 64, "a" * 65, "a" * 128, "a" * 129, "a" * 256,
    "a" * 257, "a" * 512, "a" * 513, "\0", "\n", "\x1b[2J", "\u2028", "\ufeff", "\U0001f600" * 16, "\U0001f600" * 17,
    "é" * 128, "h264", "vp8", "../..", "<img onerror=x>", [], {}, [[]], [None], {"": 0}, {"type": "hello"},
)  # fmt: skip
_SYNTAX: Final = (
    b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"-0", b"01", b"1.", b".5", b"\\ud800", b"\\udfff\\ud800",
    b"\\u0000", b"\xff", b"\xed\xa0\x80", b"\xc0\xaf", b"\xef\xbb\xbf", b"[" * 200, b"{\"a\":" * 200, b"]", b"}",
    b",", b":", b'"', b"\\", b"/**/", b"\x00", b"9" * 400, b"0." + b"1" * 400, b"true", b"null", b'"type"',
)  # fmt: skip


def changed_tree(root: Any, random: Random, other: Any, words: Sequence[str]) -> Any:
    """A tree with one thing changed somewhere in it, mostly near its top."""
    at = root
    while True:
        if isinstance(at, dict) and at:
            key = pick(random, list(at))
            if isinstance(at[key], dict | list) and at[key] and random.random() < 0.7:
                at = at[key]
                continue
            _change_dict(at, key, random, other, words)
        elif isinstance(at, list) and at:
            index = below(random, len(at))
            if isinstance(at[index], dict | list) and at[index] and random.random() < 0.7:
                at = at[index]
                continue
            _change_list(at, index, random, other)
        else:
            return pick(random, _VALUES)
        return root


def _change_dict(at: dict[Any, Any], key: Any, random: Random, other: Any, words: Sequence[str]) -> None:
    kind = below(random, 8)
    if kind <= 2:
        at[key] = pick(random, _VALUES)
    elif kind == 3:
        del at[key]
    elif kind == 4:
        at[pick(random, words)] = pick(random, _VALUES)
    elif kind == 5 and isinstance(other, dict) and other:
        word = pick(random, list(other))
        at[word] = other[word]
    elif kind == 6:
        value = at[key]
        at[key] = value * pick(random, (2, 3, 9, 33)) if isinstance(value, str | list) else [value]
    elif random.random() < 100 * _INFLATE_CHANCE:
        value = at[key]
        for number in range(pick(random, (9, 65, 3000))):
            at[str(number)] = value
    else:
        at[key] = pick(random, words)


def _change_list(at: list[Any], index: int, random: Random, other: Any) -> None:
    kind = below(random, 6)
    if kind == 0:
        del at[index]
    elif kind == 1:
        at.insert(index, at[index])
    elif kind == 2:
        at[index] = pick(random, _VALUES)
    elif kind == 3:
        at.append(other)
    elif kind == 4:
        at *= pick(random, (2, 9, 33))
    elif random.random() < 100 * _INFLATE_CHANCE:
        at *= 3000
    else:
        random.shuffle(at)


def _tree(decode: Callable[[bytes], Any], data: bytes) -> Any:
    try:
        return decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def json_mutator(words: Sequence[str]) -> Mutator:
    """Changes JSON as a tree, and now and then as text. ``words`` are names of fields, and values, of the contract."""
    decode, encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode

    def mutate(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
        kind = random.random()
        if kind < 0.15:
            return spliced(data, random, others)
        if kind < 0.25:
            at = below(random, len(data) + 1)
            token: bytes = pick(random, _SYNTAX)
            return data[:at] + token + data[at + below(random, 3) :]
        tree = _tree(decode, data)
        other = _tree(decode, pick(random, others)) if random.random() < 0.3 else None
        try:
            return encode(changed_tree(tree, random, other, words))
        except (ValueError, TypeError, OverflowError, RecursionError, UnicodeEncodeError):
            return data

    return mutate


def link_mutator(words: Sequence[str]) -> Mutator:
    """Changes messages of MessagePack, each with its length before it."""
    decode, encode = msgspec.msgpack.Decoder().decode, msgspec.msgpack.Encoder().encode

    def mutate(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
        if random.random() < 0.15:
            return spliced(data, random, others)
        bodies = framed(data)
        if not bodies or random.random() < 0.2:
            bodies = bodies + framed(pick(random, others))
            random.shuffle(bodies)
        index = below(random, len(bodies)) if bodies else 0
        tree = _tree(decode, bodies[index]) if bodies else {"type": pick(random, words)}
        other = _tree(decode, (framed(pick(random, others)) or [b"\xc0"])[0]) if random.random() < 0.3 else None
        try:
            body = encode(changed_tree(tree, random, other, words))
        except (ValueError, TypeError, OverflowError, RecursionError, UnicodeEncodeError):
            return data
        bodies[index : index + 1] = [body]
        return b"".join(struct.pack("<L", len(each)) + each for each in bodies)

    return mutate


def framed(data: bytes) -> list[bytes]:
    """What stands behind each length."""
    bodies, at = [], 0
    while at + 4 <= len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "little")
        bodies.append(data[at + 4 : end])
        at = end
    return bodies


# Lines


def line_mutator(lines: Sequence[bytes], fields: Sequence[bytes]) -> Mutator:
    """Changes text line by line, and the words of its lines."""

    def mutate(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
        if random.random() < 0.15:
            return spliced(data, random, others)
        rows = data.split(b"\r\n")
        at = below(random, len(rows))
        if random.random() < 0.45:
            _change_line(rows, at, random, fields)
        else:
            _change_lines(rows, at, random, lines, others)
        return b"\r\n".join(rows)

    return mutate


def _change_line(rows: list[bytes], at: int, random: Random, fields: Sequence[bytes]) -> None:
    if random.random() < 0.3:
        rows[at] = spliced(rows[at], random, rows)
    else:
        words = rows[at].split(b" ")
        words[below(random, len(words))] = pick(random, fields)
        rows[at] = b" ".join(words)


def _change_lines(rows: list[bytes], at: int, random: Random, lines: Sequence[bytes], others: Sequence[bytes]) -> None:
    kind = below(random, 7)
    if kind == 0:
        del rows[at]
    elif kind == 1:
        rows.insert(below(random, len(rows)), rows[at])
    elif kind == 2:
        rows.insert(at, pick(random, lines))
    elif kind == 3:
        rows[at] = pick(random, lines)
    elif kind == 4:
        other = pick(random, others).split(b"\r\n")
        rows[at:at] = other[below(random, len(other)) :][: 1 + below(random, 12)]
    elif kind == 5:
        random.shuffle(rows)
    elif random.random() < 40 * _INFLATE_CHANCE:
        rows[at:at] = [rows[at]] * pick(random, (33, 201, 4000))


# Blocks with a length


def rtcp_mutator(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """Changes a compound of RTCP packet by packet; mostly the lengths stay right."""
    if random.random() < 0.2:
        return spliced(data, random, others)
    packets = rtcp_packets(data)
    kind = below(random, 8)
    at = below(random, len(packets)) if packets else 0
    if not packets or kind == 0:
        packets += rtcp_packets(pick(random, others))
    elif kind == 1:
        del packets[at]
    elif kind == 2:
        packets *= pick(random, (2, 5, 60))
    elif kind == 3:
        body = random.randbytes(4 * below(random, 9))
        packets[at] = _rtcp(below(random, 256), pick(random, (200, 201, 202, 203, 205, 206)), packets[at][4:12] + body)
    elif kind == 4:
        header = bytearray(packets[at])
        header[pick(random, (0, 1, 2, 3)) % len(header)] ^= 1 << below(random, 8)
        packets[at] = bytes(header)
    elif kind == 5:
        # Padding (RFC 3550 §6.4.1), right and wrong.
        body = packets[at][4:] + bytes(3) + bytes([pick(random, (0, 1, 4, 5, 255))])
        packets[at] = _rtcp(0xA0 | below(random, 32), packets[at][1] if len(packets[at]) > 1 else 200, body)
    else:
        head, body = packets[at][:4], spliced(packets[at][4:], random, others)
        body += bytes(-len(body) % 4)
        packets[at] = _rtcp(head[0] if head else 0x80, head[1] if len(head) > 1 else 205, body)
    return b"".join(packets)


def _rtcp(first: int, kind: int, body: bytes) -> bytes:
    return struct.pack("!BBH", first, kind, len(body) // 4 & 0xFFFF) + body


def rtcp_packets(data: bytes) -> list[bytes]:
    packets, at = [], 0
    while at + 4 <= len(data):
        end = at + 4 + 4 * int.from_bytes(data[at + 2 : at + 4])
        packets.append(data[at:end])
        at = end
    return packets


def stun_attributes(data: bytes) -> list[tuple[int, bytes]]:
    """Type and value of each attribute (RFC 8489 §14)."""
    found, at = [], 20
    while at + 4 <= len(data):
        kind, size = struct.unpack_from("!HH", data, at)
        found.append((kind, data[at + 4 : at + 4 + size]))
        at += 4 + size + -size % 4
    return found


def stun_message(head: bytes, attributes: Sequence[tuple[int, bytes]]) -> bytes:
    body = b"".join(struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4) for kind, value in attributes)
    return head[:2] + struct.pack("!H", len(body) & 0xFFFF) + head[4:20] + body
