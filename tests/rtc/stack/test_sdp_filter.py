"""What is kept of a viewer's SDP and candidates."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framewire.errors import PeerError
from framewire.rtc.stack.destinations import MAX_CANDIDATES
from framewire.rtc.stack.sdp_filter import (
    MAX_SDP_CHARACTERS,
    MAX_SECTION_LINES,
    clean_answer,
    usable_candidate,
)

HOST = "1 1 udp 2122260223 192.0.2.7 54321 typ host"
ANSWER = "\r\n".join(
    [
        "v=0",
        "o=- 1 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "m=video 9 UDP/TLS/RTP/SAVPF 99 100",
        "c=IN IP4 0.0.0.0",
        f"a=candidate:{HOST} generation 0 network-cost 999",
        "a=candidate:2 1 udp 2122260223 4aaf7ab6-df3b-45b3-972f-ebe19ec08414.local 54322 typ host",
        "a=end-of-candidates",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:abcdefghijklmnopqrstuv",
        "a=fingerprint:sha-256 00:11",
        "a=setup:active",
        "a=mid:0",
        "a=recvonly",
        "a=rtcp-mux",
        "",
    ]
)


@pytest.mark.parametrize("prefix", ["", "candidate:", "a=candidate:"])
@pytest.mark.parametrize(
    "candidate",
    [
        HOST,
        "1 1 UDP 1 2001:db8::7 50000 typ host",
        "1 1 udp 1 127.0.0.1 50000 typ host",
        "x 1 udp 1694498815 203.0.113.9 40000 typ srflx",
        "x 1 udp 41885439 203.0.113.9 40000 typ relay",
    ],
)
def test_useful_candidates_come_through(prefix, candidate):
    assert usable_candidate(prefix + candidate) == candidate


def test_what_follows_the_type_is_cut_off():
    assert usable_candidate(f"candidate:{HOST} raddr 10.0.0.1 rport 5 generation 0 ufrag x") == HOST


@pytest.mark.parametrize(
    "candidate",
    [
        "",
        "candidate:",
        "1 1 udp 1 4aaf7ab6.local 50000 typ host",
        "1 1 udp 1 localhost 50000 typ host",
        "1 1 udp 1 evil.example 50000 typ host",
        "1 1 tcp 1 192.0.2.7 9 typ host tcptype active",
        "1 2 udp 1 192.0.2.7 50000 typ host",
        "1 1 udp 1 192.0.2.7 50000 typ prflx",
        "1 1 udp 1 192.0.2.7 50000 host typ",
        "1 1 udp 1 169.254.169.254 50000 typ host",
        "1 1 udp 1 fe80::1%eth0 50000 typ host",
        "1 1 udp 1 224.0.0.1 50000 typ host",
        "1 1 udp 1 0.0.0.0 50000 typ host",
        "1 1 udp 1 255.255.255.255 50000 typ host",
        "1 1 udp 1 ::ffff:169.254.169.254 50000 typ host",
        "1 1 udp 1 ::ffff:a9fe:a9fe 50000 typ srflx",
        "1 1 udp 1 64:ff9b::a9fe:a9fe 50000 typ host",
        "1 1 udp 1 2002:a9fe:a9fe::1 50000 typ host",
        "1 1 udp 1 2001:db8::1%name 50000 typ host",
        "1 1 udp 1 192.0.2.7 0 typ host",
        "1 1 udp 1 192.0.2.7 53 typ host",
        "1 1 udp 1 192.0.2.7 65536 typ host",
        "1 1 udp 1 192.0.2.7 -1 typ host",
        "1 1 udp ² 192.0.2.7 50000 typ host",
        "1 1 udp 99999999999 192.0.2.7 50000 typ host",
        "1 1 udp 1 192.0.2.7 50000 typ",
        HOST + "\r\na=evil:1",
        "candidate:candidate: 1 udp 1 192.0.2.7 50000 typ host",
        "a=candidate:a= 1 udp 1 192.0.2.7 50000 typ host",
        f"{'1' * 33} 1 udp 1 192.0.2.7 50000 typ host",
    ],
)
def test_useless_or_dangerous_candidates_do_not(candidate):
    assert usable_candidate(candidate) in {None, HOST}
    if HOST not in candidate:
        assert usable_candidate(candidate) is None


@given(st.text(max_size=120))
def test_no_text_makes_a_candidate_raise(text):
    taken = usable_candidate(text)
    assert taken is None or "\n" not in taken


def test_an_answer_keeps_all_but_useless_candidates():
    lines = clean_answer(ANSWER).split("\r\n")
    kept = [line for line in ANSWER.split("\r\n") if ".local" not in line and "end-of" not in line]
    assert lines == [line if "candidate" not in line else f"a=candidate:{HOST}" for line in kept]


def test_header_extensions_of_the_session_hold_for_its_sections():
    moved = ANSWER.replace("t=0 0\r\n", "t=0 0\r\na=extmap:1 urn:one\r\na=extmap:2 urn:two\r\n")
    assert clean_answer(moved).endswith("a=extmap:1 urn:one\r\na=extmap:2 urn:two\r\n")
    many = "".join(f"a=extmap:{number} urn:x\r\n" for number in range(100))
    assert clean_answer(ANSWER.replace("t=0 0\r\n", "t=0 0\r\n" + many)).count("a=extmap:") == 100 + 15


def test_the_number_of_sections_is_limited():
    head = ANSWER.partition("m=")[0]
    short = "m=video 9 X 1\r\na=inactive\r\na=fingerprint:sha-256 00\r\n"
    assert clean_answer(head + short * 256).count("m=video") == 256
    with pytest.raises(PeerError, match="257 media sections; at most 256"):
        clean_answer(head + short * 257)


def test_sources_of_a_viewer_that_sends_nothing_are_left_out():
    sources = "a=ssrc:1 cname:x\r\na=ssrc-group:FID 1 2\r\n"
    assert clean_answer(ANSWER.replace("a=mid:0", f"{sources}a=mid:0")) == clean_answer(ANSWER)


def test_bare_newlines_are_lines_too():
    assert clean_answer(ANSWER.replace("\r\n", "\n")) == clean_answer(ANSWER)


def test_three_thousand_candidates_are_a_few_and_cost_no_time():
    # 3000 of them stop aiortc's loop for more than a second: pairs are sorted again with each.
    many = "".join(f"a=candidate:{HOST.replace('54321', str(2000 + n))}\n" for n in range(900))
    sdp = ANSWER.replace("a=mid:0", f"{many}a=mid:0")
    assert len(sdp) < MAX_SDP_CHARACTERS
    started = time.process_time()
    assert clean_answer(sdp).count("a=candidate") == MAX_CANDIDATES
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("a=recvonly", "a=sendrecv", "send media"),
        ("a=recvonly", "a=sendonly", "send media"),
        ("a=recvonly", "a=nothing", "send media"),
        ("a=recvonly", "a=recvonly\r\na=sendrecv", "send media"),
        ("a=recvonly", "a=inactive\r\na=sendonly", "send media"),
        ("m=video 9", "m=video 0", "no decoder"),
        ("m=video 9", "m=audio 9", "not video"),
        ("m=video 9", "m=application 9", "not video"),
        ("m=video 9 UDP/TLS/RTP/SAVPF 99 100", "m=video", "not video"),
        ("a=fingerprint:sha-256 00:11", "a=x", "fingerprint"),
        ("a=fingerprint:sha-256 00:11", "a=fingerprint:md5 00:11", "fingerprint"),
        ("a=fingerprint:sha-256 00:11", "a=fingerprint:sha-1 00:11", "fingerprint by SHA-256"),
        ("a=fingerprint:sha-256 00:11", "a=fingerprint:sha-512 00:11", "fingerprint by SHA-256"),
        ("m=video 9 UDP/TLS/RTP/SAVPF 99 100", "a=x", "no media"),
        ("a=mid:0", "a=x:" + "y" * MAX_SDP_CHARACTERS, "characters"),
        ("a=mid:0", "a=rtpmap:99 H264/90000\n" * MAX_SECTION_LINES, "lines"),
        ("s=-", "a=group:BUNDLE 0\n" * MAX_SECTION_LINES, "lines"),
    ],
)
def test_an_unacceptable_answer_is_refused_with_the_reason(old, new, why):
    with pytest.raises(PeerError, match=why):
        clean_answer(ANSWER.replace(old, new))


def test_the_sessions_direction_and_fingerprint_hold_for_its_sections():
    moved = ANSWER.replace("a=recvonly\r\n", "").replace("a=fingerprint:sha-256 00:11\r\n", "")
    sdp = moved.replace("t=0 0\r\n", "t=0 0\r\na=inactive\r\na=fingerprint:sha-256 00:11\r\n")
    assert "m=video" in clean_answer(sdp) and clean_answer(sdp).count("a=inactive") == 2


@given(st.text(max_size=300))
def test_any_text_is_an_answer_or_refused(text):
    for sdp in (text, ANSWER.replace("a=mid:0", text)):
        try:
            clean_answer(sdp)
        except PeerError:
            pass


@pytest.mark.parametrize(("port", "useful"), [(1023, False), (1024, True), (65_535, True), (65_536, False)])
def test_candidates_have_a_port_that_a_viewer_can_have(port, useful):
    assert bool(usable_candidate(HOST.replace("54321", str(port)))) is useful


def test_an_answer_may_be_as_long_as_the_limits_say():
    def refused(sdp: str) -> bool:
        try:
            clean_answer(sdp)
        except PeerError:
            return True
        return False

    room = 65_536 - len(ANSWER) - len("a=x:\r\n")
    assert not refused(ANSWER.replace("a=mid:0", f"a=x:{'y' * room}\r\na=mid:0"))
    assert refused(ANSWER.replace("a=mid:0", f"a=x:{'y' * (room + 1)}\r\na=mid:0"))
    head, section = ANSWER.split("m=video")
    # The candidate with a name and the end of candidates are dropped before lines are counted.
    missing = 200 - (section.strip().count("\r\n") + 1 - 2)
    for more, too_many in ((missing, False), (missing + 1, True)):
        assert refused(ANSWER.replace("a=mid:0", "a=x\r\n" * more + "a=mid:0")) is too_many
    missing = 200 - head.strip().count("\r\n") - 1
    for more, too_many in ((missing, False), (missing + 1, True)):
        assert refused(ANSWER.replace("s=-", "a=x\r\n" * more + "s=-")) is too_many


def test_a_media_section_names_at_least_one_format():
    assert "m=video" in clean_answer(ANSWER.replace("SAVPF 99 100", "SAVPF 99"))
    with pytest.raises(PeerError, match="not video"):
        clean_answer(ANSWER.replace("SAVPF 99 100", "SAVPF"))


def test_the_first_thirty_two_candidates_are_kept():
    many = "".join(f"a=candidate:{HOST.replace('54321', str(2000 + n))}\n" for n in range(40))
    assert clean_answer(ANSWER.replace("a=mid:0", f"{many}a=mid:0")).count("a=candidate") == 32


def test_a_long_line_of_the_session_is_not_multiplied():
    section = ANSWER[ANSWER.index("m=video") :]
    assert len(section) < 600
    for length, copies in ((128, 21), (129, 1)):
        shared = "a=extmap:1 ".ljust(length, "u") + "\r\n"
        sdp = ANSWER.replace("t=0 0\r\n", "t=0 0\r\n" + shared) + section * 19
        assert clean_answer(sdp).count(shared) == copies
