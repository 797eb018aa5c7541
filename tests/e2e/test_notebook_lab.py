"""The quick start in a real JupyterLab: views move, obey the toolbar, show what is wrong, and leave nothing behind."""

from __future__ import annotations

import asyncio
import io
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest
import pytest_asyncio

from benchmarks.lab import LabServer
from tests.e2e.lab import LabNotebook
from tests.e2e.stage import SLACK, debug, showing, until
from tests.link.ends import left_names

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.notebook, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

QUICKSTART = Path(__file__).parents[2] / "notebooks" / "quickstart.ipynb"
VIEWER, CANVAS = 0, 1


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LabServer]:
    server = LabServer(tmp_path_factory.mktemp("lab") / "server")
    try:
        await server.ready()
        yield server
    finally:
        server.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lab_page(warm: Browser) -> AsyncIterator[Page]:
    context = await warm.new_context(viewport={"width": 1100, "height": 1300})
    yield await context.new_page()
    await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def notebook(lab: LabServer, lab_page: Page) -> AsyncIterator[LabNotebook]:
    """The quick start, not yet run. An error on the page fails the test; so does a view that remains after its tab."""
    wrong: list[str] = []

    def note(error: object) -> None:
        wrong.append(str(error))

    lab_page.on("pageerror", note)
    opened = await LabNotebook.open(lab_page, lab, QUICKSTART)
    yield opened
    await opened.close()
    await until(
        lambda: lab_page.evaluate("() => !globalThis.__framewire?.views.size && !__framewire?.connections.size")
    )
    await until(lambda: not lab.kernels())
    lab_page.remove_listener("pageerror", note)
    assert not wrong, f"errors on the page: {wrong}"


