"""Serving: which engine displays share, what may be asked for, and that nothing is left when they end."""

from __future__ import annotations

import asyncio
import inspect
import logging
import socket
import threading
import warnings
from typing import Any, get_type_hints

import numpy as np
import psutil
import pytest

import framewire as fw
from framewire.link import listen
from framewire.options import StreamKeywords
from tests.fake_host import FakeHost, faked
from tests.viewer import connected, flat


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> list[FakeHost]:
    """The hosts that run: fakes."""
    return faked(monkeypatch)


# Which engine


def test_displays_share_an_engine_until_the_last_one_closes(hosts: list[FakeHost]) -> None:
    one, two = fw.serve(64, 48, name="one"), fw.serve(64, 48, name="two")
    assert len(hosts) == 1 and one.server is two.server
    one.close()
    assert len(hosts) == 1 and two.server.streams == ["two"]
    with two:
        pass
    assert not hosts and two.server.closed
    assert fw.serve(64, 48).server is not two.server


def test_serving_a_name_again_replaces_it_and_the_old_display_says_so(hosts: list[FakeHost]) -> None:
    old = fw.serve(64, 48)
    new = fw.serve(32, 24)
    assert len(hosts) == 1 and new.server.stream() is new
    with pytest.raises(fw.ClosedError, match="replaced by a newer one named 'default': another name= keeps both"):
        old.publish(flat(4, 4))
    new.publish(flat(4, 4))
    old.close()
    assert hosts, "a replaced display ends no engine"
    new.close()
    assert not hosts


DIFFERENT = pytest.mark.parametrize(
    "different",
    [{"token": "x" * 22}, {"port": 9}, {"host": "localhost"}, {"allow_origins": ["https://a.example"]},
     {"allow_hosts": ["a.example"]}, {"ice_servers": [{"urls": "stun:a.example"}]}],
    ids=str,
)  # fmt: skip


@pytest.mark.filterwarnings("ignore::framewire.FramewireWarning")
@DIFFERENT
def test_different_options_get_one_engine_of_their_own(hosts: list[FakeHost], different: dict[str, Any]) -> None:
    plain = fw.serve(4, 4, name="plain")
    other = fw.serve(4, 4, **different)
    again = fw.serve(4, 4, **different)
    assert other.server is not plain.server and again.server is other.server
    assert len(hosts) == 2, "running a cell again leaks nothing"
    again.close()
    plain.close()
    assert not hosts


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "wrong", [{"authenticate": "secret"}, {"engine": "prozess"}, {"port": -1}, {"fps": 0}], ids=str
)
def test_a_call_that_is_refused_ends_no_stream_of_its_name(hosts: list[FakeHost], wrong: dict[str, Any]) -> None:
    display = fw.serve(4, 4)
    with pytest.raises((TypeError, ValueError)):
        fw.serve(4, 4, **wrong)
    assert len(hosts) == 1 and not display.closed


@pytest.mark.filterwarnings("error")
@DIFFERENT
def test_serving_a_name_again_replaces_it_whatever_changed(hosts: list[FakeHost], different: dict[str, Any]) -> None:
    old = fw.serve(4, 4)
    for _ in range(2):
        new = fw.serve(4, 4, **different)
        assert len(hosts) == 1 and old.server.closed, "the old engine ends with its last stream"
    with pytest.raises(fw.ClosedError, match="replaced by a newer one named 'default'"):
        old.publish(flat(4, 4))
    new.publish(flat(4, 4))
    assert len(hosts) == 1


@pytest.mark.filterwarnings("ignore::framewire.FramewireWarning")
def test_a_replaced_stream_leaves_the_others_of_its_engine(hosts: list[FakeHost]) -> None:
    one, two = fw.serve(4, 4, name="one"), fw.serve(4, 4, name="two")
    other = fw.serve(4, 4, name="one", token="x" * 22)
    assert one.closed and not two.closed and len(hosts) == 2
    assert two.server.streams == ["two"] and other.server.streams == ["one"]


def test_arguments_that_are_refused_end_no_stream(hosts: list[FakeHost]) -> None:
    old = fw.serve(4, 4)
    for wrong in ({"engine": "cloud"}, {"token": "short"}, {"fps": 0}):
        with pytest.raises(ValueError, match=str(next(iter(wrong)))):
            fw.serve(4, 4, **wrong)
    assert not old.closed


