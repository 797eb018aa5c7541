"""What every test may lean on: the programs some of them drive, and a plain word where one is missing.

Must not know the package: a fixture that does belongs beside the tests that use it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from functools import cache

import pytest

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Headless in a container; and silent: nothing but the test's own traffic.
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
    """ "works", or None: found out by making one, since being root alone does not say so."""
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
    "netns": (netns, "no network namespaces here: wants root, and apt-get install iproute2 iptables"),
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips a test whose program is missing; fails it where FRAMEWIRE_REQUIRE names its marker."""
    required = os.environ.get("FRAMEWIRE_REQUIRE", "").split()
    for marker, (find, word) in NEEDS.items():
        if item.get_closest_marker(marker) is None or find() is not None:
            continue
        if marker in required:
            pytest.fail(f"{word} (FRAMEWIRE_REQUIRE={marker})", pytrace=False)
        pytest.skip(word)
