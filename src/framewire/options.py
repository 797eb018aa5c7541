"""What an engine and a stream are asked to be, checked before anything is begun. Must not know hosts or links."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from framewire.arrays import MAX_SIDE
from framewire.codecs import Chroma, CodecName, full_chroma_codecs, selectable_codecs
from framewire.engine.http.gate import MIN_TOKEN, is_loopback

log = logging.getLogger("framewire")

MAX_BITRATE = 20_000_000

Latency = Literal["low", "smooth"]


@dataclass(frozen=True)
class HostOptions:
    """What holds for a whole engine. Raises ``ValueError`` for choices that there are not."""

    token: str = field(repr=False)
    host: str = "127.0.0.1"
    port: int | None = None
    allow_origins: tuple[str, ...] = ()
    allow_hosts: tuple[str, ...] = ()
    ice_servers: tuple[dict[str, Any], ...] = ()
    codecs: tuple[CodecName, ...] = selectable_codecs()
    chroma: Chroma = "420"
    latency: Latency = "low"

    def __post_init__(self) -> None:
        if unknown := set(self.codecs) - set(selectable_codecs()):
            known = ", ".join(map(repr, selectable_codecs()))
            raise ValueError(f"codecs {sorted(unknown)} are unknown: {known}")
        if self.chroma not in ("420", "444"):
            raise ValueError(f"chroma={self.chroma!r:.40} is unknown: '420', '444'")
        if self.chroma == "444" and not full_chroma_codecs(self.codecs):
            able = " or ".join(repr(codec) for codec in selectable_codecs() if full_chroma_codecs([codec]))
            raise ValueError(f"chroma='444' needs {able} among the codecs: no other has it")
        if self.latency not in ("low", "smooth"):
            raise ValueError(f"latency={self.latency!r:.40} is unknown: 'low', 'smooth'")

    @property
    def video_codecs(self) -> tuple[CodecName, ...]:
        """What the engine is to offer, best first."""
        return (*full_chroma_codecs(self.codecs), *self.codecs) if self.chroma == "444" else self.codecs


@dataclass(frozen=True)
class StreamOptions:
    """What a stream is from its beginning."""

    id: int
    name: str
    width: int
    height: int
    fps: float
    max_bitrate: int


def exposed(host: str) -> bool:
    """Whether this address is reached from other machines."""
    return not is_loopback(host)


def host_options(
    host: str,
    port: int | None,
    token: str | None,
    allow_origins: Iterable[str],
    allow_hosts: Iterable[str],
    ice_servers: Iterable[dict[str, Any]],
    codecs: Iterable[str],
    chroma: Chroma,
    latency: Latency,
) -> HostOptions:
    """What was given, checked; a token is made up if there is none. Raises ``ValueError`` in a user's words."""
    if token is not None and len(token) < MIN_TOKEN:
        raise ValueError(
            f"token is {len(token)} characters; {MIN_TOKEN} at least (128 bits: secrets.token_urlsafe(16))"
        )
    if isinstance(allow_origins, str) or isinstance(allow_hosts, str):
        raise ValueError("allow_origins and allow_hosts are lists of strings")
    if exposed(host):
        log.info("framewire: listening on %s, other machines can reach it; the token guards it", host)
    return HostOptions(
        token=token or secrets.token_urlsafe(16),
        host=host,
        port=port,
        allow_origins=tuple(allow_origins),
        allow_hosts=tuple(name.lower() for name in allow_hosts),
        ice_servers=tuple(ice_servers),
        codecs=tuple(codecs),
        chroma=chroma,
        latency=latency,
    )


def stream_options(id_: int, name: Any, width: Any, height: Any, fps: float, max_bitrate: int) -> StreamOptions:
    """What was given, checked: the engine takes integers for integers, and nothing else."""
    if not (isinstance(name, str) and 1 <= len(name) <= 128):
        raise ValueError(f"a stream's name is a string of 1 to 128 characters, not {name!r:.200}")
    if not (_is_side(width) and _is_side(height)):
        raise ValueError(f"{width!r:.40} x {height!r:.40} is no frame size: 1 to {MAX_SIDE} pixels a side")
    if not 0 < fps <= 1000:
        raise ValueError(f"fps={fps} makes no sense: above 0, at most 1000")
    if not 10_000 <= max_bitrate <= 1_000_000_000:
        raise ValueError(f"max_bitrate={max_bitrate} makes no sense: bits a second, {MAX_BITRATE} for instance")
    return StreamOptions(id_, name, int(width), int(height), float(fps), int(max_bitrate))


def _is_side(value: Any) -> bool:
    """Whole numbers of any type: sizes are often computed, and come as 640.0 or from NumPy."""
    try:
        return bool(1 <= value <= MAX_SIDE and value == int(value))
    except (TypeError, ValueError):
        return False
