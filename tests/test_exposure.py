"""What a served engine opens to others, for how long, and what leaves the machine by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
import pytest

import framewire as fw
from framewire import wire
from tests.rtc.viewers import Viewer as Browser
from tests.viewer import Viewer, connected, eventually, flat

SIZE = (64, 48)


def udp(display: fw.Display) -> set[str]:
    """The addresses of the engine's UDP sockets."""
    return {each.laddr.ip for each in psutil.Process(display.server.engine_pid).net_connections("udp")}


def tcp(display: fw.Display) -> set[str]:
    """Where the engine listens."""
    listening = psutil.Process(display.server.engine_pid).net_connections("tcp")
    return {each.laddr.ip for each in listening if each.status == psutil.CONN_LISTEN}


def addresses() -> set[str]:
    """Those of every interface that is up, and loopback's; none that is valid on one link alone."""
    families = (2, 10)
    up = {name for name, about in psutil.net_if_stats().items() if about.isup}
    of_all = (each for name, several in psutil.net_if_addrs().items() if name in up for each in several)
    return {each.address for each in of_all if each.family in families and "%" not in each.address}


@asynccontextmanager
async def playing(display: fw.Display, viewer: Viewer) -> AsyncIterator[tuple[int, wire.Offer]]:
    """A subscription over WebRTC whose picture has come."""
    sub = await viewer.subscribe("default", "webrtc")
    offer, browser = await viewer.message(wire.Offer), Browser()
    await viewer.send(wire.Answer(offer.peer, offer.offer, await browser.answer(offer.sdp)))
    display.publish(flat(*SIZE, 200))
    await eventually(lambda: browser.pictures.get("0"))
    yield sub, offer
    await browser.close()


def candidates(offer: wire.Offer) -> set[str]:
    return {line.split()[4] for line in offer.sdp.splitlines() if line.startswith("a=candidate")}


async def test_udp_is_open_only_while_a_viewer_has_a_peer() -> None:
    ours = psutil.Process().net_connections("udp")
    async with fw.serve(*SIZE, port=0) as display:
        await display
        display.publish(flat(*SIZE))
        assert tcp(display) == {"127.0.0.1"} and not udp(display)
        assert psutil.Process().net_connections("udp") == ours
        async with connected(display.ws_url, display.server.token) as viewer:
            await viewer.subscribe("default")
            await viewer.unit()
            assert not udp(display), "a viewer that does not ask for WebRTC opens nothing"
            async with playing(display, viewer) as (sub, offer):
                assert udp(display) == candidates(offer)
                # By default every interface: this is how UDP reaches the viewers of a forwarded port.
                assert {"127.0.0.1"} < udp(display) <= addresses() or addresses() <= {"127.0.0.1", "::1"}
                await viewer.send(wire.Unsubscribe(sub))
                await eventually(lambda: not udp(display), "its subscription ended")
            async with playing(display, viewer):
                viewer.ws._response.connection.transport.abort()  # type: ignore[union-attr]  # its program was killed
                await eventually(lambda: not udp(display), "the viewer is gone")


async def test_with_udp_host_no_other_interface_is_bound_or_offered() -> None:
    async with fw.serve(*SIZE, port=0, udp_host="127.0.0.1") as display:
        await display
        async with connected(display.ws_url, display.server.token) as viewer, playing(display, viewer) as (_, offer):
            assert candidates(offer) == udp(display) == {"127.0.0.1"}


async def test_an_address_of_another_machine_is_refused_at_the_call() -> None:
    with pytest.raises(fw.EngineError, match=r"^udp_host='203.0.113.7' is not an address of this machine; .*'127"):
        fw.serve(*SIZE, port=0, udp_host="203.0.113.7")
    with pytest.raises(ValueError, match="a value of udp_host, 'localhost', is no IP address"):
        fw.serve_server(port=0, udp_host="localhost")
