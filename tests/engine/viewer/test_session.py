"""One viewer's session at the server, step by step."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framewire import wire
from framewire.authentication import ConnectionRequest
from framewire.engine.viewer.admission import Admitted, Refused
from framewire.engine.viewer.effects import (
    Acknowledge,
    AddCandidate,
    Admit,
    AnswerReport,
    Attach,
    Close,
    ClosePeer,
    DeadlinePassed,
    DeliverInput,
    Detach,
    Effect,
    Event,
    ListedStream,
    MakeOffer,
    OfferedTrack,
    OpenPeer,
    PeerFailed,
    PeerOffered,
    Send,
    SetAnswer,
    StreamsChanged,
)
from framewire.engine.viewer.session import ServerInfo, Session, State
from framewire.errors import CloseCode, RemoteProtocolError

INFO = wire.StreamInfo(0, "default", 1280, 720, 30.0)
OTHER = wire.StreamInfo(1, "other", 64, 64, 30.0)
LISTED, OTHER_LISTED = (ListedStream(info, ("h264", "vp8")) for info in (INFO, OTHER))
ICE = wire.IceServer(["stun:stun.example"])
SERVER = ServerInfo(software="x", epoch="e", ice_servers=[ICE], unix_offset_s=1000.0)
REQUEST = ConnectionRequest(remote="192.0.2.1")
HELLO = wire.Hello(1, "right", ["vp8", "h264"], webcodecs=["vp8"])


def fresh(now: float = 0.0) -> Session:
    return Session(SERVER, REQUEST, (LISTED, OTHER_LISTED), now)


def admit(session: Session, now: float = 1.0, hello: wire.Hello = HELLO) -> list[Effect]:
    session.feed(hello, now)
    return session.feed(Admitted("ada"), now)


def ready(hello: wire.Hello = HELLO) -> Session:
    session = fresh()
    admit(session, hello=hello)
    return session


def offering() -> Session:
    """A session whose first offer waits for its answer."""
    session = ready()
    session.feed(wire.Subscribe(1, "default", "webrtc"), 2.0)
    return session


def error(session: Session, event: Event, now: float) -> RemoteProtocolError:
    """What feeding this event raises."""
    with pytest.raises(RemoteProtocolError) as caught:
        session.feed(event, now)
    return caught.value


def sent(effects: list[Effect]) -> list[wire.ServerMessage]:
    return [effect.message for effect in effects if isinstance(effect, Send)]


def kinds(effects: list[Effect]) -> list[str]:
    return [type(effect).__name__ for effect in effects]


def live(session: Session, sub: int = 1, stream: str = "default") -> None:
    """A webrtc subscription, negotiated to its end."""
    effects = session.feed(wire.Subscribe(sub, stream, "webrtc"), 2.0)
    offer = next(effect for effect in effects if isinstance(effect, MakeOffer))
    session.feed(PeerOffered(offer.peer, offer.offer, "sdp", {each.sub: str(each.sub) for each in offer.tracks}), 2.0)
    session.feed(wire.Answer(offer.peer, offer.offer, "sdp"), 2.1)


def connected() -> Session:
    """A session with one WebRTC subscription, negotiated to its end."""
    session = ready()
    live(session, 1)
    return session


# Opening


def test_hello_asks_for_admission_with_what_the_transport_knows() -> None:
    session = fresh()
    (admit,) = session.feed(HELLO, 1.0)
    assert admit == Admit("right", REQUEST) and "right" not in repr(admit)
    assert session.state is State.ADMITTING


def test_an_admitted_viewer_is_sent_welcome_and_the_streams() -> None:
    session = fresh()
    welcome, streams = sent(admit(session, 2.0))
    assert welcome == wire.Welcome(wire.VERSION, "x", "e", 1_002_000.0, [ICE])
    assert streams == wire.Streams([INFO, OTHER])
    assert session.state is State.READY and session.deadline is None


def test_without_an_offset_welcome_has_the_time_of_feed() -> None:
    session = Session(ServerInfo("x", "e"), REQUEST, (), 0.0)
    welcome, _ = sent(admit(session, 2.0))
    assert isinstance(welcome, wire.Welcome) and welcome.time == 2000.0


def test_a_refused_viewer_is_closed_with_the_code_of_the_refusal() -> None:
    session = fresh()
    session.feed(HELLO, 1.0)
    refusal = error(session, Refused(CloseCode.UNAUTHORIZED, "wrong token"), 1.0)
    assert (refusal.code, refusal.reason) == (CloseCode.UNAUTHORIZED, "wrong token")


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (wire.Hello(2, "right", []), CloseCode.VERSION),
        (wire.Hello(3, "wrong", []), CloseCode.VERSION),
        (wire.Subscribe(1, "default", "lossless"), CloseCode.BAD_MESSAGE),
    ],
)
def test_a_wrong_first_message_is_closed_with_the_code_for_it(message: Any, code: CloseCode) -> None:
    assert error(fresh(), message, 1.0).code == code


def test_a_silent_viewer_is_closed_at_the_deadline() -> None:
    session = fresh(now=10.0)
    assert session.deadline == 15.0
    assert session.feed(DeadlinePassed(), 14.9) == []
    assert session.feed(DeadlinePassed(), 15.0) == [Close(CloseCode.HELLO_TIMEOUT, "no hello in 5 s")]


def test_the_deadline_for_hello_holds_for_the_admission_as_well() -> None:
    session = fresh(now=10.0)
    session.feed(HELLO, 11.0)
    assert session.deadline == 15.0
    assert session.feed(DeadlinePassed(), 14.9) == []
    assert session.feed(DeadlinePassed(), 15.0) == [Close(CloseCode.HELLO_TIMEOUT, "not admitted in 5 s")]


def test_messages_before_admission_wait_for_it_in_order() -> None:
    session = fresh()
    session.feed(HELLO, 1.0)
    assert session.feed(wire.Subscribe(1, "default", "lossless"), 1.1) == []
    assert session.feed(wire.Ack(1, 7), 1.2) == []
    effects = session.feed(Admitted(), 1.3)
    assert kinds(effects) == ["Send", "Send", "Attach", "Acknowledge"]
    assert session.feed(wire.Ack(1, 8), 1.4) == [Acknowledge(1, 8)], "and those after it do not"


def test_the_17th_message_before_admission_is_refused() -> None:
    session = fresh()
    session.feed(HELLO, 1.0)
    for sub in range(1, 17):
        session.feed(wire.Subscribe(sub, "default", "webrtc"), 1.1)
    assert error(session, wire.Unsubscribe(1), 1.2).code == CloseCode.LIMITS


def test_an_admission_that_comes_after_the_end_does_nothing() -> None:
    session = fresh()
    session.feed(HELLO, 1.0)
    session.close()
    assert session.feed(Admitted(), 2.0) == []


# Subscriptions over the WebSocket


def test_lossless_is_attached_at_once_and_acknowledged() -> None:
    session = ready()
    assert session.feed(wire.Subscribe(1, "other", "lossless"), 2.0) == [Attach(1, 1, "lossless", None)]
    assert session.feed(wire.Ack(1, 77), 2.1) == [Acknowledge(1, 77)]
    assert session.feed(wire.Unsubscribe(1), 2.2) == [Detach(1)]


def test_webcodecs_uses_the_decoders_of_its_own_list() -> None:
    assert ready().feed(wire.Subscribe(1, "other", "webcodecs"), 2.0) == [Attach(1, 1, "webcodecs", "vp8")]
    (ended,) = sent(ready().feed(wire.Subscribe(1, "other", "webcodecs", codec="h264"), 2.0))
    assert isinstance(ended, wire.Ended) and ended.reason == "no_codec"


@pytest.mark.parametrize("mode", ["webrtc", "webcodecs"])
@pytest.mark.parametrize(
    ("stream", "viewer", "codec"),
    [
        (["h264_444", "h264", "vp8"], ["h264_444", "h264", "vp8"], "h264_444"),
        (["h264_444", "h264", "vp8"], ["h264", "vp8"], "h264"),
        (["h264_444", "h264"], ["vp8", "h264"], "h264"),
        (["h264", "vp8"], ["h264_444", "h264", "vp8"], "h264"),
    ],
)
def test_the_first_codec_of_the_viewer_that_the_stream_has_is_chosen(
    mode: wire.Mode, stream: list[wire.Codec], viewer: list[wire.Codec], codec: wire.Codec
) -> None:
    session = Session(SERVER, REQUEST, (ListedStream(INFO, tuple(stream)), OTHER_LISTED), 0.0)
    admit(session, hello=wire.Hello(1, "right", viewer, webcodecs=viewer))
    effects = session.feed(wire.Subscribe(1, "default", mode), 2.0)
    wanted = MakeOffer(1, 1, (OfferedTrack(1, codec),)) if mode == "webrtc" else Attach(1, 0, mode, codec)
    assert wanted in effects


def test_each_stream_is_offered_in_a_codec_of_its_own_on_the_one_peer() -> None:
    whole = ListedStream(INFO, ("h264_444", "h264"), "smooth")
    session = Session(SERVER, REQUEST, (whole, ListedStream(OTHER, ("vp8",))), 0.0)
    admit(session, hello=wire.Hello(1, "right", ["h264_444", "h264", "vp8"]))
    live(session, 1)
    effects = session.feed(wire.Subscribe(2, "other", "webrtc"), 3.0)
    assert effects == [MakeOffer(1, 2, (OfferedTrack(1, "h264_444", "smooth"), OfferedTrack(2, "vp8", "low")))]
    (ended,) = sent(session.feed(wire.Subscribe(3, "other", "webrtc", codec="h264"), 3.1))
    assert ended == wire.Ended(3, "no_codec", "viewer and stream share no video codec")


def test_a_stream_that_comes_back_with_other_codecs_has_those() -> None:
    session = ready()
    session.feed(StreamsChanged((ListedStream(INFO, ("vp8",)),)), 2.0)
    assert MakeOffer(1, 1, (OfferedTrack(1, "vp8"),)) in session.feed(wire.Subscribe(1, "default", "webrtc"), 3.0)


def test_messages_for_an_ended_subscription_are_ignored() -> None:
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
def test_a_message_that_no_correct_viewer_sends_is_a_bad_message(messages: list[Any]) -> None:
    session = ready()
    with pytest.raises(RemoteProtocolError) as caught:
        for message in messages:
            session.feed(message, 2.0)
    assert caught.value.code == CloseCode.BAD_MESSAGE


def test_a_subscription_to_an_unknown_stream_is_ended() -> None:
    (ended,) = sent(ready().feed(wire.Subscribe(1, "nope", "lossless"), 2.0))
    assert isinstance(ended, wire.Ended) and ended.reason == "no_such_stream" and "nope" in str(ended.detail)


def test_the_65th_video_is_refused() -> None:
    session = ready()
    for sub in range(1, 65):
        assert not [m for m in sent(session.feed(wire.Subscribe(sub, "default", "webrtc"), 2.0))]
    (ended,) = sent(session.feed(wire.Subscribe(65, "default", "webrtc"), 2.0))
    assert ended == wire.Ended(65, "limits", "at most 64 videos over WebRTC on one socket")
    assert kinds(session.feed(wire.Subscribe(66, "default", "lossless"), 2.0)) == ["Attach"], "its picture comes"
    session.feed(wire.Unsubscribe(1), 2.1)
    assert not sent(session.feed(wire.Subscribe(67, "default", "webrtc"), 2.2))


def test_the_129th_subscription_is_refused() -> None:
    streams = tuple(ListedStream(wire.StreamInfo(id_, str(id_), 64, 64, 30.0), ("h264",)) for id_ in range(129))
    session = Session(SERVER, REQUEST, streams, 0.0)
    admit(session)
    for sub in range(1, 129):
        assert kinds(session.feed(wire.Subscribe(sub, str(sub), "lossless"), 2.0)) == ["Attach"]
    (ended,) = sent(session.feed(wire.Subscribe(129, "0", "lossless"), 2.0))
    assert ended == wire.Ended(129, "limits", "at most 128 subscriptions on one socket")
    session.feed(wire.Unsubscribe(1), 2.1)
    assert kinds(session.feed(wire.Subscribe(130, "0", "lossless"), 2.2)) == ["Attach"]


def test_a_detail_is_cut_to_what_the_contract_allows() -> None:
    (ended,) = sent(ready().feed(wire.Subscribe(1, "\x00" * 128, "lossless"), 2.0))
    assert isinstance(ended, wire.Ended) and ended.detail == ("there is no stream " + repr("\x00" * 128))[:512]
    session = connected()
    (ended,) = sent(session.feed(PeerFailed(1, "x" * 600), 3.0))
    assert ended == wire.Ended(1, "peer_failed", "x" * 512)


def test_input_is_delivered_with_its_principal_and_reports_are_answered() -> None:
    session = ready()
    session.feed(wire.Subscribe(1, "other", "lossless"), 2.0)
    event = wire.RenderviewEvent("wheel", 1.0, dy=3.0)
    assert session.feed(wire.Input(1, event), 2.0) == [DeliverInput(1, "ada", event)]
    report = wire.Report(1, 5.0, True, 3, 3)
    assert session.feed(report, 2.0) == [AnswerReport(report)]


# The peer connection


@pytest.mark.parametrize(("repair", "parity"), [(["flexfec-03"], True), ([], False)])
def test_parity_packets_are_for_viewers_that_understand_them(repair: list[Any], parity: bool) -> None:
    session = ready(wire.Hello(1, "right", ["vp8"], repair=repair))
    opened, _ = session.feed(wire.Subscribe(1, "default", "webrtc"), 2.0)
    assert opened == OpenPeer(1, parity)


def test_a_stream_over_the_websocket_is_not_offered() -> None:
    session = ready()
    session.feed(wire.Subscribe(1, "other", "webcodecs"), 2.0)
    assert MakeOffer(1, 1, (OfferedTrack(2, "vp8"),)) in session.feed(wire.Subscribe(2, "default", "webrtc"), 2.0)


def test_a_webrtc_subscription_is_offered_answered_and_attached() -> None:
    session = ready()
    assert session.feed(wire.Subscribe(1, "default", "webrtc"), 2.0) == [
        OpenPeer(1, parity=False),
        MakeOffer(1, 1, (OfferedTrack(1, "vp8"),)),
    ]
    (offer,) = sent(session.feed(PeerOffered(1, 1, "offer", {1: "0"}), 2.1))
    assert offer == wire.Offer(1, 1, "offer", [wire.Track(1, "0", "vp8")])
    assert session.feed(wire.Candidate(1, "c", "0"), 2.1) == [AddCandidate(1, "c", "0")]
    assert session.feed(wire.Answer(1, 1, "answer"), 2.2) == [
        SetAnswer(1, "answer"),
        Attach(1, 0, "webrtc", "vp8"),
    ]
    assert session.deadline is None


def test_a_viewer_may_ask_for_a_codec() -> None:
    effects = ready().feed(wire.Subscribe(1, "default", "webrtc", codec="h264"), 2.0)
    assert MakeOffer(1, 1, (OfferedTrack(1, "h264"),)) in effects


def test_all_subscriptions_share_one_peer_and_one_offer_at_a_time() -> None:
    session = offering()
    assert session.feed(wire.Subscribe(2, "other", "webrtc"), 2.0) == [], "one offer at a time"
    session.feed(PeerOffered(1, 1, "sdp", {1: "0"}), 2.0)
    effects = session.feed(wire.Answer(1, 1, "sdp"), 2.1)
    assert effects[-1] == MakeOffer(1, 2, (OfferedTrack(1, "vp8"), OfferedTrack(2, "vp8")))
    session.feed(PeerOffered(1, 2, "sdp", {1: "0", 2: "1"}), 2.1)
    assert session.feed(wire.Answer(1, 2, "sdp"), 2.2) == [SetAnswer(1, "sdp"), Attach(2, 1, "webrtc", "vp8")]


def test_a_subscription_that_ended_while_it_was_offered_is_not_attached() -> None:
    session = connected()
    session.feed(wire.Subscribe(2, "other", "webrtc"), 3.0)
    assert session.feed(wire.Unsubscribe(2), 3.0) == [], "never attached; negotiated again once the offer is answered"
    session.feed(PeerOffered(1, 2, "sdp", {1: "0", 2: "1"}), 3.0)
    assert kinds(session.feed(wire.Answer(1, 2, "sdp"), 3.1)) == ["SetAnswer", "MakeOffer"]


def test_the_peer_closes_with_its_last_subscription_and_the_next_opens_another() -> None:
    session = connected()
    assert session.feed(wire.Unsubscribe(1), 3.0) == [Detach(1), ClosePeer(1)]
    assert session.feed(wire.Candidate(1, "late", "0"), 3.0) == []
    assert session.feed(wire.Answer(1, 1, "late"), 3.0) == []
    assert OpenPeer(2, parity=False) in session.feed(wire.Subscribe(2, "default", "webrtc"), 3.1)


def test_a_failed_peer_ends_its_subscriptions_and_no_others() -> None:
    session = ready()
    session.feed(wire.Subscribe(1, "default", "lossless"), 2.0)
    live(session, 2)
    effects = session.feed(PeerFailed(1, "gone"), 4.0)
    assert effects == [Detach(2), Send(wire.Ended(2, "peer_failed", "gone")), ClosePeer(1)]
    assert session.feed(PeerFailed(1, "again"), 4.0) == []
    assert session.feed(wire.Ack(1, 1), 4.0) == [Acknowledge(1, 1)]


def test_the_time_for_an_answer_begins_when_the_offer_is_sent() -> None:
    session = offering()
    session.feed(PeerOffered(1, 1, "sdp", {1: "0"}), 7.0)
    assert session.deadline == 17.0


def test_an_answer_that_comes_before_its_offer_is_ready_counts_once() -> None:
    session = offering()
    assert "SetAnswer" in kinds(session.feed(wire.Answer(1, 1, "guessed"), 2.1))
    session.feed(PeerOffered(1, 1, "sdp", {1: "0"}), 2.2)
    assert session.deadline is None, "nothing is waited for"
    assert session.feed(wire.Answer(1, 1, "again"), 2.3) == []


def test_an_unanswered_offer_fails_the_peer() -> None:
    session = offering()
    assert session.deadline == 12.0
    assert session.feed(DeadlinePassed(), 11.9) == []
    assert session.feed(DeadlinePassed(), 12.0) == [
        Send(wire.Ended(1, "peer_failed", "no answer in 10 s")),
        ClosePeer(1),
    ]
    assert session.deadline is None
    assert session.feed(DeadlinePassed(), 99.0) == []


def test_an_offer_of_a_closed_peer_is_not_sent() -> None:
    session = offering()
    session.feed(wire.Unsubscribe(1), 2.0)
    assert session.feed(PeerOffered(1, 1, "sdp", {1: "0"}), 2.1) == []
    session.feed(wire.Subscribe(2, "default", "webrtc"), 2.2)
    assert session.feed(PeerOffered(1, 2, "sdp", {2: "0"}), 2.3) == [], "nor as an offer of the next peer"
    assert kinds(session.feed(PeerOffered(2, 2, "sdp", {2: "0"}), 2.3)) == ["Send"]


def test_an_offer_that_is_not_the_newest_is_not_sent() -> None:
    session = connected()
    session.feed(wire.Subscribe(2, "other", "webrtc"), 3.0)
    assert session.feed(PeerOffered(1, 1, "stale", {1: "0"}), 3.1) == []


def test_an_answer_to_an_older_offer_is_ignored() -> None:
    session = connected()
    session.feed(wire.Subscribe(2, "other", "webrtc"), 3.0)
    session.feed(PeerOffered(1, 2, "sdp", {1: "0", 2: "1"}), 3.0)
    assert session.feed(wire.Answer(1, 1, "late"), 3.1) == []
    assert session.deadline == 13.0, "the newest offer still waits for its answer"
    assert kinds(session.feed(wire.Answer(1, 2, "sdp"), 3.2)) == ["SetAnswer", "Attach"]
    assert session.feed(wire.Answer(1, 2, "again"), 3.3) == []


@pytest.mark.parametrize("answer", [wire.Answer(2, 1, "sdp"), wire.Answer(1, 2, "sdp")])
def test_an_answer_to_an_offer_that_was_never_made_is_a_bad_message(answer: wire.Answer) -> None:
    session = offering()
    assert error(session, answer, 2.0).code == CloseCode.BAD_MESSAGE


def test_an_offer_names_no_track_of_a_subscription_that_has_ended() -> None:
    session = offering()
    session.feed(wire.Subscribe(2, "other", "webrtc"), 2.0)
    session.feed(wire.Unsubscribe(1), 2.0)
    (offer,) = sent(session.feed(PeerOffered(1, 1, "sdp", {1: "0"}), 2.1))
    assert isinstance(offer, wire.Offer) and offer.tracks == []


def test_a_peer_that_was_closed_while_its_offer_waited_leaves_nothing_to_the_next() -> None:
    session = offering()
    session.feed(wire.Subscribe(2, "other", "webrtc"), 2.0)
    session.feed(PeerFailed(1, "gone"), 2.1)
    assert session.deadline is None
    _, offer = session.feed(wire.Subscribe(3, "default", "webrtc"), 3.0)
    assert offer == MakeOffer(2, 2, (OfferedTrack(3, "vp8"),))
    session.feed(PeerOffered(2, 2, "sdp", {3: "0"}), 3.1)
    assert kinds(session.feed(wire.Answer(2, 2, "sdp"), 3.2)) == ["SetAnswer", "Attach"]
    assert session.deadline is None, "the answered offer was not outdated"
    assert session.feed(PeerFailed(1, "late"), 3.3) == []


def candidates(session: Session, peer: int, count: int) -> None:
    for _ in range(count):
        assert kinds(session.feed(wire.Candidate(peer, "c", "0"), 2.0)) == ["AddCandidate"]


def test_the_65th_candidate_of_a_peer_is_refused() -> None:
    session = offering()
    candidates(session, 1, 64)
    assert error(session, wire.Candidate(1, "c", "0"), 2.0).code == CloseCode.LIMITS


def test_each_peer_may_have_as_many_candidates() -> None:
    session = connected()
    candidates(session, 1, 64)
    session.feed(wire.Unsubscribe(1), 3.0)
    session.feed(wire.Subscribe(2, "default", "webrtc"), 3.0)
    candidates(session, 2, 64)
    assert session.feed(wire.Candidate(1, "late", "0"), 3.0) == []
    assert error(session, wire.Candidate(3, "c", "0"), 3.0).code == CloseCode.BAD_MESSAGE


# Streams that come and go


def test_a_closed_stream_ends_its_subscriptions_before_the_new_list_is_sent() -> None:
    session = ready()
    session.feed(wire.Subscribe(1, "default", "lossless"), 2.0)
    session.feed(wire.Subscribe(2, "other", "lossless"), 2.0)
    effects = session.feed(StreamsChanged((OTHER_LISTED,)), 3.0)
    assert kinds(effects) == ["Detach", "Send", "Send"]
    ended, streams = sent(effects)
    assert isinstance(ended, wire.Ended) and (ended.sub, ended.reason) == (1, "stream_closed")
    assert streams == wire.Streams([OTHER])


def test_streams_are_not_listed_before_admission() -> None:
    session = fresh()
    assert session.feed(StreamsChanged((OTHER_LISTED,)), 1.0) == []
    session.feed(HELLO, 1.2)
    assert session.feed(StreamsChanged((LISTED,)), 1.3) == []
    assert sent(session.feed(Admitted(), 1.5))[1] == wire.Streams([INFO])


def test_closing_releases_everything_once() -> None:
    session = ready()
    session.feed(wire.Subscribe(1, "other", "lossless"), 2.0)
    live(session, 2)
    assert session.close() == [Detach(1), Detach(2), ClosePeer(1)]
    assert session.close() == [] and session.feed(wire.Ack(1, 1), 9.0) == []


# Any order of events

small = st.integers(1, 4)
moves = st.one_of(
    st.builds(
        wire.Subscribe, small, st.sampled_from(["default", "other", "nope"]), st.sampled_from(["webrtc", "lossless"])
    ),
    st.builds(wire.Unsubscribe, small),
    st.builds(wire.Ack, small, small),
    st.builds(wire.Answer, small, small, st.just("sdp")),
    st.builds(wire.Candidate, small, st.just("c"), st.just("0")),
    st.builds(PeerFailed, small, st.just("x")),
    st.builds(PeerOffered, small, small, st.just("sdp"), st.dictionaries(small, st.just("0"), max_size=3)),
    st.builds(StreamsChanged, st.sampled_from([(LISTED, OTHER_LISTED), (LISTED,), ()])),
    st.just(DeadlinePassed()),
)


@given(st.lists(moves, max_size=30))
def test_in_any_order_attach_and_detach_balance_and_peers_open_and_close_in_turn(inputs: list[Any]) -> None:
    session = ready()
    attached: set[int] = set()
    peers: list[int] = []
    effects: list[Effect] = []
    try:
        for now, move in enumerate(inputs):
            effects += session.feed(move, 2.0 + now)
    except RemoteProtocolError as error:
        assert error.code in (CloseCode.BAD_MESSAGE, CloseCode.LIMITS)
    effects += session.close()
    for effect in effects:
        match effect:
            case Attach(sub):
                assert sub not in attached
                attached.add(sub)
            case Detach(sub):
                attached.remove(sub)
            case OpenPeer(peer=peer):
                assert not peers or peers[-1] < 0, "the one before was closed"
                peers.append(peer)
            case ClosePeer(peer):
                assert peers and peers[-1] == peer
                peers.append(-peer)
            case MakeOffer(peer) | SetAnswer(peer) | AddCandidate(peer):
                assert peers and peers[-1] == peer, "commands go to the peer that is open"
    assert not attached and (not peers or peers[-1] < 0)
