"""The scenarios: sizes, contents, links. Data only; must not know systems or how anything is measured."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.link_model import Link, Loss, Phase


@dataclass(frozen=True)
class Scenario:
    """One column of conditions."""

    name: str
    width: int = 1280
    height: int = 720
    fps: float = 30.0
    content: str = "plot"
    link: Link | None = None
    """None: no emulated link, as on one machine."""
    viewers: int = 1
    stops: bool = False
    """Motion ends after the window, and the picture that then stands still is judged."""
    warm_up: float = 2.0
    """Seconds after the first picture that do not count."""
    seconds: float = 8.0


def mbit(rate: float) -> float:
    return rate * 1e6


DSL = Phase(delay=0.020, rate=mbit(20), loss=Loss(0.01))
LOSSY = Phase(delay=0.020, rate=mbit(20), loss=Loss(0.03))
OVERSEAS = Phase(delay=0.050, jitter=0.010, rate=mbit(20), loss=Loss(0.03))
BURSTY = Phase(delay=0.075, rate=mbit(10), loss=Loss(0.10, burst=4))
ONE_MBPS = Phase(delay=0.040, rate=mbit(1))
EIGHT_MBPS = Phase(delay=0.010, rate=mbit(8))
FALLING = Link(
    (Phase(delay=0.030, rate=mbit(20)), Phase(delay=0.030, rate=mbit(2)), Phase(delay=0.030, rate=mbit(20))),
    (0.0, 10.0, 20.0),
)

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("720p30"),
        Scenario("1080p30", 1920, 1080),
        Scenario("720p60", fps=60.0),
        Scenario("1080p60", 1920, 1080, 60.0),
        Scenario("1080p30-snow", 1920, 1080, content="snow"),
        Scenario("1080p60-still", 1920, 1080, 60.0, content="still"),
        Scenario("720p30-field", content="field"),
        Scenario("720p30-text", content="text"),
        Scenario("text-8mbps", content="text", link=Link.steady(EIGHT_MBPS)),
        Scenario("720p30-noise", content="noise"),
        Scenario("720p30-still", content="still"),
        Scenario("lossy-40ms-1%", link=Link.steady(DSL), seconds=12),
        Scenario("lossy-100ms-3%", link=Link.steady(OVERSEAS), seconds=12),
        Scenario("lossy-150ms-10%-bursts", link=Link.steady(BURSTY), seconds=12),
        Scenario("rate-20-2-20", link=FALLING, seconds=28, warm_up=1.0),
        Scenario("1mbps-80ms", link=Link.steady(ONE_MBPS), seconds=12),
        Scenario("still-after-motion", stops=True, seconds=4),
        Scenario("still-after-motion-40ms-1%", stops=True, seconds=4, link=Link.steady(DSL)),
        Scenario("still-after-motion-40ms-3%", stops=True, seconds=4, link=Link.steady(LOSSY)),
        Scenario("still-after-motion-3%", stops=True, seconds=4, link=Link.steady(OVERSEAS)),
        *(Scenario(f"viewers-{count}", 640, 360, viewers=count, seconds=6) for count in (1, 2, 4, 8, 16)),
    )
}
QUICK = ("720p30", "720p60", "1080p30")
QUICK_SYSTEMS = ("framewire-h264", "framewire-vp8", "pdum.rfb", "aiortc")
