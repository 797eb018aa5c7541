"""Marks which blocks of the package have been run: each function and branch sets one byte as it begins.

Must not know targets. It changes modules as they are imported, so it is installed before them.
"""

from __future__ import annotations

import ast
import builtins
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import CodeType, ModuleType
from typing import Any, Final

PREFIXES: Final = ("framewire.", "aioice.stun", "aioice.ice", "aioice.candidate", "aiortc.sdp")
NAME: Final = "__fuzz_hits__"

hits: Final = bytearray()
"""One byte for each block of the modules that were imported; 1 once it was run."""


def install() -> None:
    """Mark the modules that are imported from now on."""
    setattr(builtins, NAME, hits)
    sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not name.startswith(PREFIXES):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        # Not from the cache of compiled files, and not into it.
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)

    def source_to_code(  # type: ignore[override]
        self, data: Any, path: Any, *, _optimize: int = -1
    ) -> CodeType:
        tree = _Marker().visit(ast.parse(data, str(path)))
        code: CodeType = compile(ast.fix_missing_locations(tree), str(path), "exec", dont_inherit=True)
        return code


class _Marker(ast.NodeTransformer):
    """Sets a byte at the beginning of each block inside of functions."""

    def __init__(self) -> None:
        self._inside = False

    def _function(self, node: Any) -> Any:
        outer, self._inside = self._inside, True
        self.generic_visit(node)
        self._inside = outer
        docstring = 1 if ast.get_docstring(node, clean=False) is not None else 0
        node.body[docstring:docstring] = [_mark(node)]
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = _function  # noqa: N815  # names of `ast`

    def _branches(self, node: Any) -> Any:
        self.generic_visit(node)
        if self._inside:
            for name in ("body", "orelse"):
                if block := getattr(node, name, None):
                    block.insert(0, _mark(node))
        return node

    visit_If = visit_For = visit_AsyncFor = visit_While = _branches  # noqa: N815
    visit_ExceptHandler = visit_match_case = _branches  # noqa: N815


def _mark(node: Any) -> ast.stmt:
    hits.append(0)
    line = getattr(node, "lineno", None) or node.body[0].lineno
    (statement,) = ast.parse(f"{NAME}[{len(hits) - 1}] = 1").body
    for each in ast.walk(statement):
        if hasattr(each, "lineno"):
            each.lineno = each.end_lineno = line  # type: ignore[attr-defined]
    return statement
