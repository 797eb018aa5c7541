"""The surroundings that users bring: how Python is started, and what a program finds there.

Must not know how a case is run; `tests/test_surroundings.py` does.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import framewire

SOURCES = Path(framewire.__file__).parents[1]
PIXELS = (np.arange(48 * 64 * 3) % 251).astype(np.uint8).reshape(48, 64, 3)

PROGRAM = """
{before}
import json, os, sys, time

def say(**what):
    with open({report!r}, "wb", buffering=0) as file:
        file.write(json.dumps(what).encode() + b"\\n")

def wait():
    import select  # here, since gevent brings one of its own
    with open({go!r}, "rb", buffering=0) as file:
        while not select.select([file], [], [], 0.02)[0]:
            pass

def counts():
    with open(f"/proc/self/task/{{os.getpid()}}/children") as children:
        return len(os.listdir("/proc/self/fd")), len(children.read().split())

def publish(display):
    import numpy as np
    display.publish((np.arange(48 * 64 * 3) % 251).astype(np.uint8).reshape(48, 64, 3))
    say(page=display.url, url=display.ws_url, token=display.server.token, engine=display.server.engine_pid)

def run(**options):
    import framewire as fw
    before = counts()
    try:
        with fw.serve(64, 48, port=0, **options) as display:
            display.wait_ready(30)
            publish(display)
            wait()
    except fw.FramewireError as error:
        text = str(error)
    else:
        return
    if "framewire.engine" in sys.argv:  # this program was started in the place of an engine
        raise SystemExit(text)
    for _ in range(100):  # a thread may be about to close what it had
        after = counts()
        if after == before:
            break
        time.sleep(0.02)
    say(refused=text, descriptors=after[0] - before[0], children=after[1] - before[1])

async def run_async(**options):
    import asyncio
    import framewire as fw
    async with await fw.serve(64, 48, port=0, **options) as display:
        publish(display)
        await asyncio.to_thread(wait)

{main}
"""
"""What every case runs: a user's program, `run`, and around it what the case is about."""
MAIN = 'if __name__ == "__main__":\n    run()'
HERE = f"import sys; sys.path[:0] = {[str(SOURCES)]!r}\n"
ALL_PATHS = f"import sys; sys.path[:0] = {[str(SOURCES), *sys.path]!r}\n"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One surrounding."""

    name: str
    before: str = ""
    """What the program does before it imports anything."""
    main: str = MAIN
    """Its main part."""
    options: Sequence[str] = ()
    """Of Python."""
    variables: Mapping[str, str | None] = field(default_factory=dict)
    """Of the environment; None takes one away."""
    shell: str = 'exec "$@"'
    """What starts the program."""
    command: Callable[[Path], list[str]] | None = None
    """The program's command, by its path, where that is not Python with the options and the path."""
    make: Callable[[Path], object] = lambda _: None
    """Puts files into the directory of the program, its working directory."""
    refused: str = ""
    """The one line, as a pattern; empty where it is served."""
    printed: str = ""
    """What the surrounding itself prints, a line, as a pattern."""
    needs: Callable[[], str | None] = lambda: None
    """Why it cannot be tried here, if so."""


def how_python_is_started() -> Iterator[Case]:
    yield Case(name="plain")
    for option in ("-O", "-OO", "-s", "-u", "-bb", "-B"):
        yield Case(name=f"python {option}", options=[option])
    for option in ("-E", "-I"):
        yield Case(name=f"python {option}", options=[option], before=HERE)
    yield Case(name="python -S", options=["-S"], before=ALL_PATHS)
    yield Case(name="python -W error", options=["-W", "error"])
    yield Case(name="python -X dev", options=["-X", "dev"])
    yield Case(name="python -c", command=lambda program: [sys.executable, "-c", program.read_text()])
    yield Case(name="python -m", command=lambda _: [sys.executable, "-m", "program"])
    yield Case(name="python < program", command=lambda p: [sys.executable, str(p)], shell='exec "$1" < "$2"')
    executed = "exec(open('program.py').read(), {'__name__': '__main__'})"
    yield Case(name="exec()", command=lambda _: [sys.executable, "-c", executed])
    yield Case(
        name="under pytest",
        main="def test_it(): run()",
        command=lambda p: [sys.executable, "-m", "pytest", "-xp", "no:cacheprovider", f"--rootdir={p.parent}", str(p)],
        printed=r"[\s\S]*1 passed[\s\S]*",
    )


