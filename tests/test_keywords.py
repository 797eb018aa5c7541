"""Any struct of options: its values are checked, and a function's signature and documentation are made of it."""

from __future__ import annotations

import copy
import inspect
import itertools
import pickle
from decimal import Decimal
from typing import Annotated, Literal, TypedDict, Unpack, get_type_hints

import msgspec.inspect
import numpy as np
import pytest
from msgspec import Meta, Struct

from framewire.keywords import divide, documented, flag, normalise, shown


class Paint(Struct, frozen=True, kw_only=True):
    wall: int
    coats: Annotated[int, Meta(ge=1, lt=9, description="How many.")] = 1
    gloss: Annotated[float | None, Meta(description="How much; " + "more is more. " * 30)] = None
    wet: bool = False
    colours: tuple[Literal["red", "blue"], ...] = ()
    maker: Annotated[str, Meta(min_length=2, max_length=5)] = "none"
    label: Annotated[str, Meta(max_length=5)] = ""
    note: str = ""
    rooms: Annotated[int, Meta(multiple_of=1)] | None = None
    share: Annotated[float, Meta(gt=0, le=1, description="A-hyphenated-word-" * 6 + "of one part.")] = 1.0

    def __post_init__(self) -> None:
        normalise(self)


class Tool(Struct, frozen=True, kw_only=True):
    name: Literal["brush", "roll", "spray", "sponge", "knife", "rag", "comb", "hand", "none"] = "none"

    def __post_init__(self) -> None:
        normalise(self)


class Frame(Struct, frozen=True, kw_only=True):
    inner: Paint = Paint(wall=1)
    depth: Annotated[float, Meta(ge=0.5, lt=2)] = 1.0

    def __post_init__(self) -> None:
        normalise(self)


class PaintKeywords(TypedDict, total=False):
    coats: float
    gloss: float
    wet: bool
    colours: list[str]
    maker: str
    label: str
    note: str
    rooms: int | None
    share: float


class Keywords(PaintKeywords, total=False):
    inner: Paint
    depth: float


class Unshown:
    def __repr__(self) -> str:
        raise RuntimeError("no")


@documented(Paint, Frame)
def hang(wall: int, **options: Unpack[Keywords]) -> int:
    """Hangs a picture.

    On a wall.
    """
    return wall


def paint(**changes):
    return Paint(**{"wall": 2, **changes})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("Brush", "name='Brush' is unknown: do you mean 'brush'?"),
        ("bruhs", "name='bruhs' is unknown: do you mean 'brush'?"),
        ("xyz", "name='xyz' is unknown: 'brush', 'comb', 'hand', 'knife', 'none', 'rag', 'roll', 'spong"),
        (None, "name=None is unknown: 'brush', "),
    ],
)
def test_of_many_choices_the_nearest_is_named(given, words):
    with pytest.raises(ValueError, match="unknown") as caught:
        Tool(name=given)
    assert str(caught.value).startswith(words)


def test_values_are_kept_as_the_type_of_their_field():
    made = paint(coats=2.9, gloss=1, colours=["red", "blue"], wet=True)
    assert (made.coats, made.gloss, made.colours, made.wet) == (2, 1.0, ("red", "blue"), True)
    assert type(made.coats) is int and type(made.gloss) is float
    assert paint().gloss is None
    assert (paint(note="x" * 1000).note, paint(label="").label) == ("x" * 1000, "")


