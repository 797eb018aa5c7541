"""Targets that take text or messages of a viewer: the wire both ways, SDP and candidates, the headers of HTTP.

Must not know how inputs are made smaller, kept or counted.
"""

from __future__ import annotations

import ipaddress
import json
import math
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any, Final

import aioice
import msgspec
from aiortc.sdp import SessionDescription, candidate_from_sdp

from framewire import wire
from framewire.codec.messages import MAX_BINARY_MESSAGE_BYTES, Assembler, Header, messages
from framewire.engine.http.gate import Gate, host_of
from framewire.errors import CloseCode, PeerError, RemoteProtocolError
from framewire.frame import AccessUnit
from framewire.link import control
from framewire.rtc.stack.destinations import MAX_CANDIDATES
from framewire.rtc.stack.sdp_filter import MAX_SDP_CHARACTERS, MAX_SECTION_LINES, clean_answer, usable_candidate
from tests.fuzz.fuzzer import Target, kind_of, one_in
from tests.fuzz.mutators import json_mutator, line_mutator, spliced

SIGNALING: Final = Path(__file__).resolve().parents[2] / "signaling"
MAX_CLEAN_CHARACTERS: Final = 600_000
"""Of an answer of 64 KiB, with what its sections share written into each."""
MAX_EVENT_CHARACTERS: Final = 16_384
"""An input event as text: the link and the program's queue hold many of them."""


# Messages


def _vectors(sender: str) -> list[bytes]:
    vectors = json.loads((SIGNALING / "vectors" / "messages.json").read_text())
    found = [vector["text"] for vector in vectors if vector["from"] == sender and "text" in vector]
    for path in sorted((SIGNALING / "transcripts").glob("*.json")):
        side = "in" if sender == "viewer" else "out"
        column = json.loads(path.read_text())["server"]
        found += [json.dumps(entry[side]) for entry in column if "type" in entry.get(side, {})]
    return [text.encode() for text in dict.fromkeys(found)]


def _words(value: Any) -> set[str]:
    """All names in the schema, and all values that it lists."""
    if isinstance(value, dict):
        return set(value) | {word for each in value.values() for word in _words(each)}
    if isinstance(value, list):
        return {word for each in value for word in _words(each)}
    return {value} if isinstance(value, str) and len(value) < 30 else set()


WORDS: Final = sorted(_words(json.loads((SIGNALING / "schema.json").read_text())))


def read_viewer(data: bytes) -> Hashable:
    try:
        message = wire.decode_viewer(data)
    except RemoteProtocolError as error:
        return _refused(error)
    assert len(data) <= wire.MAX_TEXT_MESSAGE_BYTES
    check_bounded(message)
    assert wire.decode_viewer(wire.encode(message)) == message, "what is read can be written and read again"
    if isinstance(message, wire.Input):
        return _check_event(message.event)
    return (type(message).__name__, tuple(msgspec.to_builtins(message)))


def read_server(data: bytes) -> Hashable:
    try:
        message = wire.decode_server(data)
    except RemoteProtocolError as error:
        return _refused(error)
    assert wire.decode_server(wire.encode(message)) == message, "what is read can be written and read again"
    return (type(message).__name__, tuple(msgspec.to_builtins(message)))


def _refused(error: RemoteProtocolError) -> Hashable:
    assert error.code == CloseCode.BAD_MESSAGE
    assert len(error.reason) <= 150 and error.reason.isprintable(), "the reason is one line, for logs and close frames"
    return kind_of(error.reason)


def check_bounded(value: Any) -> None:
    """Every number is finite, and every text, list and dict of a message is short."""
    if isinstance(value, float):
        assert math.isfinite(value)
    elif isinstance(value, str):
        assert len(value) <= 512
    elif isinstance(value, list | dict):
        assert len(value) <= 32
        for each in value if isinstance(value, list) else (*value, *value.values()):
            check_bounded(each)
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            if name != "sdp":
                check_bounded(getattr(value, name))


