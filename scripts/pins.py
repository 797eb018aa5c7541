"""Whether the test that a constant names really pins it: doubles and halves the constant, and runs that test alone.

    python scripts/pins.py                          every constant of docs/tuning.md that names a test
    python scripts/pins.py rtc/estimate/loss.py     those of files whose path begins so

Must not know what any constant is for. `tuning` finds the constants, `mutants` runs the tests.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from scripts import mutants, tuning  # noqa: E402
from scripts.mutations import Mutation, mutations  # noqa: E402

CPU_S = 60.0
"""What one of the named tests may take, in processor time. One that takes longer counts as failed."""


def pins(constant: tuning.Constant) -> list[str]:
    """The tests that a constant names, as pytest takes them."""
    return ["::".join(each) for each in re.findall(r"(tests/[\w/]+\.py)::(\w+)", constant.source)]


def fails(file: Path, mutant: Mutation, tests: list[str]) -> bool:
    """Whether one of the tests fails with a changed source."""
    name = ".".join(file.relative_to(mutants.SOURCE).with_suffix("").parts)

    def work() -> int:
        mutants.confine(CPU_S)
        sys.meta_path.insert(0, mutants.SourceFinder(name, file, mutant.source))
        return mutants.run_tests(tests)

    child = mutants.fork(work, mutants.WAIT_FACTOR * CPU_S)
    while (status := mutants.ended(child, time.monotonic())) is None:
        time.sleep(0.02)
    return status != 0


def loose(constant: tuning.Constant) -> list[str]:
    """The changes of a constant that none of the tests it names notices; empty if it names none."""
    tests, file = pins(constant), mutants.PACKAGE / constant.module
    if not tests:
        return []
    found = [each for each in mutations(mutants.source_of(file)) if each.function is None]
    return [each.change for each in found if each.line == constant.line and not fails(file, each, tests)]


def main(prefixes: list[str]) -> int:
    """0 if every constant is pinned, 1 if not."""
    mutants.prepare_hypothesis()
    chosen = [each for each in tuning.constants() if each.module.startswith(tuple(prefixes) or "")]
    count = 0
    for constant in chosen:
        changes = loose(constant)
        count += bool(changes)
        if changes:
            print(f"{constant.module}:{constant.line}: {constant.name} may be {', '.join(changes)}", flush=True)
    print(f"pins: {count} of {len(chosen)} constants may change, and the tests that they name still pass")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
