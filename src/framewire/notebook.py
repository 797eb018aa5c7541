"""The notebook widgets: traits, and the built browser client that shows them. The only file that knows anywidget.

Must not know engines. No secret is a trait: traits are saved in notebooks. The token goes to the views in a
custom message from the kernel, so a page without a kernel connects to nothing.
"""

from __future__ import annotations

import pathlib
import uuid
import weakref
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import anywidget
import traitlets

from framewire import ancestor, registry
from framewire.keywords import as_number, shown, unknown
from framewire.publishing import PublishLoop, publish_loop

if TYPE_CHECKING:
    from framewire.display import Display

    _Text = traitlets.Unicode[str, str | bytes]
    _Flag = traitlets.Bool[bool, bool | int]

__all__ = ["Canvas", "PublishLoop", "RfbCanvas", "RfbViewer", "Viewer", "publish_loop"]

MIN_HEIGHT_PX: Final = 120
"""A widget is at least so high (CSS pixels): its toolbar needs the room.

Source: chosen by hand; pinned by `tests/test_notebook.py::test_a_widget_is_as_high_as_its_display_within_limits`."""
MAX_HEIGHT_PX: Final = 720
"""A widget is at most so high unless asked: more does not fit into the window of a notebook.

Source: chosen by hand; pinned by `tests/test_notebook.py::test_a_widget_is_as_high_as_its_display_within_limits`."""

_OF_DISPLAYS: Final = frozenset(
    {"events", "on_event", "on_viewers", "poll_events", "publish", "server", "track", "viewers", "wait", "watched"}
)
"""What a program may look for at a widget, and a display has."""

_STATIC = pathlib.Path(__file__).parent / "static"
_MISSING = """
export default { render({ el }) {
  el.textContent = "framewire: the browser client is not built. In a checkout: make setup";
} };
"""


