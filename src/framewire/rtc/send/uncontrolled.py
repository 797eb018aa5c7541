"""Sends packets as they come, for a viewer that gives no feedback on each of them. Must not know what is in the
packets, sockets or clocks."""

from __future__ import annotations

from collections.abc import Sequence

from framewire.rtc.send.deadline import NEVER
from framewire.rtc.send.packet_sender import PacketDraft, PacketOutlet


class UncontrolledSend:
    """A `PacketSender` without congestion control: nothing is numbered, paced, probed or known of the path.

    The viewer's own estimate (REMB) then limits the encoder. Without feedback the loss is unknown, so there is no
    parity either.
    """

    deadline = NEVER
    queueing_delay_s: float = 0.0
    loses_repairs = False

    def __init__(self, outlet: PacketOutlet) -> None:
        self._outlet = outlet
        self._last: dict[int, bytes] = {}
        """The newest packet of each SSRC, encrypted."""

    def tick(self, now: float) -> None:
        pass

    def set_useful_bitrate(self, bits_per_second: float) -> None:
        pass

    def admits(self, now: float) -> bool:
        return True

    def send(
        self, packets: Sequence[PacketDraft], parities: Sequence[PacketDraft], interval_s: float, now: float
    ) -> None:
        self.send_urgent([*packets, *parities], now)

    def send_urgent(self, packets: Sequence[PacketDraft], now: float) -> None:
        if not packets:
            return
        protected = self._outlet.protect([packet.write(now, None) for packet in packets])
        self._last.update((packet.ssrc, data) for packet, data in zip(packets, protected, strict=True))
        self._outlet.transmit(protected)

    def repeat_last(self, ssrc: int) -> None:
        if ssrc in self._last:
            self._outlet.transmit([self._last[ssrc]])

    def remove(self, ssrc: int) -> None:
        self._last.pop(ssrc, None)

    def feed(self, fci: bytes, now: float) -> None:
        pass

    def unacknowledged_since(self, now: float) -> float | None:
        return None

    def parity_count(self, packets: int, rtt_s: float, interval_s: float) -> int:
        return 0

    def late_fraction(self, packets: int, parities: int, rtt_s: float, interval_s: float) -> float:
        return 0.0