def environment() -> Iterator[Case]:
    in_c = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}
    yield Case(name="C locale", options=["-X", "utf8=0"], variables=in_c)
    yield Case(name="unknown locale", variables={"LC_ALL": "xx_YY.nothing", "LANG": "?"})
    comma = "import locale\ntry: locale.setlocale(locale.LC_ALL, 'de_DE.UTF-8')\nexcept locale.Error: pass\nrun()"
    yield Case(name="decimal comma", main=comma)
    yield Case(name="no HOME", variables={"HOME": None, "XDG_CACHE_HOME": None})
    yield Case(name="HOME that is not there", variables={"HOME": "/nowhere/at all"})
    yield Case(name="TMPDIR that is not there", variables={"TMPDIR": "/nowhere"})
    yield Case(
        name="TMPDIR that is no ASCII",
        make=lambda directory: (directory / "témp ☃").mkdir(),
        shell='export TMPDIR="$PWD/témp ☃"; exec "$@"',
    )
    yield Case(name="empty environment", shell='exec env -i "$@"', before=HERE)
    yield Case(name="environment emptied", before="import os; os.environ.clear()\n" + HERE)
    yield Case(
        name="huge environment",
        before="import os; os.environ['HUGE'] = 'x' * 3_000_000",
        refused="shorten the environment variables or sys.path",
    )
    for_the_program = "WARNINGS=error OPTIMIZE=2 DEVMODE=1 STARTUP=/nowhere MALLOC=debug DONTWRITEBYTECODE=1"
    for_the_program += " NOUSERSITE=1 ASYNCIODEBUG=1 HASHSEED=0 TRACEMALLOC=1 FAULTHANDLER=1 UNBUFFERED=1"
    words = (word.partition("=") for word in for_the_program.split())
    yield Case(name="variables of Python", variables={f"PYTHON{name}": value for name, _, value in words})
    yield Case(name="PYTHONHOME, ignored", options=["-E"], before=HERE, variables={"PYTHONHOME": "/nowhere"})


def modules() -> Iterator[Case]:
    yield Case(name="junk in PYTHONPATH", variables={"PYTHONPATH": f":relative::/dev/null:/nowhere:{SOURCES}"})
    junk = "import pathlib\nsys.path[:0] = [pathlib.Path('x'), b'y', 7, None]\nrun()"
    yield Case(name="junk in sys.path", main=junk)
    yield Case(name="no UTF-8 in sys.path", main="sys.path.insert(0, os.fsdecode(b'/caf\\xe9'))\nrun()")
    yield Case(
        name="colon in sys.path",
        make=written("a:b/mine.py", ""),
        main="sys.path.insert(0, os.path.abspath('a:b'))\nimport mine\nrun()",
    )
    yield Case(
        name="package in a directory with a colon",
        make=colon,
        before="import os, sys; sys.path.insert(0, os.path.abspath('10:30'))",
        variables={"PYTHONPATH": None},
    )
    yield Case(
        name="package in a zip file",
        make=zipped,
        before="import sys; sys.path.insert(0, 'packages.zip')",
        variables={"PYTHONPATH": None},
    )
    yield Case(name="modules of the user beside the program", make=shadowing)
    yield Case(
        name="modules of the user first in sys.path",
        make=written("lib/queue.py", "raise SystemExit('mine')"),
        main="import framewire, asyncio\nsys.path.insert(0, os.path.abspath('lib'))\nrun()",
    )
    yield Case(
        name="sitecustomize that prints",
        make=written("site/sitecustomize.py", "print('customized')"),
        variables={"PYTHONPATH": f"site:{SOURCES}"},
        printed="(framewire engine: )?customized",
    )
    yield Case(name="no IPython", before="import sys; sys.modules['IPython'] = sys.modules['anywidget'] = None")


