"""``python -m benchmarks``: runs systems in scenarios, one at a time, and prints one table.

Must not know how anything is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from benchmarks.contents import clip_path
from benchmarks.measure import measure
from benchmarks.numbers import Outcome, median_of
from benchmarks.report import tables, write
from benchmarks.scenarios import QUICK, QUICK_SYSTEMS, SCENARIOS, Scenario
from benchmarks.systems import SYSTEMS, System

T = TypeVar("T")
RESULTS = Path(__file__).parent / "results"


def main() -> int:
    options = _options()
    systems = _chosen(options.systems, SYSTEMS, QUICK_SYSTEMS if options.quick else tuple(SYSTEMS))
    scenarios = _chosen(options.scenarios, SCENARIOS, QUICK if options.quick else tuple(SCENARIOS))
    for scenario in scenarios:
        clip_path(scenario.content, scenario.width, scenario.height)
    if options.quick:
        scenarios = [replace(scenario, warm_up=1.0, seconds=4.0) for scenario in scenarios]
    runs = asyncio.run(_all(systems, scenarios, options.repeat))
    merged = [
        median_of(mine)
        for scenario in scenarios
        for system in systems
        if (mine := [r for r in runs if (r.system, r.scenario) == (system.name, scenario.name)])
    ]
    print(tables(merged))
    print(f"\n{write(merged, runs, options.output)}", file=sys.stderr)
    return 0


async def _all(systems: Sequence[System], scenarios: Sequence[Scenario], repeat: int) -> list[Outcome]:
    """Every system in every scenario. The first one rotates, so that a machine that warms up favours none of them."""
    runs = []
    plays = [(turn, scenario) for turn in range(repeat) for scenario in scenarios]
    for place, (_, scenario) in enumerate(plays):
        first = place % len(systems)
        for system in (*systems[first:], *systems[:first]):
            began = time.monotonic()
            outcome = await measure(system, scenario)
            runs.append(outcome)
            print(f"{_brief(outcome)}  ({time.monotonic() - began:.0f} s)", file=sys.stderr, flush=True)
    return runs


def _brief(outcome: Outcome) -> str:
    if outcome.error:
        return f"{outcome.scenario} {outcome.system}: {outcome.error}"
    return (
        f"{outcome.scenario} {outcome.system}: {outcome.fps:.1f} fps, "
        f"p50 {outcome.p50_ms:.1f} p95 {outcome.p95_ms:.1f} ms, {outcome.psnr_db:.1f} dB, "
        f"{outcome.mbps:.1f} Mbps, others {outcome.others:.0f} %"
    )


def _chosen(asked: str, known: dict[str, T], default: Sequence[str]) -> list[T]:
    names = asked.split(",") if asked else default
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in names]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("--quick", action="store_true", help="the loopback essentials, in about two minutes")
    parser.add_argument("--systems", default="", help=f"of {', '.join(SYSTEMS)}")
    parser.add_argument("--scenarios", default="", help=f"of {', '.join(SCENARIOS)}".replace("%", "%%"))
    parser.add_argument("--repeat", type=int, default=1, help="runs of each; the table shows medians")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for table, JSON and plots")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
