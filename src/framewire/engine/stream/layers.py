"""One codec of one stream for everybody who takes it: at most three encodings, each viewer on one of them.

The shell around `rungs`: opens and closes encodings and moves viewers between them. Must not know sessions or peers.
A viewer moves with the first keyframe of where it goes, so that it never sees pictures of two encodings in turn.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial

from framewire.engine.stream.encoding import EncodingReport, FrameSource, Key, PackedUnit, Sink
from framewire.engine.stream.layer_policy import FULL, HALF, LOW, Layer, LayerPolicy, thin
from framewire.engine.stream.rate import RembLimiter
from framewire.engine.stream.video import VideoLayer

NAMES: dict[Layer, str] = {FULL: "", LOW: "-low", HALF: "-half"}
HALF_CEILING = 8
"""Part of the stream's highest bitrate that the encoding of half size may use; never less than a million bits: its
buffer, and so its keyframes, are as small."""

OpenEncoding = Callable[[int, bool], VideoLayer]
"""Opens an encoding of at most so many bits a second, of half the size or not."""


class LayeredEncoding:
    """What a stream takes for one encoding, and is one to three."""

    def __init__(self, codec: str, ceiling: int, fps: float, open_lane: OpenEncoding) -> None:
        self.codec = codec
        self.brake: RembLimiter[Key] = RembLimiter(ceiling)
        self._fps = fps
        self._open_lane = open_lane
        self._rungs: LayerPolicy[Key] = LayerPolicy(self.brake.limit)
        self._lanes: dict[Layer, VideoLayer] = {}
        self._at: dict[Key, Layer] = {}
        """Where each viewer's units come from; `LayerPolicy` says where it is to be."""
        self._sinks: dict[Key, tuple[Sink, bool]] = {}
        self._visible: dict[Key, bool] = {}
        self._made_before: dict[str, int] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self.size = (0, 0)
        """Of the stream's frames."""

    # Subscribers

    def add(self, key: Key, sink: Sink, *, packets: bool) -> None:
        self._rungs.add(key, time.monotonic())
        self._sinks[key] = sink, packets
        self._at[key] = FULL
        self._lane(FULL).add(key, partial(self._deliver, key, FULL), packets=packets)

    def remove(self, key: Key) -> None:
        self._rungs.remove(key)
        self.brake.forget(key)
        self._at.pop(key, None)
        self._sinks.pop(key, None)
        self._visible.pop(key, None)
        for lane in self._lanes.values():
            lane.remove(key)
        self._aim()
        self._shut_idle()

    def __contains__(self, key: Key) -> bool:
        return key in self._at

    def __len__(self) -> int:
        return len(self._at)

    def show(self, key: Key, visible: bool) -> None:
        if key not in self._at:
            return
        self._visible[key] = visible
        self._rungs.show(key, visible)
        for lane in self._lanes.values():
            lane.show(key, visible)
        self._review()

    def request_keyframe(self, key: Key) -> None:
        """This subscriber cannot go on without a keyframe."""
        if key in self._at:
            self.lane(key).request_keyframe(key)

    def acknowledge(self, key: Key, number: int) -> None:
        """A unit arrived whole over the WebSocket."""
        if key in self._at:
            self.lane(key).acknowledge(key, number)

    def estimate(self, key: Key, bits_per_second: float, sent_bps: float, *, measured: bool) -> None:
        """What the way to one viewer takes, while ``sent_bps`` bits a second go there: ``measured``, or as the viewer
        guesses."""
        if key not in self._at:
            return
        if measured:
            self.brake.measured(key, bits_per_second)
        else:
            self.brake.estimate(key, bits_per_second, sent_bps)
        self._review()

    def vsync(self, key: Key, slack_s: float, refresh_s: float) -> None:
        """A viewer's frames are ready ``slack_s`` before the screen refresh that shows them."""
        if key in self._at:
            self.lane(key).vsync(key, slack_s, refresh_s)

    # What it is asked

    @property
    def max_bps(self) -> int:
        """Bits a second, at most."""
        return self.brake.ceiling

    def lane(self, key: Key) -> VideoLayer:
        """The encoding whose units a viewer gets now."""
        return self._lanes[self._at[key]]

    def sent_bps(self, key: Key, now: float) -> float:
        """Bits a second sent to this subscriber in the last two seconds."""
        return self.lane(key).sent_bps(key, now) if key in self._at else 0.0

    def report(self, key: Key, now: float) -> EncodingReport:
        """Numbers for one subscriber's statistics."""
        return self.lane(key).report(key, now) if key in self._at else EncodingReport()

    @property
    def encodings(self) -> dict[str, VideoLayer]:
        """Those in use, by name."""
        return {self.codec + NAMES[rung]: lane for rung, lane in self._lanes.items()}

    def encode_ms(self, now: float) -> dict[str, float]:
        """Mean time to encode one frame, by the name of each encoder in use."""
        return {name: lane.cost.mean(now) for name, lane in self.encodings.items()}

    @property
    def encodes(self) -> dict[str, int]:
        """Units made since the beginning, by encoding."""
        made = dict(self._made_before)
        for name, lane in self.encodings.items():
            made[name] = made.get(name, 0) + lane.made
        return made

    # The encodings

    def wake(self) -> None:
        """A frame was published. Who gets the best of it gets it first: the other encodings would take the
        processors from it, and wait until it is sent."""
        if FULL in self._lanes:
            self._lanes[FULL].wake()
        else:
            self._wake_others()

    def _wake_others(self) -> None:
        for rung, lane in self._lanes.items():
            if rung != FULL:
                lane.wake()

    def resize(self, width: int, height: int) -> None:
        self.size = width, height

    def replace_source(self, source: FrameSource) -> None:
        for lane in self._lanes.values():
            lane.source = source

    def _lane(self, rung: Layer) -> VideoLayer:
        if rung not in self._lanes:
            part = max(1_000_000, self.max_bps // HALF_CEILING) if rung == HALF else self.max_bps
            self._lanes[rung] = lane = self._open_lane(min(part, self.max_bps), rung == HALF)
            if rung == FULL:
                lane.on_turn = self._wake_others
            self._aim()
        return self._lanes[rung]

    def _review(self) -> None:
        now = time.monotonic()
        spent = {rung: lane.output.per_second(now) * 8 for rung, lane in self._lanes.items()}
        for key, rung in self._rungs.review(spent, thin(*self.size, self._fps), now).items():
            self._move(key, rung)
        self._aim()
        self._shut_idle()

    def _move(self, key: Key, rung: Layer) -> None:
        """Wait on the other encoding for its next keyframe; until then the units of the one before go on."""
        for other, lane in self._lanes.items():
            if other != self._at[key]:
                lane.remove(key)  # it was on its way there
        if rung == self._at[key]:
            return
        lane = self._lane(rung)
        lane.add(key, partial(self._deliver, key, rung), packets=self._sinks[key][1])
        lane.show(key, self._visible.get(key, True))

    def _deliver(self, key: Key, rung: Layer, packed: PackedUnit) -> bool:
        if self._at[key] != rung:
            before, self._at[key] = self._lanes[self._at[key]], rung
            self._lanes[rung].take_over(key, before)
            before.remove(key)
            self._shut_idle()
        return self._sinks[key][0](packed)

    def _aim(self) -> None:
        for rung, lane in self._lanes.items():
            target = self._rungs.target(rung)
            if target is not None:
                lane.aim(int(target))

    def _shut_idle(self) -> None:
        for rung in [rung for rung, lane in self._lanes.items() if not len(lane)]:
            lane = self._lanes.pop(rung)
            if rung == FULL:
                # It was to wake them when its turn is over.
                self._wake_others()
            name = self.codec + NAMES[rung]
            self._made_before[name] = self._made_before.get(name, 0) + lane.made
            task = asyncio.get_running_loop().create_task(lane.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        # A lane that still runs may end another meanwhile.
        for lane in list(self._lanes.values()):
            await lane.close()
        await asyncio.gather(*self._closing)
