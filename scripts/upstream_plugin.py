"""A pytest plugin: it puts our classes in the place of aiortc's and aioice's for their own tests.

`scripts/upstream.py` loads it. Must not know what the tests do, except for those it leaves out: each by name, with why.

Not put in the place of anything: `SenderSlot`, which is no RTCRtpSender (it is video and has no tracks, so a test
that has a sender in it means another one), and our tables of codecs, which have no audio.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import aioice
import aiortc
import aiortc.rtcdtlstransport
import aiortc.rtcicetransport
import pytest

from framewire.rtc.stack import ice
from framewire.rtc.stack.dtls_transport import DtlsTransport
from framewire.rtc.stack.peer_connection import IceGatherer

DTLS = b"\x17"
"""The first byte of DTLS's application data (RFC 7983 §7)."""

LEFT_OUT = {
    "IceConnectionTest::test_set_selected_pair": "its pair was proved by no check, so ours takes nothing from it",
    "RTCDtlsTransportTest::test_rtp": "media comes in: `DtlsTransport` has no way in for it",
    "RTCDtlsTransportTest::test_srtp_unprotect_error": "media comes in",
}
STOCK_DTLS = {
    "test_connect_audio_bidirectional": "counts media and reports that came in",
    "test_connect_audio_bidirectional_with_empty_iceservers": "counts media and reports that came in",
    "test_connect_audio_codec_preferences_offerer": "counts media and reports that came in",
    "test_connect_video_bidirectional": "counts media and reports that came in",
}
"""These run with our ICE and aiortc's transport above it."""


class DressedConnection(ice.IceConnection):
    """The tests send words, and ours lets only DTLS and SRTP through: each gets the first byte of DTLS on its way."""

    async def sendto(self, data: bytes, component: int) -> None:
        await super().sendto(DTLS + data, component)

    async def recvfrom(self) -> tuple[bytes, int]:
        data, component = await super().recvfrom()
        assert data[:1] == DTLS, "nothing else is let through"
        return data[1:], component


class DataTransport(DtlsTransport):
    """The tests send data over DTLS, for data channels too, and ours drops it."""

    def _drop_data(self) -> None:
        return


def _put(module: ModuleType, name: str, value: object) -> None:
    assert hasattr(module, name), f"{module.__name__} has no {name} any more: this release of it is not known"
    setattr(module, name, value)


def _replace_module(name: str, module: ModuleType) -> None:
    package, _, attribute = name.partition(".")
    sys.modules[name] = module
    _put(sys.modules[package], attribute, module)


def replace_ice() -> None:
    """``aioice.ice`` is our private copy, with our sockets and our connection."""
    _put(ice.ice, "Connection", DressedConnection)
    _put(aioice, "Connection", DressedConnection)
    _replace_module("aioice.ice", ice.ice)


def replace_peer_connection() -> ModuleType:
    """``aiortc.rtcpeerconnection`` is a private copy as framewire makes them, with aiortc's own senders and codecs."""
    DtlsTransport.on_feedback = staticmethod(lambda feedback: None)
    module = ice.private_copy(
        "aiortc.rtcpeerconnection",
        RTCDtlsTransport=DataTransport,
        RTCIceGatherer=IceGatherer,
    )
    for where in (aiortc, aiortc.rtcicetransport):
        _put(where, "RTCIceGatherer", IceGatherer)
    for where in (aiortc, aiortc.rtcdtlstransport):
        _put(where, "RTCDtlsTransport", DataTransport)
    _put(aiortc, "RTCPeerConnection", module.RTCPeerConnection)
    _replace_module("aiortc.rtcpeerconnection", module)
    return module


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--ours", choices=("aioice", "aiortc"), required=True, help="whose tests these are")


STOCK_TRANSPORT = aiortc.RTCDtlsTransport
_left_out: list[tuple[str, str]] = []
_peer_connection: ModuleType | None = None


def pytest_configure(config: pytest.Config) -> None:
    global _peer_connection  # noqa: PLW0603 -- a plugin is a module
    if config.getoption("--ours") == "aioice":
        replace_ice()
    else:
        _peer_connection = replace_peer_connection()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    out = {item: why for item in items for name, why in LEFT_OUT.items() if item.nodeid.endswith(f"::{name}")}
    _left_out.extend((item.name, why) for item, why in out.items())
    config.hook.pytest_deselected(items=list(out))
    items[:] = [item for item in items if item not in out]


@pytest.fixture(autouse=True)
def whose_dtls(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if _peer_connection is not None and request.node.name in STOCK_DTLS:
        monkeypatch.setattr(_peer_connection, "RTCDtlsTransport", STOCK_TRANSPORT)
        made = ice.IceConnection.__init__

        def make(self: ice.IceConnection, **options: Any) -> None:
            made(self, **options)
            self.on_srtp = lambda datagram: self.enqueue(datagram, 1)  # where aiortc's transport reads

        monkeypatch.setattr(ice.IceConnection, "__init__", make)


def pytest_report_header(config: pytest.Config) -> list[str]:
    if config.getoption("--ours") == "aioice":
        return ["framewire's: IceConnection, IceSocket, a private copy of aioice.ice"]
    return ["framewire's: IceGatherer, DtlsTransport, a private copy of aiortc.rtcpeerconnection"]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for name, why in _left_out:
        terminalreporter.write_line(f"left out: {name}: {why}")
