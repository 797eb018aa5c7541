"""Filters a viewer's SDP and candidates. Must not know aiortc or sockets.

A viewer's text decides where this machine sends datagrams and how long it spends on parsing. So it is reduced to the
useful and harmless before anything else reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from framewire.errors import CodecRefusedError, PeerError
from framewire.rtc.stack.destinations import MAX_CANDIDATES, can_be_viewers

MAX_SDP_CHARACTERS: Final = 65_536
"""A longer answer is refused.

Source: chosen by hand, above any browser's answer for dozens of tracks; pinned by
`tests/rtc/stack/test_sdp_filter.py::test_an_answer_may_be_as_long_as_the_limits_say`."""

MAX_SECTION_LINES: Final = 200
"""A section with more lines, without candidates, makes an answer refused; a browser writes some forty.

Source: chosen by hand; pinned by
`tests/rtc/stack/test_sdp_filter.py::test_an_answer_may_be_as_long_as_the_limits_say`."""

MAX_SECTIONS: Final = 256
"""An answer with more media sections is refused. A section is never removed: 64 videos of each codec make 192.

Source: chosen by hand; pinned by
`tests/rtc/stack/test_sdp_filter.py::test_the_number_of_sections_is_limited`."""

MAX_SHARED_EXTENSIONS: Final = 15
"""So many header extensions of the session are copied to its sections.

Source: RFC 8285 §4.2, the ids of the one-byte form."""

MAX_SHARED_CHARACTERS: Final = 128
"""A longer line of a header extension is not copied: hundreds of sections would make megabytes of it.

Source: chosen by hand, the longest name of an extension has about 80; pinned by
`tests/rtc/stack/test_sdp_filter.py::test_a_long_line_of_the_session_is_not_multiplied`."""

MIN_CANDIDATE_FIELDS: Final = 8
"""Fields of a candidate up to its type.

Source: RFC 8839 §5.1."""

MIN_PORT: Final = 1024
"""Candidates with a lower port are ignored: system services are there, and no viewers.

Source: RFC 6335 §6, system ports."""


_FOUNDATION: Final = re.compile(r"[A-Za-z0-9+/]{1,32}")
"""RFC 8839 §5.1, 1*32ice-char."""


def usable_candidate(text: str) -> str | None:
    """A candidate without its ``candidate:`` prefix, or None if it is useless.

    Useful are UDP candidates with a literal address that can be a viewer's. A ``.local`` name takes a second of
    multicast to resolve, and the viewer's own checks show its address anyway.
    """
    fields = text.strip().removeprefix("a=").removeprefix("candidate:").split()
    if len(fields) < MIN_CANDIDATE_FIELDS or fields[6] != "typ" or not all(field.isascii() for field in fields):
        return None
    foundation, component, transport, priority, address, port, _, kind = fields[:MIN_CANDIDATE_FIELDS]
    if not _FOUNDATION.fullmatch(foundation):
        return None
    if transport.lower() != "udp" or component != "1" or kind not in ("host", "srflx", "relay"):
        return None
    if not (priority.isdigit() and len(priority) <= 10 and port.isdigit() and len(port) <= 5):
        return None
    if not (MIN_PORT <= int(port) <= 65535 and can_be_viewers(address)):
        return None
    return " ".join(fields[:MIN_CANDIDATE_FIELDS])


def clean_answer(sdp: str) -> str:
    """The answer without useless candidates. Raises ``PeerError`` if it is too long, refuses a track, wants to send
    media or has no certificate fingerprint."""
    if len(sdp) > MAX_SDP_CHARACTERS:
        raise PeerError(f"the answer has {len(sdp)} characters; at most {MAX_SDP_CHARACTERS} are read")
    head, *sections = _sections(sdp)
    if not sections:
        raise PeerError("the answer has no media section")
    if len(sections) > MAX_SECTIONS:
        raise PeerError(f"the answer has {len(sections)} media sections; at most {MAX_SECTIONS} are read")
    kept = list(_useful_lines([head, *sections]))
    for index, section in enumerate(kept[1:]):
        _check(index, kept[0], section)
        section.extend(_inherited(kept[0], section))
    return "".join(f"{line}\r\n" for part in kept for line in part)


def _sections(sdp: str) -> list[list[str]]:
    """The lines of the session, then those of each media section."""
    sections: list[list[str]] = [[]]
    for line in sdp.splitlines():
        if line.startswith("m="):
            sections.append([])
        if line:
            sections[-1].append(line)
    return sections


def _inherited(head: list[str], section: list[str]) -> Iterator[str]:
    """What the session says for a section (RFC 8285 §5, RFC 8866 §6.7) and aiortc reads in sections alone. The other
    attributes that an answer may have once for all, it reads in both places."""
    extensions = [line for line in head if line.startswith("a=extmap:") and len(line) <= MAX_SHARED_CHARACTERS]
    yield from extensions[:MAX_SHARED_EXTENSIONS]
    if not any(line in _DIRECTIONS for line in section):
        yield from [line for line in head if line in _DIRECTIONS][:1]


def _check(index: int, head: list[str], section: list[str]) -> None:
    if len(head) > MAX_SECTION_LINES or len(section) > MAX_SECTION_LINES:
        raise PeerError(f"a section of the answer has more than {MAX_SECTION_LINES} lines")
    media = section[0][2:].split()
    if len(media) < 4 or media[0] != "video":
        raise PeerError(f"media section {index} of the answer is not video")
    if media[1] == "0":
        raise CodecRefusedError(f"the viewer refused track {index}: it has no decoder for it")
    # RFC 8866 §6.7: the section's own direction, else the session's, else sendrecv.
    # Where there are several, other parsers take the last one.
    directions = {line for line in section if line in _DIRECTIONS} or {line for line in head if line in _DIRECTIONS}
    if not directions or directions & {"a=sendrecv", "a=sendonly"}:
        raise PeerError("the answer wants to send media; framewire receives none")
    if not any(line.lower().startswith("a=fingerprint:sha-256 ") for line in (*section, *head)):
        raise PeerError("the answer has no certificate fingerprint by SHA-256")


_DIRECTIONS = ("a=recvonly", "a=sendonly", "a=sendrecv", "a=inactive")


def _useful_lines(sections: list[list[str]]) -> Iterator[list[str]]:
    """The sections without useless lines. ``end-of-candidates`` goes too: one that the viewer's checks reveal may still
    come. So do SSRCs: a viewer that sends nothing has none."""
    room = MAX_CANDIDATES
    for section in sections:
        kept = []
        for line in section:
            if line.startswith("a=candidate:"):
                candidate = usable_candidate(line) if room else None
                if candidate is not None:
                    room -= 1
                    kept.append(f"a=candidate:{candidate}")
            elif not line.startswith(("a=end-of-candidates", "a=ssrc")):
                kept.append(line)
        yield kept
