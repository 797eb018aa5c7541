"""Numpy frames on screen, in a notebook or a browser, as they are now.

::

    import framewire as fw

    display = fw.serve(1280, 720)
    display.publish(frame)        # any array, any thread
    display.widget()              # in a notebook;  display.url in a browser
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from framewire._version import __version__
from framewire.display import Display
from framewire.errors import ClosedError, EncoderError, EngineError, FramewireError, FramewireWarning, PublishError
from framewire.events import InputEvent
from framewire.publishing import PublishLoop, publish_loop
from framewire.serving import Server, serve, serve_server
from framewire.show import show
from framewire.viewers import ViewerEvent

if TYPE_CHECKING:
    from framewire.rtc.track import FrameTrack

__all__ = [
    "ClosedError",
    "Display",
    "EncoderError",
    "EngineError",
    "FrameTrack",
    "FramewireError",
    "FramewireWarning",
    "InputEvent",
    "PublishError",
    "PublishLoop",
    "Server",
    "ViewerEvent",
    "__version__",
    "publish_loop",
    "serve",
    "serve_server",
    "show",
]


def __dir__() -> list[str]:
    """What is completed after ``framewire.``: the public names, and the module of the widgets."""
    return [*__all__, "notebook"]


def __getattr__(name: str) -> Any:
    # Loaded when asked for: aiortc takes longer to import than everything else together.
    if name == "FrameTrack":
        from framewire.rtc.track import FrameTrack

        return FrameTrack
    from framewire.ancestor import found

    return found(__name__, name, AttributeError(f"module {__name__!r} has no attribute {name!r}"))
