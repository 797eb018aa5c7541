"""When compressing a lossless unit gets it to the screen sooner."""

from __future__ import annotations

import pytest

from framewire.engine.stream.compression import (
    RETRY_COMPRESSION_AFTER_S,
    SMALL_UNIT_BYTES,
    UNPACK_BYTES_PER_S,
    CompressionChoice,
    CompressionTrial,
)

FRAME_BYTES = 6_220_800


def known(*, link_mbps: float, ratio: float, pack_ms: float) -> CompressionChoice:
    """What is known once a frame was compressed at 100 s and has arrived."""
    trial = CompressionTrial(FRAME_BYTES, int(FRAME_BYTES * ratio), pack_ms / 1000, 100.0)
    return CompressionChoice().tried(trial).arrived(FRAME_BYTES, FRAME_BYTES * 8 / (link_mbps * 1e6))


@pytest.mark.parametrize(
    ("link_mbps", "ratio", "pack_ms", "compress"),
    [(8000, 0.02, 2, False), (8000, 1.0, 20, False), (100, 0.02, 2, True), (100, 1.0, 20, False)],
)
def test_raw_wins_on_a_fast_link_and_compressed_on_a_slow_one(
    link_mbps: float, ratio: float, pack_ms: float, compress: bool
) -> None:
    assert known(link_mbps=link_mbps, ratio=ratio, pack_ms=pack_ms).compress(FRAME_BYTES, 101.0) is compress


def test_the_first_unit_over_an_unknown_link_is_compressed() -> None:
    trial = CompressionTrial(1000, 1000, 1.0, 0.0)
    assert CompressionChoice().tried(trial).compress(1000, 0.1)


def test_compression_is_measured_again() -> None:
    choice = known(link_mbps=8000, ratio=1.0, pack_ms=20)
    assert RETRY_COMPRESSION_AFTER_S == 2.0
    assert not choice.compress(1000, 101.999)
    assert choice.compress(1000, 102.0)
    assert CompressionChoice().arrived(1000, 0.1).compress(1000, 0.0), "it was never measured"


def test_packing_time_counts() -> None:
    # Raw takes 49.8 ms on this link, half of it 24.9 ms; unpacking takes 12.4 ms.
    assert known(link_mbps=1000, ratio=0.5, pack_ms=12).compress(FRAME_BYTES, 101.0)
    assert not known(link_mbps=1000, ratio=0.5, pack_ms=13).compress(FRAME_BYTES, 101.0)


def test_unpacking_in_the_browser_counts() -> None:
    # Nothing left to send and no time to pack: raw takes longer than unpacking at 500 MB/s below 4 Gbit/s.
    assert known(link_mbps=3990, ratio=0.0, pack_ms=0).compress(FRAME_BYTES, 101.0)
    assert not known(link_mbps=4010, ratio=0.0, pack_ms=0).compress(FRAME_BYTES, 101.0)


def test_units_that_take_equally_long_are_not_compressed() -> None:
    choice = CompressionChoice(UNPACK_BYTES_PER_S, CompressionTrial(1000, 0, 0.0, 0.0))
    assert not choice.compress(1000, 1.0)


def test_what_is_measured_of_one_size_holds_for_others() -> None:
    choice = known(link_mbps=100, ratio=0.02, pack_ms=2)
    assert choice.compress(FRAME_BYTES // 100, 101.0)


def test_small_units_do_not_lower_the_link_estimate() -> None:
    choice = CompressionChoice().arrived(SMALL_UNIT_BYTES, 0.001)
    assert choice.link_bytes_per_s == 1e8 and SMALL_UNIT_BYTES == 100_000
    assert choice.arrived(SMALL_UNIT_BYTES - 1, 0.005) == choice, "that was the round trip"
    slower = choice.arrived(SMALL_UNIT_BYTES, 0.005)
    assert slower.link_bytes_per_s == pytest.approx(0.7 * 1e8 + 0.3 * 2e7)
    faster = choice.arrived(50_000, 0.0001)
    assert faster.link_bytes_per_s == pytest.approx(0.7 * 1e8 + 0.3 * 5e8)


def test_a_small_unit_is_better_than_no_estimate() -> None:
    assert CompressionChoice().arrived(1000, 0.1).link_bytes_per_s == pytest.approx(10_000)


def test_the_link_estimate_is_smoothed() -> None:
    choice = CompressionChoice().arrived(1_000_000, 0.01).arrived(1_000_000, 0.1)
    assert choice.link_bytes_per_s == pytest.approx(1e8 + 0.3 * (1e7 - 1e8))


def test_a_credit_at_once_is_a_fast_link() -> None:
    assert CompressionChoice().arrived(1_000_000, 0.0).link_bytes_per_s == pytest.approx(1e10)
