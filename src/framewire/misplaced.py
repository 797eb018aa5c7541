"""Options that a call does not have and another one does, or has under another name: what to write.

Must not know calls: it is data, asked for once an option is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_WIDGET: Final = frozenset({"background", "batteries", "fit", "mode", "show_stats", "show_toolbar"})
_ENGINE: Final = frozenset(
    {"allow_hosts", "allow_origins", "engine", "host", "ice_servers", "port", "token", "udp_host"}
)
_OTHER_WORDS: Final[Mapping[str, str]] = {
    "address": "host",
    "bind": "host",
    "frame_rate": "fps",
    "framerate": "fps",
    "interface": "host",
    "ip": "host",
    "password": "token",
    "pixel_format": "chroma",
    "rate": "fps",
    "secret": "token",
    "stun": "ice_servers",
    "subsampling": "chroma",
    "turn": "ice_servers",
    "udp": "udp_host",
    "udp_address": "udp_host",
    "udp_addresses": "udp_host",
    "udp_hosts": "udp_host",
}
_ELSEWHERE: Final[Mapping[str, str]] = {
    "block": "show(what, block=…) takes it; in a script, display.wait() waits",
    "browser": "framewire.browser.open_page(display.url) opens the page",
    "format": 'display.publish(frame, format="bgr") takes it; elsewhere frames are RGB, as frame[:, :, ::-1] is',
    "image_only": 'display.widget(mode="lossless") is the same',
    "loop": "show(frames, loop=…) takes it",
    "only_watched": "publish_loop(display, render, only_watched=…) takes it",
    "open": "framewire.browser.open_page(display.url) opens the page",
    "quality": "rates follow each viewer's network, and a picture at rest is exact; max_bitrate= is the limit",
    "size": "width and height are given one by one",
    "streams": "serve_server(streams=…) takes it",
}
_SIZES: Final[Mapping[str, str]] = {
    "show": "the size is that of the frame; display.widget(height=…) says how high a view is",
    "serve_server": "each stream has one: server.add_stream(name, width, height)",
}


def instead(function: str, name: str, known: list[str]) -> str | None:
    """What to write for an option that ``function`` does not have; None where nothing is known. ``known``: it has."""
    word = _OTHER_WORDS.get(name)
    if word:
        return f"{word}= is meant" if word in known else instead(function, word, known)
    if name in _WIDGET:
        return f"display.widget({name}=…) takes it"
    if name in _ENGINE and function == "add_stream":
        return f"it is for all streams of a server: serve_server({name}=…) takes it"
    if name in ("width", "height"):
        return _SIZES.get(function)
    if name == "name" and function == "serve_server":
        return "each stream has one: server.add_stream(name, width, height)"
    return _ELSEWHERE.get(name)
