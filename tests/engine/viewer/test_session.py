"""One viewer's conversation, seen from the server, step by step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framewire import wire
from framewire.engine.viewer import session as s
from framewire.errors import CloseCode, RemoteProtocolError

INFO = wire.StreamInfo(0, "default", 1280, 720, 30.0)
OTHER = wire.StreamInfo(1, "other", 64, 64, 30.0)
TERMS = s.Terms(admits=lambda token: token == "right", codecs=("h264", "vp8"), server="x", epoch="e", unix=1000.0)
HELLO = wire.Hello(1, "right", ["vp8", "h264"], webcodecs=["vp8"])


def fresh(now: float = 0.0) -> s.Session:
    return s.Session(TERMS, (INFO, OTHER), now)


def ready() -> s.Session:
    session = fresh()
    session.feed(HELLO, 1.0)
    return session


def sent(effects: list[s.Effect]) -> list[wire.ServerMessage]:
    return [effect.message for effect in effects if isinstance(effect, s.Send)]


def kinds(effects: list[s.Effect]) -> list[str]:
    return [type(effect).__name__ for effect in effects]


def live(session: s.Session, sub: int = 1, stream: str = "default") -> None:
    """A webrtc subscription, negotiated to its end."""
    effects = session.feed(wire.Subscribe(sub, stream, "webrtc"), 2.0)
    offer = next(effect for effect in effects if isinstance(effect, s.MakeOffer))
    session.feed(s.PeerOffered(offer.peer, offer.offer, "sdp", {n: str(n) for n, _, _ in offer.tracks}), 2.0)
    session.feed(wire.Answer(offer.peer, offer.offer, "sdp"), 2.1)


# Opening


def test_hello_is_answered_with_welcome_and_the_streams() -> None:
    session = fresh()
    welcome, streams = sent(session.feed(HELLO, 2.0))
    assert isinstance(welcome, wire.Welcome) and welcome.time == 1_002_000.0 and welcome.epoch == "e"
    assert streams == wire.Streams([INFO, OTHER])
    assert session.state is s.State.READY and session.deadline is None


@pytest.mark.parametrize(
    "message, code",
    [
        (wire.Hello(1, "wrong", []), CloseCode.UNAUTHORIZED),
        (wire.Hello(2, "right", []), CloseCode.VERSION),
        (wire.Subscribe(1, "default", "lossless"), CloseCode.BAD_MESSAGE),
    ],
)
def test_whoever_opens_wrongly_is_closed_with_the_code_that_says_why(message: Any, code: CloseCode) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        fresh().feed(message, 1.0)
    assert caught.value.code == code


def test_a_silent_socket_is_closed_after_the_deadline() -> None:
    session = fresh(now=10.0)
    assert session.deadline == 10.0 + s.HELLO_TIMEOUT
    assert session.feed(s.Expired(), 10.0) == []
    assert session.feed(s.Expired(), session.deadline) == [s.Close(CloseCode.HELLO_TIMEOUT, "no hello in 5 s")]


# Subscriptions over the WebSocket


def test_lossless_is_attached_at_once_and_credits_come_back() -> None:
    session = ready()
    assert session.feed(wire.Subscribe(1, "other", "lossless"), 2.0) == [s.Attach(1, 1, "lossless", None)]
    assert session.feed(wire.Ack(1, 77), 2.1) == [s.ReturnCredit(1, 77)]
    assert session.feed(wire.Unsubscribe(1), 2.2) == [s.Detach(1)]


def test_webcodecs_uses_the_decoders_of_its_own_list() -> None:
    assert ready().feed(wire.Subscribe(1, "other", "webcodecs"), 2.0) == [s.Attach(1, 1, "webcodecs", "vp8")]
    (ended,) = sent(ready().feed(wire.Subscribe(1, "other", "webcodecs", codec="h264"), 2.0))
    assert isinstance(ended, wire.Ended) and ended.reason == "no_codec"


@pytest.mark.parametrize("mode", ["webrtc", "webcodecs"])
@pytest.mark.parametrize(
    ("server", "viewer", "codec"),
    [
        (["h264_444", "h264", "vp8"], ["h264_444", "h264", "vp8"], "h264_444"),
        (["h264_444", "h264", "vp8"], ["h264", "vp8"], "h264"),
        (["h264_444", "h264"], ["vp8", "h264"], "h264"),
        (["h264", "vp8"], ["h264_444", "h264", "vp8"], "h264"),
    ],
)
def test_whole_chroma_is_for_those_who_can_and_nobody_is_turned_away(
    mode: wire.Mode, server: list[wire.Codec], viewer: list[wire.Codec], codec: wire.Codec
) -> None:
    session = s.Session(replace(TERMS, codecs=tuple(server)), (INFO, OTHER), 0.0)
    session.feed(wire.Hello(1, "right", viewer, webcodecs=viewer), 1.0)
    effects = session.feed(wire.Subscribe(1, "default", mode), 2.0)
    wanted = s.MakeOffer(1, 1, ((1, codec, 0),)) if mode == "webrtc" else s.Attach(1, 0, mode, codec)
    assert wanted in effects


def test_messages_for_a_subscription_that_is_over_are_ignored() -> None:
    session = ready()
    session.feed(wire.Subscribe(5, "default", "lossless"), 2.0)
    session.feed(wire.Unsubscribe(5), 2.0)
    event = wire.RenderviewEvent("close", 1.0)
    for message in (wire.Ack(5, 1), wire.Input(5, event), wire.Unsubscribe(5), wire.Ack(3, 1)):
        assert session.feed(message, 3.0) == []


@pytest.mark.parametrize(
    "messages",
    [
        [wire.Ack(1, 1)],
        [wire.Subscribe(2, "default", "lossless"), wire.Subscribe(2, "other", "lossless")],
        [wire.Subscribe(2, "default", "lossless"), wire.Subscribe(1, "other", "lossless")],
        [wire.Subscribe(1, "default", "lossless"), wire.Subscribe(2, "default", "lossless")],
        [HELLO],
        [wire.Answer(1, 1, "sdp")],
        [wire.Candidate(1, "", "0")],
    ],
)
def test_what_no_honest_viewer_says_is_a_bad_message(messages: list[Any]) -> None:
    session = ready()
    with pytest.raises(RemoteProtocolError) as caught:
        for message in messages:
            session.feed(message, 2.0)
    assert caught.value.code == CloseCode.BAD_MESSAGE


def test_a_stream_that_is_not_there() -> None:
    (ended,) = sent(ready().feed(wire.Subscribe(1, "nope", "lossless"), 2.0))
    assert isinstance(ended, wire.Ended) and ended.reason == "no_such_stream" and "nope" in str(ended.detail)


def test_subscriptions_are_counted() -> None:
    session = ready()
    for sub in range(1, s.MAX_SUBSCRIPTIONS + 1):
        session.feed(wire.Subscribe(sub, "default", "webrtc"), 2.0)
    (ended,) = sent(session.feed(wire.Subscribe(10_000, "other", "lossless"), 2.0))
    assert isinstance(ended, wire.Ended) and ended.reason == "limits"


def test_input_and_reports_are_handed_on() -> None:
    session = ready()
    session.feed(wire.Subscribe(1, "other", "lossless"), 2.0)
    event = wire.RenderviewEvent("wheel", 1.0, dy=3.0)
    assert session.feed(wire.Input(1, event), 2.0) == [s.Deliver(1, event)]
    report = wire.Report(1, 5.0, True, 3, 3)
    assert session.feed(report, 2.0) == [s.Heard(report)]


# The peer connection


def test_parity_is_for_viewers_that_say_they_understand_it() -> None:
    session = fresh()
    session.feed(wire.Hello(1, "right", ["vp8"], repair=["flexfec-03"]), 0.1)
    opened, _ = session.feed(wire.Subscribe(1, "default", "webrtc"), 2.0)
    assert opened == s.OpenPeer(1, parity=True)


def test_a_webrtc_subscription_is_offered_answered_and_attached() -> None:
    session = ready()
    assert session.feed(wire.Subscribe(1, "default", "webrtc"), 2.0) == [
        s.OpenPeer(1, parity=False),
        s.MakeOffer(1, 1, ((1, "vp8", 0),)),
    ]
    (offer,) = sent(session.feed(s.PeerOffered(1, 1, "offer", {1: "0"}), 2.1))
    assert offer == wire.Offer(1, 1, "offer", [wire.Track(1, "0", "vp8")])
    assert session.feed(wire.Candidate(1, "c", "0"), 2.1) == [s.AddCandidate(1, "c", "0")]
    assert session.feed(wire.Answer(1, 1, "answer"), 2.2) == [
        s.SetAnswer(1, "answer"),
        s.Attach(1, 0, "webrtc", "vp8"),
    ]
    assert session.deadline is None


def test_the_viewer_may_ask_for_a_codec() -> None:
    effects = ready().feed(wire.Subscribe(1, "default", "webrtc", codec="h264"), 2.0)
    assert s.MakeOffer(1, 1, ((1, "h264", 0),)) in effects


def test_one_peer_for_all_and_one_offer_at_a_time() -> None:
    session = ready()
    session.feed(wire.Subscribe(1, "default", "webrtc"), 2.0)
    assert session.feed(wire.Subscribe(2, "other", "webrtc"), 2.0) == [], "the offer that is out comes first"
    session.feed(s.PeerOffered(1, 1, "sdp", {1: "0"}), 2.0)
    effects = session.feed(wire.Answer(1, 1, "sdp"), 2.1)
    assert effects[-1] == s.MakeOffer(1, 2, ((1, "vp8", 0), (2, "vp8", 1)))
    session.feed(s.PeerOffered(1, 2, "sdp", {1: "0", 2: "1"}), 2.1)
    assert session.feed(wire.Answer(1, 2, "sdp"), 2.2) == [s.SetAnswer(1, "sdp"), s.Attach(2, 1, "webrtc", "vp8")]


def test_a_subscription_that_ended_while_it_was_offered_is_not_attached() -> None:
    session = ready()
    live(session, 1)
    session.feed(wire.Subscribe(2, "other", "webrtc"), 3.0)
    assert session.feed(wire.Unsubscribe(2), 3.0) == [], "never attached; renegotiated once the offer is answered"
    session.feed(s.PeerOffered(1, 2, "sdp", {1: "0", 2: "1"}), 3.0)
    assert kinds(session.feed(wire.Answer(1, 2, "sdp"), 3.1)) == ["SetAnswer", "MakeOffer"]


def test_the_last_webrtc_subscription_takes_the_peer_with_it_and_the_next_opens_another() -> None:
    session = ready()
    live(session, 1)
    assert session.feed(wire.Unsubscribe(1), 3.0) == [s.Detach(1), s.ClosePeer(1)]
    assert session.feed(wire.Candidate(1, "late", "0"), 3.0) == []
    assert session.feed(wire.Answer(1, 1, "late"), 3.0) == []
    assert s.OpenPeer(2, parity=False) in session.feed(wire.Subscribe(2, "default", "webrtc"), 3.1)


def test_a_failed_peer_ends_its_subscriptions_and_no_others() -> None:
    session = ready()
    session.feed(wire.Subscribe(1, "default", "lossless"), 2.0)
    live(session, 2)
    effects = session.feed(s.PeerFailed(1, "gone"), 4.0)
    assert effects == [s.Detach(2), s.Send(wire.Ended(2, "peer_failed", "gone")), s.ClosePeer(1)]
    assert session.feed(s.PeerFailed(1, "again"), 4.0) == []
    assert session.feed(wire.Ack(1, 1), 4.0) == [s.ReturnCredit(1, 1)]


def test_an_offer_nobody_answers_fails_the_peer() -> None:
    session = ready()
    session.feed(wire.Subscribe(1, "default", "webrtc"), 2.0)
    assert session.deadline == 2.0 + s.ANSWER_TIMEOUT
    effects = session.feed(s.Expired(), 2.0 + s.ANSWER_TIMEOUT)
    assert kinds(effects) == ["Send", "ClosePeer"] and session.deadline is None


def test_offers_of_a_peer_that_is_gone_go_nowhere() -> None:
    session = ready()
    session.feed(wire.Subscribe(1, "default", "webrtc"), 2.0)
    session.feed(wire.Unsubscribe(1), 2.0)
    assert session.feed(s.PeerOffered(1, 1, "sdp", {1: "0"}), 2.1) == []


def test_candidates_are_counted() -> None:
    session = ready()
    session.feed(wire.Subscribe(1, "default", "webrtc"), 2.0)
    with pytest.raises(RemoteProtocolError) as caught:
        for _ in range(s.MAX_CANDIDATES + 1):
            session.feed(wire.Candidate(1, "c", "0"), 2.0)
    assert caught.value.code == CloseCode.LIMITS


# Streams that come and go


def test_a_stream_that_is_closed_ends_its_subscriptions_before_the_new_list() -> None:
    session = ready()
    session.feed(wire.Subscribe(1, "default", "lossless"), 2.0)
    session.feed(wire.Subscribe(2, "other", "lossless"), 2.0)
    effects = session.feed(s.StreamsChanged((OTHER,)), 3.0)
    assert kinds(effects) == ["Detach", "Send", "Send"]
    ended, streams = sent(effects)
    assert isinstance(ended, wire.Ended) and (ended.sub, ended.reason) == (1, "stream_closed")
    assert streams == wire.Streams([OTHER])


def test_nobody_hears_of_streams_before_hello() -> None:
    session = fresh()
    assert session.feed(s.StreamsChanged((OTHER,)), 1.0) == []
    assert sent(session.feed(HELLO, 1.5))[1] == wire.Streams([OTHER])


def test_the_end_lets_go_of_everything_once() -> None:
    session = ready()
    session.feed(wire.Subscribe(1, "other", "lossless"), 2.0)
    live(session, 2)
    assert session.close() == [s.Detach(1), s.Detach(2), s.ClosePeer(1)]
    assert session.close() == [] and session.feed(wire.Ack(1, 1), 9.0) == []


# Whatever order things come in

small = st.integers(1, 4)
moves = st.one_of(
    st.builds(
        wire.Subscribe, small, st.sampled_from(["default", "other", "nope"]), st.sampled_from(["webrtc", "lossless"])
    ),
    st.builds(wire.Unsubscribe, small),
    st.builds(wire.Ack, small, small),
    st.builds(wire.Answer, small, small, st.just("sdp")),
    st.builds(wire.Candidate, small, st.just("c"), st.just("0")),
    st.builds(s.PeerFailed, small, st.just("x")),
    st.builds(s.PeerOffered, small, small, st.just("sdp"), st.dictionaries(small, st.just("0"), max_size=3)),
    st.builds(s.StreamsChanged, st.sampled_from([(INFO, OTHER), (INFO,), ()])),
    st.just(s.Expired()),
)


@given(st.lists(moves, max_size=30))
def test_attached_and_detached_balance_and_peers_are_opened_and_closed_in_turn(inputs: list[Any]) -> None:
    session = ready()
    attached: set[int] = set()
    peers: list[int] = []
    effects: list[s.Effect] = []
    try:
        for now, move in enumerate(inputs):
            effects += session.feed(move, 2.0 + now)
    except RemoteProtocolError as error:
        assert error.code in (CloseCode.BAD_MESSAGE, CloseCode.LIMITS)
    effects += session.close()
    for effect in effects:
        match effect:
            case s.Attach(sub):
                assert sub not in attached
                attached.add(sub)
            case s.Detach(sub):
                attached.remove(sub)
            case s.OpenPeer(peer=peer):
                assert not peers or peers[-1] < 0, "the one before was closed"
                peers.append(peer)
            case s.ClosePeer(peer):
                assert peers and peers[-1] == peer
                peers.append(-peer)
            case s.MakeOffer(peer) | s.SetAnswer(peer) | s.AddCandidate(peer):
                assert peers and peers[-1] == peer, "commands go to the peer that is open"
    assert not attached and (not peers or peers[-1] < 0)
