"""What every encoder promises, tested with each. What only one does is in its own file."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from framewire.codec.encoders import available_codecs, open_encoder
from framewire.codecs import CODECS
from framewire.errors import EncoderError
from framewire.frame import Frame
from tests.codec.scenes import decoded, flat, megabits, moving


@pytest.fixture(params=CODECS)
def codec(request):
    return request.param


def opened(codec, *, fps=30.0, max_bitrate=2_000_000):
    return open_encoder(codec, fps=fps, max_bitrate=max_bitrate, threads=1)


def test_pyavs_wheel_has_every_codec():
    assert available_codecs() == tuple(CODECS)


def test_a_library_without_the_pixel_format_is_not_available(monkeypatch):
    monkeypatch.setitem(CODECS, "h264_444", replace(CODECS["h264_444"], library="libvpx"))
    assert set(CODECS) - set(available_codecs()) == {"h264_444"}


def test_a_library_that_ffmpeg_lacks_is_not_available(monkeypatch):
    monkeypatch.setattr("av.codecs_available", {"libvpx"})
    assert available_codecs() == ("vp8",)


def test_an_unknown_codec_is_named_with_those_that_are_available():
    with pytest.raises(EncoderError, match=f"'mpeg1'.*{', '.join(CODECS)}"):
        open_encoder("mpeg1", fps=30, max_bitrate=1_000_000)


def test_importing_the_package_does_not_load_pyav():
    code = "import sys, framewire.codec; print('av' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_one_unit_for_each_frame_and_only_the_first_a_keyframe(codec):
    frames = moving(12)
    encoder = opened(codec)
    assert encoder.codec == codec
    units = [encoder.encode(frame) for frame in frames]
    assert [unit.keyframe for unit in units] == [True] + [False] * 11
    assert [(u.number, u.time_us, u.width, u.height, u.codec) for u in units] == [
        (f.number, f.time_us, f.width, f.height, codec) for f in frames
    ]
    pictures = decoded(units)
    assert len(pictures) == 12
    assert pictures[0].shape == (240, 320, 3)


def test_a_decoder_can_start_at_a_requested_keyframe(codec):
    encoder = opened(codec)
    units = [encoder.encode(frame, keyframe=frame.number == 5) for frame in moving(10)]
    assert [unit.number for unit in units if unit.keyframe] == [0, 5]
    late, whole = decoded(units[5:]), decoded(units)[5:]
    for one, other in zip(late, whole, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("rgb", [(255, 0, 0), (0, 160, 90), (20, 40, 200), (128, 128, 128)])
def test_flat_colours_are_kept(codec, rgb):
    encoder = opened(codec)
    picture = decoded([encoder.encode(flat(rgb, number)) for number in range(3)])[-1]
    assert np.abs(picture.astype(int) - rgb).max() <= 4


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (17, 33), (481, 641)])
def test_any_size_and_pixel_format_is_encoded(codec, size, channels):
    unit = opened(codec).encode(Frame(np.full((*size, channels), 90, np.uint8), 3, 1_000_000))
    picture = decoded([unit])[0]
    assert (unit.height, unit.width) == size
    assert np.abs(picture[: size[0], : size[1]].astype(int) - 90).max() <= 4


def test_a_new_size_starts_over_with_a_keyframe(codec):
    encoder = opened(codec)
    frames = [flat((9, 9, 9), 0), flat((9, 9, 9), 1), flat((9, 9, 9), 2, width=96), flat((9, 9, 9), 3, width=96)]
    units = [encoder.encode(frame) for frame in frames]
    assert [unit.keyframe for unit in units] == [True, False, True, False]
    assert decoded(units[2:])[-1].shape == (48, 96, 3)


def test_sizes_with_the_same_padded_picture_need_no_keyframe(codec):
    encoder = opened(codec)
    units = [encoder.encode(flat((9, 9, 9), number, width=63 + number)) for number in range(2)]
    assert [(unit.width, unit.keyframe) for unit in units] == [(63, True), (64, False)]


def test_the_bitrate_follows_without_a_keyframe(codec):
    encoder = opened(codec)
    rates = {}
    start = 0
    for target in (2.0, 0.5, 1.5):
        encoder.set_rate(round(target * 1e6))
        units = [encoder.encode(frame) for frame in moving(45, start=start)]
        start += 45
        assert not any(unit.keyframe for unit in units[1:])
        rates[target] = megabits(units[15:], 30)
    for target, rate in rates.items():
        assert 0.5 * target <= rate <= 1.3 * target, rates


def test_the_bitrate_counts_time_and_not_frames(codec):
    # Frames that come at a third of the rate that was announced spend as much a second.
    encoder = opened(codec, fps=60, max_bitrate=6_000_000)
    encoder.set_rate(600_000)
    units = [encoder.encode(frame) for frame in moving(60, fps=20)]
    assert 0.3 <= megabits(units[20:], 20) <= 0.8


def test_absurd_bitrates_are_clamped(codec):
    encoder = opened(codec)
    for rate in (0, -5, 10**12):
        encoder.set_rate(rate)
        assert encoder.encode(flat((1, 2, 3))).data


def test_the_same_frame_again_is_a_new_unit(codec):
    encoder = opened(codec)
    frame = flat((50, 60, 70))
    assert len(decoded([encoder.encode(frame) for _ in range(5)])) == 5


def test_a_clock_that_is_set_back_does_not_stop_the_encoder(codec):
    encoder = opened(codec)
    frames = moving(6)
    back = [Frame(f.pixels, f.number, f.time_us - 3_600_000_000 * (f.number > 2)) for f in frames]
    assert len(decoded([encoder.encode(frame) for frame in back])) == 6


def test_after_a_frame_that_fails_the_encoder_still_works(codec):
    encoder = opened(codec)
    units = [encoder.encode(flat((1, 2, 3)))]
    with pytest.raises(EncoderError, match="20000"):
        encoder.encode(Frame(np.zeros((2, 20_000, 1), np.uint8), 1, 2_000_000))
    units.append(encoder.encode(flat((200, 0, 0), 2)))
    assert abs(int(decoded(units)[-1][0, 0, 0]) - 200) <= 4


def test_a_first_frame_that_is_too_large_raises(codec):
    encoder = opened(codec)
    for number in range(2):
        with pytest.raises(EncoderError):
            encoder.encode(Frame(np.zeros((20_000, 2, 1), np.uint8), number, 2_000_000))


def test_an_encoder_can_be_closed_twice_and_used_again(codec):
    encoder = opened(codec)
    encoder.encode(flat((1, 2, 3)))
    encoder.close()
    encoder.close()
    assert encoder.encode(flat((1, 2, 3), 1)).keyframe
