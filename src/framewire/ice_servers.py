"""STUN and TURN servers as people write them, to structs that neither aiortc nor a browser refuses later.

Must not know options or peers. No message quotes a credential.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from msgspec import UNSET

from framewire.addresses import ice_url
from framewire.keywords import is_unicode, iterated, shown, unknown
from framewire.wire import IceServer

MAX_SERVERS: Final = 8
"""Servers, and addresses of one. The contract has room for so many.

Source: `wire.Welcome`, `wire.IceServer`."""
MAX_SECRET_BYTES: Final = 509
"""Source: RFC 8489 section 14.3; browsers refuse longer ones."""

_KEYS: Final = ("urls", "url", "username", "credential", "credentialType")


def ice_servers(given: Any) -> tuple[IceServer, ...]:
    """As ``RTCConfiguration.iceServers`` has them, or as addresses alone; one needs no list."""
    if isinstance(given, str | Mapping) or hasattr(given, "urls"):
        given = (given,)
    values = iterated(given)
    if values is None:
        what = "None; leave it out" if given is None else f"of type {type(given).__name__}"
        raise ValueError(f"ice_servers is a list of servers, not {what}")
    servers = tuple(_server(each) for each in islice(values, MAX_SERVERS + 1))
    if len(servers) > MAX_SERVERS:
        raise ValueError(f"ice_servers has more than {MAX_SERVERS} servers")
    return servers


def _server(given: Any) -> IceServer:
    """Raises ``ValueError`` for what aiortc or a browser would refuse. No message quotes a credential."""
    fields = _fields(given)
    for name in fields:
        if name not in _KEYS:
            raise ValueError(unknown("a server of ice_servers", "key", str(name), _KEYS))
    urls = fields.get("urls", fields.get("url"))
    urls = [urls] if isinstance(urls, str) else urls
    if not isinstance(urls, list | tuple) or not 1 <= len(urls) <= MAX_SERVERS:
        raise ValueError(f"a server of ice_servers has 'urls', 1 to {MAX_SERVERS} such as 'stun:HOST:PORT'")
    kept = [_url(url) for url in urls]
    if fields.get("credentialType", "password") != "password":
        raise ValueError(f"{shown(kept[0])} of ice_servers: credentialType is 'password', or is left out")
    secrets = {name: _secret(name, fields[name], kept[0]) for name in ("username", "credential") if name in fields}
    turn = next((url for url in kept if url.startswith("turn")), None)
    if turn and not (secrets.get("username") and secrets.get("credential")):
        raise ValueError(f"{shown(turn)} of ice_servers needs 'username' and 'credential', as TURN servers do")
    return IceServer(kept, **secrets)


def _url(url: Any) -> str:
    if not isinstance(url, str):
        raise ValueError(f"an address of ice_servers is a string such as 'stun:HOST:PORT', not {shown(url)}")
    try:
        return ice_url(url)
    except ValueError as fault:
        raise ValueError(f"an address of ice_servers, {shown(url)}, {fault}") from None


def _secret(name: str, secret: Any, url: str) -> str:
    """As text. No message quotes it."""
    if not isinstance(secret, str) or not is_unicode(secret) or len(secret.encode()) > MAX_SECRET_BYTES:
        raise ValueError(f"{shown(url)} of ice_servers: {name} is a string of at most {MAX_SECRET_BYTES} bytes")
    return str.__str__(secret)


def _fields(given: Any) -> dict[str, Any]:
    """What is given of a server: a mapping, an address, or an object with attributes, aiortc's for instance."""
    if isinstance(given, str):
        return {"urls": given}
    if not isinstance(given, Mapping):
        if not hasattr(given, "urls"):
            kind = type(given).__name__
            raise ValueError(f"a server of ice_servers is a dict with 'urls', or an address, not of type {kind}")
        given = {name: getattr(given, name, None) for name in _KEYS}
    return {name: value for name, value in given.items() if value is not None and value is not UNSET}
