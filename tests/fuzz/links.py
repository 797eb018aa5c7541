"""Targets between the program's process and the engine's: control messages both ways, arguments, shared memory.

Must not know how inputs are made smaller, kept or counted.
"""

from __future__ import annotations

import logging
import mmap
import struct
from collections.abc import Hashable
from typing import Any, Final

import numpy as np

from framewire.authentication import ConnectionRequest
from framewire.errors import EngineError, LocalProtocolError
from framewire.host.process import ProcessHost
from framewire.link import control, ring
from framewire.link.handles import Handles
from framewire.link.memory import PAGE_BYTES
from framewire.link.restart import Replay
from framewire.link.supervisor import EngineSupervisor
from framewire.options import EngineOptions, StreamOptions
from framewire.viewers import WatchingViewer
from tests.fuzz.choices import Choices
from tests.fuzz.fuzzer import Target, kind_of
from tests.fuzz.mutators import link_mutator, spliced

# Control messages

_STREAM: Final = StreamOptions(id=1, name="one", width=6, height=4, title="t", codecs=("h264", "vp8"))
_REQUEST: Final = ConnectionRequest(headers={"host": "h"}, cookies={"c": "1"}, query={"q": "1"}, remote="192.0.2.1")
TO_ENGINE: Final[tuple[control.ToEngine, ...]] = (
    control.Listeners(shares=(b"s",)),
    control.Configure(options=EngineOptions(token="t" * 22, allow_origins=("https://a.example",)), asks_parent=True),
    control.AddStream(options=_STREAM),
    control.RemoveStream(id=1),
    control.Ring(stream=1, number=2, memory="framewire-" + "0" * 32, size=9),
    control.ViewerOpened(id=1, request=_REQUEST),
    control.ViewerText(id=1, text="{}"),
    control.ViewerRead(id=1, size=2),
    control.ViewerClosed(id=1),
    control.AdmissionAnswered(id=1, principal="ada"),
    control.Shutdown(),
)
FROM_ENGINE: Final[tuple[control.FromEngine, ...]] = (
    control.Ready(pid=1, epoch="e"),
    control.RingLost(stream=1, number=2),
    control.InputArrived(stream=1, client_id="c", event={"type": "wheel", "timestamp": 1.0, "x": 1, "dx": 0.5}),
    control.InputArrived(
        stream=1, client_id="c", event={"type": "pointer_move", "timestamp": 1.0, "touches": {"1": {}}}
    ),
    control.Viewers(stream=1, viewers=(WatchingViewer("c", None, True), WatchingViewer("d", "ada", False))),
    control.EngineStats(stream=1, stats={"viewers": 1, "encodings": ["h264"], "encode_ms": {"h264": 1.5}}),
    control.ViewerText(id=1, text="{}"),
    control.ViewerBinary(id=1, data=b"unit"),
    control.ViewerClosed(id=1, code=4400, reason="r"),
    control.AdmissionAsked(id=1, token="t", request=_REQUEST),
    control.Log(level=30, text="l"),
    control.Failed(text="f"),
)
_WORDS: Final = sorted(
    {field for message in (*TO_ENGINE, *FROM_ENGINE) for field in message.__struct_fields__}
    | {
        "type",
        "pid",
        "headers",
        "token",
        "ratio",
        "timestamp",
        "viewer_text",
        "input_arrived",
        "log",
        "ready",
        "viewers",
    }
)


MAX_LINK_CPU_S: Final = 0.5
"""Hundreds of messages in one input, each of which is decoded five times here."""
_EVERYTHING: Final = 1 << 80
"""Above every level that a message of the engine's log may have."""


def _seeds(messages: tuple[Any, ...]) -> list[bytes]:
    each = [control.encode(message) for message in messages]
    return [*each, b"".join(each), b"".join(reversed(each))]


def _decoded(decoder: control.Decoder[Any], data: bytes) -> list[Any] | str:
    """All messages, or what is wrong with them."""
    try:
        return decoder.feed(data)
    except LocalProtocolError as error:
        assert "\n" not in str(error) and len(str(error)) < 600
        try:
            decoder.feed(b"")
        except LocalProtocolError:
            return kind_of(str(error))
        raise AssertionError("a decoder that failed goes on") from None


