"""A private copy of aioice whose sockets take data from the viewer only, and which also works on a machine without a
network.

Must not know DTLS, RTP or SDP. Nothing of the aioice that others in the process import is changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import aioice.ice
from aioice.candidate import candidate_priority
from aioice.stun import Message

from framewire.addresses import is_loopback
from framewire.rtc.stack.destinations import MAX_CANDIDATES, DestinationBudget
from framewire.rtc.stack.udp_gso import UdpGso

logger: Final = logging.getLogger(__name__)

MAX_DATAGRAM_BYTES: Final = 1500
"""Longer datagrams are dropped unread. A viewer sends none; libsrtp's binding raises for them, and to read a STUN
message of 64 KB takes 16 ms.

Source: the MTU of Ethernet; pinned by `tests/rtc/stack/test_ice.py::test_a_longer_datagram_is_dropped_unread`."""

MIN_STUN_BYTES: Final = 20
"""A shorter datagram is no STUN message.

Source: RFC 8489 §5, the header."""

MAX_QUEUED_DATAGRAMS: Final = 256
"""At most this many datagrams wait between the socket and DTLS; aioice's own queue is unbounded.

Source: chosen by hand; pinned by `tests/rtc/stack/test_ice.py::test_the_queue_is_bounded`."""

MAX_ROLE_CONFLICTS: Final = 4
"""A viewer may say this often that we have the wrong role; then the check has failed. aioice would ask for ever.

Source: RFC 8445 §7.2.5.1, a conflict is settled by the first answer; pinned by
`tests/rtc/stack/test_ice.py::test_a_viewer_that_never_agrees_on_the_roles_is_given_up`."""

MAX_TRUSTED_ADDRESSES: Final = 64
"""At most this many addresses of the viewer are trusted, over all sockets; the oldest is dropped first.

Source: chosen by hand; pinned by
`tests/rtc/stack/test_ice.py::test_the_number_of_trusted_addresses_is_bounded`."""

GATHER_TIMEOUT_S: Final = 3
"""A STUN or TURN server may take this long; then the offer goes without it.

Source: chosen by hand: aioice waits for 5 s; pinned by
`tests/rtc/stack/test_ice.py::test_a_stun_server_has_three_seconds_to_answer`."""

LOOPBACK: Final = ["127.0.0.1", "::1"]

CHECK_REPEATS_S: Final = (0.1, 0.2, 0.3)
"""A check without an answer is sent again this long after it was sent. aioice does so after 0.5 and 1.5 s: on a path
that loses one packet in ten, every third viewer would wait for that.

Source: RFC 8445 §14.3 (RTO of 500 ms or more, less where the network is known); pinned by
`tests/rtc/stack/test_ice.py::test_a_lost_check_is_sent_again_before_aioice_would`."""

CONSENT_INTERVAL_S: Final = 2
"""Consent is asked for this often; aioice does it every 5 s. The answers also show that the viewer is there.

Source: RFC 7675 §5.1 asks for 5 s with a randomisation, as the longest interval."""

CONSENT_FAILURES: Final = 15
"""Consent expires after this many unanswered requests: 30 s, as with aioice's numbers.

