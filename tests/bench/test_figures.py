"""Measured times as figures, and figures as a table."""

from __future__ import annotations

import math

import pytest

from framewire.bench.figures import Row, Spread, table


def test_a_spread_is_in_milliseconds() -> None:
    spread = Spread.of([n / 1000 for n in range(1, 101)])
    assert spread.p50_ms == pytest.approx(50.5) and spread.p95_ms == pytest.approx(95.05)
    assert spread.p99_ms == pytest.approx(99.01) and spread.mean_ms == pytest.approx(50.5)


def test_without_times_every_figure_is_nan() -> None:
    assert all(map(math.isnan, vars(Spread.of([])).values()))


def test_a_table_is_padded_text_to_the_left_and_numbers_to_the_right() -> None:
    rows = [
        Row("8x4", "encode h264", Spread.of([0.008, 0.008]), fps=124.9, mbps=7.25, ratio=2.36),
        Row("1280x720", "publish()", Spread.of([0.000412] * 3), note="without a viewer"),
        Row("1280x720", "encode vp8", Spread.of([]), note="no libvpx"),
    ]
    assert table(rows).splitlines() == [
        "| size     | what        | p50 ms | p95 ms | p99 ms | frames/s | Mbps | raw : packed |                  |",
        "| ---      | ---         |   ---: |   ---: |   ---: |     ---: | ---: |         ---: | ---              |",
        "| 8x4      | encode h264 |    8.0 |    8.0 |    8.0 |      125 |  7.2 |          2.4 |                  |",
        "| 1280x720 | publish()   |  0.412 |  0.412 |  0.412 |        - |    - |            - | without a viewer |",
        "| 1280x720 | encode vp8  |      - |      - |      - |        - |    - |            - | no libvpx        |",
    ]


@pytest.mark.parametrize(("median_ms", "shown"), [(0.9994, "0.999"), (1.0, "1.0"), (1.5, "1.5")])
def test_times_below_a_millisecond_have_more_digits(median_ms: float, shown: str) -> None:
    spread = Spread(median_ms, median_ms, median_ms, median_ms)
    assert table([Row("8x4", "publish()", spread)]).splitlines()[2].split("|")[3].strip() == shown