def _check_event(event: wire.RenderviewEvent) -> Hashable:
    """The event gets to the program as it was read, or is refused for a field that it lacks."""
    try:
        fields = wire.event_dict(event)
    except RemoteProtocolError as error:
        return _refused(error)
    assert len(json.dumps(fields)) <= MAX_EVENT_CHARACTERS, "an event is small"
    arrived = control.InputArrived(stream=1, client_id="c", event=fields)
    (again,) = control.parent_decoder().feed(control.encode(arrived))
    assert isinstance(again, control.InputArrived) and again.event == fields
    return (event.type, len(fields))


# Binary messages


def read_unit(data: bytes) -> Hashable:
    """A header and a chunk. Accepted ones are written again, and put together with the rest of their unit."""
    try:
        header = Header.parse(data)
    except RemoteProtocolError as error:
        return _refused(error)
    assert header.pack() == data[: len(header.pack())], "every byte of a header that is read has a meaning"
    assert len(data) <= MAX_BINARY_MESSAGE_BYTES and header.offset < header.size
    assembler = Assembler()
    try:
        unit = assembler.feed(data)
    except RemoteProtocolError as error:
        return _refused(error)
    if unit is None:
        return "part"
    assert messages(unit, header.stream) == [data] or not unit.checksum
    return (header.codec, header.keyframe)


def _unit_seeds() -> list[bytes]:
    kept = []
    for name in ("frames", "deltas"):
        vectors = json.loads((SIGNALING / "vectors" / f"{name}.json").read_text())
        kept += [bytes.fromhex(vector["hex"]) for vector in vectors if "hex" in vector]
    unit = AccessUnit("vp8", bytes(90), 1, 2, 3, 4, keyframe=True)
    return [*kept, *messages(unit, 1, 66)]


def assemble(data: bytes) -> Hashable:
    """Several messages, each with two bytes of length before it, put together by one assembler."""
    assembler, at, made = Assembler(), 0, 0
    try:
        while at + 2 <= len(data):
            end = at + 2 + int.from_bytes(data[at : at + 2])
            unit = assembler.feed(data[at + 2 : end])
            at = end
            if unit:
                made += 1
                assert unit.data, "no unit is empty"
    except RemoteProtocolError as error:
        return (min(made, 3), _refused(error))
    return min(made, 5)


def _assemble_seeds() -> list[bytes]:
    unit = AccessUnit("vp8", bytes(90), 1, 2, 3, 4, keyframe=True)
    several = [messages(unit, 1, 66), messages(unit, 1), messages(unit, 1, 40)]
    return [b"".join(len(each).to_bytes(2) + each for each in parts) for parts in several]


# SDP

