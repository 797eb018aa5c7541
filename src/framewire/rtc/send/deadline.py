"""The deadline of what has nothing to do at any known time. Must not know senders, sockets or clocks."""

from __future__ import annotations

from typing import Final

NEVER: Final = float("inf")
"""Later than any time of a clock; `-NEVER` is earlier than any."""