Source: RFC 7675 §5.1."""


def private_copy(name: str, **replacements: object) -> ModuleType:
    """A second instance of a module, with some of its global names replaced.

    It is in no import table: whoever imports ``name`` gets the stock module, unchanged.
    """
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.loader is not None, f"{name} is a dependency and a plain module"
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for key, value in replacements.items():
        assert hasattr(module, key), f"{name} has no {key} any more: this release of it is not known"
        setattr(module, key, value)
    return module


if TYPE_CHECKING:
    ice = aioice.ice
else:
    ice = private_copy(
        "aioice.ice",
        # aiortc compares these by identity.
        TransportPolicy=aioice.ice.TransportPolicy,
        ConnectionClosed=aioice.ice.ConnectionClosed,
        CONSENT_INTERVAL=CONSENT_INTERVAL_S,
        CONSENT_FAILURES=CONSENT_FAILURES,
    )


def _drop(datagram: bytes) -> None:
    """Nothing can be decrypted yet."""


class IceSocket(ice.StunProtocol):
    """One UDP socket: STUN from anyone, everything else only from where an authenticated check came.

    Without this a stranger's ClientHello could reach DTLS before the viewer's (OWASP ASVS 5.0, 17.2.6).
    """

    receiver: IceConnection
    gso: UdpGso

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.gso = UdpGso(self.transport)
        self.receiver.socket_opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.receiver.sockets.discard(self)
        self.gso.close()
        super().connection_lost(exc)

    async def request(
        self,
        request: Message,
        addr: tuple[str, int],
        integrity_key: bytes | None = None,
        retransmissions: int | None = None,
    ) -> tuple[Message, tuple[str, int]]:
        loop, sent_at = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        # A caller that wants no retransmissions repeats the request itself.
        delays = CHECK_REPEATS_S if retransmissions is None else ()
        timers = [loop.call_later(delay, self._repeat, request, addr) for delay in delays]
        try:
            answer = await super().request(request, addr, integrity_key, retransmissions)
        finally:
            for timer in timers:
                timer.cancel()
        if integrity_key is not None:
            # The request is a check. Without a key it goes to a STUN server, which is not the viewer.
            self.receiver.add_rtt_sample(loop.time() - sent_at)
        return answer

    def _repeat(self, request: Message, addr: tuple[str, int]) -> None:
        with contextlib.suppress(Exception):  # the socket, or its relay, may be closed by now
            self.send_stun(request, addr)

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        """Take what may be the viewer's. Anyone may send anything here, so nothing of it may raise, or cost much."""
        assert isinstance(data, bytes), "a datagram socket reads bytes"
        if not 0 < len(data) <= MAX_DATAGRAM_BYTES:
            return
        trusted = self.receiver.trusts(self, (addr[0], addr[1]))
        if trusted:
            self.receiver.received = True
        # RFC 7983 §7: the first byte tells STUN, DTLS and SRTP apart; nothing else belongs here.
        first = data[0]
        if first <= 3:
            if self._is_for_us(data):
                self._stun(data, addr)
        elif trusted and 128 <= first <= 191:
            self.receiver.on_srtp(data)
        elif trusted and 20 <= first <= 63:
            self.receiver.enqueue(data, self.local_candidate.component)

    def _is_for_us(self, data: bytes) -> bool:
        """Whether a STUN message may be an answer to a request of ours, or a request to us. To read one takes aioice 30
        microseconds and more, and to refuse it sends an answer to whoever is said to have asked."""
        if len(data) < MIN_STUN_BYTES:
            return False
        if data[0] & 1:  # RFC 8489 §5: the class is a success or an error
            return data[8:20] in self.transactions
        return self.receiver.username_prefix in data

    def _stun(self, data: bytes, addr: tuple[Any, ...]) -> None:
        try:
            super().datagram_received(data, addr)
        except Exception as error:
            logger.debug("STUN that aioice cannot take: %r", error)


