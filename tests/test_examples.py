"""Every file in examples/, and the README's first page, run as their users run them, and show pictures that move."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import nbformat
import pytest
from nbclient import NotebookClient

from framewire import wire
from framewire.codec.lossless import unpack
from framewire.frame import AccessUnit
from tests.viewer import TEST_TIMEOUT_S, Viewer, connected

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"), key=lambda path: path.name)
STILL = {"paint.py": "its picture changes when it is used"}

pytestmark = pytest.mark.slow


README_BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
ADDRESS = re.compile(r"http://\S+")


@asynccontextmanager
async def running(example: Path, says: str = "stdout") -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The example as a process, and the first address that it prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(example),
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        line = await asyncio.wait_for(getattr(process, says).readline(), TEST_TIMEOUT_S)
        address = ADDRESS.search(line.decode())
        assert address, line
        yield process, address[0]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def watching(url: str) -> AsyncIterator[Viewer]:
    """A viewer of the stream that a page's address shows."""
    place = urlsplit(url)
    token = unquote(place.fragment.removeprefix("token="))
    async with connected(f"ws://127.0.0.1:{place.port}/ws", token) as viewer:
        await viewer.subscribe(parse_qs(place.query).get("stream", ["default"])[0])
        yield viewer


async def end(process: asyncio.subprocess.Process) -> str:
    """Press Ctrl-C; returns what it printed to stderr. It must end at once, and well."""
    process.send_signal(signal.SIGINT)
    _, errors = await asyncio.wait_for(process.communicate(), TEST_TIMEOUT_S)
    assert process.returncode == 0, errors.decode()
    return errors.decode()


def test_each_example_is_in_the_list_and_each_of_the_list_is_there():
    listed = (ROOT / "examples" / "README.md").read_text()
    assert [path.name for path in EXAMPLES if f"[`examples/{path.name}`]({path.name})" not in listed] == []
    assert listed.count("[`examples/") == len(EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
async def test_an_example_shows_a_picture_that_moves_and_ends_well(example: Path):
    async with running(example) as (process, url):
        async with watching(url) as viewer:
            first = await viewer.unit()
            if example.name not in STILL:
                await viewer.unit(lambda unit: unit.number > first.number and unit.checksum != first.checksum)
        said = await end(process)
        if example.name == "remote.py":  # it has no certificate
            assert "FramewireWarning: host='0.0.0.0'" in said and len(said.splitlines()) <= 2
        else:
            assert said == ""


async def test_paint_paints_where_the_pointer_is_and_clears_with_a_key():
    async with running(ROOT / "examples" / "paint.py") as (process, url), watching(url) as viewer:
        blank = await viewer.unit()
        await viewer.send(wire.Input(1, pointer("pointer_down", 300, 200)))
        painted = await viewer.unit(lambda unit: unit.checksum != blank.checksum)
        assert pixel(painted, 300, 200) == (30, 90, 200)
        assert pixel(painted, 600, 200) == (250, 250, 250)
        await viewer.send(wire.Input(1, wire.RenderviewEvent("key_down", 1.0, key="c", modifiers=[])))
        assert (await viewer.unit(lambda unit: unit.number > painted.number)).checksum == blank.checksum
        assert await end(process) == ""


def pointer(kind: wire.EventType, x: float, y: float) -> wire.RenderviewEvent:
    return wire.RenderviewEvent(kind, 1.0, x=x, y=y, button=1, buttons=[1], modifiers=[])


def pixel(unit: AccessUnit, x: int, y: int) -> tuple[int, ...]:
    return tuple(unpack(unit)[y, x].tolist())


# The README


@pytest.mark.parametrize("block", README_BLOCKS, ids=["paced", "show"])
async def test_the_readme_s_programs_are_scripts(block: str, tmp_path: Path):
    program = tmp_path / "program.py"
    program.write_text(block)
    async with running(program, "stderr") as (process, url):
        async with watching(url) as viewer:
            first = await viewer.unit()
            await viewer.unit(lambda unit: unit.number > first.number and unit.checksum != first.checksum)
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.wait(), TEST_TIMEOUT_S)
        assert process.returncode == (0 if "fw.show" in block else -signal.SIGINT)


@pytest.mark.notebook
async def test_the_readme_s_programs_are_cells_that_show_the_view(tmp_path: Path):
    cells = [nbformat.v4.new_code_cell(block.replace("3600", "60")) for block in README_BLOCKS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    await NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).async_execute()
    for cell in notebook.cells:
        assert any("application/vnd.jupyter.widget-view+json" in output.get("data", {}) for output in cell.outputs)
