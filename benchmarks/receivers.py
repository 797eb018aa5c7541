"""Viewers without a screen, many in one process: they negotiate and send feedback as a browser does, but read only the
headers of packets. Decoders, or sixteen browsers, would take processor time from the engine that is measured.

    python -m benchmarks.receivers COUNT WS_URL TOKEN [--feedback packets|remb]

Prints a line of JSON when all of them receive. Then it prints one for each line on its standard input: what each has
received so far. Must not know what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import copy
import json
import os
import struct
import sys
import time
from collections.abc import Sequence
from typing import Any, Protocol

import aiohttp
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.codecs import CODECS, HEADER_EXTENSIONS
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcicetransport import RTCIceGatherer
from aiortc.rtcrtpparameters import RTCRtcpFeedback, RTCRtpHeaderExtensionParameters

from framewire.rtc.rtp import header_extensions, rtcp
from framewire.rtc.stack import ice

FEEDBACK_INTERVAL = 0.05
"""Seconds between two messages of feedback on packets: the shortest interval of libwebrtc."""
REPORT_INTERVAL = 1.0
TICK = 0.00025
TRANSPORT_CC_ID = 9
QUEUE = 0.3
"""The longest time in seconds that packets wait before a slow link."""
HEADERS = 28
"""Bytes of IPv4 and UDP headers."""


class Receiver(Protocol):
    def received(self, packet: bytes) -> None: ...


class _Connection(ice.IceConnection):
    """Takes media packets out of aiortc: they are neither queued nor decrypted."""

    receiver: Receiver | None = None

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.on_srtp = self._take

    def _take(self, datagram: bytes) -> None:
        # RFC 5761 §4: the second byte tells feedback from media.
        if self.receiver is not None and not 192 <= datagram[1] <= 223:
            self.receiver.received(datagram)


class _Gatherer(RTCIceGatherer):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connection = _Connection(ice_controlling=False)


class _Transport(RTCDtlsTransport):
    """Ignores incoming RTCP: this program sends the feedback, not aiortc's receivers."""

    async def _handle_rtcp_data(self, data: bytes) -> None:
        return

    def send_rtcp(self, compound: bytes) -> None:
        if self.state == "connected":
            connection: Any = self.transport._connection
            connection.send_now([self._tx_srtp.protect_rtcp(compound)])


def peer_connection(feedback: str) -> type[RTCPeerConnection]:
    """aiortc that leaves packets to this program and, for ``packets``, negotiates feedback on each of them."""
    codecs, extensions = copy.deepcopy(CODECS), copy.deepcopy(HEADER_EXTENSIONS)
    if feedback == "packets":
        for codec in codecs["video"]:
            codec.rtcpFeedback.append(RTCRtcpFeedback("transport-cc"))
        extensions["video"].append(RTCRtpHeaderExtensionParameters(TRANSPORT_CC_ID, header_extensions.TRANSPORT_CC_URI))
    module = ice.private_copy(
        "aiortc.rtcpeerconnection",
        CODECS=codecs,
        HEADER_EXTENSIONS=extensions,
        RTCDtlsTransport=_Transport,
        RTCIceGatherer=_Gatherer,
    )
    made: type[RTCPeerConnection] = module.RTCPeerConnection
    return made


class SlowLink:
    """A link of so many bits a second (0: no limit); it drops packets that would wait longer than `QUEUE`."""

    def __init__(self, bits_per_second: float) -> None:
        self._rate = bits_per_second
        self._free_at = 0.0

    def arrival(self, octets: int, now: float) -> float | None:
        """When a packet that leaves now arrives; None if it is dropped."""
        if not self._rate:
            return now
        waits = max(self._free_at - now, 0.0)
        if waits > QUEUE:
            return None
        self._free_at = now + waits + (octets + HEADERS) * 8 / self._rate
        return self._free_at


