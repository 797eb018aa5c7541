"""What an engine and a stream are asked to be: the structs that travel from `serve` to the engine process as they are.

Must not know hosts, links or engines. A new option is a field here, its keyword below, and the code
that reads it. The signatures, checks and documentation of `serve`, `show` and `Server.add_stream` follow from these.
"""

# Without postponed annotations: evaluating them later would take a millisecond of each import.

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import PurePath
from typing import Annotated, Any, Final, Literal, TypedDict, get_args

from msgspec import Meta, Struct
from msgspec.structs import force_setattr

from framewire.addresses import (
    EVERY_INTERFACE,
    MAX_PORT,
    allowed_host,
    is_loopback,
    listening_host,
    udp_address,
    web_origin,
)
from framewire.codecs import Chroma, CodecName, full_chroma_codecs, selectable_codecs
from framewire.frame import MAX_SIDE_PX
from framewire.ice_servers import ice_servers
from framewire.keywords import MAX_VALUES, as_number, is_unicode, iterated, normalise, shown, unknown
from framewire.wire import MAX_TOKEN_CHARACTERS, Cursor, IceServer

__all__ = [
    "EngineKeywords", "EngineOptions", "IceServer", "ServeKeywords", "StreamKeywords", "StreamOptions",
]  # fmt: skip

MIN_TOKEN_CHARACTERS: Final = 22
"""The shortest token that is taken: 128 bits in base64.

Source: chosen by hand, 128 bits cannot be guessed; pinned by `tests/test_options.py::test_a_short_token_is_refused`."""
MAX_BITRATE_BPS: Final = 20_000_000
"""The bitrate that one encoding may take, unless a stream asks for another one.

Source: chosen by hand; pinned by `tests/test_options.py::test_the_defaults_of_a_stream`."""

Latency = Literal["low", "smooth"]
EngineHome = Literal["process", "thread", "inline"]
"""Where an engine runs: in a process of its own, on a thread of this one, or on the caller's event loop."""

_SIZE: Final = re.compile(r"(\d+)\D+(\d+)")


class EngineOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What holds for a whole engine. Raises ``ValueError``, in a user's words, for what cannot be asked for."""

    token: Annotated[
        str | None,
        Meta(description="What viewers must present, 22 characters at least; one is made up if none is given."),
    ] = None
    host: Annotated[
        str,
        Meta(
            description="The address to listen on. Anything but loopback lets other machines in; "
            "they need the token all the same."
        ),
    ] = "127.0.0.1"
    port: Annotated[
        Annotated[int, Meta(ge=0, le=MAX_PORT, multiple_of=1)] | None,
        Meta(description="None is 8765 or, where that is taken, any free port; 0 is any free port."),
    ] = None
    allow_origins: Annotated[
        tuple[str, ...], Meta(description="Further web origins whose pages may connect, such as 'https://lab.example'.")
    ] = ()
    allow_hosts: Annotated[
        tuple[str, ...],
        Meta(description="Further host names that this server is reached under, as behind a proxy."),
    ] = ()
    ice_servers: Annotated[
        tuple[IceServer, ...],
        Meta(description="STUN and TURN servers, each a dict as in RTCConfiguration.iceServers."),
    ] = ()

    tls: Annotated[
        tuple[str, ...],
        Meta(
            description="Files of a certificate and its private key in PEM, ('cert.pem', 'key.pem'), for https and wss."
        ),
    ] = ()
    udp_host: Annotated[
        tuple[str, ...],
        Meta(
            description="The addresses of this machine that WebRTC uses, such as '127.0.0.1'; without any, those of "
            "every interface, so that UDP reaches the viewers of a forwarded port, too. A UDP socket is open only "
            "while its viewer has a peer connection, and takes data from that viewer alone."
        ),
    ] = ()

    def __post_init__(self) -> None:
        force_setattr(self, "ice_servers", ice_servers(self.ice_servers))
        force_setattr(self, "tls", _paths(self.tls))
        if self.host is None:
            raise ValueError("host=None is no address: '127.0.0.1' is for this machine alone, '0.0.0.0' for others too")
        # No message about a token quotes it.
        if not isinstance(self.token, str | None):
            raise ValueError(f"token is a string, not of type {type(self.token).__name__}")
        if self.token is not None and len(self.token) < MIN_TOKEN_CHARACTERS:
            raise ValueError(
                f"token is {len(self.token)} characters; {MIN_TOKEN_CHARACTERS} at least "
                "(128 bits: secrets.token_urlsafe(16))"
            )
        if self.token is not None and (len(self.token) > MAX_TOKEN_CHARACTERS or not is_unicode(self.token)):
            raise ValueError(f"token is at most {MAX_TOKEN_CHARACTERS} characters, without surrogates")
        normalise(self)
        force_setattr(self, "host", _formed("host", self.host, listening_host))
        force_setattr(self, "udp_host", _in_form("udp_host", self.udp_host, udp_address))
        force_setattr(self, "allow_hosts", _in_form("allow_hosts", self.allow_hosts, allowed_host))
        force_setattr(self, "allow_origins", _in_form("allow_origins", self.allow_origins, web_origin))

    def __repr__(self) -> str:
        fields = {name: getattr(self, name) for name in self.__struct_fields__ if name != "token"}
        return f"EngineOptions({', '.join(f'{name}={value!r}' for name, value in fields.items())})"

    @property
    def exposed(self) -> bool:
        """Whether the engine is reached from other machines."""
        return not is_loopback(self.host)

    @property
    def in_clear_text(self) -> bool:
        """Whether the token goes over a network without encryption."""
        return self.exposed and not self.tls

    @property
    def answers_to(self) -> frozenset[str]:
        """The host names in requests that are answered, beside those that every engine answers to."""
        return frozenset({self.host, *self.allow_hosts} - EVERY_INTERFACE)


class StreamOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a stream is from its start. Raises ``ValueError``, in a user's words, for what cannot be asked for."""

    id: int
    """Names the stream on the link and in the binary header; the server counts them."""
    name: Annotated[str, Meta(min_length=1, max_length=128)]
    width: int
    height: int
    """Pixels, as announced; frames of any size may follow."""
    fps: Annotated[
        float, Meta(gt=0, le=1000, description="Frames a second that you aim at; encoders plan their bits with it.")
    ] = 60.0
    max_bitrate: Annotated[
        int, Meta(ge=10_000, le=1_000_000_000, description="Bits a second that one encoding takes at most.")
    ] = MAX_BITRATE_BPS
    event_queue_size: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            multiple_of=1,
            description="Input events kept for `poll_events`; beyond it the oldest are dropped, moves first.",
        ),
    ] = 4096
    title: Annotated[
        str, Meta(max_length=256, description="What viewers call the picture; without it, its name serves.")
    ] = ""
    cursor: Annotated[
        Cursor, Meta(description="The pointer's shape over the picture, a keyword of CSS: 'crosshair', 'none', …")
    ] = "default"
    codecs: Annotated[
        tuple[CodecName, ...],
        Meta(description="Video codecs that may be used; a viewer gets the best one that it decodes."),
    ] = selectable_codecs()
    chroma: Annotated[
        Chroma,
        Meta(
            description="'444' keeps thin coloured lines as sharp in colour as in brightness, for viewers that decode "
            "it (Chromium). The others get '420', half the resolution of colour; both at once cost two encodings."
        ),
    ] = "420"
    latency: Annotated[
        Latency,
        Meta(
            description="'smooth' lets browsers hold frames back for about a tenth of a second, so that they are shown "
            "at an even pace over an uneven network; 'low' shows each as soon as it is there."
        ),
    ] = "low"

    def __post_init__(self) -> None:
        if not (_is_side(self.width) and _is_side(self.height)):
            size = f"{shown(self.width)} x {shown(self.height)}"
            instead = _as_sides(self.width, self.height)
            raise ValueError(f"{size} is not a frame size: 1 to {MAX_SIDE_PX} whole pixels a side{instead}")
        normalise(self)
        force_setattr(self, "codecs", _codecs(self.codecs))
        if self.chroma == "444" and not full_chroma_codecs(self.codecs):
            able = " or ".join(repr(codec) for codec in selectable_codecs() if full_chroma_codecs([codec]))
            raise ValueError(f"chroma='444' needs {able} among the codecs: no other has it")

    @property
    def video_codecs(self) -> tuple[CodecName, ...]:
        """The codecs that viewers are offered, those with full chroma first."""
        return (*full_chroma_codecs(self.codecs), *self.codecs) if self.chroma == "444" else self.codecs


