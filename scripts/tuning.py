"""Writes docs/tuning.md: every number of `rtc/` and `engine/`, with what it is and where it comes from.

    python scripts/tuning.py            writes the page
    python scripts/tuning.py --check    says which constants lack a docstring or a source; writes nothing

A constant is an upper-case name of a module with a number for a value; below it, a docstring says what it is, and after
`Source:` where it comes from. Must not know what any of them is for.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "framewire"
PAGE = ROOT / "docs" / "tuning.md"
ROOMS = ("engine", "rtc")

OUTSIDE = r"RFC|draft|libwebrtc|W3C|ITU|ISO|aiortc|aioice|libsrtp|Chromium|Linux"
"""Whoever sets such a number: it needs no test of ours."""

OPENING = """\
# The numbers, and where they come from

`make tuning` generates this page from the docstrings below the constants, and a test holds the two together. A number
comes from a standard (RFC or draft), from libwebrtc (the name there), from a benchmark that chose it, or was chosen by
hand. The last two kinds name a test, which fails when the number changes much. A benchmark is named by its scenario:
`python -m benchmarks --scenarios NAME`.

Units are in the names: `_S`, `_MS`, `_US`, `_BPS`, `_BYTES`, `_PACKETS`, `_FRAMES`, `_PX`. A `_FACTOR` multiplies, a
`_FRACTION` is between 0 and 1, a `_COUNT` counts.
"""


@dataclass(frozen=True)
class Constant:
    """One constant of one module."""

    module: str
    line: int
    name: str
    value: str
    what: str
    source: str


def constants(package: Path = PACKAGE) -> list[Constant]:
    """All constants of the rooms, in order of modules and lines."""
    found: list[Constant] = []
    for room in ROOMS:
        for path in sorted((package / room).rglob("*.py")):
            found += of_module(path.read_text(), str(path.relative_to(package)))
    return found


def of_module(text: str, module: str) -> Iterator[Constant]:
    """The constants of one module's text."""
    body = ast.parse(text).body
    for statement, following in zip(body, [*body[1:], None], strict=False):
        name, value = named_value(statement)
        if value is None or not re.fullmatch(r"_?[A-Z][A-Z0-9_]*(, _?[A-Z][A-Z0-9_]*)*", name) or not is_number(value):
            continue
        what, _, source = (one_line(part) for part in docstring(following).partition("Source:"))
        shown = one_line(ast.get_source_segment(text, value) or "")
        yield Constant(module, statement.lineno, name, shown, what, source)


def named_value(statement: ast.stmt) -> tuple[str, ast.expr | None]:
    """The name and the value of an assignment; None for any other statement."""
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return statement.target.id, statement.value
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        return ", ".join(ast.unparse(target).strip("()").split(", ")), statement.value
    return "", None


def is_number(value: ast.expr) -> bool:
    """Whether an expression is a number, or numbers and constants calculated with, or a tuple or table of such."""
    match value:
        case ast.Constant():
            return isinstance(value.value, int | float) and not isinstance(value.value, bool)
        case ast.UnaryOp():
            return is_number(value.operand)
        case ast.BinOp():
            sides = (value.left, value.right)
            return any(map(is_number, sides)) and all(is_number(side) or is_name(side) for side in sides)
        case ast.Tuple() | ast.List():
            return bool(value.elts) and all(map(is_number, value.elts))
        case ast.Dict():
            return bool(value.values) and all(map(is_number, value.values))
    return False


def is_name(value: ast.expr) -> bool:
    return isinstance(value, ast.Name | ast.Attribute) or (
        isinstance(value, ast.BinOp) and is_name(value.left) and is_name(value.right)
    )


def docstring(statement: ast.stmt | None) -> str:
    """The text of a string that stands alone, else nothing."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return statement.value.value if isinstance(statement.value.value, str) else ""
    return ""


def one_line(text: str) -> str:
    return " ".join(text.split())


def page(found: list[Constant]) -> str:
    """The whole page, as Markdown."""
    lines = [OPENING]
    for module in dict.fromkeys(each.module for each in found):
        lines += [f"## {module}", "", "| constant | value | what it is | source |", "|---|---|---|---|"]
        for each in found:
            if each.module == module:
                cells = (f"`{each.name}`", f"`{each.value}`", each.what, each.source.rstrip("."))
                lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def complaints(found: list[Constant], scenarios: set[str]) -> list[str]:
    """What is missing or wrong, one line each."""
    said = []
    modules: dict[str, list[str]] = {}
    for each in found:
        where = f"{each.module}:{each.line}: {each.name}"
        modules.setdefault(each.name, []).append(each.module)
        if "," in each.name:
            said.append(f"{where} are several names in one statement")
        if not each.what:
            said.append(f"{where} has no docstring")
        if not each.source:
            said.append(f"{where} has no `Source:`")
        elif "tests/" not in each.source and not re.search(OUTSIDE, each.source):
            said.append(f"{where} comes from no standard and no libwebrtc name, and no test pins it")
        for file, name in re.findall(r"(tests/[\w/]+\.py)::(\w+)", each.source):
            if not (ROOT / file).is_file() or f"def {name}(" not in (ROOT / file).read_text():
                said.append(f"{where} is pinned by {file}::{name}, which does not exist")
        for names in re.findall(r"[Bb]enchmarks? ((?:`[^`]+`(?:, | and )?)+)", each.source):
            said += [f"{where}: no scenario {one}" for one in re.findall(r"`([^`]+)`", names) if one not in scenarios]
    said += [f"{name} is defined in {' and '.join(where)}" for name, where in modules.items() if len(set(where)) > 1]
    return said


def scenarios() -> set[str]:
    """The names of the benchmarks' scenarios; `viewers-N` is written as a loop."""
    text = (ROOT / "benchmarks" / "scenarios.py").read_text()
    return {*re.findall(r'Scenario\(f?"([^"{]+)"', text), *(f"viewers-{count}" for count in (1, 2, 4, 8, 16))}


def main(arguments: list[str]) -> int:
    """0, or 1 if something is missing."""
    found = constants()
    said = complaints(found, scenarios())
    print(*said, sep="\n")
    if "--check" not in arguments:
        PAGE.write_text(page(found))
    print(f"tuning: {len(found)} constants, {len(said)} complaints")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
