"""The names and keywords of pdum.rfb, the ancestor, and what becomes of each here: data, and functions of it.

A program that only changes its imports runs, or gets one line that says what to write. Must not know displays,
servers or widgets: they ask here for a keyword or a name that they do not have.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, TypedDict

import numpy as np
import numpy.typing as npt
from msgspec import Struct
from msgspec.structs import asdict

from framewire.advice import advise
from framewire.authentication import AuthContext, Authenticator, Principal
from framewire.errors import PublishError

# Keywords


class Keyword(Struct, frozen=True):
    """What becomes of one of its keywords."""

    ours: str = ""
    """The keyword that means the same here."""
    needless: str = ""
    """Why nothing is to be written in its place."""
    instead: str = ""
    """What to write in its place, where nothing means the same."""
    idle: tuple[Any, ...] = ()
    """The values with which it asks for nothing: its default, as a rule."""
    convert: Callable[[Any], Any] = lambda value: value
    """Its value as that of ``ours``."""


def _named(origins: Any) -> Any:
    """Without None, which stood for programs that name no origin: the token alone admits them here."""
    if isinstance(origins, str) or not isinstance(origins, Collection):
        return origins  # refused in words where it is checked
    return tuple(origin for origin in origins if origin is not None)


KEYWORDS: Final[Mapping[str, Keyword]] = {
    "bitrate": Keyword(ours="max_bitrate"),
    "origins": Keyword(ours="allow_origins", convert=_named, idle=(None,)),
    "has_h264": Keyword(
        ours="codecs",
        convert=lambda _: ("vp8",),
        idle=(None, True),
        needless="the codec is chosen for each viewer",
    ),
    "has_nvenc": Keyword(
        needless="a card encodes H.264 where there is one, and x264 takes over where it fails; "
        'codecs=["vp8"] leaves the card alone'
    ),
    "max_inflight": Keyword(needless="each viewer gets frames as fast as it takes them, and newest first"),
    "adaptive": Keyword(needless="bitrate, frame rate and size always follow each viewer's network"),
    "still_after": Keyword(needless="a picture at rest becomes exact by itself"),
    "stats_interval": Keyword(needless="each view has its numbers once a second, and so has display.stats"),
    "own_frames": Keyword(needless="publish copies: the array may be changed on the next line"),
    "encode_pipeline_depth": Keyword(needless="encoders run in a process of their own, and publish waits for none"),
    "max_render_dimension": Keyword(needless="frames keep the size that you publish"),
    "resize_debounce": Keyword(needless="frames keep the size that you publish"),
    "resize_policy": Keyword(
        idle=("publisher",),
        needless="frames keep the size that you publish",
        instead='publish frames of the pwidth and pheight that events of type "resize" have, '
        "which display.poll_events() gives",
    ),
    "gpu": Keyword(
        idle=(False, None),
        needless="publish takes CUDA tensors too",
        instead="leave it out; publish takes CuPy and torch tensors of a GPU, and copies them to the host",
    ),
    "record_events": Keyword(
        idle=(False,),
        instead="display.on_event(recorded.append) adds each event to a list of yours",
    ),
    "event_log": Keyword(
        idle=(None,),
        instead='display.on_event(lambda each: file.write(json.dumps(each.event) + "\\n")) writes each event',
    ),
    "authenticate": Keyword(
        idle=(None,),
        instead="one server has one: serve(…, authenticate=…) or serve_server(authenticate=…), for all its streams",
    ),
}
"""Of `serve`, `serve_server` and `Server.add_stream`, but those that mean the same here under the same name."""

TRAITS: Final[Mapping[str, Keyword]] = {
    "image_only": Keyword(
        ours="mode",
        convert=lambda _: "lossless",
        idle=(False,),
        needless="the view chooses, and a picture at rest is exact",
    ),
    "main_thread_present": Keyword(needless="a view survives being moved in its page"),
}
"""Of `Display.widget` and the widgets."""

EMPTY_TRAITS: Final = frozenset({"url", "host", "base_path", "fit", "background"})
"""Traits that may be None or empty there, which is the default here."""


def translated(
    function: str, given: Mapping[str, Any], known: Collection[str], table: Mapping[str, Keyword] = KEYWORDS
) -> Mapping[str, Any]:
    """``given`` with the ancestor's keywords as ours; ``known`` are the names that ``function`` has.

    Warns once where there is one. Raises ``TypeError`` for one that has no equal: what to write in its place.
    """
    theirs = [name for name in given if name in table and name not in known]
    kept = {name: value for name, value in given.items() if name not in theirs}
    said = [_translate(function, name, given[name], table[name], kept, known) for name in theirs]
    if said:
        advise(f"keywords of pdum.rfb: {'; '.join(said)}")
    return kept


def _translate(
    function: str, name: str, value: Any, keyword: Keyword, kept: dict[str, Any], known: Collection[str]
) -> str:
    """Put ours, if there is one, into ``kept``; what to say about it."""
    if value in keyword.idle or not (keyword.ours or keyword.instead):
        return f"{name}= is needless" + (f" ({keyword.needless})" if keyword.needless else "")
    if keyword.instead:
        raise TypeError(f"{name}={value!r:.40} of pdum.rfb has no equal here: {keyword.instead}")
    if keyword.ours not in known:
        raise TypeError(f"{name}= of pdum.rfb is {keyword.ours}= here, which {function}() does not take")
    if keyword.ours in kept:
        raise TypeError(f"{name}= of pdum.rfb is {keyword.ours}= here: leave one of them out")
    kept[keyword.ours] = keyword.convert(value)
    return f"{name}= is {keyword.ours}={kept[keyword.ours]!r:.60} here"


def traits(given: Mapping[str, Any], known: Collection[str]) -> Mapping[str, Any]:
    """The ancestor's traits of a widget as ours. Raises ``TypeError`` as `translated`."""
    said = {name: value for name, value in given.items() if value not in (None, "") or name not in EMPTY_TRAITS}
    return translated("widget", said, known, TRAITS)


