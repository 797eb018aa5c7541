"""The notebooks as files: they run from top to bottom without a browser, and a saved one contacts no server."""

from __future__ import annotations

import asyncio
import copy
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbclient
import nbformat
import psutil
import pytest
import pytest_asyncio

from benchmarks.lab import words
from tests.e2e.conftest import NewPage
from tests.e2e.stage import until

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.notebook
on_the_loop = pytest.mark.asyncio(loop_scope="session")

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
QUICKSTART = next(path for path in NOTEBOOKS if path.stem == "quickstart")
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


async def executed(notebook: Any) -> Any:
    """The notebook with outputs and its widgets' state; every cell must succeed."""
    client = nbclient.NotebookClient(
        copy.deepcopy(notebook), timeout=60, kernel_name="python3", store_widget_state=True
    )
    return await client.async_execute()


def engines() -> list[psutil.Process]:
    return [process for process in psutil.Process().children(recursive=True) if "framewire.engine" in words(process)]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def handed_on() -> Any:
    """The quick start as users save it: all cells executed except the last one, which closes the display."""
    notebook = nbformat.read(QUICKSTART, 4)
    notebook.cells.pop()
    return await executed(notebook)


@on_the_loop
@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
async def test_a_notebook_runs_from_top_to_bottom(path: Path):
    done = await executed(nbformat.read(path, 4))
    shown = [data for cell in done.cells for output in cell.get("outputs", []) if (data := output.get("data"))]
    assert any(WIDGET_VIEW in data for data in shown)
    await until(lambda: not engines())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(path: Path):
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in code] == [[]] * len(code)
    assert [cell.execution_count for cell in code] == [None] * len(code)
    assert "widgets" not in notebook.metadata


@on_the_loop
async def test_the_engine_ends_with_its_kernel(handed_on: Any):
    assert "serving at" in handed_on.cells[1].outputs[0].text
    await until(lambda: not engines())


# An exported page loads @jupyter-widgets/html-manager from a CDN. This does what that does for an anywidget, with
# the saved state, the saved module, and a model without a kernel.
SHOW_SAVED = """async (mime) => {
  const { state } = JSON.parse(document.querySelector(`script[type="${mime.state}"]`).textContent);
  for (const script of document.querySelectorAll(`script[type="${mime.view}"]`)) {
    const values = state[JSON.parse(script.textContent).model_id].state;
    const model = {
      get: (name) => values[name], set: (name, value) => { values[name] = value; },
      on() {}, off() {}, send() {}, save_changes() {},
    };
    const style = document.createElement("style");
    style.textContent = values._css;
    const el = document.createElement("div");
    script.after(style, el);
    const { default: widget } = await import(URL.createObjectURL(new Blob([values._esm], { type: "text/javascript" })));
    const { signal } = new AbortController();
    await widget.initialize({ model, signal });
    await widget.render({ model, el, signal });
  }
}"""


@on_the_loop
@pytest.mark.browser
async def test_an_exported_page_contacts_no_server_and_says_why_there_is_no_picture(
    new_page: NewPage, tmp_path: Path, handed_on: Any
):
    from nbconvert import HTMLExporter

    exported, _ = HTMLExporter().from_notebook_node(handed_on)
    (tmp_path / "quickstart.html").write_text(exported)
    page = await new_page("about:blank")
    asked = await _contacts(page)
    await page.goto((tmp_path / "quickstart.html").as_uri())
    assert asked, "the exporter itself loads scripts from a CDN"
    asked.clear()

    await page.evaluate(SHOW_SAVED, {"state": WIDGET_STATE, "view": WIDGET_VIEW})
    notes = page.locator(".framewire-waiting:visible")
    assert await notes.count() == 2
    text = "No live picture here yet\nIt comes from a running kernel: run the cell to see it."
    await until(lambda: _all_say(notes, text))
    await asyncio.sleep(1)
    assert asked == []


@on_the_loop
async def test_without_widgets_a_sentence_stands_in_their_place(handed_on: Any):
    """A site that only displays notebooks shows a widget's text/plain."""
    outputs = [output for cell in handed_on.cells for output in cell.get("outputs", [])]
    texts = [output.data["text/plain"] for output in outputs if "data" in output]
    assert texts == [
        "<framewire.Viewer of 'default': run the cell to see the live picture>",
        "<framewire.Canvas of 'default': run the cell to see the live picture>",
    ]


async def _contacts(page: Page) -> list[str]:
    """The addresses that the page requests from now on; all requests fail."""
    asked: list[str] = []

    async def refuse(route: Any) -> None:
        asked.append(route.request.url)
        await route.abort()

    page.on("websocket", lambda socket: asked.append(socket.url))
    await page.route(re.compile("^https?:"), refuse)
    return asked


async def _all_say(notes: Any, text: str) -> bool:
    said: list[str] = await notes.all_inner_texts()
    return {json.dumps(one) for one in said} == {json.dumps(text)}
