"""Viewers of one stream in simulated time: their bandwidth changes, and the layer policy moves them."""

from __future__ import annotations

from dataclasses import dataclass, field

from framewire.engine.stream.layer_policy import Layer, LayerPolicy

FULL, LOW, HALF = Layer
MAX_BPS = 20e6
STEP_S = 0.25


@dataclass(eq=False)
class Viewer:
    """What the policy reads of a viewer."""

    name: str
    estimate_bps: float
    visible: bool = True

    @property
    def limit_bps(self) -> float:
        return min(self.estimate_bps, MAX_BPS)


@dataclass
class Show:
    """A stream that would spend ``needs`` bits a second, and viewers with limits that change."""

    needs: float = 7e6
    half_below: float | None = 0.55e6
    now: float = 100.0
    viewers: dict[str, Viewer] = field(default_factory=dict)
    moves: list[tuple[float, str, Layer]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.policy: LayerPolicy[Viewer] = LayerPolicy()

    def add(self, **limits: float) -> Show:
        for name, limit in limits.items():
            self.viewers[name] = Viewer(name, limit)
            self.policy.add(self.viewers[name], self.now)
        return self

    def limit(self, **limits: float) -> Show:
        for name, limit in limits.items():
            self.viewers[name].estimate_bps = limit
        return self

    def show(self, name: str, visible: bool) -> None:
        self.viewers[name].visible = visible

    def remove(self, name: str) -> None:
        self.policy.remove(self.viewers.pop(name))

    def targets(self) -> dict[Layer, float]:
        targets = {layer: self.policy.target_bps(layer) for layer in Layer}
        return {layer: target for layer, target in targets.items() if target is not None}

    def spent(self) -> dict[Layer, float]:
        return {layer: min(self.needs, target) for layer, target in self.targets().items()}

    def run(self, seconds: float, step_s: float = STEP_S) -> Show:
        for _ in range(round(seconds / step_s)):
            self.now += step_s
            for viewer, layer in self.policy.review(self.spent(), self.half_below, self.now).items():
                self.moves.append((self.now, viewer.name, layer))
        return self

    def at(self) -> dict[str, Layer]:
        return {name: self.policy.layer(viewer) for name, viewer in self.viewers.items()}

    def moved_after(self, since: float) -> float:
        """Seconds from then to the first move."""
        return next(at for at, _, _ in self.moves if at > since) - since
