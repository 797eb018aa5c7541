"""Every fault: what it is called, how it is played, and from when its time counts. Must not know how many are played.

A fault's ``play`` makes it, undoes it where it must be undone, and returns the moment from which the time to the next
picture counts.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.browser import Browser
from benchmarks.faults import kernel, links, pages, processes, servers
from benchmarks.faults.stage import Setup, Took, staged

PROMISED_S = 5.0
"""Wherever the link is up, the picture moves again within this time."""


@dataclass(frozen=True)
class Fault:
    """One kind of fault."""

    name: str
    title: str
    """What it is, for the table."""
    counts_from: str
    """From when the time counts, for the table."""
    play: Callable[[Any], Awaitable[float | Took]]
    """Returns that moment, or what it has measured itself."""
    setup: Setup = field(default_factory=Setup)
    waits_s: float = 0.0
    """How long it mostly waits: such faults are played many at a time."""
    per_stage: int = 1
    """So many repetitions are played on one stage: more where it is soon as it was before."""
    needs: tuple[str, ...] = ()
    """Programs and files beside the browser."""
    promised_s: float = PROMISED_S
    staged: Callable[[Setup, Browser | None], AbstractAsyncContextManager[Any]] = staged

    def missing(self) -> str:
        """What is not here of all that it needs; empty where nothing is."""
        needs = [*self.needs, *("ip", "iptables") * self.setup.cable]
        absent = [each for each in needs if not (shutil.which(each) or Path(each).exists())]
        return ", ".join([*absent, *["root"] * bool(needs and os.geteuid() != 0)])


CABLE = Setup(cable=True)
OWN_BROWSER = Setup(own_browser=True)
FULL_SHM = Setup(prefix=processes.tmpfs("/dev/shm"), variables={"FRAMEWIRE_LINK": "names"})
PROXY = Setup(beside=servers.Proxy)
TURN = Setup(cable=True, beside=servers.Turn)
FAILING_ENCODER = processes.hooked(FRAMEWIRE_FAULTS_ENCODER="raise")
OTHER_CLOCK = processes.hooked(FRAMEWIRE_FAULTS_CLOCK="clock")
FULL_DISK = Setup(prefix=processes.tmpfs(processes.DISK), variables={"TMPDIR": processes.DISK})

_ALL = (
    Fault("engine-killed", "engine killed (`kill -9`)", "kill", processes.kill_engine),
    *(
        Fault(
            f"engine-stopped-{seconds}",
            f"engine stopped for {seconds} s (SIGSTOP)",
            "stop",
            processes.stop_engine(seconds),
            waits_s=seconds,
        )
        for seconds in (3, 12, 35)
    ),
    Fault("encoder-raises-once", "encoder raises for 0.1 s", "first error", processes.raise_once_in_encoder,
          FAILING_ENCODER, per_stage=5),
    Fault("encoder-raises", "encoder raises for 5 s", "first error", processes.raise_in_encoder,
          FAILING_ENCODER, waits_s=5),
    Fault("program-killed", "user's program killed, started anew at once", "kill", processes.kill_program),
    Fault("program-stopped", "user's program stopped for 10 s", "its continuing", processes.stop_program, waits_s=10,
          per_stage=5),
    Fault("kernel-restarted", "notebook's kernel restarted, cell run again", "restart", kernel.restart_kernel,
          staged=kernel.notebook),
    Fault("port-taken", "program killed; another has its port for 3 s", "return of the port", processes.take_port,
          waits_s=3),
    Fault("udp-dropped", "UDP dropped", "first dropped packet", links.drop_udp, CABLE),
    Fault("udp-back", "UDP returns", "return", links.return_udp, CABLE, waits_s=20),
    Fault("address-changed", "viewer's address changed", "change", links.change_address, CABLE, waits_s=5,
          per_stage=5),
    *(
        Fault(
            f"link-down-{seconds}",
            f"viewer's link down for {seconds} s",
            "its return",
            links.pull_cable(seconds),
            CABLE,
            waits_s=seconds,
            per_stage=5,
        )
        for seconds in (1, 5, 30)
    ),
    *(
        Fault(
            f"path-cut-{seconds}",
            f"path carries nothing for {seconds} s, no end notices",
            "its return",
            links.cut_path(seconds),
            CABLE,
            waits_s=seconds,
            per_stage=5,
        )
        for seconds in (1, 5, 30)
    ),
    Fault("proxy-restarted", "proxy (nginx) killed, started 1 s later", "its start", links.restart_proxy, PROXY,
          per_stage=5, needs=("/usr/sbin/nginx",)),
    Fault("turn-restarted", "TURN server (coturn) killed, started 1 s later; UDP blocked", "kill", links.restart_turn,
          TURN, needs=("turnserver",)),
    Fault("viewer-vanished", "another viewer vanished", "vanishing", pages.other_vanishes, CABLE, waits_s=10),
    Fault("vanished-removed", "another viewer vanished: until its resources are free", "vanishing",
          pages.vanished_is_removed, CABLE, waits_s=40, promised_s=60),
    Fault("tab-crashed", "tab crashed, loaded again at once", "crash", pages.crash_tab, per_stage=5),
    Fault("gpu-crashed", "browser's GPU process killed", "kill", pages.kill_gpu_process, OWN_BROWSER),
    Fault("disk-full", "disk full, and engine killed", "kill", processes.fill_disk, FULL_DISK, needs=("unshare",)),
    Fault("shm-full", "/dev/shm full when frames become larger", "room again", processes.fill_shm, FULL_SHM,
          waits_s=5, needs=("unshare",)),
    Fault("no-descriptors-engine", "engine out of descriptors for 5 s when a viewer comes", "descriptors again",
          processes.no_descriptors_in_engine, waits_s=5),
    Fault("no-descriptors-program", "program out of descriptors for 5 s when frames become larger",
          "descriptors again", processes.no_descriptors_in_program, waits_s=5),
    Fault("clock-forth", "server's clock set 1 h forth", "setting", processes.set_clock(processes.HOUR_S),
          OTHER_CLOCK, waits_s=5),
    Fault("clock-back", "server's clock set 1 h back", "setting", processes.set_clock(-processes.HOUR_S),
          OTHER_CLOCK, waits_s=5),
    Fault("asleep", "laptop asleep for 60 s (all processes stopped)", "waking", processes.sleep_all, OWN_BROWSER,
          waits_s=60, per_stage=4),
)  # fmt: skip
FAULTS = {fault.name: fault for fault in _ALL}