@pytest.mark.parametrize(
    "edge",
    [
        {"maker": "ab"},
        {"maker": "abcde"},
        {"label": "abcde"},
        {"share": 1},
        {"share": 1e-9},
        {"coats": 1},
        {"coats": 8},
    ],
    ids=str,
)
def test_the_outermost_values_are_taken(edge):
    assert {name: getattr(paint(**edge), name) for name in edge} == edge


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"coats": 0}, "coats=0 is out of range: at least 1, below 9"),
        ({"coats": 9}, "coats=9 is out of range"),
        ({"coats": None}, "coats=None is not a number"),
        ({"coats": float("nan")}, "coats=nan is not a number"),
        ({"gloss": "much"}, "gloss='much' is not a number"),
        ({"wet": 1}, "wet=1 is neither True nor False"),
        ({"colours": "green"}, "a value of colours='green' is unknown"),
        ({"colours": b"red"}, "colours is a list of values, not b'red'"),
        ({"colours": {"red": 1}}, "colours is a list of values, not {'red': 1}"),
        ({"colours": itertools.repeat("red")}, "colours has more than 64 values"),
        ({"colours": [["red"]]}, r"a value of colours=\['red'\] is unknown"),
        ({"coats": "2"}, "coats='2' is not a number: at least 1, below 9; write coats=2$"),
        ({"coats": " 3K "}, "; write coats=3000$"),
        ({"coats": "8Mbps"}, "; write coats=8000000$"),
        ({"coats": "1.5 gbit/s"}, "; write coats=1500000000$"),
        ({"coats": np.ma.masked}, "coats=masked is not a number"),
        ({"coats": "two"}, "coats='two' is not a number: at least 1, below 9$"),
        ({"share": "0.5"}, "; write share=0.5$"),
        ({"coats": True}, "coats=True is not a number"),
        ({"coats": np.bool_(True)}, "coats=.*True.* is not a number"),
        ({"coats": np.complex64(2)}, "is not a number"),
        ({"coats": 2j}, "coats=2j is not a number"),
        ({"coats": np.array([2])}, r"coats=array\(\[2\]\) is not a number"),
        ({"coats": np.zeros((9, 9))}, r"^coats=array\(\[\[0., 0., 0., 0., .{30,60}… is not a number.{1,40}$"),
        ({"coats": Unshown()}, "coats=a Unshown is not a number"),
        ({"rooms": 2.5}, "rooms=2.5 is no whole number"),
        ({"rooms": "2"}, "rooms='2' is not a number; write rooms=2"),
        ({"wet": np.zeros(2, bool)}, "wet=array.* is neither True nor False"),
        ({"wet": "yes"}, "wet='yes' is neither True nor False"),
        ({"note": "\ud800"}, "holds half a character: a surrogate"),
        ({"note": "x" * 99 + "\ud800"}, "^note='x{58}… holds half a character"),
        ({"colours": None}, "colours is a list of values, not None; leave it out$"),
        ({"share": 0}, "share=0 is out of range: above 0, at most 1"),
        ({"share": 1.1}, "share=1.1 is out of range"),
        ({"maker": "a"}, "maker is a string of 2 to 5 characters, not 'a'"),
        ({"maker": "abcdef"}, "maker is a string of 2 to 5 characters, not 'abcdef'"),
        ({"maker": ["a", "b"]}, "maker is a string of 2 to 5 characters, not"),
        ({"label": "abcdef"}, "label is a string of 0 to 5 characters"),
        ({"note": 7}, "note is a string, not 7"),
        ({"colours": ["green"]}, "a value of colours='green' is unknown: 'blue', 'red'"),
    ],
)
def test_what_a_field_cannot_be_is_refused_and_named(changes, words):
    with pytest.raises(ValueError, match=words):
        paint(**changes)


def test_values_of_other_types_are_kept_as_plain_ones():
    made = paint(
        coats=np.array(2),
        gloss=Decimal("0.5"),
        wet=np.bool_(True),
        colours=np.array(["red", "blue"]),
        note=np.str_("x"),
        rooms=np.float64(2),
    )
    kept = [made.coats, made.gloss, made.wet, made.colours, made.note, made.rooms, *made.colours]
    assert kept == [2, 0.5, True, ("red", "blue"), "x", 2, "red", "blue"]
    assert [type(each) for each in kept] == [int, float, bool, tuple, str, int, str, str]


