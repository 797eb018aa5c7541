"""Host names, origins and ICE addresses: each spelling as browsers send it, or one line says why there is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framewire.addresses import (
    allowed_host,
    host_name,
    ice_url,
    is_address,
    is_loopback,
    listening_host,
    udp_address,
    web_origin,
)
from framewire.engine.http.gate import Gate


@pytest.mark.parametrize("host", ["127.0.0.1", "127.255.0.9", "::1", "localhost", "LOCALHOST", "0:0:0:0:0:0:0:1"])
def test_loopback_is_this_machine_alone(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "192.0.2.1", "example.com", "::ffff:127.0.0.1", "localhost.x"])
def test_everything_else_may_be_another_machine(host):
    assert not is_loopback(host)


def test_an_address_is_told_from_a_name():
    assert [is_address(each) for each in ("192.0.2.1", "2001:db8::1", "a.example", "[::1]")] == [
        True,
        True,
        False,
        False,
    ]


# On the right what browsers send: `host` and `origin` of the WHATWG URL.
HOSTS = [
    ("lab.example", "lab.example"),
    ("Lab.Example", "lab.example:8765"),
    ("lab.example/", "lab.example"),
    ("lab.example.", "lab.example"),
    ("lab.example.", "lab.example."),
    ("lab.example:443", "lab.example"),
    ("lab.example:8443", "lab.example:8443"),
    ("https://Lab.Example/", "lab.example"),
    ("http://lab.example:80", "lab.example"),
    (" lab.example\n", "lab.example"),
    ("my_box", "my_box:8765"),
    ("bücher.example", "xn--bcher-kva.example"),
    ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ("2001:DB8::0:1", "[2001:db8::1]:8765"),
    ("[2001:db8::1]", "[2001:db8::1]"),
    ("http://[2001:DB8::1]:8765/", "[2001:db8::1]:8765"),
    ("::ffff:192.0.2.1", "[::ffff:c000:201]:8765"),
    ("192.0.2.7:9000", "192.0.2.7:9000"),
]


@pytest.mark.parametrize(("given", "sent"), HOSTS)
def test_a_host_is_taken_as_the_browser_sends_it(given, sent):
    assert not Gate().allows_host(sent)
    assert Gate(hosts=frozenset({allowed_host(given)})).allows_host(sent)


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ("*", "has a wildcard: list each name"),
        ("*.lab.example", "has a wildcard: list each name"),
        ("lab.example/a", "has a path: write 'lab.example'"),
        ("https://lab.example/?a", "has a path: write 'lab.example'"),
        ("https://lab.example/#a", "has a path: write 'lab.example'"),
        ("", "is no address of a web server"),
        ("https://", "is no address of a web server"),
        ("user@lab.example", "is no address of a web server"),
        ("lab.example:x", "is no address of a web server"),
        ("lab.example:99999", "is no address of a web server"),
        ("[::1", "is no address of a web server"),
        ("a b", "is no address of a web server"),
        ("a,b", "is no host name and no IP address"),
        ("-a.example", "is no host name and no IP address"),
        ("a..b", "is no host name and no IP address"),
        ("127.1", "is no host name and no IP address"),
        ("0x7f000001", "is no host name and no IP address"),
        ("lab.1", "is no host name and no IP address"),
        (f"{'a' * 64}.example", "is no host name and no IP address"),
        (".".join(["a" * 60] * 5), "is no host name and no IP address"),
        ("\u2024example", "is no host name and no IP address"),
        (
            "straße.example",
            "has a letter that browsers encode in ways of their own: write the name in Punycode (xn--…)",
        ),
        ("fe80::1%eth0", "has a zone (%), which no browser opens: use another address of this machine"),
    ],
)
def test_a_host_that_no_browser_sends_is_refused(given, fault):
    with pytest.raises(ValueError) as caught:
        allowed_host(given)
    assert str(caught.value) == fault


ORIGINS = [
    ("https://lab.example", "https://lab.example"),
    ("https://lab.example/", "https://lab.example"),
    ("HTTPS://Lab.Example", "https://lab.example"),
    ("https://lab.example:443", "https://lab.example"),
    ("http://lab.example:80/", "http://lab.example"),
    ("http://lab.example:443", "http://lab.example:443"),
    ("https://lab.example:8888", "https://lab.example:8888"),
    ("https://lab.example.", "https://lab.example."),
    ("https://bücher.example", "https://xn--bcher-kva.example"),
    ("http://[2001:DB8:0::1]:8888", "http://[2001:db8::1]:8888"),
    (" https://lab.example ", "https://lab.example"),
    ("chrome-extension://AbC", "chrome-extension://abc"),
]


@pytest.mark.parametrize(("given", "sent"), ORIGINS)
def test_an_origin_is_taken_as_the_browser_sends_it(given, sent):
    assert not Gate().allows_origin(sent, "127.0.0.1:8765")
    assert Gate(origins=frozenset({web_origin(given)})).allows_origin(sent, "127.0.0.1:8765")


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ("lab.example", "has no scheme: write 'https://lab.example'"),
        ("localhost:3000", "has no scheme: write 'https://localhost:3000'"),
        ("//Lab.Example/", "has no scheme: write 'https://lab.example'"),
        ("", "has no scheme: write 'https://lab.example'"),
        ("my lab", "has no scheme: write 'https://lab.example'"),
        ("*", "has a wildcard: list each origin"),
        ("https://*.lab.example", "has a wildcard: list each origin"),
        ("https://lab.example/a/b", "has a path: write 'https://lab.example'"),
        ("https://Lab.Example:443/?q", "has a path: write 'https://lab.example'"),
        ("wss://lab.example", "is no page's address: write 'https://lab.example'"),
        ("ws://lab.example:80", "is no page's address: write 'http://lab.example'"),
        ("ws://lab.example:81", "is no page's address: write 'http://lab.example:81'"),
        ("null", "is no origin to tell pages apart by: every file and every sandboxed page sends 'null'"),
        (
            "file:///a.html",
            "is no origin to tell pages apart by: every file and every sandboxed page sends 'null'",
        ),
        ("https://u:p@lab.example", "is no address of a web server"),
        ("https://", "is no address of a web server"),
        ("https://lab.example:x", "is no address of a web server"),
        ("https://127.1", "is no host name and no IP address"),
    ],
)
def test_an_origin_that_no_browser_sends_is_refused(given, fault):
    with pytest.raises(ValueError) as caught:
        web_origin(given)
    assert str(caught.value) == fault


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("localhost", "localhost"),
        ("LocalHost", "localhost"),
        ("localhost.", "localhost"),
        ("MyHost.LAN", "myhost.lan"),
        ("[::1]", "::1"),
        ("0:0:0:0:0:0:0:0", "::"),
        ("::0", "::"),
        ("[::]", "::"),
        ("0.0.0.0", "0.0.0.0"),
        ("", ""),
        ("*", "*"),
        (" 127.0.0.1 ", "127.0.0.1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
    ],
)
def test_what_to_listen_on_has_one_spelling(given, kept):
    assert listening_host(given) == kept


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ("http://x:80", "is an address with more than a host: write host='x', port=80"),
        ("https://x/", "is an address with more than a host: write host='x'"),
        ("127.0.0.1:8765", "is an address with more than a host: write host='127.0.0.1', port=8765"),
        ("[::1]:8765", "is an address with more than a host: write host='::1', port=8765"),
        ("127.0.0.1/24", "is an address with more than a host: write host='127.0.0.1'"),
        ("http://", "is an address with more than a host: write host='127.0.0.1', for example"),
        ("0", "is no host name and no IP address"),
        ("256.1.1.1", "is no host name and no IP address"),
        ("a:b:c", "is no host name and no IP address"),
        ("fe80::1%1", "has a zone (%), which no browser opens: use another address of this machine"),
    ],
)
def test_what_nothing_can_listen_on_is_refused(given, fault):
    with pytest.raises(ValueError) as caught:
        listening_host(given)
    assert str(caught.value) == fault


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (" 127.0.0.1 ", "127.0.0.1"),
        ("[::1]", "::1"),
        ("FD00:0::7", "fd00::7"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("169.254.7.7", "169.254.7.7"),
    ],
)
def test_where_udp_sockets_open_has_one_spelling(given, kept):
    assert udp_address(given) == kept


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ("", "is every interface, as without it: leave it out"),
        ("0.0.0.0", "is every interface, as without it: leave it out"),
        ("::", "is every interface, as without it: leave it out"),
        ("::0", "is no address of one interface"),
        ("::ffff:0.0.0.0", "is no address of one interface"),
        ("localhost", "is no IP address: write '127.0.0.1'"),
        ("eth0", "is no IP address: write '127.0.0.1'"),
        ("[::1", "is no IP address: write '127.0.0.1'"),
        ("::1]", "is no IP address: write '127.0.0.1'"),
        ("10.0.0.7:5000", "is no IP address: write '10.0.0.7'"),
        ("udp://[fd00::7]:5000", "is no IP address: write 'fd00::7'"),
        ("224.0.0.1", "is no address of one interface"),
        ("ff02::1", "is no address of one interface"),
        ("255.255.255.255", "is no address of one interface"),
        ("fe80::1", "is valid on one link alone, and no viewer can be told which: use another address"),
        ("fe80::1%eth0", "is valid on one link alone, and no viewer can be told which: use another address"),
        ("fd00::1%eth0", "is valid on one link alone, and no viewer can be told which: use another address"),
    ],
)
def test_where_no_udp_socket_opens_is_refused(given, fault):
    with pytest.raises(ValueError) as caught:
        udp_address(given)
    assert str(caught.value) == fault


def test_a_name_has_an_end():
    longest = ".".join(["a" * 63] * 3 + ["a" * 61])
    assert host_name(longest) == longest and len(longest) == 253
    with pytest.raises(ValueError, match="is no host name"):
        host_name(f"{longest}a")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("stun:stun.example", "stun:stun.example"),
        ("STUN:Stun.Example:3478", "stun:Stun.Example:3478"),
        ("stuns:192.0.2.1:5349", "stuns:192.0.2.1:5349"),
        ("turn:turn.example?transport=tcp", "turn:turn.example?transport=tcp"),
        (" turns:turn.example:443?transport=tcp ", "turns:turn.example:443?transport=tcp"),
        ("turn:turn.example:65535", "turn:turn.example:65535"),
        ("turn:turn.example:1", "turn:turn.example:1"),
    ],
)
def test_a_server_of_ice_is_taken_as_both_ends_read_it(given, kept):
    assert ice_url(given) == kept


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ("stun:", "write 'stun:HOST:PORT' or 'turn:HOST:PORT?transport=udp'"),
        ("stun.example", "write 'stun:HOST:PORT' or"),
        ("http://turn.example", "write 'stun:HOST:PORT' or 'turn:HOST:PORT?transport=udp'"),
        ("http:turn.example", "write 'stun:HOST:PORT'"),
        ("stun://stun.example", "write 'stun:stun.example', without //"),
        ("stun:[2001:db8::1]:3478", "no IPv6 addresses here; write its name"),
        ("stun:2001:db8::1", "no IPv6 addresses here; write its name"),
        ("turn:turn.example?transport=sctp", "write 'stun:HOST:PORT'"),
        ("stun:stun.example?transport=udp", "has a transport, which is for TURN alone"),
        ("stun:stun.example:0", "has a port out of range: 1 to 65535"),
        ("stun:stun.example:65536", "has a port out of range: 1 to 65535"),
        ("stun:stun.example:x", "write 'stun:HOST:PORT'"),
        ("stun:-", "is no host name and no IP address"),
        ("stun:1.2.3", "is no host name and no IP address"),
    ],
)
def test_a_server_that_either_end_refuses_is_refused_at_the_call(given, fault):
    with pytest.raises(ValueError) as caught:
        ice_url(given)
    assert fault in str(caught.value)


@given(st.text(max_size=60) | st.from_regex(r"\A(https?://)?[a-zA-Z0-9.:/*\[\]%-]{0,30}\Z"))
def test_any_text_is_refused_in_one_line_or_kept_in_a_form_that_stays(text):
    for form in (allowed_host, web_origin, listening_host, ice_url, udp_address):
        try:
            kept = form(text)
        except ValueError as fault:
            assert "\n" not in str(fault) and len(str(fault)) < 250
        else:
            assert form(kept) == kept
