"""One codec of one stream for all its viewers: at most three encoders, and each viewer on one of them.

The shell around `layer_policy`: starts and stops encoders and moves viewers between them. Must not know sessions or
peers. A viewer moves with the first keyframe of its new layer, so it never sees units of two encoders in turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from framewire.codec.base import VideoEncoder
from framewire.engine.stream.context import StreamContext
from framewire.engine.stream.encoding import EncodingReport, Key, PackedUnit, Sink
from framewire.engine.stream.fanout import Subscriber
from framewire.engine.stream.layer_policy import Layer, LayerPolicy, half_size_below_bps
from framewire.engine.stream.video import VideoLayer
from framewire.engine.stream.viewer_bandwidth import ViewerBandwidth

SUFFIXES: Final[Mapping[Layer, str]] = {Layer.FULL: "", Layer.LOW: "-low", Layer.HALF: "-half"}
"""What a layer's name has behind the codec's."""

HALF_SIZE_MAX_FRACTION: Final = 0.125
"""The half-size layer uses at most this fraction of the stream's highest bitrate, or `HALF_SIZE_MIN_BPS` if more.

An encoder's buffer follows the highest bitrate that it was opened for. A low one keeps its keyframes small.

Source: chosen by hand;
pinned by `tests/engine/stream/test_layers.py::test_the_half_size_encoder_is_opened_for_an_eighth_or_a_megabit`.
"""

HALF_SIZE_MIN_BPS: Final = 1_000_000
"""The half-size layer may use at least this much, if the stream may.

Source: chosen by hand;
pinned by `tests/engine/stream/test_layers.py::test_the_half_size_encoder_is_opened_for_an_eighth_or_a_megabit`.
"""

OpenEncoder = Callable[[int], VideoEncoder]
"""Opens an encoder for at most this many bits a second."""


@dataclass(slots=True, eq=False)
class _Viewer:
    """One viewer of a stream's video; `LayerPolicy` reads it."""

    subscriber: Subscriber
    bandwidth: ViewerBandwidth
    receives: Layer = Layer.FULL
    """The layer whose units it gets. While it moves, the policy has assigned another one."""

    @property
    def visible(self) -> bool:
        return self.subscriber.visible

    @property
    def limit_bps(self) -> float:
        return self.bandwidth.limit_bps


