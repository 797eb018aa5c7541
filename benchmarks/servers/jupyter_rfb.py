"""Publishes with jupyter_rfb: its own widget and its own script, with a WebSocket in place of Jupyter's comm. There
is no notebook server and no proxy, which would add delay."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import Callable
from typing import Any

from benchmarks.servers.job import Job, play, serve_page

PAGE = """<!doctype html><meta charset="utf-8"><title>jupyter_rfb</title><link rel="stylesheet" href="/widget.css">
<style>html, body {{ margin: 0; background: #000; overflow: hidden }} img {{ display: block; border: 0 !important }}
.renderview-wrapper {{ position: absolute !important; inset: 0; border: 0 !important; padding: 0 !important }}</style>
<div id="view"></div>
<script type="module">
import widget from "/widget.js";
const traits = {{ css_width: "{width}px", css_height: "{height}px", resizable: false, has_titlebar: false }};
const socket = new WebSocket(`ws://${{location.hostname}}:{port}/`);
socket.binaryType = "arraybuffer";
let custom, header;
const model = {{
  get: (name) => traits[name],
  set: (name, value) => {{ traits[name] = value; changed[name] = value; }},
  on: (name, callback) => {{ if (name === "msg:custom") custom = callback; }},
  save_changes: () => {{ socket.send(JSON.stringify({{ state: changed }})); changed = {{}}; }},
  send: (content) => socket.send(JSON.stringify({{ content }})),
}};
let changed = {{}};
socket.onmessage = ({{ data }}) => {{
  if (typeof data === "string") header = JSON.parse(data);
  else custom(header, [new DataView(data)]);
}};
socket.onopen = () => {{
  const view = widget();
  view.initialize({{ model }});
  view.render({{ model, el: document.getElementById("view") }});
}};
</script>"""


class Comm:
    """The sockets of all viewers, in place of a kernel's comm."""

    def __init__(self, job: Job) -> None:
        self._sockets: set[Any] = set()
        self._posts: set[asyncio.Task[None]] = set()
        self.widget = _widget(job, self.send)

    def send(self, content: Any, buffers: Any = None) -> None:
        for socket in self._sockets:
            task = asyncio.get_running_loop().create_task(self._post(socket, content, buffers or []))
            self._posts.add(task)
            task.add_done_callback(self._posts.discard)

    async def attend(self, socket: Any) -> None:
        self._sockets.add(socket)
        async for message in socket:
            command = json.loads(message)
            for name, value in command.get("state", {}).items():
                setattr(self.widget, name, value)
            if "content" in command:
                self.widget._rfb_handle_msg(self.widget, command["content"], [])
        self._sockets.discard(socket)

    async def _post(self, socket: Any, content: Any, buffers: list[bytes]) -> None:
        await socket.send(json.dumps(content))
        for buffer in buffers:
            await socket.send(bytes(buffer))


def _widget(job: Job, send: Callable[..., None]) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):  # IPython shows the widget's output area as text
        from jupyter_rfb import RemoteFrameBuffer

        class Widget(RemoteFrameBuffer):  # type: ignore[misc]
            def get_frame(self) -> Any:
                return job.frame()

            def send(self, content: Any, buffers: Any = None) -> None:
                send(content, buffers)

        return Widget(css_width=f"{job.width}px", css_height=f"{job.height}px")


async def serve(job: Job) -> None:
    from websockets.asyncio.server import serve as listen

    comm = Comm(job)
    port = job.port and job.port + 1
    async with listen(comm.attend, job.host, port, compression=None, max_size=None) as server:
        port = server.sockets[0].getsockname()[1]
        page = PAGE.format(width=job.width, height=job.height, port=port)
        files = {
            "/": ("text/html", page.encode()),
            "/widget.js": ("text/javascript", comm.widget._esm.encode()),
            "/widget.css": ("text/css", comm.widget._css.encode()),
        }
        job.ready(f"http://{job.host}:{serve_page(job.host, job.port, files)}/")
        while await job.sleep():
            comm.widget.request_draw()


if __name__ == "__main__":
    play(serve)
