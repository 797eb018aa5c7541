"""`Display`: one stream, to publish frames into and to receive input events from.

Must not know encoders, sockets or rings, nor how it is started. It is a handle: a server gives another one for the
same stream where a program has let go of the last.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, Self, Unpack, overload
from urllib.parse import quote

from framewire.advice import advise
from framewire.arrays import FrameLike, Layout, as_pixels
from framewire.calls import plain_function, seconds
from framewire.environment import in_notebook, in_terminal_ipython, put_into_cell, say
from framewire.errors import EngineError
from framewire.events import InputEvent
from framewire.keywords import flag
from framewire.publisher import Publisher
from framewire.reentrancy import when_outside
from framewire.shortages import reason
from framewire.viewers import ViewerEvent, WatchingViewer

if TYPE_CHECKING:
    from framewire.ancestor import FrameKeywords
    from framewire.notebook import Canvas, Viewer
    from framewire.rtc.track import FrameTrack
    from framewire.serving import Server
    from framewire.wire import Cursor

DEFAULT_STREAM: Final = "default"


class Display:
    """One stream. Publish frames into it; show `url` in a browser or `widget()` in a notebook.

    Usable at once: `publish` needs no event loop and works from any thread. ``await display`` waits until the
    engine serves the port. Ends with `close`, ``await aclose()``, ``with`` or ``async with``. A signal handler may
    call any of it.

    It holds its server. A display of `serve` goes on until it is closed, even if nothing holds it. One of
    `Server.add_stream` goes on as long as something holds its server or any display of that; a widget does not.
    """

    def __new__(cls, *parts: Any, **_: Any) -> Self:
        """Raises ``TypeError`` for a size alone, with which pdum.rfb makes one."""
        if len(parts) < 2 or not isinstance(parts[1], Publisher):
            from framewire.ancestor import UNSERVED

            raise TypeError(UNSERVED)
        return super().__new__(cls)

    def __init__(self, server: Server, publisher: Publisher) -> None:
        self._server = server
        self._publisher = publisher

    # Publishing

    def publish(self, frame: FrameLike, *, format: Layout = "rgb", **theirs: Unpack[FrameKeywords]) -> None:
        """Make ``frame`` the newest picture; every viewer gets it as fast as it can take pictures.

        Takes an array of shape (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA with straight alpha, of
        ``uint8``, ``uint16``, float in [0, 1] or ``bool``; torch, JAX and CuPy tensors, PIL images,
        ``av.VideoFrame``, and Matplotlib figures, axes, canvases and animations, which are drawn here and now.
        ``format="bgr"`` for OpenCV's order. Another size than last time is a resize. ``docs/publish.md`` lists all.

        Pixels have 8 bits from here on: ``uint16`` and floats are rounded to them, and floats clipped, before anything
        is sent. What is bit-exact for a viewer is these bytes. A frame that looks like a mistake, such as floats up
        to 255, is shown too, and a `FramewireWarning` says once what to write instead.

        Returns in about a copy's time; the array may be changed on the next line. Any thread may call.
        Raises `PublishError` (a ``ValueError``) for anything else, in one line, and `ClosedError` after `close`.
        Raises `EngineError` where no memory can be had for so large a frame: a smaller one, or a later one, may be
        published. Also where the engine exited again and again: `serve` starts another. ``theirs`` are keywords of
        pdum.rfb; colours that are not sRGB are a `PublishError`.
        """
        if theirs:
            from framewire.ancestor import check_frame_keywords

            check_frame_keywords(theirs)
        publisher = self._publisher
        # Whether a frame looks odd is asked for the first, second, fourth, eighth, ...: then it costs nothing.
        is_looked_at = publisher.number & (publisher.number + 1) == 0 and not publisher.advised
        try:
            publisher.publish(as_pixels(frame, format, self._advise if is_looked_at else None))
        except MemoryError as error:
            raise EngineError(f"there is no memory to publish this frame: {reason(error)}") from error

    def _advise(self, text: str) -> None:
        self._publisher.advised = True
        advise(text)

    def track(self, *, fps: float | None = None) -> FrameTrack:
        """A video track of the newest frame, for an aiortc program of your own: ``pc.addTrack(display.track())``.

        It gives at most ``fps`` frames a second; without it, as many as the display's. Each call makes a track of its
        own, which ends with the display. Frames are copied and converted only when the track is read, on the event
        loop of the connection that reads it, with chroma at half resolution.
        """
        from framewire.codec.colour import to_video_frame
        from framewire.rtc.track import FrameTrack

        publisher = self._publisher

        def newest(known: int | None) -> tuple[int, int, Any] | None:
            frame = publisher.newest(known)
            if frame is None:
                return None
            return frame.number, frame.time_us, to_video_frame(frame.pixels, "420")

        return FrameTrack(newest, fps=self.fps if fps is None else fps)

    # What comes back

    def poll_events(self) -> list[InputEvent]:
        """All input events since the last call, oldest first; does not wait.

        Raises `EngineError` where none can come, as there is no engine any more.
        """
        events = self._publisher.feedback.events.poll()
        if not events and self._publisher.failed and not self.closed:
            self._publisher.check()
        return events

    async def events(self) -> AsyncGenerator[InputEvent, None]:
        """Input events as they arrive, until the display is closed. Raises `EngineError` as `poll_events`."""
        async with aclosing(self._publisher.feedback.events.feed()) as events:
            async for event in events:
                yield event
        if self._publisher.failed and not self.closed:
            self._publisher.check()

    def on_event(self, callback: Callable[[InputEvent], None]) -> Callable[[], None]:
        """Call ``callback`` for every input event; returns what removes it again.

        This display's callbacks have a thread of their own, and run one at a time: one that takes long delays the next
        call, and nothing else. Meanwhile moves and turns of the wheel are merged, and 1024 events wait at most; those
        that are dropped are counted in `stats`. What it raises is logged and goes no further. No call begins after
        the display's end.
        """
        plain_function("on_event", callback, "event")
        return self._publisher.feedback.callbacks.on_event(callback)

    @property
    def client_count(self) -> int:
        """Viewers that watch now, seen or not. The views of one page are one viewer."""
        return len(self._publisher.feedback.viewers)

    @property
    def viewers(self) -> tuple[WatchingViewer, ...]:
        """The viewers that watch now: who they are, and whether they can see the picture."""
        return self._publisher.feedback.viewers

    @property
    def watched(self) -> bool:
        """Whether any viewer can see the picture now: its view is neither scrolled away nor in a tab at the back."""
        return any(viewer.visible for viewer in self._publisher.feedback.viewers)

    def on_viewers(self, callback: Callable[[ViewerEvent], object]) -> Callable[[], None]:
        """Call ``callback`` when a viewer joins, leaves, is hidden or can be seen again; returns what removes it again.

        It is called as that of `on_event`, on the same thread; `viewers` may be further on already.
        """
        plain_function("on_viewers", callback, "event")
        return self._publisher.feedback.callbacks.on_viewers(callback)

    @property
    def stats(self) -> dict[str, Any]:
        """Numbers of about the last second: viewers, published_fps, encodings in use, encodes, encode_ms.

        ``dropped_events`` counts the input events since the start that were too many to wait: for `poll_events`, and
        for the callbacks of `on_event`.
        """
        return self._publisher.feedback.stats

    # Where it is

    @property
    def name(self) -> str:
        return self._publisher.options.name

    @property
    def title(self) -> str:
        """What viewers call the picture; a page of its own has it as its title. Empty: the name serves. May be set."""
        return self._publisher.options.title

    @title.setter
    def title(self, title: str) -> None:
        self._publisher.describe(title=title)

    @property
    def cursor(self) -> Cursor:
        """The pointer's shape over the picture, a keyword of CSS: ``"crosshair"``, ``"none"``, …  May be set."""
        return self._publisher.options.cursor

    @cursor.setter
    def cursor(self, cursor: Cursor) -> None:
        self._publisher.describe(cursor=cursor)

    @property
    def width(self) -> int:
        """Pixels of the newest frame."""
        return self._publisher.size[0]

    @property
    def height(self) -> int:
        return self._publisher.size[1]

    @property
    def fps(self) -> float:
        """Frames a second that the publisher aims at."""
        return self._publisher.options.fps

    @property
    def server(self) -> Server:
        """The server that serves it; `Server.add_stream` puts another stream on the same port."""
        return self._server

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def url(self) -> str:
        """The page that shows this stream. Keep it to those who may watch: the token is in its fragment,
        which browsers send nowhere."""
        query = "" if self.name == DEFAULT_STREAM else f"?stream={quote(self.name, safe='')}"
        return f"{self._server.scheme}://{self._server.address}/{query}#token={quote(self._server.token, safe='')}"

    @property
    def ws_url(self) -> str:
        """The WebSocket that viewers connect to, without anything secret."""
        return f"{self._server.scheme.replace('http', 'ws')}://{self._server.address}/ws"

    @property
    def closed(self) -> bool:
        return self._publisher.ended is not None

    @overload
    def widget(self, *, batteries: Literal[True] = True, **traits: Any) -> Viewer: ...
    @overload
    def widget(self, *, batteries: Literal[False], **traits: Any) -> Canvas: ...
    @overload
    def widget(self, *, batteries: bool, **traits: Any) -> Viewer | Canvas: ...
    def widget(self, *, batteries: bool = True, **traits: Any) -> Viewer | Canvas:
        """A notebook widget: `Viewer` with status, toolbar and HUD, or the bare `Canvas`.

        ``traits`` are the widget's: ``mode``, ``fit``, ``height``, ``background``, ``show_stats``, …
        """
        from framewire.notebook import Canvas, Viewer

        made: Viewer | Canvas = (Viewer if flag("batteries", batteries) else Canvas).of(self, **traits)
        return made

    def show(self, **traits: Any) -> None:
        """Show the picture here and now: in a notebook the view, though the cell goes on; elsewhere print the address.

        ``traits`` are those of `widget`. A display at the end of a cell needs none of it: it shows itself.
        """
        if in_notebook():
            put_into_cell(self.widget(**traits))
        else:
            say(f"framewire: {self.url}")

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """A display at the end of a cell shows itself."""
        if in_terminal_ipython():
            return {"text/plain": repr(self)}
        return self.widget()._repr_mimebundle_(**kwargs)

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"{self.width}x{self.height} at {self.ws_url}"
        return f"<framewire.Display {self.name!r} {state}>"

    def __reduce__(self) -> NoReturn:
        """It cannot be pickled or copied."""
        raise TypeError(
            "a Display belongs to its process and cannot be pickled or copied: send frames to the process that has it "
            "(a multiprocessing queue for instance), or call framewire.serve in the other one"
        )

    # Start and end

    def __await__(self) -> Generator[Any, None, Display]:
        yield from self._server.ready().__await__()
        return self

    def wait_ready(self, timeout: float | None = 30.0) -> Display:
        """Wait until the engine serves the port. Nothing needs it; frames published earlier are kept.

        Raises `EngineError` if that does not happen in ``timeout`` seconds; None waits for as long as it takes.
        """
        self._server.wait_ready(timeout)
        return self

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the display is closed; False if that does not happen in ``timeout`` seconds. For scripts.

        Ctrl-C closes it and ends the waiting: no ``KeyboardInterrupt`` comes out. Raises `EngineError` where there is
        no engine any more, and none can be started.
        """
        try:
            self._publisher.changed.wait_for(lambda: self.closed or self._server.failure, seconds("timeout", timeout))
        except KeyboardInterrupt:
            self.close()
        if self._server.failure and not self.closed:
            raise EngineError(self._server.failure)
        return self.closed

    def close(self) -> None:
        """End the stream, and the engine with its last one. Idempotent.

        Called by a signal handler that interrupted a call of this package, it returns at once: no frame is taken any
        more, and the interrupted call does the rest when it ends.
        """
        self._publisher.end("the display is closed")
        when_outside(self._server._release)

    async def aclose(self) -> None:
        """`close`, from a coroutine."""
        self._publisher.end("the display is closed")
        await self._server._arelease()

    def __enter__(self) -> Display:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Display:
        return await self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.aclose()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Names of pdum.rfb, where there is no other."""
            from framewire.ancestor import found

            error = AttributeError(f"'Display' object has no attribute {name!r}", name=name, obj=self)
            return found("Display", name, error)
