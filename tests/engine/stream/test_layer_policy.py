"""Who gets which encoding: whole evenings of viewers in simulated time."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from framewire.engine.stream.layer_policy import DOWN, FULL, HALF, LOW, NEWCOMER, UP, Layer, LayerPolicy, thin

CEILING = 20e6
STEP = 0.25


@dataclass
class Show:
    """A stream that would spend ``needs`` bits a second, and viewers with limits that change."""

    needs: float = 7e6
    thin: float | None = 0.55e6
    now: float = 100.0
    limits: dict[str, float] = field(default_factory=dict)
    moves: list[tuple[float, str, Layer]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rungs: LayerPolicy[str] = LayerPolicy(lambda key: min(self.limits[key], CEILING))

    def add(self, **limits: float) -> Show:
        for key, limit in limits.items():
            self.limits[key] = limit
            self.rungs.add(key, self.now)
        return self

    def remove(self, key: str) -> None:
        self.rungs.remove(key)
        del self.limits[key]

    def spent(self) -> dict[Layer, float]:
        targets = {rung: self.rungs.target(rung) for rung in (FULL, LOW, HALF)}
        return {rung: min(self.needs, target) for rung, target in targets.items() if target is not None}

    def run(self, seconds: float) -> Show:
        for _ in range(round(seconds / STEP)):
            self.now += STEP
            for key, rung in self.rungs.review(self.spent(), self.thin, self.now).items():
                self.moves.append((self.now, key, rung))
        return self

    def at(self) -> dict[str, Layer]:
        return {key: self.rungs.rung(key) for key in self.limits}


def test_one_viewer_is_followed_exactly() -> None:
    show = Show().add(a=20e6)
    for limit in (300e3, 5e6, 150e3, 20e6):
        show.limits["a"] = limit
        show.run(10)
        assert show.at() == {"a": FULL} and show.rungs.target(FULL) == limit
    assert show.moves == []


def test_seven_get_all_there_is_beside_one_on_a_thin_way() -> None:
    show = Show().add(**{name: 20e6 for name in "abcdefg"}, slow=20e6).run(10)
    show.limits["slow"] = 300e3
    for _ in range(40):
        assert show.rungs.target(FULL) == 20e6, "not for a moment do the others get less"
        show.run(STEP)
    assert [(key, rung) for _, key, rung in show.moves] == [("slow", HALF)]
    assert show.rungs.target(HALF) == 300e3
    assert show.rungs.target(LOW) is None


def test_a_way_that_takes_full_size_keeps_it() -> None:
    show = Show().add(a=20e6, b=20e6, c=2e6).run(10)
    assert show.at() == {"a": FULL, "b": FULL, "c": LOW}
    assert show.rungs.target(LOW) == 2e6


def test_a_short_dip_moves_nobody() -> None:
    show = Show().add(a=20e6, b=20e6).run(10)
    show.limits["b"] = 1e6
    show.run(DOWN / 2)
    show.limits["b"] = 20e6
    show.run(10)
    assert show.moves == []


def test_who_recovers_comes_back_and_the_encoding_for_him_has_nobody_left() -> None:
    show = Show().add(a=20e6, b=300e3).run(10)
    assert show.at()["b"] == HALF
    show.limits["b"] = 12e6
    show.run(UP + 1)
    assert show.at()["b"] == FULL and show.rungs.target(HALF) is None


def test_what_everybody_can_take_is_one_encoding_however_slow_some_are() -> None:
    show = Show(needs=0.8e6).add(a=20e6, b=2e6, c=1e6).run(30)
    assert set(show.at().values()) == {FULL}


def test_ways_that_are_alike_share_what_the_least_of_them_takes() -> None:
    show = Show(needs=15e6).add(a=10e6, b=9e6, c=8e6).run(30)
    assert set(show.at().values()) == {FULL} and show.rungs.target(FULL) == 8e6


def test_at_most_three_encodings_for_any_crowd() -> None:
    show = Show(needs=20e6).add(**{f"v{index}": 20e6 / 1.5**index for index in range(12)}).run(60)
    targets = [target for rung in (FULL, LOW, HALF) if (target := show.rungs.target(rung)) is not None]
    assert len(targets) == 3 and targets == sorted(targets, reverse=True)
    settled = len(show.moves)
    show.run(60)
    assert len(show.moves) == settled, "and then there is peace"
    for key, rung in show.at().items():
        target = show.rungs.target(rung)
        assert target is not None and (rung == HALF or show.limits[key] >= 0.99 * target)


def test_a_limit_that_swings_costs_fewer_and_fewer_moves() -> None:
    show = Show().add(a=20e6, b=20e6).run(10)
    moved = []
    for _ in range(6):
        before = len(show.moves)
        for _ in range(6):
            show.limits["b"] = 1e6
            show.run(4)
            show.limits["b"] = 20e6
            show.run(6)
        moved.append(len(show.moves) - before)
    assert moved[0] > 2 * moved[-1]
    assert moved[-1] <= 4


def test_a_newcomer_has_time_to_be_known() -> None:
    show = Show().add(a=20e6).run(10)
    show.add(b=2e6).run(NEWCOMER - 2 * STEP)
    show.limits["b"] = 20e6
    show.run(10)
    assert show.moves == []


def test_a_newcomer_whose_estimate_falls_is_known() -> None:
    show = Show().add(a=20e6).run(10)
    show.add(b=20e6)
    for limit in (2e6, 1.5e6, 0.9e6, 0.4e6, 0.3e6):
        show.limits["b"] = limit
        show.run(STEP)
    show.run(2 * STEP)
    assert show.moves == [(show.now, "b", HALF)] and show.now < 110 + NEWCOMER


def test_who_cannot_take_half_of_it_moves_sooner() -> None:
    moved = []
    for limit in (5e6, 1e6):
        show = Show().add(a=20e6, b=20e6).run(10)
        show.limits["b"] = limit
        show.run(5)
        moved.append(show.moves[0][0] - 110)
    assert moved[1] < moved[0] <= DOWN + 2 * STEP


def test_where_to_may_change_while_he_waits() -> None:
    """An estimate falls in steps, and each of them names another rung."""
    show = Show().add(a=20e6, b=20e6).run(10)
    show.limits["b"] = 4e6
    show.run(DOWN / 2)
    show.limits["b"] = 300e3
    show.run(DOWN / 2 + STEP)
    assert [(key, rung) for _, key, rung in show.moves] == [("b", HALF)]


def test_a_newcomer_on_a_wide_way_does_not_flood_who_was_there() -> None:
    show = Show().add(slow=300e3).run(10)
    show.add(fast=20e6)
    while show.at()["slow"] == FULL:
        assert show.rungs.target(FULL) == 300e3
        show.run(STEP)
        assert show.now < 120
    show.run(2)
    assert show.at() == {"slow": HALF, "fast": FULL} and show.rungs.target(FULL) == 20e6


def test_who_is_left_alone_gets_full_size_again() -> None:
    show = Show().add(a=20e6, b=300e3).run(10)
    show.remove("a")
    show.run(UP + 1)
    assert show.at() == {"b": FULL} and show.rungs.target(FULL) == 300e3


def test_the_best_of_those_left_are_the_new_full() -> None:
    show = Show().add(a=20e6, b=3e6, c=300e3).run(10)
    assert show.at() == {"a": FULL, "b": LOW, "c": HALF}
    show.remove("a")
    show.run(30)
    assert show.at() == {"b": FULL, "c": HALF} and show.rungs.target(FULL) == 3e6


def test_hidden_views_count_for_nothing() -> None:
    show = Show().add(a=20e6, b=20e6, slow=300e3)
    show.rungs.show("slow", False)
    show.run(10)
    assert show.moves == [] and show.rungs.target(FULL) == 20e6
    show.rungs.show("a", False)
    show.rungs.show("b", False)
    assert show.rungs.target(FULL) is None
    show.rungs.show("slow", True)
    assert show.rungs.target(FULL) == 300e3


def test_small_pictures_are_not_halved() -> None:
    assert thin(320, 100, 30) is None
    assert thin(1280, 720, 30) == pytest.approx(553e3, rel=0.01)
    show = Show(thin=None).add(a=20e6, b=200e3).run(10)
    assert show.at()["b"] == LOW
    show.add(c=3e6).run(20)
    assert {show.at()["b"], show.at()["c"]} == {LOW}, "there is nothing below"


def test_a_stream_that_grows_small_brings_its_viewers_up_to_full_size() -> None:
    show = Show().add(a=20e6, b=300e3).run(10)
    show.thin = None
    show.run(10)
    assert show.at()["b"] == LOW


def test_motion_after_a_still_scene_moves_whoever_cannot_follow() -> None:
    show = Show(needs=50e3).add(a=20e6, b=400e3).run(30)
    assert set(show.at().values()) == {FULL}
    show.needs = 7e6
    show.run(DOWN + 2)
    assert show.at() == {"a": FULL, "b": HALF}
    show.needs = 50e3
    show.run(30)
    assert set(show.at().values()) == {FULL}


def test_who_recovers_comes_back_to_a_stream_that_spends_all_it_may() -> None:
    show = Show(needs=30e6).add(a=20e6, b=20e6).run(5)
    show.limits["b"] = 2e6
    assert show.run(10).at()["b"] != FULL
    show.limits["b"] = 20e6
    assert show.run(60).at() == {"a": FULL, "b": FULL}


def test_who_was_hidden_for_long_is_looked_at_anew() -> None:
    show = Show().add(a=20e6, b=2e6).run(10)
    below = show.at()["b"]
    assert below != FULL
    show.rungs.show("b", visible=False)
    show.limits["b"] = 20e6
    show.run(300)
    show.rungs.show("b", visible=True)
    assert show.run(UP / 2).at()["b"] == below
    assert show.run(2 * UP).at()["b"] == FULL
