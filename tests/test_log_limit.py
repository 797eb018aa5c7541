"""How many lines of a kind are written, and what is said of the others."""

from __future__ import annotations

from framewire.log_limit import LINES_PER_MINUTE, MAX_KINDS, WINDOW_S, LogLimit

LAST = " (more like it are only counted for a minute)"


def test_a_few_lines_of_each_kind_are_written_in_a_minute():
    limit = LogLimit()
    assert LINES_PER_MINUTE == 3, "a stranger causes six kinds at most: under 20 lines a minute"
    for kind in ("one", "another"):
        assert [limit.remark(kind, 0.1 * i) for i in range(6)] == ["", "", LAST, None, None, None]


def test_the_next_minute_says_how_many_more_there_were():
    assert WINDOW_S == 60, "a minute, as the text says"
    limit = LogLimit(2)
    written = [limit.remark("x", 100.0) for _ in range(1236)]
    assert written[:2] == ["", LAST] and set(written[2:]) == {None}
    assert limit.remark("x", 159.9) is None
    assert limit.remark("x", 160.0) == " (and 1235 more like it before)"
    assert limit.remark("x", 161.0) == LAST, "a window begins with its first line"
    assert limit.remark("x", 219.9) is None
    assert limit.remark("x", 220.0) == " (and 1 more like it before)"


def test_a_few_lines_that_are_all_written_need_no_word():
    limit = LogLimit(2)
    assert [limit.remark("x", float(at)) for at in (0, 70, 140, 150)] == ["", "", "", LAST]
    assert limit.remark("x", 210.0) == "", "both lines of the window before were written"


def test_a_limit_of_one_line_says_both():
    limit = LogLimit(1)
    assert [limit.remark("x", 0.0) for _ in range(3)] == [LAST, None, None]
    assert limit.remark("x", 60.0) == " (and 2 more like it before)" + LAST


def test_the_kinds_that_are_counted_are_bounded():
    assert MAX_KINDS == 256
    limit = LogLimit(1)
    for number in range(MAX_KINDS):
        limit.remark(str(number), 0.0)
    assert limit.remark("0", 0.0) is None, "all of them are known"
    limit.remark("one more", 0.0)
    assert limit.remark("1", 0.0) is None and limit.remark("0", 0.0) == LAST, "the oldest one is forgotten"


def test_a_kind_that_comes_again_is_not_the_oldest():
    limit = LogLimit(1)
    for number in range(MAX_KINDS):
        limit.remark(str(number), 0.0)
    limit.remark("0", 60.0)
    limit.remark("one more", 60.0)
    assert limit.remark("0", 60.0) is None
