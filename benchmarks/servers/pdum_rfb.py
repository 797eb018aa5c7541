"""Publishes with pdum.rfb on its event loop, as its documentation shows, and serves a page that mounts its own
widget bundle like a notebook does."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.servers.job import Job, play, serve_page

PAGE = """<!doctype html><meta charset="utf-8"><title>pdum.rfb</title><link rel="stylesheet" href="/widget.css">
<style>html, body {{ margin: 0; background: #000; overflow: hidden }}
/* its toolbar, badge and status pill */
#view > :not(.rfb-viewport) {{ display: none !important }}
#view {{ width: {width}px; height: {height}px }}</style><div id="view"></div>
<script type="module">
import widget from "/widget.js";
const traits = {{ ...{traits}, url: `ws://${{location.hostname}}:{port}/default` }};
const model = {{
  get: (name) => traits[name], set: (name, value) => {{ traits[name] = value; }},
  on: () => undefined, off: () => undefined, save_changes: () => undefined,
}};
globalThis.model = model;
widget.render({{ model, el: document.getElementById("view") }});
</script>"""


async def serve(job: Job) -> None:
    from pdum import rfb

    display = await rfb.serve(job.width, job.height, host=job.host, port=job.port and job.port + 1, fps=round(job.fps))
    static = Path(rfb.__file__).parent / "static"
    traits = {
        "image_only": job.codec == "jpeg",
        "main_thread_present": False,
        "show_toolbar": False,
        "show_stats": False,
        "height": job.height,
        "fit": "contain",
    }
    page = PAGE.format(width=job.width, height=job.height, port=display.port, traits=json.dumps(traits))
    files = {
        "/": ("text/html", page.encode()),
        "/widget.js": ("text/javascript", (static / "widget.js").read_bytes()),
        "/widget.css": ("text/css", (static / "widget.css").read_bytes()),
    }
    job.ready(f"http://{job.host}:{serve_page(job.host, job.port, files)}/")
    while await job.sleep():
        display.publish(job.frame())
        display.poll_events()
    await display.aclose()


if __name__ == "__main__":
    play(serve)
