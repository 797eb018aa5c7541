"""What may be asked for, and that the rest is refused in words."""

from __future__ import annotations

import pytest

from framewire.options import HostOptions, exposed, host_options, stream_options

TOKEN = "t" * 22


def options(**changes):
    asked = {
        "host": "127.0.0.1", "port": 0, "token": TOKEN, "allow_origins": (), "allow_hosts": ("Lab.Example",),
        "ice_servers": (), "codecs": ("h264", "vp8"), "chroma": "420", "latency": "low",
    }  # fmt: skip
    return host_options(**{**asked, **changes})


def test_what_is_asked_for_is_what_the_engine_gets():
    made = options(codecs=["vp8"], latency="smooth")
    assert (made.codecs, made.latency, made.allow_hosts) == (("vp8",), "smooth", ("lab.example",))
    assert TOKEN not in repr(made)


def test_a_token_is_made_up_where_none_is_given():
    first, second = options(token=None).token, options(token=None).token
    assert first != second and len(first) >= 22


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"token": "short"}, "5 characters; 22 at least"),
        ({"latency": "lowest"}, "latency='lowest' is unknown: 'low', 'smooth'"),
        ({"chroma": "422"}, "chroma='422' is unknown"),
        ({"codecs": ("av1",)}, "codecs .'av1'. are unknown"),
        ({"chroma": "444", "codecs": ("vp8",)}, "needs 'h264'"),
        ({"allow_origins": "https://one.example"}, "lists of strings"),
    ],
)
def test_what_makes_no_sense_is_refused_and_named(changes, words):
    with pytest.raises(ValueError, match=words):
        options(**changes)


def test_whole_colour_is_offered_before_the_rest():
    assert HostOptions(TOKEN, chroma="444").video_codecs == ("h264_444", "h264", "vp8")
    assert HostOptions(TOKEN).video_codecs == ("h264", "vp8")


def test_sizes_of_any_number_type_are_whole_numbers_afterwards():
    made = stream_options(3, "cam", 640.0, 480, 30, 1_000_000)
    assert (made.width, made.height, made.fps) == (640, 480, 30.0)
    assert type(made.width) is int
    for width in (0, 640.5, "640", None, float("nan")):
        with pytest.raises(ValueError, match="no frame size"):
            stream_options(0, "cam", width, 480, 30, 1_000_000)


@pytest.mark.parametrize(("host", "is_exposed"), [("127.0.0.1", False), ("0.0.0.0", True), ("::1", False)])
def test_only_loopback_is_private(host, is_exposed):
    assert exposed(host) is is_exposed
