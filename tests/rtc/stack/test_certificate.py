"""Keys, DTLS versions, ciphers and SRTP profiles, with OpenSSL as the viewer."""

from __future__ import annotations

import sys

import pytest
from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import SRTP_PROFILES
from OpenSSL import SSL

from framewire.rtc.stack.certificate import CIPHERS, Certificate
from framewire.rtc.stack.peer_connection import PeerConnection

DTLS_1_0 = 0xFEFF


def shake_hands(server: SSL.Context, viewer: SSL.Context) -> tuple[SSL.Connection, SSL.Connection]:
    """Both ends after their handshake, in memory. Raises ``SSL.Error`` where they do not agree."""
    ends = SSL.Connection(server), SSL.Connection(viewer)
    ends[0].set_accept_state()
    ends[1].set_connect_state()
    for _ in range(10):
        for one, other in ((ends[1], ends[0]), (ends[0], ends[1])):
            try:
                one.do_handshake()
            except SSL.WantReadError:
                pass
            try:
                other.bio_write(one.bio_read(65_536))
            except SSL.WantReadError:
                pass
    for end in ends:
        end.do_handshake()
    return ends


def ours() -> SSL.Context:
    return Certificate.generateCertificate()._create_ssl_context(SRTP_PROFILES)


def viewers(*, profiles: bytes = b"SRTP_AES128_CM_SHA1_80", ciphers: bytes = b"ALL:@SECLEVEL=0") -> SSL.Context:
    """A viewer that takes anything."""
    context = RTCCertificate.generateCertificate()._create_ssl_context(SRTP_PROFILES)
    context.set_cipher_list(ciphers)
    context.set_tlsext_use_srtp(profiles)
    return context


def test_a_viewer_of_today_gets_authenticated_encryption():
    server, viewer = shake_hands(ours(), viewers())
    assert viewer.get_cipher_name() in CIPHERS.decode().split(":")
    assert server.get_selected_srtp_profile() == b"SRTP_AES128_CM_SHA1_80"
    assert viewer.get_protocol_version_name() == "DTLSv1.2"


def test_the_cipher_that_every_viewer_has_is_taken():
    _, viewer = shake_hands(ours(), viewers(ciphers=b"ECDHE-ECDSA-AES128-GCM-SHA256"))
    assert viewer.get_cipher_name() == "ECDHE-ECDSA-AES128-GCM-SHA256"


def test_dtls_1_0_is_refused_even_where_openssl_would_take_it():
    def contexts() -> tuple[SSL.Context, SSL.Context]:
        server, viewer = ours(), viewers()
        server.set_cipher_list(CIPHERS + b":ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")
        viewer.set_max_proto_version(DTLS_1_0)
        return server, viewer

    with pytest.raises(SSL.Error):
        shake_hands(*contexts())
    server, viewer = contexts()
    server.set_min_proto_version(DTLS_1_0)
    assert shake_hands(server, viewer)[1].get_protocol_version_name() == "DTLSv1", "it was our minimum alone"


@pytest.mark.parametrize("cipher", [b"ECDHE-ECDSA-AES128-SHA", b"ECDHE-ECDSA-AES256-SHA", b"ECDHE-ECDSA-NULL-SHA"])
def test_weak_ciphers_are_refused(cipher):
    with pytest.raises(SSL.Error):
        shake_hands(ours(), viewers(ciphers=cipher + b":@SECLEVEL=0"))


def test_a_weak_srtp_profile_is_not_agreed_upon():
    server, _ = shake_hands(ours(), viewers(profiles=b"SRTP_AES128_CM_SHA1_32"))
    assert server.get_selected_srtp_profile() == b""


def test_a_viewer_without_a_certificate_is_refused():
    viewer = SSL.Context(SSL.DTLS_METHOD)
    viewer.set_tlsext_use_srtp(b"SRTP_AES128_CM_SHA1_80")
    with pytest.raises(SSL.Error):
        shake_hands(ours(), viewer)


def test_nothing_is_agreed_upon_anew():
    assert ours().set_options(0) & SSL.OP_NO_RENEGOTIATION


async def test_each_connection_has_a_key_of_its_own_and_no_file_has_it(loopback):
    opened: list[object] = []
    watching = True

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event == "open" and (str(arguments[1]) not in ("r", "rb", "None")):
            opened.append(arguments)

    sys.addaudithook(hook)
    made = [PeerConnection([], lambda *_: None, lambda _: None, lambda _: None) for _ in range(2)]
    for connection in made:
        connection.add_slot("vp8")
    offers = [await connection.offer() for connection in made]
    watching = False
    fingerprints = [line for sdp in offers for line in sdp.splitlines() if line.startswith("a=fingerprint:")]
    assert len(set(fingerprints)) == 2 and all(line.startswith("a=fingerprint:sha-256 ") for line in fingerprints)
    assert opened == []
    assert all(
        isinstance(each, Certificate) for one in made for each in vars(one._pc)["_RTCPeerConnection__certificates"]
    )
    for connection in made:
        await connection.close()