async def moves(page: Page, view: int) -> None:
    """Wait until the screen changes; fails if it does not show the published picture."""
    stage = page.locator(".framewire-stage").nth(view)

    async def look() -> np.ndarray:
        from PIL import Image

        seen = np.asarray(Image.open(io.BytesIO(await stage.screenshot())).convert("RGB")).astype(int)
        return seen[:, seen.shape[1] // 2]

    async def changed() -> bool:
        return bool(abs((await look())[height // 4] - first[height // 4])[2] >= 3)

    first = await look()
    height = len(first)
    assert abs(first[height // 2] - (240, 120, 40)).max() <= 12, "the orange bar"
    await until(changed)


async def both_over_webrtc(page: Page) -> None:
    for view in (VIEWER, CANVAS):
        await showing(page, "webrtc", view)


async def frames_go_on(page: Page, view: int, count: int = 5) -> None:
    """Wait until ``count`` more frames are painted."""

    async def painted() -> int:
        return int(((await debug(page, view)).get("stats") or {}).get("painted", 0))

    async def enough() -> bool:
        return await painted() >= before + count

    before = await painted()
    await until(enough)


async def notes(page: Page) -> list[str]:
    """The texts that stand in the place of pictures."""
    found = page.locator(".framewire-waiting:visible")
    return [" / ".join(await found.nth(n).locator("> *").all_inner_texts()) for n in range(await found.count())]


async def shows_note(page: Page, text: str, times: int) -> None:
    async def seen() -> bool:
        return await notes(page) == [text] * times

    await until(seen)


async def port_of(notebook: LabNotebook) -> int:
    match = re.fullmatch(r"serving at ws://127\.0\.0\.1:(\d+)/ws", (await notebook.text(1)).strip())
    assert match
    return int(match[1])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


OURS = re.compile("memfd:framewire|/dev/shm/framewire-")


def shared_memory(process: psutil.Process) -> list[str]:
    """The shared memory of engines that a process has open."""
    root = Path(f"/proc/{process.pid}")
    held = [line for line in (root / "maps").read_text().splitlines() if OURS.search(line)]
    for handle in (root / "fd").iterdir():
        with suppress(OSError):
            held += [name for name in [str(handle.readlink())] if OURS.search(name)]
    return held


async def test_quickstart_from_the_first_cell_to_the_last(notebook: LabNotebook):
    page = notebook.page
    left = left_names()
    await notebook.run(1, 2, 3)
    port = await port_of(notebook)
    await both_over_webrtc(page)
    for view in (VIEWER, CANVAS):
        await moves(page, view)
    (engine,) = notebook.engines()
    assert listens(port)
    assert shared_memory(notebook.kernel())

    token = await notebook.ask("print(display.server.token)")
    traits = await notebook.ask("import ipywidgets, json; print(json.dumps(ipywidgets.Widget.get_manager_state()))")
    assert len(token) >= 22
    assert token not in traits
    await notebook.page.evaluate("() => __lab.code().at(-2).model.outputs.clear()")
    saved = await notebook.save()
    assert token not in saved
    state = json.loads(saved)["metadata"]["widgets"]["application/vnd.jupyter.widget-state+json"]["state"]
    models = [model["state"] for model in state.values() if model["model_name"] == "AnyModel"]
    assert len(models) == 2
    assert all(model["port"] == port for model in models)

    await notebook.run(4)
    await shows_note(page, "The display was closed / Run the cell that makes it again.", times=2)
    await until(lambda: not engine.is_running())
    assert notebook.engines() == []
    assert not listens(port)
    assert shared_memory(notebook.kernel()) == []
    assert left_names() <= left
    threads = "import threading; print([t.name for t in threading.enumerate() if 'framewire' in t.name])"
    assert await notebook.ask(threads) == "[]"


async def test_the_buttons_of_the_toolbar_work(notebook: LabNotebook):
    page = notebook.page
    await notebook.run(1, 2, 3)
    await both_over_webrtc(page)
    assert await page.locator(".framewire-toolbar").count() == 1, "batteries=False has no toolbar"
    await page.locator(".framewire-stage").first.hover()

    async with page.expect_download() as download:
        await page.get_by_role("button", name="Save the picture as PNG").click()
    image = await _image(await (await download.value).path())
    assert image.shape == (240, 320, 3)
    assert abs(image[120].astype(int) - (240, 120, 40)).max() <= 12

    button = page.get_by_role("button", name="Statistics")
    hud = page.locator(".framewire-hud")
    assert not await hud.is_visible()
    await button.click()
    assert "320 \N{MULTIPLICATION SIGN} 240" in await hud.inner_text()
    assert await button.get_attribute("aria-pressed") == "true"
    await button.click()
    assert not await hud.is_visible()

    await page.get_by_label("How the picture is sent").select_option("lossless")
    await showing(page, "lossless", VIEWER)
    assert (await debug(page, CANVAS))["status"]["showing"] == "webrtc", "the other view keeps its mode"
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Save the picture as PNG").click()
    image = await _image(await (await download.value).path())
    assert (image[120] == (240, 120, 40)).all()
    assert (image[:100, :, :2] == 0).all()

    await page.get_by_role("button", name="Full screen").click()
    assert await page.evaluate("() => document.fullscreenElement?.className.includes('framewire')")
    await page.evaluate("() => document.exitFullscreen()")


async def test_a_focused_view_keeps_wheel_and_keys_from_the_notebook(notebook: LabNotebook):
    page = notebook.page
    await notebook.run(1, 2)
    await showing(page, "webrtc")
    await page.set_viewport_size({"width": 1100, "height": 600})
    stage = page.locator(".framewire-stage")
    await stage.scroll_into_view_if_needed()
    before = await page.evaluate("() => [__lab.scrolled(), __lab.cells(), __lab.mode()]")

    await stage.click()
    await page.mouse.wheel(0, 240)
    for key in ("b", "a", "d", "d", "x", "Enter", "Escape", "ArrowDown"):
        await page.keyboard.press(key)
    assert await page.evaluate("() => [__lab.scrolled(), __lab.cells(), __lab.mode()]") == before

    printed = "print(json.dumps([(e.event['type'], e.event.get('key')) for e in display.poll_events()]))"
    events = [tuple(event) for event in json.loads(await notebook.ask(f"import json; {printed}"))]
    keys = [key for kind, key in events if kind == "key_down"]
    assert keys == ["b", "a", "d", "d", "x", "Enter", "Escape", "ArrowDown"]
    assert {"pointer_down", "pointer_up", "wheel"} <= {kind for kind, _ in events}

    # Without focus the wheel scrolls the notebook: a page full of views stays scrollable.
    await stage.scroll_into_view_if_needed()
    await page.evaluate("() => document.activeElement.blur()")
    was = await page.evaluate("() => __lab.scrolled()")
    await stage.hover()
    await page.mouse.wheel(0, -240)
    await until(lambda: page.evaluate("(was) => __lab.scrolled() < was", was))
    await page.set_viewport_size({"width": 1100, "height": 1300})


async def test_pictures_move_while_a_cell_computes(notebook: LabNotebook):
    """A view that was there before, and one that the busy cell shows before it goes on computing."""
    page = notebook.page
    await notebook.run(1, 2)
    await showing(page, "webrtc", VIEWER)
    # A file is the flag: the test, not a clock, decides when the cell ends.
    enough = notebook.path.with_suffix(".enough")
    await notebook.write(
        3,
        "import IPython, pathlib, time\n"
        "IPython.display.display(display.widget(batteries=False))\n"
        f"while not pathlib.Path({str(enough)!r}).exists():\n"
        "    sum(range(100_000))\n"
        f"    if pathlib.Path({str(enough) + '.sleep'!r}).exists(): time.sleep(0.5)\n",
    )
    await notebook.start(3)
    try:
        await showing(page, "webrtc", CANVAS)
        for view in (VIEWER, CANVAS):
            await moves(page, view)
            await frames_go_on(page, view)
        enough.with_name(f"{enough.name}.sleep").touch()
        await frames_go_on(page, CANVAS)
        assert await page.evaluate("() => Promise.race([__lab.running, Promise.resolve('busy')])") == "busy"
    finally:
        enough.touch()
    await notebook.finished()


async def test_running_the_first_cell_again_replaces_the_stream(notebook: LabNotebook):
    page = notebook.page
    await notebook.run(1, 2, 3)
    await both_over_webrtc(page)
    port = await port_of(notebook)
    (engine,) = notebook.engines()
    memory = len(shared_memory(notebook.kernel()))
    assert memory
    for _ in range(3):
        await notebook.run(1)
    assert await port_of(notebook) == port
    assert notebook.engines() == [engine]
    for view in (VIEWER, CANVAS):
        await frames_go_on(page, view)
        await moves(page, view)
    await both_over_webrtc(page)
    # Replaced streams are still named in the kernel's history, but their memory is free.
    assert len(shared_memory(notebook.kernel())) == memory
    threads = "import threading; print([t.name for t in threading.enumerate()].count('framewire-publish'))"
    assert await notebook.ask(threads) == "1"


async def test_the_engine_ends_with_a_restarted_kernel_and_the_views_show_it(notebook: LabNotebook):
    page = notebook.page
    await notebook.run(1, 2, 3)
    await both_over_webrtc(page)
    port = await port_of(notebook)
    (engine,) = notebook.engines()
    tries: list[str] = []
    page.on("websocket", lambda socket: tries.append(socket.url) if f":{port}/" in socket.url else None)

    await notebook.restart()
    await until(lambda: not engine.is_running() or engine.status() == psutil.STATUS_ZOMBIE, 2 * SLACK)
    assert not listens(port)
    await shows_note(page, "The kernel was restarted / Run the cells again.", times=2)
    so_far = len(tries)
    await asyncio.sleep(2)
    assert len(tries) == so_far <= 4, "it waits for the user, and does not try to reconnect"

    await notebook.run(1, 2, 3)
    await both_over_webrtc(page)


async def _image(path: Any) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(path).convert("RGB"))


README_CELL = re.findall(r"```python\n(.*?)```", (Path(__file__).parents[2] / "README.md").read_text(), re.DOTALL)[0]


async def test_the_first_program_of_the_readme_shows_its_view_while_its_cell_goes_on(
    lab_page: Page, notebook: LabNotebook
):
    async def says_that_it_is_closed() -> bool:
        return any("The display was closed" in note for note in await notes(lab_page))

    await notebook.write(5, README_CELL.replace("3600", "600"))
    await notebook.start(5)
    await showing(lab_page, "webrtc", 0)
    await frames_go_on(lab_page, 0, 20)
    assert await lab_page.evaluate("() => __lab.code()[4].model.executionCount") is None, "the cell still goes on"
    await notebook.finished()
    await until(says_that_it_is_closed)
