"""A codec as a stranger would add it: an encoder, a packetiser, and one entry for the registry."""

from __future__ import annotations

from collections.abc import Iterator

from framewire.codecs import CodecName, CodecSpec
from framewire.frame import AccessUnit, Frame


class FakeEncoder:
    """Keeps the first byte of each frame."""

    def __init__(self, spec: CodecSpec, *, fps: float, max_bitrate: int, threads: int | None = None) -> None:
        self.codec: CodecName = spec.name

    def encode(self, frame: Frame, *, keyframe: bool = False) -> AccessUnit:
        data = b"fake" + bytes([frame.pixels[0, 0, 0]])
        return AccessUnit(self.codec, data, frame.number, frame.time_us, frame.width, frame.height, keyframe=True)

    def set_rate(self, bits_per_second: int) -> None: ...

    def close(self) -> None: ...


def packetise(data: bytes, max_payload: int) -> Iterator[bytes]:
    for at in range(0, len(data), max_payload - 1):
        yield b"F" + data[at : at + max_payload - 1]


FAKE = CodecSpec(
    name="fake",
    label="Fake",
    wire_number=200,
    mime="video/FAKE",
    payload_type=120,
    chroma="420",
    library="",
    encoder="tests.fake_codec:FakeEncoder",
    packetiser="tests.fake_codec:packetise",
    fmtp={"profile": "none"},
)
