"""What every video encoder promises. Must not know PyAV, streams or viewers."""

from __future__ import annotations

from typing import Protocol

from framewire.codecs import CodecName
from framewire.frame import AccessUnit, Frame


class VideoEncoder(Protocol):
    """Frames in, access units out. Used from one worker thread at a time, never from an event loop.

    Frames may be of any size and any pixel format, each unlike the one before. A new size starts over with a
    keyframe. After a failed `encode` the encoder can still be used.
    """

    @property
    def codec(self) -> CodecName: ...

    def encode(self, frame: Frame, *, keyframe: bool = False) -> AccessUnit:
        """Encode one frame as one access unit, without delay.

        The unit is a keyframe if one is asked for, for the first frame, and after a change of size.
        Raises ``EncoderError`` if the encoder cannot be opened or refuses the frame.
        """
        ...

    def set_rate(self, bits_per_second: int) -> None:
        """Aim at this bitrate from the next frame on, without a keyframe. Any thread may call it."""
        ...

    def close(self) -> None:
        """Release the encoder. May be called twice."""
        ...