_ANSWER: Final = b"""v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=msid-semantic: WMS
m=video 9 UDP/TLS/RTP/SAVPF 102 103 39
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=candidate:1 1 udp 2113937151 192.0.2.7 50000 typ host generation 0 network-cost 999
a=candidate:2 1 udp 2113937151 2001:db8::7 50001 typ host
a=candidate:3 1 udp 1677729535 198.51.100.7 50002 typ srflx raddr 0.0.0.0 rport 0
a=ice-ufrag:8h2B
a=ice-pwd:NBVPGrnvTnPvkPSTmCpiX0Db
a=ice-options:trickle
a=fingerprint:sha-256 7B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35:DC:B8:5F:64:1A:24:C2:43:F0:A1:58:D0:A1:2C:19:08
a=setup:active
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:2 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=recvonly
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:102 H264/90000
a=rtcp-fb:102 nack
a=rtcp-fb:102 nack pli
a=rtcp-fb:102 transport-cc
a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtpmap:103 rtx/90000
a=fmtp:103 apt=102
a=rtpmap:39 flexfec-03/90000
a=ssrc:1 cname:x
m=video 9 UDP/TLS/RTP/SAVPF 97
c=IN IP4 0.0.0.0
a=fingerprint:sha-256 7B:8B
a=mid:1
a=inactive
a=rtpmap:97 VP8/90000
a=end-of-candidates
""".replace(b"\n", b"\r\n")
_SDP_LINES: Final = [
    *_ANSWER.splitlines(), b"a=sendrecv", b"a=sendonly", b"m=audio 9 UDP/TLS/RTP/SAVPF 0", b"m=application 9 x y",
    b"m=video 0 UDP/TLS/RTP/SAVPF 97", b"m=video", b"m=", b"a=candidate:", b"a=ice-lite", b"a=group:BUNDLE",
    b"a=ssrc-group:FID 1 2", b"a=fingerprint:sha-1 00", b"a=fingerprint:md5 00", b"a=crypto:1 x", b"a=sctp-port:5000",
    b"a=rtpmap:x y/z", b"a=rtpmap:96 a/b/c/d", b"a=fmtp:", b"a=extmap:x y", b"a=rtcp-fb:* x", b"a=mid:", b"", b"=",
    b"a=candidate:1 1 udp 1 x.local 5000 typ host", b"a=candidate:1 1 tcp 1 192.0.2.1 9 typ host tcptype active",
    "a=candidate:\u0661 1 udp \u0661 192.0.2.1 \u0665000 typ host".encode(), b"a=x\x85m=audio", b"a=x\x1cm=video 0 y",
    "a=x\u2028m=video 0 y".encode(),
]  # fmt: skip
_SDP_FIELDS: Final = [
    b"0", b"1", b"-1", b"65535", b"65536", b"4294967296", b"99999999999999999999", b"udp", b"UDP", b"tcp", b"typ",
    b"host", b"relay", b"prflx", b"127.0.0.1", b"0.0.0.0", b"255.255.255.255", b"169.254.169.254", b"224.0.0.1",
    b"::1", b"::", b"fe80::1", b"fe80::1%eth0", b"::ffff:169.254.169.254", b"2001:db8::1%name",
    b"64:ff9b::a9fe:a9fe", b"ff02::1", b"10.0.0.1", b"192.168.0.1", b"name.local", b"example.com", b"%",
    "\u0661".encode(), b"+5", b"1_000", b"0x10", b"192.0.2.01", b"a" * 300, b"raddr", b"rport", b"generation",
    b"tcptype", b"sha-256", b"video", b"apt=102",
]  # fmt: skip


def filter_answer(data: bytes) -> Hashable:
    sdp = data.decode("utf-8", "replace")
    try:
        clean = clean_answer(sdp)
    except PeerError as error:
        assert "\n" not in str(error) and len(str(error)) < 200
        return re.sub(r"\d+", "", str(error))
    if len(clean) <= MAX_SDP_CHARACTERS:
        again = clean_answer(clean)
        assert again.count("a=candidate:") == clean.count("a=candidate:") and again.count("m=") == clean.count("m=")
    assert len(clean) <= MAX_CLEAN_CHARACTERS, "a short answer does not become a long one"
    lines = clean.split("\r\n")
    candidates = [line.removeprefix("a=candidate:") for line in lines if line.startswith("a=candidate:")]
    assert len(candidates) <= MAX_CANDIDATES
    for each in candidates:
        check_candidate(each)
    sections = clean.split("\r\nm=")
    assert all(section.count("\r\n") <= MAX_SECTION_LINES + MAX_CANDIDATES for section in sections)
    assert not any(line.startswith(("a=ssrc", "a=end-of-candidates")) for line in lines)
    return (len(candidates) // 8, min(len(sections), 4), _parsed(clean) if one_in(16, data) else "")


def _parsed(clean: str) -> str:
    """What aiortc's own parser says. It may refuse; what it takes must not lead to media or to other addresses."""
    try:
        description = SessionDescription.parse(clean)
    except Exception as error:  # PeerConnection.accept takes any error of it as a refusal
        return type(error).__name__
    for media in description.media:
        assert media.kind == "video" and media.direction in ("recvonly", "inactive", None)
        for candidate in media.ice_candidates:
            _check_address(candidate.ip)
    return "parsed"


def filter_candidate(data: bytes) -> Hashable:
    found = usable_candidate(data.decode("utf-8", "replace"))
    if found is None:
        return None
    check_candidate(found)
    return len(found) // 16


def check_candidate(text: str) -> None:
    """It is one that aioice takes, of an address that a viewer may have."""
    assert usable_candidate(text) == text, "what is usable stays as it is"
    assert "\r" not in text and "\n" not in text
    candidate = candidate_from_sdp(text)
    assert candidate.protocol.lower() == "udp" and candidate.component == 1
    assert 1024 <= candidate.port <= 65535
    assert aioice.Candidate.from_sdp(text).host == candidate.ip
    _check_address(candidate.ip)


def _check_address(text: str) -> None:
    ip = ipaddress.ip_address(text)
    inner = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None) or ip
    assert getattr(ip, "scope_id", None) is None, "a zone names an interface of ours"
    for each in (ip, inner):
        assert not (each.is_multicast or each.is_unspecified or each.is_link_local), text
        assert str(each) != "255.255.255.255"


