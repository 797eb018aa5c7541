"""Runs aiortc's and aioice's own tests with our classes in the place of theirs (`upstream_plugin`).

    python scripts/upstream.py

pip downloads their source distributions, in exactly the installed versions and with the hashes of requirements/dev.txt,
to .cache/upstream. Must not know any of our classes.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "upstream"
LOCK = ROOT / "requirements" / "dev.txt"
SUITES = {
    # The tests that use a class of ours, and no others.
    "aioice": ["test_ice.py", "test_ice_trickle.py"],
    "aiortc": [
        "test_ortc.py",
        "test_rtcdtlstransport.py",
        "test_rtcicetransport.py",
        "test_rtcpeerconnection.py",
        "test_rtcsctptransport.py",
    ],
}
DOWNLOAD_TIMEOUT_S = 120.0
"""pip may take this long for one of them."""
SUITE_TIMEOUT_S = 200.0
"""The tests of one of them may take this long."""


def locked(lock: str, name: str, release: str) -> str:
    """The lines of a lock file that pin this release, with its hashes. Raises ``LookupError`` if it pins another."""
    match = re.search(rf"^{re.escape(name)}==(\S+) \\\n(?: +--hash=\S+(?: \\)?\n)+", lock, re.MULTILINE)
    if match is None or match[1] != release:
        pinned = match[1] if match else "nothing"
        raise LookupError(f"{name} {release} is installed, and the lock file pins {pinned}: make setup, or make lock")
    return match[0]


def fetch(name: str, release: str) -> Path:
    """The folder of one source distribution. Raises ``OSError`` or ``LookupError`` if there is none."""
    folder = CACHE / f"{name}-{release}"
    if (folder / "tests").is_dir():
        return folder
    with tempfile.TemporaryDirectory() as scratch:
        wanted = Path(scratch, "wanted.txt")
        wanted.write_text(locked(LOCK.read_text(), name, release))
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download", "--no-deps"]
        command += ["--no-binary", name, "--require-hashes", "--dest", scratch, "-r", str(wanted)]
        try:
            subprocess.run(command, check=True, timeout=DOWNLOAD_TIMEOUT_S)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            raise OSError(f"the tests of {name} {release} could not be downloaded") from error
        (archive,) = Path(scratch).glob("*.tar.gz")
        CACHE.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive) as opened:
            # Debian's 3.11 may be too old for a filter; the hashes have verified the archive already.
            safe: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            opened.extractall(CACHE, **safe)
    if not (folder / "tests").is_dir():
        raise OSError(f"{name} {release} has no tests")
    return folder


def run(name: str, folder: Path) -> bool:
    """Whether its tests pass. Failures are tried once more, since many tests depend on real time."""
    environment = dict(os.environ)
    paths = [str(ROOT / "src"), str(ROOT / "scripts"), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    # A configuration of their own, else pytest would search upwards and find ours.
    command = [sys.executable, "-m", "pytest", "-c", "pyproject.toml", "--rootdir", ".", "-p", "upstream_plugin"]
    command += ["--ours", name, "-p", "no:asyncio", "--timeout", "30", "--tb", "short", "-q"]
    command += ["-o", f"cache_dir={folder / '.pytest_cache'}"]
    tests = [f"tests/{each}" for each in SUITES[name]]
    for more in ([], ["--last-failed"]):
        try:
            ended = subprocess.run(
                [*command, *more, *tests], cwd=folder, env=environment, timeout=SUITE_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            print(f"upstream: the tests of {name} took more than {SUITE_TIMEOUT_S:.0f} s", file=sys.stderr)
            return False
        if ended.returncode == 0:
            return True
        if ended.returncode != 1:
            return False
    return False


def main() -> int:
    """0 if all pass, 1 if not, 2 if they cannot be downloaded; prints why."""
    began, bad = time.monotonic(), []
    for name in SUITES:
        release = version(name)
        try:
            folder = fetch(name, release)
        except (OSError, LookupError) as error:
            print(f"upstream: {error}", file=sys.stderr)
            return 2
        print(f"== {name} {release}", flush=True)
        if not run(name, folder):
            bad.append(name)
    seconds = time.monotonic() - began
    print(f"upstream: {'failed: ' + ', '.join(bad) if bad else 'all pass'} ({seconds:.0f} s)")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
