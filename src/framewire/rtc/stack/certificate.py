"""A peer connection's certificate, and what DTLS may use with it. Must not know sockets, peers or SDP."""

from __future__ import annotations

from typing import Any, Final

from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import RTCDtlsFingerprint
from OpenSSL import SSL

MIN_DTLS_VERSION: Final = 0xFEFD
"""DTLS 1.2, as pyOpenSSL has no name for it.

Source: RFC 8827 §6.5: DTLS 1.0 must not be negotiated; RFC 8996 deprecates it."""

CIPHERS: Final = b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305"
"""With authenticated encryption only; aiortc's own list has two with CBC and SHA-1 as well.

Source: RFC 8827 §6.5, the first is mandatory for every viewer; OWASP ASVS 5.0, 17.2.2."""


class Certificate(RTCCertificate):
    """A new key for each peer connection, in memory alone."""

    def getFingerprints(self) -> list[RTCDtlsFingerprint]:
        """By SHA-256 alone, which every viewer has; the other two would be a third of an offer."""
        return [each for each in super().getFingerprints() if each.algorithm == "sha-256"]

    def _create_ssl_context(self, srtp_profiles: list[Any]) -> SSL.Context:
        context = super()._create_ssl_context(srtp_profiles)
        context.set_min_proto_version(MIN_DTLS_VERSION)
        context.set_cipher_list(CIPHERS)
        # A viewer could have keys agreed upon anew and anew, which takes a millisecond each time.
        context.set_options(SSL.OP_NO_RENEGOTIATION)
        return context
