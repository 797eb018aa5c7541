"""The one table of codecs: what it holds, and that a codec is added by one entry."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import framewire as fw
from framewire import wire
from framewire.authentication import ConnectionRequest
from framewire.codec.encoders import available_codecs, open_encoder
from framewire.codec.messages import Assembler, messages
from framewire.codecs import (
    CODECS,
    LOSSLESS_CODINGS,
    full_chroma_codecs,
    load,
    named_by,
    selectable_codecs,
    wire_number,
)
from framewire.engine.viewer.admission import Admitted
from framewire.engine.viewer.effects import ListedStream, MakeOffer, OfferedTrack
from framewire.engine.viewer.session import ServerInfo, Session
from framewire.frame import AccessUnit
from framewire.options import EngineOptions
from framewire.rtc.events import PeerTrack
from framewire.rtc.peer import Peer
from framewire.rtc.rtp.packets import packetise
from framewire.rtc.stack.peer_connection import FLEXFEC_PAYLOAD_TYPE
from tests.codec.scenes import flat as flat_frame
from tests.fake_codec import FAKE, FakeEncoder
from tests.viewer import connected, flat

CONTRACT = Path(__file__).parent.parent / "signaling" / "README.md"


def test_the_contract_lists_what_the_table_holds():
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (?:`([\w/]+)`)? ?\| (?:`([^`]+)`)? ?\|", CONTRACT.read_text(), re.M)
    listed = {name: (int(number), mime, fmtp) for name, number, mime, fmtp in rows}
    ours = {
        spec.name: (
            spec.wire_number,
            spec.mime,
            {f"{key}={value}" for key, value in spec.fmtp.items()},
        )
        for spec in CODECS.values()
    }
    theirs = {name: (number, mime, set(filter(None, fmtp.split(";")))) for name, (number, mime, fmtp) in listed.items()}
    assert theirs == ours | {name: (number, "", set()) for name, number in LOSSLESS_CODINGS.items()}


def test_the_preferred_codec_comes_first():
    assert list(CODECS) == ["h264_444", "h264", "vp8"]


@pytest.mark.parametrize("spec", CODECS.values(), ids=lambda spec: spec.name)
def test_an_entry_keeps_to_the_ranges_of_the_contract(spec):
    assert CODECS[spec.name] is spec
    assert re.fullmatch("[a-z0-9_]{1,16}", spec.name)
    assert 16 <= spec.wire_number <= 255
    # RFC 3551 §6: dynamic payload types; each codec has a second one for retransmissions.
    assert 96 <= spec.payload_type <= 126


def test_no_payload_type_is_given_twice():
    given = [number for spec in CODECS.values() for number in (spec.payload_type, spec.payload_type + 1)]
    given.append(FLEXFEC_PAYLOAD_TYPE)
    assert len(set(given)) == len(given)


@pytest.mark.parametrize("spec", CODECS.values(), ids=lambda spec: spec.name)
def test_an_entry_names_code_that_exists(spec):
    assert load(spec.encoder)(spec, fps=30, max_bitrate=1_000_000, threads=1).codec == spec.name
    assert callable(load(spec.packetiser))


def test_the_table_loads_none_of_the_code_that_it_names():
    code = "import sys, framewire.codecs; print(*sys.modules)"
    loaded = set(subprocess.check_output([sys.executable, "-c", code], text=True).split())
    assert not {module for spec in CODECS.values() for ref in (spec.encoder, spec.packetiser)
                if (module := ref.partition(":")[0]) in loaded}  # fmt: skip


@pytest.mark.parametrize(("name", "number"), [("raw", 0), ("zstd", 1), ("h264_444", 16), ("h264", 16), ("vp8", 17)])
def test_numbers_in_the_binary_message(name, number):
    assert wire_number(name) == number


def test_a_number_that_two_codecs_share_means_the_less_demanding_one():
    assert [named_by(number) for number in (0, 1, 2, 16, 17, 255)] == ["raw", "zstd", None, "h264", "vp8", None]


def test_users_choose_codecs_and_chroma_separately():
    assert selectable_codecs() == tuple(name for name in CODECS if name != "h264_444")
    assert full_chroma_codecs(["vp8", "h264"]) == ("h264_444",)
    assert full_chroma_codecs(["vp8"]) == ()


# A codec is added by one entry.


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setitem(CODECS, "fake", FAKE)
    return FAKE


def test_a_new_codec_is_encoded_and_packetised(fake):
    assert available_codecs()[-1] == "fake"
    encoder = open_encoder("fake", fps=30, max_bitrate=1_000_000)
    assert isinstance(encoder, FakeEncoder)
    unit = encoder.encode(flat_frame((7, 7, 7)))
    assert unit.data == b"fake\7"
    assert packetise(unit, 4) == (b"Ffak", b"Fe\7")


def test_a_new_codec_travels_over_the_socket(fake):
    unit = AccessUnit("fake", b"fake data", 1, 2, 3, 4, checksum=5)
    (message,) = messages(unit, 9)
    assert message[1] == 200
    assert Assembler().feed(message) == unit


def test_a_new_codec_is_negotiated(fake):
    server = ServerInfo(software="x", epoch="e")
    stream = ListedStream(wire.StreamInfo(0, "default", 6, 4, 30), available_codecs())
    session = Session(server, ConnectionRequest(), (stream,), 0.0)
    session.feed(wire.Hello(1, "token", ["unheard_of", "fake", "h264"]), 0.1)
    session.feed(Admitted(), 0.1)
    assert MakeOffer(1, 1, (OfferedTrack(1, "fake"),)) in session.feed(wire.Subscribe(1, "default", "webrtc"), 0.2)


async def test_a_new_codec_is_offered_in_sdp():
    # Peers made before the entry keep what they offer; those made after it have the new codec.
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CODECS, "fake", FAKE)
        peer = Peer(EngineOptions(), on_event=lambda event: None)
        sdp = (await peer.offer([PeerTrack(1, "fake")])).sdp
        await peer.close()
    assert "a=rtpmap:120 FAKE/90000\r\n" in sdp
    assert "a=fmtp:120 profile=none\r\n" in sdp
    assert "a=rtpmap:121 rtx/90000\r\n" in sdp
    assert "a=fmtp:121 apt=120\r\n" in sdp


async def test_a_new_codec_is_served(fake):
    async with (
        fw.serve(64, 48, port=0, codecs=["fake"], engine="inline") as display,
        connected(display.ws_url) as viewer,
    ):
        await viewer.hello(display.server.token, ["unheard_of", "fake"])
        await viewer.subscribe("default", "webcodecs")
        display.publish(flat(64, 48, 9))
        unit = await viewer.unit()
        assert (unit.codec, unit.data) == ("fake", b"fake\t")


async def test_a_codec_that_the_server_does_not_know_ends_the_subscription(fake):
    async with (
        fw.serve(64, 48, port=0, codecs=["fake"], engine="inline") as display,
        connected(display.ws_url) as viewer,
    ):
        await viewer.hello(display.server.token, ["unheard_of", "fake"])
        sub = await viewer.subscribe("default", "webcodecs", "unheard_of")
        ended = await viewer.message(wire.Ended)
        assert (ended.sub, ended.reason) == (sub, "no_codec")
