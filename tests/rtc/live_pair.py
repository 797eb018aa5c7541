"""A live pair: a peer that sends video and a stock viewer that sees it, with a hook for every kind of datagram that can
come from the viewer's address. Must not know what is tested."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Iterable, Iterator
from typing import Any

from framewire.rtc.events import PeerEvent, PeerState, PeerStats, PeerTrack
from framewire.rtc.stack.dtls_transport import DtlsTransport
from framewire.rtc.stack.ice import MAX_QUEUED_DATAGRAMS, IceSocket
from tests.rtc.viewers import Stage

VIDEO = PeerTrack(1, "vp8")


class LivePair:
    """Connected, and showing a picture, from `open` on.

    `send` goes over UDP from the viewer's own socket, as a forger's datagram would that has the viewer's address.
    `inject` skips the network, for very many. `rtcp` and `rtp` encrypt with the session's real keys.
    """

    def __init__(self, stage: Stage) -> None:
        """Use `open`."""
        self.stage = stage

    @classmethod
    async def open(cls, *, feedback: bool = False) -> LivePair:
        """``feedback``: the viewer gives feedback on each packet, so that the peer has congestion control."""
        pair = cls(Stage(feedback=feedback))
        await pair.stage.negotiate(VIDEO)
        await pair.stage.until(lambda: pair.stage.shown(VIDEO.sub, 128))
        return pair

    async def close(self) -> None:
        await self.stage.close()

    @property
    def transport(self) -> DtlsTransport:
        """The server's end."""
        return self.stage.peer._connection.transport

    @property
    def ssrc(self) -> int:
        """Of the video that the peer sends."""
        return self.stage.peer._senders[VIDEO.sub].ssrc

    @property
    def events(self) -> list[PeerEvent]:
        return self.stage.events

    @property
    def stats(self) -> PeerStats:
        return self.stage.peer.stats(VIDEO.sub)

    @property
    def viewer(self) -> Any:
        """The viewer's end: a stock ``RTCDtlsTransport``."""
        return self.stage.viewer.pc.getReceivers()[0].transport

    def rtcp(self, plain: bytes) -> bytes:
        """An RTCP compound as SRTCP. Raises ``pylibsrtp.Error`` for less than a header of 8 bytes."""
        return bytes(self.viewer._tx_srtp.protect_rtcp(plain))

    def rtp(self, plain: bytes) -> bytes:
        """An RTP packet as SRTP. Raises ``pylibsrtp.Error`` for less than a header of 12 bytes."""
        return bytes(self.viewer._tx_srtp.protect(plain))

    def dtls(self, plain: bytes) -> bytes:
        """Application data as a DTLS record, as for a data channel."""
        self.viewer._ssl.send(plain)
        return bytes(self.viewer._ssl.bio_read(65_536))

    def send(self, datagram: bytes) -> None:
        """Over UDP, from the viewer's own socket."""
        pair = self.viewer.transport._connection._nominated[1]
        # asyncio's own transport sends no empty datagram.
        with pair.protocol.transport.get_extra_info("socket").dup() as socket:
            socket.sendto(datagram, pair.remote_addr)

    def inject(self, datagram: bytes) -> None:
        """As if it had come from the viewer's own socket."""
        connection = self.transport.connection
        pair = connection._nominated[1]
        assert isinstance(pair.protocol, IceSocket)
        pair.protocol.datagram_received(datagram, pair.remote_addr)

    async def send_all(self, datagrams: Iterable[bytes]) -> None:
        """Over UDP, as fast as the peer takes them."""
        for batch in _batches(datagrams):
            for datagram in batch:
                self.send(datagram)
            await self.settled()

    async def inject_all(self, datagrams: Iterable[bytes]) -> None:
        """Without the network, as fast as the peer takes them."""
        for batch in _batches(datagrams):
            for datagram in batch:
                self.inject(datagram)
            await self.settled()

    async def settled(self) -> None:
        """Until the peer has taken everything that was sent, or for as long as that may take."""
        connection = self.transport.connection
        sockets = [each.transport.get_extra_info("socket") for each in connection.sockets]
        for _ in range(10 * MAX_QUEUED_DATAGRAMS):
            # Loopback delivers at once, and a turn of the loop reads one datagram of a socket.
            await asyncio.sleep(0)
            if connection._queue.empty() and not select.select(sockets, [], [], 0)[0]:
                break
        await asyncio.sleep(0)

    async def still_shows(self, level: int) -> bool:
        """Whether a new picture of this gray level arrives and a request of the viewer is heard. Raises
        ``TimeoutError`` after 20 s."""
        stage = self.stage
        await stage.until(lambda: stage.shown(VIDEO.sub, level), level=level)
        asked = self.stats.keyframe_requests
        await stage.viewer.pc.getReceivers()[0]._send_rtcp_pli(self.ssrc)
        await stage.until(lambda: self.stats.keyframe_requests > asked, level=level)
        return stage.kinds(PeerState) == 1


def _batches(datagrams: Iterable[bytes]) -> Iterator[list[bytes]]:
    """As many at a time as fit the queue of the peer, and the socket."""
    batch: list[bytes] = []
    for datagram in datagrams:
        batch.append(datagram)
        if len(batch) == MAX_QUEUED_DATAGRAMS // 4:
            yield batch
            batch = []
    yield batch
