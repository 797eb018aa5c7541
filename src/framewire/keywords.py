"""Structs of options as keywords of a function: checks of the values, a signature and a documentation.

Must not know what any option means: it reads the annotations, defaults and descriptions of the struct's fields.
"""

from __future__ import annotations

import contextlib
import inspect
import math
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial, wraps
from itertools import islice
from typing import Any, SupportsFloat, TypeVar, cast, get_args, get_type_hints

import msgspec.inspect as mi
from msgspec import Meta, Struct
from msgspec.structs import FieldInfo, fields, force_setattr

F = TypeVar("F", bound=Callable[..., Any])

MAX_VALUES = 64
"""Values that an option may list: a list that does not end is an error, too."""
DOC_WIDTH_CHARACTERS = 112
"""Longest line of a generated documentation."""

MAX_CHOICES = 8
"""Of more choices than these, a message names the nearest alone."""
MIN_LIKENESS = 0.65
"""How like another name a misspelt one is, at least: below it are names such as "mode" for "codecs"."""

_NUMBER = re.compile(r"(\d{1,9}(?:\.\d{1,9})?) *([kmg]?)(?:bps|bit/s|fps|hz)?")
_PREFIXES = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9}
_NO_NUMBERS = frozenset("cmMOSUV")
"""Kinds of NumPy's types that become a number with a loss, or not at all."""


def normalise(struct: Struct) -> None:
    """Check every field against its annotation and keep it as exactly that type; for ``__post_init__``.

    An ``int`` field takes numbers of any type, NumPy's for instance, but for ``multiple_of=1`` no fractions. A tuple
    field takes any iterable, and a string as its only value.
    Raises ``ValueError`` naming the field, its value and what it may be.
    """
    for field in _fields(type(struct)):
        value = getattr(struct, field.name)
        kept = _kept(field.name, value, field.type)
        if kept is not value:
            force_setattr(struct, field.name, kept)


def divide(
    function: str, keywords: Mapping[str, Any], *structs: type[Struct], beside: Iterable[str] = ()
) -> list[dict[str, Any]]:
    """The keywords of each struct, in the order of ``structs``.

    Those of the ancestor are taken as ours, with a warning. Raises ``TypeError`` for one that none of them has, naming
    the nearest of those that ``function`` takes; ``beside`` are its arguments that are in no struct.
    """
    known = [name for each in structs for name in _names(each)]
    if not all(name in known for name in keywords):
        from framewire.ancestor import translated  # for its users alone, and for misspelt names

        keywords = translated(function, keywords, {*known, *beside})
    for name in keywords:
        if name not in known:
            raise TypeError(_refused(function, name, known, beside))
    return [{name: keywords[name] for name in _names(each) if name in keywords} for each in structs]


def _refused(function: str, name: str, known: list[str], beside: Iterable[str]) -> str:
    """One line for an option that ``function`` does not have."""
    from framewire.misplaced import instead

    hint = instead(function, name.lower(), [*known, *beside])
    called = f"{function}()"
    return f"{called} has no option {name!r}: {hint}" if hint else unknown(called, "option", name, known, beside)


def unknown(owner: str, kind: str, name: str, known: Sequence[str], beside: Iterable[str] = ()) -> str:
    """One line for a name that ``owner`` does not have: the nearest that it has, or all ``known`` ones."""
    near = _nearest(name, [*beside, *known])
    return f"{owner} has no {kind} {name!r:.40}" + (
        f": do you mean {near!r}?" if near else f"; there are {', '.join(known)}"
    )


def _nearest(name: str, known: Sequence[str]) -> str | None:
    import difflib  # takes a millisecond, and is for misspelt names alone

    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=MIN_LIKENESS)
    return near[0] if near else None


def documented(*structs: type[Struct], usage: Callable[[tuple[Any, ...]], str] | None = None) -> Callable[[F], F]:
    """Give a function whose ``**options`` are keywords of these structs a signature and a documentation of each.

    The annotations are those of the TypedDict that ``**options`` unpacks; defaults and descriptions are the structs'.
    A field without a default is left out: it is for the function to name. A call whose arguments do not fit raises
    ``TypeError`` with what ``usage`` says of its positional ones.
    """

    def decorate(function: F) -> F:
        made = _checked(function, usage)
        made.__signature__ = _SignatureWhenAsked(function, structs)  # type: ignore[attr-defined]
        parts = [inspect.getdoc(function) or "", "Options:", *map(_documentation, structs)]
        made.__doc__ = "\n\n".join(parts)
        return made

    return decorate