class IceConnection(ice.Connection):
    """One ICE connection, with loopback candidates and a bounded queue."""

    received = False
    """Set by every datagram of the viewer; whoever watches it clears it."""
    rtt_s: float | None = None
    """The shortest round trip of a check; None until one was answered."""
    last_sent: bytes = b""
    """What `send` was called with last."""
    on_srtp: Callable[[bytes], None]
    """Takes a datagram of SRTP or SRTCP from the viewer's address. It must not raise."""

    def __init__(
        self, *, transport_policy: aioice.TransportPolicy = aioice.TransportPolicy.ALL, **options: Any
    ) -> None:
        # The copy's own default is a member of the copy's own enumeration.
        super().__init__(transport_policy=transport_policy, **options)
        self.budget: DestinationBudget = DestinationBudget()
        """What the viewer may make this connection send to; the same one for all connections of a viewer."""
        self.udp_hosts: Sequence[str] = ()
        """The addresses to open sockets at; empty for those of every interface, and loopback."""
        self._announced = 0
        self.on_srtp = _drop
        self.username_prefix: bytes = f"{self.local_username}:".encode()
        """How the ``USERNAME`` of a request to us begins (RFC 8445 §7.2.2)."""
        self._role_conflicts = 0
        self._trusted: dict[tuple[int, tuple[str, int]], None] = {}
        self.sockets: set[IceSocket] = set()
        """All that are open. aioice's own list lacks those of a gathering that was cancelled."""
        self._ended = False

    async def send(self, data: bytes) -> None:
        self.last_sent = data
        await super().send(data)

    def add_rtt_sample(self, seconds: float) -> None:
        """Count a check that was answered. If it was repeated, its answer may belong to a repetition, so only the
        shortest one counts."""
        self.rtt_s = seconds if self.rtt_s is None else min(self.rtt_s, seconds)

    def socket_opened(self, socket: IceSocket) -> None:
        """Keep a socket that opened, or close it if the connection was closed meanwhile."""
        if self._ended:
            socket.transport.close()
        else:
            self.sockets.add(socket)

    async def close(self) -> None:
        self._ended = True
        await super().close()
        for socket in list(self.sockets):
            socket.transport.close()

    async def query_consent(self) -> None:
        """Not on a connection that was closed between the check that succeeded and this: there it would never end."""
        if not self._ended:
            await super().query_consent()

    async def add_remote_candidate(self, remote_candidate: aioice.Candidate | None) -> None:
        """Take an address that the viewer announces, unless it has announced too many, here or in all."""
        if remote_candidate is None or self._may_announce((remote_candidate.host, remote_candidate.port)):
            await super().add_remote_candidate(remote_candidate)

    def _may_announce(self, address: tuple[str, int]) -> bool:
        if self._is_destination(address):
            return True
        now = asyncio.get_running_loop().time()
        if self._announced >= MAX_CANDIDATES or not self.budget.may_announce(address[0], now):
            return False
        self._announced += 1
        return True

    def _is_destination(self, address: tuple[str, int]) -> bool:
        return any((known._network_host, known.port) == address for known in self._remote_candidates)

    def trusts(self, socket: ice.StunProtocol, address: tuple[str, int]) -> bool:
        """Whether the viewer has proved to this socket that it is at this address: by a check of its own, or by its
        answer to ours, as an ICE-lite viewer sends no checks."""
        return (socket.id, address) in self._trusted or self._sends_to(socket, address)

    def _sends_to(self, socket: ice.StunProtocol, address: tuple[str, int]) -> bool:
        """Whether this is the pair in use. It stays trusted, however many others the viewer has shown."""
        pair = self._nominated.get(1)
        return pair is not None and pair.protocol is socket and pair.remote_addr == address

    def _trust(self, socket: ice.StunProtocol, address: tuple[str, int]) -> None:
        self._trusted[socket.id, address] = None
        while len(self._trusted) > MAX_TRUSTED_ADDRESSES:
            del self._trusted[next(iter(self._trusted))]

    def request_received(self, message: Message, addr: tuple[str, int], protocol: ice.StunProtocol) -> None:
        super().request_received(message, addr, protocol)
        # A check that came before the viewer's answer is kept for later: its handshake may follow at once.
        if self._early_checks and self._early_checks[-1][0] is message:
            self._trust(protocol, addr)

    def check_state(self, pair: ice.CandidatePair, state: ice.CandidatePair.State) -> None:
        super().check_state(pair, state)
        if state is ice.CandidatePair.State.SUCCEEDED:
            self._trust(pair.protocol, pair.remote_addr)

    def check_incoming(self, message: Message, addr: tuple[str, int], protocol: ice.StunProtocol) -> None:
        """Trust the source of a check: it is signed with the password of our offer, so it is the viewer.

        Our own check of the pair may never end. aioice abandons those under way when the first one succeeds, yet the
        viewer may choose one of them to send on. Some viewers send from two or three.
        """
        if "PRIORITY" not in message.attributes:
            # RFC 8445 §7.2.2 requires it, and aioice would raise, which ends `connect` for a check that came before it.
            return
        if not self._is_destination(addr) and not self.budget.may_reveal(asyncio.get_running_loop().time()):
            return
        self._trust(protocol, addr)
        super().check_incoming(message, addr, protocol)

    async def check_start(self, pair: ice.CandidatePair) -> None:
        """Check a pair. aioice calls this anew, from itself, for each answer that is a role conflict."""
        if self._role_conflicts > MAX_ROLE_CONFLICTS:
            self.check_state(pair, ice.CandidatePair.State.FAILED)
            self.check_complete(pair)
        else:
            await super().check_start(pair)

    def switch_role(self, ice_controlling: bool) -> None:
        self._role_conflicts += 1
        super().switch_role(ice_controlling)

    def enqueue(self, data: bytes, component: int) -> None:
        """Queue a datagram for DTLS, if there is room."""
        if self._queue.qsize() < MAX_QUEUED_DATAGRAMS:
            self._queue.put_nowait((data, component))

    def data_received(self, data: bytes, component: int) -> None:
        """Ignore what aioice passes on: it looks like STUN and is none."""

    async def get_component_candidates(
        self, component: int, addresses: list[str], timeout: int = GATHER_TIMEOUT_S
    ) -> list[aioice.Candidate]:
        if not self._wants_host_candidates():
            return await super().get_component_candidates(component, addresses, GATHER_TIMEOUT_S)
        near, far = LOOPBACK, addresses
        if self.udp_hosts:
            near = [host for host in self.udp_hosts if is_loopback(host)]
            far = [host for host in self.udp_hosts if host not in near]
        loopback = await self._loopback_candidates(component, near) if near else []
        if self.udp_hosts and not far:
            return loopback  # nothing else is to leave this machine: no server is asked either
        return await super().get_component_candidates(component, far, GATHER_TIMEOUT_S) + loopback

    def _wants_host_candidates(self) -> bool:
        return self._transport_policy is aioice.TransportPolicy.ALL

    async def _loopback_candidates(self, component: int, addresses: list[str]) -> list[aioice.Candidate]:
        """aioice leaves loopback out, so that a machine without a network has no candidates at all."""
        servers = self.stun_server, self.turn_server
        # No server can be reached from a loopback address; asking would take the whole timeout.
        self.stun_server = self.turn_server = None
        try:
            candidates = await super().get_component_candidates(component, addresses, GATHER_TIMEOUT_S)
        finally:
            self.stun_server, self.turn_server = servers
        for candidate in candidates:
            candidate.priority = candidate_priority(component, "host", local_pref=0)
        return candidates

    def send_now(self, datagrams: list[bytes]) -> None:
        """Hand datagrams to the nominated pair's socket at once. Without a pair they are dropped."""
        pair = self._nominated.get(1)
        if pair is None or self._closing:
            return
        assert isinstance(pair.protocol, IceSocket), "the private copy makes sockets of this class"
        pair.protocol.gso.send(datagrams, pair.remote_addr)

    def idle(self) -> bool:
        """Whether the nominated pair's socket took everything that it was handed."""
        pair = self._nominated.get(1)
        # A relayed socket (aioice's own transport) does not tell.
        size = getattr(pair.protocol.transport, "get_write_buffer_size", None) if pair else None
        return size is None or size() == 0


if not TYPE_CHECKING:
    ice.StunProtocol = IceSocket
