"""What an engine and a stream are asked to be: the structs that travel from `serve` to the engine process as they are.

Must not know hosts, links or engines. A new option is a field here, its keyword below, and the code
that reads it. The signatures, checks and documentation of `serve`, `show` and `Server.add_stream` follow from these.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal, TypedDict

from msgspec import Meta, MsgspecError, Struct, convert
from msgspec.structs import force_setattr

from framewire.arrays import MAX_SIDE_PX
from framewire.codecs import Chroma, CodecName, full_chroma_codecs, selectable_codecs
from framewire.keywords import normalise
from framewire.wire import IceServer

__all__ = [
    "EngineKeywords", "EngineOptions", "IceServer", "ServeKeywords", "StreamKeywords", "StreamOptions", "is_loopback",
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

LOCAL_NAMES: Final = frozenset({"localhost"})


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
        int | None, Meta(description="None is 8765 or, where that is taken, any free port; 0 is any free port.")
    ] = None
    allow_origins: Annotated[
        tuple[str, ...], Meta(description="Further web origins whose pages may connect, 'https://lab.example' say.")
    ] = ()
    allow_hosts: Annotated[
        tuple[str, ...], Meta(description="Further host names that this server is reached under, behind a proxy say.")
    ] = ()
    ice_servers: Annotated[
        tuple[IceServer, ...],
        Meta(description="STUN and TURN servers, each a dict as in RTCConfiguration.iceServers."),
    ] = ()

    def __post_init__(self) -> None:
        force_setattr(self, "ice_servers", _ice_servers(self.ice_servers))
        # No message about a token quotes it.
        if not isinstance(self.token, str | None):
            raise ValueError(f"token is a string, not of type {type(self.token).__name__}")
        if self.token is not None and len(self.token) < MIN_TOKEN_CHARACTERS:
            raise ValueError(
                f"token is {len(self.token)} characters; {MIN_TOKEN_CHARACTERS} at least "
                "(128 bits: secrets.token_urlsafe(16))"
            )
        normalise(self)
        force_setattr(self, "allow_hosts", tuple(name.lower() for name in self.allow_hosts))

    def __repr__(self) -> str:
        shown = {name: getattr(self, name) for name in self.__struct_fields__ if name != "token"}
        return f"EngineOptions({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    @property
    def exposed(self) -> bool:
        """Whether the engine is reached from other machines."""
        return not is_loopback(self.host)


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
        int, Meta(ge=0, description="Input events kept for `poll_events`; beyond it the oldest are dropped.")
    ] = 4096
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
            raise ValueError(
                f"{self.width!r:.40} x {self.height!r:.40} is not a frame size: 1 to {MAX_SIDE_PX} whole pixels a side"
            )
        normalise(self)
        if unknown := set(self.codecs) - set(selectable_codecs()):
            known = ", ".join(map(repr, selectable_codecs()))
            raise ValueError(f"codecs {sorted(unknown)} are unknown: {known}")
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
    allow_origins: Iterable[str]
    allow_hosts: Iterable[str]
    ice_servers: Iterable[IceServer | Mapping[str, Any]]


class StreamKeywords(TypedDict, total=False):
    """`StreamOptions` as keywords, with the types that are taken."""

    fps: float
    max_bitrate: int
    event_queue_size: int
    codecs: Iterable[CodecName]
    chroma: Chroma
    latency: Latency


class ServeKeywords(EngineKeywords, StreamKeywords):
    """What `serve` and `serve_server` take: an engine's options and a stream's."""


def is_loopback(host: str) -> bool:
    """Whether this name or address can only mean the machine itself."""
    if host.lower() in LOCAL_NAMES:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    # An IPv4 address mapped into IPv6 counts as loopback from Python 3.13 on; no browser uses one for this machine.
    return address.is_loopback and getattr(address, "ipv4_mapped", None) is None


def _ice_servers(given: Any) -> Any:
    """Dicts as ``RTCConfiguration.iceServers`` has them to structs: ``urls`` is a string or a list of strings."""
    if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
        return given  # refused in words by the check of the field
    return tuple(_ice_server(each) if isinstance(each, Mapping) else each for each in given)


def _ice_server(given: Mapping[str, Any]) -> IceServer:
    known = {name: given[name] for name in IceServer.__struct_fields__ if given.get(name) is not None}
    if isinstance(known.get("urls"), str):
        known["urls"] = [known["urls"]]
    try:
        return convert(known, IceServer)
    except MsgspecError as error:
        raise ValueError(f"an ICE server of urls={known.get('urls')!r:.200} cannot be used: {error}") from None


def _is_side(value: Any) -> bool:
    """Whole numbers of any type: sizes are often computed, and come as 640.0 or from NumPy."""
    try:
        return bool(1 <= value <= MAX_SIDE_PX and value == int(value))
    except (TypeError, ValueError):
        return False
