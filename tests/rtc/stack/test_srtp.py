"""Packets encrypted in one go are what the binding encrypts one by one."""

from __future__ import annotations

import pylibsrtp
import pytest
from pylibsrtp import Policy, Session

from framewire.rtc.rtp.header_extensions import HeaderExtensions
from framewire.rtc.rtp.packets import RtpPacketDraft
from framewire.rtc.stack.srtp import SrtpProtector

PROFILES = {
    Policy.SRTP_PROFILE_AES128_CM_SHA1_80: 30,
    Policy.SRTP_PROFILE_AEAD_AES_128_GCM: 28,
    Policy.SRTP_PROFILE_AEAD_AES_256_GCM: 44,
}


def session(profile, inbound=False):
    kind = Policy.SSRC_ANY_INBOUND if inbound else Policy.SSRC_ANY_OUTBOUND
    return Session(Policy(key=bytes(range(PROFILES[profile])), ssrc_type=kind, srtp_profile=profile))


def packets(count, first=0):
    extensions = HeaderExtensions({}, "")
    return [
        RtpPacketDraft(99, False, first + index, 5, 77, extensions, bytes([index]) * (1 + index)).write(0, None)
        for index in range(count)
    ]


@pytest.mark.parametrize("profile", PROFILES)
def test_the_bytes_are_those_of_the_binding_and_the_viewer_can_read_them(profile):
    plain = packets(40)
    ours = SrtpProtector(session(profile)).protect(plain)
    theirs = session(profile)
    assert ours == [theirs.protect(packet) for packet in plain]
    viewer = session(profile, inbound=True)
    assert [viewer.unprotect(packet) for packet in ours] == plain


def test_a_binding_without_these_private_names_encrypts_one_by_one(monkeypatch):
    profile = Policy.SRTP_PROFILE_AEAD_AES_128_GCM
    expected = SrtpProtector(session(profile)).protect(packets(5))
    made = session(profile)
    monkeypatch.delattr(pylibsrtp, "lib")
    monkeypatch.setattr(made, "protect", lambda packet: b"#" + packet)
    assert SrtpProtector(made).protect(packets(5)) == [b"#" + packet for packet in packets(5)]
    assert expected != packets(5)


def test_the_longest_packet_fits_and_a_refusal_by_libsrtp_is_an_error():
    cipher = SrtpProtector(session(Policy.SRTP_PROFILE_AEAD_AES_128_GCM))
    longest = packets(1)[0].ljust(1500, b"x")
    with pytest.raises(AssertionError):
        cipher.protect([longest + b"x"])
    assert len(cipher.protect([longest])[0]) == 1500 + 16
    with pytest.raises(pylibsrtp.Error):
        cipher.protect([longest])  # one index never encrypts two plaintexts
