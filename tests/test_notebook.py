"""The widgets: what is saved of them holds no secret; the token comes in a message, while the server is open."""

from __future__ import annotations

import gc
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import traitlets

import framewire as fw
from framewire import notebook
from tests.certificates import write_certificate

SENT: list[tuple[Any, dict[str, Any]]] = []


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, dict[str, Any]]]:
    """Custom messages to the views, as (widget, message)."""
    SENT.clear()
    monkeypatch.setattr(notebook._Widget, "send", lambda self, content, buffers=None: SENT.append((self, content)))
    return SENT


@pytest.fixture
async def display() -> AsyncIterator[fw.Display]:
    async with fw.serve(64, 150, port=0, engine="inline") as display:
        yield display


def hello(widget: Any, content: Any = None) -> None:
    """A view appears, or another message comes from the page."""
    widget._handle_custom_msg({"type": "hello"} if content is None else content, [])


async def test_the_token_is_in_nothing_that_is_saved(display: fw.Display) -> None:
    token = display.server.token
    for widget in (display.widget(), display.widget(batteries=False), notebook.Viewer.of(display, mode="lossless")):
        hello(widget)
        assert token not in json.dumps(widget.get_state(), default=str)
        assert token not in repr(widget) and token not in str(widget.__dict__.get("_trait_values"))
        assert token not in json.dumps(widget._repr_mimebundle_(), default=str)
        assert not [name for name in widget.trait_names(sync=True) if "token" in name or "secret" in name]
    assert token not in json.dumps(display._repr_mimebundle_(), default=str)


def test_a_widget_of_no_display_says_what_to_write() -> None:
    with pytest.raises(TypeError, match=r"^a widget is of a display: write display\.widget\(\), not one of 'x'$"):
        notebook.Viewer("x")  # type: ignore[arg-type]


