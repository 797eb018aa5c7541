"""The numbers and timestamps of media packets."""

from __future__ import annotations

import pytest

from framewire.frame import rtp_timestamp
from framewire.rtc.rtp.header_extensions import HeaderExtensions
from framewire.rtc.rtp.packets import RtpOrigin
from framewire.rtc.send.media_packets import MediaPackets
from tests.rtc.rig import unit

EXTENSIONS = HeaderExtensions({}, "")


@pytest.fixture
def media():
    return MediaPackets(RtpOrigin(7, 65_534))


def make(media: MediaPackets, **options):
    return media.make(unit(**options), 99, EXTENSIONS)


def test_packets_are_numbered_on_and_the_last_of_a_unit_is_marked(media):
    packets = make(media, parts=3) + make(media, parts=2)
    assert [packet.sequence for packet in packets] == [65_534, 65_535, 0, 1, 2]
    assert [packet.marker for packet in packets] == [False, False, True, False, True]
    assert [packet.payload for packet in packets] == [b"p0", b"p1", b"p2", b"p0", b"p1"]
    assert {(packet.ssrc, packet.payload_type) for packet in packets} == {(7, 99)}
    assert media.first == 1


def test_the_timestamp_is_the_publish_time(media):
    assert {packet.timestamp for packet in make(media, time_us=1_234_567_890)} == {rtp_timestamp(1_234_567_890)}
    assert media.timestamp == rtp_timestamp(1_234_567_890)


def test_after_hours_of_silence_time_moves_on(media):
    make(media, time_us=0)
    assert make(media, time_us=30_000_000_000)[0].timestamp == rtp_timestamp(30_000_000_000)


@pytest.mark.parametrize("again_us", [5_000_000, 4_000_000])
def test_a_frame_sent_again_or_out_of_time_is_a_new_frame_to_the_viewer(media, again_us):
    times = [make(media, time_us=time_us)[0].timestamp for time_us in (5_000_000, again_us, again_us, 6_000_000)]
    first = rtp_timestamp(5_000_000)
    assert times == [first, first + 1, first + 2, rtp_timestamp(6_000_000)]


@pytest.mark.parametrize(("last", "following"), [(0xFFFFFFFF, 0), (0x7FFFFFFF, 0x80000000)])
def test_timestamps_use_all_of_32_bits(media, last, following):
    assert make(media, time_us=-(-last * 100 // 9))[0].timestamp == last
    assert make(media, time_us=0)[0].timestamp == following


def test_a_stream_may_begin_at_the_epoch(media):
    assert make(media, time_us=0)[0].timestamp == 0
    assert make(media, time_us=0)[0].timestamp == 1


def test_what_a_keyframe_makes_needless_is_not_useful(media):
    make(media, parts=3)
    make(media, parts=3, keyframe=True)
    make(media, parts=1)
    assert media.useful([65_534, 65_535, 0, 1, 2, 3, 4]) == [1, 2, 3, 4]


def test_packets_stay_useful_however_long_ago_the_keyframe_was(media):
    make(media, parts=10, keyframe=True)
    for _ in range(2 * 65_536 // 100):
        make(media, parts=100)
        newest = (media.first + 99) & 0xFFFF
        assert media.useful([newest]) == [newest]
        assert all(0 <= number <= 0xFFFF for number in (media.first, newest))


def test_sequence_numbers_use_all_of_sixteen_bits():
    media = MediaPackets(RtpOrigin(7, 32_760))
    packets = make(media, parts=10) + make(media, parts=10)
    assert [packet.sequence for packet in packets] == list(range(32_760, 32_780))


def test_a_keyframe_counts_as_16384_packets_ago_at_most(media):
    make(media, parts=0x4000 - 100, keyframe=True)
    keyframe = media.first
    make(media, parts=100)
    make(media, parts=1)
    assert media.useful([keyframe]) == [keyframe], "just as many"
    make(media, parts=1)
    assert media.useful([keyframe, keyframe + 1]) == [keyframe + 1]


def test_packets_long_before_the_newest_are_not_useful(media):
    make(media, parts=10, keyframe=True)
    for _ in range(300):
        make(media, parts=100)
    old = (media.first - 0x4000) & 0xFFFF
    assert media.useful([(old - 1) & 0xFFFF, old]) == [old]
