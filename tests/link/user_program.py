"""A user's program that streams and then ends in the way its argument says. Must not know how tests check it.

Prints the engine's process id when the engine is up.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np

from framewire.link.control import AddStream, Configure, Ring
from framewire.link.listen import bind
from framewire.link.ring import RingWriter
from framewire.link.supervisor import EngineSupervisor
from framewire.options import EngineOptions, StreamOptions


def main(end: str) -> None:
    command = [sys.executable, str(Path(__file__).with_name("echo_engine.py"))]
    configure = Configure(options=EngineOptions())
    engine = EngineSupervisor(bind("127.0.0.1", 0), configure, on_message=lambda message: None, command=command)
    ready = engine.wait_ready(60)
    ring = RingWriter(3)
    engine.send(AddStream(options=StreamOptions(id=1, name="a", width=1, height=1)))
    engine.send(Ring(stream=1), ring)
    ring.write(np.zeros((1, 1, 3), np.uint8), 1, 1)
    engine.ring_bell(1)
    if end == "killed, and a child lives" and os.fork() == 0:
        time.sleep(600)
    sys.stdout.write(f"{ready.pid}\n")
    sys.stdout.flush()
    if end == "exception":
        raise SystemError("the user's bug")
    if end.startswith("killed"):
        time.sleep(600)
    if end == "os._exit":
        os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1])
