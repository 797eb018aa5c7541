"""Where a warning points."""

from __future__ import annotations

import warnings
from typing import Any

from framewire.advice import advise
from framewire.errors import FramewireWarning


def test_a_warning_names_the_callers_line():
    source = "def inner():\n    advise('say it so')\n\n\ndef outer():\n    inner()\n"
    ours: dict[str, Any] = {"__name__": "framewire.somewhere", "advise": advise}
    exec(compile(source, "somewhere.py", "exec"), ours)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ours["outer"]()
    (warning,) = caught
    assert warning.category is FramewireWarning
    assert str(warning.message) == "say it so"
    assert warning.filename == __file__


def test_a_call_from_outside_names_that_line():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        advise("from here")
    assert [warning.filename for warning in caught] == [__file__]


def test_a_package_with_a_like_name_is_outside():
    theirs = {"__name__": "framewired", "advise": advise}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        exec(compile("advise('from there')", "theirs.py", "exec"), theirs)
    assert [warning.filename for warning in caught] == ["theirs.py"]
