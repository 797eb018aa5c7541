"""Encrypts many packets in one go (SRTP). Must not know what is in them or where they go.

The binding's own ``protect`` takes three times as long: for each packet it makes an object for the length, and several
calls.
"""

from __future__ import annotations

from typing import Any, Final

import pylibsrtp

MAX_PACKET_BYTES: Final = 1500
"""The longest packet that is encrypted.

Source: the MTU of Ethernet; pinned by
`tests/rtc/stack/test_srtp.py::test_the_longest_packet_fits_and_a_refusal_by_libsrtp_is_an_error`."""

MAX_TRAILER_BYTES: Final = 16 + 128
"""libsrtp may write this much behind a packet.

Source: libsrtp ``SRTP_MAX_TRAILER_LEN``: the longest authentication tag and key identifier."""


class SrtpProtector:
    """The sending half of one peer's SRTP session."""

    def __init__(self, session: pylibsrtp.Session) -> None:
        self._session: Any = session
        self._protect: Any = None
        binding: Any = pylibsrtp
        try:
            self._context = self._session._srtp[0]
            self._data = binding.ffi.new("char[]", MAX_PACKET_BYTES + MAX_TRAILER_BYTES)
            self._buffer = binding.ffi.buffer(self._data)
            self._length = binding.ffi.new("int *")
            self._protect = binding.lib.srtp_protect
        except AttributeError:
            pass  # another release of the binding has other names; its public function is slower and does the same

    def protect(self, packets: list[bytes]) -> list[bytes]:
        """Encrypt RTP packets of at most `MAX_PACKET_BYTES` each. Raises ``pylibsrtp.Error``."""
        protect = self._protect
        if protect is None:
            return [self._session.protect(packet) for packet in packets]
        context, data, buffer, length = self._context, self._data, self._buffer, self._length
        protected = []
        for packet in packets:
            assert len(packet) <= MAX_PACKET_BYTES, "payloads are cut to fit any path"
            buffer[0 : len(packet)] = packet
            length[0] = len(packet)
            if status := protect(context, data, length):
                raise pylibsrtp.Error(f"libsrtp refused a packet: {status}")
            protected.append(buffer[0 : length[0]])
        return protected
