"""What one more viewer costs: the arithmetic, and a short run with real ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.systems import environment
from benchmarks.viewers import Run, line, table

ROOT = Path(__file__).parent.parent.parent


def run(viewers, cpu):
    return Run(viewers, cpu, cpu / 4, 150, 150, 700.0, 7.0, 30.0, p50_ms=9.0, p95_ms=12.0, encodings=("h264",))


def test_the_line_is_what_the_stream_costs_and_what_each_viewer_adds():
    runs = [run(viewers, 30 + 2 * viewers) for viewers in (1, 2, 4, 8, 16)]
    assert line(runs) == pytest.approx((30, 2))
    assert "engine = 30.0 % + 2.00 % x viewers" in table(runs)


def test_one_run_is_no_line():
    assert "x viewers" not in table([run(4, 40)])


@pytest.mark.slow
def test_two_viewers_are_served_from_one_encoding(tmp_path):
    output = tmp_path / "viewers.json"
    options = ["--counts", "1,2", "--size", "320x240", "--seconds", "1", "--warm-up", "0.5", "--output", str(output)]
    command = [sys.executable, "-m", "benchmarks.viewers", *options]
    subprocess.run(command, cwd=ROOT, env=environment(), check=True, timeout=90, capture_output=True)
    result = json.loads(output.read_text())
    assert [each["viewers"] for each in result["runs"]] == [1, 2]
    for each in result["runs"]:
        assert each["fps"] > 5
        # The engine speaks once a second, so the two counts are of slightly different seconds.
        assert each["encodes"] <= 2.5 * 30
