"""Everything that is timed, size by size."""

from __future__ import annotations

import json
import math

from framewire.bench.figures import Row, Spread
from framewire.bench.run import facts, machine, run


def test_every_size_has_every_row_and_rows_are_json() -> None:
    rows = list(run([(64, 48), (80, 60)], "plasma", 30.0, 0.05))
    small = [row.what for row in rows if row.size == "64x48"]
    assert small == [row.what for row in rows if row.size == "80x60"] and len(set(small)) == len(small)
    assert {"encode h264", "encode vp8", "lossless, whole", "publish()", "a plain copy"} <= set(small)
    again = json.loads(json.dumps(facts(rows)))
    assert [row["what"] for row in again[: len(small)]] == small and again[0]["times"]["p50_ms"] > 0


def test_an_unknown_figure_is_null_in_the_file() -> None:
    # JSON has no NaN, and other readers than Python's refuse it.
    (fact,) = facts([Row("64x48", "encode vp8", Spread.of([]), ratio=math.nan)])
    assert fact["ratio"] is None and fact["times"]["p50_ms"] is None and fact["what"] == "encode vp8"


def test_the_machine_is_named() -> None:
    assert machine().keys() == {"framewire", "system", "python", "cores", "colours"}
