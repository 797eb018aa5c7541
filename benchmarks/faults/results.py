"""The table of faults: rows of results as Markdown, put into a document between two marks.

Must not know how a fault is played.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from pathlib import Path

from benchmarks.faults.catalogue import FAULTS
from benchmarks.faults.times import row

BEGIN = "<!-- the table: written by `python -m benchmarks.faults` -->"
END = "<!-- the table ends -->"
HEAD = "| fault | counted from | times | median s | p95 | worst |\n|---|---|---:|---:|---:|---:|"


def load(path: Path) -> dict[str, list[float]]:
    """The seconds of each fault so far, from a file with a line of JSON for each repetition."""
    found: dict[str, list[float]] = defaultdict(list)
    if path.exists():
        for line in path.read_text().splitlines():
            one = json.loads(line)
            found[one["fault"]].append(math.inf if one["seconds"] is None else one["seconds"])
    return found


def note(path: Path, fault: str, seconds: float | None) -> None:
    """Append one repetition; None: the picture never came back."""
    with path.open("a") as file:
        file.write(json.dumps({"fault": fault, "seconds": seconds}) + "\n")


def table(results: dict[str, list[float]]) -> str:
    """Markdown, in the catalogue's order."""
    rows = [
        f"| {fault.title} | {fault.counts_from} | {one.times} | {_s(one.median)} | {_s(one.p95)} | {_s(one.worst)} |"
        for name, fault in FAULTS.items()
        if results.get(name)
        for one in [row(results[name])]
    ]
    return "\n".join([HEAD, *rows])


def write(document: Path, text: str) -> None:
    """Replace what is between the marks."""
    before, begin, rest = document.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{document} has no marks for the table")
    document.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


def slow(results: dict[str, list[float]]) -> list[str]:
    """The faults that took longer than is promised, a line each."""
    return [
        f"{name} took {_s(max(seconds))} s, above the {FAULTS[name].promised_s:g} s that are promised"
        for name, seconds in results.items()
        if max(seconds) > FAULTS[name].promised_s
    ]


def _s(seconds: float) -> str:
    return "never" if math.isinf(seconds) else f"{seconds:.2f}"