class EngineKeywords(TypedDict, total=False):
    """`EngineOptions` as keywords, with the types that are taken."""

    token: str | None
    host: str
    port: int | None
    allow_origins: str | Iterable[str]
    allow_hosts: str | Iterable[str]
    ice_servers: str | IceServer | Mapping[str, Any] | Iterable[str | IceServer | Mapping[str, Any]]
    tls: str | PurePath | Iterable[str | PurePath]
    udp_host: str | Iterable[str]


class StreamKeywords(TypedDict, total=False):
    """`StreamOptions` as keywords, with the types that are taken."""

    fps: float
    max_bitrate: int
    event_queue_size: int
    title: str
    cursor: Cursor
    codecs: CodecName | Iterable[CodecName]
    chroma: Chroma
    latency: Latency


class ServeKeywords(EngineKeywords, StreamKeywords):
    """What `serve` and `serve_server` take: an engine's options and a stream's."""


def check_home(engine: object) -> None:
    """Raises ``ValueError`` for a value that `EngineHome` does not have."""
    if not isinstance(engine, str) or engine not in get_args(EngineHome):
        raise ValueError(f"engine={shown(engine)} is unknown: {', '.join(map(repr, get_args(EngineHome)))}")


def checked_streams(streams: Any) -> list[dict[str, Any]]:
    """The streams that a server has from its start; one needs no list. Raises ``ValueError``."""
    given = [streams] if isinstance(streams, Mapping) else () if streams is None else iterated(streams)
    if given is None:
        raise ValueError(f"streams is a list of dicts with name, width and height, not {shown(streams)}")
    kept = []
    for each in islice(given, MAX_VALUES + 1):
        if not isinstance(each, Mapping) or not {"name", "width", "height"} <= each.keys():
            raise ValueError(f"a value of streams is a dict with name, width and height, not {shown(each)}")
        kept.append(dict(each))
    if len(kept) > MAX_VALUES:
        raise ValueError(f"streams has more than {MAX_VALUES} values; add_stream adds more")
    return kept


def size_usage(arguments: tuple[Any, ...]) -> str:
    """What to write, for a call that does not give the sides of a frame one by one: a tuple or a text, for example."""
    given = [each for each in arguments if as_number(each) is None]
    if given and isinstance(given[0], str) and (sides := _SIZE.search(given[0])):
        return f": write {sides[1]}, {sides[2]} instead of {shown(given[0])}"
    if given and isinstance(given[0], list | tuple) and len(given[0]) == 2:
        return f": write {shown(given[0][0])}, {shown(given[0][1])} instead of {shown(given[0])}"
    if len(arguments) > 2 or (given and (isinstance(given[0], list | tuple) or hasattr(given[0], "shape"))):
        return ": for an array, serve(frame.shape[1], frame.shape[0]), or show(frame)"
    return ", in pixels, such as 1280, 720"


def _in_form(name: str, values: Iterable[str], form: Callable[[str], str]) -> tuple[str, ...]:
    """Each value once, in the form that browsers send. Raises ``ValueError`` naming the first one that is refused."""
    return tuple(dict.fromkeys(_formed(f"a value of {name}", each, form) for each in values))


def _paths(given: Any) -> Any:
    """Paths as text; everything else as it is."""
    if hasattr(given, "__fspath__"):
        return (given.__fspath__(),)
    if isinstance(given, list | tuple):
        return tuple(each.__fspath__() if hasattr(each, "__fspath__") else each for each in given)
    return given


def _formed(name: str, value: str, form: Callable[[str], str]) -> str:
    try:
        return form(value)
    except ValueError as fault:
        raise ValueError(f"{name}, {shown(value)}, {fault}") from None


def _codecs(given: Iterable[CodecName]) -> tuple[CodecName, ...]:
    for name in given:
        if name not in selectable_codecs():
            raise ValueError(unknown("codecs", "value", name, selectable_codecs()))
    return tuple(dict.fromkeys(given))


def _as_sides(width: Any, height: Any) -> str:
    """What to write for sides that come as text, of a command line for instance."""
    sides = [int(each) if isinstance(each, str) and each.strip().isdecimal() else each for each in (width, height)]
    if sides == [width, height] or not all(map(_is_side, sides)):
        return ""
    return f"; write {', '.join(str(int(each)) for each in sides)}"


def _is_side(value: Any) -> bool:
    """Whole numbers of any type: sizes are often computed, and come as 640.0 or from NumPy."""
    number = as_number(value)
    return number is not None and 1 <= number <= MAX_SIDE_PX and number == int(number)
