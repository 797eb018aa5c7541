"""SRTP for many packets in one go. Must not know what is in them or where they go.

The binding's own ``protect`` takes three times as long: it makes an object to hold the length, and a chain of calls,
for each packet.
"""

from __future__ import annotations

from typing import Any

import pylibsrtp

MOST_OCTETS = 1500
TRAILER = 16 + 128
"""``SRTP_MAX_TRAILER_LEN``: libsrtp may write so much behind a packet."""


class SrtpProtector:
    """The outgoing half of one peer's SRTP."""

    def __init__(self, session: pylibsrtp.Session) -> None:
        self._session: Any = session
        self._protect: Any = None
        binding: Any = pylibsrtp
        try:
            self._context = self._session._srtp[0]
            self._data = binding.ffi.new("char[]", MOST_OCTETS + TRAILER)
            self._buffer = binding.ffi.buffer(self._data)
            self._length = binding.ffi.new("int *")
            self._protect = binding.lib.srtp_protect
        except AttributeError:
            pass  # another release of the binding: slower by its public name, and right

    def protect(self, packets: list[bytes]) -> list[bytes]:
        """RTP packets, each of at most `MOST_OCTETS`, encrypted. Raises ``pylibsrtp.Error``."""
        protect = self._protect
        if protect is None:
            return [self._session.protect(packet) for packet in packets]
        context, data, buffer, length = self._context, self._data, self._buffer, self._length
        protected = []
        for packet in packets:
            assert len(packet) <= MOST_OCTETS, "payloads are cut to fit any path"
            buffer[0 : len(packet)] = packet
            length[0] = len(packet)
            if status := protect(context, data, length):
                raise pylibsrtp.Error(f"libsrtp refused a packet: {status}")
            protected.append(buffer[0 : length[0]])
        return protected
