"""Targets that take datagrams of a viewer, or of anyone who sends to its port: STUN, RTCP and transport-wide feedback.

Must not know how inputs are made smaller, kept or counted.
"""

from __future__ import annotations

import asyncio
import math
import struct
from collections.abc import Callable, Hashable, Sequence
from functools import cache
from random import Random
from typing import Any, Final

import aioice
from aioice import stun

from framewire.rtc.rtp import rtcp, twcc
from framewire.rtc.send.sender import SenderParameters
from framewire.rtc.stack import ice
from tests.fuzz.choices import Choices
from tests.fuzz.fuzzer import Target, one_in
from tests.fuzz.mutators import below, pick, rtcp_mutator, spliced, stun_attributes, stun_message
from tests.rtc.rig import FEC, MEDIA, NOW, RTX, Rig

MAX_SRTCP_BYTES: Final = 1500
"""libsrtp's binding takes no longer packets."""
SSRCS: Final = (MEDIA, RTX, FEC)

# RTCP


def _packet(first: int, kind: int, *words: int | bytes) -> bytes:
    body = b"".join(word if isinstance(word, bytes) else struct.pack("!L", word) for word in words)
    return struct.pack("!BBH", first, kind, len(body) // 4) + body


def _twcc(base: int, count: int, chunks: Sequence[int], deltas: bytes, reference: int = 1, number: int = 0) -> bytes:
    body = struct.pack("!HHL", base, count, reference << 8 | number)
    return body + b"".join(chunk.to_bytes(2) for chunk in chunks) + deltas


_FEEDBACK: Final = (
    _twcc(1, 3, [0x2003], b"\x04\x08\x0c"),
    _twcc(65_534, 7, [0xD555], bytes(7)),
    _twcc(1, 14, [0xBFFF], bytes(14)),
    _twcc(1, 4, [0x4004], bytes(8)),
    _twcc(1, 8191, [0x1FFF], b""),
    _twcc(5, 9, [0x0002, 0x2004, 0x4003], bytes(4) + b"\xff\xf0" * 3),
)


def _rtcp_seeds() -> list[bytes]:
    block = struct.pack("!LLLLLL", MEDIA, 0x40000003, 9, 90, 0x12345678, 65_536)
    return [
        _packet(0x81, 201, 1, block),
        _packet(0x82, 201, 1, block, block),
        _packet(0x81, 200, 1, bytes(20), block),
        _packet(0x81, 202, 1, b"\x01\x02us\0\0\0\0"),
        _packet(0x81, 205, 1, MEDIA, struct.pack("!HH", 65_534, 0xFFFF), struct.pack("!HH", 3, 1)),
        _packet(0x81, 206, 1, MEDIA),
        _packet(0x84, 206, 1, 0, MEDIA, 0x01000000),
        _packet(0x8F, 206, 1, 0, b"REMB", b"\x01\x0f\xff\xff", MEDIA),
        *(_packet(0x8F, 205, 1, MEDIA, fci + bytes(-len(fci) % 4)) for fci in _FEEDBACK),
        _packet(0x81, 201, 1, block) + _packet(0x81, 206, 1, MEDIA) + _packet(0x81, 205, 1, MEDIA, bytes(4)),
    ]


def read_rtcp(data: bytes) -> Hashable:
    """Feedback is within what its bytes can hold; what is understood can be written and read again."""
    found = rtcp.parse(data)
    kinds = [type(each).__name__ for each in found]
    assert len(found) <= len(data) // 4
    assert kinds.count("TransportCcFeedback") <= rtcp.MAX_TRANSPORT_CC_PER_COMPOUND
    if one_in(8, data):
        for each in found:
            _check_feedback(each, data)
    return (tuple(dict.fromkeys(kinds)), min(len(found), 5))


def _check_feedback(each: rtcp.Feedback, data: bytes) -> None:
    match each:
        case rtcp.Nack(ssrc, sequences):
            assert 0 <= ssrc < 1 << 32 and 0 < len(sequences) <= 17 * len(data) // 4
            assert all(0 <= number < 1 << 16 for number in sequences)
            pairs = b"".join(struct.pack("!HH", number, 0) for number in sequences)
            assert rtcp.parse(_packet(0x81, 205, 1, ssrc, pairs)) == [each]
        case rtcp.KeyframeRequest(ssrc):
            assert rtcp.parse(_packet(0x81, 206, 1, ssrc)) == [each]
        case rtcp.Remb(bits_per_second, ssrcs):
            assert 0 <= bits_per_second < 1 << 81 and len(ssrcs) <= 255
        case rtcp.ReceptionReport():
            assert 0 <= each.fraction_lost < 1
            rtt = each.rtt(NOW)
            assert rtt is None or 0 <= rtt <= rtcp.MAX_RTT_S
        case rtcp.TransportCcFeedback(fci):
            read_twcc(fci)


def read_twcc(data: bytes) -> Hashable:
    try:
        feedback = twcc.parse(data)
    except twcc.MalformedFeedback as error:
        return str(error).lstrip("0123456789")[:20]
    arrivals = feedback.arrivals
    assert 0 < len(arrivals) <= 0xFFFF and 0 <= feedback.base_sequence <= 0xFFFF
    assert all(arrival is None or math.isfinite(arrival) for arrival in arrivals)
    assert sum(arrival is not None for arrival in arrivals) <= len(data), "each arrival has a byte at least"
    try:
        twcc.parse(data, len(arrivals) - 1)
    except twcc.MalformedFeedback:
        return (len(arrivals).bit_length(), any(arrivals), all(arrivals))
    raise AssertionError("no more packets are read than were asked for")


# RTCP into a sender with congestion control


def feed_sender(data: bytes) -> Hashable:
    """A sender that sends, and takes whatever feedback: its estimate stays in its limits, and it goes on sending."""
    choices = Choices(data)
    bitrates: list[int] = []
    rig = Rig(parameters=_PARAMETERS, controlled=True)
    rig.packets._media_bitrate._on_bitrate = bitrates.append
    at, sent = 0.0, 0
    rig.send(at, keyframe=True)
    while choices.more and sent < 40:
        at += (0.001, 0.01, 0.033, 0.2, 3.0)[choices.below(5)]
        for _ in range(20):
            if min(rig.sender.deadline, rig.packets.deadline) > NOW + at:
                break
            rig.sender.tick(NOW + at)
            rig.packets.tick(NOW + at)
        kind = choices.below(4)
        if kind == 0:
            sent += 1
            rig.send(at, keyframe=sent % 8 == 0, parts=1 + choices.below(20))
        else:
            _feed(rig, choices, kind, at)
    for bps in bitrates:
        assert 1_000 <= bps <= 2_000_000_000, bps
    assert rig.packets.queueing_delay_s >= 0 and len(rig.wire.bursts) < 20_000
    later = at + 60.0
    rig.sender.tick(NOW + later)
    rig.packets.tick(NOW + later)
    rig.send(later, keyframe=True)
    return (min(sent, 9), len(rig.wire.bursts).bit_length(), len(bitrates).bit_length(), len(rig.events) > 1)


def _feed(rig: Rig, choices: Choices, kind: int, at: float) -> None:
    packets = rig.packets
    if kind == 1:
        first = packets._feedback.next_sequence_number - 1 - choices.below(8)
        count = 1 + choices.below(9)
        deltas = bytes(choices.below(256) for _ in range(count))
        packets.feed(_twcc(first & 0xFFFF, count, [0x2000 | count], deltas, int(at / 0.064) + 5), NOW + at)
    elif kind == 2:
        size = choices.below(32)
        packets.feed(bytes(choices.below(256) for _ in range(size)), NOW + at)
    else:
        size = 4 * choices.below(10)
        body = bytes(choices.below(256) for _ in range(size))
        first, what = choices.pick(((0x81, 205), (0x81, 206), (0x84, 206), (0x81, 201), (0x82, 200)))
        for each in rtcp.parse(_packet(first, what, 1, MEDIA, body)):
            if not isinstance(each, rtcp.Remb | rtcp.TransportCcFeedback):
                rig.feed(each, at)


_PARAMETERS: Final = SenderParameters(
    payload_type=99, rtx_payload_type=100, fec_payload_type=None, extensions={}, mid="0", cname="us"
)

# STUN

PASSWORD: Final = "p" * 22
THERE: Final = ("192.0.2.7", 50_000)
MAX_ANSWERS: Final = 2


class _Sent:
    """A datagram transport that keeps what is sent."""

    def __init__(self) -> None:
        self.datagrams: list[tuple[bytes, Any]] = []

    def sendto(self, data: bytes, addr: Any) -> None:
        self.datagrams.append((data, addr))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def close(self) -> None: ...


def _candidate(host: str = "127.0.0.1", port: int = 40_000) -> aioice.Candidate:
    return aioice.Candidate("1", 1, "udp", 1, host, port, "host")


class _Port:
    """An ICE connection with one socket, between the checks and the nomination of a pair. No loop runs."""

    def __init__(self) -> None:
        self.connection = ice.IceConnection(ice_controlling=False, local_username="usfr", local_password=PASSWORD)
        self.connection.remote_username, self.connection.remote_password = "them", "q" * 22
        self.socket = ice.IceSocket(self.connection)
        self.socket.local_candidate = _candidate()
        self.sent = _Sent()
        self.socket.transport = self.sent  # type: ignore[assignment]
        self.connection._protocols.append(self.socket)
        self.connection._local_candidates.append(self.socket.local_candidate)
        self.connection._local_candidates_end = True
        self.pending = b"\x07" * 12
        """The transaction of a check of ours that waits for its answer."""
        check = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, self.pending)
        transaction: Any = stun.Transaction(check, THERE, self.socket, 0, b"q" * 22)
        self.socket.transactions[self.pending] = transaction
        self.answered: asyncio.Future[Any] = transaction._Transaction__future