class _SignatureWhenAsked(inspect.Signature):
    """The signature of a function, made at the first look: evaluating annotations takes long, and few look."""

    __slots__ = ("_made_of",)

    def __new__(cls, *_: object) -> _SignatureWhenAsked:
        return super().__new__(cls)

    def __init__(self, function: Callable[..., Any], structs: tuple[type[Struct], ...]) -> None:
        self._made_of = function, structs

    def __getattr__(self, name: str) -> Any:
        # The slots of the class are empty until then.
        if name.startswith("__") or not hasattr(inspect.Signature, name):
            raise AttributeError(name)
        function, structs = self._made_of
        signature = inspect.signature(function)
        evaluated = partial(_evaluated, namespace=inspect.unwrap(function).__globals__)
        *named, options = (
            each.replace(annotation=evaluated(each.annotation)) for each in signature.parameters.values()
        )
        annotations = get_type_hints(get_args(options.annotation)[0])
        keywords = [
            inspect.Parameter(
                each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=annotations[each.name]
            )
            for struct in structs
            for each in _optional(struct)
        ]
        super().__init__([*named, *keywords], return_annotation=evaluated(signature.return_annotation))
        return getattr(self, name)

    def __reduce__(self) -> Any:
        return self.replace().__reduce__()

    def replace(self, **changes: Any) -> inspect.Signature:  # type: ignore[override]
        """A plain signature: this one's class makes its own parameters."""
        return inspect.Signature(list(self.parameters.values()), return_annotation=self.return_annotation).replace(
            **changes
        )


def _evaluated(annotation: Any, namespace: dict[str, Any]) -> Any:
    """The type that an annotation names; the annotation where it is imported for type checkers alone."""
    try:
        return eval(annotation, namespace) if isinstance(annotation, str) else annotation
    except NameError:
        return annotation


def _checked(function: F, usage: Callable[[tuple[Any, ...]], str] | None) -> F:
    """The function, with one line in the caller's words where Python's own would speak of its parameters."""
    code, defaults = function.__code__, function.__defaults__ or ()
    places = code.co_varnames[: code.co_argcount]
    required = places[: len(places) - len(defaults)]
    own = int(places[:1] == ("self",))

    @wraps(function)
    def call(*arguments: Any, **keywords: Any) -> Any:
        missing = [name for name in required if name not in places[: len(arguments)] and name not in keywords]
        if not missing and len(arguments) <= len(places):
            return function(*arguments, **keywords)
        called = f"{function.__name__}()"
        for name in keywords:
            if name not in places and _nearest(name, missing):
                raise TypeError(unknown(called, "option", name, missing))
        count = f"takes {len(places) - own} positional arguments, not {len(arguments) - own}"
        fault = f"needs {' and '.join(map(repr, missing))}" if missing else count
        hint = usage(arguments[own:]) if usage else f": {function.__name__}({', '.join(required[own:])})"
        raise TypeError(f"{called} {fault}{hint}")

    return cast(F, call)


@cache
def _fields(struct: type[Struct]) -> tuple[mi.Field, ...]:
    known = mi.type_info(struct)
    assert isinstance(known, mi.StructType), "msgspec describes a struct as such"
    return known.fields


@cache
def _optional(struct: type[Struct]) -> tuple[FieldInfo, ...]:
    return tuple(field for field in fields(struct) if not field.required)


@cache
def _names(struct: type[Struct]) -> tuple[str, ...]:
    return tuple(field.name for field in _optional(struct))


