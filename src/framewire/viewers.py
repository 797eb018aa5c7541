"""Who watches a stream, and what has changed since: data that an engine reports and a program reads.

Must not know engines, displays or the wire.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

from msgspec import Struct

ViewerChange: TypeAlias = Literal["join", "leave", "visible", "hidden"]


class WatchingViewer(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One viewer of a stream. The views of one page are one viewer."""

    client_id: str
    """As in its `InputEvent`; a new one for every connection."""
    principal: str | None = None
    """Who it was admitted as, where authentication says so."""
    visible: bool = True
    """Whether any view of the stream can be seen on its page: not scrolled away, not in a tab at the back."""


class ViewerEvent(Struct, frozen=True):
    """A viewer of the stream has come or gone, or can be seen again or no more."""

    type: ViewerChange
    """``"join"`` and ``"leave"``; between them ``"hidden"`` and ``"visible"``, when one follows the other."""
    viewer: WatchingViewer
    """The viewer as it is now; with ``"leave"`` as it was."""


def changes(before: Iterable[WatchingViewer], after: Iterable[WatchingViewer]) -> Iterator[ViewerEvent]:
    """What has happened between two reports: first those that left, then those that are there, in their order.

    A viewer that joins hidden is ``"hidden"`` after its ``"join"``, so that a program may count with the types alone.
    """
    known = {viewer.client_id: viewer for viewer in before}
    now = {viewer.client_id: viewer for viewer in after}
    for client_id, viewer in known.items():
        if client_id not in now:
            yield ViewerEvent("leave", viewer)
    for client_id, viewer in now.items():
        old = known.get(client_id)
        if old is None:
            yield ViewerEvent("join", viewer)
        if viewer.visible != (old is None or old.visible):
            yield ViewerEvent("visible" if viewer.visible else "hidden", viewer)
