"""An engine that says what it sees: the smallest program at the other end of a link.

Must not know encoders or viewers. What it does is told by the first words of the
command line: ``mute`` never gets ready, ``deaf`` ignores Shutdown and SIGTERM, ``rubbish`` talks nonsense,
``refuse`` says Failed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import zlib

from framewire.link.attach import EngineLink
from framewire.link.control import (
    AddStream,
    Configure,
    EngineStats,
    Failed,
    Handles,
    Log,
    Ready,
    RemoveStream,
    Ring,
    Shutdown,
    ToEngine,
)
from framewire.link.ring import RingReader


class Echo:
    def __init__(self, words: set[str]) -> None:
        self.words = words
        self.rings: dict[int, RingReader] = {}
        self.names: dict[int, str] = {}
        self.over = asyncio.Event()

    def look(self, link: EngineLink, streams: set[int]) -> None:
        for stream in streams & self.rings.keys():
            lease = self.rings[stream].latest()
            if lease:
                with lease:
                    pixels = lease.frame.pixels
                    stats = {
                        "number": lease.frame.number,
                        "shape": list(pixels.shape),
                        "checksum": zlib.crc32(pixels.data),
                        "name": self.names[stream],
                        "pid": os.getpid(),
                    }
                link.send(EngineStats(stream=stream, stats=stats))

    def hear(self, link: EngineLink, message: ToEngine, fd: int | None) -> None:
        match message:
            case Configure():
                self.begin(link, message)
            case AddStream():
                self.names[message.options.id] = message.options.name
            case RemoveStream():
                self.rings.pop(message.id).close()
            case Ring():
                assert fd is not None
                self.rings[message.stream] = RingReader(fd)
                self.look(link, {message.stream})
            case Shutdown() if "deaf" not in self.words:
                self.over.set()

    def begin(self, link: EngineLink, configure: Configure) -> None:
        if "refuse" in self.words:
            link.send(Failed(text="no such codec"))
            self.over.set()
        elif "mute" not in self.words:
            link.send(Log(level=20, text=f"configured for {configure.options.host}"))
            link.send(Ready(pid=os.getpid(), epoch=os.urandom(4).hex()))


async def main(words: set[str], handles: Handles) -> None:
    echo = Echo(words)
    link: EngineLink
    # The bells of the time before this line are in the pair, not lost.
    link = EngineLink(handles, on_bell=lambda s: echo.look(link, s))
    if "rubbish" in words:
        os.write(handles.control, b"\xff" * 64)

    async def listen() -> None:
        while item := await link.receive():
            echo.hear(link, *item)
        echo.over.set()

    listening = asyncio.create_task(listen())
    await echo.over.wait()
    listening.cancel()
    link.close()


if __name__ == "__main__":
    arguments = sys.argv[1:]
    plain = {word for word in arguments if not word.startswith("--")}
    if "deaf" in plain:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.stdout.write("echo engine up\n")
    sys.stdout.flush()
    asyncio.run(main(plain, Handles.parse(arguments)))
