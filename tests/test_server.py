"""A server: its streams and displays, what it says of itself, what holds it, and what is left when it is let go."""

from __future__ import annotations

import gc
import threading

import pytest

import framewire as fw
from framewire.viewers import WatchingViewer
from tests.fake_host import FakeHost, faked
from tests.viewer import eventually, flat


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> list[FakeHost]:
    """The hosts that run: fakes."""
    return faked(monkeypatch)


# Streams and displays


def test_a_server_of_many_streams(hosts: list[FakeHost]) -> None:
    streams = [{"name": "a", "width": 4, "height": 4}, {"name": "b", "width": 8, "height": 6, "fps": 5}]
    with fw.serve_server(streams=streams) as server:
        assert server.streams == ["a", "b"] and server.stream("b").fps == 5.0
        a, b = server.stream("a"), server.stream("b")
        server.remove_stream("a")
        assert a.closed and server.streams == ["b"] and hosts
        with pytest.raises(KeyError):
            server.stream("a")
        assert server.add_stream("b", 4, 4) is server.stream("b") and b.closed
    assert not hosts and server.closed
    with pytest.raises(fw.ClosedError, match="the server is closed"):
        server.add_stream("c", 4, 4)
    server.close()


def test_closing_a_server_runs_the_callbacks(hosts: list[FakeHost], caplog: pytest.LogCaptureFixture) -> None:
    called: list[int] = []
    server = fw.serve_server()
    server.on_close(lambda: 1 / 0)  # type: ignore[arg-type]
    server.on_close(lambda: called.append(1))
    server.close()
    server.on_close(lambda: called.append(2))
    assert called == [1, 2] and "a callback failed" in caplog.text


def test_what_is_no_function_is_refused_where_it_is_given(hosts: list[FakeHost]) -> None:
    display = fw.serve(4, 4)
    for function in (display.on_event, display.on_viewers, display.server.on_close):
        with pytest.raises(TypeError, match=f"{function.__name__} takes a function, called as"):
            function([])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="open_viewer takes a function, called as"):
        display.server.open_viewer(print, None, print)  # type: ignore[arg-type]


def viewers(count: int) -> tuple[WatchingViewer, ...]:
    return tuple(WatchingViewer(f"viewer-{number}") for number in range(count))


@pytest.mark.parametrize("what", ["started again", "failed"])
async def test_an_engine_that_has_ended_has_no_viewers(hosts: list[FakeHost], what: str) -> None:
    display = fw.serve(4, 4)
    events: list[fw.ViewerEvent] = []
    display.on_viewers(events.append)
    hosts[0].listener.on_viewers(0, viewers(3))
    hosts[0].listener.on_viewers(99, viewers(5))
    assert display.client_count == 3 and display.watched
    hosts[0].listener.on_failed("gone") if what == "failed" else hosts[0].listener.on_ready()
    assert display.client_count == 0 and not display.watched
    await eventually(lambda: [event.type for event in events] == ["join"] * 3 + ["leave"] * 3)


def test_a_stream_that_was_added_to_a_shared_server_keeps_the_engine_and_ends_it(hosts: list[FakeHost]) -> None:
    display = fw.serve(4, 4)
    other = display.server.add_stream("other", 4, 4)
    display.close()
    assert hosts and not other.closed
    other.close()
    assert not hosts


def test_a_server_of_its_own_outlives_its_streams_and_is_not_shared(hosts: list[FakeHost]) -> None:
    with fw.serve_server() as server:
        assert fw.serve(4, 4).server is not server
        server.add_stream("a", 4, 4).close()
        assert not server.closed and server.get("a") is None
        display = server.add_stream("a", 4, 4)
        assert server.get("a") is server.stream("a") is display


def test_a_display_that_was_replaced_leaves_the_new_one_in_place(hosts: list[FakeHost]) -> None:
    old = fw.serve(4, 4)
    new = fw.serve(4, 4)
    old.close()
    assert new.server.get("default") is new
    hosts[0].listener.on_viewers(0, viewers(5))
    hosts[0].listener.on_viewers(1, viewers(3))
    hosts[0].listener.on_stats(1, {"viewers": 3})
    hosts[0].listener.on_input(1, "v", "me", {"type": "close"})
    assert (old.client_count, new.client_count, new.stats["viewers"]) == (0, 3, 3)
    assert [(each.client_id, each.principal, each.event) for each in new.poll_events()] == [  # type: ignore[comparison-overlap]
        ("v", "me", {"type": "close"})
    ]
    assert old.poll_events() == []


