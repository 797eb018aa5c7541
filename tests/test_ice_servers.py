"""STUN and TURN servers: as users write them; what either end would refuse later is refused at the call."""

from __future__ import annotations

from typing import Any, cast

import pytest
from aiortc import RTCIceServer
from aiortc.rtcicetransport import connection_kwargs

from framewire.ice_servers import ice_servers
from framewire.wire import IceServer

TURN = {"username": "u", "credential": "c"}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("stun:s", [IceServer(["stun:s"])]),
        (["stun:s", "stuns:t"], [IceServer(["stun:s"]), IceServer(["stuns:t"])]),
        ({"urls": "stun:s"}, [IceServer(["stun:s"])]),
        ([{"url": "stun:s"}], [IceServer(["stun:s"])]),
        ([{"urls": ("stun:s", "STUN:t"), "username": None}], [IceServer(["stun:s", "stun:t"])]),
        ({"urls": "turn:t", **TURN, "credentialType": "password"}, [IceServer(["turn:t"], "u", "c")]),
        (IceServer(["stun:s"]), [IceServer(["stun:s"])]),
        ([IceServer(cast(Any, "stun:s"))], [IceServer(["stun:s"])]),
        (RTCIceServer("turn:t", "u", "c"), [IceServer(["turn:t"], "u", "c")]),
        (iter([]), []),
        (["stun:s"] * 8, [IceServer(["stun:s"])] * 8),
        ({"urls": ["stun:s"] * 8}, [IceServer(["stun:s"] * 8)]),
        ({"urls": "turn:t", "username": "u" * 509, "credential": "c"}, [IceServer(["turn:t"], "u" * 509, "c")]),
    ],
)
def test_each_spelling_is_taken_and_aiortc_reads_it(given, kept):
    made = ice_servers(given)
    assert made == tuple(kept)
    connection_kwargs([RTCIceServer(each.urls, each.username or None, each.credential or None) for each in made])


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (1, "ice_servers is a list of servers, not of type int"),
        (None, "ice_servers is a list of servers, not None; leave it out"),
        (b"stun:s", "ice_servers is a list of servers, not of type bytes"),
        (["stun:s"] * 9, "ice_servers has more than 8 servers"),
        ([("turn:t", "u", "secret")],
         "a server of ice_servers is a dict with 'urls', or an address, not of type tuple"),
        ([None], "a server of ice_servers is a dict with 'urls', or an address, not of type NoneType"),
        ({"username": "u"}, "a server of ice_servers has 'urls', 1 to 8 such as 'stun:HOST:PORT'"),
        ({"urls": []}, "a server of ice_servers has 'urls', 1 to 8 such as 'stun:HOST:PORT'"),
        ({"urls": ["stun:s"] * 9}, "a server of ice_servers has 'urls', 1 to 8 such as 'stun:HOST:PORT'"),
        ({"urls": [7]}, "an address of ice_servers is a string such as 'stun:HOST:PORT', not 7"),
        ({"urls": "stun:s", "usrname": "u"}, "a server of ice_servers has no key 'usrname': do you mean 'username'?"),
        (
            "stun:",
            "an address of ice_servers, 'stun:', is no address of a STUN or TURN server: "
            "write 'stun:HOST:PORT' or 'turn:HOST:PORT?transport=udp'",
        ),
        ({"urls": ["stun:s", "turn:t"]},
         "'turn:t' of ice_servers needs 'username' and 'credential', as TURN servers do"),
        ("turn:t", "'turn:t' of ice_servers needs 'username' and 'credential', as TURN servers do"),
        ({"urls": "turns:t", "username": "u"},
         "'turns:t' of ice_servers needs 'username' and 'credential', as TURN servers do"),
        ({"urls": "turn:t", "username": "", "credential": "c"},
         "'turn:t' of ice_servers needs 'username' and 'credential', as TURN servers do"),
        ({"urls": "turn:t", **TURN, "credential": 7},
         "'turn:t' of ice_servers: credential is a string of at most 509 bytes"),
        ({"urls": "turn:t", **TURN, "username": "é" * 255},
         "'turn:t' of ice_servers: username is a string of at most 509 bytes"),
        ({"urls": "turn:t", **TURN, "username": "\ud800"},
         "'turn:t' of ice_servers: username is a string of at most 509 bytes"),
        ({"urls": "turn:t", **TURN, "credentialType": "oauth"},
         "'turn:t' of ice_servers: credentialType is 'password', or is left out"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_in_one_line_without_a_secret(given, line):
    with pytest.raises(ValueError) as caught:
        ice_servers(given)
    assert str(caught.value) == line


def test_a_credential_is_never_quoted():
    for secret in ("c0nfidential" * 60, b"c0nfidential", ["c0nfidential"]):
        with pytest.raises(ValueError) as caught:
            ice_servers({"urls": "turn:t", "username": "u", "credential": secret})
        assert "c0nfidential" not in str(caught.value)
