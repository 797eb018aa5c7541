"""Every pixel of one stream: to each viewer what changed since the frame it has, packed once for all who have it.

Must not know sessions, sockets or peers; how tiles are found and packed is `codec`'s.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Executor
from typing import Final

from framewire.codec.lossless import checksum_of, pack, pack_delta
from framewire.codec.messages import messages
from framewire.codec.tiles import Tiles
from framewire.engine.stream.encoding import FrameSource, Key, Mark, PackedUnit
from framewire.engine.stream.loop import EncodingLoop
from framewire.engine.stream.rate import Packing
from framewire.frame import AccessUnit, Frame, rtp_timestamp

WHOLE: Final = 0.9
"""A delta of so much of the picture or more is sent as the whole picture: that needs no base, and less work."""


class LosslessEncoding(EncodingLoop):
    """The newest frame's pixels, whole or as a delta.

    What a viewer was sent it has: a WebSocket loses nothing, and a credit is only room. So a viewer that is
    skipped misses nothing that its next delta does not bring.
    """

    def __init__(self, stream: int, source: FrameSource, pool: Executor) -> None:
        self._packing = Packing()
        self._left: dict[tuple[Key, int], tuple[float, int]] = {}
        self._tiles = Tiles()
        self._checksum = 0
        self._taken: tuple[int, int] | None = None
        """Number and time of the frame that the tiles hold."""
        self._turns: dict[int, int] = {}
        """Frame numbers that viewers have, and the tiles' turn of each."""
        self._bases: frozenset[int | None] = frozenset()
        self._made: dict[int | None, PackedUnit] = {}
        """The newest frame by the base it builds on; what viewers without one get is under None."""
        super().__init__(stream, source, pool)

    @property
    def max_bps(self) -> int:
        """Bandwidth does not steer it: credits do."""
        return 0

    def encode_ms(self, now: float) -> Mapping[str, float]:
        """Mean time to pack one frame."""
        return {"lossless": self.cost.mean(now)}

    @property
    def encodes(self) -> Mapping[str, int]:
        """Units made since it began, by encoding."""
        return {"lossless": self.made}

    def estimate(self, key: Key, bits_per_second: float, sent_bps: float, *, measured: bool) -> None:
        """Credits follow the link by themselves."""

    def vsync(self, key: Key, slack_s: float, refresh_s: float) -> None:
        """Frames on a canvas are not moved."""

    def resize(self, width: int, height: int) -> None:
        """Each frame carries its size."""

    def request_keyframe(self, key: Key) -> None:
        # The picture this viewer has is worth nothing to it, even if it is the newest.
        self._fanout.missed(key, -1)
        self.wake()

    def acknowledge(self, key: Key, number: int) -> None:
        started, octets = self._left.pop((key, number), (0.0, 0))
        if octets:
            self._packing.arrived(octets, time.monotonic() - started)
        super().acknowledge(key, number)

    def remove(self, key: Key) -> None:
        super().remove(key)
        self._left = {k: v for k, v in self._left.items() if k[0] != key}

    def _due(self, frame: Frame, now: float) -> bool:
        self._bases = frozenset(self._fanout.behind(frame.number).values())
        return bool(self._bases)

    def _next(self, now: float) -> float | None:
        return None

    def _build(self, frame: Frame) -> PackedUnit:
        if (frame.number, frame.time_us) != self._taken:
            self._turns[frame.number] = self._tiles.update(frame)
            self._checksum = checksum_of(frame.pixels)
            self._taken = frame.number, frame.time_us
        whole: PackedUnit | None = None
        self._made = {}
        for base in self._bases:
            unit = self._delta(frame, base)
            if unit:
                self._made[base] = self._parcel(unit)
            else:
                self._made[base] = whole = whole or self._parcel(self._whole(frame))
        return next(iter(self._made.values()))

    def _parcel(self, unit: AccessUnit) -> PackedUnit:
        return PackedUnit(unit, None, tuple(messages(unit, self._stream)))

    def _delta(self, frame: Frame, base: int | None) -> AccessUnit | None:
        """None where the whole picture is called for."""
        turn = self._turns.get(base, 0) if base is not None else 0
        if base is None or turn < self._tiles.since:
            return None
        mask = self._tiles.changed(turn)
        if mask.mean() >= WHOLE:
            return None
        body = self._tiles.body(mask)
        started = time.monotonic()
        compress = self._packing.compress(body.nbytes, started)
        unit = pack_delta(frame, self._checksum, base, body, compress=compress)
        self._tried(body.nbytes, unit, started, compress=compress)
        return unit

    def _whole(self, frame: Frame) -> AccessUnit:
        started = time.monotonic()
        raw = frame.pixels.nbytes
        compress = self._packing.compress(raw, started)
        unit = pack(frame, self._checksum, compress=compress)
        self._tried(raw, unit, started, compress=compress)
        return unit

    def _tried(self, raw: int, unit: AccessUnit, started: float, *, compress: bool) -> None:
        if compress:
            self._packing.tried(raw, len(unit.data), time.monotonic() - started, started)

    def _send(self, packed: PackedUnit) -> list[Key]:
        number = packed.unit.number
        self.marks.append(Mark(number, rtp_timestamp(packed.unit.time_us), packed.unit.time_us))
        self.made += len(set(map(id, self._made.values()))) - 1
        takers = []
        for key, base in self._fanout.behind(number).items():
            made = self._made.get(base)
            if made is None:
                # It came, or has room again, since the others' was packed.
                self.wake()
                continue
            self._give(key, made)
            takers.append(key)
        held = {number, *(self._fanout.newest(key) for key in self._fanout)}
        self._turns = {n: turn for n, turn in self._turns.items() if n in held}
        return takers

    def _give(self, key: Key, packed: PackedUnit) -> None:
        now = time.monotonic()
        receiver = self._receivers[key]
        taken = receiver.sink(packed)
        assert taken, "a socket's queue takes whatever there is credit for"
        self._fanout.took(key, packed.unit.number)
        receiver.octets.add(now, packed.size_bytes)
        self._left[key, packed.unit.number] = (now, packed.size_bytes)
