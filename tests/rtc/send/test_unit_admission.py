"""Which units a viewer is sent, and when a keyframe is requested."""

from __future__ import annotations

import pytest

from framewire.rtc.send.deadline import NEVER
from framewire.rtc.send.unit_admission import UnitAdmission

NOW = 1000.0


class Viewer:
    """An `UnitAdmission` and the keyframes that it requested."""

    def __init__(self) -> None:
        self.requests = 0
        self.admission = UnitAdmission(self._requested)

    def _requested(self) -> None:
        self.requests += 1

    def admit(self, at: float, *, keyframe: bool = False, room: bool = True, socket_idle: bool = True) -> bool:
        return self.admission.admit(NOW + at, keyframe=keyframe, room=room, socket_idle=socket_idle)

    def tick(self, at: float, *, room: bool = True) -> None:
        self.admission.tick(NOW + at, lambda now: room)


@pytest.fixture
def viewer():
    return Viewer()


@pytest.fixture
def live(viewer):
    """A viewer that was sent one keyframe."""
    viewer.admission.start(NOW)
    assert viewer.admit(0.0, keyframe=True)
    viewer.requests = 0
    return viewer


def test_a_keyframe_is_requested_at_the_start_and_deltas_before_it_are_refused(viewer):
    viewer.admission.start(NOW)
    assert viewer.requests == 1
    assert not viewer.admit(0.01)
    assert viewer.admit(0.02, keyframe=True)
    assert viewer.admit(0.03)
    assert viewer.requests == 1


def test_a_keyframe_that_does_not_come_is_requested_again(viewer):
    viewer.admission.start(NOW)
    requested = []
    for step in range(1, 200):
        before = viewer.requests
        viewer.admit(step / 160)
        requested += [step / 160] * (viewer.requests - before)
    assert requested == [0.25, 0.5, 0.75, 1.0]


def test_two_units_may_wait_for_the_socket_and_the_third_is_dropped(live):
    assert live.admit(0.01, socket_idle=False), "the keyframe was the first"
    assert not live.admit(0.3, socket_idle=False)
    assert live.requests == 1
    assert not live.admit(0.31, keyframe=True, socket_idle=False), "a keyframe would wait as well"
    assert not live.admit(0.32), "the socket is idle, and deltas are of no use"
    assert live.admit(0.33, keyframe=True)


def test_units_wait_from_the_first_on(viewer):
    viewer.admission.start(NOW)
    assert viewer.admit(0.01, keyframe=True, socket_idle=False)
    assert viewer.admit(0.02, socket_idle=False)
    assert not viewer.admit(0.03, socket_idle=False)


def test_an_idle_socket_takes_units_without_end(live):
    assert all(live.admit(step / 60) for step in range(60))


def test_without_room_nothing_is_admitted_and_no_keyframe_requested(live):
    assert not live.admit(0.5, keyframe=True, room=False)
    assert live.requests == 0
    assert not live.admit(0.51)
    assert live.requests == 1, "there is room for it now"


def test_a_refused_sender_looks_for_room_again(live):
    assert live.admission.deadline == NEVER
    live.admit(0.5, room=False)
    assert live.admission.deadline == pytest.approx(NOW + 0.51, abs=1e-6)
    live.tick(0.505)
    assert live.requests == 0 and live.admission.deadline == pytest.approx(NOW + 0.51, abs=1e-6), "not due yet"
    live.tick(0.52, room=False)
    assert live.requests == 0
    assert live.admission.deadline == pytest.approx(NOW + 0.53, abs=1e-6)
    live.tick(0.54)
    assert live.requests == 1
    assert live.admission.deadline < NEVER, "until the keyframe came"
    assert live.admit(0.545, keyframe=True)
    live.tick(0.56)
    assert live.requests == 1 and live.admission.deadline == NEVER


def test_flushed_packets_are_made_up_for_by_a_keyframe_even_if_nothing_is_sent(live):
    live.admission.flushed(NOW + 1.0)
    assert live.admission.deadline == NOW + 1.0
    live.tick(1.0)
    assert live.requests == 1
    assert not live.admit(1.01)
    assert live.admit(1.02, keyframe=True)


@pytest.mark.parametrize("since_last_unit_s", [0.03, 1.99])
def test_a_viewer_that_lacks_something_gets_a_keyframe(live, since_last_unit_s):
    live.admission.viewer_requests_keyframe(NOW + 5, NOW + 5 - since_last_unit_s)
    assert live.requests == 1


def test_a_viewer_that_only_waited_gets_none_unless_it_insists(live):
    for at in (2.01, 3.02, 4.03):
        live.admission.viewer_requests_keyframe(NOW + at, NOW)
    assert live.requests == 0
    live.admission.viewer_requests_keyframe(NOW + 5.02, NOW)
    assert live.requests == 1


def test_a_viewer_that_was_sent_nothing_yet_gets_its_keyframe(viewer):
    viewer.admission.viewer_requests_keyframe(NOW + 5, -NEVER)
    assert viewer.requests == 1
