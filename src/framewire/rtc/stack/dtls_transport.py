"""aiortc's DTLS transport with framewire's RTCP parser, a send path without an await, and no way in for media. Must not
know units, subscriptions or SDP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from aiortc.rtcdtlstransport import RTCDtlsTransport

from framewire.rtc.rtp import rtcp
from framewire.rtc.stack import ice
from framewire.rtc.stack.srtp import SrtpProtector

HANDSHAKE_REPEATS_S: Final = (0.04, 0.12, 0.25, 0.45, 0.7)
"""A handshake message without an answer is sent again this long after it was sent. OpenSSL's own timer waits for a
second, and does not answer a viewer that repeats its message.

Source: RFC 9147 §5.8.2 allows shorter timers than 1 s where delay matters; pinned by
`tests/rtc/stack/test_dtls_transport.py::test_a_lost_handshake_message_is_sent_again_before_openssl_would`."""


class DtlsTransport(RTCDtlsTransport):
    """Sends packets at once, and hands RTCP to `on_feedback`."""

    on_feedback: Callable[[rtcp.Feedback], None]
    _srtp: SrtpProtector | None = None
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

    async def _handle_rtcp_data(self, data: bytes) -> None:
        for feedback in rtcp.parse(data):
            self.on_feedback(feedback)

    async def _handle_rtp_data(self, data: bytes, arrival_time_ms: int) -> None:
        return

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
