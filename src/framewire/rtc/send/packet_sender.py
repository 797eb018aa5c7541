"""What a subscription's sender needs of whatever sends its packets: one interface for with and without congestion
control. Must not know how packets are numbered, paced or sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class PacketDraft(Protocol):
    """A packet without what is known only when it leaves."""

    @property
    def ssrc(self) -> int: ...

    @property
    def payload_bytes(self) -> int:
        """Bytes of payload, padding included."""
        ...

    def write(self, now: float, transport_sequence: int | None) -> bytes:
        """The packet, leaving at ``now`` with this transport-wide sequence number."""
        ...


class PacketOutlet(Protocol):
    """Where packets leave."""

    def protect(self, packets: list[bytes]) -> list[bytes]:
        """Encrypt packets."""
        ...

    def transmit(self, packets: list[bytes]) -> None:
        """Hand encrypted packets to the socket. Never blocks, never raises."""
        ...


class PacketSender(Protocol):
    """Sends the packets of all senders of one peer connection, and knows what the path does to them."""

    @property
    def deadline(self) -> float:
        """When to call `tick`; infinite if never."""
        ...

    def tick(self, now: float) -> None:
        """Do what is due."""
        ...

    def set_useful_bitrate(self, bits_per_second: float) -> None:
        """All streams together can use this much: there is no need to probe for more."""
        ...

    def admits(self, now: float) -> bool:
        """Whether a frame may be sent. One that may not would only make all after it late."""
        ...

    def send(
        self, packets: Sequence[PacketDraft], parities: Sequence[PacketDraft], interval_s: float, now: float
    ) -> None:
        """Send a frame and the parity packets that protect it; frames come about ``interval_s`` apart."""
        ...

    def send_urgent(self, packets: Sequence[PacketDraft], now: float) -> None:
        """Send repairs before everything else that waits: the viewer waits for them."""
        ...

    def repeat_last(self, ssrc: int) -> None:
        """Send the newest packet of this SSRC again, byte for byte."""
        ...

    def remove(self, ssrc: int) -> None:
        """Send nothing more of this SSRC."""
        ...

    def feed(self, fci: bytes, now: float) -> None:
        """Take transport-wide feedback of the viewer."""
        ...

    @property
    def queueing_delay_s(self) -> float:
        """How long a packet waits now, here and on the path."""
        ...

    @property
    def loses_repairs(self) -> bool:
        """Whether so much is lost that a repair should leave twice."""
        ...

    def unacknowledged_since(self, now: float) -> float | None:
        """Since when it is unknown what arrived of what was sent; None unless feedback is overdue on a lossy path. A
        viewer whose feedback is lost cannot request what it lacks."""
        ...

    def parity_count(self, packets: int, rtt_s: float, interval_s: float) -> int:
        """How many parity packets a frame of ``packets`` should get; see `fec_policy.parity_count`."""
        ...

    def late_fraction(self, packets: int, parities: int, rtt_s: float, interval_s: float) -> float:
        """The fraction of such frames that wait for a retransmission; see `fec_policy.late_fraction`."""
        ...
