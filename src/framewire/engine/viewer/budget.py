"""How much one viewer may send: what each message costs, and how long nothing more is read. Pure; time is an argument.

Must not know sockets, nor what a message does: it counts tokens. A viewer that exceeds its budget is read more slowly
first, and that is all where the excess is short; one that goes on is closed.
"""

from __future__ import annotations

from typing import Final

from framewire import wire
from framewire.errors import CloseCode, RemoteProtocolError
from framewire.token_bucket import TokenBucket

TOKENS_PER_S: Final = 1000.0
"""Tokens of a viewer in the long run. A page with 64 views needs 600: 256 for two reports a second of each, 170 for the
bytes of 60 acks a second of each, 170 for moves, wheel and keys of one pointer.

Source: signaling/README.md, "How much a viewer may send"; pinned by
`tests/engine/viewer/test_budget.py::test_a_page_of_64_views_is_never_slowed_down`"""

BURST_TOKENS: Final = 4000.0
"""Tokens at once. A page that opens with 64 views needs 3,100: two subscriptions, two reports and three events of each.

Source: signaling/README.md, "How much a viewer may send"; pinned by
`tests/engine/viewer/test_budget.py::test_a_page_that_opens_with_64_views_is_never_slowed_down`"""

MAX_EXCESS_S: Final = 10.0
"""A viewer that exceeds its budget for so long without a pause is closed with 4429.

Source: chosen by hand: what a page sends by mistake, or after its machine slept, is over sooner; pinned by
`tests/engine/viewer/test_budget.py::test_a_flood_that_goes_on_is_refused`"""

RECOVERED_TOKENS: Final = 500.0
"""A pause is one in which so many tokens came back.

Source: chosen by hand, half a second without a message; pinned by
`tests/engine/viewer/test_budget.py::test_a_pause_ends_an_excess`"""

BYTES_PER_TOKEN: Final = 1024
"""Bytes that cost one token, whatever they are: frames of one byte each cost as much to read as small messages do.

Source: chosen by hand, as reading a KiB of such frames takes 40 us; pinned by
`tests/engine/viewer/test_budget.py::test_bytes_cost_as_well`"""

WORK_TOKENS: Final = 20.0
"""Tokens of a message that makes others work: a subscription, an answer, a request for a keyframe.

Source: chosen by hand: 50 a second, while each takes an encoder or the peer connection a few milliseconds; pinned by
`tests/engine/viewer/test_budget.py::test_what_makes_work_costs_more`"""

CLOSED_WAIT_S: Final = 0.2
"""Time between two reads of a viewer that is closed already: of what it sends, its close frame alone is of use.

Source: chosen by hand; pinned by
`tests/engine/viewer/test_viewer.py::test_a_closed_viewer_is_hardly_read`"""

REPORT_TOKENS: Final = 2.0
"""Tokens of a report, which is answered.

Source: chosen by hand, as its answer takes longer than other small messages; pinned by
`tests/engine/viewer/test_budget.py::test_what_makes_work_costs_more`"""


def cost(message: wire.ViewerMessage) -> float:
    """The tokens of a message. An `ack` is free: one that returns no credit is charged by `Budget.spend`."""
    match message:
        case wire.Subscribe() | wire.Answer():
            return WORK_TOKENS
        case wire.Report():
            return WORK_TOKENS if message.keyframe is True else REPORT_TOKENS
        case wire.Ack():
            return 0.0
    return 1.0


class Budget:
    """The budget of one viewer."""

    def __init__(self) -> None:
        self._bucket = TokenBucket(TOKENS_PER_S, BURST_TOKENS)
        self._excess_since: float | None = None

    def spend(self, now: float, tokens: float) -> None:
        """Something that costs so many tokens has come."""
        self._bucket.spend(now, tokens)

    def spend_bytes(self, now: float, size: int) -> None:
        """So many bytes have come, whatever they hold."""
        self._bucket.spend(now, size / BYTES_PER_TOKEN)

    def wait_s(self, now: float) -> float:
        """Seconds in which nothing more is read of the viewer."""
        wait_s = self._bucket.delay(now, 0.0)
        if wait_s == 0.0 and self._bucket.delay(now, RECOVERED_TOKENS) == 0.0:
            self._excess_since = None
        elif wait_s > 0.0 and self._excess_since is None:
            self._excess_since = now
        return wait_s

    def check(self, now: float) -> None:
        """Raises ``RemoteProtocolError`` (4429) for a viewer that has exceeded its budget for too long."""
        if self._excess_since is not None and now - self._excess_since > MAX_EXCESS_S:
            raise RemoteProtocolError(CloseCode.LIMITS, "the viewer sends too much: see the limits of the contract")
