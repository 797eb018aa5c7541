"""H.264 access units as RTP payloads (RFC 6184, packetization-mode 1). Must not know RTP headers or viewers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from framewire.rtc.rtp.spans import even_spans

_STAP_A: Final = 24
"""The type of a payload that holds several NAL units.

Source: RFC 6184 §5.2."""
_FU_A: Final = 28
"""The type of a payload that holds a part of one.

Source: RFC 6184 §5.2."""
_ACCESS_UNIT_DELIMITER: Final = 9
"""A NAL unit type.

Source: ITU-T H.264 §7.4.1, table 7-1."""
_FILLER_DATA: Final = 12
"""A NAL unit type.

Source: ITU-T H.264 §7.4.1, table 7-1."""
_START_CODE: Final = b"\0\0\1"


def packetise(data: bytes, max_payload: int) -> Iterator[bytes]:
    """The payloads of an Annex B access unit.

    NAL units that fit together share a STAP-A. One that fits alone is sent as it is, and a longer one as FU-As.
    """
    group: list[bytes] = []
    size = 1
    for nal in nal_units(data):
        if group and size + 2 + len(nal) > max_payload:
            yield _stap_a(group)
            group, size = [], 1
        if len(nal) > max_payload:
            yield from _fu_a(nal, max_payload)
        else:
            group.append(nal)
            size += 2 + len(nal)
    if group:
        yield _stap_a(group)


def nal_units(data: bytes) -> Iterator[bytes]:
    """The NAL units of an Annex B byte stream, without access unit delimiters and filler data."""
    for chunk in data.split(_START_CODE)[1:]:
        nal = chunk.rstrip(b"\0")
        if nal and nal[0] & 31 not in (_ACCESS_UNIT_DELIMITER, _FILLER_DATA):
            yield nal


def _stap_a(nals: list[bytes]) -> bytes:
    if len(nals) == 1:
        return nals[0]
    # RFC 6184 §5.7.1: F is the OR and NRI the maximum of those inside.
    header = _STAP_A | max(nal[0] & 0x60 for nal in nals)
    return b"".join([bytes([header]), *(part for nal in nals for part in (len(nal).to_bytes(2), nal))])


def _fu_a(nal: bytes, max_payload: int) -> Iterator[bytes]:
    # RFC 6184 §5.8: the NAL unit's header is split between the indicator and the type in each payload.
    indicator, kind = nal[0] & 0xE0 | _FU_A, nal[0] & 31
    for start, end in even_spans(1, len(nal), max_payload - 2):
        flags = (0x80 if start == 1 else 0) | (0x40 if end == len(nal) else 0)
        yield bytes([indicator, flags | kind]) + nal[start:end]
