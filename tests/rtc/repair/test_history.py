"""What can be sent again, for how long, and how often."""

from __future__ import annotations

from framewire.rtc.repair.history import MAX_RESENDS, MIN_RESEND_INTERVAL_S, PacketHistory


def filled(count, *, first=0, every=0.001, **options):
    """A history of units of one packet."""
    history = PacketHistory(**options)
    for index in range(count):
        sequence = (first + index) & 0xFFFF
        history.add(sequence, 1, [b"x"], index * every)
    return history


def test_a_packet_that_was_sent_is_there_and_others_are_not():
    history = filled(10)
    again = history.resend(9, 1.0, 0.0)
    assert again is not None
    assert again.sequence == 9
    assert history.resend(10, 1.0, 0.0) is None
    assert history.resend(0, 1.0, 0.0) is not None
    assert history.resend(65_535, 1.0, 0.0) is None


def test_a_unit_is_all_its_packets_and_the_last_is_marked():
    history = PacketHistory()
    history.add(65_534, 7, [b"a", b"b", b"c"], 0.0)
    history.add(1, 8, [b"d"], 0.1)
    found = [history.resend(sequence, 1.0, 0.0) for sequence in (65_534, 65_535, 0, 1)]
    assert [(s.payload, s.timestamp, s.marker, s.sequence) for s in found if s] == [
        (b"a", 7, False, 65_534),
        (b"b", 7, False, 65_535),
        (b"c", 7, True, 0),
        (b"d", 8, True, 1),
    ]
    assert history.resend(2, 1.0, 0.0) is None
    assert history.resend(65_533, 1.0, 0.0) is None
    assert len(history) == 4


def test_old_units_are_dropped_whole():
    history = PacketHistory(span_s=1.0)
    history.add(0, 1, [b"a", b"b"], 0.0)
    history.add(2, 2, [b"c"], 1.0)
    assert history.resend(1, 1.0, 0.0), "as old as is allowed"
    history.add(3, 3, [b"d"], 1.001)
    assert history.resend(1, 1.001, 0.0) is history.resend(0, 1.001, 0.0) is None
    assert history.resend(2, 1.001, 0.0)


def test_the_newest_unit_is_kept_however_large():
    history = PacketHistory(max_packets=10)
    history.add(0, 1, [b"x"] * 50, 0.0)
    assert len(history) == 50
    history.add(50, 1, [b"y"], 0.0)
    assert len(history) == 1


def test_at_least_a_second_is_kept_at_fifty_megabits():
    # 1180 bytes in a packet: 5300 packets per second.
    history = filled(20_000, every=1 / 5300)
    newest = 19_999
    assert history.resend(newest - 5300, 4.0, 0.0) is not None


def test_neither_time_nor_number_grows_without_end():
    assert 190 <= len(filled(5000, every=0.01)) <= 202
    assert len(filled(20_000, every=0.0, max_packets=1000)) == 1000
    assert len(filled(20_000, every=0.0)) == 9600


def test_what_is_known_of_resends_is_dropped_with_the_packet():
    history = filled(100, max_packets=50)
    for sequence in range(50, 100):
        assert history.resend(sequence, 1.0, 0.0)
    assert len(history._resent) == 50
    for sequence in range(100, 130):
        history.add(sequence, 1, [b"x"], 1.0)
    assert sorted(history._resent) == list(range(80, 100))


def test_sequence_numbers_may_wrap():
    history = filled(100, first=65_500)
    assert all(history.resend((65_500 + index) & 0xFFFF, 1.0, 0.0) for index in range(100))
    assert len(filled(70_000, max_packets=50)) == 50


def test_a_second_request_within_a_round_trip_is_the_same_request():
    history = filled(1)
    assert history.resend(0, 1.0, 0.1)
    assert history.resend(0, 1.09, 0.1) is None
    assert history.resend(0, 1.1001, 0.1)


def test_without_a_known_round_trip_a_short_interval_holds():
    history = filled(1)
    assert MIN_RESEND_INTERVAL_S == 0.005
    assert history.resend(0, 1.0, 0.0)
    assert history.resend(0, 1.0 + 0.0025, 0.0) is None
    assert history.resend(0, 1.0 + 0.0051, 0.0)


def test_a_packet_that_never_arrives_is_given_up():
    history = filled(2)
    answers = [history.resend(0, float(second), 0.1) for second in range(1, 30)]
    assert sum(answer is not None for answer in answers) == MAX_RESENDS == 10
    assert history.resend(1, 30.0, 0.1), "others are not"


def test_what_left_since_a_moment_is_known_and_when_what_came_before_left():
    history = PacketHistory()
    for first, at in ((65_534, 1.0), (0, 1.1), (2, 1.2)):
        history.add(first, 1, [b"a", b"b"], at)
    assert history.since(1.05) == [0, 1, 2, 3]
    assert history.since(1.2) == []
    assert (history.before(2), history.before(65_534)) == (1.1, float("-inf"))


def test_numbers_in_the_upper_half_are_no_others():
    history = PacketHistory()
    for first, at in ((40_000, 1.0), (40_002, 1.1)):
        history.add(first, 1, [b"a", b"b"], at)
    assert history.since(0.5) == [40_000, 40_001, 40_002, 40_003]
    assert history.before(40_002) == 1.0
    assert history.before(40_002 - 0x8000 & 0xFFFF) == float("-inf")
    assert history.resend(40_000 - 0x8000 & 0xFFFF, 2.0, 0.0) is None


def test_cleared_is_empty():
    history = filled(5)
    history.resend(1, 1.0, 0.0)
    history.clear()
    assert len(history) == 0
    assert history.resend(1, 2.0, 0.0) is None
    assert not history._resent
    history.add(5, 1, [b"x"], 2.0)
    assert len(history) == 1 and history.resend(5, 2.0, 0.0)


def test_the_longest_of_the_newest_packets_fills_best():
    history = PacketHistory()
    assert history.filler() is None
    history.add(0, 1, [bytes(900)], 0.0)
    history.add(1, 1, [bytes(10), bytes(300)], 0.0)
    for sequence in range(3, 16):
        history.add(sequence, 1, [bytes(20)], 0.0)
    filler = history.filler()
    assert filler is not None and filler.sequence == 0, "16 packets ago"
    history.add(16, 1, [bytes(20)], 0.0)
    filler = history.filler()
    assert filler is not None and (filler.sequence, filler.marker) == (2, True)
