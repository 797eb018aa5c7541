"""What blocks runs beside an asyncio loop, and under any other loop where it is."""

from __future__ import annotations

import threading

import pytest

from framewire.host.waiting import off_loop


async def test_it_runs_on_a_thread_beside_the_loop():
    assert await off_loop(threading.current_thread) is not threading.current_thread()


def test_without_asyncio_it_runs_at_once():
    with pytest.raises(StopIteration) as returned:
        off_loop(threading.current_thread).send(None)
    assert returned.value.value is threading.current_thread()
