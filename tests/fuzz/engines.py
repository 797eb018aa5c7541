"""Episodes of a whole server: pages that behave or do not, streams that come and go, peers that connect or fail, and
engines that die and are started again, in any order.

Must not know how episodes are made smaller, kept or counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Any, Final

from framewire import wire
from framewire.engine.engine import MAX_VIEWERS
from framewire.engine.relay import MAX_UNREAD_BYTES
from framewire.engine.stream.stream import LINGER_S
from framewire.errors import ClosedError
from framewire.rtc.peer import BitrateEstimate, KeyframeWanted, PeerState
from tests.fuzz.choices import Choices
from tests.fuzz.desk import TOKEN, Desk, FakePeer, Page, without_the_world
from tests.fuzz.fuzzer import Target
from tests.fuzz.mutators import spliced
from tests.fuzz.sessions import episode_seeds
from tests.fuzz.virtual_loop import VirtualLoop

NAMES: Final = ("a", "b", "c")
MAX_PAGES: Final = 6
MAX_STEPS: Final = 60
STEPS_S: Final = (0.0, 0.01, 0.1, 0.5, 1.1, 5.1, 11.0)


def play(data: bytes) -> Hashable:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        reached = runner.run(_play(Choices(data)))
        loop: Any = runner.get_loop()
        assert not loop.errors, loop.errors
        return reached


async def _play(choices: Choices) -> Hashable:
    with without_the_world() as records:
        desk = Desk()
        desk.add_stream("a")
        desk.start()
        desk.connect()
        steps = 0
        while choices.more and steps < MAX_STEPS:
            steps += 1
            await _step(choices, desk)
            _check(desk)
        units = await _behave(desk)
        await _close(desk)
        bugs = [record for record in records if "negotiation failed" not in record.getMessage()]
        assert not bugs, [(record.getMessage(), record.exc_info) for record in bugs]
        return (len(desk.pages), min(units, 3), min(len(FakePeer.made), 4), min(desk.next_stream, 4), desk.given_up)


async def _settle() -> None:
    for _ in range(12):
        await asyncio.sleep(0)


async def _step(choices: Choices, desk: Desk) -> None:
    kind = choices.below(20)
    pages = [page for page in desk.pages if page.is_open]
    if kind <= 9 and pages:
        _page_sends(choices, desk, choices.pick(pages), kind)
    elif kind <= 11:
        _page_comes_or_goes(choices, desk, pages, kind)
    elif kind <= 15:
        _program_goes_on(choices, desk, kind)
    elif kind == 16 and choices.below(3) == 0:
        await desk.die(asyncio.get_running_loop().time())
        if not desk.given_up:
            desk.start()
    elif kind == 17 and FakePeer.made:
        _peer_event(choices, choices.pick(FakePeer.made))
    elif kind == 18:
        await asyncio.sleep(choices.pick(STEPS_S))
    else:
        await _settle()
        for page in desk.pages:
            desk.deliver(page)


def _page_comes_or_goes(choices: Choices, desk: Desk, pages: list[Page], kind: int) -> None:
    if kind == 10 and len(pages) < MAX_PAGES:
        desk.connect()
    elif pages:
        page = choices.pick(pages)
        page.has_left = True
        page.channel.close()


def _program_goes_on(choices: Choices, desk: Desk, kind: int) -> None:
    if kind == 12 or not desk.names:
        desk.add_stream(choices.pick(NAMES))
    elif kind == 13:
        desk.remove_stream(choices.pick(sorted(desk.names)))
    else:
        desk.publish(choices.pick(sorted(desk.names)), choices.pick(((4, 6, 3), (8, 8, 1), (4, 6, 4), (300, 300, 3))))


def _page_sends(choices: Choices, desk: Desk, page: Page, kind: int) -> None:
    if kind == 0:
        _say(page, wire.Hello(1, choices.pick((TOKEN, TOKEN, TOKEN, "wrong")), ["h264", "vp8"], webcodecs=["h264"]))
    elif kind <= 3:
        page.highest += choices.pick((1, 1, 1, 1, 0))
        modes: tuple[wire.Mode, ...] = ("lossless", "webrtc", "webcodecs")
        _say(page, wire.Subscribe(max(1, page.highest), choices.pick(NAMES), choices.pick(modes)))
    elif kind == 4:
        _say(page, wire.Unsubscribe(max(1, page.highest - choices.below(3))))
    elif kind == 5:
        _say(page, wire.Ack(max(1, page.highest - choices.below(3)), max(0, desk.number - choices.below(4))))
    elif kind == 6:
        sub = max(1, page.highest - choices.below(3))
        _say(page, wire.Report(sub, 1.0, choices.below(3) > 0, 1, 1, keyframe=choices.below(4) == 0))
    elif kind == 7:
        offer = next((each for each in reversed(page.messages) if isinstance(each, wire.Offer)), None)
        if offer:
            _say(page, wire.Answer(offer.peer, offer.offer, choices.pick(("v=0", "v=0", "v=0", "bad"))))
    elif kind == 8:
        _say(page, wire.Input(max(1, page.highest), wire.RenderviewEvent("show", 1.0)))
    else:
        _say_text(page, choices.pick(("{}", "", '{"type":"hello"}', "[" * 500)))


def _say(page: Page, message: wire.ViewerMessage) -> None:
    _say_text(page, wire.encode(message))


def _say_text(page: Page, text: str) -> None:
    try:
        page.channel.send_text(text)
    except ClosedError:
        assert page.channel._id not in page.channel._channels, "it is closed, and about to be told"


def _peer_event(choices: Choices, peer: FakePeer) -> None:
    peer.on_event(
        choices.pick(
            (
                PeerState("connected"),
                PeerState("failed"),
                BitrateEstimate(choices.below(256) * 10_000, measured=True),
                KeyframeWanted(choices.below(4)),
                PeerState("connected"),
            )
        )
    )


def _check(desk: Desk) -> None:
    engine = desk.end.engine if desk.end else None
    if engine is None or desk.end is None or desk.end.relay is None:
        return
    assert engine.viewers <= MAX_VIEWERS
    assert {stream.options.name for stream in engine._streams.values()} == set(desk.names.values())
    assert desk.end.relay._viewers.keys() >= {
        page.channel._id for page in desk.pages if page.is_open and page.channel
    } & (desk.channels._channels.keys())
    for _, socket in desk.end.relay._viewers.values():
        assert socket._unread_bytes <= MAX_UNREAD_BYTES + 256 * 1024 + 65_536
    for stream in engine._streams.values():
        for name, encoding in stream._encodings.items():
            assert len(encoding) or name in stream._lingering, "an encoding without subscribers stops"
    alive = [peer for peer in FakePeer.made if not peer.closed]
    assert len(alive) <= 9 * len(desk.pages)


async def _behave(desk: Desk) -> int:
    """From here on all works: a new page that does what the contract says has its picture."""
    if desk.given_up:
        return -1
    if desk.end is None:
        desk.start()
    desk.add_stream("a")
    desk.connect()
    page = desk.pages[-1]
    _say(page, wire.Hello(1, TOKEN, ["h264"]))
    _say(page, wire.Subscribe(1, "a", "lossless"))
    desk.publish(max(desk.names), (4, 6, 3))
    for _ in range(8):
        await asyncio.sleep(0.02)
        for each in desk.pages:
            desk.deliver(each)
        if page.units:
            break
    assert page.is_open and page.units, "a viewer that behaves ends with a picture"
    return page.units


async def _close(desk: Desk) -> None:
    """Everything that was opened is closed in the end."""
    end = desk.end
    for page in desk.pages:
        if page.is_open and page.channel:
            page.channel.close()
            page.has_left = True
    await asyncio.sleep(2 * LINGER_S)
    if end and end.engine and end.relay:
        await asyncio.gather(*end.relay._leaving)
        assert end.engine.viewers == 0 and not end.relay._viewers
        for stream in end.engine._streams.values():
            assert stream.viewers == 0 and not stream._encodings
        await end.engine.close()
    assert not desk.channels._channels
    assert all(peer.closed for peer in FakePeer.made)
    for slot in desk.slots.values():
        slot.close()
    await asyncio.sleep(20)
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    assert not tasks, tasks


def _seeds() -> list[bytes]:
    orderly = [0, 0, 1, 0, 0, 19, 14, 0, 0, 19, 5, 0, 0, 0, 19, 2, 0, 0, 0, 1, 19, 7, 0, 0, 17, 0, 0, 14, 0, 0, 19]
    return [bytes(orderly), *episode_seeds()]


TARGETS: Final = (
    Target(
        "engine", play, _seeds, spliced, max_bytes=300, is_episode=True, variations=1, ci_inputs=300,
        max_cpu_s=1.0, max_peak_bytes=64 << 20,
    ),
)  # fmt: skip
