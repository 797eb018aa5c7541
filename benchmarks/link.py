"""Emulates a `Link` between two network namespaces: a small process has a TUN device in each, so that UDP and TCP both
pass through the model. Must not know what is streamed, nor how packets are lost or delayed.

It needs root and ``ip``. All addresses are inside the namespaces it makes. The namespaces and all processes in them are
removed when the ``with`` block ends, when its process is killed, and when the player itself gets a signal.

    python -m benchmarks.link           the delay that the player itself adds, at several loads
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import pickle
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO

from benchmarks.link_model import Direction, Link, pair, soonest

PREFIX = "framewire-bench"
ENDS = ("server", "viewer")
ADDRESSES = {"server": "10.77.0.1", "viewer": "10.77.0.2"}
DEVICE = "fw0"
READ = 2048
BATCH = 64
"""Packets read from one device before the other gets its turn."""
TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001
PR_SET_PDEATHSIG = 1
LATER = float("inf")


@dataclass
class Place:
    """How to start a process at either end, and how many bytes passed. This class: no link, the machine as it is."""

    host: str = "127.0.0.1"
    server_prefix: tuple[str, ...] = ()
    viewer_prefix: tuple[str, ...] = ()

    def octets(self) -> int:
        """Bytes that reached the viewer's end; without a link, all bytes that passed over loopback."""
        return int(Path("/sys/class/net/lo/statistics/tx_bytes").read_text())

    def begin(self) -> float:
        """Start the link's schedule; returns when that was, in seconds since the Unix epoch."""
        return time.time()


class LinkPlace(Place):
    """Two namespaces with a player between."""

    def __init__(self, player: subprocess.Popen[bytes], name: str) -> None:
        super().__init__(ADDRESSES["server"], _inside(name, "server"), _inside(name, "viewer"))
        self._player = player

    def octets(self) -> int:
        return int(self.counters()["down"]["delivered_octets"])

    def counters(self) -> dict[str, dict[str, int]]:
        """The counters of both directions: ``down`` (to the viewer) and ``up``."""
        answer = self._ask("counters")
        return {direction: answer[direction] for direction in ("down", "up")}

    def begin(self) -> float:
        return float(self._ask("begin")["at"])

    def _ask(self, what: str) -> Any:
        assert self._player.stdin and self._player.stdout, "started with pipes"
        self._player.stdin.write(f"{what}\n".encode())
        self._player.stdin.flush()
        return json.loads(self._player.stdout.readline())


@contextlib.contextmanager
def place_for(link: Link | None, *, seed: int = 1) -> Iterator[Place]:
    """Where to start publisher and viewer. Raises ``LookupError`` where there can be no namespaces."""
    if link is None:
        yield Place()
        return
    _check()
    name = f"{PREFIX}-{os.getpid()}"
    command = [sys.executable, "-m", "benchmarks.link", "play", name, str(seed)]
    root = str(Path(__file__).parent.parent)
    player = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root)
    try:
        assert player.stdin and player.stdout, "started with pipes"
        pickle.dump(link, player.stdin)
        player.stdin.flush()
        if not player.stdout.readline():
            raise LookupError("the link's player could not make its namespaces")
        yield LinkPlace(player, name)
    finally:
        player.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            player.wait(5)
        player.kill()
        _remove(name)


def _check() -> None:
    if os.geteuid() != 0:
        raise LookupError("a link between namespaces needs root")
    if not shutil.which("ip") or not Path("/dev/net/tun").exists():
        raise LookupError("a link between namespaces needs `ip` and /dev/net/tun")
    _sweep()


def _sweep() -> None:
    """Remove the namespaces of runs whose player was killed before it could."""
    for namespace in Path("/run/netns").glob(f"{PREFIX}-*-server"):
        name = namespace.name.removesuffix("-server")
        if not Path(f"/proc/{name.removeprefix(f'{PREFIX}-')}").exists():
            _remove(name)


def _remove(name: str) -> None:
    """Remove namespaces and the processes in them; does nothing if they are gone."""
    for end in ENDS:
        namespace = f"{name}-{end}"
        if not Path("/run/netns", namespace).exists():
            continue
        pids = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False)
        for pid in pids.stdout.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        subprocess.run(["ip", "netns", "del", namespace], capture_output=True, check=False)


def _inside(name: str, end: str) -> tuple[str, ...]:
    return ("ip", "netns", "exec", f"{name}-{end}")


# The player's process.


def play(name: str, seed: int) -> None:
    """Make the namespaces, carry packets until a signal or the end of input, remove the namespaces."""
    # A handler that raises could interrupt the removal; this one only wakes the loop up.
    woken, wake = socket.socketpair()
    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno())
    signal.signal(signal.SIGTERM, _ignore_signal)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which stops this process
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    orders = open(sys.stdin.fileno(), "rb", buffering=0)
    try:
        link: Link = pickle.load(orders)
        devices = {end: _end(name, end) for end in ENDS}
        print("{}", flush=True)
        down, up = pair(link, seed, LATER)
        _carry(devices, down, up, orders, woken)
    finally:
        _remove(name)


