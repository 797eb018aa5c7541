"""From outcomes to what people read: a Markdown table, JSON, plots. Must not know how anything was measured."""

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
"""Whom ratios are taken against, in the same scenario of the same run."""


NOTHING = "-"
COLUMNS = (
    ("fps", "fps", 1),
    ("p50 ms", "p50_ms", 1),
    ("p95", "p95_ms", 1),
    ("p99", "p99_ms", 1),
    ("gap ms", "gap_ms", 0),
    ("frozen s", "frozen_s", 1),
    ("PSNR dB", "psnr_db", 1),
    ("err p99", "error_p99", 0),
    ("Mbps", "mbps", 1),
    ("CPU srv %", "cpu_server", 0),
    ("CPU brw %", "cpu_browser", 0),
    ("mem MB", "memory_mb", 0),
    ("first ms", "first_ms", 0),
    ("sharp ms", "settled_ms", 0),
    ("others %", "others", 0),
)
"""Title, field of `Outcome`, digits."""


def _text(value: float, digits: int) -> str:
    if math.isnan(value):
        return NOTHING
    return "never" if math.isinf(value) else f"{value:.{digits}f}"


def table(outcomes: Sequence[Outcome]) -> str:
    """All rows, scenario by scenario, with the ratio of the median latency to each rival's."""
    titles = ["scenario", "system", "by", *(title for title, _, _ in COLUMNS), *(f"p50 / {rival}" for rival in RIVALS)]
    rows = [titles, ["---"] * 3 + ["---:"] * (len(titles) - 3)]
    for scenario in dict.fromkeys(outcome.scenario for outcome in outcomes):
        block = [outcome for outcome in outcomes if outcome.scenario == scenario]
        rivals = [next((o.p50_ms for o in block if o.system == name), math.nan) for name in RIVALS]
        rows += [_row(outcome, rivals) for outcome in block]
    widths = [max(len(row[i]) for row in rows) for i in range(len(titles))]
    pad = [str.ljust] * 3 + [str.rjust] * (len(titles) - 3)
    lines = [[p(cell, w) for p, cell, w in zip(pad, row, widths, strict=True)] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _row(outcome: Outcome, rivals: Sequence[float]) -> list[str]:
    if outcome.error:
        # Not a column of its own: errors are rare, and long.
        return [outcome.scenario, f"{outcome.system}: {outcome.error}", ""] + [""] * (len(COLUMNS) + len(rivals))
    numbers = [_text(getattr(outcome, name), digits) for _, name, digits in COLUMNS]
    ratios = [_text(outcome.p50_ms / rival if rival else math.nan, 2) for rival in rivals]
    return [outcome.scenario, outcome.system, outcome.shown_by, *numbers, *ratios]


def write(outcomes: Sequence[Outcome], runs: Iterable[Outcome], folder: Path) -> Path:
    """Table, JSON (every run) and plots, in a folder of their own; returns it."""
    folder = folder / datetime.now().strftime("%Y%m%d-%H%M%S")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text(table(outcomes) + "\n")
    facts = {"machine": machine(), "outcomes": [asdict(outcome) for outcome in runs]}
    (folder / "results.json").write_text(json.dumps(facts, default=float))
    _plots(outcomes, folder)
    return folder


def machine() -> dict[str, Any]:
    return {"system": platform.platform(), "python": platform.python_version(), "cores": os.cpu_count()}


def _plots(outcomes: Sequence[Outcome], folder: Path) -> None:
    """Latency as a distribution, and frames a second over time. None without Matplotlib."""
    try:
        import matplotlib as mpl
    except ImportError:
        return
    mpl.use("Agg")
    for scenario in dict.fromkeys(outcome.scenario for outcome in outcomes):
        _plot([o for o in outcomes if o.scenario == scenario and o.shown], scenario, folder)


def _plot(outcomes: Sequence[Outcome], scenario: str, folder: Path) -> None:
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
    for outcome in outcomes:
        at, delay = np.array(sorted(outcome.shown)).T
        ordered = np.sort(delay)
        left.plot(ordered, np.arange(1, len(ordered) + 1) / len(ordered), label=outcome.system)
        counts, edges = np.histogram(at, bins=np.arange(0, at.max() + 1, 0.5))
        right.plot(edges[:-1], counts / 0.5, label=outcome.system)
    left.set(title=f"{scenario}: publish to screen", xlabel="ms", ylabel="share of frames", xscale="log", ylim=(0, 1))
    right.set(title="frames shown", xlabel="s", ylabel="a second", ylim=(0, None))
    left.legend()
    figure.savefig(folder / f"{scenario.replace('%', '')}.png", dpi=110)
    plt.close(figure)
