"""Writes docs/publish.md: what `publish` takes, from the cases that its tests run.

    python scripts/publish_page.py            writes the page

The cases are in tests/publish_cases.py. Must not know how a frame is converted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "publish.md"

OPENING = """\
# What `publish` takes

`make publish-page` generates this page from the cases that the tests run (`tests/publish_cases.py`), and a test holds
the two together. `fw.show` takes the same, and several of it in a row.

Pixels have 8 bits from `publish` on: `uint16` and floats are rounded to them, and floats clipped, before anything is
sent. "Bit-exact" is said of these bytes. With `format="bgr"` the first three channels are in OpenCV's order.

"""

ODD = """\
## Shown, with one warning

The frame is shown as said above, and a `FramewireWarning` says once per display what to write instead. Frames are
looked at now and then (the first, second, fourth, eighth, ...), so that looking costs nothing.

"""

REFUSED = """\
## Refused

`publish` raises a `PublishError` (a `ValueError`) of one line, "cannot publish", and then:

"""


def page() -> str:
    """The whole page, as Markdown."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    from tests import publish_cases as cases

    text = OPENING
    for group, taken in cases.TAKEN.items():
        text += f"## {group}\n\n" + table(("frame", "shown as"), ((case.what, case.becomes) for case in taken)) + "\n"
    text += ODD + table(("frame", "the warning"), ((case.what, code(case.advice)) for case in cases.ODD)) + "\n"
    return text + REFUSED + table(("frame", "the error"), ((case.what, code(case.says)) for case in cases.REFUSED))


def table(head: tuple[str, str], rows: Iterable[tuple[str, str]]) -> str:
    lines = [head, ("---", "---"), *rows]
    return "".join(f"| {left.replace('|', chr(92) + '|')} | {right} |\n" for left, right in lines)


def code(text: str) -> str:
    return f"`{text}`"


if __name__ == "__main__":
    PAGE.write_text(page())