def _ignore_signal(number: int, frame: FrameType | None) -> None:
    """Python has written the signal's number to the socket already."""


def _end(name: str, end: str) -> int:
    """One namespace with its device, address and routes; returns the device."""
    namespace = f"{name}-{end}"
    subprocess.run(["ip", "netns", "add", namespace], check=True)
    device = _device(namespace)
    for words in (
        "link set lo up",
        f"addr add {ADDRESSES[end]}/24 dev {DEVICE}",
        f"link set {DEVICE} up",
        f"route add default dev {DEVICE}",
    ):
        subprocess.run(["ip", "-n", namespace, *words.split()], check=True)
    return device


def _device(namespace: str) -> int:
    """A TUN device inside the namespace; this process holds its descriptor."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        _enter(there)
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", DEVICE.encode(), IFF_TUN_NO_PI))
    finally:
        _enter(home)
        os.close(home)
        os.close(there)
    return device


def _enter(namespace: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, 0):
        raise OSError(ctypes.get_errno(), "setns")


def _carry(devices: dict[str, int], down: Direction, up: Direction, orders: BinaryIO, woken: socket.socket) -> None:
    server, viewer = devices["server"], devices["viewer"]
    routes = ((server, down, viewer), (viewer, up, server))
    watched: tuple[Any, ...] = (server, viewer, orders, woken)
    clock = time.monotonic
    while True:
        due = soonest((down, up))
        wait = None if due is None else max(0.0, due - clock())
        ready = select.select(watched, (), (), wait)[0]
        for source, direction, target in routes:
            if source in ready:
                _take(source, direction, clock())
            for packet in direction.pop(clock()):
                with contextlib.suppress(OSError):  # its device's queue is full, or it is down
                    os.write(target, packet)
        if woken in ready or (orders in ready and not _obey(orders, down, up)):
            return


def _take(source: int, direction: Direction, now: float) -> None:
    try:
        for _ in range(BATCH):
            direction.push(os.read(source, READ), now)
    except BlockingIOError:
        pass


def _obey(orders: BinaryIO, down: Direction, up: Direction) -> bool:
    """Answer one order; False at the end of input, when the parent is gone."""
    order = orders.readline().strip()
    if order == b"begin":
        down.began = up.began = time.monotonic()
    if order:
        counters = {"down": asdict(down.counters), "up": asdict(up.counters)}
        print(json.dumps({**counters, "at": time.time()}), flush=True)
    return bool(order)


# The delay that the player itself adds.


ECHO = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("10.77.0.1", 9))
while True:
    data, sender = s.recvfrom(2048)
    if data[:1] == b"p": s.sendto(data, sender)
"""
PING = """
import socket, sys, time, json
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(("10.77.0.1", 9)); s.settimeout(1)
load = float(sys.argv[1]) * 1e6 / 8 / 1200 * 0.005
times, owed, lost = [], 0.0, 0
for _ in range(600):
    time.sleep(0.005); owed += load
    while owed >= 1: s.send(b"x" * 1172); owed -= 1
    began = time.perf_counter(); s.send(b"p" * 100)
    try: s.recv(2048)
    except TimeoutError: lost += 1; continue
    times.append(time.perf_counter() - began)
times.sort(); n = len(times)
print(json.dumps([times[n // 2] * 1e3, times[int(n * 0.95)] * 1e3, times[int(n * 0.99)] * 1e3, lost]))
"""


def own_delay(mbps: float) -> list[float]:
    """Round trip of a datagram through a link that does nothing, beside ``mbps`` of other traffic:
    milliseconds at the 50th, 95th and 99th percentile, and how many did not come back."""
    from benchmarks.link_model import Phase

    with place_for(Link.steady(Phase())) as place:
        with subprocess.Popen([*place.server_prefix, sys.executable, "-c", ECHO]) as echo:
            time.sleep(0.5)
            ping = [*place.viewer_prefix, sys.executable, "-c", PING, str(mbps)]
            answer = subprocess.run(ping, capture_output=True, text=True, check=True).stdout
            echo.kill()
    return [float(value) for value in json.loads(answer)]


def main() -> None:
    if sys.argv[1:2] == ["play"]:
        return play(sys.argv[2], int(sys.argv[3]))
    print("| beside | round trip p50 ms | p95 | p99 | lost |\n| ---: | ---: | ---: | ---: | ---: |")
    for mbps in (0, 10, 20, 40, 80):
        p50, p95, p99, lost = own_delay(mbps)
        print(f"| {mbps} Mbps | {p50:.2f} | {p95:.2f} | {p99:.2f} | {lost:.0f} |", flush=True)


if __name__ == "__main__":
    main()
