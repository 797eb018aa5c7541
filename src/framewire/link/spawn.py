"""Starts the engine's program: on which Python, in which environment, with which standard streams.

Must not know sockets or messages: it is told which descriptors the program inherits.
"""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import IO, Any, Final

from framewire._version import __version__
from framewire.errors import EngineError
from framewire.link.descriptors import above_stdio
from framewire.link.guard import ENGINE_VARIABLE, PYTHON_VARIABLE
from framewire.link.module_path import ModulePath, own_module_path
from framewire.shortages import cure

_KEPT_VARIABLES: Final = frozenset({
    "PYTHONCASEOK", "PYTHONDONTWRITEBYTECODE", "PYTHONEXECUTABLE", "PYTHONFAULTHANDLER", "PYTHONHASHSEED",
    "PYTHONHOME", "PYTHONMALLOC", "PYTHONNOUSERSITE", "PYTHONPLATLIBDIR", "PYTHONPYCACHEPREFIX", "PYTHONUSERBASE",
    "PYTHONUTF8", "PYTHON_GIL",
})  # fmt: skip
"""Python's own variables that an engine is started with as well: where modules are, and how memory is used. The others
are for the user's program. Under ``PYTHONWARNINGS=error`` an engine fails at another library's deprecation, and what
``PYTHONVERBOSE`` prints would be thousands of lines of log."""
_NO_PYTHON: Final = (
    f"the engine is a program of its own and needs a Python, which {{}} is not: let {PYTHON_VARIABLE} in the "
    'environment name one that has framewire, or use engine="thread"'
)
_CURES: Final = {
    errno.E2BIG: "shorten the environment variables or sys.path",
    **dict.fromkeys(
        (errno.ENOENT, errno.EACCES, errno.ENOEXEC, errno.EPERM, errno.ENOTDIR),
        f"let {PYTHON_VARIABLE} in the environment name a Python that has framewire",
    ),
}
"""What to change, by the number of a system's error that is no shortage."""


def spawn(
    command: Sequence[str] | None, arguments: Sequence[str], descriptors: Sequence[int], stdin: bytes = b""
) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    """Start ``command`` (None: the engine that comes with this package) with ``arguments`` after it.

    It inherits ``descriptors`` under the same numbers, none of them below 3, and no others. It reads ``stdin``
    (a few bytes) from its standard input. Returns the process and the pipe to which it prints. Raises EngineError in
    one line where it cannot be started; nothing is left open then.
    """
    program, variables = (command, environment()) if command else default_program()
    try:
        return _started([*program, *arguments], variables, descriptors, stdin)
    except OSError as error:
        raise EngineError(cannot_start(error, program[0])) from error


def cannot_start(error: BaseException, program: str | None = None) -> str:
    """One line for people: why an engine is not started, and what to change."""
    number = error.errno if isinstance(error, OSError) else None
    why = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    change = _CURES.get(number or 0) or cure(error)
    return "; ".join(filter(None, (f"the engine cannot be started: {f'{program}: ' * bool(program)}{why}", change)))


def default_program() -> tuple[list[str], dict[str, str]]:
    """The engine that comes with this package: its command and its environment. Raises EngineError without a Python."""
    named = os.environ.get(PYTHON_VARIABLE)
    if named:
        command, variables = [named, "-m", "framewire.engine"], _other_environment()
    else:
        path = own_module_path()
        command, variables = [*_own_python(), *path.module_command("framewire.engine")], environment(path)
    return command, {**variables, ENGINE_VARIABLE: __version__}


def environment(path: ModulePath | None = None) -> dict[str, str]:
    """This process's, for this Python: a PYTHONPATH by which a child imports the very modules that this process would.

    Python would put the working directory first for ``-m``; PYTHONSAFEPATH keeps it from doing so.
    """
    kept = _KEPT_VARIABLES if not sys.flags.ignore_environment else frozenset[str]()
    path = path or own_module_path()
    return {
        **{name: value for name, value in os.environ.items() if name in kept or not name.startswith("PYTHON")},
        **({"PYTHONDONTWRITEBYTECODE": "1"} if sys.dont_write_bytecode else {}),
        "PYTHONPATH": path.variable,
        "PYTHONSAFEPATH": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # a debugger that follows into the engine warns of what this Python is
        **_launcher(),
    }


