"""Where publisher and viewer live: on this machine as it is, or in two namespaces with a link between."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.link_model import Link


@dataclass
class Place:
    """How to start something at either end, and what passed between them."""

    host: str = "127.0.0.1"
    server_prefix: tuple[str, ...] = ()
    viewer_prefix: tuple[str, ...] = ()

    def octets(self) -> int:
        """Bytes that went from the server's end to the viewer's, or over loopback."""
        return int(Path("/sys/class/net/lo/statistics/tx_bytes").read_text())


@contextlib.contextmanager
def place_for(link: Link | None) -> Iterator[Place]:
    if link is None:
        yield Place()
        return
    raise LookupError("no links yet")
