"""Writes outcomes as a Markdown table, JSON and plots. Must not know how anything was measured."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.numbers import Outcome

RIVALS = ("pdum.rfb", "aiortc")
"""Ratios compare with these systems, in the same scenario of the same run."""


NOTHING = "-"
COLUMNS = (
    ("fps", "fps", 1),
    ("p50 ms", "p50_ms", 1),
    ("p95", "p95_ms", 1),
    ("p99", "p99_ms", 1),
    ("gap ms", "gap_ms", 0),
    ("frozen s", "frozen_s", 1),
    ("PSNR dB", "psnr_db", 1),
    ("colour dB", "colour_db", 1),
    ("err p99", "error_p99", 0),
    ("Mbps", "mbps", 1),
    ("CPU srv %", "cpu_server", 0),
    ("CPU brw %", "cpu_browser", 0),
    ("mem MB", "memory_mb", 0),
    ("first ms", "first_ms", 0),
    ("others %", "others", 0),
)
"""Title, field of `Outcome`, digits."""
OVER_TIME = (
    ("behind after fall ms", "fall_behind_ms", 0),
    ("stable after s", "stable_s", 1),
    ("p95 then ms", "narrow_p95_ms", 0),
    ("behind after rise ms", "rise_behind_ms", 0),
    ("demand Mbps", "demand_mbps", 1),
    ("link Mbps", "offered_mbps", 1),
    ("used after s", "used_s", 1),
    ("last frame ms", "correct_ms", 0),
    ("sharp ms", "settled_ms", 0),
    ("at rest kbps", "rest_kbps", 1),
)
"""The same for scenarios in which something changes: a link whose rate falls and rises, motion that ends."""


def _text(value: float, digits: int) -> str:
    if math.isnan(value):
        return NOTHING
    return "never" if math.isinf(value) else f"{value:.{digits}f}"


def table(outcomes: Sequence[Outcome]) -> str:
    """All rows, scenario by scenario, with the ratio of the median latency to each rival's."""
    titles = ["scenario", "system", "by", *(title for title, _, _ in COLUMNS), *(f"p50 / {rival}" for rival in RIVALS)]
    rows = []
    for scenario in dict.fromkeys(outcome.scenario for outcome in outcomes):
        block = [outcome for outcome in outcomes if outcome.scenario == scenario]
        rivals = [next((o.p50_ms for o in block if o.system == name), math.nan) for name in RIVALS]
        rows += [_row(outcome, rivals) for outcome in block]
    return _markdown(titles, rows, words=3)


def over_time(outcomes: Sequence[Outcome]) -> str:
    """The rows of scenarios in which something changes; empty where there are none."""
    rows = [
        [outcome.scenario, outcome.system, *(_text(getattr(outcome, name), digits) for _, name, digits in OVER_TIME)]
        for outcome in outcomes
        if not all(math.isnan(getattr(outcome, name)) for _, name, _ in OVER_TIME)
    ]
    return _markdown(["over time", "system", *(title for title, _, _ in OVER_TIME)], rows, words=2) if rows else ""


def tables(outcomes: Sequence[Outcome]) -> str:
    """All tables."""
    return "\n\n".join(filter(None, (table(outcomes), over_time(outcomes))))


def _markdown(titles: list[str], rows: Sequence[list[str]], words: int) -> str:
    """The first ``words`` columns are aligned left, the others right."""
    lines = [titles, ["---"] * words + ["---:"] * (len(titles) - words), *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(titles))]
    pad = [str.ljust] * words + [str.rjust] * (len(titles) - words)
    padded = [[p(cell, w) for p, cell, w in zip(pad, line, widths, strict=True)] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def _row(outcome: Outcome, rivals: Sequence[float]) -> list[str]:
    if outcome.error:
        # No column of its own: errors are rare and long.
        return [outcome.scenario, f"{outcome.system}: {outcome.error}", ""] + [""] * (len(COLUMNS) + len(rivals))
    numbers = [_text(getattr(outcome, name), digits) for _, name, digits in COLUMNS]
    ratios = [_text(outcome.p50_ms / rival if rival else math.nan, 2) for rival in rivals]
    return [outcome.scenario, outcome.system, outcome.shown_by, *numbers, *ratios]


def write(outcomes: Sequence[Outcome], runs: Iterable[Outcome], folder: Path) -> Path:
    """Table, JSON (every run) and plots, in a folder of their own; returns it."""
    folder = folder / datetime.now().strftime("%Y%m%d-%H%M%S")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text(tables(outcomes) + "\n")
    facts = {"machine": machine(), "outcomes": [asdict(outcome) for outcome in runs]}
    (folder / "results.json").write_text(json.dumps(facts, default=float))
    _plots(outcomes, folder)
    return folder


def machine() -> dict[str, Any]:
    return {"system": platform.platform(), "python": platform.python_version(), "cores": os.cpu_count()}


def _plots(outcomes: Sequence[Outcome], folder: Path) -> None:
    """Latency as a distribution, frames a second and bitrate over time. None without Matplotlib."""
    try:
        import matplotlib as mpl
    except ImportError:
        return
    mpl.use("Agg")
    for scenario in dict.fromkeys(outcome.scenario for outcome in outcomes):
        _plot([o for o in outcomes if o.scenario == scenario and o.shown], scenario, folder)


def _plot(outcomes: Sequence[Outcome], scenario: str, folder: Path) -> None:
    from matplotlib import pyplot as plt

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(16, 4.5), layout="constrained")
    for outcome in outcomes:
        at, delay = np.array(sorted(outcome.shown)).T
        ordered = np.sort(delay)
        left.plot(ordered, np.arange(1, len(ordered) + 1) / len(ordered), label=outcome.system)
        middle.plot(*_a_second(at), label=outcome.system)
        if len(outcome.octets) > 1:
            right.plot(*_mbps(outcome.octets), label=outcome.system)
    if outcomes and (steps := outcomes[0].link_mbps):
        starts, rates = zip(*steps, strict=True)
        ends = right.get_xlim()[1]
        right.step([*starts, ends], [*rates, rates[-1]], where="post", color="0.6", linestyle="--", label="link")
    left.set(title=f"{scenario}: publish to screen", xlabel="ms", ylabel="share of frames", xscale="log", ylim=(0, 1))
    middle.set(title="frames shown", xlabel="s", ylabel="a second", ylim=(0, None))
    right.set(title="from the server", xlabel="s", ylabel="Mbps", ylim=(0, None))
    # Print 10 and 100, not powers of ten.
    left.xaxis.set_major_formatter("{x:g}")
    left.xaxis.set_minor_formatter("{x:g}")
    left.tick_params(axis="x", which="minor", labelsize=7)
    for each in (left, right):
        each.legend()
    figure.savefig(folder / f"{scenario.replace('%', '')}.png", dpi=110)
    plt.close(figure)


def _a_second(at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frames a second, at the middle of each half second."""
    # The rest at the end is shorter than half a second, and is left out.
    counts, edges = np.histogram(at, bins=np.arange(0, at.max() + 0.1, 0.5))
    return edges[:-1] + 0.25, counts / 0.5


def _mbps(octets: Sequence[tuple[float, int]]) -> tuple[np.ndarray, np.ndarray]:
    """The mean of each half second, at its middle."""
    at, so_far = np.array(octets).T
    edges = np.arange(at[0], at[-1], 0.5)
    return edges[:-1] + 0.25, np.diff(np.interp(edges, at, so_far)) * 8e-6 / 0.5
