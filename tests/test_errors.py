"""The exception tree is the one that is drawn, and what users may catch them as."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from framewire import errors
from framewire.errors import CloseCode, FramewireError, RemoteProtocolError


def drawn() -> dict[str, str]:
    """Child to parent, as the module's docstring draws them."""
    parents: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        words = line.replace("│", " ").replace("├── ", "    ").replace("└── ", "    ")
        name = words.split()[0] if words.split() else ""
        if not name.endswith("Error"):
            continue
        depth = len(words) - len(words.lstrip())
        above = [(d, n) for d, n in above if d < depth]
        if above:
            parents[name] = above[-1][1]
        above.append((depth, name))
    return parents


def test_the_tree_is_the_one_that_is_drawn() -> None:
    classes = {name: each for name, each in vars(errors).items() if isinstance(each, type)}
    real = {name: each.__mro__[1].__name__ for name, each in classes.items() if issubclass(each, FramewireError)}
    parents = {"FramewireError": "Exception", **drawn()}
    assert real == parents


def test_close_codes_are_those_of_the_contract() -> None:
    readme = (Path(__file__).parent.parent / "signaling" / "README.md").read_text()
    listed = {int(code) for code in re.findall(r"^\| (4\d{3}) \|", readme, re.M)}
    # RFC 6455 §7.4.1 defines 1001, which the contract leaves to "any other".
    assert {code.value for code in CloseCode} == listed | {1001}
    assert (CloseCode.GOING_AWAY, CloseCode.BAD_MESSAGE, CloseCode.VERSION) == (1001, 4400, 4426)
    assert (CloseCode.UNAUTHORIZED, CloseCode.FORBIDDEN, CloseCode.HELLO_TIMEOUT) == (4401, 4403, 4408)


@pytest.mark.parametrize(
    "ours, theirs",
    [(errors.PublishError, ValueError), (errors.ClosedError, RuntimeError), (errors.EngineError, RuntimeError)],
)
def test_some_are_also_what_python_calls_them(ours: type[Exception], theirs: type[Exception]) -> None:
    assert issubclass(ours, theirs)


def test_a_violation_carries_its_code() -> None:
    error = RemoteProtocolError(CloseCode.LIMITS, "too many")
    assert (error.code, error.reason, str(error)) == (4429, "too many", "4429 limits: too many")


def test_what_a_message_quotes_cannot_move_a_terminals_cursor_or_begin_a_line() -> None:
    reason = errors.bad_message("it's \u00e9, \x1b[2J\r\n\u2028\x00").reason
    assert reason == "it's \u00e9, \\x1b[2J\\r\\n\\u2028\\x00"
    assert errors.bad_message("plain").reason == "plain"
    assert (
        len(errors.one_line("\x1b" * 1000)) == len(errors.one_line("x" * 1000)) == errors.MAX_REASON_CHARACTERS == 100
    )


# Every message that a program may see: one line, and what to do


SEEN_BY_PROGRAMS = ("PublishError", "EngineError", "NoProcessError")


def messages() -> Iterator[tuple[str, str, str]]:
    """Place, class and text of each message in the source; {} stands for what is filled in."""
    package = Path(errors.__file__).parent
    for file in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(text)), *_]) if name.endswith(
                    "Error"
                ):
                    yield f"{file.relative_to(package)}:{node.lineno}", name, text
                case ast.Call(func=ast.Name(id=name), args=[ast.JoinedStr(values=parts), *_]):
                    text = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)
                    yield f"{file.relative_to(package)}:{node.lineno}", name, text


def test_every_message_is_one_line_without_a_full_stop() -> None:
    found = [message for message in messages() if message[1].endswith("Error")]
    assert len(found) > 100
    assert [(place, text) for place, _, text in found if "\n" in text or re.search(r"[^.]\.$", text)] == []


def test_every_message_that_a_program_may_see_says_what_to_do() -> None:
    """After a colon or a semicolon, or by naming what is meant."""
    seen_in_the_log_alone = ("bench/", "engine/", "host/authenticator.py")
    bare = [
        (place, text)
        for place, name, text in messages()
        if name in SEEN_BY_PROGRAMS
        and not place.startswith(seen_in_the_log_alone)
        and text != "{}"
        and not any(mark in text for mark in (": ", "; ", " instead", 'is "descriptors" or'))
    ]
    assert bare == []
