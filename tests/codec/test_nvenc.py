"""A card's encoder, with x264 as the stand-in: when it is used, and that x264 replaces it when it fails."""

from __future__ import annotations

import itertools
from dataclasses import replace

import av
import numpy as np
import pytest

from framewire.codec import nvenc
from framewire.codec.h264 import H264Encoder
from framewire.codecs import CODECS
from framewire.errors import EncoderError
from framewire.frame import Frame


def frame(number=0, side=256):
    pixels = np.random.default_rng(number).integers(0, 255, (side, side, 3), np.uint8)
    return Frame(pixels, number, 1_000_000 + number * 33_000)


class Card:
    """What ``av.CodecContext.create`` gives, with ``h264_nvenc`` made of x264 and the calls counted."""

    def __init__(self, monkeypatch):
        self.opened = 0
        self.present = True
        self.holds = False
        self.options = {}
        self._real = av.CodecContext
        monkeypatch.setattr(nvenc, "_absent", False)
        monkeypatch.setattr(nvenc, "_present", False)
        monkeypatch.setattr(nvenc, "LIBRARY", "h264_nvenc")
        monkeypatch.setattr(av, "codecs_available", {*av.codecs_available, "h264_nvenc"})
        monkeypatch.setattr(nvenc, "_open", self.open)

    def open(self, width, height, fps, bits_per_second, buffer):
        self.opened += 1
        if not self.present:
            raise av.error.ExternalError(1, "Cannot load libcuda.so.1")
        x264 = H264Encoder(CODECS["h264"], fps=fps, max_bitrate=bits_per_second, threads=1)
        inner = x264._open_x264(width, height, buffer)
        return Held(inner) if self.holds else inner


class Held:
    """A context that keeps the first frame to itself."""

    def __init__(self, inner):
        self.width, self.height, self.time_base, self.bit_rate = inner.width, inner.height, inner.time_base, 1

    def encode(self, picture):
        return []


@pytest.fixture
def card(monkeypatch):
    return Card(monkeypatch)


def encoder():
    return H264Encoder(CODECS["h264"], fps=30, max_bitrate=2_000_000)


def test_a_card_encodes(card):
    made = encoder()
    units = [made.encode(frame(number)) for number in range(3)]
    assert card.opened == 1
    assert [unit.keyframe for unit in units] == [True, False, False]


def test_a_machine_without_a_card_is_tried_once_and_x264_encodes(card):
    card.present = False
    for _ in range(2):
        assert encoder().encode(frame()).keyframe
    assert card.opened == 1


def test_a_busy_card_is_tried_again(card):
    assert encoder().encode(frame()).keyframe
    card.present = False
    for _ in range(2):
        assert encoder().encode(frame()).keyframe
    assert card.opened == 3


def test_small_pictures_and_full_chroma_are_not_for_the_card(card):
    assert encoder().encode(frame(side=64)).keyframe
    assert H264Encoder(CODECS["h264_444"], fps=30, max_bitrate=2_000_000).encode(frame()).keyframe
    assert card.opened == 0


def test_a_card_that_holds_frames_back_costs_one_frame_and_x264_takes_over(card):
    card.holds = True
    made = encoder()
    with pytest.raises(EncoderError, match="without it"):
        made.encode(frame(0))
    assert made.encode(frame(1)).keyframe
    assert card.opened == 1


def test_the_cards_bitrate_can_change(card):
    made = encoder()
    sizes = []
    for number in range(60):
        made.set_rate(2_000_000 if number < 30 else 300_000)
        sizes.append(len(made.encode(frame(number)).data))
    assert sum(sizes[45:]) < sum(sizes[15:30]) / 2


def test_the_cards_bitrate_changes_rarely(card):
    made = encoder()
    rates = []
    for number in range(120):
        made.set_rate(1_500_000 + 400_000 * (number % 2))
        made.encode(replace(frame(number % 4), time_us=1_000_000 + number * 33_000))
        rates.append(made._context.bit_rate)
    assert sum(a != b for a, b in itertools.pairwise(rates)) <= 2


def test_on_this_machine_a_card_opens_or_is_not_used(monkeypatch):
    monkeypatch.setattr(nvenc, "_absent", False)
    context = nvenc.open_nvenc(320, 320, 30.0, 1_000_000, 60_000)
    assert context is None or context.is_open
