"""Which requests may be answered: the Host and Origin rules of a web server. Pure; must not know requests or sockets.

The Host check is against DNS rebinding, the Origin check against other web pages in the user's browser. The token,
which every transport asks for, is checked by `framewire.engine.viewer.admission`.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from framewire.addresses import is_address, is_loopback


@dataclass(frozen=True)
class Gate:
    """The rules of one server.

    ``hosts`` are further names that it answers to (a reverse proxy's, for example). ``origins`` are further
    origins whose pages may connect, compared exactly. ``exposed``: whether it listens beyond loopback.
    """

    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    exposed: bool = False

    def allows_host(self, header: str | None) -> bool:
        """Whether a request with this ``Host`` header may be answered.

        DNS rebinding needs a name that the attacker owns. So an exposed server answers to any IP address; any other
        one answers to loopback names and addresses only. Both answer to ``hosts``.
        """
        host = host_of(header)
        if host is None:
            return False
        return is_loopback(host) or host.removesuffix(".") in self.hosts or (self.exposed and is_address(host))

    def allows_origin(self, origin: str | None, host_header: str | None) -> bool:
        """Whether a page of this ``Origin`` may open a WebSocket. Browsers always send one; programs without it are
        judged by the token alone."""
        if origin is None:
            return True
        if origin in self.origins:
            return True
        try:
            parts = urlsplit(origin)
            name, port = parts.hostname, parts.port
        except ValueError:
            return False
        if not name or origin != f"{parts.scheme}://{parts.netloc}" or host_of(parts.netloc) != name:
            return False
        if parts.scheme == "vscode-webview":
            return True
        if parts.scheme not in ("http", "https"):
            return False
        if parts.scheme == "https" and port is None and name.endswith(".vscode-cdn.net"):
            return True
        # Same origin means the same Host: behind a TLS proxy the server does not know the scheme that the page has.
        return is_loopback(name) or parts.netloc.lower() == (host_header or "").lower()


def host_of(header: str | None) -> str | None:
    """The host in a ``Host`` header, lower case, without port and brackets; None for a malformed header."""
    if not header or any(c in header for c in "/@\\?# \t,") or not header.isascii():
        return None
    try:
        parts = urlsplit(f"//{header}")
        _ = parts.port
    except ValueError:
        return None
    return parts.hostname