async def test_waiting_for_a_server_waits_for_its_host(hosts: list[FakeHost]) -> None:
    server = fw.serve_server()
    assert await server is server
    await server.ready()
    server.wait_ready()
    display = await server.add_stream("a", 4, 4)
    assert display.wait_ready(2.5) is display
    assert hosts[0].waits == [None, None, 30.0, None, 2.5]
    await server.aclose()
    assert not hosts


@pytest.mark.parametrize(
    ("host", "name", "address"),
    [("127.0.0.1", "127.0.0.1", "127.0.0.1:9"), ("0.0.0.0", "127.0.0.1", "127.0.0.1:9"),
     ("*", "127.0.0.1", "127.0.0.1:9"), ("", "127.0.0.1", "127.0.0.1:9"), ("::", "127.0.0.1", "127.0.0.1:9"),
     ("::1", "::1", "[::1]:9"), ("lab.example", "lab.example", "lab.example:9")],
)  # fmt: skip
def test_a_server_has_a_name_for_browsers_on_this_machine(
    hosts: list[FakeHost], host: str, name: str, address: str
) -> None:
    with fw.serve_server(host=host, port=9) as server:
        assert server.host_name == name and server.address == address


def test_it_shows_its_streams_and_address_and_no_secret(hosts: list[FakeHost]) -> None:
    server = fw.serve_server(port=9)
    assert repr(server) == "<framewire.Server of no stream at http://127.0.0.1:9/>"
    server.add_stream("a", 4, 4), server.add_stream("b", 4, 4)
    assert repr(server) == "<framewire.Server of 'a', 'b' at http://127.0.0.1:9/>"
    server.close()
    assert repr(server) == "<framewire.Server closed>"


# What holds what


async def test_a_server_that_nothing_holds_ends_at_once(hosts: list[FakeHost]) -> None:
    server = fw.serve_server()
    called: list[int] = []
    server.on_close(lambda: called.append(threading.get_ident()))
    server.add_stream("a", 4, 4).publish(flat(4, 4))
    (outlet,) = hosts[0].outlets
    del server
    assert not hosts and outlet.closed, "without the garbage collector, which comes when it likes"
    await eventually(lambda: called)
    assert called != [threading.get_ident()], "the garbage collector may be on a thread that watches an engine"


def test_a_display_holds_its_server_and_a_widget_does_not(hosts: list[FakeHost]) -> None:
    display = fw.serve_server().add_stream("a", 4, 4)
    widget = display.widget()
    display.publish(flat(4, 4))
    assert hosts and widget.display is display
    del display
    assert not hosts and widget.display is None


def test_a_server_gives_the_displays_of_its_streams_whoever_holds_them(hosts: list[FakeHost]) -> None:
    server = fw.serve_server()
    server.add_stream("a", 4, 4, fps=7)
    gc.collect()
    display = server.stream("a")
    assert display is server.get("a") and display.fps == 7 and server.streams == ["a"]
    display.publish(flat(4, 4))


def test_a_display_of_serve_goes_on_though_nothing_holds_it(hosts: list[FakeHost]) -> None:
    widget = fw.serve(4, 4).widget()
    gc.collect()
    assert hosts and widget.display is not None and not widget.display.closed


def test_what_publishes_into_a_server_that_was_let_go_is_told(hosts: list[FakeHost]) -> None:
    publisher = fw.serve_server().add_stream("a", 4, 4)._publisher
    assert not hosts
    with pytest.raises(fw.ClosedError, match="was let go: keep the server, or any display of it"):
        publisher.publish(flat(4, 4))


def test_twenty_runs_of_a_cell_leave_one_engine(hosts: list[FakeHost]) -> None:
    for _ in range(20):
        server = fw.serve_server()
        display = server.add_stream("a", 4, 4)
        display.on_event(lambda event: None)
    assert len(hosts) == 1 and not display.closed
