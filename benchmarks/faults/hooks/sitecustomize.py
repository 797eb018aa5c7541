"""What a program and its engine do where ``PYTHONPATH`` has this folder: files that the environment names control it.

``FRAMEWIRE_FAULTS_ENCODER``: every video encoder of the engine raises while this file exists.
``FRAMEWIRE_FAULTS_CLOCK``: this file has the seconds by which the wall clock is set forth, once it exists.
Must not know anything of the package but its encoders' classes.
"""

import os
import time

ENCODER = os.environ.get("FRAMEWIRE_FAULTS_ENCODER", "")
CLOCK = os.environ.get("FRAMEWIRE_FAULTS_CLOCK", "")


def patch_encoders() -> None:
    from framewire.codec.h264 import H264Encoder
    from framewire.codec.vp8 import Vp8Encoder

    for encoder in (H264Encoder, Vp8Encoder):

        def failing(self, frame, *, keyframe=False, _encode=encoder.encode):
            if os.path.exists(ENCODER):
                raise RuntimeError("the encoder fails, as asked")
            return _encode(self, frame, keyframe=keyframe)

        encoder.encode = failing


def patch_clock() -> None:
    real_s, real_ns = time.time, time.time_ns

    def offset() -> int:
        try:
            with open(CLOCK) as file:
                return int(file.read() or 0)
        except OSError:
            return 0

    time.time = lambda: real_s() + offset()
    time.time_ns = lambda: real_ns() + offset() * 1_000_000_000


if ENCODER and "FRAMEWIRE_ENGINE" in os.environ:
    patch_encoders()
if CLOCK:
    patch_clock()