def take_datagram(data: bytes) -> Hashable:
    """One datagram from anywhere: no error, no long answer, and no trust without a signature."""
    reached: Hashable = _runner().run(_take_datagram(data))
    return reached


@cache
def _runner() -> asyncio.Runner:
    """One loop for all inputs of this process; its timers never run."""
    return asyncio.Runner(loop_factory=asyncio.SelectorEventLoop)


async def _take_datagram(data: bytes) -> Hashable:
    port = _Port()
    connection = port.connection
    for _ in range(2):
        port.socket.datagram_received(data, THERE)
    trusted = connection.trusts(port.socket, THERE)
    answers = port.sent.datagrams
    assert len(answers) <= MAX_ANSWERS and all(addr == THERE for _, addr in answers)
    assert all(len(answer) <= 3 * max(len(data), 40) for answer, _ in answers), "no amplification"
    assert connection._queue.qsize() <= ice.MAX_QUEUED_DATAGRAMS
    if trusted:
        message = stun.parse_message(data)
        assert message.check_message_integrity(PASSWORD.encode()), "only a signed check is trusted"
    waiting = port.answered
    if waiting.done() and not waiting.cancelled():
        waiting.exception()
    return (trusted, len(answers), connection._queue.qsize(), len(connection._early_checks), waiting.done())