class _Widget(anywidget.AnyWidget):
    """What both widgets have in common."""

    _esm = (_STATIC / "widget.js") if (_STATIC / "widget.js").exists() else _MISSING
    _css = (_STATIC / "widget.css") if (_STATIC / "widget.css").exists() else ""

    url: _Text = traitlets.Unicode("", help="WebSocket address; empty: made of the traits below").tag(sync=True)
    host: _Text = traitlets.Unicode("auto", help='"auto" is the page\'s own host name').tag(sync=True)
    base_path: _Text = traitlets.Unicode("", help="Path on the page's own origin that leads to the port").tag(sync=True)
    port: traitlets.Int[int, int] = traitlets.Int(0).tag(sync=True)
    stream: _Text = traitlets.Unicode("default").tag(sync=True)
    mode: traitlets.Enum[str] = traitlets.Enum(("auto", "webrtc", "webcodecs", "lossless"), "auto").tag(sync=True)
    fit: traitlets.Enum[str] = traitlets.Enum(("contain", "cover", "fill"), "contain").tag(sync=True)
    background: _Text = traitlets.Unicode("#0b0d10").tag(sync=True)
    height: traitlets.Int[int, int] = traitlets.Int(480, help="CSS pixels").tag(sync=True)
    batteries: _Flag = traitlets.Bool(True).tag(sync=True)
    show_toolbar: _Flag = traitlets.Bool(True).tag(sync=True)
    show_stats: _Flag = traitlets.Bool(False).tag(sync=True)

    state: _Text = traitlets.Unicode("connecting", help="Read back: the state of the newest view").tag(sync=True)
    stats: traitlets.Dict[str, Any] = traitlets.Dict(help="Read back, about once a second").tag(sync=True)
    last_error: _Text = traitlets.Unicode("", help="Read back").tag(sync=True)

    mailbox: _Text = traitlets.Unicode(
        help="Names this widget's kernel messages where several widgets share one page's code"
    ).tag(sync=True)

    task: PublishLoop | None = None

    def __init__(self, display: Display | None = None, *, token: str | None = None, **traits: Any) -> None:
        """``token`` is what the view presents, if it is not the server's. Without a ``display``, the ``port`` of a
        server of this process does, or the address of another one's with its ``token``."""
        if display is not None and not hasattr(display, "server"):
            raise TypeError(f"a widget is of a display: write display.widget(), not one of {shown(display)}")
        traits = _known(ancestor.traits(traits, self.trait_names()), self.trait_names())
        server = display.server if display else registry.on_port(traits.get("port") or _port_of(traits.get("url")))
        # Weakly: a widget stays as long as its kernel, a server must not.
        self._server = weakref.ref(server) if server else None
        self._token = token
        super().__init__(mailbox=uuid.uuid4().hex, **traits)
        self.on_msg(self._on_message)
        if server:
            server.on_close(_weakly(self._send_state))
        if server or token:
            # At once, without a request: the cell may go on computing, and the kernel answers nothing until it ends.
            self._send_state()

    @classmethod
    def of(cls, display: Display, **traits: Any) -> Any:
        """A widget of this display."""
        server = display.server
        height = min(MAX_HEIGHT_PX, max(MIN_HEIGHT_PX, display.height))
        where = {"port": server.port, "stream": display.name, "height": height}
        if server.host_name not in ("127.0.0.1", "localhost"):
            where["host"] = server.host_name
        return cls(display, **{**where, **ancestor.traits(traits, cls.class_trait_names())})

    @property
    def display(self) -> Display | None:
        """The newest display of the name in ``stream``; None while there is none."""
        server = self._server() if self._server else None
        return server.get(self.stream) if server else None

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Nothing: `show` gives a widget in a notebook and a display elsewhere, so the line says where it is."""
            hint = f": write .display.{name}" if name in _OF_DISPLAYS else ""
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}", name=name, obj=self)

    def __repr__(self) -> str:
        # Shown where a notebook is only read.
        return f"<framewire.{type(self).__name__} of {self.stream!r}: run the cell to see the live picture>"

    def _on_message(self, _: Any, content: Any, buffers: Any) -> None:
        if isinstance(content, dict) and content.get("type") == "hello":
            self._send_state()

    def _send_state(self) -> None:
        """Send the views the port and the token, or that the server is closed."""
        server = self._server() if self._server else None
        if server and not server.closed:
            token, port = self._token or server.token, server.port
        elif self._token and not self._server:
            token, port = self._token, self.port
        else:
            self.send({"type": "gone", "reason": "display_closed"})
            return
        ticket = {"type": "ticket", "token": token, "port": port, "stream": self.stream}
        self.send({**ticket, "secure": True} if server and server.scheme == "https" else ticket)


def _port_of(url: str | None) -> int:
    """The port in an address; 0 where there is none."""
    try:
        return urlsplit(url or "").port or 0
    except ValueError:
        return 0


def _known(traits: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The traits. Raises ``TypeError`` for one that a widget does not have: traitlets takes it, with a warning."""
    for name in traits:
        if name not in names:
            others = [each for each in names if not each.startswith("_")]
            raise TypeError(unknown("a widget", "option", name, sorted(_Widget.class_own_traits()), others))
    return {name: _whole(value) for name, value in traits.items()}


def _whole(value: Any) -> Any:
    """Sizes are often computed, and come as 640.0 or from NumPy; traitlets takes Python's integers alone."""
    number = None if isinstance(value, int) else as_number(value)
    return int(number) if number is not None and number.is_integer() else value


def _weakly(method: Callable[[], None]) -> Callable[[], None]:
    """The method, without keeping its object."""
    reference = weakref.WeakMethod(method)

    def call() -> None:
        if found := reference():
            found()

    return call


class Viewer(_Widget):
    """The picture with status, latency badge, HUD and toolbar."""


class Canvas(_Widget):
    """The picture alone."""

    batteries: _Flag = traitlets.Bool(False).tag(sync=True)
    show_toolbar: _Flag = traitlets.Bool(False).tag(sync=True)


RfbCanvas = Canvas
RfbViewer = Viewer
