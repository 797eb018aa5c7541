"""Host and Origin: which requests are answered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framewire.engine.http.gate import Gate, host_of

GATE = Gate(hosts=frozenset({"viewer.example"}), origins=frozenset({"https://lab.example"}))
OPEN = Gate(exposed=True)
LOCAL = "127.0.0.1:8765"


@pytest.mark.parametrize(
    "header", ["127.0.0.1", "127.0.0.1:1", "127.9.9.9:80", "localhost:9", "LOCALHOST", "[::1]:5", "viewer.example:80"]
)
def test_local_and_allowed_host_names_are_accepted(header: str) -> None:
    assert GATE.allows_host(header)


@pytest.mark.parametrize(
    "header",
    [None, "", "evil.com", "127.0.0.1.evil.com", "localhost.evil.com", "localhost.", "viewer.example.evil.com",
     "xviewer.example", "192.0.2.7", "[::ffff:127.0.0.1]", "0.0.0.0", "127.0.0.1:99999", "127.0.0.1:x", "[::1",
     "a@127.0.0.1", "127.0.0.1/evil", "127.0.0.1, evil.com", "127.0.0.1 ", "2130706433", "0x7f.1", "l\u043ecalhost"],
)  # fmt: skip
def test_host_names_of_rebinding_attacks_are_refused(header: str | None) -> None:
    assert not GATE.allows_host(header)


def test_an_exposed_server_answers_to_any_address_but_to_no_name() -> None:
    assert OPEN.allows_host("192.0.2.7:8765") and OPEN.allows_host("[2001:db8::1]")
    assert not OPEN.allows_host("evil.com")


@pytest.mark.parametrize(
    "origin",
    [None, "http://127.0.0.1:8765", "http://localhost:8888", "https://localhost", "http://[::1]:3000",
     "https://lab.example", "vscode-webview://0abc", "https://x1.vscode-cdn.net"],
)  # fmt: skip
def test_local_and_allowed_origins_are_accepted(origin: str | None) -> None:
    assert GATE.allows_origin(origin, LOCAL)


@pytest.mark.parametrize(
    "origin",
    ["null", "", "https://evil.example", "https://lab.example.evil.com", "https://xlab.example", "http://lab.example",
     "https://lab.example:444", "https://LAB.example", "https://lab.example/", "https://u@lab.example", "file://",
     "http://127.0.0.1.evil.com", "http://localhost.evil.com", "http://evil.com#localhost", "ftp://localhost",
     "http://u@localhost", "http://localhost/", "https://vscode-cdn.net.evil.com", "https://evilvscode-cdn.net",
     "https://\\evil.com\\a.vscode-cdn.net", "https://evil.com\\.vscode-cdn.net", "https://\xe9.vscode-cdn.net",
     "http://x.vscode-cdn.net", "http://localhost:x", "chrome-extension://abc", "http://[::1"],
)  # fmt: skip
def test_foreign_origins_are_refused(origin: str) -> None:
    assert not GATE.allows_origin(origin, LOCAL)


def test_a_page_of_this_server_may_connect_to_it() -> None:
    assert OPEN.allows_origin("http://192.0.2.7:8765", "192.0.2.7:8765")
    assert not OPEN.allows_origin("http://192.0.2.7:8766", "192.0.2.7:8765")
    assert not OPEN.allows_origin("http://192.0.2.8:8765", "192.0.2.7:8765")


@given(st.text(max_size=60), st.text(max_size=60) | st.none())
def test_any_header_text_is_accepted_or_refused_without_an_error(header: str, origin: str | None) -> None:
    assert GATE.allows_host(header) in (True, False)
    assert GATE.allows_origin(origin, header) in (True, False)


def test_the_host_is_taken_out_of_the_header() -> None:
    assert host_of("Example.COM:80") == "example.com"
