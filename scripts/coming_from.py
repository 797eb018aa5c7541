"""Writes the tables of docs/coming-from.md: what becomes of the ancestor's keywords and names, by `ancestor.py`.

    python scripts/coming_from.py            as `make coming-from` does

Must not know what any of them is for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from framewire.ancestor import KEYWORDS, LINES, TRAITS, Keyword

PAGE = Path(__file__).resolve().parent.parent / "docs" / "coming-from.md"
OWNERS = {"framewire": "rfb.{}", "Display": "display.{}", "Server": "server.{}"}


def filled(page: str) -> str:
    """The page with its tables as the code has them."""
    tables = {"keywords": keywords(KEYWORDS), "traits": keywords(TRAITS), "names": names(LINES)}
    for name, table in tables.items():
        before, place, rest = page.partition(f"<!-- {name} -->\n")
        assert place, f"the page has a place for the {name}"
        page = before + place + table + rest[rest.index("<!-- end -->") :]
    return page


def keywords(table: Mapping[str, Keyword]) -> str:
    """Rows of keywords and what to write for each."""
    return rows(("keyword", "framewire"), ((f"`{name}`", becomes(keyword)) for name, keyword in table.items()))


def becomes(keyword: Keyword) -> str:
    if keyword.ours:
        idle = " or ".join(f"`{value}`" for value in keyword.idle)
        why = f": {keyword.needless}" if keyword.needless else ""
        return f"`{keyword.ours}`" + (f"; as {idle} needless{why}" if idle else "")
    return f"refused: {keyword.instead}" if keyword.instead else f"needless: {keyword.needless}"


def names(lines: Mapping[str, Mapping[str, str]]) -> str:
    """Rows of names, those with the same line together."""
    of: dict[str, list[str]] = {}
    for owner, known in lines.items():
        for name, line in known.items():
            of.setdefault(line, []).append(f"`{OWNERS[owner].format(name)}`")
    return rows(("pdum.rfb", "framewire"), ((", ".join(names), line) for line, names in of.items()))


def rows(heads: tuple[str, str], cells: Iterable[tuple[str, str]]) -> str:
    return "".join(f"| {left} | {right} |\n" for left, right in (heads, ("---", "---"), *cells)).replace(
        "| --- | --- |", "|---|---|"
    )


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text()))
