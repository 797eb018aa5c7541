"""VP8 frames as RTP payloads (RFC 7741). Must not know RTP headers or viewers."""

from __future__ import annotations

from collections.abc import Iterator

from framewire.rtc.rtp.spans import even_spans


def packetise(data: bytes, max_payload: int) -> Iterator[bytes]:
    """The payloads of a frame, each with the one-byte descriptor: the S bit marks the first.

    They carry no picture id. Receivers take gaps in it for lost frames, and the same payloads go to viewers that were
    sent different frames before.
    """
    for start, end in even_spans(0, len(data), max_payload - 1):
        yield (b"\x10" if start == 0 else b"\0") + data[start:end]