def streams_and_files() -> Iterator[Case]:
    for descriptors in ("0", "1", "2", "0 1", "0 2", "1 2", "0 1 2"):
        closed = " ".join(f"{number}<&-" for number in descriptors.split())
        yield Case(name=f"closed {descriptors}", shell=f'exec "$@" {closed}')
    yield Case(name="no streams in sys", main="sys.stdin = sys.stdout = sys.stderr = None\nrun()")
    yield Case(name="no argv", main="del sys.argv\nrun()")
    full = (
        "read, write = os.pipe()\nos.set_blocking(write, False)\ntry:\n    while True: os.write(write, bytes(4096))\n"
    )
    full += "except BlockingIOError: pass\nos.set_blocking(write, True)\nos.dup2(write, 1)\nrun()"
    yield Case(name="output is a full pipe", main=full)
    yield Case(name="working directory removed", shell='mkdir gone; cd gone; rmdir ../gone; exec "$@"')
    yield Case(
        name="working directory read-only",
        shell=f"mkdir -m 555 only; cd only; {as_user(65534, 'dac_read_search')}",
        needs=root_only,
    )
    yield Case(name="umask 777", shell='umask 777; exec "$@"', options=["-B"])
    empty = 'exec unshare -m sh -c "mount -t tmpfs none /dev && exec \\"\\$@\\"" sh "$@"'
    yield Case(name="nothing in /dev", shell=empty, needs=no_mounts)
    by_name = {"FRAMEWIRE_LINK": "names"}
    yield Case(name="link by name", variables=by_name)
    yield Case(name="link by name, closed 0 1 2", variables=by_name, shell='exec "$@" 0<&- 1<&- 2<&-')
    refused = "PermissionError(1, 'no local sockets')"
    yield Case(name="local sockets refused", before=refusing("socket.socketpair", refused))
    yield Case(
        name="processes forbidden",
        before=refusing("subprocess.Popen", "PermissionError(1, 'none')"),
        printed=".*FramewireWarning: .*thread.*|  .*",
    )
    yield Case(name="memory files refused", before=refusing("os.memfd_create", "PermissionError(1, 'no memory files')"))


def limits() -> Iterator[Case]:
    files = r"^the engine cannot be started: (\S+: )?Too many open files; raise the limit of open files \(ulimit -n\)$"
    yield Case(name="20 open files", shell='ulimit -n 20; exec "$@"')
    yield Case(name="10 open files", shell='ulimit -n 10; exec "$@"', refused=files)
    yield Case(name="no memory", shell='ulimit -v 260000; exec "$@"', refused=NO_MEMORY, printed="framewire.*|  .*")
    yield Case(
        name="no memory, engine on a thread",
        shell='ulimit -v 260000; exec "$@"',
        main="run(engine='thread')",
        refused="^the engine cannot be imported: ",
        printed="  .*|.*(Warning|Error).*",
    )
    yield Case(name="no large files", shell='ulimit -f 0; exec "$@"', refused="ulimit -f")
    yield Case(
        name="no processes of another user",
        shell=as_user(65534).replace("exec", "exec prlimit --nproc=1"),
        variables={"OPENBLAS_NUM_THREADS": "1"},
        needs=root_only,
        refused=r"^the engine cannot be started: .*; raise the limits? of processes .*\(ulimit -u.*\)$",
    )
    yield Case(
        name="no processes",
        before=refusing("subprocess.Popen", "BlockingIOError(11, 'no processes')"),
        refused=r"^the engine cannot be started: \S+: no processes; raise the limit of processes \(ulimit -u\)$",
    )
    yield Case(
        name="no threads",
        before=refusing("threading.Thread.start", 'RuntimeError("can\'t start new thread")'),
        refused=r"^the engine cannot be started: can't start new thread; raise the limits of processes and .*\)$",
    )
    yield Case(name="another user", shell=as_user(65534), needs=root_only)
    yield Case(name="a user without a name", shell=as_user(12345), variables={"HOME": None}, needs=root_only)
    yield Case(name="low priority", shell='exec nice -n 19 "$@"')


def processes_and_threads() -> Iterator[Case]:
    yield Case(name="forked", main=FORKED)
    old = ["-W", "ignore::DeprecationWarning"]
    yield Case(name="forked from a program that serves", main=FORKED_FROM_A_SERVER, options=old)
    yield Case(name="a daemon", main=DAEMON)
    for kind in ("fork", "spawn", "forkserver"):
        yield Case(name=f"multiprocessing, {kind}", main=MULTIPROCESSING.format(kind))
    yield Case(name="a thread", main=f"import threading\n{in_thread('run')}")
    yield Case(name="eight threads publish", main=EIGHT_THREADS)
    yield Case(name="engine on a thread", main="run(engine='thread')")
    yield Case(name="children reaped by the program", before=REAPED)