@cache
def _documentation(struct: type[Struct]) -> str:
    return "\n\n".join(
        textwrap.fill(
            f"``{field.name}={field.default!r}``: {_description(field.type)}",
            DOC_WIDTH_CHARACTERS,
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for field in _optional(struct)
    )


def _description(annotation: Any) -> str:
    notes = (note.description for note in getattr(annotation, "__metadata__", ()) if isinstance(note, Meta))
    return next((each for each in notes if each), "")


def _kept(name: str, value: Any, kind: mi.Type) -> Any:
    """The value as the field's type."""
    if isinstance(kind, mi.Metadata):
        kind = kind.type
    if isinstance(kind, mi.UnionType):
        if value is None:
            return None
        (kind,) = (each for each in kind.types if not isinstance(each, mi.NoneType))
    return _CHECKS[type(kind)](name, value, kind)


def _choice(name: str, value: Any, kind: mi.LiteralType) -> Any:
    for known in kind.values:
        if isinstance(value, type(known)) and value == known:
            return known
    words = [repr(each) for each in kind.values]
    near = _nearest(repr(value), words) if isinstance(value, str) and len(words) > MAX_CHOICES else None
    raise ValueError(f"{name}={shown(value)} is unknown: " + (f"do you mean {near}?" if near else ", ".join(words)))


def _list(name: str, value: Any, kind: mi.VarTupleType) -> tuple[Any, ...]:
    """A string is one value, not its letters."""
    if isinstance(value, str):
        value = (value,)
    values = iterated(value)
    if values is None:
        hint = "; leave it out" if value is None else ""
        raise ValueError(f"{name} is a list of values, not {shown(value)}{hint}")
    kept = tuple(_kept(f"a value of {name}", each, kind.item_type) for each in islice(values, MAX_VALUES + 1))
    if len(kept) > MAX_VALUES:
        raise ValueError(f"{name} has more than {MAX_VALUES} values")
    return kept


def iterated(value: Any) -> Iterator[Any] | None:
    """The values of a list, or of another iterable; None for anything else, and for bytes and mappings."""
    if isinstance(value, bytes | Mapping) or not isinstance(value, Iterable):
        return None
    try:
        return iter(value)
    except TypeError:  # NumPy's arrays without a dimension, and classes
        return None


def flag(name: str, value: Any) -> bool:
    """Raises ``ValueError`` for what is neither True nor False: text is true, whatever it says."""
    if not is_flag(value):
        raise ValueError(f"{name}={shown(value)} is neither True nor False")
    return bool(value)


def _struct(name: str, value: Any, kind: mi.StructType) -> Struct:
    if not isinstance(value, kind.cls):
        raise ValueError(f"{name} is of type {kind.cls.__name__}, not {shown(value)}")
    return value


def _number(name: str, value: Any, kind: mi.IntType | mi.FloatType) -> int | float:
    number = as_number(value)
    if number is None or (isinstance(kind, mi.IntType) and not math.isfinite(number)):
        instead = f"; write {name}={meant}" if (meant := _number_in(value)) is not None else ""
        raise ValueError(f"{name}={shown(value)} is not a number{_bounds(kind)}{instead}")
    if kind.multiple_of and number % kind.multiple_of:
        what = "whole number" if kind.multiple_of == 1 else f"multiple of {kind.multiple_of}"
        raise ValueError(f"{name}={shown(value)} is no {what}")
    number = math.trunc(number) if isinstance(kind, mi.IntType) else number
    if not _is_within(number, kind):
        raise ValueError(f"{name}={shown(value)} is out of range{_bounds(kind)}")
    return number


def as_number(value: Any) -> float | None:
    """A number of any type, NumPy's for instance; None for anything else, truth values too."""
    is_scalar = getattr(value, "ndim", 0) == 0 and not hasattr(value, "mask")
    is_real = is_scalar and _kind_of_numpy(value) not in _NO_NUMBERS and not is_flag(value)
    if isinstance(value, SupportsFloat) and is_real:
        with contextlib.suppress(Exception):  # types of other packages raise what they like
            return float(value)
    return None


def _number_in(text: Any) -> str | None:
    """The number that a string holds: ``'8M'`` is 8000000."""
    match = _NUMBER.fullmatch(text.strip().lower()) if isinstance(text, str) else None
    return f"{float(match[1]) * _PREFIXES[match[2]]:.10g}" if match else None


def is_flag(value: Any) -> bool:
    """True, False, or NumPy's."""
    return isinstance(value, bool) or (_kind_of_numpy(value) == "b" and getattr(value, "ndim", 0) == 0)


def _kind_of_numpy(value: Any) -> str:
    """The kind of a NumPy type as its letter; empty for what has none."""
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    return kind if isinstance(kind, str) else ""


def _bounds(kind: mi.IntType | mi.FloatType) -> str:
    bounds = {"above": kind.gt, "at least": kind.ge, "below": kind.lt, "at most": kind.le}
    words = ", ".join(f"{word} {bound}" for word, bound in bounds.items() if bound is not None)
    return f": {words}" if words else ""


def _is_within(number: int | float, kind: mi.IntType | mi.FloatType) -> bool:
    """Written so that NaN is within no bounds at all."""
    return (
        (kind.gt is None or number > kind.gt)
        and (kind.ge is None or number >= kind.ge)
        and (kind.lt is None or number < kind.lt)
        and (kind.le is None or number <= kind.le)
    )


def _text(name: str, value: Any, kind: mi.StrType) -> str:
    least, most = kind.min_length or 0, kind.max_length
    if not isinstance(value, str) or len(value) < least or (most is not None and len(value) > most):
        length = f" of {least} to {most} characters" if most is not None else ""
        raise ValueError(f"{name} is a string{length}, not {shown(value)}")
    if not is_unicode(value):
        raise ValueError(f"{name}={shown(value)} holds half a character: a surrogate, which no text may hold alone")
    return str.__str__(value)  # of a subclass, NumPy's for instance: plain text


def is_unicode(text: str) -> bool:
    """Whether the text can be sent: Python's may hold lone surrogates, of file names for instance."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(value: Any, most: int = 60) -> str:
    """A value in a message: on one line, shortened."""
    try:
        text = " ".join(repr(value).split())
    except Exception:
        text = f"a {type(value).__name__}"
    return text if len(text) <= most else f"{text[: most - 1]}…"


_CHECKS: dict[type[mi.Type], Callable[[str, Any, Any], Any]] = {
    mi.BoolType: lambda name, value, _: flag(name, value),
    mi.FloatType: _number,
    mi.IntType: _number,
    mi.LiteralType: _choice,
    mi.StrType: _text,
    mi.StructType: _struct,
    mi.VarTupleType: _list,
}
"""The types a field of options may have, beside None."""
