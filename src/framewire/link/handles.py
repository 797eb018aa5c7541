"""The command line that an engine process is started with.

Must not know processes, sockets or messages.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from framewire.errors import LocalProtocolError

PROOF_BYTES: Final = 32
"""Length of what each end of the link proves itself with.

Source: chosen by hand: 256 bits cannot be guessed."""
TCP_BUFFER_BYTES: Final = 1 << 18
"""The system's buffers of the connection, at either end. By default they hold megabytes of messages to viewers, and
reports wait behind them.

Source: chosen by hand, about as much as a local socket holds; pinned by
`tests/link/test_attach.py::test_messages_to_viewers_are_never_lost_and_never_in_the_way_of_reports`."""
GREETING: Final = struct.Struct("<HI")
"""What an engine that connects says after its proof: the port of its end of the bell, and its process id."""


class Handles(Struct, frozen=True, kw_only=True):
    """What an engine is started with: where its sockets are, and its parent. Goes on its command line, so nothing in
    here is a secret."""

    control: int
    """A descriptor; ``by_name`` the TCP port that it connects to."""
    bell: int
    """A descriptor; ``by_name`` the UDP port that datagrams come from."""
    listeners: tuple[int, ...] = ()
    """Descriptors of the listening sockets, which the parent has bound. On Windows they come over the link."""
    parent: int
    """Process id; when the engine has another parent, this one is gone."""
    by_name: bool = False
    """Whether the engine connects to ports of 127.0.0.1 and opens memory by its name, instead of being handed
    descriptors. It proves itself by what it reads from its standard input."""

    def arguments(self) -> list[str]:
        """As they stand at the end of the engine's command line."""
        listeners = ",".join(map(str, self.listeners))
        return [f"--control={self.control}", f"--bell={self.bell}", f"--listen={listeners}",
                f"--parent={self.parent}", f"--by-name={int(self.by_name)}"]  # fmt: skip

    @classmethod
    def parse(cls, arguments: Sequence[str]) -> Handles:
        """The engine's side of :meth:`arguments`. Raises LocalProtocolError for anything else."""
        words = dict(word.split("=", 1) for word in arguments if "=" in word)
        try:
            listeners = tuple(int(n) for n in words.pop("--listen").split(",") if n)
            control, bell, parent, by_name = (
                int(words.pop(f"--{name}")) for name in ("control", "bell", "parent", "by-name")
            )
        except (KeyError, ValueError) as error:
            raise LocalProtocolError(f"not what an engine is started with: {arguments}") from error
        return cls(control=control, bell=bell, listeners=listeners, parent=parent, by_name=bool(by_name))
