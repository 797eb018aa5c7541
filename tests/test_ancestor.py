"""Programs of pdum.rfb with other imports: what they write is taken, or one line says what to write instead."""

from __future__ import annotations

import re
import warnings
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest

import framewire as rfb
from framewire import ancestor
from framewire.arrays import as_pixels
from framewire.keywords import divide
from framewire.options import EngineOptions, StreamOptions

KNOWN = {"max_bitrate", "allow_origins", "codecs", "mode"}

# The keywords of its serve, with their defaults there, and other values that a program may give.
SERVE: dict[str, list[Any]] = {
    "host": ["127.0.0.1"],
    "port": [0],
    "fps": [30],
    "bitrate": [12_000_000],
    "max_inflight": [2, 1],
    "has_h264": [None, True, False],
    "has_nvenc": [None, True, False],
    "gpu": [False, True],
    "adaptive": [False, True],
    "still_after": [None, 0.15],
    "stats_interval": [None, 1.0],
    "authenticate": [None],
    "origins": [None, ["https://lab.example", None]],
    "record_events": [False, True],
    "event_log": [None, "events.jsonl"],
    "event_queue_size": [4096],
    "own_frames": [False, True],
    "resize_policy": ["publisher", "match_client"],
    "max_render_dimension": [None, 1920],
    "encode_pipeline_depth": [0, 2],
}
REFUSED = [("gpu", True), ("record_events", True), ("event_log", "events.jsonl"), ("resize_policy", "match_client")]
CASES = [(name, value) for name, values in SERVE.items() for value in values]


