"""Two machines with a cable between, as network namespaces, and what can happen to them.

Must not know what runs in them. It needs root, ``ip`` and ``iptables``.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace

DROP_UDP = ("INPUT", "-p", "udp", "-j", "DROP")
_counter = itertools.count(1)


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@dataclass(frozen=True)
class End:
    """One machine."""

    name: str
    address: str

    @property
    def inside(self) -> tuple[str, ...]:
        """What starts a program there."""
        return ("ip", "netns", "exec", self.name)

    def drop_udp(self, device: str | None = None) -> None:
        """Whatever comes by UDP, or comes so from this device."""
        run(*self.inside, "iptables", "-I", *DROP_UDP, *(("-i", device) if device else ()))

    def allow_udp(self) -> None:
        run(*self.inside, "iptables", "-D", *DROP_UDP)

    def move(self, address: str) -> End:
        """Give it another address, as another Wi-Fi would: the old one is gone at once."""
        run("ip", "-n", self.name, "addr", "del", f"{self.address}/24", "dev", "cable")
        run("ip", "-n", self.name, "addr", "add", f"{address}/24", "dev", "cable")
        return replace(self, address=address)

    def vanish(self) -> None:
        """It is gone, like a laptop out of reach: nothing that it sends arrives any more."""
        run("ip", "-n", self.name, "link", "set", "cable", "down")


@dataclass
class Cable:
    """The two machines, and a third one with a cable to the server's."""

    server: End
    viewer: End
    other: End

    def pull(self) -> None:
        """The viewer's machine notices at once, as with a cable or a Wi-Fi that is off."""
        run("ip", "-n", self.viewer.name, "link", "set", "cable", "down")

    def plug_in(self) -> None:
        run("ip", "-n", self.viewer.name, "link", "set", "cable", "up")

    def cut(self) -> None:
        """Something between the two carries nothing any more; neither of them notices."""
        for end in (self.server, self.viewer):
            run(*end.inside, "iptables", "-I", "INPUT", "-i", "cable", "-j", "DROP")

    def mend(self) -> None:
        for end in (self.server, self.viewer):
            run(*end.inside, "iptables", "-D", "INPUT", "-i", "cable", "-j", "DROP")


@contextlib.contextmanager
def cable() -> Iterator[Cable]:
    """Machines with cables; they are removed, with all that runs in them, when the block ends."""
    _sweep()
    prefix = f"fw-faults-{os.getpid()}-{next(_counter)}"
    server, viewer = End(f"{prefix}a", "10.213.79.1"), End(f"{prefix}b", "10.213.79.2")
    other = End(f"{prefix}c", "10.213.80.2")
    try:
        for end in (server, viewer, other):
            run("ip", "netns", "add", end.name)
            run("ip", "-n", end.name, "link", "set", "lo", "up")
        _connect(server, "cable", server.address, viewer)
        _connect(server, "cable2", "10.213.80.1", other)
        run("ip", "-n", other.name, "route", "add", server.address, "dev", "cable")
        yield Cable(server, viewer, other)
    finally:
        for end in (server, viewer, other):
            _remove(end.name)


def _connect(server: End, device: str, address: str, to: End) -> None:
    run("ip", "-n", server.name, "link", "add", device, "type", "veth", "peer", "name", "cable", "netns", to.name)
    for name, at, its in ((server.name, address, device), (to.name, to.address, "cable")):
        run("ip", "-n", name, "addr", "add", f"{at}/24", "dev", its)
        run("ip", "-n", name, "link", "set", its, "up")


def _sweep() -> None:
    """Remove what runs that were killed have left."""
    for name in os.listdir("/run/netns") if os.path.isdir("/run/netns") else ():
        words = name.split("-")
        if name.startswith("fw-faults-") and not os.path.exists(f"/proc/{words[2]}"):
            _remove(name)


def _remove(name: str) -> None:
    pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False)
    for pid in pids.stdout.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
