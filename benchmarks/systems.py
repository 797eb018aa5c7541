"""The systems that are compared: how each one's publisher starts, and which page it has.

Must not know scenarios or measurements.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contents import cache_folder

ROOT = Path(__file__).parent.parent
OTHERS = ("habemus-papadum-rfb==0.3.0", "av", "jupyter_rfb", "simplejpeg", "websockets")
"""What the other systems' environment holds. pdum.rfb needs Python 3.12, which this project does not."""


@dataclass(frozen=True)
class System:
    """One row of the table."""

    name: str
    module: str
    """A module of `benchmarks.servers`."""
    query: str = ""
    """Appended to the page's address, before its fragment."""
    codec: str = ""
    foreign: bool = False
    """Whether it runs in the other systems' environment."""


SYSTEMS = {
    system.name: system
    for system in (
        System("framewire", "framewire", "mode=auto&chrome=0"),
        System("framewire-h264", "framewire", "mode=webrtc&chrome=0", codec="h264"),
        System("framewire-444", "framewire", "mode=webrtc&chrome=0", codec="h264_444"),
        System("framewire-vp8", "framewire", "mode=webrtc&chrome=0", codec="vp8"),
        System("framewire-webcodecs", "framewire", "mode=webcodecs&chrome=0"),
        System("framewire-lossless", "framewire", "mode=lossless&chrome=0"),
        System("pdum.rfb", "pdum_rfb", foreign=True),
        System("pdum.rfb-jpeg", "pdum_rfb", codec="jpeg", foreign=True),
        System("aiortc", "aiortc"),
        System("aiortc-h264", "aiortc", codec="h264"),
        System("jupyter_rfb", "jupyter_rfb", foreign=True),
    )
}


def page_address(system: System, url: str) -> str:
    """The publisher's address, with this system's query."""
    if not system.query:
        return url
    address, hash_, fragment = url.partition("#")
    return f"{address}{'&' if '?' in address else '?'}{system.query}{hash_}{fragment}"


def command(system: System, arguments: Sequence[str]) -> list[str]:
    """The command that starts the publisher. Raises ``LookupError`` where its environment cannot be made."""
    python = str(others_python()) if system.foreign else sys.executable
    return [python, "-m", f"benchmarks.servers.{system.module}", *arguments]


def environment() -> dict[str, str]:
    """The environment of publishers: any Python can import this checkout's `benchmarks`."""
    path = os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH", "")) if p)
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def others_python() -> Path:
    """The Python of the other systems' environment, made on first use. Raises ``LookupError`` with the reason."""
    folder = cache_folder() / "peers"
    python = folder / "bin" / "python"
    mark = folder / ".complete"
    if mark.exists() and mark.read_text() == repr(OTHERS):
        return python
    base = _newer_python()
    print(f"making the other systems' environment in {folder} (once)", file=sys.stderr, flush=True)
    try:
        subprocess.run([base, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *OTHERS], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise LookupError(f"the other systems' environment could not be made: {error}") from error
    mark.write_text(repr(OTHERS))
    return python


def _newer_python() -> str:
    """A Python of 3.12 or newer: this one, one on the path, or one of pyenv's."""
    pyenv = sorted((Path.home() / ".pyenv" / "versions").glob("3.1[2-9]*/bin/python"))
    found = [shutil.which(f"python3.{minor}") for minor in (12, 13, 14)]
    for candidate in [sys.executable, *filter(None, found), *map(str, pyenv)]:
        probe = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))"
        if subprocess.run([candidate, "-c", probe], capture_output=True, check=False).returncode == 0:
            return candidate
    raise LookupError("no Python 3.12 here, which pdum.rfb needs")
