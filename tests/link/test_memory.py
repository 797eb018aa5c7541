"""Memory for an engine: where it comes from when the best kind is refused, and what cannot be had."""

from __future__ import annotations

import errno
import mmap
import os
import subprocess
import sys
import tempfile
import textwrap
from types import SimpleNamespace

import numpy as np
import pytest

from framewire.errors import EngineError
from framewire.link import memory
from framewire.link.memory import PAGE_BYTES, Memory, descriptor_memory, named_memory, open_named, private_memory
from framewire.link.ring import RingReader, RingWriter
from framewire.link.spawn import environment
from tests.link.ends import left_names

MB = 1_000_000


def refuse(number: int):
    def refused(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refused


def reached(block: Memory) -> mmap.mmap:
    """The block as an engine maps it."""
    if block.name:
        return open_named(block.name, len(block.map))
    assert block.fd is not None
    return mmap.mmap(os.dup(block.fd), 0)


KINDS = {"by descriptor": descriptor_memory, "by name": named_memory}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


def test_what_one_end_writes_the_other_reads(kind):
    block = kind(MB, MB)
    view = reached(block)
    block.map[12345:12348] = b"abc"
    assert view[12345:12348] == b"abc" and len(view) == MB and set(view[:12345]) == {0}
    block.close()
    block.close()
    assert view[12345:12348] == b"abc", "whoever has mapped it keeps it"


def test_nothing_is_left_of_it(kind):
    before, descriptors = left_names(), os.listdir("/proc/self/fd")
    block = kind(MB, MB)
    assert (block.name is None) == (left_names() == before)
    block.close()
    assert left_names() == before and len(os.listdir("/proc/self/fd")) == len(descriptors)


def test_a_named_block_is_its_users_alone():
    block = named_memory(MB, MB)
    assert block.name
    assert os.stat(block.name).st_mode & 0o777 == 0o600
    block.close()
    with pytest.raises(FileNotFoundError):
        open_named(block.name, MB)


def test_a_forked_child_removes_no_name(kind):
    block = kind(MB, MB)
    child = os.fork()
    if child == 0:
        block.after_fork_in_child()
        block.close()
        os._exit(0 if block.map.closed and block.fd is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    reached(block).close()
    block.close()


PROGRAM = """
    import os, signal, sys
    from framewire.link.memory import named_memory
    block = named_memory(1000, 1000)
    print(block.name, flush=True)
    if sys.argv[1] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
"""


def run(program: str, *arguments: str, limits: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(program), *arguments]
    if limits:
        command = ["bash", "-c", f'ulimit {limits}; exec "$@"', "bash", *command]
    return subprocess.run(
        command, env={**environment(), **variables}, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_program_that_exits_removes_its_left_names():
    done = run(PROGRAM, "exits")
    assert done.returncode == 0 and not os.path.exists(done.stdout.strip())


def test_the_names_of_a_program_that_was_killed_are_removed_by_the_next_and_those_of_others_are_not():
    left = run(PROGRAM, "killed").stdout.strip()
    assert os.path.exists(left)
    living = named_memory(1000, 1000)
    assert not os.path.exists(left)
    other = named_memory(1000, 1000)
    assert living.name and os.path.exists(living.name)
    living.close()
    other.close()


def test_files_of_the_users_with_a_name_like_ours_stay(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    names = [
        "framewire-recording.mp4",
        f"framewire-{'0' * 32}.log",
        f"my-framewire-{'0' * 32}",
        f"framewire-{'A' * 32}",
    ]
    for name in names:
        (tmp_path / name).touch()
    named_memory(1000, 1000).close()
    assert sorted(os.listdir(tmp_path)) == sorted(names)


def test_on_macos_it_is_shared_memory_whose_name_is_gone(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "sys", SimpleNamespace(platform="darwin"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    before = left_names()
    block = descriptor_memory(MB, MB)
    assert left_names() <= before and len(reached(block)) == MB
    assert block.fd is not None and not os.get_inheritable(block.fd)
    block.reserve(PAGE_BYTES, 10_000)
    block.close()
    monkeypatch.setitem(sys.modules, "_posixshmem", None)  # a Python without it
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(memory, "_MEMORY_DIRECTORY", "/no/such")
    block = descriptor_memory(MB, MB)
    assert block.fd is not None and os.fstat(block.fd).st_dev == os.stat(tmp_path).st_dev
    block.close()


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM, errno.EINVAL])
def test_where_memfd_is_refused_it_is_a_file_without_a_name(monkeypatch, tmp_path, number):
    monkeypatch.setattr(os, "memfd_create", refuse(number))
    monkeypatch.setattr(memory, "_MEMORY_DIRECTORY", str(tmp_path))
    block = descriptor_memory(MB, MB)
    assert block.fd is not None and os.fstat(block.fd).st_dev == os.stat(tmp_path).st_dev
    assert list(tmp_path.iterdir()) == [] and len(reached(block)) == MB
    block.close()


def test_a_limit_that_holds_for_files_as_well_is_said_at_once(monkeypatch):
    monkeypatch.setattr(os, "memfd_create", refuse(errno.EMFILE))
    with pytest.raises(EngineError, match=r"^1 MB of shared memory .* Too many open files; .*ulimit -n") as caught:
        descriptor_memory(MB, MB)
    assert "\n" not in str(caught.value)


@pytest.fixture
def tiny(tmp_path):
    """A file system of one megabyte."""
    path = tmp_path / "tiny"
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", path], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting a file system needs root")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


@pytest.fixture
def without_memfd(monkeypatch):
    monkeypatch.setattr(os, "memfd_create", refuse(errno.ENOSYS))


def test_where_dev_shm_is_too_small_it_is_in_the_temporary_directory(monkeypatch, tiny, tmp_path, kind, without_memfd):
    monkeypatch.setattr(memory, "_MEMORY_DIRECTORY", str(tiny))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    block = kind(8 * MB, 3 * MB)
    assert block.fd is not None and os.fstat(block.fd).st_dev == os.stat(tmp_path).st_dev
    block.close()


def test_where_no_directory_has_room_the_line_names_the_size_and_the_cure(monkeypatch, tiny, kind, without_memfd):
    monkeypatch.setattr(memory, "_MEMORY_DIRECTORY", str(tiny))
    monkeypatch.setattr(tempfile, "tempdir", str(tiny))
    descriptors = os.listdir("/proc/self/fd")
    with pytest.raises(EngineError) as caught:
        kind(8 * MB, 3 * MB)
    assert str(caught.value) == (
        f"8 MB of shared memory for frames cannot be had: No space left on device in {tiny}; "
        "make room there, or let TMPDIR in the environment name a directory with more"
    )
    assert len(os.listdir("/proc/self/fd")) == len(descriptors)


def test_no_directory_at_all_is_said_too(monkeypatch, kind, without_memfd):
    monkeypatch.setattr(memory, "_MEMORY_DIRECTORY", "/no/such")
    monkeypatch.setattr(tempfile, "gettempdir", refuse(errno.ENOENT))
    with pytest.raises(EngineError, match='no directory for temporary files; engine="thread" needs none'):
        kind(MB, MB)


@pytest.mark.parametrize("fallocate", [True, False], ids=["with fallocate", "without"])
def test_a_frame_for_which_there_is_no_room_is_an_error_and_not_the_end_of_the_program(
    monkeypatch, tiny, without_memfd, fallocate
):
    monkeypatch.setattr(memory, "_MEMORY_DIRECTORY", str(tiny))
    if not fallocate:
        monkeypatch.setattr(os, "posix_fallocate", refuse(errno.EOPNOTSUPP))
    writer = RingWriter(300_000)
    reader = RingReader(os.dup(writer.fileno()))
    (tiny / "another program's").write_bytes(bytes(400_000))
    frame = np.full((100, 1000, 3), 7, np.uint8)
    writer.write(frame, 1, 1)
    for number in (2, 3, 4):  # the third slot has no room
        try:
            writer.write(frame, number, 1)
        except EngineError as error:
            assert str(error).startswith("0.3 MB of shared memory for frames cannot be had: No space left")
            break
    else:
        pytest.fail("it has written where there is no memory")
    lease = reader.latest()
    assert lease and lease.frame.number == number - 1 and (lease.frame.pixels == 7).all()
    (tiny / "another program's").unlink()
    writer.write(frame, 9, 9)
    newest = writer.newest()
    assert newest and newest.number == 9
    lease.release()
    reader.close()
    writer.close()


def test_room_is_reserved_once_and_for_no_more_than_is_written():
    writer = RingWriter(MB)
    reserved: list[tuple[int, int]] = []
    writer._memory.reserve = lambda start, nbytes: reserved.append((start, nbytes))  # type: ignore[method-assign]
    for number in range(20):
        writer.write(np.zeros((10, 10, 3), np.uint8), number, 0)
    assert len(reserved) == len(set(reserved)) <= 3 and {nbytes for _, nbytes in reserved} == {300}
    writer.write(np.zeros((100, 100, 3), np.uint8), 20, 0)
    assert reserved[-1][1] == 30_000 and (reserved[-1][0] - PAGE_BYTES) % writer._slot_bytes == 0
    writer.close()


LIMITED = """
    import os, sys
    import framewire as fw
    from framewire.link.ring import RingWriter
    before = len(os.listdir("/proc/self/fd"))
    try:
        RingWriter(1920 * 1080 * 4)
    except fw.FramewireError as error:
        print(error)
    assert len(os.listdir("/proc/self/fd")) == before
"""


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ("-f 1000", ["File too large", "(ulimit -f)", 'engine="thread", which needs no file']),
        ("-v 500000", ["(ulimit -v)"]),
    ],
)
def test_a_limit_of_the_shell_is_named_with_the_size(limits, words):
    limited = f"import numpy\n{textwrap.dedent(LIMITED)}"
    if "-v" in limits:  # of the program as it is by then, with a little more
        limited = limited.replace(
            "before =", "import resource; resource.setrlimit(resource.RLIMIT_AS, (SIZE,) * 2)\nbefore ="
        )
        limited = limited.replace("SIZE", "int(open('/proc/self/statm').read().split()[0]) * 4096 + 40_000_000")
        limits = ""
    done = run(limited, limits=limits)
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    assert line.startswith("66 MB of shared memory for frames cannot be had: ")
    assert all(word in line for word in words)


def test_memory_of_this_process_alone_has_neither_descriptor_nor_name(monkeypatch):
    block = private_memory(MB)
    block.reserve(0, MB)
    assert (block.fd, block.name) == (None, None)
    block.close()
    monkeypatch.setattr(mmap, "mmap", refuse(errno.ENOMEM))
    with pytest.raises(EngineError, match="ulimit -v"):
        private_memory(MB)
