"""A Matplotlib figure that is drawn again and again. Needs Matplotlib."""

import time

import numpy as np
from matplotlib.figure import Figure

import framewire as fw

figure = Figure(figsize=(9.6, 5.4), dpi=100, layout="constrained")
axes = figure.subplots()
x = np.linspace(0, 4 * np.pi, 400)
(line,) = axes.plot(x, np.sin(x))
axes.set(xlabel="phase", ylabel="amplitude", ylim=(-1.1, 1.1))

if __name__ == "__main__":
    display = fw.serve(960, 540, fps=15, chroma="444")  # thin coloured lines stay as sharp in colour as in brightness
    with display:
        print(display.url, flush=True)
        try:
            while True:
                line.set_ydata(np.sin(x + 2 * time.monotonic()))
                display.publish(figure)  # draws it, and takes its pixels
                time.sleep(1 / 15)
        except KeyboardInterrupt:
            pass