def test_a_string_is_one_value_and_as_many_are_taken_as_there_may_be():
    assert paint(colours="red").colours == ("red",)
    assert len(paint(colours=["red"] * 64).colours) == 64


def test_a_value_in_a_message_is_one_short_line():
    assert shown("x" * 58) == f"'{'x' * 58}'"
    assert shown("x" * 59) == f"'{'x' * 58}…"
    assert shown(np.zeros((2, 2))) == "array([[0., 0.], [0., 0.]])"


def test_a_struct_within_is_of_its_type_and_bounds_are_exact():
    made = Frame(inner=paint(), depth=0.5)
    assert (made.depth, made.inner) == (0.5, paint())
    for depth in (0.4999, 2, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"out of range: at least 0.5, below 2$"):
            Frame(depth=depth)
    with pytest.raises(ValueError, match="inner is of type Paint, not 7"):
        Frame(inner=7)  # type: ignore[arg-type]


def test_keywords_are_divided_among_structs():
    assert divide("hang", {"depth": 1, "coats": 2}, Paint, Frame) == [{"coats": 2}, {"depth": 1}]
    assert divide("hang", {}, Paint) == [{}]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("coat", "hang() has no option 'coat': do you mean 'coats'?"),
        ("Labels", "hang() has no option 'Labels': do you mean 'label'?"),
        ("wal", "hang() has no option 'wal': do you mean 'wall'?"),
        (
            "xyz",
            "hang() has no option 'xyz'; there are coats, gloss, wet, colours, maker, label, note, rooms, "
            "share, inner, depth",
        ),
    ],
)
def test_a_keyword_that_is_no_option_is_named_with_the_nearest_that_is(name, line):
    with pytest.raises(TypeError) as caught:
        divide("hang", {name: 1}, Paint, Frame, beside=["wall"])
    assert str(caught.value) == line


def test_a_signature_has_every_option_with_its_default_and_the_types_it_takes():
    signature = inspect.signature(hang)
    assert list(signature.parameters) == [
        "wall", "coats", "gloss", "wet", "colours", "maker", "label", "note", "rooms", "share",
        "inner", "depth",
    ]  # fmt: skip
    coats = signature.parameters["coats"]
    assert (coats.kind, coats.default, coats.annotation) == (coats.KEYWORD_ONLY, 1, float)
    assert signature.return_annotation is int and hang(3) == 3


def test_a_signature_is_made_when_it_is_looked_at(monkeypatch):
    made = []

    def hints(kind):
        made.append(kind)
        return get_type_hints(kind)

    monkeypatch.setattr("framewire.keywords.get_type_hints", hints)

    @documented(Paint)
    def brush(wall: int, **options: Unpack[PaintKeywords]) -> int:
        return wall

    assert (brush(3), made) == (3, []), "an import would pay for it"
    assert "coats: float = 1" in str(inspect.signature(brush)) and "share" in inspect.signature(brush).parameters
    assert made == [PaintKeywords]


def test_a_signature_can_be_used_as_any_other():
    signature = inspect.signature(hang)
    assert signature.bind(3, coats=2).arguments == {"wall": 3, "coats": 2}
    assert pickle.loads(pickle.dumps(signature)) == copy.copy(signature) == signature == signature.replace()
    assert list(signature.replace(parameters=[]).parameters) == []
    assert not hasattr(signature, "no_such_name")
    with pytest.raises(TypeError, match="unexpected keyword argument 'x'"):
        signature.bind(3, x=2)


def test_a_type_that_is_imported_for_type_checkers_alone_stays_a_name_in_the_signature():
    @documented(Paint)
    def brush(wall: int, **options: Unpack[PaintKeywords]) -> Bristle:  # type: ignore[name-defined]  # noqa: F821
        raise NotImplementedError

    signature = inspect.signature(brush)
    assert signature.return_annotation == "Bristle" and signature.parameters["wall"].annotation is int


