"""What only H.264 has: profiles, parameter sets, colour tags, and keyframes that cost no burst."""

from __future__ import annotations

import av
import numpy as np
import pytest

from framewire.codec import h264
from framewire.codec.colour import FULL, LIMITED, SMPTE170M
from framewire.codec.ffmpeg import open_context
from framewire.codec.h264 import H264Encoder, preset_for, slices_for
from framewire.codecs import CODECS
from framewire.frame import Frame
from framewire.rtc.rtp.h264 import nal_units
from tests.codec.scenes import decoded, flat, moving

SPECS = {"420": CODECS["h264"], "444": CODECS["h264_444"]}


def kinds(data: bytes) -> list[int]:
    return [nal[0] & 31 for nal in nal_units(data)]


@pytest.mark.parametrize("chroma", ["420", "444"])
def test_every_keyframe_is_an_idr_with_parameter_sets(chroma):
    encoder = H264Encoder(SPECS[chroma], fps=30, max_bitrate=1_000_000, threads=1)
    units = [encoder.encode(flat((5, 5, 5), n), keyframe=n in {0, 3}) for n in range(5)]
    for unit in units:
        assert ({7, 8, 5} <= set(kinds(unit.data))) == unit.keyframe
        assert (5 in kinds(unit.data)) == unit.keyframe


def profile_of(chroma):
    encoder = H264Encoder(SPECS[chroma], fps=60, max_bitrate=20_000_000, threads=2)
    unit = encoder.encode(moving(1, width=1280, height=720)[0])
    profile, constraints, level = next(nal for nal in nal_units(unit.data) if nal[0] & 31 == 7)[1:4]
    assert level <= 52
    return profile, constraints


def test_the_profile_is_the_constrained_baseline_that_is_offered():
    profile, constraints = profile_of("420")
    assert profile == 66
    assert constraints & 0x40, "constraint_set1: the baseline that is also main"


def test_the_profile_of_444_is_the_high_444_that_is_offered():
    assert profile_of("444") == (0xF4, 0)


@pytest.mark.parametrize(("chroma", "pixels", "span"), [("420", "yuv420p", LIMITED), ("444", "yuv444p", FULL)])
def test_the_stream_is_tagged_with_its_colours(chroma, pixels, span):
    unit = H264Encoder(SPECS[chroma], fps=30, max_bitrate=1_000_000, threads=1).encode(flat((200, 10, 10)))
    context = av.CodecContext.create("h264", "r")
    frame = (context.decode(av.Packet(unit.data)) + context.decode(None))[0]
    assert frame.format.name.replace("yuvj", "yuv") == pixels
    assert (frame.colorspace, frame.color_range) == (SMPTE170M, span)
    assert (frame.color_primaries, frame.color_trc) == (SMPTE170M, SMPTE170M)


def test_444_keeps_thin_coloured_lines():
    pixels = np.full((96, 96, 3), 255, np.uint8)
    pixels[:, 8::4] = (220, 30, 30)
    pixels[8::4] = (30, 60, 220)
    errors = {}
    for chroma in ("420", "444"):
        encoder = H264Encoder(SPECS[chroma], fps=30, max_bitrate=4_000_000, threads=1)
        picture = decoded([encoder.encode(Frame(pixels, n, 1_000_000 + n * 33_333)) for n in range(5)])[-1]
        errors[chroma] = float(np.mean((picture.astype(float) - pixels) ** 2))
    assert errors["444"] < errors["420"] / 30, "15 dB"


def test_a_keyframe_is_not_much_larger_than_the_frames_around_it():
    encoder = H264Encoder(CODECS["h264"], fps=30, max_bitrate=1_500_000, threads=1)
    units = [encoder.encode(frame, keyframe=frame.number == 40) for frame in moving(60)]
    deltas = [len(unit.data) for unit in units[20:] if not unit.keyframe]
    assert len(units[40].data) < 3 * sum(deltas) / len(deltas)


def test_after_a_fall_of_the_bitrate_the_keyframe_fits_it():
    encoder = H264Encoder(CODECS["h264"], fps=30, max_bitrate=20_000_000, threads=1)
    frames = moving(60, width=640, height=480)
    for frame in frames[:30]:
        encoder.encode(frame)
    encoder.set_rate(400_000)
    share = 400_000 / 8 / 30
    sizes = [len(encoder.encode(frame, keyframe=frame.number == 30).data) for frame in frames[30:]]
    assert sizes[0] < 8 * share
    assert sum(sizes[1:11]) < 15 * share


