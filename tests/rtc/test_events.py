"""Counters of a subscription start at nothing."""

from __future__ import annotations

from dataclasses import asdict

from framewire.rtc.events import PeerStats


def test_a_subscription_that_has_sent_nothing_has_counted_nothing():
    counters = asdict(PeerStats())
    assert counters.pop("rtt_s") is None
    assert set(counters.values()) == {0}
