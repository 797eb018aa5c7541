"""Which units one viewer is sent, and when it needs a keyframe. Must not know packets, sockets or clocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from framewire.rtc.send.deadline import NEVER

MAX_QUEUED_UNITS: Final = 2
"""This many units may wait for the socket. A third is dropped: late, it is worth less than the next one in time.

Source: chosen by hand; pinned by
`tests/rtc/send/test_unit_admission.py::test_two_units_may_wait_for_the_socket_and_the_third_is_dropped`."""

KEYFRAME_REPEAT_S: Final = 0.25
"""A keyframe that did not come is requested again after this long.

Source: chosen by hand; pinned by
`tests/rtc/send/test_unit_admission.py::test_a_keyframe_that_does_not_come_is_requested_again`."""

ROOM_CHECK_INTERVAL_S: Final = 0.01
"""After a unit was refused, look this often whether there is room again.

Source: chosen by hand; pinned by
`tests/rtc/send/test_unit_admission.py::test_a_refused_sender_looks_for_room_again`."""

IDLE_S: Final = 2.0
"""A viewer's first keyframe request is ignored if no unit was sent for this long: the viewer lacks nothing.

Source: libwebrtc `kMaxWaitForFrame` (video_receive_stream2.cc): it requests one after 3 s without a frame. 1 s less
here, so that a frame that arrived late does not hide the pause."""

INSISTENT_S: Final = 1.0
"""A second request within this time is answered: the viewer lacks something.

Source: libwebrtc `kMaxWaitForKeyFrame` (video_receive_stream2.cc): it then repeats the request every 200 ms."""


class UnitAdmission:
    """Refuses units that the viewer could not decode, or is too slow for, and requests keyframes."""

    def __init__(self, on_keyframe_wanted: Callable[[], None]) -> None:
        self.needs_keyframe: bool = True
        self.deadline: float = NEVER
        """When to call `tick`."""
        self._on_keyframe_wanted = on_keyframe_wanted
        self._requested_at = self._viewer_requested_at = -NEVER
        self._queued_units = 0

    def start(self, now: float) -> None:
        """Request the keyframe that everything waits for."""
        self._request(now)

    def admit(self, now: float, *, keyframe: bool, room: bool, socket_idle: bool) -> bool:
        """Whether a unit may be sent. ``room`` is whether congestion control admits one, ``socket_idle`` whether the
        socket took all that was sent before."""
        if not room:
            # A keyframe would be refused as well: it is requested once there is room.
            self.needs_keyframe = True
        else:
            if socket_idle:
                self._queued_units = 0
            if self._queued_units >= MAX_QUEUED_UNITS:
                self.needs_keyframe = True
            elif keyframe:
                self.needs_keyframe = False
            if self.needs_keyframe:
                self._request(now)
        if self.needs_keyframe:
            # Nothing more may be sent until a keyframe is requested again, so that must not wait for a unit.
            self.deadline = now + ROOM_CHECK_INTERVAL_S
        else:
            self._queued_units += 1
        return not self.needs_keyframe

    def flushed(self, now: float) -> None:
        """Packets were discarded before they left: a keyframe must make up for them."""
        self.needs_keyframe = True
        self.deadline = now

    def tick(self, now: float, room: Callable[[float], bool]) -> None:
        """Request a keyframe if one is needed and there is room for it."""
        if now < self.deadline:
            return
        self.deadline = NEVER
        if self.needs_keyframe:
            self.deadline = now + ROOM_CHECK_INTERVAL_S
            if room(now):
                self._request(now)

    def viewer_requests_keyframe(self, now: float, last_unit_at: float) -> None:
        """Take the viewer's request (PLI or FIR); the last unit left at ``last_unit_at``, or never."""
        before, self._viewer_requested_at = self._viewer_requested_at, now
        idle = IDLE_S < now - last_unit_at < NEVER
        if not idle or now - before < INSISTENT_S:
            self._on_keyframe_wanted()

    def _request(self, now: float) -> None:
        if now - self._requested_at >= KEYFRAME_REPEAT_S:
            self._requested_at = now
            self._on_keyframe_wanted()
