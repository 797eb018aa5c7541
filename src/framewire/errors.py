"""What can go wrong, as types. Must not know sockets, clocks or any other file of the package.

::

    FramewireError
    ├── PublishError          an array `publish` cannot take (also a ValueError)
    ├── ClosedError           the display, server or engine is closed (also a RuntimeError)
    ├── EngineError           the engine process could not be started or kept
    ├── EncoderError          an encoder could not be opened or refused a frame
    ├── PeerError             a peer connection could not be negotiated
    │   └── CodecRefusedError     the viewer's answer refuses a track: it cannot decode it after all
    └── ProtocolError         somebody broke `signaling/README.md`
        ├── LocalProtocolError    we did
        └── RemoteProtocolError   the other end did; carries the close code it gets

An error is bad input. A bug is an ``assert`` with the sentence that makes it true.
"""

from __future__ import annotations

import enum


class CloseCode(enum.IntEnum):
    """WebSocket close codes; 44xx mirror HTTP's 4xx."""

    GOING_AWAY = 1001
    BAD_MESSAGE = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    HELLO_TIMEOUT = 4408
    VERSION = 4426
    LIMITS = 4429


class FramewireError(Exception):
    """Root of every error this package raises on purpose."""


class PublishError(FramewireError, ValueError):
    """An array that cannot be published; says its shape, its dtype and what would work."""


class ClosedError(FramewireError, RuntimeError):
    """The object was closed; it takes nothing more."""


class EngineError(FramewireError, RuntimeError):
    """The engine process could not be started, or keeps dying."""


class EncoderError(FramewireError):
    """An encoder could not be opened, or refused a frame."""


class PeerError(FramewireError):
    """A peer connection could not be negotiated."""


class CodecRefusedError(PeerError):
    """The viewer's answer refuses a track: it said it could decode the codec, and cannot."""


class ProtocolError(FramewireError):
    """Somebody broke the contract in ``signaling/README.md``."""


class LocalProtocolError(ProtocolError):
    """We misused our own machine."""


class RemoteProtocolError(ProtocolError):
    """The other end broke the contract and is closed with ``code``."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(f"{code.value} {code.name.lower()}: {reason}")
        self.code = code
        self.reason = reason
