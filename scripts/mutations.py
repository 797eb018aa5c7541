"""The small changes that a test should notice, for one Python source (`scripts/mutants.py` runs the tests).

Must not know files, tests or processes: source text in, mutations out.

Left alone, since no test of behaviour can or should notice: docstrings, messages and other strings, annotations,
decorators, assertions, `__repr__`, type aliases, and what only a type checker reads.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

BOUNDARY = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
ORDER = {"<", "<=", ">", ">="}
MEMBERSHIP = {"is not": "is", "is": "is not", "not in": "in", "in": "not in"}
ARITHMETIC = {"+": "-", "-": "+", "*": "/", "//": "*", "/": "*", "%": "*", "**": "*", "<<": ">>", ">>": "<<"}
BITS = {"&": "|", "|": "&", "^": "&"}
LOGIC = {"and": "or", "or": "and"}
CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}

TYPES = {"bool", "bytes", "bytearray", "dict", "float", "int", "list", "memoryview", "object", "set", "str", "tuple"}

SYMBOLS: dict[type[ast.AST], str] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
    ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.LShift: "<<", ast.RShift: ">>", ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^",
    ast.And: "and", ast.Or: "or",
}  # fmt: skip
SWAPS = BOUNDARY | MEMBERSHIP | ARITHMETIC | BITS | LOGIC

STEP_UP_TO = 16
"""Whole numbers up to here change by one; larger ones, and fractions, are doubled and halved."""


@dataclass(frozen=True)
class Mutation:
    """One change of one place."""

    line: int
    change: str
    """What was there and what is there now: ``< → <=``."""
    function: tuple[int, int] | None
    """First and last line of the innermost function around it; None outside of functions."""
    source: str
    """The whole source with the change."""


def mutations(source: str) -> list[Mutation]:
    """Every mutation of a source, in order of lines. Each of them compiles."""
    found = _Finder(source)
    found.visit(ast.parse(source))
    return sorted(found.mutations, key=lambda mutation: mutation.line)


class _Finder(ast.NodeVisitor):
    def __init__(self, source: str) -> None:
        self.mutations: list[Mutation] = []
        self._bytes = source.encode()
        self._starts = [0]
        for line in self._bytes.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._functions: list[tuple[int, int]] = []
        self._in_class = False

    # Where things are in the text. The columns of `ast` count bytes.

    def _start(self, node: ast.expr | ast.stmt) -> int:
        return self._starts[node.lineno - 1] + node.col_offset

    def _end(self, node: ast.expr | ast.stmt) -> int:
        assert node.end_lineno is not None and node.end_col_offset is not None, "ast.parse sets them"
        return self._starts[node.end_lineno - 1] + node.end_col_offset

    def _text(self, node: ast.expr | ast.stmt) -> str:
        return self._bytes[self._start(node) : self._end(node)].decode()

    def _replace(self, start: int, end: int, new: str, change: str = "") -> None:
        old = self._bytes[start:end].decode()
        source = (self._bytes[:start] + new.encode() + self._bytes[end:]).decode()
        try:
            compile(source, "mutant", "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            return
        line = self._bytes.count(b"\n", 0, start) + 1
        change = change or f"{' '.join(old.split())} → {new}"
        self.mutations.append(Mutation(line, change, self._functions[-1] if self._functions else None, source))

    def _swap(self, left: ast.expr | ast.stmt, right: ast.expr, operator: type[ast.AST], tail: str = "") -> None:
        """Replace the operator in the gap between its operands; the gap may hold parentheses and line ends too."""
        symbol = SYMBOLS[operator]
        if symbol not in SWAPS:
            return
        start, gap = self._end(left), self._bytes[self._end(left) : self._start(right)].decode()
        pattern = r"\s+".join(map(re.escape, symbol.split())) + re.escape(tail)
        match = re.search(rf"(?<!\w){pattern}(?!\w)" if symbol.isalpha() else pattern, gap)
        if match is not None:
            at = start + len(gap[: match.start()].encode())
            self._replace(
                at, at + len(match[0].encode()), SWAPS[symbol] + tail, f"{symbol}{tail} → {SWAPS[symbol]}{tail}"
            )

    # What is left alone.

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        if node.name in {"__repr__", "__str__"}:
            return
        for default in [*node.args.defaults, *filter(None, node.args.kw_defaults)]:
            self.visit(default)
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        self._functions.append((first, node.end_lineno or node.lineno))
        self._body(node.body)
        self._functions.pop()

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        if not any(ast.unparse(base).startswith("Protocol") for base in node.bases):
            self._body(node.body)

    def visit_Module(self, node: ast.Module) -> None:
        self._body(node.body)

    def _body(self, body: list[ast.stmt]) -> None:
        for statement in body:
            if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):  # a docstring
                self.visit(statement)

    def visit_Assert(self, node: ast.Assert) -> None:
        """Says what is always true: no test can make it false."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """A message."""

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if isinstance(node.value, ast.Name) and node.value.id in {"Literal", "Annotated"}:
            return
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None and not ast.unparse(node.annotation).endswith("TypeAlias"):
            self.visit(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        outside = not self._functions
        if outside and (_is_type(node.value) or any(_named(each, "__all__", "__slots__") for each in node.targets)):
            return
        if self._functions and all(isinstance(each, ast.Attribute | ast.Subscript) for each in node.targets):
            self._remove(node)
        self.generic_visit(node)

    # What is changed.

    def visit_Compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        for left, operator, right in zip(operands, node.ops, operands[1:], strict=False):
            self._swap(left, right, type(operator))
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if not self._functions and _is_type(node):
            return
        self._swap(node.left, node.right, type(node.op))
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        for left, right in zip(node.values, node.values[1:], strict=False):
            self._swap(left, right, type(node.op))
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._swap(node.target, node.value, type(node.op), "=")
        self._remove(node)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not | ast.USub):
            gone = "not" if isinstance(node.op, ast.Not) else "-"
            self._replace(self._start(node), self._start(node.operand), "", f"{gone} removed")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        value, start, end = node.value, self._start(node), self._end(node)
        if isinstance(value, bool):
            self._replace(start, end, str(not value))
        elif isinstance(value, int) and value <= STEP_UP_TO:
            for new in {value + 1, max(value - 1, 0)} - {value}:
                self._replace(start, end, str(new))
        elif isinstance(value, int):
            self._replace(start, end, str(value * 2))
            self._replace(start, end, str(value // 2))
        elif isinstance(value, float):
            for new_float in (value * 2, value / 2) if value else (1.0,):
                self._replace(start, end, repr(new_float))

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id in CALLS:
            self._replace(self._start(node.func), self._end(node.func), CALLS[node.func.id])
        self.generic_visit(node)

    def _negate(self, test: ast.expr) -> None:
        if not (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)) and not isinstance(test, ast.Constant):
            if isinstance(test, ast.Compare) and len(test.ops) == 1 and SYMBOLS[type(test.ops[0])] not in ORDER:
                return  # the comparison with the opposite operator is there already
            text = self._text(test)
            self._replace(self._start(test), self._end(test), f"(not ({text}))", f"{' '.join(text.split())} → not")

    def visit_If(self, node: ast.If) -> None:
        if not _named(node.test, "TYPE_CHECKING"):
            self._negate(node.test)
            self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self._negate(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._negate(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self._negate(test)
        self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is None:
            self._remove(node)
            return
        if not isinstance(node.value, ast.Constant):
            self._replace(self._start(node), self._end(node), "return None", "returns None")
        self.visit(node.value)

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Yield | ast.YieldFrom):
            self._remove(node)
        self.generic_visit(node)

    def _remove(self, node: ast.stmt) -> None:
        if self._functions:
            self._replace(self._start(node), self._end(node), "pass", f"{' '.join(self._text(node).split())} removed")

    def _remove_only(self, node: ast.stmt) -> None:
        self._remove(node)

    visit_Continue = visit_Break = visit_Delete = visit_Raise = _remove_only  # noqa: N815


def _named(node: ast.expr, *names: str) -> bool:
    return (isinstance(node, ast.Name) and node.id in names) or (isinstance(node, ast.Attribute) and node.attr in names)


def _is_type(node: ast.expr) -> bool:
    """Whether an expression only puts types together: ``Frame | None``, ``dict[str, int]``."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _is_type(node.left) and _is_type(node.right)
    if isinstance(node, ast.Subscript):
        return _is_type(node.value)
    if isinstance(node, ast.Constant):
        return node.value is None or isinstance(node.value, str)
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return name[:1].isupper() or name in TYPES
