"""Programs that fork, spawn, serve at their end or outlive their event loop; `test_reruns.py` runs them."""

from __future__ import annotations

HEAD = """
import asyncio, atexit, multiprocessing, os, sys
import numpy as np
import framewire as fw
frame = np.zeros((48, 64, 3), np.uint8)
def say(*words): print(*words, flush=True)
"""

PROGRAMS = {
    "a forked child serves, and forks": (
        """
display = fw.serve(64, 48, port=0).wait_ready()
if (child := os.fork()) == 0:
    own = fw.serve(64, 48, port=0).wait_ready()
    if (grandchild := os.fork()) == 0:
        os._exit(3)
    status = os.waitpid(grandchild, 0)[1]
    own.publish(frame)
    own.close()
    sys.exit(os.waitstatus_to_exitcode(status) if own.port != display.port else 1)
say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
display.publish(frame)
""",
        ["3"],
    ),
    "a module that serves, in a spawned child": (
        """
display = fw.serve(64, 48, port=0)
display.publish(frame)
def work():
    display.publish(frame)
    say("worked")
if __name__ == "__main__":
    child = multiprocessing.get_context("spawn").Process(target=work)
    child.start()
    child.join()
    say(child.exitcode)
""",
        ["worked", "0"],
    ),
    "served at exit, and in __del__": (
        """
class Camera:
    def __init__(self, name):
        self.display = fw.serve(64, 48, port=0, name=name)
    def __del__(self):
        self.display.publish(frame)
        self.display.close()
        say("deleted")
def late():
    Camera("late")
    say("late")
atexit.register(late)
camera = Camera("early")
""",
        ["deleted", "late", "deleted"],
    ),
    "event loops that end": (
        """
async def main(engine):
    display = await fw.serve(64, 48, port=0, engine=engine, name=engine)
    async def render(): return frame
    fw.publish_loop(display, render, fps=100)
    display.publish(frame)
    return display
for engine in ("process", "thread", "inline"):
    display = asyncio.run(main(engine))
    try:
        display.publish(frame)
        say(engine, "goes on")
    except fw.ClosedError as error:
        say(error)
    display.close()
asyncio.run(main("process"))
""",
        ["process goes on", "thread goes on", "the event loop that the engine ran on is closed"],
    ),
}
"""By what they do: the program, and what it prints."""
