"""When the last packet is sent again."""

from __future__ import annotations

import pytest

from framewire.rtc.send.deadline import NEVER
from framewire.rtc.send.tail_probes import DELAYS_S, TailProbes


def test_nothing_is_due_before_a_unit_left():
    assert TailProbes().deadline == NEVER


def test_silence_brings_probes_less_and_less_often():
    probes, due = TailProbes(), []
    probes.unit_sent(10.0)
    while probes.deadline != NEVER:
        due.append(probes.deadline)
        probes.probe_sent(probes.deadline)
    gaps = [after - before for before, after in zip([10.0, *due], due, strict=False)]
    assert gaps == pytest.approx([0.04, 0.08, 0.16, 0.32])


def test_a_unit_begins_anew():
    probes = TailProbes()
    probes.unit_sent(10.0)
    probes.probe_sent(10.04)
    probes.unit_sent(10.05)
    assert probes.deadline == 10.05 + DELAYS_S[0]
