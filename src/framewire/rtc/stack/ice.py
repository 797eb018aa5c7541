"""A private copy of aioice whose sockets listen to the viewer only, and that also works on a lone machine.

Must not know DTLS, RTP or SDP. Nothing of the aioice that others in the process import is changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
from types import ModuleType
from typing import TYPE_CHECKING, Any

import aioice.ice
from aioice.candidate import candidate_priority
from aioice.stun import Message

from framewire.rtc.stack.udp_gso import UdpGso

logger = logging.getLogger(__name__)

MAX_WAITING = 256
"""Datagrams between the socket and DTLS; the stock queue has no end."""
MAX_TRUSTED = 64
"""Addresses of the viewer, over all our sockets; the oldest is forgotten first."""
GATHER_TIMEOUT = 3
"""Seconds a STUN or TURN server may take before the offer goes without it."""
LOOPBACK = ["127.0.0.1", "::1"]
ASK_AGAIN = (0.1, 0.2, 0.3)
"""Seconds after which a check that is not answered is sent again; the stock ones come after 0.5 and 1.5. On a way that
loses one packet in ten, every third viewer would wait for those."""


def private_copy(name: str, **replacements: object) -> ModuleType:
    """A second instance of a module, with some of its global names replaced.

    It is in no import table: whoever imports ``name`` gets the stock module, untouched.
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
        # Compared by identity with what aiortc passes and expects.
        TransportPolicy=aioice.ice.TransportPolicy,
        ConnectionClosed=aioice.ice.ConnectionClosed,
        # Consent (RFC 7675) is asked for more often than the stock 5 s, as the answers also show that the
        # viewer is there; it still expires after 30 s.
        CONSENT_INTERVAL=2,
        CONSENT_FAILURES=15,
    )


class Protocol(ice.StunProtocol):
    """One UDP socket: STUN from anyone, everything else only from where an authenticated check came.

    Without this a stranger's ClientHello reaches the handshake before the viewer's (OWASP ASVS 5.0, 17.2.6).
    """

    receiver: Connection
    batch: UdpGso

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.batch = UdpGso(self.transport)
        self.receiver.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.receiver.sockets.discard(self)
        self.batch.close()
        super().connection_lost(exc)

    async def request(
        self,
        request: Message,
        addr: tuple[str, int],
        integrity_key: bytes | None = None,
        retransmissions: int | None = None,
    ) -> tuple[Message, tuple[str, int]]:
        loop, asked_at = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        # Where its caller wants no retransmissions it asks again by itself.
        delays = ASK_AGAIN if retransmissions is None else ()
        timers = [loop.call_later(delay, self._ask_again, request, addr) for delay in delays]
        try:
            answer = await super().request(request, addr, integrity_key, retransmissions)
        finally:
            for timer in timers:
                timer.cancel()
        if integrity_key is not None:
            # A check, and not a question to a STUN server, which is elsewhere.
            self.receiver.measured(loop.time() - asked_at)
        return answer

    def _ask_again(self, request: Message, addr: tuple[str, int]) -> None:
        with contextlib.suppress(Exception):  # a socket that is closed by now, or a relay that is
            self.send_stun(request, addr)

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        assert isinstance(data, bytes), "a datagram socket reads bytes"
        # RFC 7983 §7: the first byte tells STUN, DTLS and SRTP apart; nothing else is ours.
        first = data[0] if data else 255
        trusted = self.receiver.trusts(self, (addr[0], addr[1]))
        if trusted:
            self.receiver.heard = True
        if first <= 3:
            self._stun(data, addr)
        elif trusted and (20 <= first <= 63 or 128 <= first <= 191):
            self.receiver.take(data, self.local_candidate.component)

    def _stun(self, data: bytes, addr: tuple[Any, ...]) -> None:
        try:
            super().datagram_received(data, addr)
        except Exception as error:
            # Anyone may send this, so nothing in it may matter.
            logger.debug("STUN that aioice cannot take: %r", error)