# Frames


class ColorSpace(Struct, frozen=True):
    """A colour space as `Display.publish` may be told it. Frames are sRGB here; others are refused."""

    primaries: str = "bt709"
    transfer: str = "srgb"
    matrix: str = "rgb"
    full_range: bool = True
    bit_depth: int = 8

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


SRGB: Final = ColorSpace()
DISPLAY_P3: Final = ColorSpace(primaries="display-p3", matrix="bt709")


class FrameKeywords(TypedDict, total=False):
    """What its `Display.publish` takes beside the frame, and ours checks."""

    pixel_ratio: float | None
    color: object


def check_frame_keywords(given: Mapping[str, Any]) -> None:
    """Raises ``TypeError`` for a keyword that `publish` has not, `PublishError` for colours that are not sRGB."""
    for name in given:
        if name not in FrameKeywords.__annotations__:
            raise TypeError(f"publish() got an unexpected keyword argument {name!r}; it takes format=")
    colour = given.get("color")
    space: Any = colour.to_dict() if isinstance(colour, ColorSpace) else colour
    if space is not None and not (isinstance(space, Mapping) and _is_srgb(space)):
        raise PublishError(f"color={space!r:.120}: frames are sRGB here; convert the pixels, and leave color= out")
    if given.get("pixel_ratio") not in (None, 1):
        advise("publish: pixel_ratio= of pdum.rfb is needless; a view shows the frame in its own size, pixel by pixel")


def _is_srgb(space: Mapping[str, Any]) -> bool:
    return space.get("primaries", "bt709") == "bt709" and space.get("transfer", "srgb") in ("srgb", "bt709")


class RawFrame(Struct):
    """A frame with its description, as the ancestor has it; `Display.publish` takes it. Raises `PublishError` there
    for what is neither in host memory nor RGB."""

    seq: int
    width: int
    height: int
    timestamp_us: int
    pixel_format: str
    memory: str
    data: Any
    pixel_ratio: float = 1.0
    color: dict[str, Any] | None = None

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[np.uint8]:
        if self.memory != "cpu" or self.pixel_format not in ("rgb24", "rgba8", "bgra8"):
            raise PublishError(
                f"a RawFrame of {self.pixel_format} in {self.memory} memory cannot be published: "
                "publish an array of RGB pixels; CuPy and torch tensors are taken too"
            )
        check_frame_keywords({"color": self.color})
        pixels = np.asarray(self.data)
        return pixels if self.pixel_format != "bgra8" else np.ascontiguousarray(pixels[:, :, [2, 1, 0, 3]])


class DownscaleHint(Struct, frozen=True):
    """Never sent here: smaller versions are encoded by themselves for viewers that need them. For ``isinstance``."""

    scale: float
    width: int
    height: int
    received_us: int


# Names

