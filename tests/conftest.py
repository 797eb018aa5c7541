"""What all tests share: the programs that some of them drive, with a message where one is missing, and retries.

Must not know the package: a fixture that does belongs beside its tests.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from functools import cache

import pytest
from _pytest.runner import runtestprotocol

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# For a container without a GPU; and no traffic but the test's own.
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@cache
def chromium() -> str | None:
    """The path of a Chromium, or None."""
    return next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)


@cache
def firefox() -> str | None:
    """The path of a Firefox, or None."""
    return shutil.which("firefox-esr") or shutil.which("firefox")


@cache
def netns() -> str | None:
    """ "works", or None. It tries to make one, since being root is not enough."""
    ip = shutil.which("ip", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if ip is None or os.geteuid() != 0 or shutil.which("iptables", path="/usr/sbin:/sbin:/usr/bin") is None:
        return None
    name = f"fw-probe-{os.getpid()}"
    made = subprocess.run([ip, "netns", "add", name], capture_output=True, check=False).returncode == 0
    if made:
        subprocess.run([ip, "netns", "del", name], capture_output=True, check=False)
    return "works" if made else None


NEEDS: dict[str, tuple[Callable[[], str | None], str]] = {
    "browser": (chromium, "no Chromium here: apt-get install chromium"),
    "firefox": (firefox, "no Firefox here: apt-get install firefox-esr"),
    "netns": (netns, "no network namespaces here: needs root, and apt-get install iproute2 iptables"),
}


def pytest_configure() -> None:
    """A shell lets its jobs in the background ignore Ctrl-C; the programs that tests start and interrupt would, too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips a test whose program is missing; fails it where FRAMEWIRE_REQUIRE names its marker."""
    required = os.environ.get("FRAMEWIRE_REQUIRE", "").split()
    for marker, (find, message) in NEEDS.items():
        if item.get_closest_marker(marker) is None or find() is not None:
            continue
        if marker in required:
            pytest.fail(f"{message} (FRAMEWIRE_REQUIRE={marker})", pytrace=False)
        pytest.skip(message)


TRIES = 3
"""A test with real processes, sockets or browsers runs up to so many times: its times and ratios mean little while
another program takes all processors. A test that fails every time has found something."""

LIVE = {"test_attach.py", "test_connection.py", "test_exposure.py", "test_ice.py", "test_launch.py",
        "test_lifetimes.py", "test_main.py", "test_peer.py", "test_server.py", "test_surroundings.py",
        "test_track.py"}  # fmt: skip


def is_live(item: pytest.Item) -> bool:
    return item.path.parent.name == "e2e" or item.path.name in LIVE


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The time limit is for all tries together."""
    for item in items:
        if is_live(item) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(360))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    if not is_live(item):
        return None
    for again in reversed(range(TRIES)):
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        failed = [report for report in reports if report.failed]
        if not failed or not again:
            break
        item.config.get_terminal_writer().line(
            f"\n{item.nodeid} failed and runs again:\n{failed[0].longreprtext[-2000:]}"
        )
        item._initrequest()  # type: ignore[attr-defined]  # fixtures are made anew
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
