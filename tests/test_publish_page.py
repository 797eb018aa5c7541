"""docs/publish.md is what its cases say; its cases are run by `test_arraylikes.py` and `test_frame_checks.py`."""

from __future__ import annotations

from pathlib import Path

from scripts import publish_page

ROOT = Path(__file__).resolve().parent.parent


def test_the_page_is_current() -> None:
    assert publish_page.PAGE.read_text() == publish_page.page(), "`make publish-page` writes it"


def test_make_writes_the_page() -> None:
    assert "scripts/publish_page.py" in (ROOT / "Makefile").read_text()


def test_a_bar_in_a_cell_ends_no_cell() -> None:
    assert publish_page.table(("a", "b"), [("x|y", "z")]).splitlines()[-1] == "| x\\|y | z |"