def loops() -> Iterator[Case]:
    yield Case(name="asyncio.run", main="import asyncio\nasyncio.run(run_async())")
    debug = "import asyncio, framewire\nasyncio.run(run_async(), debug=True)"
    yield Case(name="asyncio's debug mode", main=debug, printed="Executing <.* seconds")
    yield Case(name="a loop that runs", main="import asyncio\nasync def main(): run()\nasyncio.run(main())")
    yield Case(name="inline", main="import asyncio\nasyncio.run(run_async(engine='inline'))")
    yield Case(name="uvloop", main="import uvloop\nuvloop.run(run_async())", needs=module("uvloop"))
    nested = "import asyncio, nest_asyncio2\nnest_asyncio2.apply()\nasyncio.run(run_async())"
    yield Case(name="nest_asyncio", main=nested, needs=module("nest_asyncio2"))
    yield Case(name="anyio", main="import anyio\nanyio.run(run_async)", needs=module("anyio"))
    yield Case(name="trio", main="import trio\nasync def main(): run()\ntrio.run(main)", needs=module("trio"))
    yield Case(name="trio, awaited", main=UNDER_TRIO, needs=module("trio"))
    patched = "from gevent import monkey; monkey.patch_all()"
    yield Case(name="gevent", before=patched, needs=module("gevent"))
    yield Case(name="gevent, patched late", before=f"import framewire\n{patched}", needs=module("gevent"))
    yield Case(name="gevent, engine on a thread", before=patched, main="run(engine='thread')", needs=module("gevent"))
    green = "import warnings; warnings.simplefilter('ignore')\nimport eventlet; eventlet.monkey_patch()"
    yield Case(name="eventlet", before=green, needs=module("eventlet"))
    popen = "subprocess.Popen = functools.partial(subprocess.Popen, preexec_fn=lambda: None)"
    yield Case(name="a subprocess that forks in Python", before=f"import functools, subprocess\n{popen}")


def signals_and_clocks() -> Iterator[Case]:
    yield Case(name="SIGCHLD ignored", main="import signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\nrun()")
    blocked = "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\nrun()"
    yield Case(name="signals blocked", main=blocked)
    yield Case(name="signals ignored", shell="trap '' TERM HUP INT QUIT PIPE USR1 ALRM; exec \"$@\"")
    default = "import signal\nsignal.signal(signal.SIGPIPE, signal.SIG_DFL)\nrun({})"
    yield Case(name="SIGPIPE at its default", main=default.format(""))
    yield Case(name="SIGPIPE at its default, engine on a thread", main=default.format("engine='thread'"))
    yield Case(name="interrupted all the time", main=INTERRUPTED)
    yield Case(name="a stopped clock", before="import time; time.time = lambda: 0.0; time.time_ns = lambda: 0")
    yield Case(name="a clock that goes back", before="import time; now = time.time; time.time = lambda: 2e9 - now()")
    yield Case(name="warnings are errors", main="import warnings, framewire; warnings.simplefilter('error')\nrun()")


def programs_that_are_no_python() -> Iterator[Case]:
    frozen = "import os, sys; sys.frozen = True\n"
    line = r'^the engine .*frozen program.*FRAMEWIRE_PYTHON.*engine="thread"$'
    yield Case(name="frozen", before=frozen, refused=line)
    yield Case(name="frozen, engine on a thread", before=frozen, main="run(engine='thread')")
    named = frozen + "os.environ['FRAMEWIRE_PYTHON'] = os.path.abspath('other')"
    yield Case(name="frozen, with a Python named", before=named, make=another_python)
    versions = "^the engine cannot be started: .* has framewire .*, and the program has 0.0.1; let FRAMEWIRE_PYTHON .*$"
    other = "import framewire.link.spawn as spawn; spawn.__version__ = '0.0.1'"
    yield Case(name="a Python with another version", before=other, refused=versions, printed="framewire.*")
    yield Case(
        name="frozen, unsaid",
        before=ITSELF,
        make=itself,
        refused="python-app is this program itself",
        printed="framewire.*",
    )
    for host in ("/usr/bin/uwsgi", "", None):
        yield Case(name=f"embedded in {host!r}", before=f"import sys; sys.executable = {host!r}")
    yield Case(
        name="FRAMEWIRE_PYTHON that is not there",
        variables={"FRAMEWIRE_PYTHON": "/nowhere/python"},
        refused="^the engine cannot be started: /nowhere/python: No such file .*; let FRAMEWIRE_PYTHON in .*$",
    )