class Connection(ice.Connection):
    """One ICE connection, with loopback candidates and a bounded queue."""

    heard = False
    """Set by every datagram of the viewer; whoever watches clears it."""
    rtt: float | None = None
    """Seconds, the shortest that a check took; None until one was answered."""
    sent = b""
    """What `send` was handed last."""

    def __init__(
        self, *, transport_policy: aioice.TransportPolicy = aioice.TransportPolicy.ALL, **options: Any
    ) -> None:
        # The copy's own default is a member of the copy's own enumeration.
        super().__init__(transport_policy=transport_policy, **options)
        self._trusted: dict[tuple[int, tuple[str, int]], None] = {}
        self.sockets: set[Protocol] = set()
        """All that are open. aioice's own list lacks those of a gathering that was cancelled."""
        self._ended = False

    async def send(self, data: bytes) -> None:
        self.sent = data
        await super().send(data)

    def measured(self, seconds: float) -> None:
        """A check was answered after so long; one that was sent again may have been answered sooner than it seems."""
        self.rtt = seconds if self.rtt is None else min(self.rtt, seconds)

    def opened(self, protocol: Protocol) -> None:
        """A socket of ours is there; perhaps too late."""
        if self._ended:
            protocol.transport.close()
        else:
            self.sockets.add(protocol)

    async def close(self) -> None:
        self._ended = True
        await super().close()
        for protocol in list(self.sockets):
            protocol.transport.close()

    def trusts(self, protocol: ice.StunProtocol, address: tuple[str, int]) -> bool:
        """Whether the viewer has proved to this socket that it is at this address: by a check of its own, or,
        as one that is ICE-lite sends none, by its answer to ours."""
        return (
            (protocol.id, address) in self._trusted
            or any(
                pair.state is ice.CandidatePair.State.SUCCEEDED
                and pair.protocol is protocol
                and pair.remote_addr == address
                for pair in self._check_list
            )
            # Checks that came before the answer did: the handshake may be close behind them.
            or any(to is protocol and source == address for _, source, to in self._early_checks)
        )

    def check_incoming(self, message: Message, addr: tuple[str, int], protocol: ice.StunProtocol) -> None:
        """A connectivity check that was signed with the password of our offer.

        That alone makes its source the viewer's. Our own check of the pair may never end: aioice abandons
        those that are under way when the first one succeeds, yet the viewer may choose one of them to send
        on. And some viewers send from two or three.
        """
        self._trusted[protocol.id, addr] = None
        while len(self._trusted) > MAX_TRUSTED:
            del self._trusted[next(iter(self._trusted))]
        super().check_incoming(message, addr, protocol)

    def take(self, data: bytes, component: int) -> None:
        """Queue a datagram for DTLS, if there is room."""
        if self._queue.qsize() < MAX_WAITING:
            self._queue.put_nowait((data, component))

    def data_received(self, data: bytes, component: int) -> None:
        """aioice passes on what looks like STUN and is not. It is rubbish."""

    async def get_component_candidates(
        self, component: int, addresses: list[str], timeout: int = GATHER_TIMEOUT
    ) -> list[aioice.Candidate]:
        loopback = await self._loopback_candidates(component) if self._wants_hosts() else []
        return await super().get_component_candidates(component, addresses, GATHER_TIMEOUT) + loopback

    def _wants_hosts(self) -> bool:
        return self._transport_policy is aioice.TransportPolicy.ALL

    async def _loopback_candidates(self, component: int) -> list[aioice.Candidate]:
        """aioice leaves loopback out, so that a machine without a network has no candidates at all."""
        servers = self.stun_server, self.turn_server
        # From a loopback address no server can be reached; asking would cost the whole timeout.
        self.stun_server = self.turn_server = None
        try:
            candidates = await super().get_component_candidates(component, LOOPBACK, GATHER_TIMEOUT)
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
        assert isinstance(pair.protocol, Protocol), "the private copy makes protocols of this class"
        pair.protocol.batch.send(datagrams, pair.remote_addr)

    def flushed(self) -> bool:
        """Whether the nominated pair's socket has taken all it was handed."""
        pair = self._nominated.get(1)
        # A relayed socket (aioice's own transport) does not tell.
        size = getattr(pair.protocol.transport, "get_write_buffer_size", None) if pair else None
        return size is None or size() == 0


if not TYPE_CHECKING:
    ice.StunProtocol = Protocol
