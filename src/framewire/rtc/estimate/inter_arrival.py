"""Packets to groups, and groups to how much longer one took than the one before. Must not know queues, rates, sockets
or clocks.

After draft-ietf-rmcat-gcc-02 §5.2, as libwebrtc's `InterArrivalDelta` has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

GROUP_DURATION_S: Final = 0.005
"""Packets that leave within this time form one group: what leaves together queues behind itself.

Source: draft-ietf-rmcat-gcc-02 §5.2 (burst_time); libwebrtc `kSendTimeGroupLength`."""

BURST_GAP_S: Final = 0.005
"""Packets that arrive within this time of each other, and closer together than they left, join the group before.

Source: draft-ietf-rmcat-gcc-02 §5.2; libwebrtc `kBurstDeltaThreshold`."""

MAX_GROUP_S: Final = 0.1
"""A group takes such packets for at most this long.

Source: libwebrtc `kMaxBurstDuration`."""


@dataclass(slots=True)
class PacketGroup:
    """Packets that left, or arrived, together."""

    first_sent_at: float
    sent_at: float
    """Of the last packet."""
    first_arrived_at: float
    arrived_at: float
    """Of the last packet."""


class GroupDelta(NamedTuple):
    """What the newest complete group differs by from the one before."""

    sent_s: float
    """Seconds between the departures of their last packets."""
    arrived_s: float
    """Seconds between the arrivals of their last packets."""
    arrived_at: float
    """When the newest complete group arrived, on the viewer's clock."""


class InterArrivalDelta:
    """Groups packets and compares each complete group to the one before."""

    def __init__(self) -> None:
        self._group: PacketGroup | None = None
        self._previous: PacketGroup | None = None

    def add(self, sent_at: float, arrived_at: float) -> GroupDelta | None:
        """Take a packet. Returns a delta if it completes a group that has one before it."""
        group = self._group
        if group is None:
            self._group = PacketGroup(sent_at, sent_at, arrived_at, arrived_at)
            return None
        if sent_at < group.first_sent_at:
            return None
        if sent_at - group.first_sent_at <= GROUP_DURATION_S or self._is_burst(group, sent_at, arrived_at):
            group.sent_at = max(group.sent_at, sent_at)
            group.arrived_at = max(group.arrived_at, arrived_at)
            return None
        previous, self._previous = self._previous, group
        self._group = PacketGroup(sent_at, sent_at, arrived_at, arrived_at)
        if previous is None:
            return None
        return GroupDelta(group.sent_at - previous.sent_at, group.arrived_at - previous.arrived_at, group.arrived_at)

    @staticmethod
    def _is_burst(group: PacketGroup, sent_at: float, arrived_at: float) -> bool:
        """Whether the packet arrived closer to the group than it left: something on the path held both back and
        released them together, which is no sign of a queue."""
        arrival_gap = arrived_at - group.arrived_at
        catching_up = arrival_gap < sent_at - group.sent_at
        return catching_up and arrival_gap <= BURST_GAP_S and arrived_at - group.first_arrived_at < MAX_GROUP_S