def test_a_bitrate_that_rises_far_is_reached_within_a_second_with_a_keyframe():
    encoder = H264Encoder(CODECS["h264"], fps=30, max_bitrate=20_000_000, threads=1)
    encoder.set_rate(500_000)
    frames = moving(120, width=640, height=480)
    units = []
    for frame in frames:
        encoder.set_rate({20: 700_000, 40: 450_000, 60: 8_000_000, 80: 9_000_000}.get(frame.number, encoder._target))
        units.append(encoder.encode(frame))
    # A second after it rose.
    assert [unit.number for unit in units if unit.keyframe] == [0, 91]
    spent = sum(len(unit.data) for unit in units[-25:]) * 8
    assert spent > 4 * sum(len(unit.data) for unit in units[30:55]) * 8


@pytest.mark.parametrize(
    ("fps", "target", "bitrate", "buffer_bits"),
    [
        # 0.15 s of the target, or 4.5 frames where those are longer.
        (60, 1_000_000, 9_000_000, 150_000),
        (20, 1_000_000, 4_500_000, 225_000),
        # Two frames at the highest bitrate, and three times that bitrate.
        (60, 20_000_000, 60_000_000, 666_667),
    ],
)
def test_the_buffer_holds_a_time_or_a_number_of_frames_of_the_target(monkeypatch, fps, target, bitrate, buffer_bits):
    options = {}

    def recording(context):
        options.update(context.options)
        return open_context(context)

    monkeypatch.setattr(h264, "open_context", recording)
    encoder = H264Encoder(CODECS["h264"], fps=fps, max_bitrate=20_000_000, threads=1)
    encoder.set_rate(target)
    encoder.encode(flat((1, 2, 3)))
    assert (int(options["maxrate"]), int(options["bufsize"])) == (bitrate, buffer_bits)


def test_a_keyframe_that_is_due_reaches_a_bitrate_that_rose():
    encoder = H264Encoder(CODECS["h264"], fps=30, max_bitrate=20_000_000, threads=1)
    encoder.set_rate(500_000)
    frames = moving(30, width=640, height=480)
    for frame in frames[:10]:
        encoder.encode(frame)
    encoder.set_rate(8_000_000)
    assert encoder.encode(frames[10], keyframe=True).keyframe
    assert encoder._opened_for == 8_000_000


@pytest.mark.parametrize("fps", [60, 20])
def test_frames_that_come_slower_than_announced_still_spend_the_target(fps):
    encoder = H264Encoder(CODECS["h264"], fps=60, max_bitrate=20_000_000, threads=1)
    encoder.set_rate(2_000_000)
    units = [encoder.encode(frame) for frame in moving(90, fps=fps, width=640, height=480)]
    spent = sum(len(unit.data) for unit in units[30:]) * 8 * fps / 60
    assert 0.7 * 2e6 < spent < 1.2 * 2e6


@pytest.mark.parametrize(
    ("size", "cores", "threads"),
    [((1, 1), 8, 1), ((640, 480), 8, 1), ((854, 480), 2, 1), ((854, 480), 4, 1), ((1120, 720), 16, 3)],
)
def test_small_pictures_have_few_slices_and_half_the_cores(size, cores, threads):
    assert slices_for(size[0], size[1], cores) == threads


@pytest.mark.parametrize(
    ("height", "cores", "threads"), [(1080, 1, 1), (1080, 2, 2), (1080, 4, 4), (1080, 64, 8), (720, 2, 2), (720, 16, 4)]
)
def test_a_large_picture_has_all_cores(height, cores, threads):
    assert slices_for(height * 16 // 9, height, cores) == threads


def test_the_better_preset_where_bits_are_scarce():
    assert preset_for(1280 * 720 * 30, 2, 1_000_000) == "superfast"
    assert preset_for(1280 * 720 * 30, 2, 8_000_000) == "ultrafast"
    assert preset_for(1920 * 1080 * 60, 2, 1_000_000) == "ultrafast"
