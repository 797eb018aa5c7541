"""How many files may be opened still. The process that is asked is one of its own: the limit is that of a process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from framewire.engine import descriptors
from framewire.engine.descriptors import UNLIMITED, descriptor_limit

posix = pytest.mark.skipif(sys.platform == "win32", reason="a limit of POSIX")

PROGRAM = """
import os, resource
from framewire.engine.descriptors import can_open_more, descriptor_limit, descriptors_left
first = max(os.open(os.devnull, os.O_RDONLY) for _ in range(300))
for left in (100, 33, 32, 1, 0):
    resource.setrlimit(resource.RLIMIT_NOFILE, (first + 1 + left, 4096))
    print(descriptors_left(), can_open_more(), descriptor_limit() == first + 1 + left)
"""


@posix
def test_some_descriptors_are_kept_in_reserve() -> None:
    assert descriptors.RESERVED_DESCRIPTORS == 32, "a turn of the loop accepts 16, and closes as many in the next one"
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "100 True True", "33 True True", "32 False True", "1 False True", "0 False True",
    ]  # fmt: skip


def test_where_few_may_be_open_few_are_kept_in_reserve() -> None:
    assert [descriptors.reserve(limit) for limit in (10, 20, 255, 256, 4096)] == [1, 2, 31, 32, 32]


def test_windows_selects_few_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert descriptor_limit() == 512


def test_on_windows_the_number_of_a_socket_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert not descriptors.is_nearly_last(4_000, descriptor_limit())


@posix
def test_the_last_descriptors_are_known_by_their_number() -> None:
    assert [descriptors.is_nearly_last(number, 300) for number in (3, 267, 268, 299)] == [False, False, True, True]


@posix
def test_a_machine_without_a_limit_has_a_number_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert descriptor_limit() == UNLIMITED


def test_where_nothing_can_be_opened_for_another_reason_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "devnull", "/no/such/file")
    assert descriptors.descriptors_left() == UNLIMITED