def _stun_seeds() -> list[bytes]:
    check = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, b"t" * 12)
    check.attributes.update({"USERNAME": "usfr:them", "PRIORITY": 1, "ICE-CONTROLLING": 1, "USE-CANDIDATE": None})
    answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, b"\x07" * 12)
    answer.attributes["XOR-MAPPED-ADDRESS"] = ("192.0.2.1", 40_000)
    error = stun.Message(stun.Method.BINDING, stun.Class.ERROR, b"\x07" * 12)
    error.attributes["ERROR-CODE"] = (487, "Role Conflict")
    for message, key in ((check, PASSWORD), (answer, "q" * 22), (error, "q" * 22)):
        message.add_message_integrity(key.encode())
    indication = stun.Message(stun.Method.BINDING, stun.Class.INDICATION, b"i" * 12)
    return [bytes(each) for each in (check, answer, error, indication)] + [
        b"\x16\xfe\xfd" + bytes(20),
        b"\x80\x63",
        b"",
    ]


_KINDS: Final = tuple(kind for kind, *_ in stun.ATTRIBUTES)


def stun_mutator(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """Changes attribute by attribute. Half of the results are signed anew, as the viewer itself would."""
    if len(data) < 20 or random.random() < 0.2:
        return spliced(data, random, others)
    attributes = [each for each in stun_attributes(data) if each[0] not in (0x0008, 0x8028)]
    kind = below(random, 6)
    at = below(random, len(attributes)) if attributes else 0
    if kind == 0 and attributes:
        del attributes[at]
    elif kind == 1:
        attributes.insert(at, (pick(random, _KINDS), random.randbytes(below(random, 24))))
    elif kind == 2 and attributes:
        attributes[at] = (attributes[at][0], spliced(attributes[at][1], random, others)[:65_535])
    elif kind == 3 and attributes:
        attributes = attributes[: at + 1] * pick(random, (2, 3, 200))
    elif kind == 4:
        attributes += stun_attributes(pick(random, others))
    head = data[:20]
    if random.random() < 0.3:
        head = struct.pack("!H", pick(random, (1, 0x101, 0x111, 0x11, 2, 3, 0x103))) + head[2:]
    changed = stun_message(head, attributes)
    return _signed(changed, pick(random, (PASSWORD, "q" * 22))) if random.random() < 0.6 else changed


def _signed(data: bytes, key: str) -> bytes:
    if len(data) > 60_000:
        return data
    data += struct.pack("!HH", 0x0008, 20) + stun.message_integrity(data, key.encode())
    data = stun.set_body_length(data, len(data) - 20)
    data += struct.pack("!HHL", 0x8028, 4, stun.message_fingerprint(data))
    return stun.set_body_length(data, len(data) - 20)


_seeds: Callable[[], list[bytes]] = lambda: [bytes(range(64)), bytes(64), b"\x01\x00\x05" * 30, bytes(range(256))]  # noqa: E731

TARGETS: Final = (
    Target("rtcp", read_rtcp, _rtcp_seeds, rtcp_mutator, max_bytes=MAX_SRTCP_BYTES),
    Target("twcc", read_twcc, lambda: list(_FEEDBACK), spliced, max_bytes=MAX_SRTCP_BYTES),
    Target("stun", take_datagram, _stun_seeds, stun_mutator, variations=4, ci_inputs=1500),
    Target("feedback", feed_sender, _seeds, spliced, max_bytes=300, is_episode=True, variations=2, ci_inputs=300),
)
