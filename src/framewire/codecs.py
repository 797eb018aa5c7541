"""Every codec in one table: its names, its numbers, and where its code is. Must not know any of that code.

To add a video codec, write an encoder and a packetiser, and add one entry that names them here. The browser has the
same table in ``js/src/core/codecs.ts``, and ``signaling/README.md`` lists both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any, Final, Literal

CodecName = str
"""The name of a codec on the wire, in options and in statistics: 1 to 16 characters of ``a-z``, ``0-9`` and ``_``."""

Chroma = Literal["420", "444"]
"""Chroma subsampling: colour at half the width and height of luma (4:2:0), or at full resolution (4:4:4)."""

LOSSLESS_CODINGS: Final[Mapping[CodecName, int]] = {"raw": 0, "zstd": 1}
"""How bit-exact pixels are coded, and the number of each in the header of a binary message. They have no encoder to
choose and never travel over RTP, so they need no entry in `CODECS`."""


@dataclass(frozen=True, slots=True)
class CodecSpec:
    """What differs from one video codec to the next."""

    name: CodecName
    label: str
    """Its name in texts for people."""
    wire_number: int
    """Its number in the header of a binary message, 16 to 255. Codecs whose bitstreams tell a decoder which of them
    they are may share one."""
    mime: str
    """Its media type in SDP."""
    payload_type: int
    """Its RTP payload type, 96 to 126; the next one is that of its retransmissions (RFC 4588)."""
    chroma: Chroma
    library: str
    """FFmpeg's name of the encoder that must be there; empty where the encoder does without FFmpeg."""
    encoder: str
    """``module:name`` of ``(spec, *, fps, max_bitrate, threads) -> VideoEncoder``."""
    packetiser: str
    """``module:name`` of ``(data, max_payload) -> Iterable[bytes]``: a unit's bytes as RTP payloads."""
    fmtp: Mapping[str, str] = field(default_factory=dict)
    """Its format parameters in SDP, as offered. The viewer's answer must agree with them."""


_H264_FMTP: Final = {"level-asymmetry-allowed": "1", "packetization-mode": "1"}

CODECS: Final[dict[CodecName, CodecSpec]] = {
    spec.name: spec
    for spec in (
        CodecSpec(
            name="h264_444",
            label="H.264 4:4:4",
            wire_number=16,
            mime="video/H264",
            payload_type=103,
            chroma="444",
            library="libx264",
            encoder="framewire.codec.h264:H264Encoder",
            packetiser="framewire.rtc.rtp.h264:packetise",
            # High 4:4:4 Predictive, level 5.2. Chromium decodes it where its planes are YUV, not RGB.
            fmtp={**_H264_FMTP, "profile-level-id": "f40034"},
        ),
        CodecSpec(
            name="h264",
            label="H.264",
            wire_number=16,
            mime="video/H264",
            payload_type=99,
            chroma="420",
            library="libx264",
            encoder="framewire.codec.h264:H264Encoder",
            packetiser="framewire.rtc.rtp.h264:packetise",
            # Constrained baseline, which every WebRTC browser decodes (RFC 7742 §6.2), level 5.2: 4096x2304 at 60 fps.
            fmtp={**_H264_FMTP, "profile-level-id": "42e034"},
        ),
        CodecSpec(
            name="vp8",
            label="VP8",
            wire_number=17,
            mime="video/VP8",
            payload_type=97,
            chroma="420",
            library="libvpx",
            encoder="framewire.codec.vp8:Vp8Encoder",
            packetiser="framewire.rtc.rtp.vp8:packetise",
        ),
    )
}
"""The video codecs in order of preference.

VP9 is not among them. At 720p30, libvpx's fastest setting (``cpu-used`` 8) takes more than twice x264's time. At 2 to
8 Mbps its pictures are between 3 dB worse (plots) and 2 dB better (text). With 4:4:4 chroma it takes two to four times
as long, for worse plots and better text.
"""


@cache
def load(reference: str) -> Any:
    """The object that a ``module:name`` string names. Its module is imported at the first call."""
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)


def wire_number(codec: CodecName) -> int:
    """The number of a lossless coding or a video codec in the header of a binary message."""
    number = LOSSLESS_CODINGS.get(codec)
    return CODECS[codec].wire_number if number is None else number


def named_by(number: int) -> CodecName | None:
    """The lossless coding or video codec of a number in a header; None for a number that is not in use.

    Where codecs share a number, the last one in order of preference is meant: it asks least of a decoder.
    """
    found = [name for name, known in LOSSLESS_CODINGS.items() if known == number]
    found += [spec.name for spec in CODECS.values() if spec.wire_number == number]
    return found[-1] if found else None


def selectable_codecs() -> tuple[CodecName, ...]:
    """The codecs that users choose from, best first. Those with full chroma follow from ``chroma="444"``."""
    return tuple(spec.name for spec in CODECS.values() if spec.chroma == "420")


def full_chroma_codecs(codecs: Iterable[CodecName]) -> tuple[CodecName, ...]:
    """The codecs that add full chroma to any of ``codecs``: those of the same media type."""
    mimes = {CODECS[name].mime for name in codecs}
    return tuple(spec.name for spec in CODECS.values() if spec.chroma == "444" and spec.mime in mimes)