def said(call: Callable[[], Any]) -> list[str]:
    """What a call warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    assert all(each.category is rfb.FramewireWarning for each in caught)
    assert all(each.filename == __file__ for each in caught), "it names the line of the program"
    return [str(each.message) for each in caught]


@pytest.fixture
async def display() -> AsyncIterator[Any]:
    """A display, with the names that its type does not tell."""
    async with rfb.serve(64, 48, port=0, engine="inline") as display:
        yield display


# Keywords


@pytest.mark.parametrize(("name", "value"), CASES)
async def test_each_keyword_of_its_serve_is_taken_or_one_line_says_what_to_write(name: str, value: Any) -> None:
    asked = {"port": 0, "name": f"{name} {value}", name: value}
    if (name, value) in REFUSED:
        with pytest.raises(TypeError, match=rf"^{name}=.* of pdum.rfb has no equal here: [^\n]{{20,}}$"):
            rfb.serve(64, 48, engine="inline", **asked)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        display = rfb.serve(64, 48, engine="inline", **asked)
    display.publish(np.zeros((48, 64, 3), np.uint8))
    await display.aclose()


def test_the_keywords_with_an_equal_are_that() -> None:
    given = {"bitrate": 8_000_000, "origins": ["https://lab.example", None], "has_h264": False, "fps": 30}
    for_engine: dict[str, Any] = {}

    def call() -> None:
        engine, stream = divide("serve", given, EngineOptions, StreamOptions)
        for_engine.update(engine, **stream)

    (text,) = said(call)
    assert for_engine == {
        "max_bitrate": 8_000_000, "allow_origins": ("https://lab.example",), "codecs": ("vp8",), "fps": 30,
    }  # fmt: skip
    EngineOptions(allow_origins=for_engine["allow_origins"])
    StreamOptions(id=1, name="a", width=8, height=8, codecs=for_engine["codecs"], max_bitrate=8_000_000)
    assert text == (
        "keywords of pdum.rfb: bitrate= is max_bitrate=8000000 here; "
        "origins= is allow_origins=('https://lab.example',) here; has_h264= is codecs=('vp8',) here"
    )


def test_one_call_warns_once_and_says_why_the_others_are_needless() -> None:
    given = {"stats_interval": 1.0, "adaptive": True, "still_after": 0.15, "gpu": False, "record_events": False}
    assert said(lambda: ancestor.translated("serve", given, KNOWN)) == [
        "keywords of pdum.rfb: "
        "stats_interval= is needless (each view has its numbers once a second, and so has display.stats); "
        "adaptive= is needless (bitrate, frame rate and size always follow each viewer's network); "
        "still_after= is needless (a picture at rest becomes exact by itself); "
        "gpu= is needless (publish takes CUDA tensors too); record_events= is needless"
    ]


def test_keywords_that_are_ours_are_left_as_they_are() -> None:
    given = {"fps": 30, "max_bitrate": 1}
    assert said(lambda: ancestor.translated("serve", given, KNOWN)) == []
    assert ancestor.translated("serve", given, KNOWN) == given
    assert ancestor.translated("serve", {"bitrate": 3}, {"bitrate"}) == {"bitrate": 3}, "known is not translated"
    assert ancestor.translated("serve", {"bitrat": 3}, KNOWN) == {"bitrat": 3}, "what is unknown is the caller's"


def test_both_names_of_one_thing_are_refused() -> None:
    with pytest.raises(TypeError, match=r"^bitrate= of pdum.rfb is max_bitrate= here: leave one of them out$"):
        ancestor.translated("serve", {"bitrate": 1, "max_bitrate": 2}, KNOWN)


def test_a_keyword_of_another_call_is_refused_by_its_name_here() -> None:
    with pytest.raises(TypeError, match=r"^bitrate= .* max_bitrate= here, which Server\(\) does not take$"):
        rfb.Server(bitrate=1)  # type: ignore[call-arg]


def test_origins_that_are_no_list_are_left_to_the_check() -> None:
    kept: dict[str, Any] = {}
    said(lambda: kept.update(ancestor.translated("serve", {"origins": "https://lab.example"}, KNOWN)))
    assert kept == {"allow_origins": "https://lab.example"}


async def test_a_server_of_several_streams_takes_what_its_takes() -> None:
    streams = [{"name": "rgb", "width": 64, "height": 48, "bitrate": 4_000_000, "adaptive": True}]
    made: list[Any] = []
    texts = said(
        lambda: made.append(rfb.serve_server(port=0, origins=None, streams=streams, engine="inline"))  # type: ignore[call-arg]
    )
    (server,) = made
    assert [text.split("=")[0] for text in texts] == ["keywords of pdum.rfb: origins", "keywords of pdum.rfb: bitrate"]
    assert await server.start() is server
    assert server.streams == ["rgb"] and server.stream("rgb").width == 64
    depth: list[Any] = []
    (text,) = said(lambda: depth.append(server.add_stream("depth", 32, 32, has_nvenc=True, own_frames=True)))
    assert text.count("is needless") == 2
    depth[0].publish(np.zeros((32, 32, 3), np.uint8))
    server.remove_stream("depth")
    assert server.streams == ["rgb"]
    await server.aclose()


async def test_a_server_is_made_from_keywords_and_starts_by_itself() -> None:
    async with rfb.Server(host="127.0.0.1", port=0, engine="inline") as server:
        assert server.port > 0
        server.add_stream("a", 8, 8)
    with pytest.raises(TypeError, match=r"^Server\(\) has no option 'prt': do you mean 'port'\?$"):
        rfb.Server(prt=0)  # type: ignore[call-arg]
    server = await rfb.serve_server(port=0, streams=None, engine="inline")
    assert server.streams == []
    await server.aclose()


def test_one_stream_alone_has_no_authentication_of_its_own() -> None:
    given = {"authenticate": lambda context: "ada"}
    with pytest.raises(TypeError, match=r"^authenticate=.* has no equal here: one server has one: serve\("):
        divide("add_stream", given, StreamOptions)


# Frames


async def test_publish_takes_its_keywords_where_they_ask_for_nothing(display: Any) -> None:
    frame = np.zeros((48, 64, 3), np.uint8)
    w, h = display.target_size or (display.width, display.height)
    assert (w, h) == (64, 48)
    assert said(lambda: display.publish(frame, pixel_ratio=display.target_ratio, color=display.color)) == []
    assert said(lambda: display.publish(frame, pixel_ratio=None, color=rfb.SRGB)) == []
    assert said(lambda: display.publish(frame, color=rfb.SRGB.to_dict())) == []
    assert said(lambda: display.publish(frame, color={"primaries": "bt709", "transfer": "bt709"})) == []


async def test_a_pixel_ratio_is_needless_and_other_colours_are_refused(display: Any) -> None:
    frame = np.zeros((48, 64, 3), np.uint8)
    (text,) = said(lambda: display.publish(frame, pixel_ratio=2.0))
    assert text.startswith("publish: pixel_ratio= of pdum.rfb is needless;")
    for colour in (rfb.DISPLAY_P3, rfb.ColorSpace(transfer="pq"), {"primaries": "bt2020"}, "p3"):
        with pytest.raises(rfb.PublishError, match=r"^color=.*: frames are sRGB here; convert the pixels, [^\n]*$"):
            display.publish(frame, color=colour)


async def test_a_misspelt_keyword_of_publish_is_refused(display: Any) -> None:
    with pytest.raises(TypeError, match=r"^publish\(\) got an unexpected keyword argument 'fromat'; it takes format=$"):
        display.publish(np.zeros((48, 64, 3), np.uint8), fromat="bgr")


def raw(data: np.ndarray, pixel_format: str = "rgb24", memory: str = "cpu", **more: Any) -> Any:
    return rfb.RawFrame(0, data.shape[1], data.shape[0], 0, pixel_format, memory, data, **more)


def test_a_raw_frame_is_its_pixels() -> None:
    rgb = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    rgba = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    assert (as_pixels(raw(rgb)) == rgb).all()
    assert (as_pixels(raw(rgba, "rgba8")) == rgba).all()
    assert (as_pixels(raw(rgba, "bgra8")) == rgba[:, :, [2, 1, 0, 3]]).all()
    assert (as_pixels(raw(rgb, color=rfb.SRGB.to_dict(), pixel_ratio=2.0)) == rgb).all()


@pytest.mark.parametrize(
    ("kind", "color", "text"),
    [
        (("nv12", "cpu"), None, "a RawFrame of nv12 in cpu memory cannot be published: publish an array of RGB"),
        (("rgb24", "cuda"), None, "a RawFrame of rgb24 in cuda memory cannot be published"),
        (("rgb24", "cpu"), {"primaries": "display-p3"}, "color="),
    ],
)
def test_a_raw_frame_of_other_memory_or_colours_is_refused(kind: tuple[str, str], color: Any, text: str) -> None:
    with pytest.raises(rfb.PublishError, match=f"^{re.escape(text)}[^\n]*$"):
        as_pixels(raw(np.zeros((4, 4, 3), np.uint8), *kind, color=color))


def test_a_raw_frame_has_the_ancestors_defaults() -> None:
    frame = raw(np.zeros((4, 4, 3), np.uint8))
    assert (frame.pixel_ratio, frame.color) == (1.0, None)
    assert rfb.ColorSpace().to_dict() == {
        "primaries": "bt709", "transfer": "srgb", "matrix": "rgb", "full_range": True, "bit_depth": 8,
    }  # fmt: skip
    assert rfb.ColorSpace() == rfb.SRGB
    assert (rfb.DISPLAY_P3.primaries, rfb.DISPLAY_P3.matrix) == ("display-p3", "bt709")


# Names


async def test_a_loop_over_events_tells_hints_from_events(display: Any) -> None:
    display.server._publishers[0].feedback.events.put(rfb.InputEvent("c", None, {"type": "pointer_down", "x": 1.0}, 5))  # type: ignore[arg-type]
    seen = [each.event["type"] for each in display.poll_events() if not isinstance(each, rfb.DownscaleHint)]
    assert seen == ["pointer_down"]


async def test_names_that_keep_their_meaning(display: Any) -> None:
    kept = {name: getattr(display, name) for name in ancestor.NAMES["Display"]}
    assert kept == {
        "color": None, "pixel_ratio": 1.0, "target_size": None, "target_ratio": 1.0,
        "resize_policy": "publisher", "max_render_dimension": None,
    }  # fmt: skip
    assert display.ws_url.startswith("ws://127.0.0.1:") and display.client_count == 0
    assert display.port == display.server.port and display.server.streams == ["default"]


@pytest.mark.parametrize(
    ("owner", "name"), [(owner, name) for owner, lines in ancestor.LINES.items() for name in lines]
)
async def test_a_name_that_is_gone_says_what_to_write(display: Any, owner: str, name: str) -> None:
    of: Any = {"framewire": rfb, "Display": display, "Server": display.server}[owner]
    with pytest.raises(AttributeError, match=rf"^'{name}' of pdum.rfb is not in framewire: [^\n]{{20,}}$"):
        getattr(of, name)
    assert not hasattr(of, name)


async def test_a_misspelt_name_is_refused_as_ever(display: Any) -> None:
    for of, name, owner in ((display, "pubish", "'Display' object"), (display.server, "prt", "'Server' object")):
        with pytest.raises(AttributeError, match=rf"^{owner} has no attribute '{name}'$") as caught:
            getattr(of, name)
        assert (caught.value.name, caught.value.obj) == (name, of), "so that Python finds the nearest name"
    with pytest.raises(AttributeError, match=r"^module 'framewire' has no attribute 'serv'$"):
        _ = rfb.serv


def test_no_name_hides_one_of_ours() -> None:
    for owner, ours in (("framewire", rfb), ("Display", rfb.Display), ("Server", rfb.Server)):
        theirs = {**ancestor.NAMES[owner], **ancestor.LINES[owner]}
        assert [name for name in theirs if name in vars(ours)] == []
    assert not ancestor.KEYWORDS.keys() & {*StreamOptions.__struct_fields__, *EngineOptions.__struct_fields__}


def test_a_display_of_a_size_alone_is_refused() -> None:
    for call in (lambda: rfb.Display(640, 480), lambda: rfb.Display(width=640, height=480, fps=30)):  # type: ignore[call-arg, arg-type]
        with pytest.raises(
            TypeError, match=r"^a Display is made by serve: display = framewire\.serve\(width, height\)"
        ):
            call()


# Widgets


def test_a_view_of_pictures_alone_is_lossless() -> None:
    kept: dict[str, Any] = {}
    (text,) = said(lambda: kept.update(ancestor.traits({"image_only": True, "height": 300}, {*KNOWN, "height"})))
    assert kept == {"mode": "lossless", "height": 300}
    assert text == "keywords of pdum.rfb: image_only= is mode='lossless' here"
    (text,) = said(lambda: ancestor.traits({"image_only": False, "main_thread_present": True}, KNOWN))
    assert text.count("is needless") == 2


def test_empty_traits_are_the_default() -> None:
    given = {"url": "", "host": None, "base_path": None, "fit": "", "background": "", "stream": ""}
    assert said(lambda: ancestor.traits(given, KNOWN)) == []
    assert ancestor.traits(given, KNOWN) == {"stream": ""}
