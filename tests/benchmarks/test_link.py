"""The link between real namespaces: it carries packets, counts them, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.link import PREFIX, place_for
from benchmarks.link_model import Link, Loss, Phase

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(
        os.geteuid() != 0 or not shutil.which("ip") or not Path("/dev/net/tun").exists(),
        reason="namespaces want root, `ip` and /dev/net/tun",
    ),
]

ECHO = """
import socket
with socket.socket(socket.AF_INET, socket.{kind}) as s:
    s.bind(("10.77.0.1", 7)); print("up", flush=True)
    if "{kind}" == "SOCK_STREAM":
        s.listen(); s, _ = s.accept()
        while data := s.recv(65536): s.sendall(data)
    else:
        while True: s.sendto(*s.recvfrom(65536))
"""
UDP = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(("10.77.0.1", 7)); s.settimeout(1)
came, began = 0, time.monotonic()
for n in range(200): s.send(b"x" * 100)
try:
    while came < 200: s.recv(200); came += 1
except TimeoutError: pass
print(came)
"""
TCP = """
import socket, threading
s = socket.create_connection(("10.77.0.1", 7), 20)
threading.Thread(target=s.sendall, args=(bytes(200_000),), daemon=True).start()
left = 200_000
while left: left -= len(s.recv(65536))
print("whole")
"""


def talk(link: Link, kind: str, program: str) -> tuple[str, dict[str, dict[str, int]], float]:
    """What ``program`` prints that talks to an echo across the link, the link's counters, and the seconds."""
    with place_for(link) as place:
        command = [*place.server_prefix, sys.executable, "-c", ECHO.format(kind=kind)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as echo:
            assert echo.stdout is not None
            echo.stdout.readline()
            began = time.monotonic()
            command = [*place.viewer_prefix, sys.executable, "-c", program]
            printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
            took = time.monotonic() - began
            echo.kill()
        return printed.strip(), place.counters(), took  # type: ignore[attr-defined]


def test_datagrams_pass_delayed_and_counted():
    printed, counters, took = talk(Link.steady(Phase(delay=0.1)), "SOCK_DGRAM", UDP)
    assert printed == "200"
    assert took >= 0.2
    assert counters["up"]["delivered"] >= 200
    assert counters["down"]["delivered_octets"] >= 200 * (100 + 28)


def test_datagrams_are_lost():
    printed, counters, _ = talk(Link.steady(Phase(loss=Loss(0.3))), "SOCK_DGRAM", UDP)
    assert 40 < int(printed) < 160
    assert counters["up"]["lost"] > 20


def test_a_tcp_connection_survives_loss():
    printed, counters, _ = talk(Link.steady(Phase(delay=0.005, loss=Loss(0.02))), "SOCK_STREAM", TCP)
    assert printed == "whole"
    assert counters["down"]["octets"] >= 200_000


def test_the_schedule_starts_on_command_and_returns_the_time():
    with place_for(Link((Phase(), Phase()), (0.0, 60.0))) as place:
        before = time.time()
        began = place.begin()
        assert before - 0.001 <= began <= time.time() + 0.001
        assert place.octets() == place.counters()["down"]["delivered_octets"]  # type: ignore[attr-defined]


def left_behind(pid: int) -> list[str]:
    return [file.name for file in Path("/run/netns").glob(f"{PREFIX}-{pid}-*")]


def test_nothing_is_left_after_the_block():
    with place_for(Link.steady(Phase())):
        assert len(left_behind(os.getpid())) == 2
    assert left_behind(os.getpid()) == []


HELD = """
import subprocess, sys, time
from benchmarks.link import place_for
from benchmarks.link_model import Link, Phase
with place_for(Link.steady(Phase())) as place:
    inside = subprocess.Popen([*place.server_prefix, "sleep", "1000"])
    print(inside.pid, flush=True)
    time.sleep(1000)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_however_its_owner_ends(how: signal.Signals):
    root = str(Path(__file__).parent.parent.parent)
    with subprocess.Popen(
        [sys.executable, "-c", HELD], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=root
    ) as owner:
        assert owner.stdout is not None
        inside = int(owner.stdout.readline())
        assert len(left_behind(owner.pid)) == 2
        owner.send_signal(how)
        owner.wait(10)
        until = time.monotonic() + 20
        while (left_behind(owner.pid) or running(inside)) and time.monotonic() < until:
            time.sleep(0.05)
        assert left_behind(owner.pid) == []
        assert not running(inside)


def running(pid: int) -> bool:
    """Whether there is such a process; a zombie does not count."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
