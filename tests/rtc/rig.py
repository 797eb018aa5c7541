"""One sender on a clock of numbers, and aiortc's packet parser to read what it sends. Must not know what is tested."""

from __future__ import annotations

from typing import Any

from aiortc.rtp import RtpPacket

from framewire.frame import AccessUnit
from framewire.rtc.estimate.rtt import PathRtt
from framewire.rtc.events import KeyframeWanted
from framewire.rtc.rtp.packets import RtpOrigin, RtpUnit
from framewire.rtc.rtp.rtcp import Feedback
from framewire.rtc.send.controller import SendController
from framewire.rtc.send.sender import SenderOrigins, SenderParameters, UnitSender
from framewire.rtc.send.uncontrolled import UncontrolledSend

NOW = 1_700_000_000.0
MEDIA, RTX, FEC = 0xAAAA, 0xBBBB, 0xCCCC
PARAMETERS = SenderParameters(
    payload_type=99, rtx_payload_type=100, fec_payload_type=None, extensions={}, mid="0", cname="us"
)


def unit(now: float = NOW, *, keyframe: bool = False, parts: int = 3, time_us: int | None = None) -> RtpUnit:
    """A unit of so many packets, published at ``now``."""
    whole = AccessUnit(
        codec="vp8",
        data=b"-",
        number=1,
        time_us=round(now * 1e6) if time_us is None else time_us,
        width=1,
        height=1,
        keyframe=keyframe,
    )
    return RtpUnit(whole, tuple(b"p%d" % index for index in range(parts)))


class Wire:
    """An outlet that keeps what leaves; encryption is a byte at the end."""

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


class Uncontrolled(UncontrolledSend):
    """Without congestion control, and yet a test can say what the path does."""

    loses_repairs = False
    room = True
    parities = 0
    unacknowledged_from: float | None = None

    def admits(self, now: float) -> bool:
        return self.room

    def parity_count(self, packets: int, rtt_s: float, interval_s: float) -> int:
        return self.parities

    def unacknowledged_since(self, now: float) -> float | None:
        return self.unacknowledged_from


class Rig:
    """A `UnitSender`, its wire and its events."""

    def __init__(
        self,
        *,
        parameters: SenderParameters = PARAMETERS,
        controlled: bool = False,
        rtt_s: float | None = None,
        min_playout_delay_s: float = 0.0,
    ) -> None:
        self.wire = Wire()
        self.events: list[KeyframeWanted] = []
        self.packets: Any = Uncontrolled(self.wire)
        if controlled:
            self.packets = SendController(self.wire, on_bitrate=lambda bps: None)
            self.packets.start(NOW)
        self.sender = UnitSender(
            5,
            SenderOrigins(RtpOrigin(MEDIA, 65_534), RtpOrigin(RTX, 9), RtpOrigin(FEC, 3)),
            parameters,
            self.packets,
            self.wire,
            self.events.append,
            rtt=PathRtt(rtt_s),
            min_playout_delay_s=min_playout_delay_s,
        )
        self.sender.start(NOW)

    def send(self, at: float = 0.0, *, keyframe: bool = False, parts: int = 3, time_us: int | None = None) -> bool:
        return self.sender.send(unit(NOW + at, keyframe=keyframe, parts=parts, time_us=time_us), NOW + at)

    def feed(self, feedback: Feedback, at: float) -> None:
        self.sender.feed(feedback, NOW + at)

    def tick(self, at: float) -> None:
        self.sender.tick(NOW + at)
