"""An engine that reports what it receives: the smallest program at the other end of a link.

Must not know encoders or viewers. The first words of the command line choose what it does: ``mute`` never gets ready,
``stubborn`` ignores Shutdown and SIGTERM, ``rubbish`` sends what is no message, ``refuse`` sends Failed, ``forgetful``
loses the first ring, ``alive`` says so once.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import zlib

from framewire.link.attach import EngineLink, RingMemory
from framewire.link.control import (
    AddStream,
    Alive,
    Configure,
    EngineStats,
    Failed,
    Log,
    Ready,
    RemoveStream,
    Ring,
    Shutdown,
    ToEngine,
    ViewerText,
)
from framewire.link.handles import Handles
from framewire.link.ring import RingReader


class Echo:
    def __init__(self, words: set[str]) -> None:
        self.words = words
        self.rings: dict[int, RingReader] = {}
        self.names: dict[int, str] = {}
        self.stopped = asyncio.Event()

    def report(self, link: EngineLink, streams: set[int]) -> None:
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

    def take(self, link: EngineLink, message: ToEngine, memory: RingMemory | None) -> None:
        match message:
            case Configure():
                self.start(link, message)
            case AddStream():
                self.names[message.options.id] = message.options.name
            case RemoveStream():
                self.rings.pop(message.id).close()
            case Ring() if "forgetful" in self.words:
                self.words.discard("forgetful")
                if isinstance(memory, int):
                    os.close(memory)
                link.ring_lost(message)
            case Ring():
                assert memory is not None
                self.rings[message.stream] = RingReader(memory)
                self.report(link, {message.stream})
            case ViewerText():
                link.send_to_viewer(message)
            case Shutdown() if "stubborn" not in self.words:
                self.stopped.set()

    def start(self, link: EngineLink, configure: Configure) -> None:
        if "refuse" in self.words:
            link.send(Failed(text="no such codec"))
            if "stubborn" not in self.words:
                self.stopped.set()
        elif "mute" not in self.words:
            link.send(Log(level=20, text=f"configured for {configure.options.host}"))
            link.send(Ready(pid=os.getpid(), epoch=os.urandom(4).hex()))
            if "alive" in self.words:
                link.send(Alive())


async def main(words: set[str], handles: Handles) -> None:
    echo = Echo(words)
    link: EngineLink
    # Bells that rang before this line wait in the pair.
    link = EngineLink(handles, on_bell=lambda s: echo.report(link, s))
    if "rubbish" in words:
        link._control.send(b"\xff" * 64)

    async def listen() -> None:
        while item := await link.receive():
            echo.take(link, *item)
        echo.stopped.set()

    listening = asyncio.create_task(listen())
    await echo.stopped.wait()
    listening.cancel()
    link.close()


if __name__ == "__main__":
    arguments = sys.argv[1:]
    plain = {word for word in arguments if not word.startswith("--")}
    if "stubborn" in plain:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.stdout.write("echo engine up\n")
    sys.stdout.flush()
    asyncio.run(main(plain, Handles.parse(arguments)))
