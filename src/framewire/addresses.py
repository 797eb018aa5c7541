"""Host names, web origins and addresses of STUN and TURN servers: from what people write to what browsers send.

Must not know options, requests or sockets. A text that has no such form raises ``ValueError``. Its message continues a
sentence that begins with the text: what is wrong with it, and what to write instead.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

LOCAL_NAMES: Final = frozenset({"localhost"})
EVERY_INTERFACE: Final = frozenset({"", "*", "0.0.0.0", "::"})
"""Hosts that mean every interface. Browsers open none of these: they need 127.0.0.1, or a name."""
MAX_PORT: Final = 65_535
"""Source: RFC 9293 section 3.1."""
MAX_NAME_CHARACTERS: Final = 253
"""Source: RFC 1035 section 2.3.4, as text."""
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
"""Ports that browsers leave out of ``Host`` and ``Origin``."""

# Compiled when they are first used, and by `re` kept from then on: few programs name a host.
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = rf"{_LABEL}(?:\.{_LABEL})*"
_NUMBER: Final = r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)"
"""Browsers take a name whose last part is a number for an IPv4 address (WHATWG URL, "ends in a number")."""
_UNCLEAR_IN_IDNA: Final = "[ßς\u200c\u200d]"
"""Characters that browsers (UTS 46) and Python's IDNA 2003 encode in different ways."""
_BROADCAST: Final = ipaddress.IPv4Address(0xFFFFFFFF)
_UNSPECIFIED: Final = (ipaddress.IPv4Address(0), ipaddress.IPv6Address(0))
_ICE: Final = r"(?i:(stuns?|turns?):([a-z0-9_.-]+)(?::([0-9]{1,5}))?(?:\?transport=(udp|tcp))?)"


def is_loopback(host: str) -> bool:
    """Whether this name or address can only mean the machine itself."""
    if host.lower() in LOCAL_NAMES:
        return True
    address = _address(host)
    # An IPv4 address mapped into IPv6 counts as loopback from Python 3.13 on; no browser uses one for this machine.
    return address is not None and address.is_loopback and getattr(address, "ipv4_mapped", None) is None


def is_address(host: str) -> bool:
    """Whether this is an IP address, without brackets."""
    return _address(host) is not None


def host_name(text: str) -> str:
    """A name or an IP address as the ``Host`` header has it, without brackets: lower case, in Punycode, no last dot."""
    if address := _address(text[1:-1] if text.startswith("[") and text.endswith("]") else text):
        return _as_browsers_write(address)
    if "*" in text:
        raise ValueError("has a wildcard: list each name")
    name = _in_ascii(text).lower().removesuffix(".")
    if len(name) > MAX_NAME_CHARACTERS or not re.fullmatch(_NAME, name) or re.fullmatch(_NUMBER, name):
        raise ValueError("is no host name and no IP address")
    return name


def listening_host(text: str) -> str:
    """What a server is to listen on: a host name or address; one for every interface is kept as it is."""
    text = text.strip()
    if text in EVERY_INTERFACE:
        return text
    if "://" in text or "/" in text or ("]:" in text or text.count(":") == 1):
        raise ValueError(f"is an address with more than a host: write {_suggested(text)}")
    name = host_name(text)
    address = _address(name)
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped) if mapped else name


def udp_address(text: str) -> str:
    """An address of this machine for UDP sockets: of one interface, and no name, which may mean several."""
    text = text.strip()
    if text in EVERY_INTERFACE:
        raise ValueError("is every interface, as without it: leave it out")
    address = _address(text[1:-1] if text.startswith("[") and text.endswith("]") else text)
    if address is None:
        raise ValueError(f"is no IP address: write {_address_in(text)!r}")
    if mapped := getattr(address, "ipv4_mapped", None):
        address = mapped
    if address.is_multicast or address in (_BROADCAST, *_UNSPECIFIED):
        raise ValueError("is no address of one interface")
    if getattr(address, "scope_id", None) is not None or (address.version == 6 and address.is_link_local):
        raise ValueError("is valid on one link alone, and no viewer can be told which: use another address")
    return str(address)


def allowed_host(text: str) -> str:
    """A further name of a server; the scheme and port of its address are left out, as any port is answered."""
    text = text.strip()
    if is_address(text):
        return host_name(text)
    parts = _split(text if "://" in text else f"//{text}")
    host = host_name(parts.hostname or "")
    if _has_more_than_host(parts):
        raise ValueError(f"has a path: write {host!r}")
    return host


