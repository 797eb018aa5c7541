"""Newest wins, never torn: one step at a time, then between processes at full speed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from framewire.errors import ClosedError, LocalProtocolError
from framewire.link import ring
from framewire.link.ring import MAX_LEASES, SLOT_COUNT, Lease, RingReader, RingWriter
from framewire.link.slot import LocalSlot
from framewire.link.spawn import environment
from tests.link.patterns import pattern, whole

PROGRAMS = Path(__file__).parent


def leased(source: RingReader | LocalSlot) -> Lease:
    lease = source.latest()
    assert lease
    return lease


@pytest.fixture
def pair():
    writer = RingWriter(64 * 64 * 4)
    reader = RingReader(os.dup(writer.fileno()))
    yield writer, reader
    reader.close()
    writer.close()


@pytest.fixture(params=["two processes", "one process"])
def source(request, pair):
    """Both sources of frames, which must not differ in what they promise: (write, latest)."""
    if request.param == "two processes":
        yield pair[0].write, pair[1].latest
    else:
        slot = LocalSlot()
        yield slot.write, slot.latest
        slot.close()


def test_before_the_first_frame_there_is_none(source):
    assert source[1]() is None


def test_what_is_written_is_what_is_read(source):
    write, latest = source
    pixels = np.random.default_rng(1).integers(0, 255, (33, 61, 3), np.uint8)
    write(pixels, 5, 1_700_000_000_123_456)
    with latest() as lease:
        assert np.array_equal(lease.frame.pixels, pixels)
        assert (lease.frame.number, lease.frame.time_us) == (5, 1_700_000_000_123_456)
        assert lease.frame.pixels.flags.c_contiguous and not lease.frame.pixels.flags.writeable


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(lambda a: a[:, ::-1], id="mirrored"),
        pytest.param(lambda a: a[5:40, 3:50], id="cropped"),
        pytest.param(lambda a: a[..., ::-1], id="bgr"),
        pytest.param(np.asfortranarray, id="fortran"),
        pytest.param(lambda a: np.broadcast_to(a[:1, :1], (9, 9, 4)), id="broadcast"),
        pytest.param(lambda a: a[:1, :1, :1], id="one pixel"),
    ],
)
def test_any_strides_are_copied_right(source, view):
    pixels = view(np.random.default_rng(2).integers(0, 255, (50, 60, 4), np.uint8))
    pixels.flags.writeable = False
    source[0](pixels, 1, 0)
    with source[1]() as lease:
        assert np.array_equal(lease.frame.pixels, pixels)


def test_the_callers_array_may_change_on_the_next_line(source):
    pixels = pattern(1)
    source[0](pixels, 1, 1)
    pixels[:] = 0
    with source[1]() as lease:
        assert whole(lease.frame)


def test_the_newest_frame_wins_and_may_be_leased_again(source):
    write, latest = source
    for n in range(1, 50):
        write(pattern(n), n, n)
    first, second = latest(), latest()
    assert first.frame.number == second.frame.number == 49
    first.release()
    for n in range(50, 50 + 3 * SLOT_COUNT):
        write(pattern(n), n, n)
    assert second.frame.number == 49 and whole(second.frame), "one of its two leases holds it still"


def test_every_lease_holds_still_while_the_writer_goes_on(source):
    write, latest = source
    leases = []
    for n in range(1, MAX_LEASES + 1):
        write(pattern(n), n, n)
        leases.append(latest())
    for n in range(100, 100 + 5 * SLOT_COUNT):
        write(pattern(n), n, n)
    assert [lease.frame.number for lease in leases] == list(range(1, MAX_LEASES + 1))
    assert all(whole(lease.frame) for lease in leases)


def test_one_lease_too_many_gets_the_last_leased_frame_until_one_is_released(source):
    write, latest = source
    write(pattern(0), 0, 0)  # the largest of them: no new ring for what follows
    leases = []
    for n in range(1, MAX_LEASES + 1):
        write(pattern(n), n, n)
        leases.append(latest())
    write(pattern(99), 99, 99)
    surplus = latest()
    assert surplus.frame.number == MAX_LEASES
    leases[0].release()
    assert latest().frame.number == 99


def test_a_release_is_idempotent(source):
    write, latest = source
    write(pattern(1), 1, 1)
    once, held = latest(), latest()
    once.release()
    once.release()
    for n in range(2, 2 + 2 * SLOT_COUNT):
        write(pattern(n), n, n)
    assert held.frame.number == 1 and whole(held.frame)


def test_a_lease_holds_still_after_both_ends_are_closed(pair):
    writer, reader = pair
    writer.write(pattern(1), 1, 1)
    lease = reader.latest()
    reader.close()
    writer.close()
    assert whole(lease.frame) and reader.latest() is None
    kept = lease.frame.pixels
    lease.release()
    assert kept.shape and kept[0, 0, 0] >= 0, "a view kept for too long reads pixels, and does not segfault"


def test_the_writers_side_gets_a_copy_of_the_newest_frame(pair):
    writer, reader = pair
    assert writer.newest() is None
    for n in range(1, 3 * SLOT_COUNT):
        writer.write(pattern(n), n, n)
        frame = writer.newest(n - 1)
        assert frame.number == n and whole(frame)
        assert writer.newest(n) is None, "unless it is known"
    for n in range(100, 100 + 3 * SLOT_COUNT):
        writer.write(pattern(n), n, n)
    assert whole(frame), "later frames do not change it"
    with leased(reader) as lease:
        assert lease.frame.number == writer.newest().number
    writer.close()
    with pytest.raises(ClosedError):
        writer.newest()


def test_a_writer_knows_what_fits_and_refuses_frames_once_closed(pair):
    writer, _ = pair
    assert writer.fits(64 * 64 * 4) and not writer.fits(64 * 64 * 4 + 1)
    writer.close()
    writer.close()
    with pytest.raises(ClosedError):
        writer.write(pattern(1), 1, 1)
    with pytest.raises(ClosedError):
        writer.fileno()


def test_an_interrupt_in_the_middle_of_a_frame_leaves_the_last_whole_one(pair, monkeypatch):
    writer, reader = pair
    for n in range(1, SLOT_COUNT + 1):
        writer.write(pattern(n), n, n)

    def interrupted(slot, pixels):
        raise KeyboardInterrupt

    for _ in range(2 * SLOT_COUNT):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(writer, "_copy", interrupted)
            writer.write(pattern(99), 99, 99)
    with leased(reader) as lease:
        assert lease.frame.number == SLOT_COUNT and whole(lease.frame)
    writer.write(pattern(100), 100, 100)
    with leased(reader) as lease:
        assert lease.frame.number == 100 and whole(lease.frame)


def between(monkeypatch, end, act, *, at):
    """Runs ``act`` at the ``at``-th fence of ``end``: where the other process would get in between."""
    fence = end._fence
    calls: list[None] = []

    def fenced():
        calls.append(None)
        if len(calls) == at:
            act()
        fence()

    monkeypatch.setattr(end, "_fence", fenced)


def test_a_writer_leaves_a_slot_that_is_leased_while_it_claims_it(pair, monkeypatch):
    writer, reader = pair
    for n in range(1, 4):
        writer.write(pattern(n), n, n)
    claimed = []

    def lease_every_claimed_slot():
        for slot in range(SLOT_COUNT):
            if writer._words[ring._line(slot)] & 1:
                writer._words[ring._line(slot) + ring._LEASED] = 1
                claimed.append(slot)

    between(monkeypatch, writer, lease_every_claimed_slot, at=1)
    writer.write(pattern(4), 4, 4)
    assert len(claimed) == 1
    assert writer._words[ring._line(claimed[0])] % 2 == 0, "what was not overwritten is whole as before"
    assert (writer._words[ring._LATEST_WORD] & 0xFF) - 1 != claimed[0]
    with leased(reader) as lease:
        assert lease.frame.number == 4 and whole(lease.frame)


def test_a_reader_looks_again_when_the_writer_was_faster(pair, monkeypatch):
    writer, reader = pair
    writer.write(pattern(1), 1, 1)
    stale = (writer._words[ring._LATEST_WORD] & 0xFF) - 1

    def write_on():
        # The writer had claimed the slot before it was marked, and is done with another one meanwhile.
        writer._words[ring._line(stale)] |= 1
        writer.write(pattern(2), 2, 2)

    between(monkeypatch, reader, write_on, at=1)
    with leased(reader) as lease:
        assert lease.frame.number == 2 and whole(lease.frame)
    assert not any(writer._words[ring._line(slot) + ring._LEASED] for slot in range(SLOT_COUNT))


def test_what_the_engine_writes_into_the_header_changes_nothing_for_the_program(pair):
    writer, _ = pair
    writer.write(pattern(1), 1, 1)
    for word in range(1, ring._line(SLOT_COUNT)):
        writer._words[word] = 0xFFFF_FFFF_FFFF_FFFF
    kept = writer.newest()
    assert kept and kept.number == 1 and (kept.pixels == pattern(1)).all()
    writer.write(pattern(2), 2, 2)
    kept = writer.newest()
    assert kept and kept.number == 2 and (kept.pixels == pattern(2)).all()
    assert writer.newest(2) is None


@pytest.mark.parametrize(
    ("word", "value"),
    [
        (ring._LATEST_WORD, 1 << 8 | SLOT_COUNT + 1),
        (ring._LATEST_WORD, 0xFF),
        (ring._HEIGHT, 1 << 63),
        (ring._WIDTH, 1 << 30),
        (ring._CHANNELS, 0),
    ],
)
def test_a_header_that_describes_no_frame_is_none(pair, word, value):
    writer, reader = pair
    writer.write(pattern(1), 1, 1)
    slot = (writer._words[ring._LATEST_WORD] & 0xFF) - 1
    at = word if word == ring._LATEST_WORD else ring._line(slot) + word
    writer._words[at] = value
    assert reader.latest() is None
    assert not any(writer._words[ring._line(each) + ring._LEASED] for each in range(SLOT_COUNT)), "nothing stays leased"


def test_leases_of_a_killed_reader_are_free_for_the_next(pair):
    writer, reader = pair
    for n in range(1, MAX_LEASES + 1):
        writer.write(pattern(n), n, n)
        reader.latest()
    again = RingReader(os.dup(writer.fileno()))
    assert not any(writer._words[ring._line(slot) + ring._LEASED] for slot in range(SLOT_COUNT))
    with leased(again) as lease:
        assert whole(lease.frame)


@pytest.mark.parametrize("size", [0, 100, 5 * 4096, 1 << 20])
def test_memory_that_is_not_a_ring_is_refused_and_closed(tmp_path, size):
    (tmp_path / "file").write_bytes(b"\1" * size)
    fd = os.open(tmp_path / "file", os.O_RDWR)
    with pytest.raises(LocalProtocolError):
        RingReader(fd)
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(fd)


def test_memory_does_not_grow_and_most_slots_cost_none(pair):
    writer, reader = pair
    pixels = pattern(1)
    for n in range(100):
        writer.write(pixels, n, n)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for n in range(3000):
        writer.write(pixels, n, n)
        if n % 7 == 0:
            reader.latest().release()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 10_000
    assert os.fstat(writer.fileno()).st_blocks * 512 <= 4096 + 4 * writer._slot_bytes


def test_without_memfd_the_memory_has_no_name_either(monkeypatch, tmp_path):
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    writer = RingWriter(64 * 64 * 4)
    assert not list(tmp_path.iterdir())
    reader = RingReader(os.dup(writer.fileno()))
    writer.write(pattern(3), 3, 3)
    with leased(reader) as lease:
        assert whole(lease.frame)
    writer.close()


def test_writers_in_many_threads_take_turns(pair):
    writer, reader = pair
    threads = [
        threading.Thread(target=lambda k=k: [writer.write(pattern(n), n, n) for n in range(k, 900, 3)])
        for k in range(3)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        lease = reader.latest()
        if lease:
            with lease:
                assert whole(lease.frame)
    assert writer._words[ring._LATEST_WORD] >> 8 == 900


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_neither_writes_nor_holds_the_ring(pair):
    writer, _ = pair
    fd = writer.fileno()
    child = os.fork()
    if child == 0:
        try:
            writer.write(pattern(1), 1, 1)
        except ClosedError:
            os._exit(0 if not os.path.exists(f"/proc/self/fd/{fd}") else 2)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    writer.write(pattern(1), 1, 1)


def test_no_frame_is_torn_between_processes_at_full_speed(pair):
    """The reader verifies every pixel of frames of changing sizes, and holds some for many publishes."""
    writer, _ = pair
    reader = subprocess.Popen(
        [sys.executable, PROGRAMS / "reading_program.py", str(writer.fileno())],
        pass_fds=[writer.fileno()],
        env={**environment(), "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
    )
    n = 0
    while reader.poll() is None:
        n += 1
        writer.write(pattern(n), n, n)
    assert reader.stdout
    with reader.stdout as out:
        output = out.read().decode().split()
    assert reader.returncode == 0 and output[0] == "verified", output


def test_a_writer_killed_in_the_middle_of_a_frame_leaves_the_last_whole_one():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        writer = subprocess.Popen(
            [sys.executable, PROGRAMS / "dying_program.py", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={**environment(), "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        ours.settimeout(60)
        fd = socket.recv_fds(ours, 1, 1)[1][0]
        assert writer.wait(60) == -signal.SIGKILL
    reader = RingReader(fd)
    assert any(reader._words[ring._line(slot)] & 1 for slot in range(SLOT_COUNT)), "it was killed in the middle"
    with leased(reader) as lease:
        assert lease.frame.number == 41 and whole(lease.frame)


def test_a_reader_may_be_closed_in_the_middle_of_its_own_call(monkeypatch):
    writer = RingWriter(4 * 4 * 3, shared=False)
    writer.write(np.full((4, 4, 3), 7, np.uint8), 1, 1)
    reader = RingReader(writer.memory)
    mark = reader._mark

    def interrupted(slot):
        reader.close()
        return mark(slot)

    monkeypatch.setattr(reader, "_mark", interrupted)
    lease = reader.latest()
    assert lease is not None and int(lease.frame.pixels[0, 0, 0]) == 7 and reader.latest() is None
    lease.release()
    assert reader._map is None
    writer.close()
