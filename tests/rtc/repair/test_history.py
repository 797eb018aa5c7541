"""What can be sent again, for how long, and how often."""

from __future__ import annotations

from framewire.rtc.repair.history import MAX_RESENDS, MIN_GAP, History


def filled(count, *, first=0, every=0.001, **options):
    history = History(**options)
    for index in range(count):
        sequence = (first + index) & 0xFFFF
        history.add(sequence, 1, [b"x"], index * every)
    return history


def test_a_packet_that_was_sent_is_there_and_others_are_not():
    history = filled(10)
    again = history.resend(9, 1.0, None)
    assert again is not None
    assert again.sequence == 9
    assert history.resend(10, 1.0, None) is None


def test_a_unit_is_all_its_packets_and_the_last_is_marked():
    history = History()
    history.add(65_534, 7, [b"a", b"b", b"c"], 0.0)
    history.add(1, 8, [b"d"], 0.1)
    found = [history.resend(sequence, 1.0, None) for sequence in (65_534, 65_535, 0, 1)]
    assert [(s.payload, s.timestamp, s.marker, s.sequence) for s in found if s] == [
        (b"a", 7, False, 65_534),
        (b"b", 7, False, 65_535),
        (b"c", 7, True, 0),
        (b"d", 8, True, 1),
    ]
    assert history.resend(2, 1.0, None) is None
    assert history.resend(65_533, 1.0, None) is None
    assert len(history) == 4


def test_what_is_gone_is_forgotten_whole():
    history = History(span=1.0)
    history.add(0, 1, [b"a"], 0.0)
    assert history.resend(0, 0.5, None)
    history.add(1, 2, [b"b"], 2.0)
    assert history.resend(0, 2.0, None) is None
    assert history.resend(1, 2.0, None)


def test_at_least_a_second_is_kept_at_fifty_megabits():
    # 1180 bytes a packet: 5300 packets a second.
    history = filled(20_000, every=1 / 5300)
    newest = 19_999
    assert history.resend(newest - 5300, 4.0, None) is not None


def test_neither_time_nor_number_grows_without_end():
    assert len(filled(5000, every=0.01, span=2.0)) <= 202
    assert len(filled(20_000, every=0.0, limit=1000)) == 1000


def test_sequence_numbers_may_wrap():
    history = filled(100, first=65_500)
    assert all(history.resend((65_500 + index) & 0xFFFF, 1.0, None) for index in range(100))
    assert len(filled(70_000, limit=50)) == 50


def test_a_second_request_within_a_round_trip_is_the_same_request():
    history = filled(1)
    assert history.resend(0, 1.0, 0.1)
    assert history.resend(0, 1.09, 0.1) is None
    assert history.resend(0, 1.1001, 0.1)


def test_without_a_known_round_trip_a_small_gap_holds():
    history = filled(1)
    assert history.resend(0, 1.0, None)
    assert history.resend(0, 1.0 + MIN_GAP / 2, None) is None
    assert history.resend(0, 1.0 + MIN_GAP * 1.01, None)


def test_a_packet_that_never_arrives_is_given_up():
    history = filled(1)
    answers = [history.resend(0, float(second), 0.1) for second in range(1, 30)]
    assert sum(answer is not None for answer in answers) == MAX_RESENDS


def test_what_left_since_a_moment_is_known_and_when_what_came_before_left():
    history = History()
    for first, at in ((65_534, 1.0), (0, 1.1), (2, 1.2)):
        history.add(first, 1, [b"a", b"b"], at)
    assert history.since(1.05) == [0, 1, 2, 3]
    assert history.since(1.2) == []
    assert (history.before(2), history.before(65_534)) == (1.1, float("-inf"))


def test_cleared_is_empty():
    history = filled(5)
    history.clear()
    assert len(history) == 0
    assert history.resend(1, 1.0, None) is None


def test_the_longest_of_the_newest_fills_best():
    history = History()
    assert history.filler() is None
    for sequence, length in enumerate([900, 10, 300, 20]):
        history.add(sequence, 1, [bytes(length)], 0.0)
    filler = history.filler(newest=3)
    assert filler is not None and filler.sequence == 2
