"""In an engine whose ``PYTHONPATH`` has this folder, every video encoder raises while a file exists.

The file is named by ``FRAMEWIRE_FAULTS_ENCODER``. Must not know anything but the encoders' classes.
"""

import os

FILE = os.environ.get("FRAMEWIRE_FAULTS_ENCODER", "")


def patch() -> None:
    from framewire.codec.h264 import H264Encoder
    from framewire.codec.vp8 import Vp8Encoder

    for encoder in (H264Encoder, Vp8Encoder):
        encode = encoder.encode

        def failing(self, frame, *, keyframe=False, _encode=encode):
            if os.path.exists(FILE):
                raise RuntimeError("the encoder fails, as asked")
            return _encode(self, frame, keyframe=keyframe)

        encoder.encode = failing


if FILE and "FRAMEWIRE_ENGINE" in os.environ:
    patch()
