"""Packets encrypted in one go are what the binding encrypts one by one."""

from __future__ import annotations

import pylibsrtp
import pytest
from pylibsrtp import Policy, Session

from framewire.rtc.rtp.header_extensions import HeaderExtensions
from framewire.rtc.rtp.packets import RtpPacketDraft
from framewire.rtc.stack.srtp import SrtcpReceiver, SrtpProtector

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


def report(source):
    return b"\x80\xc9\0\1" + source.to_bytes(4)


@pytest.mark.parametrize("profile", PROFILES)
def test_feedback_is_decrypted_once_and_all_else_is_nothing(profile):
    viewer, receiver = session(profile), SrtcpReceiver(session(profile, inbound=True))
    sealed = viewer.protect_rtcp(report(7))
    assert receiver.unprotect(sealed[:-1] + bytes([sealed[-1] ^ 1])) == b""
    assert receiver.unprotect(sealed) == report(7)
    assert receiver.unprotect(sealed) == b"", "a repetition"
    media = viewer.protect(packets(1)[0])
    for each in (media, b"", b"\x80", *(sealed[:length] for length in range(len(sealed))), sealed.ljust(1501, b"x")):
        assert receiver.unprotect(each) == b""


def test_the_number_of_sources_is_bounded(monkeypatch):
    profile = Policy.SRTP_PROFILE_AEAD_AES_128_GCM
    viewer, ours = session(profile), session(profile, inbound=True)
    removed: list[int] = []
    remove_stream, receiver = ours.remove_stream, SrtcpReceiver(ours)

    def noted(source):
        removed.append(source)
        remove_stream(source)

    monkeypatch.setattr(ours, "remove_stream", noted)

    def heard(source):
        return receiver.unprotect(viewer.protect_rtcp(report(source))) == report(source)

    assert all(heard(source) for source in range(256)) and removed == []
    for source in range(1000, 2000):
        sealed = session(profile).protect_rtcp(report(source))
        assert receiver.unprotect(sealed[:-1] + bytes([sealed[-1] ^ 1])) == b"", "a forger is no source"
    assert heard(0) and heard(256) and heard(257)
    assert removed == [1, 2], "those that were not heard for the longest time"
    assert heard(0) and heard(1)
