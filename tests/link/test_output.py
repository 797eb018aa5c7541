"""What an engine prints: line by line in the log, with or without a thread that reads it."""

from __future__ import annotations

import os
import time

import pytest

from framewire.link.output import EngineOutput


@pytest.fixture(params=[False, True], ids=["polled", "by a thread"])
def pipe(request):
    read, write = os.pipe()
    output = EngineOutput(os.fdopen(read, "rb", buffering=0), has_thread=request.param)
    assert output.has_thread == request.param
    yield output, write
    output.close()


def test_lines_are_logged_as_they_come_and_the_last_is_kept(pipe, caplog):
    output, write = pipe
    os.write(write, b"one\ntw")
    os.write(write, b"o\r\n\n  caf\xe9\nlast")
    os.close(write)
    output.finish(time.monotonic() + 30)
    logged = [record.getMessage() for record in caplog.records]
    assert logged == [f"framewire engine: {line}" for line in ("one", "two", "  caf\ufffd", "last")]
    assert output.last() == ": last"
    output.close()


def test_whoever_keeps_the_pipe_open_is_not_waited_for(pipe):
    output, write = pipe
    assert output.last() == ""
    output.finish(time.monotonic() + 0.02)
    output.close()
    os.close(write)  # a thread ends now


def test_a_line_without_an_end_is_not_kept_for_good(pipe):
    output, write = pipe
    for _ in range(40):
        os.write(write, b"x" * 10_000)
        if not output.has_thread:
            output.read()
    os.close(write)
    output.finish(time.monotonic() + 30)
    assert 60_000 < len(output._last_line) < 140_000
    assert output.last() == f": {'x' * 300}…"


def test_what_an_error_message_quotes_is_one_line(pipe):
    output, write = pipe
    os.write(write, b"10 %\r20 %\r30 %\x0b\xe2\x80\xa8done\n")
    os.close(write)
    output.finish(time.monotonic() + 30)
    assert output.last() == ": 10 % 20 % 30 % done"


def test_a_forked_child_closes_its_copy(pipe):
    output, write = pipe
    os.close(write)
    output.finish(time.monotonic() + 30)
    output.after_fork_in_child()
    with pytest.raises(ValueError, match="closed"):
        output.fileno()
