"""What two reports of a stream's viewers say of what happened between them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from framewire.viewers import ViewerEvent, WatchingViewer, changes

ADA, BOB = WatchingViewer("a", "ada"), WatchingViewer("b")
HIDDEN_ADA = WatchingViewer("a", "ada", visible=False)


def test_viewers_join_and_leave():
    assert list(changes([], [ADA])) == [ViewerEvent("join", ADA)]
    assert list(changes([ADA], [BOB])) == [ViewerEvent("leave", ADA), ViewerEvent("join", BOB)]
    assert list(changes([ADA, BOB], [ADA, BOB])) == []


def test_a_viewer_is_hidden_and_seen_again():
    assert list(changes([ADA], [HIDDEN_ADA])) == [ViewerEvent("hidden", HIDDEN_ADA)]
    assert list(changes([HIDDEN_ADA], [ADA])) == [ViewerEvent("visible", ADA)]
    assert list(changes([HIDDEN_ADA], [HIDDEN_ADA])) == []


def test_a_viewer_that_joins_hidden_is_hidden_after_it_joined():
    assert [event.type for event in changes([], [HIDDEN_ADA])] == ["join", "hidden"]
    assert [event.type for event in changes([HIDDEN_ADA], [])] == ["leave"]


reports = st.lists(st.builds(WatchingViewer, st.sampled_from("abcd"), st.none(), st.booleans()), max_size=4).map(
    lambda viewers: list({viewer.client_id: viewer for viewer in viewers}.values())
)


@given(st.lists(reports, max_size=6))
def test_a_program_that_counts_by_the_types_knows_who_is_there_and_seen(steps: list[list[WatchingViewer]]):
    before: list[WatchingViewer] = []
    seen: dict[str, bool] = {}
    for after in steps:
        for event in changes(before, after):
            match event.type:
                case "join":
                    assert event.viewer.client_id not in seen
                    seen[event.viewer.client_id] = True
                case "leave":
                    del seen[event.viewer.client_id]
                case change:
                    seen[event.viewer.client_id] = change == "visible"
        before = after
    assert seen == {viewer.client_id: viewer.visible for viewer in before}
