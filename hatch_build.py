"""Puts the built browser client into the wheel and the sdist. Must not know what the client does.

A checkout builds it with npm when it is missing or older than its sources. An sdist contains it already
(its `PKG-INFO` shows that it is an sdist), so that installing a wheel or an sdist needs no Node.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUILT = ("index.js", "widget.js", "widget.css", "page.html", "page.js")
SOURCES = ("js/src", "js/scripts", "signaling/schema.json", "package-lock.json")
NO_NODE = (
    "framewire: the browser client in src/framewire/static/ is {what}, and building it needs Node 20 or "
    "newer with npm, which is not on the PATH. Install Node and run this again, or install framewire from "
    "a wheel or an sdist: both carry the client built."
)


class ClientHook(BuildHookInterface):  # type: ignore[type-arg]
    """Builds `static/` before hatchling collects the files of a wheel or an sdist."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        what = stale(root)
        if what is None:
            return
        npm = shutil.which("npm")
        if npm is None:
            raise SystemExit(NO_NODE.format(what=what))
        build(root, npm)


def stale(root: Path) -> str | None:
    """Why the client must be built: "missing", "out of date", or None when it is up to date."""
    built = [root / "src/framewire/static" / name for name in BUILT]
    if not all(file.is_file() for file in built):
        return "missing"
    if (root / "PKG-INFO").is_file():
        # All files of an unpacked sdist have the time of the unpacking, so times say nothing.
        return None
    oldest = min(file.stat().st_mtime_ns for file in built)
    newer = any(file.stat().st_mtime_ns > oldest for file in sources(root))
    return "out of date" if newer else None


def sources(root: Path) -> list[Path]:
    """Every file that the built client is made from."""
    named = [root / name for name in SOURCES]
    inside = [file for folder in named if folder.is_dir() for file in folder.rglob("*")]
    return [file for file in (*named, *inside) if file.is_file()]


def build(root: Path, npm: str) -> None:
    """Run `npm ci` where nothing is installed yet, then the build; a failure of either fails the install."""
    if not (root / "node_modules").is_dir():
        subprocess.run([npm, "ci", "--no-fund", "--no-audit"], cwd=root, check=True)
    subprocess.run([npm, "run", "--silent", "build"], cwd=root, check=True)
    still = stale(root)
    assert still is None, f"after its build the client is {still}: js/scripts/build.mjs writes all files of BUILT"