class Wall:
    @documented(Paint)
    def hang(self, wall: int, **options: Unpack[PaintKeywords]) -> int:
        return wall


def test_a_method_has_its_signature_without_self():
    assert next(iter(inspect.signature(Wall().hang).parameters)) == "wall"
    assert Wall().hang(3) == 3
    with pytest.raises(TypeError) as caught:
        Wall().hang()  # type: ignore[call-arg]
    assert str(caught.value) == "hang() needs 'wall': hang(wall)"


@pytest.mark.parametrize(
    ("arguments", "named", "line"),
    [
        ((), {}, "hang() needs 'wall': hang(wall)"),
        ((1, 2), {}, "hang() takes 1 positional arguments, not 2: hang(wall)"),
        ((), {"wal": 3}, "hang() has no option 'wal': do you mean 'wall'?"),
        ((), {"coats": 3}, "hang() needs 'wall': hang(wall)"),
    ],
)
def test_a_call_that_does_not_fit_is_one_line(arguments, named, line):
    with pytest.raises(TypeError) as caught:
        hang(*arguments, **named)
    assert str(caught.value) == line


def test_every_option_is_documented_within_a_line_that_can_be_read():
    text = inspect.getdoc(hang) or ""
    paragraphs = text.split("\n\n")
    assert paragraphs[:4] == ["Hangs a picture.", "On a wall.", "Options:", "``coats=1``: How many."]
    assert paragraphs[4].startswith("``gloss=None``: How much; more is more.") and "\n    " in paragraphs[4]
    assert 100 < max(map(len, paragraphs[4].splitlines())) <= 112
    assert paragraphs[-3].splitlines()[1].startswith("    A-hyphenated-word-A-hy"), "words stay whole"


def test_an_argument_with_a_default_may_be_left_out():
    @documented(Paint)
    def fill(wall: int, room: int = 7, **options: Unpack[PaintKeywords]) -> int:
        """Fills."""
        return wall + room

    assert (fill(1), fill(1, 2), fill(wall=1, room=3)) == (8, 3, 4)
    assert "coats=1" in (fill.__doc__ or "")
    with pytest.raises(TypeError, match=r"^fill\(\) needs 'wall': fill\(wall\)$"):
        fill(room=2)  # type: ignore[call-arg]


def test_a_field_without_a_description_has_its_default_alone():
    class Bare(Struct, frozen=True, kw_only=True):
        plain: int = 1
        other: Annotated[int, "a note", Meta(ge=0), Meta(description="With one.")] = 2

    @documented(Bare)
    def bare(**options: Unpack[PaintKeywords]) -> None: ...

    assert (bare.__doc__ or "").split("\n\n")[-2:] == ["``plain=1``:", "``other=2``: With one."]


def test_a_function_without_a_docstring_gets_one():
    @documented(Paint)
    def bare(**options: Unpack[PaintKeywords]) -> None: ...

    assert (bare.__doc__ or "").startswith("\n\nOptions:")


def test_the_fields_of_a_struct_are_read_once(monkeypatch):
    class Door(Struct, frozen=True, kw_only=True):
        width: int = 1
        height: int = 2

        def __post_init__(self) -> None:
            normalise(self)

    read = []
    known = msgspec.inspect.type_info

    def type_info(kind):
        read.append(kind)
        return known(kind)

    monkeypatch.setattr(msgspec.inspect, "type_info", type_info)

    for width in range(3):
        Door(**divide("open", {"width": width}, Door)[0])

    assert read == [Door], "describing a struct takes longer than making a hundred"


@pytest.mark.parametrize("given", ["no", "", 0, 1, None, [], np.zeros(2, bool)])
def test_a_flag_is_true_or_false(given: object) -> None:
    with pytest.raises(ValueError, match=r"^block=.* is neither True nor False$"):
        flag("block", given)


def test_flags_of_numpy_are_flags() -> None:
    assert flag("block", np.bool_(True)) is True and flag("block", False) is False