@pytest.mark.parametrize(
    "different", [{"codecs": ["vp8"]}, {"chroma": "444"}, {"latency": "smooth"}, {"fps": 10}], ids=str
)
def test_displays_that_differ_as_streams_share_an_engine(hosts: list[FakeHost], different: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain, other = fw.serve(4, 4, name="plain"), fw.serve(4, 4, name="other", **different)
    assert other.server is plain.server and len(hosts) == 1
    first, second = hosts[0].streams
    (name,) = different
    assert getattr(second, name) != getattr(first, name)


def test_a_second_engine_is_told_of_with_the_options_that_differ(hosts: list[FakeHost]) -> None:
    fw.serve(4, 4, name="one")
    token = "x" * 22
    words = "^token, allow_hosts differ from what the engine on port 10000 was started with: a second engine is"
    with pytest.warns(fw.FramewireWarning, match=words) as caught:
        fw.serve(4, 4, name="two", token=token, allow_hosts=["a.example"])
    (warning,) = caught
    assert warning.filename == __file__ and token not in str(warning.message)
    with pytest.warns(fw.FramewireWarning, match=r"^host differs from what the engine on port 10001"):
        fw.serve(4, 4, name="three", token=token, allow_hosts=["a.example"], host="localhost")


@pytest.mark.filterwarnings("error")
def test_an_engine_on_a_port_that_was_asked_for_is_no_surprise(hosts: list[FakeHost]) -> None:
    fw.serve(4, 4, name="one"), fw.serve(4, 4, name="two", port=9)
    assert [host.port for host in hosts] == [10_000, 9]


@pytest.mark.filterwarnings("error")
def test_an_engine_that_failed_is_not_advised(hosts: list[FakeHost]) -> None:
    fw.serve(4, 4)
    hosts[0].listener.on_failed("gone")
    fw.serve(4, 4, token="x" * 22)


def test_any_port_and_the_same_token_share_the_engine(hosts: list[FakeHost]) -> None:
    one = fw.serve(4, 4, name="one")
    assert fw.serve(4, 4, port=0).server is fw.serve(4, 4, name="b", port=one.port).server is one.server
    assert fw.serve(4, 4, name="c", token=one.server.token).server is one.server


def test_engines_that_pile_up_in_a_notebook_are_spoken_of(
    hosts: list[FakeHost], monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    out = [fw.serve_server() for _ in range(4)]  # as IPython holds what a cell shows
    assert not recwarn, "no notebook"
    monkeypatch.setattr(inspect.getmodule(fw.serve_server), "in_notebook", lambda: True)
    with pytest.warns(fw.FramewireWarning, match=r"^5 engines of serve_server run in this notebook.* name a port=,"):
        out.append(fw.serve_server())
    for server in out[:3]:
        server.close()
    fw.serve(64, 48, token="x" * 22)
    recwarn.clear()
    out.append(fw.serve_server())
    assert not recwarn and len(hosts) == 4


def test_after_a_failure_the_next_serve_starts_another_engine(hosts: list[FakeHost]) -> None:
    old = fw.serve(4, 4)
    hosts[0].listener.on_failed("it ended again and again")
    assert old.server.failure == "it ended again and again"
    for refused in (
        lambda: old.publish(flat(4, 4)),
        lambda: old.server.add_stream("other", 4, 4),
        lambda: old.server.open_viewer(print, print, lambda code, reason: None),
        lambda: setattr(old, "title", "new"),
        old.poll_events,
        old.wait,
    ):
        with pytest.raises(fw.EngineError, match=r"^it ended again and again$"):
            refused()
    new = fw.serve(4, 4, name="new")
    assert new.server is not old.server and len(hosts) == 1
    new.publish(flat(4, 4))
    with pytest.raises(fw.ClosedError, match="the engine failed: it ended again and again"):
        old.publish(flat(4, 4))


def test_an_engine_that_fails_while_a_stream_is_opened_fails_that_stream_too(hosts: list[FakeHost]) -> None:
    server = fw.serve_server()
    host, opened = hosts[0], hosts[0].open

    def fails(options: Any) -> Any:
        host.listener.on_failed("it ended again and again")
        return opened(options)

    host.open = fails  # type: ignore[method-assign]
    display = server.add_stream("a", 4, 4)
    with pytest.raises(fw.EngineError, match=r"^it ended again and again$"):
        display.publish(flat(4, 4))


async def test_events_that_were_there_are_given_before_the_failure(hosts: list[FakeHost]) -> None:
    display = fw.serve(4, 4)
    hosts[0].listener.on_input(0, "a", None, {"type": "show", "timestamp": 1.0})
    hosts[0].listener.on_input(0, "a", None, {"type": "hide", "timestamp": 2.0})
    seen = []
    with pytest.raises(fw.EngineError, match=r"^it ended again and again$"):  # the loop is what raises
        async for event in display.events():
            seen.append(event.event["type"])
            if len(seen) == 2:
                hosts[0].listener.on_failed("it ended again and again")
    assert seen == ["show", "hide"]
    hosts[0].listener.on_input(0, "a", None, {"type": "show", "timestamp": 3.0})
    assert len(display.poll_events()) == 1
    with pytest.raises(fw.EngineError):
        display.poll_events()
    display.close()
    assert display.poll_events() == []


def test_threads_may_serve_and_close_at_once(hosts: list[FakeHost]) -> None:
    errors: list[BaseException] = []
    most = 0

    def work(name: str) -> None:
        nonlocal most
        try:
            for _ in range(200):
                with fw.serve(4, 4, name=name) as display:
                    display.publish(flat(4, 4))
                    most = max(most, len(hosts))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(str(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and not hosts
    # One that is being closed may overlap with its successor.
    assert most <= len(threads)


def test_what_a_server_is_asked_for_holds_for_streams_that_are_not_asked_for_anything_else(
    hosts: list[FakeHost],
) -> None:
    with fw.serve_server(fps=5, chroma="444", streams=[{"name": "a", "width": 4, "height": 4}]) as server:
        server.add_stream("b", 4, 4, chroma="420", latency="smooth")
        asked = [(each.fps, each.chroma, each.latency) for each in hosts[0].streams]
    assert asked == [(5.0, "444", "low"), (5.0, "420", "smooth")]


def test_options_that_no_stream_can_have_are_refused_before_an_engine_starts(hosts: list[FakeHost]) -> None:
    with pytest.raises(ValueError, match="chroma='444' needs 'h264'"):
        fw.serve_server(chroma="444", codecs=["vp8"])
    with fw.serve_server(codecs=["vp8"]) as server, pytest.raises(ValueError, match="chroma='444' needs 'h264'"):
        server.add_stream("a", 4, 4, chroma="444")
    assert not hosts


@pytest.mark.parametrize("function", [fw.serve, fw.serve_server, fw.show, fw.Server.add_stream])
def test_every_option_of_a_stream_is_in_the_signature_and_the_documentation(function: Any) -> None:
    options = get_type_hints(StreamKeywords)
    known = inspect.signature(function).parameters
    assert {name: known[name].annotation for name in options} == options
    assert all(f"``{name}=" in function.__doc__ for name in options)


def test_a_server_whose_streams_are_refused_leaves_nothing(hosts: list[FakeHost]) -> None:
    with pytest.raises(ValueError, match="not a frame size"):
        fw.serve_server(streams=[{"name": "a", "width": 4, "height": 4}, {"name": "b", "width": 0, "height": 4}])
    assert not hosts


def test_an_inline_engine_of_another_event_loop_is_not_shared(hosts: list[FakeHost]) -> None:
    one = fw.serve(4, 4, name="one")
    hosts[0].usable_here = False
    two = fw.serve(4, 4, name="two")
    assert two.server is not one.server and len(hosts) == 2
    hosts[0].usable_here = True
    assert fw.serve(4, 4, name="three").server is one.server


def test_an_engine_whose_event_loop_ended_is_closed_by_the_next_serve_of_anything(hosts: list[FakeHost]) -> None:
    old = fw.serve(4, 4)
    hosts[0].over = True
    new = fw.serve(4, 4, token="x" * 22)
    assert old.server._over and old.closed and old.server.closed and not new.server._over
    assert len(hosts) == 1


@pytest.mark.filterwarnings("ignore::framewire.FramewireWarning")
def test_where_an_engine_runs_is_a_difference_too(hosts: list[FakeHost]) -> None:
    async def main() -> None:
        display = fw.serve(4, 4, engine="inline", port=0, name="inline")
        assert display.server is not process.server and fw.serve(4, 4).server is process.server
        await display.aclose()

    process = fw.serve(4, 4)
    asyncio.run(main())


# What is asked for


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"width": 0}, "not a frame size"),
        ({"height": 16_385}, "not a frame size"),
        ({"width": 4.5}, "not a frame size"),
        ({"width": "640"}, "not a frame size"),
        ({"height": None}, "not a frame size"),
        ({"height": float("nan")}, "not a frame size"),
        ({"fps": 0}, "fps"),
        ({"fps": 1001}, "fps"),
        ({"fps": float("nan")}, "fps"),
        ({"max_bitrate": 0}, "max_bitrate"),
        ({"name": ""}, "name"),
        ({"name": "x" * 129}, "name"),
        ({"name": 7}, "name"),
        ({"token": "short"}, "22 at least"),
        ({"codecs": ["h264", "h265"]}, "h265"),
        ({"engine": "threads"}, "'process', 'thread', 'inline'"),
        ({"chroma": "422"}, "'420', '444'"),
        ({"chroma": "444", "codecs": ["vp8"]}, "needs 'h264'"),
        ({"allow_origins": "a.example"}, "has no scheme: write 'https://a.example'"),
        ({"allow_hosts": "*"}, "has a wildcard"),
    ],
    ids=str,
)
def test_arguments_that_cannot_be_used_are_refused_before_an_engine_starts(
    hosts: list[FakeHost], arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        fw.serve(**{"width": 4, "height": 4, **arguments})
    assert not hosts


def test_sizes_may_be_numbers_of_any_type(hosts: list[FakeHost]) -> None:
    display = fw.serve(np.int64(1280) / 2, np.uint16(480), fps=np.float32(30))  # type: ignore[arg-type]
    (options,) = hosts[0].streams
    assert (options.width, options.height, options.fps) == (640, 480, 30.0)
    assert {type(options.width), type(options.height)} == {int} and type(options.fps) is float
    assert display.width == 640


def test_a_token_is_made_up_and_shown_nowhere(hosts: list[FakeHost], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    one = fw.serve(4, 4)
    one.close()
    two = fw.serve(4, 4, title="another engine", port=0, allow_hosts="a.example")
    tokens = one.server.token, two.server.token
    assert tokens[0] != tokens[1] and min(map(len, tokens)) >= 22, "128 bits and more"
    shown = caplog.text + repr(one) + repr(two.server) + repr(two.server._options)
    with pytest.raises(fw.ClosedError) as caught:
        one.publish(flat(4, 4))
    assert not [token for token in tokens if token in shown + str(caught.value)]


# Ports, with real sockets on a loop


def listening() -> set[tuple[str, int]]:
    """Where this process listens; and every UDP socket it has."""
    connections = psutil.Process().net_connections(kind="inet")
    return {(c.laddr.ip, c.laddr.port) for c in connections if c.status in (psutil.CONN_LISTEN, psutil.CONN_NONE)}


async def test_by_default_only_this_machine_can_connect() -> None:
    before = listening()
    async with fw.serve(4, 4, port=0, engine="inline") as display:
        display.publish(flat(4, 4))
        async with connected(display.ws_url, display.server.token) as viewer:
            await viewer.subscribe("default")
            await viewer.unit()
            assert listening() - before == {("127.0.0.1", display.port)}, "and no UDP before a viewer asks for it"
    assert listening() == before
    with pytest.warns(fw.FramewireWarning, match="in clear text"):
        display = fw.serve(4, 4, host="0.0.0.0", port=0, engine="inline")
    async with display:
        assert "0.0.0.0" in {ip for ip, _ in listening() - before}, "only where it was asked for"
        assert display.url.startswith(f"http://127.0.0.1:{display.port}/#token=")


def test_a_token_in_clear_text_is_spoken_of_with_the_cure(hosts: list[FakeHost]) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fw.serve(4, 4).close()
        fw.serve_server(host="::1").close()
        assert not caught, "not on this machine alone"
        here = fw.serve(4, 4, name="one", host="0.0.0.0")
        fw.serve(4, 4, name="two", host="0.0.0.0")  # shares the engine
    (said,) = caught
    assert said.category is fw.FramewireWarning and said.filename == __file__
    line = str(said.message)
    assert line.startswith("host='0.0.0.0': other machines can connect") and "\n" not in line
    assert "SSH tunnel" in line and "reverse proxy" in line
    assert here.server.token not in line


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(fw.EngineError, match=f"port {port} .* is taken"):
            fw.serve(4, 4, port=port, engine="inline")
    with pytest.raises(fw.EngineError, match=r"^'.*' is not an address of this machine.*; '0\.0\.0\.0' is all of its"):
        fw.serve(4, 4, host="192.0.2.1", port=0, engine="inline")
    with pytest.raises(ValueError, match="port=70000 is out of range"):
        fw.serve(4, 4, port=70_000, engine="inline")


async def test_the_usual_port_is_used_again_and_another_one_while_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        usual = free.getsockname()[1]
    monkeypatch.setattr(listen, "DEFAULT_PORT", usual)
    for _ in range(2):
        async with fw.serve(4, 4, engine="inline") as display:
            assert display.port == usual
            async with fw.serve_server(engine="inline") as other:
                assert other.port not in (0, usual)


def test_an_event_loop_that_ended_without_closing_holds_no_port() -> None:
    async def main(*, port: int) -> fw.Display:
        return await fw.serve(4, 4, port=port, engine="inline")

    old = asyncio.run(main(port=0))
    new = asyncio.run(main(port=old.port))
    assert new.port == old.port and old.server.closed
    new.close()


async def test_awaiting_waits_for_the_port() -> None:
    display = await fw.serve(4, 4, port=0, engine="inline")
    async with connected(display.ws_url, display.server.token):
        await display.aclose()


def test_displays_that_are_guarded_differently_share_no_server(hosts: list[FakeHost]) -> None:
    def guard(token: str, request: Any) -> str | None:
        return token

    first = fw.serve(8, 8, name="a", authenticate=guard)
    assert fw.serve(8, 8, name="b", authenticate=guard).server is first.server
    with pytest.warns(fw.FramewireWarning, match="authenticate differs from what the engine on port"):
        assert fw.serve(8, 8, name="c").server is not first.server
