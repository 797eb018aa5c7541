"""Which frame is on the screen, and since when: a barcode painted into frames, and a script that reads it on a page.

Must not know what publishes or how the picture travels: it reads what any page shows.

    log = Log()
    frame = log.next(pixels)                  # stamped with the next number, its time noted; publish it at once
    await start(page)                         # reads the screen on each requestAnimationFrame from now on
    print(report(await take(page), log))      # frames shown, latency, gaps
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

CELL = 16
"""Pixels a side: a macroblock, so that even a coarse encoding keeps a cell black or white."""
COLUMNS, ROWS = 8, 4
WIDTH, HEIGHT = CELL * COLUMNS, CELL * ROWS
"""The barcode in the top left corner: three rows of eight bits hold the number, the fourth their check."""
NUMBERS = 1 << 24


def check(number: int) -> int:
    """Eight check bits, chosen so that a black, a white or a half-drawn barcode does not pass."""
    return 0xA5 ^ (number & 0xFF) ^ (((number >> 8) * 5) & 0xFF) ^ (((number >> 16) * 11) & 0xFF)


def stamp(pixels: np.ndarray, number: int) -> np.ndarray:
    """Paint ``number`` into the corner of uint8 pixels (H, W) or (H, W, C), in place; alpha becomes opaque."""
    word = ((number % NUMBERS) << 8) | check(number % NUMBERS)
    bits = np.array([(word >> shift) & 1 for shift in range(31, -1, -1)], np.uint8).reshape(ROWS, COLUMNS)
    cells = np.kron(bits * 255, np.ones((CELL, CELL), np.uint8))
    corner = pixels[:HEIGHT, :WIDTH]
    corner[...] = cells if pixels.ndim == 2 else cells[:, :, None]
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        corner[..., 3] = 255
    return pixels


def read(pixels: np.ndarray) -> int | None:
    """The number in the corner of a picture; None where there is none, or a torn one."""
    gray = pixels[..., :3].mean(axis=2) if pixels.ndim == 3 else pixels
    middle = gray[CELL // 2 : HEIGHT : CELL, CELL // 2 : WIDTH : CELL]
    word = int("".join("1" if value > 127 else "0" for value in middle.flat), 2)
    number = word >> 8
    return number if check(number) == word & 0xFF else None


# This runs on the page. `pick` may name the element; else it is the topmost visible video, canvas or image.
# The sheet has 4 pixels a cell and is read in the middle of the cell, so that neighbours do not matter.
SCRIPT = """
(pick) => {
  globalThis.__probe?.stop();
  const CELL = 4, COLUMNS = 8, ROWS = 4, SOURCE = 16;
  const sheet = document.createElement("canvas");
  sheet.width = COLUMNS * CELL;
  sheet.height = ROWS * CELL;
  const paper = sheet.getContext("2d", { willReadFrequently: true });
  const sizeOf = (e) => e.videoWidth ?? e.naturalWidth ?? e.width;
  const solid = (e) => e.checkVisibility() && Number(getComputedStyle(e).opacity) > 0.5;
  const roomy = ({ width, height }) => width > 0 && height > 0;
  const seen = (e) => e.isConnected && sizeOf(e) > 0 && roomy(e.getBoundingClientRect()) && solid(e);
  const inside = (e) => (e.shadowRoot ? [e, ...all(e.shadowRoot)] : [e]);
  const all = (root) => [...root.querySelectorAll("*")].flatMap(inside);
  const pictures = () => all(document).filter((e) => /^(video|canvas|img)$/i.test(e.tagName));
  let known = [];
  const topmost = () => {
    // Searching a notebook's whole page on every tick would cost more than the picture.
    if (probe.ticks % 15 === 1) known = pictures();
    return known.filter(seen).at(-1);
  };
  const find = pick ? new Function(`return (${pick})`) : topmost;
  // The page's clock runs evenly from its start; the system's may have been set since. So compare them at the
  // system clock's next tick.
  const skew = () => {
    const from = Date.now();
    let to = from;
    while (to === from) to = Date.now();
    return to - (performance.timeOrigin + performance.now());
  };
  const offset = Math.min(skew(), skew(), skew());
  const decode = (bright) => {
    let word = 0n;
    for (let row = 0; row < ROWS; row++)
      for (let column = 0; column < COLUMNS; column++) word = (word << 1n) | (bright(row, column) ? 1n : 0n);
    const value = Number(word >> 8n);
    const check = 0xa5 ^ (value & 255) ^ (((value >> 8) * 5) & 255) ^ (((value >> 16) * 11) & 255);
    return check === Number(word & 255n) ? value : -1;
  };
  const drawn = (element, source) => {
    paper.drawImage(element, 0, 0, COLUMNS * source, ROWS * source, 0, 0, sheet.width, sheet.height);
    const { data } = paper.getImageData(0, 0, sheet.width, sheet.height);
    const at = (row, column) => 4 * ((row * CELL + 2) * sheet.width + column * CELL + 2);
    return decode((row, column) => data[at(row, column)] + data[at(row, column) + 1] + data[at(row, column) + 2] > 381);
  };
  // Reads the same as drawing the video, without converting all of it to RGB: on a small machine that takes half a
  // core, which the stream then lacks.
  const plain = async (video) => {
    const frame = new VideoFrame(video);
    try {
      if (frame.timestamp === probe.timestamp) return probe.last;
      if (!/^(I4|NV)/.test(frame.format ?? "")) return undefined;
      probe.timestamp = frame.timestamp;
      for (const source of [SOURCE, SOURCE / 2]) {
        const rect = { x: 0, y: 0, width: COLUMNS * source, height: ROWS * source };
        const brightness = new Uint8Array(frame.allocationSize({ rect }));
        const [{ offset, stride }] = await frame.copyTo(brightness, { rect });
        const at = (row, column) => offset + (row + 0.5) * source * stride + (column + 0.5) * source;
        const value = decode((row, column) => brightness[at(row, column)] > 127);
        if (value >= 0) return value;
      }
      return -1;
    } finally { frame.close(); }
  };
  const number = async (element) => {
    // For canvases this takes longer than drawing.
    if (globalThis.VideoFrame && element.tagName === "VIDEO") {
      const value = await plain(element).catch(() => undefined);
      if (value !== undefined) return value;
    }
    const value = drawn(element, SOURCE);
    // A video may have half the size.
    return value < 0 ? drawn(element, SOURCE / 2) : value;
  };
  const probe = { seen: [], ticks: 0, unread: 0, last: -1, handle: 0, stop: () => cancelAnimationFrame(probe.handle) };
  const look = async () => {
    probe.handle = requestAnimationFrame(look);
    probe.ticks += 1;
    const element = find();
    if (!element) return;
    const now = performance.timeOrigin + performance.now() + offset;
    // An image may still be loading.
    const value = await number(element).catch(() => -1);
    if (value < 0) probe.unread += 1;
    else if (value !== probe.last) probe.seen.push([now, value, element.tagName.toLowerCase()]);
    if (value >= 0) probe.last = value;
  };
  globalThis.__probe = probe;
  look();
}
"""
TAKE = "() => { const { seen, ticks, unread } = __probe; return { seen: __probe.seen.splice(0), ticks, unread }; }"


class Sighting(NamedTuple):
    """A frame that appeared on the screen."""

    at: float
    """Seconds since the Unix epoch, of the requestAnimationFrame that found it."""
    number: int
    element: str
    """``video``, ``canvas`` or ``img``."""


@dataclass
class Log:
    """Numbers frames and records when each was published. One thread, any, calls `next`."""

    sent: dict[int, float] = field(default_factory=dict)
    number: int = 0

    def next(self, pixels: np.ndarray) -> np.ndarray:
        """Stamp ``pixels`` in place with the next number; publish them at once."""
        self.number += 1
        stamp(pixels, self.number)
        self.sent[self.number] = time.time()
        return pixels


@dataclass(frozen=True)
class Report:
    """What a viewer saw. Times in milliseconds; NaN where there is nothing to measure."""

    frames: int
    """Different frames seen."""
    seconds: float
    """From the first to the last of them."""
    fps: float
    p50: float
    """Latency from publishing to the screen: the median."""
    p95: float
    """The latency that one frame in twenty exceeds."""
    gap_p95: float
    """Between one frame and the next on the screen."""
    gap: float
    """The longest time between two frames."""
    skipped: int
    """Frames published between the first and the last seen that were never seen."""
    backward: int
    """Times an older frame followed a newer one."""

    def __str__(self) -> str:
        return (
            f"{self.frames} frames in {self.seconds:.1f} s ({self.fps:.1f} fps), latency p50 {self.p50:.0f} "
            f"p95 {self.p95:.0f} ms, gap p95 {self.gap_p95:.0f} max {self.gap:.0f} ms, "
            f"skipped {self.skipped}, backward {self.backward}"
        )


async def start(page: Any, pick: str | None = None) -> None:
    """Begin to read the screen of a Playwright page (or frame); ``pick`` is JavaScript that returns the element."""
    await page.evaluate(SCRIPT, pick)


async def take(page: Any) -> list[Sighting]:
    """What was seen since `start` or the last `take`."""
    return sightings(await page.evaluate(TAKE))


def sightings(taken: dict[str, Any]) -> list[Sighting]:
    """The result of `TAKE`, for pages that something other than Playwright drives."""
    return [Sighting(at / 1000, int(number), element) for at, number, element in taken["seen"]]


def report(seen: Sequence[Sighting], log: Log | dict[int, float], *, warm_up: float = 0.0) -> Report:
    """The numbers of a run, without its first ``warm_up`` seconds."""
    sent = log.sent if isinstance(log, Log) else log
    kept = [one for one in seen if one.at >= seen[0].at + warm_up]
    delays = [(one.at - sent[one.number]) * 1000 for one in kept if one.number in sent]
    gaps = [(after.at - before.at) * 1000 for before, after in itertools.pairwise(kept)]
    numbers = [one.number for one in kept]
    seconds = kept[-1].at - kept[0].at if kept else 0.0
    return Report(
        frames=len(set(numbers)),
        seconds=seconds,
        fps=(len(kept) - 1) / seconds if seconds else 0.0,
        p50=_percentile(delays, 50),
        p95=_percentile(delays, 95),
        gap_p95=_percentile(gaps, 95),
        gap=max(gaps, default=float("nan")),
        skipped=max(numbers) - min(numbers) + 1 - len(set(numbers)) if numbers else 0,
        backward=sum(after < before for before, after in itertools.pairwise(numbers)),
    )


def _percentile(values: Sequence[float], part: float) -> float:
    return float(np.percentile(values, part)) if values else float("nan")
