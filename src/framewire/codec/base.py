"""What every video encoder promises. Must not know PyAV, streams or viewers."""

from __future__ import annotations

from typing import Protocol

from framewire.codecs import CodecName
from framewire.frame import AccessUnit, Frame


class VideoEncoder(Protocol):
    """Frames in, access units out. Used from one worker thread at a time, never from an event loop.

    An encoder follows its frames: any size and any pixel format may come next. A new size starts over
    with a keyframe. A failed `encode` leaves the encoder usable.
    """

    @property
    def codec(self) -> CodecName: ...

    def encode(self, frame: Frame, *, keyframe: bool = False) -> AccessUnit:
        """One frame, one access unit, with no delay between them.

        The unit is a keyframe if one is asked for, on the first frame, and after a change of size.
        Raises ``EncoderError`` if the encoder cannot be opened or refuses the frame.
        """
        ...

    def set_rate(self, bits_per_second: int) -> None:
        """Aim at this bitrate from the next frame on, without a keyframe. Any thread may call it."""
        ...

    def close(self) -> None:
        """Let go of the encoder. May be called twice."""
        ...
