"""Sockets that take data from the viewer only, on machines with and without a network."""

from __future__ import annotations

import asyncio
import os
import socket

import aioice
import aioice.ice
import aioice.stun
import pytest

from framewire.rtc.stack import ice
from framewire.rtc.stack.destinations import DestinationBudget

DTLS, RTP, STUN = b"\x16\xfe\xfd" + bytes(20), b"\x80\x63" + bytes(20), b"\0\1\0\0" + bytes(16)


@pytest.fixture
async def pair(loopback):
    """One of ours and one of stock aioice, connected."""
    ours, stock = await joined()
    for candidate in stock.local_candidates:
        await ours.add_remote_candidate(candidate)
    for one in (ours, stock):
        await one.add_remote_candidate(None)
    await asyncio.gather(ours.connect(), stock.connect())
    yield ours, stock
    await ours.close()
    await stock.close()


def address_of(connection):
    candidate = next(c for c in connection.local_candidates if c.host == "127.0.0.1")
    return candidate.host, candidate.port


async def settled(times=20):
    for _ in range(times):
        await asyncio.sleep(0.001)


async def test_a_machine_without_a_network_has_candidates(loopback):
    connection = ice.IceConnection(ice_controlling=True)
    await connection.gather_candidates()
    assert "127.0.0.1" in {candidate.host for candidate in connection.local_candidates}
    await connection.close()


