"""A program that is used by hand: drag to paint, turn the wheel for the brush's size, press a key to begin again."""

import numpy as np

import framewire as fw

WIDTH, HEIGHT = 960, 600
PAPER, INK = 250, (30, 90, 200)

canvas = np.full((HEIGHT, WIDTH, 3), PAPER, np.uint8)
rows, columns = np.mgrid[:HEIGHT, :WIDTH]
size = 12.0


def receive(display, event):
    """Change the canvas and publish it: x and y are pixels of the frame, however large it is shown."""
    global size
    what = event["type"]
    if what == "wheel":
        size = min(80.0, max(2.0, size - event["dy"] / 20))
        display.title = f"Paint: brush of {size:.0f} pixels"
    elif what == "key_down":
        canvas[:] = PAPER
        display.publish(canvas)
    elif what in ("pointer_down", "pointer_move") and 1 in event["buttons"]:
        canvas[np.hypot(columns - event["x"], rows - event["y"]) < size] = INK
        display.publish(canvas)


if __name__ == "__main__":
    with fw.serve(WIDTH, HEIGHT, fps=60) as display:
        display.title = "Paint"
        display.cursor = "crosshair"
        display.publish(canvas)
        print(display.url, flush=True)
        display.on_event(lambda arrived: receive(display, arrived.event))
        display.wait()
