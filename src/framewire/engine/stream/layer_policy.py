"""Which viewer gets which of at most three encodings of one stream, and the bitrate of each. Pure; time is an argument.

Must not know encoders, peers or how a viewer is moved: it reads the bandwidth available to each viewer and the bitrate
that each encoding spends, and answers with a layer for each viewer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Generic, Protocol, TypeVar


class Layer(IntEnum):
    """One of a stream's encoders, the best first."""

    FULL = 0
    """Full size at the bitrate of the viewers with the most bandwidth."""
    LOW = 1
    """Full size at a lower bitrate, for viewers with less bandwidth."""
    HALF = 2
    """Half the width and height, for viewers whose bandwidth is too low for full size."""


SHARED_LIMIT_FRACTIONS: Final = (0.7, 0.5, 0.5)
"""Viewers share a layer while their bandwidth is at least this fraction of the best one's, for each layer.

The layer runs at the lowest of them. Finer splits would cost an encoder, and a keyframe for each switch.

Source: chosen by hand;
pinned by `tests/engine/stream/test_layer_policy.py::test_viewers_of_similar_bandwidth_share_a_layer`.
"""

FITS_LIMIT_FRACTION: Final = 0.9
"""A layer that spends at most this fraction of a viewer's bandwidth fits that viewer.

Source: chosen by hand;
pinned by `tests/engine/stream/test_layer_policy.py::test_a_layer_that_spends_little_fits_slow_links`.
"""

MOVE_UP_HEADROOM_FACTOR: Final = 1.1
"""A viewer moves up when its bandwidth is this many times what the better layer needs.

Source: chosen by hand; pinned by `tests/engine/stream/test_layer_policy.py::test_a_viewer_moves_up_with_some_headroom`.
"""

NEED_SPENT_FACTOR: Final = 1.25
"""A layer needs this many times what it spends now, at most its target: motion may grow.

Source: chosen by hand; pinned by `tests/engine/stream/test_layer_policy.py::test_a_viewer_moves_up_with_some_headroom`.
"""

MOVE_DOWN_AFTER_S: Final = 1.0
"""A viewer moves down after its layer has not fitted for this long: a move costs a keyframe and perhaps an encoder.

Source: chosen by hand; pinned by `tests/engine/stream/test_layer_policy.py::test_a_short_dip_moves_no_viewer`.
"""

MOVE_DOWN_FAR_BELOW_AFTER_S: Final = 0.4
"""A viewer far below what its layer spends moves down after this time.

Source: chosen by hand;
pinned by `tests/engine/stream/test_layer_policy.py::test_a_viewer_far_below_its_layer_moves_sooner`.
"""

FAR_BELOW_FRACTION: Final = 0.5
"""A viewer whose bandwidth is less than this fraction of what its layer spends is far below it.

Source: chosen by hand;
pinned by `tests/engine/stream/test_layer_policy.py::test_a_viewer_far_below_its_layer_moves_sooner`.
"""

MOVE_UP_AFTER_S: Final = 3.0
"""A viewer moves up after the better layer has fitted for this long.

Source: chosen by hand;
pinned by `tests/engine/stream/test_layer_policy.py::test_a_viewer_moves_up_after_three_seconds`.
"""

NEW_VIEWER_KEEPS_LAYER_S: Final = 3.0
"""A new viewer stays on its layer for this long, since its estimate is still rising, unless the estimate collapses.

Source: chosen by hand; pinned by `tests/engine/stream/test_layer_policy.py::test_a_new_viewer_stays_for_three_seconds`.
"""

STABLE_ESTIMATE_S: Final = 0.3
"""A viewer moves down only when its estimate has not fallen for this long: the next layer may not fit either.

Source: chosen by hand; pinned by `tests/engine/stream/test_layer_policy.py::test_a_falling_estimate_is_waited_for`.
"""

MAX_FALL_WAIT_S: Final = 2.0
"""An estimate that keeps falling is waited for no longer than this.

Source: chosen by hand; pinned by `tests/engine/stream/test_layer_policy.py::test_a_falling_estimate_is_waited_for`.
"""

FALL_FRACTION: Final = 0.9
"""An estimate below this fraction of its reference has fallen; above the inverse, it has recovered.

Either makes it the new reference. What lies between is noise.

Source: chosen by hand; pinned by `tests/engine/stream/test_layer_policy.py::test_noise_of_an_estimate_is_no_fall`.
"""

FIRST_ESTIMATE_COLLAPSE_FRACTION: Final = 0.6
"""An estimate below this fraction of the first one has collapsed: not even that was available, so waiting is useless.

Source: chosen by hand;
pinned by `tests/engine/stream/test_layer_policy.py::test_a_collapse_is_measured_from_the_first_estimate`.
"""

