"""The notebook widgets: traits in, the built browser client out. The only file that knows anywidget.

Must not know engines. No secret is a trait: traits are saved in notebooks. The token goes to a view by a
custom message, after the view has asked for it, so a page without a kernel contacts nothing.
"""

from __future__ import annotations

import pathlib
import weakref
from typing import Any

import anywidget
import traitlets

from framewire.display import Display
from framewire.publishing import PublishLoop, publish_loop

__all__ = ["Canvas", "PublishLoop", "Viewer", "publish_loop"]

_STATIC = pathlib.Path(__file__).parent / "static"
_MISSING = """
export default { render({ el }) {
  el.textContent = "framewire: the browser client is not built. In a checkout: make setup";
} };
"""


class _Widget(anywidget.AnyWidget):
    """What both widgets share."""

    _esm = (_STATIC / "widget.js") if (_STATIC / "widget.js").exists() else _MISSING
    _css = (_STATIC / "widget.css") if (_STATIC / "widget.css").exists() else ""

    url = traitlets.Unicode("", help="WebSocket address; empty: made of the others").tag(sync=True)
    host = traitlets.Unicode("auto", help='"auto" is the page\'s own host name').tag(sync=True)
    base_path = traitlets.Unicode("", help="Path on the page's own origin that leads to the port").tag(sync=True)
    port = traitlets.Int(0).tag(sync=True)
    stream = traitlets.Unicode("default").tag(sync=True)
    mode = traitlets.Enum(("auto", "webrtc", "webcodecs", "lossless"), "auto").tag(sync=True)
    fit = traitlets.Enum(("contain", "cover", "fill"), "contain").tag(sync=True)
    background = traitlets.Unicode("#0b0d10").tag(sync=True)
    height = traitlets.Int(480, help="CSS pixels").tag(sync=True)
    batteries = traitlets.Bool(True).tag(sync=True)
    show_toolbar = traitlets.Bool(True).tag(sync=True)
    show_stats = traitlets.Bool(False).tag(sync=True)

    state = traitlets.Unicode("connecting", help="Read back: what the newest view does").tag(sync=True)
    stats = traitlets.Dict(help="Read back, about once a second").tag(sync=True)
    last_error = traitlets.Unicode("", help="Read back").tag(sync=True)

    task: PublishLoop | None = None

    def __init__(self, display: Display | None = None, **traits: Any) -> None:
        self._display = weakref.ref(display) if display else None
        super().__init__(**traits)
        self.on_msg(self._asked)

    @classmethod
    def of(cls, display: Display, **traits: Any) -> Any:
        """A widget that shows this display."""
        server = display.server
        where = {"port": server.port, "stream": display.name, "height": min(720, max(120, display.height))}
        if server._options.host not in ("127.0.0.1", "localhost", "0.0.0.0", "", "::", "*"):
            where["host"] = server._options.host
        return cls(display, **{**where, **traits})

    @property
    def display(self) -> Display | None:
        """What it shows; None once that is gone."""
        return self._display() if self._display else None

    def _asked(self, _: Any, content: Any, buffers: Any) -> None:
        if not (isinstance(content, dict) and content.get("type") == "hello"):
            return
        display = self.display
        if display is None or display.closed:
            self.send({"type": "gone", "text": "The display was closed. Run the cell that makes it again."})
            return
        ticket = {"type": "ticket", "token": display.server.token, "port": display.port, "stream": display.name}
        self.send(ticket)


class Viewer(_Widget):
    """The picture with status, latency badge, HUD and toolbar."""


class Canvas(_Widget):
    """The picture alone."""

    batteries = traitlets.Bool(False).tag(sync=True)
    show_toolbar = traitlets.Bool(False).tag(sync=True)
