"""Notebooks of pdum.rfb, written anew from the calls that they make: they run with only their import lines changed."""

from __future__ import annotations

import inspect
import re
import sys
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

import framewire as fw
from tests.e2e.stage import until
from tests.e2e.test_notebook_files import WIDGET_VIEW, engines, executed

FILES = Path(__file__).parent / "ancestor"
IMPORT = re.compile(r"^(\s*(?:import|from) )pdum\.rfb\b", re.MULTILINE)


def with_our_imports(source: str) -> str:
    changed, count = IMPORT.subn(r"\1framewire", source)
    assert count == source.count("pdum.rfb"), "no other line names the ancestor"
    return changed


def read(name: str) -> Any:
    """A notebook with the import lines of a user who has moved."""
    notebook = nbformat.read(FILES / name, 4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = with_our_imports(cell.source)
    return notebook


def warned(notebook: Any) -> list[str]:
    """The warnings that its reader sees, one a line."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    text = "".join(output.text for output in outputs if output.get("name") == "stderr")
    return [line for line in text.splitlines() if "Warning: " in line]


@pytest.mark.notebook
@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(
    ("name", "views", "warnings_"),
    [("two_cells.ipynb", 1, ["stats_interval= is needless"]), ("two_views.ipynb", 2, [])],
)
async def test_a_notebook_of_the_ancestor_runs(name: str, views: int, warnings_: list[str]):
    done = await executed(read(name))
    shown = [data for cell in done.cells for output in cell.get("outputs", []) if (data := output.get("data"))]
    assert sum(WIDGET_VIEW in data for data in shown) == views
    texts = warned(done)
    assert len(texts) == len(warnings_) and all(each in text for each, text in zip(warnings_, texts, strict=True))
    await until(lambda: not engines())


class Marimo(types.ModuleType):
    """As much of marimo as the notebook uses. Its cells run one after the other, as often as a test wants."""

    def __init__(self) -> None:
        super().__init__("marimo")
        self.cells: list[Callable[..., Any]] = []
        self.buttons: dict[str, types.SimpleNamespace] = {}
        self.shown: list[Any] = []
        self.kept: Any = None
        self.ui = types.SimpleNamespace(run_button=self.button, switch=self.button, anywidget=self.shown.append)

    def App(self, width: str) -> Any:
        return types.SimpleNamespace(cell=self.cells.append)

    def state(self, value: Any) -> Any:
        def put(new: Any) -> None:
            self.kept = new

        return lambda: self.kept, put

    def button(self, label: str, value: bool = False) -> Any:
        return self.buttons.setdefault(label, types.SimpleNamespace(value=value))

    def hstack(self, elements: Any, **_: Any) -> None: ...

    def md(self, text: str) -> None:
        self.shown.append(text)

    async def run(self, clicked: str = "") -> Any:
        """Run all cells as after a click; what the last one shows."""
        names: dict[str, Any] = {}
        for label in ("Start", "Stop"):
            self.button(label).value = label == clicked
        for cell in self.cells:
            made = cell(**{name: names[name] for name in inspect.signature(cell).parameters})
            made = await made if inspect.isawaitable(made) else made
            returned = re.search(r"return \(?([\w, ]+?),?\)?$", inspect.getsource(cell).strip())
            names |= dict(zip(returned[1].split(", "), made, strict=True)) if returned else {}
        return self.shown[-1]


async def test_the_marimo_notebook_of_the_ancestor_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    from framewire.notebook import Viewer

    marimo = Marimo()
    monkeypatch.setitem(sys.modules, "marimo", marimo)
    notebook = tmp_path / "reactive.py"
    notebook.write_text(with_our_imports((FILES / "reactive.py").read_text()))
    exec(compile(notebook.read_text(), notebook, "exec"), {"__name__": "reactive"})
    assert await marimo.run() == "Nothing runs."
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        viewer = await marimo.run("Start")
    assert [each.category for each in caught] == [fw.FramewireWarning] and isinstance(viewer, Viewer)
    assert viewer.display is marimo.kept["display"], "later runs start no second server"
    assert (await marimo.run()).display is viewer.display
    marimo.buttons["Show"].value = False
    assert (await marimo.run()).startswith("Served at `ws://127.0.0.1:")
    task = marimo.kept["task"]
    assert await marimo.run("Stop") == "Nothing runs."
    await task
    assert viewer.display is None
    await until(lambda: not engines())