NO_MEMORY = r"not started any more: .*(MemoryError|failed to map|memory|SystemError)"
FULL_PIPE = """
read, write = os.pipe()
os.set_blocking(write, False)
try:
    while True:
        os.write(write, bytes(4096))
except BlockingIOError:
    pass
os.set_blocking(write, True)
os.dup2(write, 1)
run()
"""
FORKED = """
child = os.fork()
if not child:
    run()
    os._exit(0)
os.waitpid(child, 0)
"""
FORKED_FROM_A_SERVER = """
import framewire as fw
with fw.serve(8, 8, port=0) as first:
    first.wait_ready(30)
    child = os.fork()
    if not child:
        run()
        os._exit(0)
    os.waitpid(child, 0)
"""
DAEMON = """
if not os.fork():
    os.setsid()
    if not os.fork():
        for n in (0, 1, 2):
            os.close(n)
        os.chdir("/")
        os.umask(0)
        run()
    os._exit(0)
os.wait()
wait()
"""
MULTIPROCESSING = """
import multiprocessing
if __name__ == "__main__":
    child = multiprocessing.get_context({!r}).Process(target=run)
    child.start()
    child.join()
"""
EIGHT_THREADS = """
import threading
import numpy as np
import framewire as fw
with fw.serve(64, 48, port=0) as display:
    target = lambda: [display.publish(np.zeros((48, 64, 3), np.uint8)) for _ in range(50)]
    threads = [threading.Thread(target=target) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    publish(display)
    wait()
"""
UNDER_TRIO = """
import trio
import framewire as fw
async def main():
    async with await fw.serve(64, 48, port=0) as display:
        publish(display)
        await trio.to_thread.run_sync(wait)
trio.run(main)
"""
REAPED = """
import os, threading, time
def reap():
    while True:
        try:
            os.wait()
        except ChildProcessError:
            time.sleep(0.01)
threading.Thread(target=reap, daemon=True).start()
"""
INTERRUPTED = """
import signal
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
run()
signal.setitimer(signal.ITIMER_REAL, 0)
"""
ITSELF = """
import os, sys
sys.executable = os.path.abspath("python-app")
with open("starts", "a") as file:
    assert file.tell() < 2, "it starts itself again and again"
    file.write("1")
"""


def in_thread(function: str) -> str:
    return f"thread = threading.Thread(target={function})\nthread.start()\nthread.join()"


def refusing(what: str, error: str) -> str:
    """A function of the system that raises, in a program that has imported all it needs."""
    imports = "import framewire, numpy, os, socket, subprocess, threading"
    return f"{imports}\ndef refuse(*_, **__): raise {error}\n{what} = refuse"


def written(name: str, text: str) -> Callable[[Path], None]:
    """Writes a file."""

    def make(directory: Path) -> None:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)

    return make


def colon(directory: Path) -> None:
    (directory / "10:30").mkdir()
    (directory / "10:30" / "framewire").symlink_to(SOURCES / "framewire")


def zipped(directory: Path) -> None:
    with zipfile.ZipFile(directory / "packages.zip", "w") as archive:
        for file in sorted((SOURCES / "framewire").rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                archive.write(file, file.relative_to(SOURCES))


def shadowing(directory: Path) -> None:
    """Modules of names that the engine imports and the program does not."""
    for name in "av aiohttp aiortc aioice cryptography html http engine link".split():
        (directory / f"{name}.py").write_text("raise SystemExit('a module of the user')")


def another_python(directory: Path) -> None:
    """A Python that has the package, as another environment does."""
    (directory / "other").write_text(f'#!/bin/sh\nPYTHONPATH={SOURCES} exec {sys.executable} "$@"\n')
    (directory / "other").chmod(0o755)


def itself(directory: Path) -> None:
    """An executable that is the program, whatever its arguments."""
    (directory / "python-app").write_text(f'#!/bin/sh\nexec {sys.executable} {directory / "program.py"} "$@"\n')
    (directory / "python-app").chmod(0o755)


def module(name: str) -> Callable[[], str | None]:
    return lambda: None if importlib.util.find_spec(name) else f"{name} is not installed"


def root_only() -> str | None:
    return None if os.geteuid() == 0 and shutil.which("setpriv") else "needs root and setpriv (util-linux)"


def no_mounts() -> str | None:
    tried = os.geteuid() == 0 and shutil.which("unshare") and subprocess.run(["unshare", "-m", "true"], check=False)
    return None if tried and tried.returncode == 0 else "needs root and unshare (util-linux)"


def as_user(number: int, *rights: str) -> str:
    """Another user. It may read all files: who runs the tests may keep Python where others have no access."""
    capabilities = ",".join(f"+{right}" for right in rights or ("dac_override", "dac_read_search"))
    options = f"--reuid={number} --clear-groups --inh-caps={capabilities} --ambient-caps={capabilities}"
    return f'exec setpriv {options} "$@"'


CASES = [
    *how_python_is_started(),
    *environment(),
    *modules(),
    *streams_and_files(),
    *limits(),
    *processes_and_threads(),
    *loops(),
    *signals_and_clocks(),
    *programs_that_are_no_python(),
]
