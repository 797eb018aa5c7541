"""The available bandwidth of one viewer, from the sender's estimate or from the viewer's REMB. Pure.

Must not know peers, streams or encoders.
"""

from __future__ import annotations

from typing import Final

MIN_LIMIT_BPS: Final = 150_000
"""No viewer is limited to less: below this, video is not worth watching.

Source: chosen by hand; pinned by `tests/engine/stream/test_viewer_bandwidth.py::test_no_limit_is_below_the_minimum`.
"""

BELIEVE_REMB_FRACTION: Final = 0.8
"""A REMB below this fraction of what is sent is believed.

Chromium's first REMB, after about 5 s, is 0.88 of what it receives over an idle link, so that must not count.

Source: measured with Chromium 156;
pinned by `tests/engine/stream/test_viewer_bandwidth.py::test_a_first_remb_slightly_below_what_is_sent_is_ignored`.
"""

REMB_HEADROOM_FRACTION: Final = 0.95
"""The limit is this fraction of a believed REMB, so that queues on the link can drain.

Source: chosen by hand; pinned by `tests/engine/stream/test_viewer_bandwidth.py::test_a_low_remb_limits_at_once`.
"""

RELEASE_FACTOR: Final = 1.02
"""Each REMB that is neither low nor above the limit raises the limit by this factor.

Source: chosen by hand;
pinned by `tests/engine/stream/test_viewer_bandwidth.py::test_an_unchanging_remb_releases_the_limit_slowly`.
"""


class ViewerBandwidth:
    """The bandwidth that one viewer's video may use, as estimates arrive.

    An estimate of the sender (transport-cc) is used as it is, up and down. A REMB never exceeds about 1.5 times what
    the receiver gets, so for a quiet stream it does not measure the link. It only limits when it falls clearly
    below what is sent, and the limit is released as the REMB rises.
    """

    def __init__(self, max_bps: int) -> None:
        self.limit_bps: float = float(max_bps)
        """Bits a second; the maximum as long as nothing is known."""
        self._max_bps = max_bps

    def remb(self, bits_per_second: float, sent_bps: float) -> None:
        """The viewer's receiver estimates ``bits_per_second``, while ``sent_bps`` are sent."""
        if bits_per_second < sent_bps * BELIEVE_REMB_FRACTION:
            self.measured(min(self.limit_bps, bits_per_second * REMB_HEADROOM_FRACTION))
        elif bits_per_second > self.limit_bps:
            self.measured(bits_per_second)
        else:
            self.measured(self.limit_bps * RELEASE_FACTOR)

    def measured(self, bits_per_second: float) -> None:
        """The sender measured this available bandwidth."""
        if bits_per_second >= self._max_bps:
            self.limit_bps = float(self._max_bps)
        else:
            self.limit_bps = max(bits_per_second, MIN_LIMIT_BPS)
