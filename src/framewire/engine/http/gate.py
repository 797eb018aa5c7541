"""Who may come in: token, Host, Origin, and how many. Pure; must not know requests or sockets.

Three walls, each enough against its own attacker: the token against everybody, the Host check against
DNS rebinding, the Origin check against other web pages in the user's browser.
"""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

MAX_UNKNOWN: Final = 32
"""Sockets that have not said `hello` yet, at most."""
MAX_CONNECTIONS: Final = 256
"""Sockets in all, at most."""
MIN_TOKEN: Final = 22
"""Characters of the shortest token taken: 128 bits in base64."""

_LOCAL_NAMES: Final = frozenset({"localhost"})


@dataclass(frozen=True)
class Gate:
    """The rules of one engine.

    ``hosts`` are further names this server answers to (a reverse proxy's, say); ``origins`` are further
    exact origins whose pages may connect. ``exposed`` says that the server listens beyond loopback.
    """

    token: str = field(repr=False)
    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    exposed: bool = False

    def admits_token(self, token: str) -> bool:
        """Compare in constant time, in bytes: `compare_digest` refuses non-ASCII text."""
        return hmac.compare_digest(token.encode("utf-8", "replace"), self.token.encode())

    def admits_host(self, header: str | None) -> bool:
        """Whether a request with this ``Host`` header may be answered.

        DNS rebinding needs a *name* the attacker owns, so when the server is exposed any IP address is
        taken; otherwise only loopback's names and addresses, and the names in ``hosts``.
        """
        host = host_of(header)
        if host is None:
            return False
        if host in _LOCAL_NAMES or host in self.hosts:
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return _is_loopback(address) or self.exposed

    def admits_origin(self, origin: str | None, host_header: str | None) -> bool:
        """Whether a page of this ``Origin`` may open a socket. No Origin is no browser: the token decides."""
        if origin is None:
            return True
        if origin in self.origins:
            return True
        try:
            parts = urlsplit(origin)
            name, port = parts.hostname, parts.port
        except ValueError:
            return False
        if not name or origin != f"{parts.scheme}://{parts.netloc}" or "@" in parts.netloc:
            return False
        if parts.scheme == "vscode-webview":
            return True
        if parts.scheme not in ("http", "https"):
            return False
        if parts.scheme == "https" and port is None and name.endswith(".vscode-cdn.net"):
            return True
        # Same origin is judged by Host alone: behind TLS the server cannot know the scheme it is seen under.
        return is_loopback(name) or parts.netloc.lower() == (host_header or "").lower()


def host_of(header: str | None) -> str | None:
    """The host in a ``Host`` header, lower case, without port and brackets; None where it is malformed."""
    if not header or any(c in header for c in "/@\\?# \t,") or not header.isascii():
        return None
    try:
        parts = urlsplit(f"//{header}")
        _ = parts.port
    except ValueError:
        return None
    return parts.hostname


def is_loopback(host: str) -> bool:
    """Whether this name or address can only mean the machine itself."""
    if host.lower() in _LOCAL_NAMES:
        return True
    try:
        return _is_loopback(ipaddress.ip_address(host))
    except ValueError:
        return False


def _is_loopback(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    # An IPv4 address in IPv6's clothes counts as loopback from Python 3.13 on; no browser asks for this machine so.
    return address.is_loopback and getattr(address, "ipv4_mapped", None) is None