def web_origin(text: str) -> str:
    """A page's origin as browsers send it: scheme, host, and the port unless it is the scheme's own."""
    text = text.strip()
    if text.lower() == "null" or text.lower().startswith("file:"):
        raise ValueError("is no origin to tell pages apart by: every file and every sandboxed page sends 'null'")
    if "*" in text:
        raise ValueError("has a wildcard: list each origin")
    if "://" not in text:
        raise ValueError(f"has no scheme: write {_with_a_scheme(text)!r:.80}")
    if text.lower().startswith(("ws:", "wss:")):
        raise ValueError(f"is no page's address: write {web_origin('http' + text[2:])!r}")
    parts = _split(text)
    origin = _origin(parts)
    if _has_more_than_host(parts):
        raise ValueError(f"has a path: write {origin!r}")
    return origin


def _with_a_scheme(text: str) -> str:
    """What may be meant by an origin without one, or else an example."""
    try:
        return web_origin(f"https://{text.removeprefix('//')}")
    except ValueError:
        return "https://lab.example"


def ice_url(text: str) -> str:
    """The address of a STUN or TURN server, as both aiortc and browsers take it (RFC 7064, RFC 7065)."""
    text = text.strip()
    match = re.fullmatch(_ICE, text)
    if match is None:
        raise ValueError(f"is no address of a STUN or TURN server: {_ice_fault(text)}")
    scheme, host, port, transport = match.groups()
    if port and not 1 <= int(port) <= MAX_PORT:
        raise ValueError(f"has a port out of range: 1 to {MAX_PORT}")
    if transport and scheme.lower().startswith("stun"):
        raise ValueError("has a transport, which is for TURN alone")
    host_name(host)
    return text.replace(scheme, scheme.lower(), 1)


def _ice_fault(text: str) -> str:
    if "://" in text and re.fullmatch(_ICE, text.replace("://", ":", 1)):
        return f"write {text.replace('://', ':', 1)!r:.80}, without //"
    if "[" in text or text.count(":") > 2:
        return "no IPv6 addresses here; write its name"
    return "write 'stun:HOST:PORT' or 'turn:HOST:PORT?transport=udp'"


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _as_browsers_write(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.scope_id is not None:
        raise ValueError("has a zone (%), which no browser opens: use another address of this machine")
    if address.ipv4_mapped is None:
        return str(address)
    low = int(address.ipv4_mapped)  # not `str`, which has dots here from Python 3.13 on; browsers write none
    return f"::ffff:{low >> 16:x}:{low & 0xFFFF:x}"


def _in_ascii(name: str) -> str:
    """An international name in Punycode."""
    if name.isascii():
        return name
    if re.search(_UNCLEAR_IN_IDNA, name):
        raise ValueError("has a letter that browsers encode in ways of their own: write the name in Punycode (xn--…)")
    try:
        return name.encode("idna").decode()
    except UnicodeError:
        raise ValueError("is no host name and no IP address") from None


def _split(text: str) -> SplitResult:
    """A URL in parts, with a readable host and port. Tabs and line ends, which browsers drop, are refused."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError("is no address of a web server") from None
    if not parts.hostname or "@" in parts.netloc or any(c.isspace() or not c.isprintable() for c in text):
        raise ValueError("is no address of a web server")
    return parts


def _has_more_than_host(parts: SplitResult) -> bool:
    return parts.path not in ("", "/") or bool(parts.query or parts.fragment)


def _origin(parts: SplitResult) -> str:
    if parts.scheme not in DEFAULT_PORTS:
        return f"{parts.scheme}://{parts.netloc.lower()}"  # an editor's or an extension's own
    written = parts.hostname or ""
    host = host_name(written)
    host = f"[{host}]" if ":" in host else host + "." * written.endswith(".")
    return f"{parts.scheme}://{host}" + (
        f":{parts.port}" if parts.port not in (None, DEFAULT_PORTS[parts.scheme]) else ""
    )


def _address_in(text: str) -> str:
    """The IP address in a longer text, with a port for instance, or else an example."""
    with contextlib.suppress(ValueError):
        host = _split(text if "://" in text else f"//{text}").hostname or ""
        if is_address(host):
            return host
    return "127.0.0.1"


def _suggested(text: str) -> str:
    """``host=`` and ``port=`` of a whole address."""
    try:
        parts = _split(text if "://" in text else f"//{text}")
        host = host_name(parts.hostname or "")
    except ValueError:
        return "host='127.0.0.1', for example"
    return f"host={host!r}" + (f", port={parts.port}" if parts.port is not None else "")
