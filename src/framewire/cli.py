"""The command line: `framewire demo`, `doctor` and `bench`. Must not know engines: it uses what users import."""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import shutil
import socket
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NoReturn

from framewire._version import __version__
from framewire.addresses import MAX_PORT, is_loopback, listening_host
from framewire.browser import open_page
from framewire.display import Display
from framewire.errors import EngineError, FramewireError, FramewireWarning
from framewire.frame import MAX_SIDE_PX
from framewire.keywords import unknown
from framewire.patterns import PATTERNS
from framewire.publishing import publish_loop
from framewire.server import IN_CLEAR_TEXT
from framewire.serving import serve


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a Windows console, or a pipe, may not have every character
        sys.stdout.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except FramewireError as error:
        print(f"framewire: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader has seen enough, `head` for instance
        _drop_output()
        return 141
    except OSError as error:
        print(f"framewire: {error}", file=sys.stderr)
        _drop_output()
        return 1
    return status


def _drop_output() -> None:
    """What is not yet written of the output goes nowhere: Python would try again at its end, and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with an argument, without its usage."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuses an option that is not there first: else its value is what argparse speaks of."""
        for each in args or ():
            option = each.partition("=")[0]
            if each.startswith("--") and not (self._subparsers or self._has(option)):
                known = [name for name in self._option_string_actions if name.startswith("--")]
                self.error(unknown("this command", "option", option, known))
        return super().parse_known_args(args, namespace)

    def _has(self, option: str) -> bool:
        return any(name.startswith(option) for name in self._option_string_actions)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} ({self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="framewire", description="Numpy frames to a notebook or a browser.")
    parser.add_argument("--version", action="version", version=f"framewire {__version__}")
    parser.set_defaults(run=partial(_help, parser))
    commands = parser.add_subparsers(metavar="COMMAND")
    demo = commands.add_parser("demo", help="show a moving picture in your browser")
    demo.add_argument("pattern", nargs="?", choices=sorted(PATTERNS), default="plasma")
    demo.add_argument("--size", type=_size, default=(1280, 720), metavar="WxH", help="pixels (1280x720)")
    demo.add_argument("--fps", type=_fps, default=60.0, help="frames a second (60)")
    demo.add_argument("--host", type=_host, default="127.0.0.1", help="address to listen on (127.0.0.1)")
    demo.add_argument("--port", type=_port, default=None, help="8765, or any free one; 0 for any free one")
    demo.add_argument("--mode", choices=("auto", "webrtc", "webcodecs", "lossless"), default="auto")
    demo.add_argument("--smooth", action="store_true", help="let the browser hold frames back, for an even pace")
    demo.add_argument("--chroma", choices=("420", "444"), default="420", help="444: colour at full resolution")
    demo.add_argument("--no-open", action="store_true", help="do not open a browser")
    demo.add_argument("--seconds", type=_duration, default=None, help="end after so many seconds")
    demo.set_defaults(run=_demo)
    doctor = commands.add_parser("doctor", help="check what works on this machine, and how to get what does not")
    doctor.set_defaults(run=_doctor)
    bench = commands.add_parser(
        "bench", help="time this machine: encoders, lossless packing, publishing, the trip to a viewer"
    )
    bench.add_argument(
        "--size", type=_size, action="append", metavar="WxH", help="1280x720 and 1920x1080; may be repeated"
    )
    bench.add_argument("--content", choices=sorted(PATTERNS), default="plot")
    bench.add_argument("--fps", type=_fps, default=30.0, help="frames a second that bitrates are calculated for (30)")
    bench.add_argument("--seconds", type=_seconds, default=1.5, help="for each row (1.5)")
    bench.add_argument("--json", type=Path, metavar="FILE", help="write the figures and what machine they are of")
    bench.set_defaults(run=_bench)
    return parser


def _help(parser: argparse.ArgumentParser, _: argparse.Namespace) -> int:
    parser.print_help()
    return 0


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(side) for side in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r:.80} is not a size, such as 1280x720") from None
    if not (1 <= width <= MAX_SIDE_PX and 1 <= height <= MAX_SIDE_PX):
        raise argparse.ArgumentTypeError(f"from 1x1 to {MAX_SIDE_PX}x{MAX_SIDE_PX}")
    return width, height


