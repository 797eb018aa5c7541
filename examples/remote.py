"""A picture for other machines, over a link that loses packets.

Run it on the remote machine, then open the printed address. Where only SSH reaches that machine, leave ``host`` at its
default and forward the port: ``ssh -L 8765:127.0.0.1:8765 remote``. UDP does not pass through SSH, so the picture comes
over the WebSocket then.

A warning says that the token goes over the network in clear text. With a certificate, add
``tls=("cert.pem", "key.pem")``.
"""

import os
import socket

import numpy as np

import framewire as fw

WIDTH, HEIGHT, FPS = 1280, 720, 30

rng = np.random.default_rng(1)
rows, columns = np.mgrid[:HEIGHT, :WIDTH]
number = 0


def draw():
    """One frame: rings that run outwards, in three colours."""
    global number
    number += 1
    distance = np.hypot(columns - WIDTH / 2, rows - HEIGHT / 2)
    return np.stack([0.5 + 0.5 * np.sin(distance / size - number / 10) for size in (12, 17, 23)], axis=2)


if __name__ == "__main__":
    display = fw.serve(
        WIDTH,
        HEIGHT,
        fps=FPS,
        host="0.0.0.0",  # every interface: other machines can connect, if they have the token
        allow_hosts=[socket.gethostname()],  # the name that people type into their browsers
        token=os.environ.get("FRAMEWIRE_TOKEN"),  # None: one is made up, and is in the address
        latency="smooth",  # an even pace matters more here than a tenth of a second
    )
    with display:
        print(display.url.replace("127.0.0.1", socket.gethostname()), flush=True)
        fw.publish_loop(display, draw, fps=FPS)
        display.wait()