NEW_VIEWER_RAISES_NO_TARGET_S: Final = 1.2
"""A new viewer does not raise its layer's bitrate for this long, unless all viewers of the layer are new.

So viewers with less bandwidth can move first.

Source: chosen by hand;
pinned by `tests/engine/stream/test_layer_policy.py::test_a_new_viewer_raises_no_target_for_a_moment`.
"""

MISTAKE_WINDOW_S: Final = 15.0
"""A move down this soon after a move up shows that the move up was a mistake: the next one waits twice as long.

Source: chosen by hand;
pinned by `tests/engine/stream/test_layer_policy.py::test_a_mistaken_move_up_doubles_the_next_wait`.
"""

MOVE_UP_MAX_WAIT_S: Final = 60.0
"""After any number of mistakes, a viewer moves up once the better layer has fitted for this long.

Source: chosen by hand;
pinned by `tests/engine/stream/test_layer_policy.py::test_a_mistaken_move_up_doubles_the_next_wait`.
"""

HALF_SIZE_BITS_PER_PIXEL: Final = 0.02
"""Below this many bits for each pixel of full size, half size looks better.

Source: chosen by hand; pinned by `tests/engine/stream/test_layer_policy.py::test_small_pictures_are_not_halved`.
"""

HALVE_MIN_SIDE_PX: Final = 128
"""Pictures whose shorter side has fewer pixels are not halved.

Source: chosen by hand; pinned by `tests/engine/stream/test_layer_policy.py::test_small_pictures_are_not_halved`.
"""


def half_size_below_bps(width: int, height: int, fps: float) -> float | None:
    """Bits a second below which half size looks better; None for pictures too small to be halved."""
    if min(width, height) < HALVE_MIN_SIDE_PX:
        return None
    return HALF_SIZE_BITS_PER_PIXEL * width * height * fps


class PolicyViewer(Protocol):
    """What the policy reads of a viewer."""

    @property
    def visible(self) -> bool: ...

    @property
    def limit_bps(self) -> float:
        """The bandwidth available to it, as far as is known; never more than the stream's maximum."""
        ...


V = TypeVar("V", bound=PolicyViewer)


@dataclass(slots=True)
class _State:
    """What the policy remembers of one viewer."""

    since: float
    """When it came."""
    unknown_limit_bps: float
    """Its limit before there was an estimate."""
    fell_at: float
    """When its estimate last fell."""
    wanted_since: float
    """Since when its layer has been wrong, in the same direction."""
    first_estimate_bps: float | None = None
    reference_bps: float = math.inf
    """Its estimate when it last fell or recovered."""
    layer: Layer = Layer.FULL
    wanted: Layer = Layer.FULL
    raises_target: bool = False
    """Whether it has been here for long enough to raise its layer's bitrate."""
    move_up_after_s: float = MOVE_UP_AFTER_S
    """How long a better layer must fit before it moves there."""
    moved_up_at: float = -math.inf