def _fps(text: str) -> float:
    return _above_zero(text, 1000, "frame rate: above 0, at most 1000")


def _seconds(text: str) -> float:
    return _above_zero(text, 3600, "time: above 0, at most 3600 seconds")


def _duration(text: str) -> float:
    return _above_zero(text, math.inf, "time: above 0, in seconds")


def _host(text: str) -> str:
    try:
        return listening_host(text)
    except ValueError as fault:
        raise argparse.ArgumentTypeError(f"{text!r:.80} {fault}") from None


def _port(text: str) -> int:
    if text.isdecimal() and int(text) <= MAX_PORT:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r:.80} is not a port: 0 to {MAX_PORT}")


def _above_zero(text: str, most: float, what: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number <= most:
        raise argparse.ArgumentTypeError(f"{text!r:.80} is not a {what}")
    return number


# demo


def _demo(options: argparse.Namespace) -> int:
    width, height = options.size
    asked: dict[str, Any] = {"host": options.host, "port": options.port, "chroma": options.chroma}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FramewireWarning)  # `_announce` says it in its place
        display = serve(width, height, fps=options.fps, latency="smooth" if options.smooth else "low", **asked)
    with display:
        display.wait_ready()
        render = PATTERNS[options.pattern](width, height)
        number = iter(range(1 << 62))
        task = publish_loop(display, lambda: render(next(number)), fps=options.fps)
        url = display.url.replace("#", f"?mode={options.mode}#") if options.mode != "auto" else display.url
        _announce(display, url, options)
        try:
            _watch(display, task.done, options.seconds)
        finally:
            task.cancel()
            task.join(2)
    return 0


def _announce(display: Display, url: str, options: argparse.Namespace) -> None:
    print(f"framewire {__version__}: {options.pattern}, {display.width}x{display.height} at {options.fps:g} fps")
    print(f"\n    {url}\n")
    if not is_loopback(options.host):
        print(f"From another machine: the same address with this machine's name instead of {display.server.address}.")
        print(f"Mind that {IN_CLEAR_TEXT}.")
    print("Ctrl-C ends it. The part after # is the token: anyone who has it may watch.", flush=True)
    if not options.no_open:
        open_page(url)


def _watch(display: Display, done: Callable[[], bool], seconds: float | None) -> None:
    """Print a line when viewers or encodings change; ends with the loop, the time or Ctrl-C."""
    end = time.monotonic() + seconds if seconds else float("inf")
    printed: tuple[Any, ...] = ()
    while not done() and time.monotonic() < end:
        time.sleep(min(0.5, max(0.0, end - time.monotonic())))
        stats = display.stats
        news = (display.client_count, tuple(stats["encodings"]))
        if news != printed:
            printed = news
            viewers = f"{news[0]} viewer{'' if news[0] == 1 else 's'}"
            print(f"  {viewers}{', sending ' + ' + '.join(news[1]) if news[1] else ''}", flush=True)
    if display.server.failure:
        raise EngineError(display.server.failure)


# doctor


def _doctor(options: argparse.Namespace) -> int:
    print(f"framewire {__version__}, Python {sys.version.split()[0]}, {os.cpu_count()} cores\n")
    checks = (_check_client, _check_encoders, _check_colour, _check_engine, _check_addresses, _check_notebook)
    wrong = 0
    for check in checks:
        try:
            fine, text = check()
        except Exception as error:
            fine, text = False, f"{check.__name__[7:]}: {type(error).__name__}: {error}"
        wrong += not fine
        print(f"  {'ok ' if fine else 'NO '} {text}", flush=True)
    print("\neverything works" if not wrong else f"\nto fix: {wrong}")
    return 1 if wrong else 0


