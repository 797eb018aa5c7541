"""Outcomes as tables and files."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from benchmarks.numbers import Outcome
from benchmarks.report import over_time, table, tables, write

EVEN = Outcome("ours", "720p30", "video", fps=30.0, p50_ms=20.0, shown=[(n / 30, 20.0 + n % 7) for n in range(120)])
RIVAL = Outcome("aiortc", "720p30", "video", fps=30.0, p50_ms=50.0)
FALLING = Outcome("ours", "rate-20-2-20", "video", p50_ms=60.0, fall_behind_ms=1234.0, stable_s=math.inf, used_s=2.34)


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]


def test_latency_is_compared_with_other_systems_in_the_same_scenario():
    titles, _, ours, theirs, other = cells(table([EVEN, RIVAL, FALLING]))
    at = titles.index("p50 / aiortc")
    assert (ours[at], theirs[at], other[at]) == ("0.40", "1.00", "-")


def test_the_second_table_has_only_scenarios_in_which_something_changes():
    assert over_time([EVEN, RIVAL]) == "" and tables([EVEN]) == table([EVEN])
    titles, _, row = cells(over_time([EVEN, FALLING]))
    said = dict(zip(titles, row, strict=True))
    assert said["over time"] == "rate-20-2-20" and said["behind after fall ms"] == "1234"
    assert (said["stable after s"], said["used after s"], said["sharp ms"]) == ("never", "2.3", "-")


def test_a_failed_run_has_its_error_in_the_table():
    row = cells(table([Outcome("pdum.rfb", "720p30", error="no Python 3.12")]))[2]
    assert row[:2] == ["720p30", "pdum.rfb: no Python 3.12"] and not any(row[2:])


def test_all_runs_are_saved_and_plotted(tmp_path):
    pytest.importorskip("matplotlib")
    octets = [(n / 5, n * 200_000) for n in range(20)]
    played = Outcome("ours", "lossy-1%", shown=EVEN.shown, octets=octets, link_mbps=[(0.0, 20.0), (2.0, 2.0)])
    silent = Outcome("theirs", "lossy-1%", error="no picture")
    folder = write([played, silent], [played, silent], tmp_path)
    assert {file.name for file in folder.iterdir()} == {"table.md", "results.json", "lossy-1.png"}
    written = json.loads((folder / "results.json").read_text())["outcomes"][0]
    assert np.array_equal(written["octets"], octets) and written["link_mbps"] == [[0.0, 20.0], [2.0, 2.0]]
