"""Every pixel of one stream: each viewer gets what changed since the frame it has, packed once for all that have it.

Must not know sessions, sockets or peers; how tiles are found and packed is `codec`'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from framewire.codec.lossless import checksum_of, pack, pack_delta
from framewire.codec.messages import messages
from framewire.codec.tiles import Tiles
from framewire.engine.stream.compression import CompressionChoice, CompressionTrial
from framewire.engine.stream.context import StreamContext
from framewire.engine.stream.encoding import Clock, Key, PackedUnit, Sink
from framewire.engine.stream.fanout import Subscriber
from framewire.engine.stream.loop import EncodingLoop
from framewire.frame import AccessUnit, Frame

MAX_DELTA_FRACTION: Final = 0.9
"""A delta of this fraction of the tiles or more is sent as a whole picture: that needs no base, and less work.

Source: chosen by hand;
pinned by `tests/engine/stream/test_lossless.py::test_a_picture_that_changed_almost_everywhere_is_sent_whole`.
"""


@dataclass(frozen=True, slots=True)
class LosslessJob:
    """A frame to pack, and what to pack it against."""

    frame: Frame
    bases: Mapping[int | None, int]
    """Numbers of the frames that viewers have, and the tiles' turn of each; None and 0 for the whole picture."""
    choice: CompressionChoice


@dataclass(frozen=True, slots=True)
class BuiltLossless:
    """The units of one frame."""

    number: int
    turn: int
    """The tiles' turn of the frame."""
    units: Mapping[int | None, PackedUnit]
    """By the frame that they build on. Several may be the same whole picture."""
    trials: tuple[CompressionTrial, ...]


class _Compressor:
    """Makes the units of one job, compressed where that pays, and notes what it cost."""

    def __init__(self, choice: CompressionChoice, clock: Clock) -> None:
        self._choice = choice
        self._clock = clock
        self.trials: list[CompressionTrial] = []

    def make(self, raw_bytes: int, make: Callable[[bool], AccessUnit]) -> AccessUnit:
        """A unit of so many raw bytes; ``make`` takes whether to compress it."""
        started_at = self._clock()
        compress = self._choice.compress(raw_bytes, started_at)
        unit = make(compress)
        if compress:
            trial = CompressionTrial(raw_bytes, len(unit.data), self._clock() - started_at, started_at)
            self.trials.append(trial)
            self._choice = self._choice.tried(trial)
        return unit


class LosslessBuilder:
    """The part of the lossless encoding that runs on a worker thread. Owns the tiles."""

    def __init__(self, stream_id: int, clock: Clock) -> None:
        self._stream_id = stream_id
        self._clock = clock
        self._tiles = Tiles()
        self._turn = 0
        self._checksum = 0
        self._newest: tuple[int, int] | None = None
        """Number and time of the frame that the tiles hold."""

    def build(self, job: LosslessJob) -> BuiltLossless:
        """Pack one frame against each of the job's bases."""
        frame = job.frame
        if (frame.number, frame.time_us) != self._newest:
            self._turn = self._tiles.update(frame)
            self._checksum = checksum_of(frame.pixels)
            self._newest = frame.number, frame.time_us
        compressor = _Compressor(job.choice, self._clock)
        units: dict[int | None, PackedUnit] = {}
        whole: PackedUnit | None = None
        for base, turn in job.bases.items():
            if base is not None and (delta := self._delta(frame, base, turn, compressor)):
                units[base] = self._packed(delta)
            else:
                units[base] = whole = whole or self._packed(self._whole(frame, compressor))
        return BuiltLossless(frame.number, self._turn, units, tuple(compressor.trials))

    def _delta(self, frame: Frame, base: int, turn: int, compressor: _Compressor) -> AccessUnit | None:
        """What changed since the base; None when the whole picture must be sent."""
        if turn < self._tiles.since:
            return None
        mask = self._tiles.changed(turn)
        if mask.mean() >= MAX_DELTA_FRACTION:
            return None
        body = self._tiles.body(mask)
        checksum = self._checksum
        return compressor.make(body.nbytes, lambda compress: pack_delta(frame, checksum, base, body, compress=compress))

    def _whole(self, frame: Frame, compressor: _Compressor) -> AccessUnit:
        return compressor.make(frame.pixels.nbytes, lambda compress: pack(frame, self._checksum, compress=compress))

    def _packed(self, unit: AccessUnit) -> PackedUnit:
        return PackedUnit(unit, None, tuple(messages(unit, self._stream_id)))


