"""Where a child of this process finds the modules that this process would import.

Must not know what the child is for.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import NamedTuple

_RUN_MODULE = (
    "import json, runpy, sys; first, last, module = json.loads(sys.argv.pop(1)); "
    "sys.path[:] = first + sys.path + last; runpy.run_module(module, run_name='__main__', alter_sys=True)"
)


class ModulePath(NamedTuple):
    """The directories, as the environment can tell them, and those that it cannot."""

    variable: str
    """For PYTHONPATH."""
    first: tuple[str, ...]
    """Before those; PYTHONPATH cannot hold a name with the character in it that separates its names."""
    last: tuple[str, ...]
    """After those."""

    def module_command(self, module: str) -> list[str]:
        """Options of Python that run ``module``."""
        if not (self.first or self.last):
            return ["-m", module]
        import json  # here, since nearly no program needs it for this, and an import takes its time

        return ["-c", _RUN_MODULE, json.dumps([self.first, self.last, module])]


def own_module_path() -> ModulePath:
    """This process's ``sys.path``, with the standard library first and the user's own directories last.

    In a program that runs, the standard library is imported already when its path comes to hold a ``queue.py``; an
    engine has yet to import it. The user's own are the working directory and the script's, which Python puts first.
    """
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    users = set(_users_own()) - {root}
    path = list(dict.fromkeys(_entries()))
    ordered = [
        *filter(_is_standard, path),
        *([] if root in path else [root]),
        *(each for each in path if not _is_standard(each) and each not in users),
        *(each for each in path if each in users),
    ]
    fitting = [each for each in ordered if os.pathsep not in each]
    others = [each for each in ordered if os.pathsep in each]
    return ModulePath(
        os.pathsep.join(fitting),
        tuple(each for each in others if each == root),
        tuple(each for each in others if each != root),
    )


def _entries() -> Iterator[str]:
    """What Python's import looks at: text alone. A ``pathlib.Path`` or a number in ``sys.path`` is nothing to it."""
    here = _working_directory()
    entries: list[object] = [*sys.path]
    for each in entries:
        if isinstance(each, str) and _can_be_named(each) and (here or os.path.isabs(each)):
            yield os.path.normpath(os.path.join(here or "", each)) if each else str(here)


def _can_be_named(name: str) -> bool:
    try:
        return b"\0" not in os.fsencode(name)
    except UnicodeError:  # half a surrogate pair
        return False


def _is_standard(directory: str) -> bool:
    library = os.path.dirname(os.path.abspath(os.__file__))
    parts = directory[len(library) :].split(os.sep)
    inside = directory == library or (directory.startswith(library + os.sep) and "-packages" not in "".join(parts))
    return inside or directory == os.path.join(sys.base_prefix, "DLLs")


def _users_own() -> Iterator[str]:
    if here := _working_directory():
        yield here
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    if isinstance(script, str) and (here or os.path.isabs(script)):
        script = os.path.normpath(os.path.join(here or "", script))
        yield from (script, os.path.dirname(script))  # a program in a zip file is itself in the path


def _working_directory() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # the directory was removed
        return None