NAMES: Final[Mapping[str, Mapping[str, Any]]] = {
    "framewire": {
        "AuthContext": AuthContext,
        "Authenticator": Authenticator,
        "ColorSpace": ColorSpace,
        "DISPLAY_P3": DISPLAY_P3,
        "DownscaleHint": DownscaleHint,
        "Principal": Principal,
        "RawFrame": RawFrame,
        "SRGB": SRGB,
    },
    "Display": {
        "color": None,
        "max_render_dimension": None,
        "pixel_ratio": 1.0,
        "resize_policy": "publisher",
        "target_ratio": 1.0,
        "target_size": None,
    },
    "Server": {},
}
"""The names whose meaning is kept: what each is."""

_ENCODERS: Final = "codecs= of serve chooses among the encoders; framewire doctor says which there are"
_GPU: Final = "publish takes CuPy and torch tensors of a GPU as they are"
_PROTOCOL: Final = "the messages are those of signaling/README.md"
_QUALITY: Final = "rates follow each viewer's network; max_bitrate= and fps= of serve limit them"
_RECORD: Final = "there is no recorder; write the frames that you publish to a file with PyAV or imageio"

LINES: Final[Mapping[str, Mapping[str, str]]] = {
    "framewire": {
        "AdaptiveQualityController": _QUALITY,
        "BackendSelection": _ENCODERS,
        "Channel": "Server.open_viewer connects a viewer whose messages your program carries",
        "EncodedPayload": _ENCODERS,
        "EncoderBackend": _ENCODERS,
        "H264CpuEncoder": _ENCODERS,
        "ImageEncoder": _ENCODERS,
        "NvencCpuEncoder": _ENCODERS,
        "NvencGpuPyavEncoder": _ENCODERS,
        "QualityTarget": _QUALITY,
        "Recording": _RECORD,
        "RfbSession": "sessions are the engine's; display.stats has their numbers",
        "SessionMetrics": "display.stats has the numbers, as a dict",
        "UnsupportedClient": "every viewer is served: over the WebSocket where nothing else works",
        "WebSocketTransport": "Server.open_viewer connects a viewer whose messages your program carries",
        "available_video_encoders": _ENCODERS,
        "build_encoder": _ENCODERS,
        "cuda_frame": _GPU,
        "cuda_zerocopy_available": _GPU,
        "enable_cuda_context_sharing": _GPU,
        "gpu": _GPU,
        "h264_available": _ENCODERS,
        "metal": "publish takes what NumPy can read: np.asarray(array) of an MLX array",
        "metal_frame": "publish takes what NumPy can read: np.asarray(array) of an MLX array",
        "mlx_available": "publish takes what NumPy can read: np.asarray(array) of an MLX array",
        "nvenc_cpu_available": _ENCODERS,
        "nvenc_gpu_pyav_available": _ENCODERS,
        "pack_binary_message": _PROTOCOL,
        "register_video_encoder": "an encoder of your own is a file in framewire/codec and an entry in codecs.py",
        "select_transport": _PROTOCOL,
        "unpack_binary_message": _PROTOCOL,
    },
    "Display": {
        "info": "name, width, height, fps and client_count of the display say it",
        "metrics": "display.stats has the numbers",
        "record": _RECORD,
        "recorded": "display.on_event(recorded.append) adds each event to a list of yours",
        "set_quality": f"{_QUALITY}; serving the name again changes them",
        "switch_backend": "each view chooses: display.widget(mode=…), or the menu of its toolbar",
    },
    "Server": {
        "host": "server.host_name is where a browser on this machine reaches it",
        "info": "name, width, height, fps and client_count of each display say it",
        "metrics": "stats of each display has the numbers",
        "origins": "allow_origins= of serve_server says them, and the server keeps no list",
        "process_request": "the server has a page of its own: display.url",
        "set_quality": f"{_QUALITY}; serving the name again changes them",
        "switch_backend": "each view chooses: display.widget(mode=…), or the menu of its toolbar",
    },
}
"""The names that are gone: what to write instead."""

UNSERVED: Final = "a Display is made by serve: display = framewire.serve(width, height), or Server.add_stream"
"""Why a `Display` cannot be made from its width and height."""


def found(owner: str, name: str, error: AttributeError) -> Any:
    """What this name of ``owner`` ("framewire", "Display", "Server") was in pdum.rfb.

    Raises ``AttributeError`` where it is gone: what to write instead. Raises ``error`` where it never was.
    """
    if name in NAMES[owner]:
        return NAMES[owner][name]
    if line := LINES[owner].get(name):
        raise AttributeError(f"{name!r} of pdum.rfb is not in framewire: {line}")
    raise error
