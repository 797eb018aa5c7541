"""Opens a page in the user's browser, and its address is on no command line.

The address holds a token, and every user of a machine can read the command lines of its processes. So the browser is
given a file that this user alone may read, and that file leads on to the address.

Must not know what the page shows.
"""

from __future__ import annotations

import atexit
import contextlib
import html
import os
import re
import secrets
import sys
import tempfile
import threading
import time
import webbrowser
from pathlib import Path
from typing import Final

KEPT_S: Final = 60.0
"""Time for a browser to start and read the file.

Source: chosen by hand: a browser of a Snap takes up to 20 s for its first start; pinned by
`tests/test_browser.py::test_the_file_is_removed_after_a_minute_or_at_the_end_of_the_program`."""
_NAME: Final = re.compile(r"framewire-open-[0-9a-f]{16}\.html")
_PAGE: Final = """<!doctype html>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0;url={address}">
<title>framewire</title>
<p>The picture is <a href="{address}">here</a>.
"""


def open_page(url: str) -> bool:
    """Open it where there is a screen; whether a browser was started. The caller has shown the address already."""
    if not _has_screen():
        return False
    file = _redirect(url)
    if file is None:
        return False
    atexit.register(_remove, file)
    timer = threading.Timer(KEPT_S, _remove, (file,))
    timer.daemon = True
    with contextlib.suppress(RuntimeError):  # no thread: then at the end of the program
        timer.start()
    return webbrowser.open(file.as_uri())


def _has_screen() -> bool:
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _redirect(url: str) -> Path | None:
    """A file that leads to this address; None where none can be written."""
    page = _PAGE.format(address=html.escape(url))
    for directory in _directories():
        file = directory / f"framewire-open-{secrets.token_hex(8)}.html"
        with contextlib.suppress(OSError):
            _remove_older(directory)
            fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(fd, "w", encoding="utf-8") as opened:
                opened.write(page)
            return file
        _remove(file)
    return None


def _directories() -> list[Path]:
    """Where browsers may read, the best first.

    A browser of a Snap sees neither /tmp nor /run, nor what has a name with a dot in the home directory.
    """
    found = []
    if sys.platform not in ("darwin", "win32"):
        with contextlib.suppress(RuntimeError):  # this user has no home
            if (home := Path.home()).joinpath("snap").is_dir():
                found.append(home)
        if runtime := os.environ.get("XDG_RUNTIME_DIR"):  # of this user alone, in memory
            found.append(Path(runtime))
    with contextlib.suppress(OSError):
        found.append(Path(tempfile.gettempdir()))
    return [directory.absolute() for directory in found]


def _remove_older(directory: Path) -> None:
    """Those of programs that were killed."""
    for entry in os.scandir(directory):
        with contextlib.suppress(OSError):
            if _NAME.fullmatch(entry.name) and time.time() - entry.stat(follow_symlinks=False).st_mtime > 2 * KEPT_S:
                _remove(Path(entry.path))


def _remove(file: Path) -> None:
    with contextlib.suppress(OSError):
        file.unlink(missing_ok=True)