class LayerPolicy(Generic[V]):
    """The viewers of one stream and codec."""

    def __init__(self) -> None:
        self._states: dict[V, _State] = {}

    def add(self, viewer: V, now: float) -> None:
        """A new viewer starts on the full layer, as its bandwidth is not known yet."""
        self._states[viewer] = _State(since=now, unknown_limit_bps=viewer.limit_bps, fell_at=now, wanted_since=now)

    def remove(self, viewer: V) -> None:
        """A viewer is gone."""
        self._states.pop(viewer, None)

    def layer(self, viewer: V) -> Layer:
        """The layer that a viewer is assigned to."""
        return self._states[viewer].layer

    def target_bps(self, layer: Layer) -> float | None:
        """Bits a second for a layer's encoder; None if no visible viewer is assigned to it."""
        on_it = [(viewer.limit_bps, state) for viewer, state in self._states.items() if _sees(viewer, state, layer)]
        limits = [limit for limit, state in on_it if state.raises_target] or [limit for limit, _ in on_it]
        # Those of similar bandwidth. The others are about to move down, or have too little for any layer.
        return min((limit for limit in limits if limit >= SHARED_LIMIT_FRACTIONS[layer] * max(limits)), default=None)

    def review(self, spent_bps: Mapping[Layer, float], half_below_bps: float | None, now: float) -> dict[V, Layer]:
        """The viewers that move now, and to which layer.

        ``spent_bps``: what each running encoder spends; ``half_below_bps``: see `half_size_below_bps`.
        """
        moves: dict[V, Layer] = {}
        for viewer, state in self._states.items():
            _note_estimate(state, viewer.limit_bps, now)
            wanted = state.layer
            if viewer.visible:
                wanted = self._wanted(viewer.limit_bps, state.layer, spent_bps, half_below_bps)
            # The layer wanted may change while it waits. What counts is how long the present one has been wrong.
            if _direction(wanted, state) != _direction(state.wanted, state) or wanted == state.layer:
                state.wanted_since = now
            state.wanted = wanted
            if wanted != state.layer and now >= _move_at(state, viewer.limit_bps, spent_bps):
                moves[viewer] = wanted
        for viewer, layer in moves.items():
            _move(self._states[viewer], layer, now)
        return moves

    def _best_bps(self, layer: Layer) -> float:
        """The most bandwidth of a viewer on a layer; infinite where there is none."""
        limits = (viewer.limit_bps for viewer, state in self._states.items() if _sees(viewer, state, layer))
        return max(limits, default=math.inf)

    def _wanted(
        self, limit_bps: float, layer: Layer, spent_bps: Mapping[Layer, float], half_below_bps: float | None
    ) -> Layer:
        for better in list(Layer)[:layer]:
            if self._fits_from_below(better, limit_bps, spent_bps, half_below_bps):
                return better
        if self._still_fits(layer, limit_bps, spent_bps, half_below_bps):
            return layer
        if half_below_bps is None:
            return Layer.LOW
        # A viewer on the low layer that does not fit there can only go down.
        low_bps = self.target_bps(Layer.LOW)
        fits_low = layer != Layer.LOW and limit_bps >= half_below_bps
        shares_low = low_bps is None or limit_bps >= SHARED_LIMIT_FRACTIONS[Layer.LOW] * low_bps
        return Layer.LOW if fits_low and shares_low else Layer.HALF

    def _fits_from_below(
        self, layer: Layer, limit_bps: float, spent_bps: Mapping[Layer, float], half_below_bps: float | None
    ) -> bool:
        """Whether a viewer of a lower layer fits this one."""
        if layer == Layer.LOW and half_below_bps is not None and limit_bps < NEED_SPENT_FACTOR * half_below_bps:
            return False
        target_bps = self.target_bps(layer)
        if target_bps is None:
            return True
        need_bps = min(target_bps, NEED_SPENT_FACTOR * spent_bps.get(layer, target_bps))
        # As much bandwidth as the best viewer there is enough: an encoder that spends all of it leaves no headroom.
        return limit_bps >= min(MOVE_UP_HEADROOM_FACTOR * need_bps, self._best_bps(layer))

    def _still_fits(
        self, layer: Layer, limit_bps: float, spent_bps: Mapping[Layer, float], half_below_bps: float | None
    ) -> bool:
        """Whether a viewer fits the layer that it is on."""
        if layer == Layer.HALF:
            return half_below_bps is not None
        if spent_bps.get(layer, 0.0) <= FITS_LIMIT_FRACTION * limit_bps:
            return True
        if layer == Layer.LOW and half_below_bps is not None and limit_bps < half_below_bps:
            return False
        return limit_bps >= SHARED_LIMIT_FRACTIONS[layer] * self._best_bps(layer)


def _sees(viewer: PolicyViewer, state: _State, layer: Layer) -> bool:
    return viewer.visible and state.layer == layer


def _note_estimate(state: _State, limit_bps: float, now: float) -> None:
    state.raises_target = now - state.since >= NEW_VIEWER_RAISES_NO_TARGET_S
    if state.first_estimate_bps is None and limit_bps != state.unknown_limit_bps:
        state.first_estimate_bps = limit_bps
    if limit_bps < FALL_FRACTION * state.reference_bps:
        state.fell_at = now
    if not FALL_FRACTION * state.reference_bps <= limit_bps <= state.reference_bps / FALL_FRACTION:
        state.reference_bps = limit_bps


def _move_at(state: _State, limit_bps: float, spent_bps: Mapping[Layer, float]) -> float:
    """When a viewer that wants another layer moves."""
    if state.wanted < state.layer:
        return state.wanted_since + state.move_up_after_s
    first_bps = state.first_estimate_bps
    collapsed = first_bps is not None and limit_bps < FIRST_ESTIMATE_COLLAPSE_FRACTION * first_bps
    far_below = limit_bps < FAR_BELOW_FRACTION * spent_bps.get(state.layer, 0.0)
    wait_s = MOVE_DOWN_FAR_BELOW_AFTER_S if far_below else MOVE_DOWN_AFTER_S
    stable_at = min(state.fell_at + STABLE_ESTIMATE_S, state.wanted_since + MAX_FALL_WAIT_S)
    move_at = max(state.wanted_since + wait_s, stable_at)
    return move_at if collapsed else max(move_at, state.since + NEW_VIEWER_KEEPS_LAYER_S)


def _move(state: _State, layer: Layer, now: float) -> None:
    if layer < state.layer:
        state.moved_up_at = now
    elif now - state.moved_up_at < MISTAKE_WINDOW_S:
        state.move_up_after_s = min(2 * state.move_up_after_s, MOVE_UP_MAX_WAIT_S)
    else:
        state.move_up_after_s = MOVE_UP_AFTER_S
    state.layer = layer


def _direction(wanted: Layer, state: _State) -> int:
    """1 for down, -1 for up, 0 for neither."""
    return (wanted > state.layer) - (wanted < state.layer)
