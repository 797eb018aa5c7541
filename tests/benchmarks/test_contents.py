"""The frames that every system publishes: the same each time, and as hard to encode as they should be."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from benchmarks import contents
from benchmarks.contents import CONTENTS, FRAMES, clip_path, position


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def clip(content: str) -> np.ndarray:
    drawn: np.ndarray = np.load(clip_path(content, 320, 96))
    return drawn


def test_a_clip_plays_forwards_and_backwards_without_a_jump():
    places = [position(number, 4) for number in range(8)]
    assert places == [0, 1, 2, 3, 2, 1, 0, 1]


@pytest.mark.parametrize("content", CONTENTS)
def test_a_clip_moves_and_is_drawn_the_same_each_time(content: str):
    first = clip(content)
    assert first.shape == (FRAMES, 96, 320, 3)
    assert all(np.any(one != other) for one, other in itertools.pairwise(first))
    clip_path(content, 320, 96).unlink()
    assert np.array_equal(clip(content), first)


def test_a_clip_is_drawn_once(monkeypatch):
    path = clip_path("plot", 320, 96)
    monkeypatch.setattr(contents, "_DRAWERS", {})
    assert clip_path("plot", 320, 96) == path


def test_the_noisy_half_differs_in_every_frame():
    half = clip("noise")[:, :, 160:].astype(np.float32).reshape(FRAMES, -1)
    likeness = np.corrcoef(half) - np.eye(FRAMES)
    assert np.abs(likeness).max() < 0.1