def test_a_widget_says_where_its_display_is(display: fw.Display) -> None:
    widget: Any = display.widget()
    with pytest.raises(AttributeError, match=r"^'Viewer' object has no attribute 'publish': write \.display\.publish$"):
        widget.publish(np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(AttributeError, match=r"^'Viewer' object has no attribute 'publishes'$"):
        widget.publishes()
    names = [name for name in notebook._OF_DISPLAYS if not hasattr(fw.Display, name) or hasattr(widget, name)]
    assert names == []


async def test_the_ticket_is_sent_at_once_and_again_for_every_view(
    display: fw.Display, sent: list[tuple[Any, dict[str, Any]]]
) -> None:
    ticket = {"type": "ticket", "token": display.server.token, "port": display.port, "stream": "default"}
    widget = display.widget()
    assert [message for _, message in sent] == [ticket]
    hello(widget)
    assert [message for _, message in sent] == [ticket, ticket]


async def test_other_messages_of_a_page_are_not_answered(
    display: fw.Display, sent: list[tuple[Any, dict[str, Any]]]
) -> None:
    widget = display.widget()
    sent.clear()
    for content in ("hello", ["hello"], {"type": "token"}, {}, 7, {"type": ["hello"]}):
        hello(widget, content)
    assert sent == []


async def test_the_views_are_notified_when_the_server_closes(
    display: fw.Display, sent: list[tuple[Any, dict[str, Any]]]
) -> None:
    widget = display.widget()
    sent.clear()
    await display.aclose()
    assert [message["type"] for _, message in sent] == ["gone"]
    hello(widget)
    assert [message["type"] for _, message in sent] == ["gone", "gone"]
    assert not [message for _, message in sent if "token" in message] and widget.display is None


def test_a_callback_held_weakly_keeps_no_object() -> None:
    called: list[int] = []

    class Listener:
        def call(self) -> None:
            called.append(1)

    listener = Listener()
    callback = notebook._weakly(listener.call)
    callback()
    del listener
    gc.collect()
    callback()
    assert called == [1]


async def test_a_widget_follows_its_stream_over_a_replacement(display: fw.Display) -> None:
    other = display.server.add_stream("cam", 4, 4)
    widget = other.widget()
    assert widget.display is other
    new = display.server.add_stream("cam", 8, 8)
    assert widget.display is new
    new.close()
    assert widget.display is None


async def test_traits_say_where_and_how(display: fw.Display) -> None:
    widget = display.widget(mode="webrtc", fit="cover", height=300, show_stats=True)
    state = widget.get_state()
    assert (state["port"], state["stream"], state["host"]) == (display.port, "default", "auto")
    assert (state["mode"], state["fit"], state["height"], state["show_stats"]) == ("webrtc", "cover", 300, True)
    assert state["batteries"] and state["show_toolbar"] and state["state"] == "connecting"
    bare = display.widget(batteries=False).get_state()
    assert not bare["batteries"] and not bare["show_toolbar"]
    assert bare["mailbox"] != state["mailbox"], "widgets are told apart"
    with pytest.raises(Exception, match="mode"):
        display.widget(mode="smoke signals")


@pytest.mark.parametrize(("height", "shown"), [(119, 120), (121, 121), (719, 719), (721, 720)])
async def test_a_widget_is_as_high_as_its_display_within_limits(display: fw.Display, height: int, shown: int) -> None:
    assert display.server.add_stream("other", 64, height).widget().get_state()["height"] == shown


async def test_a_widget_of_another_host_names_it(display: fw.Display, monkeypatch: pytest.MonkeyPatch) -> None:
    assert display.widget().get_state()["host"] == "auto", "the page's own"
    monkeypatch.setattr(fw.Server, "host_name", "lab.example")
    assert display.widget().get_state()["host"] == "lab.example"
    monkeypatch.setattr(fw.Server, "host_name", "localhost")
    assert display.widget().get_state()["host"] == "auto"


def test_a_widget_without_a_display_says_so(sent: list[tuple[Any, dict[str, Any]]]) -> None:
    widget = notebook.Viewer()
    assert widget.display is None and sent == []
    hello(widget)
    assert sent[0][1]["type"] == "gone"


# As pdum.rfb's


def test_the_widgets_have_the_ancestors_names() -> None:
    assert notebook.RfbViewer is notebook.Viewer and notebook.RfbCanvas is notebook.Canvas
    assert {"RfbViewer", "RfbCanvas"} <= set(notebook.__all__)


async def test_a_widget_finds_its_server_by_the_port(
    display: fw.Display, sent: list[tuple[Any, dict[str, Any]]]
) -> None:
    widget = notebook.RfbViewer(port=display.port, stream="default", height=480, show_stats=False)
    ticket = {"type": "ticket", "token": display.server.token, "port": display.port, "stream": "default"}
    assert [message for _, message in sent] == [ticket]
    assert widget.display is display
    await display.aclose()
    assert sent[-1][1]["type"] == "gone"


async def test_a_widget_finds_its_server_by_its_address(display: fw.Display) -> None:
    assert notebook.RfbViewer(url=display.ws_url).display is display
    for url in ("ws://127.0.0.1/ws", "ws://127.0.0.1:port/ws", f"ws://127.0.0.1:{display.port % 65535 + 1}/ws"):
        assert notebook.RfbViewer(url=url).display is None


def test_a_widget_of_no_server_says_so(sent: list[tuple[Any, dict[str, Any]]]) -> None:
    widget = notebook.Viewer(port=1, stream="a")
    assert sent == []
    hello(widget)
    assert [message["type"] for _, message in sent] == ["gone"]


async def test_a_view_presents_a_token_of_its_own(display: fw.Display, sent: list[tuple[Any, dict[str, Any]]]) -> None:
    widget = display.widget(token="a ticket of Ada")
    elsewhere = notebook.Viewer(host="lab.example", port=8765, stream="a", token="a ticket of Bob")
    assert [message["token"] for _, message in sent] == ["a ticket of Ada", "a ticket of Bob"]
    assert (sent[1][1]["port"], sent[1][1]["stream"]) == (8765, "a")
    for each in (widget, elsewhere):
        assert "a ticket" not in json.dumps(each.get_state(), default=str) + repr(each)
    await display.aclose()
    hello(widget)
    assert sent[-1][1]["type"] == "gone"


async def test_the_ancestors_traits_are_taken(display: fw.Display) -> None:
    widget = display.widget(base_path=None, host=None, fit="", background="")
    assert (widget.base_path, widget.host, widget.fit) == ("", "auto", "contain")
    with pytest.warns(
        fw.FramewireWarning, match="image_only= is mode='lossless' here; main_thread_present= is"
    ) as all_:
        widget = display.widget(image_only=True, main_thread_present=True)
    assert widget.mode == "lossless" and len(all_) == 1


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("hieght", "a widget has no option 'hieght': do you mean 'height'?"),
        ("Mode", "a widget has no option 'Mode': do you mean 'mode'?"),
        ("layuot", "a widget has no option 'layuot': do you mean 'layout'?"),
    ],
)
async def test_a_trait_that_is_none_is_named_with_the_nearest(display: fw.Display, name: str, line: str) -> None:
    traits: dict[str, Any] = {name: 3}
    for make in (display.widget, notebook.Canvas):
        with pytest.raises(TypeError) as caught:
            make(**traits)
        assert str(caught.value) == line


async def test_a_trait_that_is_like_none_lists_them(display: fw.Display) -> None:
    with pytest.raises(TypeError, match=r"no option 'zzz'; there are background, base_path, .*height, .*show_toolbar"):
        display.widget(zzz=3)
    assert display.widget(height=300, layout={"width": "50%"}).height == 300


@pytest.mark.parametrize("height", [300, 300.0, np.int64(300), np.float32(300)])
async def test_a_size_may_be_a_number_of_any_type(display: fw.Display, height: Any) -> None:
    assert display.widget(height=height).height == 300


@pytest.mark.parametrize(("name", "value"), [("height", "tall"), ("height", 0.5), ("mode", "rtc"), ("port", None)])
async def test_a_value_that_no_widget_takes_is_one_line_that_names_it(
    display: fw.Display, name: str, value: Any
) -> None:
    traits: dict[str, Any] = {name: value}
    with pytest.raises(traitlets.TraitError, match=name) as caught:
        display.widget(**traits)
    assert "\n" not in str(caught.value)


def test_views_of_a_server_with_a_certificate_are_told_to_use_wss(tmp_path: Path) -> None:
    with fw.serve(64, 48, port=0, tls=write_certificate(tmp_path), engine="thread") as display:
        widget, sent = display.widget(batteries=False), list[Any]()
        widget.send = lambda content, *_: sent.append(content)
        widget._send_state()
        assert sent[0]["secure"] is True and "secure" not in widget.get_state()
