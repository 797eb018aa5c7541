"""Whether viewers that went leave anything behind: the arithmetic of the verdict, and a short run with real ones."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.soak import MIN_SLOPE_S, SETTLE_S, Sample, faults, slope, table
from benchmarks.systems import environment

ROOT = Path(__file__).parent.parent.parent
BEFORE = Sample(at=-1.0, viewers=0, engine_mib=60.0, threads=4, fds=10, tasks=9, publisher_mib=50.0, cpu=1.0)
AFTER = replace(BEFORE, at=640.0, engine_mib=75.0, cpu=100.0)
COUNTS = {"came": 100, "watched": 90}


def looks(engine=lambda minute: 80.0, publisher=lambda minute: 50.0, seconds=600):
    return [
        replace(BEFORE, at=at, viewers=3, engine_mib=engine(at / 60), publisher_mib=publisher(at / 60), came=int(at))
        for at in map(float, range(5, seconds + 5, 5))
    ]


def test_memory_that_levels_off_is_no_leak():
    # Pools fill up in the first minutes; after that it goes up and down.
    samples = looks(lambda minute: min(60 + 10 * minute, 90) + (minute * 7 % 2))
    assert slope(samples, "engine_mib") == pytest.approx(0, abs=0.3)
    assert faults(BEFORE, samples, AFTER, COUNTS) == []


@pytest.mark.parametrize("whose", ["engine", "publisher"])
def test_memory_that_keeps_growing_is_a_leak(whose):
    samples = looks(**{whose: lambda minute: 60 + 2 * minute})
    assert slope(samples, f"{whose}_mib") == pytest.approx(2)
    (fault,) = faults(BEFORE, samples, AFTER, COUNTS)
    assert whose in fault and "2.00 MiB" in fault


def test_in_a_long_run_a_mib_an_hour_is_the_limit():
    steady, growing = (looks(lambda minute, each=each: 60 + each * minute / 60, seconds=7200) for each in (0.9, 1.1))
    assert faults(BEFORE, steady, AFTER, COUNTS) == []
    (fault,) = faults(BEFORE, growing, AFTER, COUNTS)
    assert fault == "the engine's memory grows by 0.02 MiB a minute"
    assert "engine: +1.10 MiB an hour after the warm-up" in table(BEFORE, growing, AFTER)


def test_a_short_run_has_no_slope():
    samples = looks(lambda minute: 60 + 50 * minute, seconds=int(MIN_SLOPE_S) - 5)
    assert slope(samples, "engine_mib") is None and slope([], "engine_mib") is None
    assert faults(BEFORE, samples, AFTER, COUNTS) == []


@pytest.mark.parametrize(
    ("after", "counts", "word"),
    [
        (replace(AFTER, viewers=2), COUNTS, "2 viewers"),
        (replace(AFTER, fds=13), COUNTS, "3 more descriptors"),
        (replace(AFTER, tasks=12), COUNTS, "3 more tasks"),
        (replace(AFTER, threads=5), COUNTS, "5 threads, and 4 at most"),
        (AFTER, {"came": 100}, "no guest saw"),
        (AFTER, {**COUNTS, "never saw a frame": 5}, "5 of 100"),
    ],
)
def test_what_is_left_is_reported(after, counts, word):
    (fault,) = faults(BEFORE, looks(), after, counts)
    assert word in fault


def test_the_table_has_a_row_a_minute():
    rows = table(BEFORE, looks(lambda minute: 60 + 3 * minute), AFTER).splitlines()
    assert [row.split()[0] for row in rows[1:]][:3] == ["before", "1", "2"]
    assert "+3.00 MiB a minute" in rows[-2]


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_viewers_that_come_and_go_leave_nothing_behind(tmp_path):
    output = tmp_path / "soak.json"
    command = [sys.executable, "-m", "benchmarks.soak", "--minutes", "0.3", "--every", "2", "--guests", "3"]
    command += ["--size", "320x180", "--output", str(output)]
    ended = subprocess.run(
        command, cwd=ROOT, env=environment(), timeout=60 + SETTLE_S, capture_output=True, text=True, check=False
    )
    result = json.loads(output.read_text())
    assert ended.returncode == 0 and result["faults"] == [], ended.stdout
    assert result["after"]["viewers"] == 0 and result["counts"]["watched"] >= 3
    assert max(sample["viewers"] for sample in result["samples"]) >= 1


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.timeout(180)
def test_tabs_that_are_killed_leave_nothing_behind(tmp_path):
    output = tmp_path / "soak.json"
    command = [sys.executable, "-m", "benchmarks.soak", "--visits", "3", "--ending", "tab_is_killed", "--every", "1"]
    command += ["--guests", "2", "--size", "320x180", "--fps", "10", "--output", str(output)]
    ended = subprocess.run(
        command, cwd=ROOT, env=environment(), timeout=100 + SETTLE_S, capture_output=True, text=True, check=False
    )
    result = json.loads(output.read_text())
    assert ended.returncode == 0 and result["faults"] == [], ended.stdout
    assert result["counts"]["tab_is_killed"] >= 1