def _both_ways(data: bytes, make: Any) -> Any:
    found: Any = _decoded(make(), data)
    half = len(data) // 2
    pieces: Any = []
    decoder = make()
    for piece in (data[:half], data[half : half + 1], data[half + 1 :]):
        more = _decoded(decoder, piece)
        if isinstance(more, str):
            assert isinstance(found, str), "bytes are read alike, however they arrive"
            return found
        pieces += more
    assert pieces == found or _has_nan(data)
    again = b"".join(control.encode(message) for message in found)
    assert make().feed(again) == found or _has_nan(data), "what is read can be written and read again"
    return found


def _has_nan(data: bytes) -> bool:
    """NaN is not equal to itself; MessagePack has it, and no message of ours needs it."""
    return b"\xcb\x7f" in data or b"\xcb\xff" in data or b"\xca\x7f" in data or b"\xca\xff" in data


def read_in_engine(data: bytes) -> Hashable:
    """What the parent sends. The engine keeps what the next engine must be sent."""
    found = _both_ways(data, control.engine_decoder)
    if isinstance(found, str):
        return found
    replay: Replay[str] = Replay(control.Configure(options=EngineOptions(token="t" * 22)))
    for message in found:
        try:
            replay.record(message, "memory" if isinstance(message, control.Ring) else None)
        except LocalProtocolError:
            assert isinstance(message, control.Ring)
    for message, memory in replay.messages():
        assert (memory is not None) == isinstance(message, control.Ring)
        assert control.engine_decoder().feed(control.encode(message)) == [message]
    return tuple(type(message).__name__ for message in found[:4])


class _Listener:
    """A program that looks at what it is given."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def on_input(self, stream: int, client_id: str, principal: str | None, event: dict[str, Any]) -> None:
        self.calls.append("input")
        assert isinstance(event, dict)

    def on_viewers(self, stream: int, viewers: tuple[WatchingViewer, ...]) -> None:
        self.calls.append("viewers")

    def on_stats(self, stream: int, stats: dict[str, Any]) -> None:
        self.calls.append("stats")

    def on_ready(self) -> None:
        self.calls.append("ready")

    def on_failed(self, text: str) -> None:
        self.calls.append("failed")


class _Quiet:
    """Takes what a supervisor and a host hand on."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def read_in_parent(data: bytes) -> Hashable:
    """What the engine sends: an engine that sends anything at all must not end its parent, nor its supervisor."""
    found = _both_ways(data, control.parent_decoder)
    if isinstance(found, str):
        return found
    host, supervisor, listener = (
        ProcessHost.__new__(ProcessHost),
        EngineSupervisor.__new__(EngineSupervisor),
        _Listener(),
    )
    quiet: Any = _Quiet()
    host._listener, host._channels, host._authenticator = listener, quiet, quiet
    supervisor._outbox = supervisor._changed = quiet
    supervisor.failure = supervisor._process = None
    supervisor._on_message = host._take
    # Not `_hand_on`, which logs what is raised: nothing may be.
    supervisor._hand_on = host._take  # type: ignore[method-assign]
    logging.disable(_EVERYTHING)
    try:
        for message in found:
            supervisor._take(message)
    finally:
        logging.disable(logging.NOTSET)
    return (tuple(type(message).__name__ for message in found[:4]), tuple(listener.calls[:3]))


# The command line


def read_arguments(data: bytes) -> Hashable:
    arguments = data.decode("utf-8", "surrogateescape").split("\n")
    try:
        handles = Handles.parse(arguments)
    except LocalProtocolError as error:
        assert "\n" not in str(error)
        return None
    assert Handles.parse(handles.arguments()) == handles
    return (len(handles.listeners), handles.by_name)


def _argument_seeds() -> list[bytes]:
    several = (
        Handles(control=3, bell=4, listeners=(5, 6), parent=7),
        Handles(control=1, bell=2, parent=3, by_name=True),
    )
    return ["\n".join(each.arguments()).encode() for each in several]


# Shared memory

