"""What is taken from a viewer's SDP and candidates, and what is not. Must not know aiortc or sockets.

A viewer's text decides where this machine sends datagrams and how long it is busy parsing, so it is cut down
before anything else reads it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from framewire.errors import CodecRefusedError, PeerError

MAX_SDP = 65_536
MAX_CANDIDATES = 32
"""Per connection; pairs grow with local times remote candidates (RFC 8445 §6.1.2.5 allows 100 pairs)."""
MAX_LINES = 200
"""In a media section, candidates apart; a browser writes some forty."""


def usable_candidate(text: str) -> str | None:
    """A candidate without its ``candidate:`` prefix, or None if it is of no use.

    Of use are UDP ones with a literal address that can be a viewer's. A ``.local`` name costs a second of
    multicast to resolve, and the viewer's own checks tell its address anyway.
    """
    fields = text.strip().removeprefix("a=").removeprefix("candidate:").split()
    if len(fields) < 8 or fields[6] != "typ" or not all(field.isascii() for field in fields):
        return None
    _, component, transport, priority, address, port, _, kind = fields[:8]
    if transport.lower() != "udp" or component != "1" or kind not in ("host", "srflx", "relay"):
        return None
    if not (priority.isdigit() and len(priority) <= 10 and port.isdigit() and len(port) <= 5):
        return None
    if not (1024 <= int(port) <= 65535 and _reachable(address)):
        return None
    return " ".join(fields[:8])


def _reachable(address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    # Link-local holds the metadata services of clouds; nobody watches from there.
    return not (ip.is_multicast or ip.is_unspecified or ip.is_link_local)


def clean_answer(sdp: str) -> str:
    """The answer without candidates of no use. Raises ``PeerError`` if it is too long, refuses a track, sends
    media of its own or names no certificate."""
    if len(sdp) > MAX_SDP:
        raise PeerError(f"answer of {len(sdp)} characters, at most {MAX_SDP} are read")
    head, *sections = _sections(sdp)
    if not sections:
        raise PeerError("answer without media")
    kept = list(_without_useless([head, *sections]))
    for index, section in enumerate(kept[1:]):
        _check(index, kept[0], section)
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


def _check(index: int, head: list[str], section: list[str]) -> None:
    if len(head) > MAX_LINES or len(section) > MAX_LINES:
        raise PeerError(f"answer with more than {MAX_LINES} lines in a section")
    media = section[0][2:].split()
    if len(media) < 4 or media[0] != "video":
        raise PeerError(f"answer's media section {index} is not video")
    if media[1] == "0":
        raise CodecRefusedError(f"the viewer refused track {index}: it has no decoder for it")
    # RFC 8866 §6.7: the section's own direction, else the session's, else sendrecv.
    directions = [line[2:] for line in (*section, *head) if line in _DIRECTIONS]
    if not directions or directions[0] not in ("recvonly", "inactive"):
        raise PeerError("answer wants to send media; framewire takes none")
    if not any(line.lower().startswith("a=fingerprint:sha-") for line in (*section, *head)):
        raise PeerError("answer without a certificate fingerprint")


_DIRECTIONS = ("a=recvonly", "a=sendonly", "a=sendrecv", "a=inactive")


def _without_useless(sections: list[list[str]]) -> Iterator[list[str]]:
    """The sections without lines that do no good. Candidates are never at an end: one that the viewer's checks
    reveal may still come. A viewer that sends nothing has no sources to name."""
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
