"""Sections, notices and combiners: what a signal handler asks for is done, and none waits for the thread it is on."""

from __future__ import annotations

import contextlib
import gc
import math
import os
import threading
import time

import pytest

from framewire import reentrancy
from framewire.reentrancy import Combiner, Notice, Section, inside, leave, when_outside

TEST_TIMEOUT_S = 30.0


# Sections


def test_a_section_knows_whether_this_thread_is_in_it() -> None:
    section = Section()
    assert not section.entered and not inside()
    with section.lock:
        assert section.entered and inside()
        with section.lock:
            assert section.entered
        assert section.entered
        others: list[bool] = []
        other = threading.Thread(target=lambda: others.extend((section.entered, inside())))
        other.start()
        other.join()
        assert others == [False, False]
    assert not section.entered and not inside()


def test_sections_that_are_gone_are_not_looked_at() -> None:
    section = Section()
    reference = reentrancy._sections[id(section)]
    del section
    gc.collect()
    assert not any(each is reference for each in list(reentrancy._sections.values()))


def test_work_is_done_at_once_outside_and_later_inside_in_order() -> None:
    done: list[int] = []
    assert when_outside(lambda: done.append(1)) and done == [1]
    one, two = Section(), Section()
    with one.lock:
        with two.lock:
            assert not when_outside(lambda: done.append(2))
            leave()
        when_outside(lambda: done.append(3))
        leave()
        assert done == [1], "it is still in one of them"
    leave()
    leave()
    assert done == [1, 2, 3]


def test_work_is_left_to_the_thread_that_put_it_off() -> None:
    done: list[str] = []
    section = Section()
    with section.lock:
        when_outside(lambda: done.append(threading.current_thread().name))
        other = threading.Thread(target=leave)
        other.start()
        other.join()
        assert done == []
    leave()
    assert done == [threading.current_thread().name]


def test_work_that_fails_is_logged_and_the_rest_is_done(caplog: pytest.LogCaptureFixture) -> None:
    done: list[int] = []
    section = Section()
    with section.lock:
        when_outside(lambda: 1 / 0)
        when_outside(lambda: done.append(1))
    leave()
    assert done == [1] and "ZeroDivisionError" in caplog.text


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_does_not_do_what_its_parent_put_off() -> None:
    section, done = Section(), [0]
    with section.lock:
        when_outside(lambda: done.append(1))
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                section.lock.release()
                leave()
                os._exit(len(done))
            os._exit(9)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    leave()
    assert done == [0, 1]


# Notices


def test_a_notice_ends_the_waiting_once_it_is_true() -> None:
    notice, values = Notice(), [0]

    def count() -> None:
        for value in range(1, 6):
            values.append(value)
            notice.notify()

    threading.Timer(0.01, count).start()
    assert notice.wait_for(lambda: values[-1] == 5, TEST_TIMEOUT_S)
    assert notice._waiting == []


def test_a_notice_that_does_not_come_in_time_is_not_waited_for() -> None:
    notice = Notice()
    assert notice.wait_for(lambda: True, 0) and not notice.wait_for(lambda: False, 0)
    start = time.monotonic()
    assert not notice.wait_for(lambda: False, 0.02) and time.monotonic() - start >= 0.02
    assert notice._waiting == []


def test_waiting_for_ever_may_be_written_as_infinity() -> None:
    notice, over = Notice(), threading.Event()

    def end() -> None:
        over.set()
        notice.notify()

    threading.Timer(0.01, end).start()
    assert notice.wait_for(over.is_set, math.inf)


def test_every_thread_that_waits_is_told() -> None:
    notice, over = Notice(), threading.Event()
    threads = [threading.Thread(target=notice.wait_for, args=(over.is_set, TEST_TIMEOUT_S)) for _ in range(8)]
    for thread in threads:
        thread.start()
    over.set()
    notice.notify()
    for thread in threads:
        thread.join(TEST_TIMEOUT_S)
        assert not thread.is_alive()


def test_a_change_right_before_the_waiting_is_seen() -> None:
    notice, looks = Notice(), [0]

    def predicate() -> bool:
        looks[0] += 1
        if looks[0] == 1:  # after this look, and before the waiting
            threading.Thread(target=notice.notify).start()
        return looks[0] > 1

    assert notice.wait_for(predicate, TEST_TIMEOUT_S)


# Combiners


def test_items_are_done_one_at_a_time_and_in_order() -> None:
    done: list[int] = []
    combiner = Combiner(done.append)
    for item in range(3):
        combiner.put(item)
    assert done == [0, 1, 2]


def test_an_item_that_comes_in_the_middle_of_another_follows_it() -> None:
    done: list[str] = []

    def work(item: str) -> None:
        if item == "outer":
            combiner.put("inner")  # as a signal handler would
        done.append(item)

    combiner = Combiner(work)
    combiner.put("outer")
    assert done == ["outer", "inner"]


def test_a_thread_leaves_its_item_to_the_one_at_work() -> None:
    done: list[tuple[str, str]] = []
    at_work, go_on = threading.Event(), threading.Event()

    def work(item: str) -> None:
        at_work.set()
        go_on.wait(TEST_TIMEOUT_S)
        done.append((item, threading.current_thread().name))

    combiner = Combiner(work)
    other = threading.Thread(target=combiner.put, args=("first",), name="other")
    other.start()
    at_work.wait(TEST_TIMEOUT_S)
    combiner.put("second")
    assert done == [], "it did not wait"
    go_on.set()
    other.join(TEST_TIMEOUT_S)
    assert done == [("first", "other"), ("second", "other")]


def test_no_item_is_lost_among_threads() -> None:
    done: list[int] = []
    combiner = Combiner(done.append)

    def put_all() -> None:
        for number in range(2000):
            combiner.put(number)

    threads = [threading.Thread(target=put_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == sorted([*range(2000)] * 4)


def test_an_item_that_fails_is_dropped_and_the_next_is_done() -> None:
    done: list[int] = []

    def work(item: int) -> None:
        done.append(10 // item)

    combiner = Combiner(work)
    with pytest.raises(ZeroDivisionError):
        combiner.put(0)
    combiner.put(5)
    assert done == [2]


def test_an_item_that_is_interrupted_is_done_with_the_next_one() -> None:
    done: list[int] = []
    interrupts = [KeyboardInterrupt()]

    def work(item: int) -> None:
        if interrupts:
            raise interrupts.pop()
        done.append(item)

    combiner = Combiner(work)
    with pytest.raises(KeyboardInterrupt):
        combiner.put(1)
    other = threading.Thread(target=combiner.put, args=(2,))
    other.start()
    other.join(TEST_TIMEOUT_S)
    assert done == [1, 2], "the lock was given back"