class LayeredEncoding:
    """One codec of one stream, with one to three encoders (an `Encoding`)."""

    def __init__(self, codec: str, context: StreamContext, open_encoder: OpenEncoder) -> None:
        self._codec = codec
        self._context = context
        self._clock = context.clock
        self._open_encoder = open_encoder
        self._policy: LayerPolicy[_Viewer] = LayerPolicy()
        self._viewers: dict[Key, _Viewer] = {}
        self._layers: dict[Layer, VideoLayer] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def max_bps(self) -> int:
        """Bits a second that one viewer can use at most."""
        return self._context.options.max_bitrate

    def encode_ms(self, now: float) -> Mapping[str, float]:
        """Mean time to encode one frame, by the name of each running encoder."""
        return {self._name(layer): video.cost_ms(now) for layer, video in self._layers.items()}

    def __contains__(self, key: Key) -> bool:
        return key in self._viewers

    def __len__(self) -> int:
        return len(self._viewers)

    # Subscribers

    def add(self, key: Key, sink: Sink, *, packets: bool) -> None:
        """Start sending to a viewer, from a keyframe of the full layer on."""
        viewer = _Viewer(Subscriber(key, sink, packets=packets), ViewerBandwidth(self.max_bps))
        self._viewers[key] = viewer
        self._policy.add(viewer, self._clock())
        self._layer(Layer.FULL).subscribe(viewer.subscriber)
        self._set_targets()

    def remove(self, key: Key) -> None:
        """Stop sending to a viewer."""
        viewer = self._viewers.pop(key, None)
        if viewer is None:
            return
        self._policy.remove(viewer)
        for video in self._layers.values():
            video.remove(key)
        self._set_targets()
        self._close_idle()

    def show(self, key: Key, visible: bool) -> None:
        """Whether the viewer can be seen. A hidden one is sent nothing and restarts from a keyframe."""
        viewer = self._viewers.get(key)
        if viewer is None:
            return
        reappears = viewer.subscriber.show(visible)
        for video in self._layers.values():
            if key in video:
                if reappears:
                    video.restart(key)
                video.wake()
        self._review()

    def request_keyframe(self, key: Key) -> None:
        """The viewer cannot decode further without a keyframe."""
        if video := self._receives(key):
            video.request_keyframe(key)

    def acknowledge(self, key: Key, number: int) -> bool:
        """The unit of frame ``number`` arrived whole: its credit is free again. False when it was not on its way."""
        video = self._receives(key)
        return video is not None and video.acknowledge(key, number)

    def estimate(self, key: Key, bits_per_second: float, sent_bps: float, *, measured: bool) -> None:
        """The bandwidth available to a viewer that is sent ``sent_bps``: ``measured`` here, or its REMB."""
        viewer = self._viewers.get(key)
        if viewer is None:
            return
        if measured:
            viewer.bandwidth.measured(bits_per_second)
        else:
            viewer.bandwidth.remb(bits_per_second, sent_bps)
        self._review()

    def vsync(self, key: Key, slack_s: float, refresh_s: float) -> None:
        """A viewer's frames are ready ``slack_s`` before the screen refresh that shows them."""
        if video := self._receives(key):
            video.vsync(key, slack_s, refresh_s)

    def sent_bps(self, key: Key, now: float) -> float:
        """Bits a second sent to a viewer in the last two seconds."""
        video = self._receives(key)
        return video.sent_bps(key, now) if video else 0.0

    def report(self, key: Key, now: float) -> EncodingReport:
        """Numbers for a viewer's statistics."""
        video = self._receives(key)
        return video.report(key, now) if video else EncodingReport()

    def _receives(self, key: Key) -> VideoLayer | None:
        """The encoder whose units a viewer gets."""
        viewer = self._viewers.get(key)
        return self._layers[viewer.receives] if viewer else None

    # Encoders

    def wake(self) -> None:
        """A frame was published. The full layer encodes it first.

        The other encoders would take the processors from it, so they are woken when it has looked at the frame.
        """
        if Layer.FULL in self._layers:
            self._layers[Layer.FULL].wake()
        else:
            self._wake_others()

    def _wake_others(self) -> None:
        for layer, video in self._layers.items():
            if layer != Layer.FULL:
                video.wake()

    def _name(self, layer: Layer) -> str:
        return self._codec + SUFFIXES[layer]

    def _layer(self, layer: Layer) -> VideoLayer:
        """The encoder of a layer, started if it does not run."""
        if layer not in self._layers:
            self._layers[layer] = self._start(layer)
            self._set_targets()
        return self._layers[layer]

    def _start(self, layer: Layer) -> VideoLayer:
        max_bps = self.max_bps
        if layer == Layer.HALF:
            max_bps = min(max_bps, max(HALF_SIZE_MIN_BPS, int(max_bps * HALF_SIZE_MAX_FRACTION)))
        return VideoLayer(
            self._name(layer),
            self._context,
            self._open_encoder(max_bps),
            max_bps,
            half=layer == Layer.HALF,
            deliver=partial(self._deliver, layer),
            after_step=self._wake_others if layer == Layer.FULL else lambda: None,
        )

    def _review(self) -> None:
        """Move viewers whose layer does not fit any more, and set the bitrates."""
        now, context = self._clock(), self._context
        spent_bps = {layer: video.spent_bps(now) for layer, video in self._layers.items()}
        half_below_bps = half_size_below_bps(context.width, context.height, context.options.fps)
        for viewer, layer in self._policy.review(spent_bps, half_below_bps, now).items():
            self._move(viewer, layer)
        self._set_targets()
        self._close_idle()

    def _move(self, viewer: _Viewer, layer: Layer) -> None:
        """Subscribe to the new layer; units of the old one go on until the new one has made a keyframe."""
        key = viewer.subscriber.key
        for other, video in self._layers.items():
            if other != viewer.receives:
                video.remove(key)  # it was about to move there
        if layer != viewer.receives:
            self._layer(layer).subscribe(viewer.subscriber)

    def _deliver(self, layer: Layer, subscriber: Subscriber, packed: PackedUnit) -> bool:
        viewer = self._viewers[subscriber.key]
        if viewer.receives != layer:
            self._layers[viewer.receives].remove(subscriber.key)
            viewer.receives = layer
            self._close_idle()
        return subscriber.sink(packed)

    def _set_targets(self) -> None:
        for layer, video in self._layers.items():
            target_bps = self._policy.target_bps(layer)
            if target_bps is not None:
                video.set_target(int(target_bps))

    def _close_idle(self) -> None:
        """Stop the encoders that have no subscriber left, but not the last one: who comes next needs it."""
        for layer in [layer for layer, video in self._layers.items() if not len(video)]:
            if layer == Layer.FULL and not self._viewers:
                continue
            video = self._layers.pop(layer)
            if layer == Layer.FULL:
                # It would have woken the others after its present step.
                self._wake_others()
            task = asyncio.get_running_loop().create_task(video.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Stop encoding and wait until it has stopped."""
        # An encoder that still runs may stop another one meanwhile.
        for video in list(self._layers.values()):
            await video.close()
        await asyncio.gather(*self._closing)
