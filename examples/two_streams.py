"""Several pictures on one port: a server with named streams, each with options of its own."""

import time

import numpy as np

import framewire as fw


def ramp(channel, speed):
    """A function that draws a moving ramp of one colour."""
    level = np.linspace(0, 255, 640)

    def draw():
        frame = np.zeros((360, 640, 3), np.uint8)
        frame[..., channel] = (level + speed * 60 * time.monotonic()) % 256
        return frame

    return draw


if __name__ == "__main__":
    with fw.serve_server() as server:
        video = server.add_stream("video", 640, 360, fps=30)
        text = server.add_stream("text", 640, 360, fps=30, chroma="444")
        for display, draw in ((video, ramp(0, 1)), (text, ramp(2, 3))):
            print(display.url, flush=True)
            fw.publish_loop(display, draw, fps=30)
        video.wait()
