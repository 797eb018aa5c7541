"""aiortc's DTLS transport with framewire's RTCP parser, a send path without an await, and no way in for media or data.
Must not know units, subscriptions or SDP."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final

from aiortc.rtcdtlstransport import RTCDtlsParameters, RTCDtlsTransport, State
from OpenSSL import SSL

from framewire.rtc.rtp import rtcp
from framewire.rtc.stack import ice
from framewire.rtc.stack.srtp import SrtcpReceiver, SrtpProtector

logger: Final = logging.getLogger(__name__)

HANDSHAKE_REPEATS_S: Final = (0.04, 0.12, 0.25, 0.45, 0.7)
"""A handshake message without an answer is sent again this long after it was sent. OpenSSL's own timer waits for a
second, and does not answer a viewer that repeats its message.

Source: RFC 9147 §5.8.2 allows shorter timers than 1 s where delay matters; pinned by
`tests/rtc/stack/test_dtls_transport.py::test_a_lost_handshake_message_is_sent_again_before_openssl_would`."""


class DtlsTransport(RTCDtlsTransport):
    """Sends packets at once, and hands RTCP to `on_feedback`."""

    on_feedback: Callable[[rtcp.Feedback], None]
    _srtp: SrtpProtector | None = None
    _receiver: SrtcpReceiver
    _complained = False
    _repeats: tuple[asyncio.TimerHandle, ...] = ()

    async def _write_ssl(self) -> None:
        """Send what OpenSSL wants to send. During the handshake, send it again after `HANDSHAKE_REPEATS_S`.

        Byte for byte: the viewer drops a record whose number it has seen (RFC 6347 §4.1.2.6), so a copy helps only if
        the first was lost. The handshake's last message has no answer, and the viewer can read nothing without it.
        """
        connection = getattr(self.transport, "_connection", None)
        if not isinstance(connection, ice.IceConnection):
            # aiortc's own tests have other transports, which do not tell what was sent.
            return await super()._write_ssl()
        connection.last_sent = b""
        await super()._write_ssl()
        if connection.last_sent and self.state == "connecting":
            self._cancel_repeats()
            loop = asyncio.get_running_loop()
            self._repeats = tuple(
                loop.call_later(delay, self.transmit, [connection.last_sent]) for delay in HANDSHAKE_REPEATS_S
            )

    def _cancel_repeats(self) -> None:
        for repeat in self._repeats:
            repeat.cancel()
        self._repeats = ()

    async def stop(self) -> None:
        self._cancel_repeats()
        await super().stop()

    async def start(self, remoteParameters: RTCDtlsParameters) -> None:
        """Shake hands. Whatever goes wrong, the transport has failed: aiortc's own states tell who waits for it."""
        try:
            await super().start(remoteParameters)
        except Exception as error:
            logger.debug("the handshake failed: %r", error)
            self._set_state(State.FAILED)

    def _setup_srtp(self) -> None:
        super()._setup_srtp()
        if self._rx_srtp is not None:
            self._receiver = SrtcpReceiver(self._rx_srtp)
            connection = getattr(self.transport, "_connection", None)
            if isinstance(connection, ice.IceConnection):  # aiortc's own tests have other transports
                connection.on_srtp = self._receive

    def _receive(self, datagram: bytes) -> None:
        """Take feedback of the viewer, or what a forger sends from its address. Never raises."""
        try:
            for feedback in rtcp.parse(self._receiver.unprotect(datagram)):
                self.on_feedback(feedback)
        except Exception:
            # A bug of ours, and this viewer can cause it again with each datagram: one line of it will do.
            logger.log(logging.DEBUG if self._complained else logging.ERROR, "feedback was not taken", exc_info=True)
            self._complained = True

    async def _recv_next(self) -> None:
        """Take one DTLS datagram. aiortc's loop ends at the first exception that it does not expect."""
        try:
            await super()._recv_next()
            self._drop_data()
        except (ConnectionError, SSL.ZeroReturnError) as end:
            raise ConnectionError("the viewer hung up") from end
        except Exception as error:
            logger.debug("a datagram that DTLS cannot take: %r", error)
            await asyncio.sleep(0)  # if it was raised before anything was awaited

    def _drop_data(self) -> None:
        """Read what came as data and drop it: there are no data channels, and OpenSSL would keep it."""
        with contextlib.suppress(SSL.WantReadError):
            while self._ssl is not None and self.encrypted and self._ssl.recv(ice.MAX_DATAGRAM_BYTES):
                pass

    @property
    def connection(self) -> ice.IceConnection:
        connection = self.transport._connection
        assert isinstance(connection, ice.IceConnection), "the gatherer of this room made it"
        return connection

    def protect(self, packets: list[bytes]) -> list[bytes]:
        """Encrypt RTP packets."""
        if self._srtp is None:
            self._srtp = SrtpProtector(self._tx_srtp)
        return self._srtp.protect(packets)

    def transmit(self, packets: list[bytes]) -> None:
        """Hand encrypted packets to the socket. Never blocks, never raises."""
        self.connection.send_now(packets)

    def transmit_rtcp(self, compound: bytes) -> None:
        """Encrypt RTCP and hand it to the socket. Never blocks."""
        self.connection.send_now([self._tx_srtp.protect_rtcp(compound)])

    def idle(self) -> bool:
        """Whether the socket took everything that it was handed."""
        return self.connection.idle()

    @property
    def rtt_s(self) -> float | None:
        """The round trip, as ICE has measured it; None until then."""
        return self.connection.rtt_s
