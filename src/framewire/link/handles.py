"""The command line that an engine process is started with.

Must not know processes, sockets or messages.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from framewire.errors import LocalProtocolError


class Handles(Struct, frozen=True, kw_only=True):
    """What an engine is started with: descriptors, and its parent. Goes on its command line, so nothing in here is a
    secret."""

    control: int
    bell: int
    listeners: tuple[int, ...] = ()
    """Listening sockets, bound by the parent."""
    parent: int
    """Process id; when the engine has another parent, this one is gone."""

    def arguments(self) -> list[str]:
        """As they stand at the end of the engine's command line."""
        listeners = ",".join(map(str, self.listeners))
        return [f"--control={self.control}", f"--bell={self.bell}", f"--listen={listeners}",
                f"--parent={self.parent}"]  # fmt: skip

    @classmethod
    def parse(cls, arguments: Sequence[str]) -> Handles:
        """The engine's side of :meth:`arguments`. Raises LocalProtocolError for anything else."""
        words = dict(word.split("=", 1) for word in arguments if "=" in word)
        try:
            listeners = tuple(int(n) for n in words.pop("--listen").split(",") if n)
            control, bell, parent = (int(words.pop(f"--{name}")) for name in ("control", "bell", "parent"))
        except (KeyError, ValueError) as error:
            raise LocalProtocolError(f"not what an engine is started with: {arguments}") from error
        return cls(control=control, bell=bell, listeners=listeners, parent=parent)