def _other_environment() -> dict[str, str]:
    """For a Python that the user names: where its modules are is its own matter, not that of this program."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"):
        if _is_frozen() and name in variables:  # the bundle's libraries; its start-up code kept what was there
            del variables[name]
            if original := variables.get(f"{name}_ORIG"):
                variables[name] = original
    return {**variables, "PYTHONSAFEPATH": "1"}


def _own_python() -> list[str]:
    """This Python, with those of its options that decide where modules are found."""
    options = ["-S"] * bool(sys.flags.no_site) + ["-s"] * bool(sys.flags.no_user_site)
    if _is_frozen():
        raise EngineError(_NO_PYTHON.format(f"a frozen program ({sys.executable or 'unnamed'})"))
    for python in _pythons():
        return [python, *options]
    raise EngineError(_NO_PYTHON.format(sys.executable or "this program"))


def _pythons() -> Iterator[str]:
    """Where this Python's executable is: the likeliest first. A program that embeds Python names itself instead."""
    executable: object = getattr(sys, "_base_executable", None) if _launcher() else sys.executable
    if isinstance(executable, str) and _is_python(executable):
        yield executable
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    name = "python.exe" if os.name == "nt" else f"bin/python{version}"
    for prefix in dict.fromkeys((sys.prefix, sys.exec_prefix, sys.base_exec_prefix)):
        if os.access(found := os.path.join(prefix, name), os.X_OK):
            yield found


def _is_python(executable: str) -> bool:
    name = os.path.basename(executable).lower().removesuffix(".exe")
    return name != "pythonservice" and (
        any(word in name for word in ("python", "pypy", "graalpy")) or name.endswith(("py", "hython"))
    )


def _is_frozen() -> bool:
    """Whether this program is a bundle (PyInstaller, cx_Freeze, py2app; Nuitka marks the modules that it compiled)."""
    return bool(getattr(sys, "frozen", False)) or "__compiled__" in globals()


def _launcher() -> dict[str, str]:
    """On Windows the ``python.exe`` of a virtual environment starts the real one as its child, so that no engine would
    be a child of ours. The real one is started instead, and is told for which environment."""
    base = getattr(sys, "_base_executable", None)
    if os.name != "nt" or not base or sys.prefix == sys.base_prefix:
        return {}
    return {"__PYVENV_LAUNCHER__": sys.executable}


def _started(
    command: Sequence[str], variables: dict[str, str], descriptors: Sequence[int], stdin: bytes
) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    with contextlib.ExitStack() as stack, contextlib.ExitStack() as childs:
        read, write = _pipe()
        childs.callback(os.close, write)
        output = stack.enter_context(os.fdopen(read, "rb", buffering=0))
        given, end = _pipe()  # not /dev/null, which may not be there
        childs.callback(os.close, given)
        try:
            os.write(end, stdin)  # a pipe holds so little, whether it is read or not
        finally:
            os.close(end)
        process = subprocess.Popen(
            command,
            stdin=given,
            stdout=write,
            stderr=write,
            env=variables,
            **_of_this_system(descriptors),
        )
        stack.pop_all()
    return process, output


def _of_this_system(descriptors: Sequence[int]) -> dict[str, Any]:
    """An interrupt is meant for the cell, not for the engine; and no console window opens for it."""
    if os.name == "nt":
        assert not descriptors, "Windows' processes inherit no descriptors"
        flags = ("CREATE_NEW_PROCESS_GROUP", "CREATE_NO_WINDOW")
        return {"creationflags": sum(getattr(subprocess, flag) for flag in flags)}
    assert all(fd > 2 for fd in descriptors), "the child's standard streams are laid over those below"
    return {"pass_fds": tuple(descriptors), "start_new_session": True}


def _pipe() -> tuple[int, int]:
    read, write = os.pipe()
    try:
        read = above_stdio(read)
    except OSError:
        os.close(write)
        raise
    try:
        return read, above_stdio(write)
    except OSError:
        os.close(read)
        raise
