"""Certificates: whether files hold one and its key, and what an engine serves https with.

Must not know options, sockets or servers. OpenSSL is loaded when it is first needed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import ssl

HOW: Final = "write tls=('cert.pem', 'key.pem'), or one file that holds both"


def checked_files(files: tuple[str, ...]) -> tuple[str, ...]:
    """The same files by their whole paths, since an engine may be started again in another folder. None stay none.

    Raises ``ValueError``, in one line, where they hold no certificate and its key.
    """
    if not files:
        return ()
    if len(files) > 2:
        raise ValueError(f"tls is a certificate and its key, not {len(files)} files: {HOW}")
    found = tuple(os.path.abspath(os.path.expanduser(file)) for file in files)
    certificate, key = found[0], found[-1]
    if "-----BEGIN CERTIFICATE-----" not in _text(certificate):
        raise ValueError(f"tls: {certificate!r} holds no certificate in PEM (BEGIN CERTIFICATE): {HOW}")
    key_text = _text(key)
    if "PRIVATE KEY-----" not in key_text:
        raise ValueError(f"tls: {key!r} holds no private key in PEM (BEGIN PRIVATE KEY): {HOW}")
    if "ENCRYPTED" in key_text:
        raise ValueError(
            f"tls: the key in {key!r} has a password, which nothing can type in: write one without "
            "(openssl pkey -in … -out …), readable for you alone"
        )
    server_context(found)
    return found


def server_context(files: tuple[str, ...]) -> ssl.SSLContext:
    """What a server needs for https. Raises ``ValueError``, in one line, where the files do not fit."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(files[0], files[-1])
    except ssl.SSLError as error:
        if "KEY_VALUES_MISMATCH" in str(error.reason):
            raise ValueError(f"tls: the key in {files[-1]!r} is not that of the certificate in {files[0]!r}") from None
        why = str(error.reason or error).replace("_", " ").lower()
        raise ValueError(f"tls: {files[0]!r} and {files[-1]!r} are no certificate and its key: {why}") from None
    except OSError as error:
        raise ValueError(f"tls: {files[0]!r} or {files[-1]!r} cannot be read: {error.strerror}") from None
    return context


def _text(file: str) -> str:
    try:
        with open(file, encoding="ascii", errors="replace") as opened:
            return opened.read(1 << 20)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ValueError(f"tls: {file!r} cannot be read: {why}; {HOW}") from None
