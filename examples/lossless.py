"""Is this ring in my data or in the codec? Every pixel as published, and a checksum that proves it.

Add ``?mode=lossless`` to a page's address, or ``mode="lossless"`` to a widget. The badge says "exact" for as long as
each frame that is shown has the checksum of the frame that was published.
"""

import itertools

import numpy as np

import framewire as fw

SIDE = 512

rows, columns = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
radius = np.hypot(rows, columns)
frames = itertools.count()


def draw():
    """One frame: a zone plate with one faint ring, an eighth of a percent brighter. Video codecs would lose it."""
    shift = next(frames) / 60
    picture = np.rint(127 + 100 * np.cos(90 * radius**2 - shift)).astype(np.uint8)
    picture[np.abs(radius - 0.5) < 0.004] += 1
    return picture


if __name__ == "__main__":
    with fw.serve(SIDE, SIDE, fps=30) as display:
        print(display.url.replace("#", "?mode=lossless#"), flush=True)
        fw.publish_loop(display, draw, fps=30)
        display.wait()
