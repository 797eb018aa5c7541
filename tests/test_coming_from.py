"""The page for those who come from elsewhere: its tables are the code's, and its examples run."""

from __future__ import annotations

import ast
import inspect
import re
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import framewire as fw
from framewire import cli, registry
from framewire.patterns import PATTERNS

if not (Path(__file__).resolve().parent.parent / "docs" / "coming-from.md").is_file():
    pytest.skip("docs/ and scripts/ are not here", allow_module_level=True)

from scripts import coming_from

TEXT = coming_from.PAGE.read_text()
EXAMPLES = {
    re.findall(r"^##+ (.+)$", TEXT[: found.start()], re.MULTILINE)[-1]: found[1]
    for found in re.finditer(r"```python\n(.*?)```", TEXT, re.DOTALL)
}


def test_the_tables_are_the_codes() -> None:
    assert coming_from.filled(TEXT) == TEXT, "python scripts/coming_from.py writes them"


def test_the_names_that_the_page_says_to_write_exist() -> None:
    there = {"fw": fw, "rfb": fw, "display": fw.Display, "server": fw.Server}
    ours = [line.rpartition(" | ")[2] for line in TEXT.splitlines() if line.startswith("| ")]
    said = re.findall(r"\b(fw|rfb|display|server)\.([a-z_]+)\b", "\n".join(ours))
    assert len(said) > 20
    assert [f"{of}.{name}" for of, name in said if not hasattr(there[of], name)] == []


def test_the_commands_that_the_page_says_to_write_are_taken() -> None:
    rows = [line.split(" | ") for line in TEXT.partition("### Commands")[2].partition("###")[0].splitlines()]
    ours = {found for row in rows for found in re.findall(r"`([^`]+)`", row[-1])}
    flags = [flag for each in sorted(ours) if each.startswith("--") for flag in each.split()]
    assert flags == ["--mode", "lossless", "--seconds", "10", "--size", "640x480"]
    same = ["--host=127.0.0.1", "--port=0", "--fps=30", "--no-open"]
    names = ", ".join(f"`{each.partition('=')[0]}`" for each in same)
    assert next(row for row in rows if row[-1] == "the same |")[0] == f"| {names}"
    commands = [each.removeprefix("framewire ") for each in ours if each.startswith("framewire ")]
    for command in commands:
        cli._parser().parse_args(command.split())
    cli._parser().parse_args(["demo", *flags, *same])
    assert len(commands) == 4 and {"plasma", "plot", "bouncing_box", "test_card"} == set(PATTERNS)


@pytest.fixture
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    for server in list(registry.servers):
        server.close()


async def run(example: str) -> tuple[dict[str, Any], list[str]]:
    """The example, run as a cell is; its names, and what it warned of."""
    names: dict[str, Any] = {}
    code = compile(example, "example", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", fw.FramewireWarning)
        ran = eval(code, names)
        if inspect.isawaitable(ran):
            await ran
    return names, [str(each.message) for each in caught if each.category is fw.FramewireWarning]


def feed(display: fw.Display, event: dict[str, Any]) -> None:
    """A viewer's event."""
    display._publisher.feedback.take_event(fw.InputEvent("a viewer", None, event, 0))  # type: ignore[arg-type]


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    return holds()


def of_the_views_size(names: dict[str, Any]) -> None:
    feed(names["display"], {"type": "resize", "pwidth": 111, "pheight": 55})
    assert eventually(lambda: (names["display"].width, names["display"].height) == (111, 55))
    names["task"].cancel()


def in_a_list(names: dict[str, Any]) -> None:
    assert names["recorded"] == [] and names["display"].closed


def when_something_changes(names: dict[str, Any]) -> None:
    feed(names["scene"].display, {"type": "pointer_move", "x": 300.5, "y": 2.0})
    assert eventually(lambda: names["scene"].shade == 300 % 256)


def by_itself(names: dict[str, Any]) -> None:
    assert eventually(lambda: names["task"].frames > 3) and not names["task"].errors
    names["task"].cancel()


CHECKS: dict[str, Callable[[dict[str, Any]], None]] = {
    "From pdum.rfb": lambda names: None,
    "Frames of the view's size": of_the_views_size,
    "Events in a list or a file": in_a_list,
    "Who may watch": lambda names: None,
    "A scene that is drawn when something changes": when_something_changes,
    "A scene that moves by itself": by_itself,
    "Frames from a loop of yours": lambda names: None,
}


def test_every_example_is_run() -> None:
    assert EXAMPLES.keys() == CHECKS.keys()


@pytest.mark.usefixtures("in_an_empty_folder")
@pytest.mark.parametrize("heading", EXAMPLES)
async def test_an_example_runs(heading: str) -> None:
    names, warned = await run(EXAMPLES[heading])
    CHECKS[heading](names)
    assert [text.split(":")[0] for text in warned] == ["keywords of pdum.rfb"] * ("stats_interval" in EXAMPLES[heading])