class Viewer:
    """One viewer."""

    def __init__(self, connection: type[RTCPeerConnection], link: SlowLink) -> None:
        self.packets = self.octets = self.frames = 0
        self.delays: list[float] = []
        """For each frame, ms from its publishing to its last packet."""
        self._link = link
        self.receiving = asyncio.Event()
        self.socket: aiohttp.ClientWebSocketResponse | None = None
        self._pc = connection(RTCConfiguration(iceServers=[]))
        self._ssrc = 0
        self._extension: int | None = None
        self._arrived: dict[int, float] = {}
        self._messages = 0

    async def watch(self, url: str, token: str, stream: str) -> None:
        async with aiohttp.ClientSession() as http, http.ws_connect(url, max_msg_size=0) as ws:
            self.socket = ws
            await ws.send_json({"type": "hello", "version": 1, "token": token, "codecs": ["h264", "vp8"]})
            await ws.send_json({"type": "subscribe", "sub": 1, "stream": stream, "mode": "webrtc"})
            tasks = [asyncio.create_task(work) for work in (self._report(ws), self._send_feedback())]
            try:
                async for message in ws:
                    said = json.loads(message.data)
                    if said["type"] == "offer":
                        await self._answer(ws, said)
            finally:
                for task in tasks:
                    task.cancel()
                await self._pc.close()

    async def _answer(self, ws: aiohttp.ClientWebSocketResponse, offer: dict[str, Any]) -> None:
        await self._pc.setRemoteDescription(RTCSessionDescription(offer["sdp"], "offer"))
        self._connection.receiver = self
        await self._pc.setLocalDescription(await self._pc.createAnswer())
        sdp = self._pc.localDescription.sdp
        lines = [line for line in sdp.splitlines() if "transport-wide-cc" in line]
        self._extension = int(lines[0].split(":")[1].split()[0].split("/")[0]) if lines else None
        await ws.send_json({"type": "answer", "peer": offer["peer"], "offer": offer["offer"], "sdp": sdp})

    @property
    def _transport(self) -> _Transport:
        transport = self._pc.getTransceivers()[0].receiver.transport
        assert isinstance(transport, _Transport)
        return transport

    @property
    def _connection(self) -> _Connection:
        connection = self._transport.transport._connection
        assert isinstance(connection, _Connection)
        return connection

    def received(self, packet: bytes) -> None:
        """Take a media packet. SRTP does not encrypt its header (RFC 3711 §3.1)."""
        now = time.monotonic()
        arrival = self._link.arrival(len(packet), now)
        if arrival is None:
            return
        if arrival > now:
            asyncio.get_running_loop().call_at(arrival, self._arrive, packet, arrival)
        else:
            self._arrive(packet, now)

    def _arrive(self, packet: bytes, now: float) -> None:
        self.packets += 1
        self.octets += len(packet)
        ssrc = int.from_bytes(packet[8:12])
        # The first packet is the stream's own: repairs and probes need earlier packets.
        self._ssrc = self._ssrc or ssrc
        if packet[1] & 0x80 and ssrc == self._ssrc:
            self.frames += 1
            # The RTP clock is the wall clock.
            ticks = (int(time.time() * 90_000) - int.from_bytes(packet[4:8])) & 0xFFFFFFFF
            self.delays.append(ticks / 90 if ticks < 1 << 31 else 0.0)
        if self._extension is not None and packet[0] & 0x10:
            number = header_extension(packet, self._extension)
            if number is not None:
                self._arrived[number] = now
        if not self.receiving.is_set():
            self.receiving.set()

    async def _report(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            await asyncio.sleep(REPORT_INTERVAL)
            seen = {"sub": 1, "visible": True, "decoded": self.frames, "painted": self.frames}
            await ws.send_json({"type": "report", "time": time.time() * 1000, **seen})

    async def _send_feedback(self) -> None:
        await self.receiving.wait()
        report_at = 0.0
        while True:
            await asyncio.sleep(FEEDBACK_INTERVAL)
            compound = b""
            if time.monotonic() >= report_at:
                report_at = time.monotonic() + REPORT_INTERVAL
                block = struct.pack("!LLLLLL", self._ssrc, 0, self.packets, 0, 0, 0)
                compound += rtcp_packet(1, rtcp.PacketType.RR, struct.pack("!L", 1) + block)
                if self._extension is None:
                    compound += rtcp_packet(rtcp.PayloadFormat.APPLICATION, rtcp.PacketType.PSFB, remb(self._ssrc))
            if self._arrived:
                fci = feedback(self._arrived, self._messages)
                self._arrived, self._messages = {}, self._messages + 1 & 0xFF
                compound += rtcp_packet(
                    rtcp.TransportFormat.TRANSPORT_CC, rtcp.PacketType.RTPFB, struct.pack("!LL", 1, self._ssrc) + fci
                )
            if compound:
                self._transport.send_rtcp(compound)


def header_extension(packet: bytes, wanted: int) -> int | None:
    """The two bytes of a header extension of the one-byte form (RFC 8285)."""
    at, end = 16, 16 + 4 * int.from_bytes(packet[14:16])
    while at < end:
        first = packet[at]
        if first >> 4 == wanted:
            return int.from_bytes(packet[at + 1 : at + 3])
        at += 1 if not first else 2 + (first & 15)
    return None


def rtcp_packet(count: int, kind: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body


def remb(ssrc: int) -> bytes:
    """An estimate of 30 Mbit/s: more than the stream needs."""
    return struct.pack("!LL4sBBHL", 1, 0, b"REMB", 1, 7 << 2 | 234375 >> 16, 234375 & 0xFFFF, ssrc)


def feedback(arrived: dict[int, float], count: int) -> bytes:
    """Which packets have arrived and when (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1)."""
    newest = next(reversed(arrived))
    # Numbers relative to the newest, so that they may wrap.
    order = {number: ((number - newest + 0x8000) & 0xFFFF) - 0x8000 for number in arrived}
    base, last = min(order.values()), max(order.values())
    at = {place: arrived[number] for number, place in order.items()}
    places = [at.get(place) for place in range(base, last + 1)]
    reference = int(min(arrived.values()) / 0.064)
    head = struct.pack("!HHL", newest + base & 0xFFFF, len(places), (reference & 0xFFFFFF) << 8 | count)
    chunks, deltas = _statuses(places, reference * 0.064)
    fci = head + chunks + deltas
    return fci + bytes(-len(fci) % 4)


def _statuses(places: Sequence[float | None], before: float) -> tuple[bytes, bytes]:
    symbols, deltas = [], b""
    ticks = 0
    for arrival in places:
        if arrival is None:
            symbols.append(0)
            continue
        delta = round((arrival - before) / TICK) - ticks
        ticks += delta
        small = 0 <= delta < 256
        symbols.append(1 if small else 2)
        deltas += delta.to_bytes(1 if small else 2, signed=not small)
    chunks = b""
    for start in range(0, len(symbols), 7):
        seven = [*symbols[start : start + 7], *[0] * 7][:7]
        chunks += (0xC000 | sum(symbol << 12 - 2 * place for place, symbol in enumerate(seven))).to_bytes(2)
    return chunks, deltas


def _print(**fields: object) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


async def main(options: argparse.Namespace) -> None:
    made = peer_connection(options.feedback)
    links = [SlowLink(options.slow * 1000 if index == 0 else 0) for index in range(options.count)]
    viewers = [Viewer(made, link) for link in links]
    tasks = [asyncio.create_task(viewer.watch(options.url, options.token, options.stream)) for viewer in viewers]
    await asyncio.gather(*(viewer.receiving.wait() for viewer in viewers))
    _print(receiving=len(viewers))
    while await asyncio.to_thread(sys.stdin.readline):
        counts = {name: [getattr(v, name) for v in viewers] for name in ("packets", "octets", "frames")}
        _print(**counts, delays=[viewer.delays for viewer in viewers])
        for viewer in viewers:
            viewer.delays = []
    for task in tasks:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    parser.add_argument("url")
    parser.add_argument("token")
    parser.add_argument("--stream", default="default")
    parser.add_argument("--slow", type=float, default=0.0, help="kbit/s of the first viewer's link")
    parser.add_argument("--feedback", choices=("packets", "remb"), default="packets")
    return parser.parse_args()


if __name__ == "__main__":
    os.nice(5)
    asyncio.run(main(_options()))
