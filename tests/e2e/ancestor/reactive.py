"""A marimo notebook with the calls of the ancestor's: a server that outlives reactive runs, started by a button."""

# ruff: noqa
# mypy: ignore-errors

import marimo

app = marimo.App(width="medium")


@app.cell
def _():
    import marimo as mo

    return (mo,)


@app.cell
def _():
    import itertools

    import numpy as np

    import pdum.rfb as rfb
    from pdum.rfb.notebook import publish_loop

    numbers = itertools.count()

    def draw():
        picture = np.zeros((240, 320, 3), dtype=np.uint8)
        picture[next(numbers) % 240] = (0, 128, 255)
        return picture

    return draw, publish_loop, rfb


@app.cell
def _(mo):
    get_running, set_running = mo.state(None)
    return get_running, set_running


@app.cell
def _(mo):
    start = mo.ui.run_button(label="Start")
    stop = mo.ui.run_button(label="Stop")
    show = mo.ui.switch(value=True, label="Show")
    mo.hstack([start, stop, show], justify="start", gap=1)
    return show, start, stop


@app.cell
async def _(draw, get_running, publish_loop, rfb, set_running, start, stop):
    _running = get_running()
    if start.value and _running is None:
        _display = await rfb.serve(320, 240, port=0, stats_interval=1.0)
        _task = publish_loop(_display, draw, fps=10)
        set_running({"display": _display, "task": _task})
    elif stop.value and _running is not None:
        _running["task"].cancel()
        await _running["display"].aclose()
        set_running(None)
    return


@app.cell
def _(get_running, mo, show):
    _running = get_running()
    if _running is None:
        _shown = mo.md("Nothing runs.")
    elif not show.value:
        _shown = mo.md(f"Served at `{_running['display'].ws_url}`.")
    else:
        _shown = mo.ui.anywidget(_running["display"].widget())
    _shown
    return


if __name__ == "__main__":
    app.run()
