"""Options given to the wrong call, or under another name: the line says which call or name is the right one."""

from __future__ import annotations

from typing import Any

import pytest

import framewire as fw
from framewire.misplaced import instead

SIZED = (4, 4)


@pytest.mark.parametrize(
    ("call", "arguments", "option", "line"),
    [
        (fw.serve, SIZED, "mode", "serve() has no option 'mode': display.widget(mode=…) takes it"),
        (fw.serve, SIZED, "Show_stats", "serve() has no option 'Show_stats': display.widget(show_stats=…) takes it"),
        (fw.serve, SIZED, "image_only", "serve() has no option 'image_only': display.widget(mode=\"lossless\")"),
        (fw.serve, SIZED, "format", "serve() has no option 'format': display.publish(frame, format=\"bgr\") takes it"),
        (fw.serve, SIZED, "framerate", "serve() has no option 'framerate': fps= is meant"),
        (fw.serve, SIZED, "bind", "serve() has no option 'bind': host= is meant"),
        (fw.serve, SIZED, "quality", "serve() has no option 'quality': rates follow each viewer's network"),
        (fw.serve, SIZED, "streams", "serve() has no option 'streams': serve_server(streams=…) takes it"),
        (fw.serve_server, (), "name", "serve_server() has no option 'name': each stream has one: server.add_stream("),
        (fw.serve_server, (), "width", "serve_server() has no option 'width': each stream has one"),
        (fw.show, ([],), "width", "show() has no option 'width': the size is that of the frame"),
        (fw.show, ([],), "format", "elsewhere frames are RGB, as frame[:, :, ::-1] is"),
    ],
)
def test_an_option_of_another_call_says_which(call: Any, arguments: tuple[Any, ...], option: str, line: str) -> None:
    with pytest.raises(TypeError) as caught:
        call(*arguments, **{option: 3})
    assert line in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("option", ["token", "port", "engine", "password"])
def test_what_a_server_has_once_is_said_where_a_stream_is_added(option: str) -> None:
    meant = "token" if option == "password" else option
    assert instead("add_stream", option, []) == (f"it is for all streams of a server: serve_server({meant}=…) takes it")


def test_nothing_is_said_of_what_is_nowhere() -> None:
    assert instead("serve", "colour_of_the_sky", ["fps"]) is None
    assert instead("serve", "height", []) is None, "it has one"
    assert instead("serve", "token", []) is None and instead("show", "name", []) is None
