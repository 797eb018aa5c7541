"""The errors that this package raises on purpose. Must not know any other file of the package.

::

    FramewireError
    ├── PublishError          `publish` cannot take this array (also a ValueError)
    ├── ClosedError           the display, server or engine is closed (also a RuntimeError)
    ├── EngineError           the engine process cannot be started or kept running (also a RuntimeError)
    │   └── NoProcessError        this system, or its sandbox, allows no engine process at all
    ├── EncoderError          an encoder cannot be opened, or refuses a frame
    ├── PeerError             a peer connection cannot be negotiated
    │   └── CodecRefusedError     the viewer's answer refuses a track: it cannot decode the codec after all
    └── ProtocolError         one end broke the contract in `signaling/README.md`
        ├── LocalProtocolError    this end: a message that it must not send
        └── RemoteProtocolError   the other end; carries the code that its socket is closed with

`FramewireWarning` is the class of every warning; it is no error, and may be filtered by itself.

Errors are for bad input. A bug is an ``assert`` whose message says why the condition holds.
"""

from __future__ import annotations

import enum
from typing import Final

MAX_REASON_CHARACTERS: Final = 100
"""Of what is wrong with bytes from outside, so much is repeated."""


class CloseCode(enum.IntEnum):
    """WebSocket close codes. Those of 44xx mirror HTTP's 4xx."""

    GOING_AWAY = 1001
    BAD_MESSAGE = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    HELLO_TIMEOUT = 4408
    VERSION = 4426
    LIMITS = 4429


class FramewireError(Exception):
    """The root of every error that this package raises on purpose."""


class FramewireWarning(UserWarning):
    """Advice: something works, but not as it reads, or there is a better way to write it."""


class PublishError(FramewireError, ValueError):
    """An array cannot be published. The message names its shape, its dtype and what would work."""


class ClosedError(FramewireError, RuntimeError):
    """The object is closed and takes nothing more."""


class EngineError(FramewireError, RuntimeError):
    """The engine process cannot be started, or keeps ending."""


class NoProcessError(EngineError):
    """This system, or its sandbox, allows no engine process: no program, no local socket or no memory to share."""


class EncoderError(FramewireError):
    """An encoder cannot be opened, or refuses a frame."""


class PeerError(FramewireError):
    """A peer connection cannot be negotiated."""


class CodecRefusedError(PeerError):
    """The viewer's answer refuses a track, though its ``hello`` lists the codec."""


class ProtocolError(FramewireError):
    """One end broke the contract in ``signaling/README.md``."""


class LocalProtocolError(ProtocolError):
    """This end would send a message that the contract does not allow."""


class RemoteProtocolError(ProtocolError):
    """The other end broke the contract; its socket is closed with ``code``."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(f"{code.value} {code.name.lower()}: {reason}")
        self.code = code
        self.reason = reason


def bad_message(reason: str) -> RemoteProtocolError:
    """The error of a message that breaks the contract. The reason may quote the message."""
    return RemoteProtocolError(CloseCode.BAD_MESSAGE, one_line(reason))


def one_line(text: str) -> str:
    """A text from outside as it may stand in an error or a log: on one line, short, and without what moves a terminal's
    cursor or changes its colours."""
    text = text[:MAX_REASON_CHARACTERS]
    if not text.isprintable():
        text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return text[:MAX_REASON_CHARACTERS]
