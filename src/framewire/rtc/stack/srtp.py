"""Encrypts many packets in one go (SRTP), and decrypts the viewer's feedback (SRTCP). Must not know what is in them or
where they go.

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

MAX_SOURCES: Final = 256
"""So many sources of feedback (SSRCs) are known at a time. libsrtp keeps 800 bytes for each, and looks them up one by
one: with 12,000 of them a packet took 1.1 ms.

Source: chosen by hand, four times the subscriptions of a viewer; pinned by
`tests/rtc/stack/test_srtp.py::test_the_number_of_sources_is_bounded`."""

MIN_SRTCP_BYTES: Final = 8
"""A shorter packet has no source.

Source: RFC 3711 §3.4, the header."""


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


class SrtcpReceiver:
    """The receiving half of one peer's SRTP session. Only feedback is read: framewire receives no media."""

    def __init__(self, session: pylibsrtp.Session) -> None:
        self._session = session
        self._sources: dict[bytes, None] = {}
        """Those that a packet came from, the least recently heard first."""

    def unprotect(self, packet: bytes) -> bytes:
        """A compound as the viewer wrote it; empty if it is no SRTCP, forged or repeated. Never raises: anyone may send
        it from the viewer's address."""
        # RFC 5761 §4: the second byte tells SRTCP from SRTP.
        if len(packet) < MIN_SRTCP_BYTES or not 192 <= packet[1] <= 223:
            return b""
        try:
            compound: bytes = self._session.unprotect_rtcp(packet)
        except Exception:
            # Not `pylibsrtp.Error` alone: the binding raises ``ValueError`` for a packet that is too long.
            return b""
        self._heard(packet[4:8])
        return compound

    def _heard(self, source: bytes) -> None:
        self._sources.pop(source, None)
        self._sources[source] = None
        if len(self._sources) > MAX_SOURCES:
            silent = next(iter(self._sources))
            del self._sources[silent]
            self._session.remove_stream(int.from_bytes(silent))
