"""The command line of an engine: written by the parent, read by the engine."""

from __future__ import annotations

import pytest

from framewire.errors import LocalProtocolError
from framewire.link.handles import GREETING, PROOF_BYTES, TCP_BUFFER_BYTES, Handles


def test_handles_travel_on_the_command_line():
    handles = Handles(control=3, bell=9, listeners=(4, 5), parent=77, by_name=True)
    assert Handles.parse(["echo", *handles.arguments()]) == handles
    handles = Handles.parse(Handles(control=3, bell=9, parent=77).arguments())
    assert handles.listeners == () and not handles.by_name


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--control=x", "--bell=1", "--listen=", "--parent=1", "--by-name=0"],
        ["--control=1=2", "--bell=1", "--listen=", "--parent=1", "--by-name=0"],
        ["--control=1", "--bell=1", "--listen=", "--parent=1"],
    ],
)
def test_a_command_line_that_is_not_ours_is_refused(arguments):
    with pytest.raises(LocalProtocolError):
        Handles.parse(arguments)


def test_the_numbers_that_both_ends_read_here():
    assert (PROOF_BYTES, TCP_BUFFER_BYTES, GREETING.size) == (32, 262_144, 6)
    assert GREETING.unpack(GREETING.pack(65_535, 4_000_000_000)) == (65_535, 4_000_000_000)
