"""Measured times as figures, and figures as a table."""

from __future__ import annotations

import math

import pytest

from framewire.bench.figures import TITLES, Row, Spread, table


def test_a_spread_is_in_milliseconds() -> None:
    spread = Spread.of([n / 1000 for n in range(1, 101)])
    assert spread.p50_ms == pytest.approx(50.5) and spread.p95_ms == pytest.approx(95.05)
    assert spread.p99_ms == pytest.approx(99.01) and spread.mean_ms == pytest.approx(50.5)


def test_without_times_every_figure_is_nan() -> None:
    assert all(map(math.isnan, vars(Spread.of([])).values()))


def test_the_table_has_a_number_where_there_is_one_and_lines_of_one_length() -> None:
    rows = [
        Row("1280x720", "encode h264", Spread.of([0.008, 0.008]), fps=124.9, mbps=7.25),
        Row("1280x720", "publish()", Spread.of([0.000412] * 3), note="without a viewer"),
        Row("1280x720", "encode vp8", Spread.of([]), note="libvpx cannot be opened"),
    ]
    lines = table(rows).splitlines()
    assert len({len(line) for line in lines}) == 1
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == list(TITLES)
    assert cells[2] == ["1280x720", "encode h264", "8.0", "8.0", "8.0", "125", "7.2", "-", ""]
    assert cells[3] == ["1280x720", "publish()", "0.412", "0.412", "0.412", "-", "-", "-", "without a viewer"]
    assert cells[4][2:] == ["-"] * 6 + ["libvpx cannot be opened"]