async def test_loopback_is_the_last_choice(monkeypatch):
    monkeypatch.setattr(ice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.2"])
    connection = ice.IceConnection(ice_controlling=True)
    await connection.gather_candidates()
    priority = {candidate.host: candidate.priority for candidate in connection.local_candidates}
    assert priority["127.0.0.2"] > priority["127.0.0.1"]
    await connection.close()


async def test_an_unreachable_stun_server_is_not_asked_from_loopback(loopback):
    # Nothing answers at this port; from loopback the question would cost the whole timeout.
    connection = ice.IceConnection(ice_controlling=True, stun_server=("127.0.0.1", 9))
    async with asyncio.timeout(ice.GATHER_TIMEOUT_S / 2):
        await connection.gather_candidates()
    assert connection.stun_server == ("127.0.0.1", 9)
    await connection.close()


@pytest.mark.parametrize("hosts", [["127.0.0.1"], ["127.0.0.3", "127.0.0.1"]])
async def test_sockets_open_at_the_addresses_that_are_named_alone(monkeypatch, hosts):
    monkeypatch.setattr(ice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.2"])
    # Neither server is asked from another address, nor at all where all addresses are loopback.
    connection = ice.IceConnection(
        ice_controlling=True, stun_server=("127.0.0.2", 9), turn_server=("127.0.0.2", 9), turn_username="u"
    )
    connection.udp_hosts = hosts
    async with asyncio.timeout(ice.GATHER_TIMEOUT_S / 2):
        await connection.gather_candidates()
    assert [candidate.host for candidate in connection.local_candidates] == hosts
    assert [protocol.transport.get_extra_info("sockname")[0] for protocol in connection._protocols] == hosts
    await connection.close()


async def test_an_address_of_a_network_comes_before_loopback_and_asks_the_servers(monkeypatch):
    asked: list[tuple[list[str], object]] = []

    async def gathered(self, component, addresses, timeout=5):
        asked.append((addresses, self.stun_server))
        return []

    monkeypatch.setattr(ice.ice.Connection, "get_component_candidates", gathered)
    connection = ice.IceConnection(ice_controlling=True, stun_server=("stun.example", 9))
    connection.udp_hosts = ["127.0.0.1", "10.0.0.7"]
    await connection.get_component_candidates(1, ["10.9.9.9"])
    assert asked == [(["127.0.0.1"], None), (["10.0.0.7"], ("stun.example", 9))]


@pytest.mark.parametrize("asked_s", [5, 1])
async def test_a_stun_server_has_three_seconds_to_answer(monkeypatch, asked_s):
    waits: list[float] = []

    async def gathered(self, component, addresses, timeout=5):
        waits.append(timeout)
        return []

    monkeypatch.setattr(ice.ice.Connection, "get_component_candidates", gathered)
    await ice.IceConnection(ice_controlling=True).get_component_candidates(1, ["192.0.2.7"], asked_s)
    assert waits == [3, 3]


async def test_relay_only_means_relay_only(loopback):
    connection = ice.IceConnection(ice_controlling=True, transport_policy=aioice.TransportPolicy.RELAY)
    await connection.gather_candidates()
    assert connection.local_candidates == []
    await connection.close()


async def test_data_passes_between_the_two_both_ways(pair):
    ours, stock = pair
    ours.send_now([DTLS, RTP])
    assert [await stock.recv(), await stock.recv()] == [DTLS, RTP]
    await stock.send(DTLS)
    assert await ours.recv() == DTLS
    assert ours.idle()


async def test_data_from_a_stranger_is_dropped(pair):
    ours, stock = pair
    taken: list[bytes] = []
    ours.received, ours.on_srtp = False, taken.append
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for datagram in (DTLS, RTP, STUN, b"", b"\xff", STUN[:5]):
            stranger.sendto(datagram, address_of(ours))
    await settled()
    assert ours._queue.empty()
    assert not ours.received and not taken
    await stock.send(DTLS)
    assert await ours.recv() == DTLS
    assert ours.received


async def test_a_viewer_that_sends_no_checks_is_trusted_when_it_answers_ours(pair):
    ours, stock = pair
    ours._trusted.clear()
    await ours.check_start(ours._nominated[1])
    await stock.send(DTLS)
    assert await ours.recv() == DTLS


async def test_a_viewers_data_may_come_before_its_answer(loopback):
    ours, stock = ice.IceConnection(ice_controlling=True), aioice.Connection(ice_controlling=False)
    await ours.gather_candidates()
    await stock.gather_candidates()
    for candidate in ours.local_candidates:
        await stock.add_remote_candidate(candidate)
    stock.remote_username, stock.remote_password = ours.local_username, ours.local_password
    connecting = asyncio.create_task(stock.connect())
    await settled(50)
    stock._protocols[0].transport.sendto(DTLS, address_of(ours))
    async with asyncio.timeout(5):
        assert await ours._queue.get() == (DTLS, 1)
    await asyncio.gather(ours.close(), stock.close(), connecting, return_exceptions=True)


async def test_a_viewer_is_trusted_on_a_pair_whose_check_was_abandoned(pair):
    ours, stock = pair
    for each in ours._check_list:
        each.state = ice.ice.CandidatePair.State.IN_PROGRESS
    await stock.send(DTLS)
    assert await ours.recv() == DTLS


class Unlimited(DestinationBudget):
    def may_announce(self, address: str, now: float) -> bool:
        return True

    def may_reveal(self, now: float) -> bool:
        return True


def announced(port: int, host: str = "127.0.0.1") -> aioice.Candidate:
    return aioice.Candidate("1", 1, "udp", 1, host, port, "host")


async def test_one_connection_takes_thirty_two_announced_addresses(loopback):
    ours = ice.IceConnection(ice_controlling=True)
    ours.budget = Unlimited()
    for port in [*range(2000, 2040), *range(2000, 2010)]:
        await ours.add_remote_candidate(announced(port))
    assert [candidate.port for candidate in ours.remote_candidates] == list(range(2000, 2032))
    await ours.close()


async def test_connections_of_one_viewer_share_what_it_may_announce(loopback):
    one, other = ice.IceConnection(ice_controlling=True), ice.IceConnection(ice_controlling=True)
    one.budget = other.budget = DestinationBudget()
    for port in range(2000, 2020):
        # Each is named twice, as an answer to a further offer does.
        await one.add_remote_candidate(announced(port))
        await one.add_remote_candidate(announced(port))
        await other.add_remote_candidate(announced(port))
    assert len(one.remote_candidates) + len(other.remote_candidates) in (32, 33)  # a second may pass
    assert len(one.remote_candidates) == 16
    await one.add_remote_candidate(None)  # the end of candidates
    await asyncio.gather(one.close(), other.close())


async def test_addresses_that_checks_reveal_are_limited(pair, monkeypatch):
    ours, stock = pair
    sent: set[int] = set()
    monkeypatch.setattr(ice.IceSocket, "send_stun", lambda self, message, addr: sent.add(addr[1]))
    message = aioice.stun.Message(aioice.stun.Method.BINDING, aioice.stun.Class.REQUEST)
    message.attributes["PRIORITY"] = 1
    for port in range(1, 200):
        ours.check_incoming(message, ("127.0.0.1", port), ours._protocols[0])
    await settled()
    assert 60 <= len(sent) <= 66
    assert not ours.trusts(ours._protocols[0], ("127.0.0.1", 199)), "what is ignored is not trusted"
    monkeypatch.undo()
    await stock.send(DTLS)
    assert await ours.recv() == DTLS, "the viewer itself goes on"


async def test_the_number_of_trusted_addresses_is_bounded(pair):
    ours, _ = pair
    ours.budget = Unlimited()
    protocol = ours._protocols[0]
    message = aioice.stun.Message(aioice.stun.Method.BINDING, aioice.stun.Class.REQUEST)
    message.attributes["PRIORITY"] = 1
    for port in range(1, 200):
        ours.check_incoming(message, ("127.0.0.1", port), protocol)
    assert not ours.trusts(protocol, ("127.0.0.1", 1))
    assert ours.trusts(protocol, ("127.0.0.1", 199))
    assert len(ours._trusted) == 64


async def test_of_the_viewer_dtls_is_queued_srtp_handed_on_and_all_else_dropped(pair):
    ours, stock = pair
    taken: list[bytes] = []
    await stock.send(RTP)  # nothing can decrypt it yet
    await settled()
    ours.on_srtp = taken.append
    for datagram in (b"\x13" + bytes(20), b"\x40" + bytes(20), b"\xc8" + bytes(20), RTP, DTLS):
        await stock.send(datagram)
    assert await ours.recv() == DTLS
    assert taken == [RTP] and ours._queue.empty()


async def test_a_longer_datagram_is_dropped_unread(pair, monkeypatch):
    ours, stock = pair
    read: list[bytes] = []
    monkeypatch.setattr(ice.IceSocket, "_stun", lambda self, data, addr: read.append(data))
    ours.on_srtp = read.append
    stun = b"\0\1" + ours.username_prefix.ljust(1499, b"x")
    for datagram in (DTLS, RTP, stun):
        for length in (1500, 1501, 9000, 65_000):
            await stock.send(datagram.ljust(length, b"\0")[:length])
    await settled(50)
    assert [len(data) for data in (*read, await ours.recv())] == [1500] * 3
    assert ours._queue.empty()


async def test_the_queue_is_bounded(pair):
    ours, stock = pair
    for _ in range(3):
        for _ in range(ice.MAX_QUEUED_DATAGRAMS):
            await stock.send(DTLS)
        await settled()
    assert ours._queue.qsize() <= ice.MAX_QUEUED_DATAGRAMS
    for _ in range(600):
        ours.enqueue(DTLS, 1)
    assert ours._queue.qsize() == 256


async def test_sending_without_a_pair_or_after_the_end_does_nothing(loopback):
    connection = ice.IceConnection(ice_controlling=True)
    connection.send_now([RTP])
    assert connection.idle()
    await connection.gather_candidates()
    await connection.close()
    connection.send_now([RTP])


def test_the_aioice_of_other_users_is_unchanged():
    assert aioice.ice.StunProtocol is not ice.IceSocket
    assert (aioice.ice.CONSENT_FAILURES, aioice.ice.CONSENT_INTERVAL) == (6, 5)
    assert not issubclass(aioice.Connection, ice.IceConnection)
    assert not issubclass(ice.IceConnection, aioice.Connection)


def test_a_release_without_a_name_we_replace_is_refused_by_name():
    with pytest.raises(AssertionError, match="aioice has no Gone any more"):
        ice.private_copy("aioice", Gone=1)


@pytest.mark.parametrize("steps", range(12))
async def test_a_gathering_that_is_cancelled_leaves_no_socket(steps):
    # A viewer who goes while its offer is being made.
    descriptors = len(os.listdir("/proc/self/fd"))
    connection = ice.IceConnection(ice_controlling=False)
    gathering = asyncio.ensure_future(connection.gather_candidates())
    for _ in range(steps):
        await asyncio.sleep(0)
    gathering.cancel()
    await asyncio.wait([gathering])
    await connection.close()
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(os.listdir("/proc/self/fd")) == descriptors


@pytest.mark.parametrize("late", [False, True])
async def test_a_socket_that_opens_after_the_end_is_closed(late):
    connection = ice.IceConnection(ice_controlling=False)
    if late:
        await connection.close()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: ice.IceSocket(connection), local_addr=("127.0.0.1", 0))
    assert transport.is_closing() is late
    await connection.close()
    assert transport.is_closing()


async def test_no_consent_is_asked_for_once_the_connection_is_closed(pair):
    ours, _ = pair
    await ours.close()
    async with asyncio.timeout(20):  # aioice begins it when a check has succeeded, and that may be after the end
        await ours.query_consent()


async def test_a_lost_check_is_sent_again_before_aioice_would(pair, monkeypatch):
    ours, _ = pair
    monkeypatch.setattr(aioice.stun, "RETRY_RTO", 60)
    checked = ours._nominated[1]
    loop, waits = asyncio.get_running_loop(), []
    call_later = loop.call_later

    def hurried(delay, callback, *arguments):
        """The repetitions of this request, a hundred times sooner."""
        if callback != checked.protocol._repeat:
            return call_later(delay, callback, *arguments)
        waits.append(delay)
        return call_later(delay / 100, callback, *arguments)

    monkeypatch.setattr(loop, "call_later", hurried)
    send, sent = checked.protocol.send_stun, []

    def lossy(message, address):
        sent.append(message)
        if len(sent) > 1:
            send(message, address)

    monkeypatch.setattr(checked.protocol, "send_stun", lossy)
    request = ours.build_request(checked, nominate=False)
    key = ours.remote_password.encode()
    answer, _ = await checked.protocol.request(request, checked.remote_addr, integrity_key=key)
    assert answer.message_class is aioice.stun.Class.RESPONSE and len(sent) > 1
    assert waits == [0.1, 0.2, 0.3]


async def test_the_round_trip_is_known_as_soon_as_a_check_is_answered(pair):
    ours, _ = pair
    assert ours.rtt_s is not None and ours.rtt_s > 0
    shortest = ours.rtt_s
    ours.add_rtt_sample(shortest * 2)
    assert ours.rtt_s == shortest


async def joined():
    """One of ours that waits for a viewer, and a stock one that knows it."""
    ours, stock = ice.IceConnection(ice_controlling=True), aioice.Connection(ice_controlling=False)
    for one, other in ((ours, stock), (stock, ours)):
        await one.gather_candidates()
        other.remote_username, other.remote_password = one.local_username, one.local_password
    for candidate in ours.local_candidates:
        await stock.add_remote_candidate(candidate)
    return ours, stock


def check(ours, **attributes):
    """A signed check of the viewer's."""
    message = aioice.stun.Message(aioice.stun.Method.BINDING, aioice.stun.Class.REQUEST)
    message.attributes.update(USERNAME=f"{ours.local_username}:{ours.remote_username}", **attributes)
    message.add_message_integrity(ours.local_password.encode())
    return bytes(message)


async def test_strangers_are_not_answered_and_their_messages_not_read(pair, monkeypatch):
    ours, _ = pair
    read: list[bytes] = []
    monkeypatch.setattr(ice.IceSocket, "_stun", lambda self, data, addr: read.append(data))
    answer, indication = b"\1\1\0\0" + bytes(16), b"\0\x11\0\0" + bytes(16)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.setblocking(False)
        for message in (STUN, answer, indication, b"\0\1" + b"someone:else".ljust(100)):
            stranger.sendto(message, address_of(ours))
        await settled()
        with pytest.raises(BlockingIOError):
            stranger.recv(1500)
    assert read == []


async def test_a_check_without_a_priority_does_not_keep_the_viewer_out(loopback):
    ours, stock = await joined()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as viewer:
        viewer.sendto(check(ours), address_of(ours))
        await settled()
        assert len(ours._early_checks) == 1
        for candidate in stock.local_candidates:
            await ours.add_remote_candidate(candidate)
        async with asyncio.timeout(10):
            await asyncio.gather(ours.connect(), stock.connect())
    await asyncio.gather(ours.close(), stock.close())


async def test_a_viewer_that_never_agrees_on_the_roles_is_given_up(loopback, monkeypatch):
    ours, stock = await joined()
    asked: list[object] = []

    def refuse(message, address, protocol):
        asked.append(message)
        stock.respond_error(message, address, protocol, (487, "Role Conflict"))

    monkeypatch.setattr(stock, "request_received", refuse)
    for candidate in stock.local_candidates:
        await ours.add_remote_candidate(candidate)
    await ours.add_remote_candidate(None)
    async with asyncio.timeout(10):
        with pytest.raises(ConnectionError):
            await ours.connect()
    assert ice.MAX_ROLE_CONFLICTS == 4
    assert len(asked) < 20
    await asyncio.gather(ours.close(), stock.close())
