"""Lines that strangers cause: few of them, and the code that logs is named."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from framewire.limited_log import LimitedLog


def test_few_lines_of_a_kind_are_written_whatever_their_arguments(caplog: pytest.LogCaptureFixture):
    now = 0.0
    log = LimitedLog(logging.getLogger("framewire.x"), 2, lambda: now)
    for number in range(50):
        log.warning("request %d is malformed", number)
    log.warning("another kind")
    now = 60.0
    log.warning("request %d is malformed", 50)
    assert [record.getMessage() for record in caplog.records] == [
        "request 0 is malformed",
        "request 1 is malformed (more like it are only counted for a minute)",
        "another kind",
        "request 50 is malformed (and 48 more like it before)",
    ]
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    assert {Path(record.pathname).name for record in caplog.records} == {"test_limited_log.py"}


def test_an_exception_is_written_with_its_traceback(caplog: pytest.LogCaptureFixture):
    log = LimitedLog(logging.getLogger("framewire.x"), 1)
    for _ in range(3):
        try:
            raise ValueError("odd")
        except ValueError:
            log.exception("it failed")
    (record,) = caplog.records
    assert record.levelname == "ERROR" and record.exc_info and str(record.exc_info[1]) == "odd"