def _check_client() -> tuple[bool, str]:
    from importlib.resources import files

    missing = [
        n for n in ("page.html", "page.js", "widget.js") if not files("framewire").joinpath("static", n).is_file()
    ]
    if missing:
        return False, "the browser client is not built (in a checkout: make setup; wheels carry it)"
    return True, "the browser client is built"


def _check_encoders() -> tuple[bool, str]:
    import numpy as np

    from framewire.codec.encoders import available_codecs, open_encoder
    from framewire.codecs import CODECS
    from framewire.frame import Frame

    codecs = available_codecs()
    if not codecs:
        return False, "no video encoder: reinstall PyAV from its wheel (pip install --force-reinstall av)"
    frame = Frame(np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8), 1, 1)
    speeds = []
    for codec in codecs:
        encoder = open_encoder(codec, fps=30, max_bitrate=8_000_000)
        encoder.encode(frame)
        start, number = time.perf_counter(), 0
        while number < 10 and time.perf_counter() - start < 1:
            number += 1
            encoder.encode(Frame(np.roll(frame.pixels, number, 1), number + 1, number + 1))
        speeds.append(f"{CODECS[codec].label} {number / (time.perf_counter() - start):.0f} fps of 720p noise")
        encoder.close()
    return True, "encoders: " + ", ".join(speeds)


def _check_colour() -> tuple[bool, str]:
    try:
        import cv2
    except ImportError:
        return True, "colour conversion by swscale; OpenCV takes a quarter of its time (pip install 'framewire[fast]')"
    return True, f"colour conversion by OpenCV {cv2.__version__}"


def _check_engine() -> tuple[bool, str]:
    start = time.perf_counter()
    with serve(64, 48, name="doctor", port=0) as display:
        display.wait_ready()
        took = time.perf_counter() - start
        with socket.create_connection(("127.0.0.1", display.port), timeout=5) as sock:
            sock.sendall(
                f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{display.port}\r\nConnection: close\r\n\r\n".encode()
            )
            healthy = b"200" in sock.recv(64)
    return healthy, f"the engine starts in {took:.1f} s and answers"


def _check_addresses() -> tuple[bool, str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            # Sends nothing: it only asks the routing table which address leads outside (RFC 5737 address).
            sock.connect(("192.0.2.1", 9))
            address = sock.getsockname()[0]
        except OSError:
            return True, "no network but loopback: viewers on this machine only"
    return True, f'viewers on this machine use 127.0.0.1; others reach {address} with serve(host="0.0.0.0")'


def _check_notebook() -> tuple[bool, str]:
    try:
        widgets = version("anywidget")
    except PackageNotFoundError:
        return False, "no notebook widgets: pip install anywidget"
    lab = "JupyterLab is installed" if shutil.which("jupyter-lab") else "no JupyterLab on PATH (pip install jupyterlab)"
    return True, f"notebook widgets by anywidget {widgets}; {lab}"


# bench


def _writable(file: Path) -> bool:
    """Whether the file can be written; checked before minutes of timing."""
    try:
        file.touch()
    except OSError as error:
        print(f"framewire: {error}", file=sys.stderr)
        return False
    return True


def _bench(options: argparse.Namespace) -> int:
    from framewire.bench.figures import table
    from framewire.bench.run import facts, machine, run

    sizes = options.size or [(1280, 720), (1920, 1080)]
    if options.json and not _writable(options.json):
        return 1
    rows = []
    for row in run(sizes, options.content, options.fps, options.seconds):
        rows.append(row)
        print(f"  {row.size} {row.what}", file=sys.stderr, flush=True)
    here = machine()
    print(f"framewire {__version__}, Python {here['python']}, {here['cores']} cores, colours by {here['colours']}")
    print(f"{options.content}; bitrates at {options.fps:g} frames a second\n\n{table(rows)}")
    if options.json:
        figures = {"machine": here, "content": options.content, "fps": options.fps, "rows": facts(rows)}
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
