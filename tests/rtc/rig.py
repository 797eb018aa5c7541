"""One sender on a clock made of numbers, with a viewer made of aiortc's packet parser. Must not know what is tested."""

from __future__ import annotations

from aiortc.rtp import RtpPacket

from framewire.frame import AccessUnit
from framewire.rtc.events import KeyframeWanted
from framewire.rtc.repair.retransmission import Origin
from framewire.rtc.rtp.packets import RtpUnit
from framewire.rtc.send.controller import SendController
from framewire.rtc.send.sender import SenderParameters, UnitSender

NOW = 1_700_000_000.0
MEDIA, RTX, FEC = 0xAAAA, 0xBBBB, 0xCCCC
PARAMETERS = SenderParameters(
    payload_type=99, rtx_payload_type=100, fec_payload_type=None, extensions={}, mid="0", cname="us"
)


class Wire:
    """An outlet that remembers; encryption is a byte at the end."""

    def __init__(self) -> None:
        self.bursts: list[list[bytes]] = []
        self.rtcp: list[bytes] = []
        self.is_idle = True

    def protect(self, packets: list[bytes]) -> list[bytes]:
        return [packet + b"#" for packet in packets]

    def transmit(self, packets: list[bytes]) -> None:
        self.bursts.append(packets)

    def transmit_rtcp(self, compound: bytes) -> None:
        self.rtcp.append(compound)

    def idle(self) -> bool:
        return self.is_idle

    def packets(self) -> list[RtpPacket]:
        return [RtpPacket.parse(packet[:-1]) for burst in self.bursts for packet in burst]


class Rig:
    def __init__(self, *, parameters: SenderParameters | None = PARAMETERS) -> None:
        self.wire = Wire()
        self.events: list[KeyframeWanted] = []
        self.flow = SendController(self.wire, lambda estimate: None)
        origins = Origin(MEDIA, 65_534), Origin(RTX, 9), Origin(FEC, 3)
        self.sender = UnitSender(5, *origins, self.flow, self.wire, self.events.append)
        if parameters:
            self.sender.start(parameters, NOW)

    def send(self, at: float = 0.0, *, keyframe: bool = False, parts: int = 3, time_us: int | None = None) -> bool:
        now = NOW + at
        unit = AccessUnit(
            codec="vp8",
            data=b"-",
            number=1,
            time_us=round(now * 1e6) if time_us is None else time_us,
            width=1,
            height=1,
            keyframe=keyframe,
        )
        return self.sender.send(RtpUnit(unit, tuple(b"p%d" % index for index in range(parts))), now)

    def feed(self, feedback, at: float) -> None:
        self.sender.feed(feedback, NOW + at)

    def tick(self, at: float) -> None:
        self.sender.tick(NOW + at)