# HTTP

_GATES: Final = (
    Gate(),
    Gate(hosts=frozenset({"lab.example"}), origins=frozenset({"https://lab.example"})),
    Gate(exposed=True),
)
_LOCAL: Final = re.compile(r"localhost|localhost\.|127\.\d+\.\d+\.\d+|::1|(\w+\.)*localhost")
_HEADERS: Final = [
    b"localhost", b"localhost:8765", b"127.0.0.1", b"[::1]:1", b"lab.example", b"LAB.example.", b"evil.example",
    b"127.0.0.1.evil.example", b"[::ffff:127.0.0.1]", b"http://localhost", b"https://lab.example", b"null",
    b"vscode-webview://x", b"https://a.vscode-cdn.net", b"https://a.vscode-cdn.net.evil.example", b"http://[::1",
    b"http://localhost@evil.example", b"localhost:99999", b"localhost:x", b"0", b"2130706433", b"0x7f.1", b"127.1",
    b"\xc5\xbfocalhost", b"localhost%00", b"localhost\\.evil", b"http://localhost/..", b"HTTP://LOCALHOST:80",
    b"192.0.2.1", b"[2001:db8::1]:80", b"[v1.x]", b"http://user:pw@localhost", b"file://", b"http://", b"://",
]  # fmt: skip


def pass_gate(data: bytes) -> Hashable:
    """A Host and an Origin header, on two lines. What is let in is compared with a simpler rule."""
    host, _, origin = data.decode("latin-1").partition("\r\n")
    name = host_of(host)
    answers = []
    for gate in _GATES:
        allowed = gate.allows_host(host)
        if allowed:
            assert name and (
                _LOCAL.fullmatch(name) or name.rstrip(".") in gate.hosts or (gate.exposed and _is_ip(name))
            )
        answers.append(allowed)
        if gate.allows_origin(origin, host):
            assert origin in gate.origins or _is_known_origin(origin, host), origin
            answers.append(True)
    return (name is None, tuple(answers))


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_known_origin(origin: str, host: str) -> bool:
    scheme, _, netloc = origin.partition("://")
    if any(each in netloc for each in "@/?#\\"):
        return False
    name = netloc.lower()
    name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
    if scheme.lower() == "vscode-webview":
        return True
    if scheme.lower() not in ("http", "https"):
        return False
    return bool(_LOCAL.fullmatch(name)) or netloc.lower() == host.lower() or netloc.lower().endswith(".vscode-cdn.net")


TARGETS: Final = (
    Target("wire_viewer", read_viewer, lambda: _vectors("viewer"), json_mutator(WORDS), max_bytes=66_000),
    Target("wire_server", read_server, lambda: _vectors("server"), json_mutator(WORDS)),
    Target("unit_header", read_unit, _unit_seeds, spliced),
    Target("unit_assembly", assemble, _assemble_seeds, spliced),
    Target(
        "answer", filter_answer, lambda: [_ANSWER], line_mutator(_SDP_LINES, _SDP_FIELDS), variations=4, ci_inputs=1500
    ),
    Target(
        "candidate",
        filter_candidate,
        lambda: [line for line in _SDP_LINES if line.startswith(b"a=candidate")],
        line_mutator(_SDP_LINES, _SDP_FIELDS),
        max_bytes=2048,
    ),
    Target(
        "gate",
        pass_gate,
        lambda: [b"\r\n".join((host, origin)) for host in _HEADERS[:6] for origin in _HEADERS[9:14]],
        line_mutator(_HEADERS, _HEADERS),
        max_bytes=16_384,
    ),
)
