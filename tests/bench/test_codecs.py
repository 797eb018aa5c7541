"""Timing of what the engine does with a frame, on pictures small enough to take no time."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from framewire.bench import codecs
from framewire.bench.codecs import Change, clip_of, colours, encoding, lossless, played, timed
from framewire.codec.encoders import available_codecs
from framewire.codec.lossless import base_of, pack_delta
from framewire.errors import EncoderError
from framewire.frame import AccessUnit, Frame, Pixels
from framewire.patterns import PATTERNS


@pytest.fixture(scope="module")
def clip() -> Pixels:
    return clip_of(PATTERNS["plot"](160, 96), 4)


def test_a_clip_is_played_forwards_and_backwards_at_its_rate(clip: Pixels) -> None:
    frames = list(islice(played(clip, 50), 8))
    places = [next(i for i, each in enumerate(clip) if np.array_equal(each, frame.pixels)) for frame in frames]
    assert places == [0, 1, 2, 3, 2, 1, 0, 1]
    assert [frame.number for frame in frames] == list(range(1, 9))
    assert [frame.time_us for frame in frames[:3]] == [0, 20_000, 40_000]
    alone = list(islice(played(clip[:1], 50), 3))
    assert all(np.array_equal(frame.pixels, clip[0]) for frame in alone)


def test_the_first_time_opens_things_and_does_not_count(clip: Pixels) -> None:
    seen: list[int] = []

    def action(frame: Frame) -> int:
        seen.append(frame.number)
        return 10

    took, total = timed(action, played(clip, 30), 0)
    assert len(took) == codecs.MIN_REPEAT_COUNT and total == 30 and seen == [1, 2, 3, 4]


def test_every_codec_that_opens_here_has_a_row(clip: Pixels) -> None:
    rows = list(encoding("160x96", clip, 30, 2_000_000, 0))
    assert [row.what for row in rows] == [f"encode {codec}" for codec in available_codecs()]
    assert all(row.times.p50_ms > 0 and 0 < row.mbps < 4 and row.note == "" for row in rows)
    assert all(row.fps * row.times.mean_ms == pytest.approx(1000) for row in rows)


def test_a_codec_that_refuses_says_why(clip: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def encode(self, frame: Frame) -> AccessUnit:
            raise EncoderError("no room")

        def close(self) -> None: ...

    monkeypatch.setattr(codecs, "open_encoder", lambda codec, **options: Refusing())
    assert {row.note for row in encoding("160x96", clip, 30, 2_000_000, 0)} == {"no room"}


def test_colours_are_timed_for_both_kinds_of_chroma(clip: Pixels) -> None:
    rows = list(colours("160x96", clip, 30, 0))
    assert [row.what for row in rows] == ["colours, half chroma", "colours, full chroma"]
    assert all(row.times.p50_ms > 0 for row in rows)


def test_changes_of_a_plot_are_smaller_than_whole_frames_and_those_than_raw_ones() -> None:
    # Large enough that most of its tiles do not change.
    whole, changes = lossless("640x400", clip_of(PATTERNS["bouncing_box"](640, 400), 4), 30, 0)
    assert changes.ratio > 1.2 * whole.ratio > 1.2
    assert changes.mbps < whole.mbps


def test_a_change_refers_to_the_frame_before(clip: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[AccessUnit] = []

    def noted(*args: object, compress: bool) -> AccessUnit:
        made.append(pack_delta(*args, compress=compress))  # type: ignore[arg-type]
        return made[-1]

    monkeypatch.setattr(codecs, "pack_delta", noted)
    change, frames = Change(), played(clip, 30)
    assert change(next(frames)) == 0
    assert change(next(frames)) > 0 and change(next(frames)) > 0
    assert [base_of(unit) for unit in made] == [1, 2]