_SLOT_BYTES: Final = PAGE_BYTES
_RING_BYTES: Final = PAGE_BYTES + ring.SLOT_COUNT * _SLOT_BYTES
_WORD_COUNT: Final = 8 * (1 + ring.SLOT_COUNT)
_INTERESTING: Final = (
    0, 1, 2, 3, 7, 8, 9, 0xFF, 0x100, 0x101, 0x108, 0x109, 0x1FE, 0x1FF, 4096, 8192, 1 << 31, 1 << 32, (1 << 63) - 1,
    1 << 63, (1 << 64) - 1,
)  # fmt: skip


def _whole_ring() -> tuple[mmap.mmap, ring.RingWriter]:
    writer = ring.RingWriter(_SLOT_BYTES, shared=False)
    writer.write(np.zeros((4, 6, 3), np.uint8), 1, 2)
    return writer.memory, writer


def share_memory(data: bytes) -> Hashable:
    """Each end of a ring, while the other writes anything at all into the header: no error but its own, no frame
    beyond the memory."""
    choices = Choices(data)
    memory, writer = _whole_ring()
    words = memoryview(memory).cast("Q")
    reached: list[Any] = []
    leases: list[Any] = []
    reader = ring.RingReader(memory)
    try:
        while choices.more and len(reached) < 40:
            kind = choices.below(6)
            if kind <= 1:
                words[choices.below(_WORD_COUNT)] = choices.pick(_INTERESTING)
            elif kind == 2:
                reached.append(_write(writer))
            elif kind == 3:
                lease = reader.latest()
                if lease:
                    _check_frame(lease.frame)
                    leases.append(lease)
                reached.append(lease is not None)
            elif kind == 4 and leases:
                leases.pop().release()
            else:
                frame = writer.newest()
                reached.append(frame is None)
    finally:
        for lease in leases:
            lease.release()
        reader.close()
        words.release()
        writer.close()
    return tuple(reached[:6])


def _write(writer: ring.RingWriter) -> Hashable:
    try:
        writer.write(np.zeros((4, 6, 3), np.uint8), 3, 4)
    except EngineError:
        return "refused"
    return "written"


def _check_frame(frame: Any) -> None:
    pixels = frame.pixels
    assert pixels.ndim == 3 and 0 < pixels.nbytes <= _SLOT_BYTES
    int(pixels.sum())


def open_memory(data: bytes) -> Hashable:
    """Memory with any header, as an engine is handed it."""
    memory = mmap.mmap(-1, _RING_BYTES)
    memory[: min(len(data), PAGE_BYTES)] = data[:PAGE_BYTES]
    try:
        reader = ring.RingReader(memory)
    except LocalProtocolError:
        return "refused"
    lease = reader.latest()
    if lease is None:
        return "empty"
    _check_frame(lease.frame)
    shape = lease.frame.pixels.shape
    lease.release()
    reader.close()
    return ("frame", shape[2])


def _memory_seeds() -> list[bytes]:
    memory, writer = _whole_ring()
    head = memory[: 8 * _WORD_COUNT]
    writer.close()
    return [head, struct.pack("<QQQQ", ring._MAGIC, ring.SLOT_COUNT, _SLOT_BYTES, 0)]


_to_engine: Final = link_mutator(_WORDS)
_EPISODES: Final = [
    bytes([2, 3, 0, 3, 5, 3, 4, 5]),
    bytes(range(60)),
    bytes([0, 3, 11, 3, 2, 5]),
    b"\x00\x03\x09\x03" * 4,
]

TARGETS: Final = (
    Target("to_engine", read_in_engine, lambda: _seeds(TO_ENGINE), _to_engine, max_cpu_s=MAX_LINK_CPU_S),
    Target("to_parent", read_in_parent, lambda: _seeds(FROM_ENGINE), _to_engine, max_cpu_s=MAX_LINK_CPU_S),
    Target("arguments", read_arguments, _argument_seeds, spliced, max_bytes=4096),
    Target(
        "ring",
        share_memory,
        lambda: list(_EPISODES),
        spliced,
        max_bytes=200,
        is_episode=True,
        variations=4,
        ci_inputs=1500,
    ),
    Target("ring_header", open_memory, _memory_seeds, spliced, max_bytes=8 * _WORD_COUNT, ci_inputs=1500),
)
