"""Networks for tests to break: Linux namespaces with an address each, and a firewall between them.

Must not know what runs in them.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

DROP_UDP = ("INPUT", "-p", "udp", "-j", "DROP")


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


class Namespace:
    """One network namespace."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self.inside = ("ip", "netns", "exec", name)

    def drop_udp(self) -> None:
        run(*self.inside, "iptables", "-I", *DROP_UDP)

    def allow_udp(self) -> None:
        run(*self.inside, "iptables", "-D", *DROP_UDP)

    def wrapped(self, program: str, folder: Path) -> Path:
        """A script that runs ``program`` in this namespace, for launchers that take only a path."""
        script = folder / f"{Path(program).name}-in-{self.name}"
        script.write_text(f'#!/bin/sh\nexec {" ".join(self.inside)} {program} "$@"\n')
        script.chmod(0o755)
        return script


@contextlib.contextmanager
def alone(*, bridge: bool = False) -> Iterator[Namespace]:
    """A machine without a network: only loopback; with ``bridge`` also a bridge without a peer, as containers make."""
    name = f"fw-{os.getpid()}-lo"
    run("ip", "netns", "add", name)
    try:
        run("ip", "-n", name, "link", "set", "lo", "up")
        if bridge:
            run("ip", "-n", name, "link", "add", "bridge", "type", "veth", "peer", "name", "inside")
            run("ip", "-n", name, "addr", "add", "10.213.78.1/24", "dev", "bridge")
            run("ip", "-n", name, "link", "set", "bridge", "up")
            run("ip", "-n", name, "link", "set", "inside", "up")
        yield Namespace(name, "127.0.0.1")
    finally:
        run("ip", "netns", "del", name)


@contextlib.contextmanager
def two() -> Iterator[tuple[Namespace, Namespace]]:
    """Two machines, connected by one cable."""
    names = [f"fw-{os.getpid()}-{end}" for end in "ab"]
    addresses = ["10.213.77.1", "10.213.77.2"]
    made = []
    try:
        for name in names:
            run("ip", "netns", "add", name)
            made.append(name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "-n", names[0], "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", names[1])
        for name, address in zip(names, addresses, strict=True):
            run("ip", "-n", name, "addr", "add", f"{address}/24", "dev", "cable")
            run("ip", "-n", name, "link", "set", "cable", "up")
        yield Namespace(names[0], addresses[0]), Namespace(names[1], addresses[1])
    finally:
        for name in made:
            run("ip", "netns", "del", name)
