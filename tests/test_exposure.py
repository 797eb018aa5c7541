"""What a served engine opens to others, for how long, and what leaves the machine by itself."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest

import framewire as fw
from framewire import wire
from framewire.authentication import ConnectionRequest
from framewire.engine import engine
from framewire.rtc.stack import ice
from framewire.rtc.stack.destinations import DESTINATIONS_PER_S, MAX_CANDIDATES
from framewire.token_bucket import TokenBucket
from tests.e2e import namespaces
from tests.engine.fakes import FakeContext, MemoryTransport
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


# Where datagrams go at a viewer's word. Nothing is sent: counted where the sockets are handed them.


class Reached(set[str]):
    """The addresses that were sent to, and are in a list of candidates alone."""

    def note(self, _: ice.IceSocket, message: object, addr: tuple[str, int]) -> None:
        if addr[0].startswith("10.9."):
            self.add(addr[0])


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> Reached:
    reached = Reached()
    monkeypatch.setattr(ice.IceSocket, "send_stun", lambda *called: reached.note(*called))
    return reached


async def announce(viewer: Viewer, first: int) -> int:
    """A peer with 40 candidates in the answer and 40 by themselves, all of other machines."""
    sub = await viewer.subscribe("default", "webrtc")
    offer, browser = await viewer.message(wire.Offer), Browser()
    answer = (await browser.answer(offer.sdp)).splitlines()
    await browser.close()
    named = [f"candidate:1 1 udp 1 10.9.{n // 200}.{n % 200 + 1} 50000 typ host" for n in range(first, first + 80)]
    lines = [line for line in answer if "candidate" not in line] + [f"a={candidate}" for candidate in named[:40]]
    await viewer.send(wire.Answer(offer.peer, offer.offer, "\r\n".join([*lines, ""])))
    for candidate in named[40:]:
        await viewer.send(wire.Candidate(offer.peer, candidate, "0"))
    return sub


async def test_a_viewer_reaches_few_destinations_however_it_names_them(reached: Reached) -> None:
    """In an answer, one by one, and over peers opened anew: a budget of the viewer counts them all."""
    started = time.monotonic()
    async with fw.serve(*SIZE, port=0, engine="inline") as display:
        async with connected(display.ws_url, display.server.token) as viewer:
            for peer in range(4):
                sub = await announce(viewer, 80 * peer)
                await eventually(lambda: len(reached) >= MAX_CANDIDATES)
                await asyncio.sleep(0.3)  # checks leave 20 ms apart
                await viewer.send(wire.Unsubscribe(sub))
    assert len(reached) <= MAX_CANDIDATES + (time.monotonic() - started) * DESTINATIONS_PER_S + 1


async def test_viewers_that_come_anew_reach_no_more_destinations(
    reached: Reached, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "engine_bucket", lambda: TokenBucket(0.001, 40))
    async with fw.serve(*SIZE, port=0, engine="inline") as display:
        for number, most in enumerate((32, 40, 40)):
            async with connected(display.ws_url, display.server.token) as viewer:
                await announce(viewer, 80 * number)
                await eventually(partial(lambda most: len(reached) >= most, most))
                await asyncio.sleep(0.2)
    assert len(reached) == 40


@pytest.mark.parametrize(
    ("remote", "proxy", "may"),
    [
        (None, "", True), ("127.0.0.1", "", True), ("::1", "", True), ("192.0.2.7", "", False), ("fd00::7", "", False),
        ("127.0.0.1", "x-forwarded-for", False), ("::1", "forwarded", False), ("127.0.0.1", "x-real-ip", False),
    ],
)  # fmt: skip
async def test_a_viewer_of_another_machine_makes_this_one_send_nothing_to_itself(
    remote: str | None, proxy: str, may: bool
) -> None:
    context = FakeContext()
    headers = {proxy: "192.0.2.7"} if proxy else {}
    viewer = context.connect(MemoryTransport(), ConnectionRequest(headers=headers, remote=remote))
    assert viewer._destinations.may_announce("10.0.0.7", 0.0)
    assert viewer._destinations.may_announce("127.0.0.1", 0.0) is may
    viewer.close(1001, "")
    await context.close()


# Served and watched by a program in a network of its own; the arguments are options.
PROGRAM = """
import asyncio, sys
import framewire as fw
from tests.test_exposure import SIZE, candidates, flat, playing
from tests.viewer import connected

async def main():
    async with fw.serve(*SIZE, port=0, ice_servers=sys.argv[1:]) as display:
        async with connected((await display).ws_url, display.server.token) as viewer, playing(display, viewer) as made:
            print("shown, with candidates", *sorted(candidates(made[1])))

asyncio.run(main())
"""
ROOT = Path(__file__).resolve().parents[1]
TABLES = ("iptables", "ip6tables")


def packets(there: namespaces.Namespace, *options: str) -> int:
    """How many packets leave the machine, or ask for the address of a name, while a viewer on it watches."""
    for table in TABLES:
        namespaces.run(*there.inside, table, "-F", "OUTPUT")
        for protocol in ("udp", "tcp"):  # the kernel's own, of IPv6's neighbours, are neither
            namespaces.run(*there.inside, table, "-A", "OUTPUT", "!", "-o", "lo", "-p", protocol)
            namespaces.run(*there.inside, table, "-A", "OUTPUT", "-o", "lo", "-p", protocol, "--dport", "53")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    command = [*there.inside, sys.executable, "-c", PROGRAM, *options]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert "shown, with candidates 10.213.78.1" in said.stdout, said.stderr
    counted = 0
    for table in TABLES:
        listing = [*there.inside, table, "-nvxL", "OUTPUT"]
        rules = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.splitlines()[2:]
        assert len(rules) == 4
        counted += sum(int(rule.split()[0]) for rule in rules)
    return counted


@pytest.mark.slow
@pytest.mark.netns
def test_no_packet_leaves_the_machine_by_itself() -> None:
    with namespaces.alone(bridge=True) as here:
        namespaces.run("ip", "-n", here.name, "route", "add", "default", "via", "10.213.78.2")
        assert packets(here) == 0
        assert packets(here, "stun:10.213.78.2:3478") > 0, "a server that is asked for is asked"
