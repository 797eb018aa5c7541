"""Reports on a thread of their own: in order, however long a callback takes, and no more than can be kept."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from framewire.host import reports as module
from framewire.host.reports import Reports
from tests.host.fakes import Recorder
from tests.viewer import TEST_TIMEOUT_S


def test_every_report_arrives_in_order_on_another_thread() -> None:
    listener = Recorder()
    reports = Reports(listener)
    reports.on_ready()
    reports.on_input(1, "v", "me", {"type": "wheel"})
    reports.on_viewers(1, ())
    reports.on_stats(1, {"a": 1})
    reports.on_failed("no more")
    reports.close()
    reports.thread.join(TEST_TIMEOUT_S)
    assert not reports.thread.is_alive()
    assert listener.calls == [
        ("ready",),
        ("input", 1, "v", "me", {"type": "wheel"}),
        ("viewers", 1, ()),
        ("stats", 1, {"a": 1}),
        ("failed", "no more"),
    ]


def test_what_waits_for_a_callback_that_hangs_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.MAX_WAITING_REPORTS == 10_000
    monkeypatch.setattr(module, "MAX_WAITING_REPORTS", 3)
    released, hanging = threading.Event(), threading.Event()

    class Hanging(Recorder):
        def on_ready(self) -> None:
            hanging.set()
            released.wait(TEST_TIMEOUT_S)

    listener: Any = Hanging()
    reports = Reports(listener)
    reports.on_ready()
    assert hanging.wait(TEST_TIMEOUT_S)
    for number in range(10):
        reports.on_stats(number, {})
    released.set()
    reports.close()
    reports.thread.join(TEST_TIMEOUT_S)
    assert listener.calls == [("stats", number, {}) for number in range(3)]
