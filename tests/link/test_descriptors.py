"""In programs that are started without standard streams, no descriptor of ours keeps their numbers."""

from __future__ import annotations

import subprocess
import sys

import pytest

from framewire.link.spawn import environment

PROGRAM = """
import os, socket, fcntl
from framewire.link.descriptors import above_stdio, socket_above_stdio
for fd in (0, 1, 2):
    os.close(fd)
kept = os.open({file!r}, os.O_RDWR)
assert kept == 0
moved = above_stdio(kept)
assert moved > 2 and not os.get_inheritable(moved), moved
assert above_stdio(moved) == moved
try:
    os.fstat(0)
    raise SystemExit("descriptor 0 is still open")
except OSError:
    pass
sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
assert sock.fileno() == 0
moved = socket_above_stdio(sock)
assert moved.fileno() > 2 and (moved.family, moved.type) == (socket.AF_UNIX, socket.SOCK_DGRAM)
assert socket_above_stdio(moved) is moved and not os.get_inheritable(moved.fileno())
os.write(os.open({file!r}, os.O_RDWR), b"fine")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors are POSIX's")
def test_numbers_of_standard_streams_are_given_up(tmp_path):
    file = tmp_path / "out"
    file.touch()
    subprocess.run([sys.executable, "-c", PROGRAM.format(file=str(file))], env=environment(), timeout=60, check=True)
    assert file.read_bytes() == b"fine"


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors are POSIX's")
def test_none_above_is_an_error_and_leaves_nothing_open(tmp_path):
    program = """
import os, resource
from framewire.link.descriptors import above_stdio
os.close(0)
fd = os.open("/", os.O_RDONLY)
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
try:
    above_stdio(fd)
except OSError:
    pass
else:
    raise SystemExit("there is no number above 2 here")
try:
    os.fstat(0)
except OSError:
    raise SystemExit(0)
raise SystemExit("it is still open")
"""
    subprocess.run([sys.executable, "-c", program], env=environment(), timeout=60, check=True)