class LosslessEncoding(EncodingLoop[LosslessJob, BuiltLossless]):
    """The newest frame's pixels, whole or as a delta (an `Encoding`).

    A viewer has what it was sent, as a WebSocket loses nothing. So a viewer that skips frames needs no keyframe: its
    next delta brings what it skipped.
    """

    def __init__(self, context: StreamContext) -> None:
        self._choice = CompressionChoice()
        self._turns: dict[int, int] = {}
        """Numbers of the frames that viewers have, and the tiles' turn of each."""
        super().__init__("lossless", context, LosslessBuilder(context.options.id, context.clock).build)

    @property
    def max_bps(self) -> int:
        """Bandwidth does not steer it: credits do."""
        return 0

    def encode_ms(self, now: float) -> Mapping[str, float]:
        """Mean time to pack one frame."""
        return {self._name: self.cost_ms(now)}

    def add(self, key: Key, sink: Sink, *, packets: bool) -> None:
        """Start sending to a subscriber, from the whole picture on."""
        assert not packets, "RTP carries no lossless units"
        self.subscribe(Subscriber(key, sink, packets=False))

    def show(self, key: Key, visible: bool) -> None:
        """Whether the subscriber can be seen. A hidden one is sent nothing and restarts from the whole picture."""
        subscriber = self._fanout.get(key)
        if subscriber is None:
            return
        if subscriber.show(visible):
            self.restart(key)
        self.wake()

    def request_keyframe(self, key: Key) -> None:
        """The subscriber's picture is worth nothing to it, even if it is the newest."""
        self._fanout.missed(key, -1)
        self.wake()

    def acknowledge(self, key: Key, number: int) -> bool:
        """The unit of frame ``number`` arrived whole: its credit is free again, and the link was measured. False when
        it was not on its way."""
        arrived = self._fanout.acknowledge(key, number)
        if arrived is None:
            return False
        self._choice = self._choice.arrived(arrived.size_bytes, self._clock() - arrived.sent_at)
        self.wake()
        return True

    def estimate(self, key: Key, bits_per_second: float, sent_bps: float, *, measured: bool) -> None:
        """Without effect: credits follow the link by themselves."""

    def vsync(self, key: Key, slack_s: float, refresh_s: float) -> None:
        """Without effect: pictures on a canvas do not wait."""

    def _plan(self, frame: Frame, now: float) -> LosslessJob | None:
        bases = set(self._fanout.behind(frame.number).values())
        if not bases:
            return None
        turns = {base: 0 if base is None else self._turns.get(base, 0) for base in bases}
        return LosslessJob(frame, turns, self._choice)

    def _send(self, built: BuiltLossless) -> None:
        self._turns[built.number] = built.turn
        for trial in built.trials:
            self._choice = self._choice.tried(trial)
        distinct = {id(packed): packed for packed in built.units.values()}
        self._context.made[self._name] += len(distinct)
        self._mark(next(iter(distinct.values())).unit)
        for key, base in self._fanout.behind(built.number).items():
            if packed := built.units.get(base):
                self._send_to(key, packed)
            else:
                # It came, or has room again, since the job was planned.
                self.wake()
        held = self._fanout.held() | {built.number}
        self._turns = {number: turn for number, turn in self._turns.items() if number in held}

    def _send_to(self, key: Key, packed: PackedUnit) -> None:
        now, subscriber = self._clock(), self._fanout.get(key)
        assert subscriber is not None, "it was behind a moment ago"
        taken = subscriber.sink(packed)
        assert taken, "a socket's queue takes whatever there is credit for"
        self._fanout.sent(key, packed.unit.number, size_bytes=packed.size_bytes, now=now)
        subscriber.sent.add(now, packed.size_bytes)
