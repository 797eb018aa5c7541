"""Faults of processes: the engine, the user's program, all of a machine. Must not know how the time is taken."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import psutil

from benchmarks.faults.stage import Setup, Stage, StageError, go_on, stop, tree

Play = Callable[[Stage], Awaitable[float]]
HOOKS = Path(__file__).parent / "hooks"
PROGRAM_AGAIN_S = 0.2
"""From one attempt to start a program again to the next, as a service manager does it."""
TAKEN_S = 3.0
"""How long another program has the port."""
DISK = "/var/tmp"
"""The full disk is here, and files that no place is named for go there."""
OUT_S = 5.0
"""How long something has run out."""
HOUR_S = 3600


async def kill_engine(stage: Stage) -> float:
    since = time.monotonic()
    stage.program.engine.kill()
    return since


def stop_engine(seconds: float) -> Play:
    async def play(stage: Stage) -> float:
        engine = stage.program.engine
        since = time.monotonic()
        stop(engine)
        await asyncio.sleep(seconds)
        go_on(engine)
        return since

    return play


async def kill_program(stage: Stage) -> float:
    since = time.monotonic()
    await stage.program.kill()
    await restarted(stage)
    return since


async def stop_program(stage: Stage) -> float:
    program = psutil.Process(stage.program.pid)
    stop(program)
    await asyncio.sleep(10)
    since = time.monotonic()
    go_on(program)
    return since


async def take_port(stage: Stage) -> float:
    await stage.program.kill()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        while True:
            try:
                other.bind(("127.0.0.1", stage.program.port))
                break
            except OSError:
                await asyncio.sleep(0.02)
        other.listen()
        restart = asyncio.create_task(restarted(stage))
        await asyncio.sleep(TAKEN_S)
    since = time.monotonic()
    await restart
    return since


async def restarted(stage: Stage) -> None:
    """The program as a service manager starts it: again and again, until it serves."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return await stage.program.start()
        except StageError:
            if time.monotonic() > deadline:
                raise
            await stage.program.close()
            await asyncio.sleep(PROGRAM_AGAIN_S)


async def sleep_all(stage: Stage) -> float:
    everything = [*tree(stage.browser.pid), *tree(stage.program.pid)]
    stop(*everything)
    await asyncio.sleep(60)
    since = time.monotonic()
    go_on(*everything)
    return since


def hooked(**variables: str) -> Setup:
    """A program whose Python is changed by the hooks; the variables name files of the stage's folder."""
    path = os.pathsep.join((str(HOOKS), os.environ.get("PYTHONPATH", "")))
    return Setup(variables={"PYTHONPATH": path, **{name: f"{{folder}}/{file}" for name, file in variables.items()}})


async def raise_in_encoder(stage: Stage) -> float:
    file = stage.folder / "raise"
    since = time.monotonic()
    file.touch()
    await asyncio.sleep(OUT_S)
    file.unlink()
    return since


async def raise_once_in_encoder(stage: Stage) -> float:
    file = stage.folder / "raise"
    since = time.monotonic()
    file.touch()
    await asyncio.sleep(0.1)
    file.unlink()
    return since


@contextlib.contextmanager
def limited(process: psutil.Process) -> Iterator[None]:
    """The process can open no file meanwhile."""
    before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (process.num_fds(), before[1]))
    try:
        yield
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)


async def no_descriptors_in_engine(stage: Stage) -> float:
    """Another viewer comes meanwhile, and waits. Its picture is the one that is measured."""
    with limited(stage.program.engine):
        stage.screen = await stage.open()
        await asyncio.sleep(OUT_S)
        await stage.screen.look()
        if stage.screen.seen:
            raise StageError("the engine had descriptors left")
    return time.monotonic()


async def no_descriptors_in_program(stage: Stage) -> float:
    """A larger frame needs memory with a descriptor of its own."""
    program = psutil.Process(stage.program.pid)
    with limited(program):
        await stage.program.resize("1280x720")
        await asyncio.sleep(OUT_S)
    return time.monotonic()


def tmpfs(place: str) -> tuple[str, ...]:
    """A command whose program has a small file system of its own in this place."""
    return ("unshare", "-m", "sh", "-c", f'mount -t tmpfs -o size=32m none {place} && exec "$@"', "sh")


def fill(process: psutil.Process, place: str) -> Path:
    """Fill the process's file system at this place; removing the file makes room again."""
    file = Path(f"/proc/{process.pid}/root{place}/filler")
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as filler:
        while filler.write(bytes(1 << 16)):
            pass
    return file


async def fill_disk(stage: Stage) -> float:
    """While the disk is full, the engine is killed, and the next one has to start."""
    fill(psutil.Process(stage.program.pid), DISK)
    return await kill_engine(stage)


async def fill_shm(stage: Stage) -> float:
    """Larger frames need new memory; there is none until the file is removed."""
    filler = fill(psutil.Process(stage.program.pid), "/dev/shm")
    await stage.program.resize("1280x720")
    await asyncio.sleep(OUT_S)
    since = time.monotonic()
    filler.unlink()
    return since


def set_clock(seconds: int) -> Play:
    """The clock of program and engine is set; the viewer's stays."""

    async def play(stage: Stage) -> float:
        since = time.monotonic()
        file = stage.folder / "new"
        file.write_text(str(seconds))
        file.rename(stage.folder / "clock")
        await asyncio.sleep(OUT_S)
        return since

    return play
