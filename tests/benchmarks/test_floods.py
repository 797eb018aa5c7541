"""Floods: the frames that attackers make are a WebSocket's, and each flood is one that a viewer could send."""

from __future__ import annotations

import json

from benchmarks.flooding import FLOODS, PING, answer_to, frame, message
from benchmarks.floods import Run, Watched, table
from framewire import wire

OFFER = "v=0\r\na=group:BUNDLE 0\r\nm=video 9 X 96\r\na=mid:0\r\na=sendonly\r\na=setup:actpass\r\na=ice-ufrag:xyz\r\n"


def test_frames_are_masked_and_say_their_length():
    assert frame(b"", PING) == b"\x89\x80\0\0\0\0"
    assert frame(b"x" * 200) == b"\x81\xfe\x00\xc8\0\0\0\0" + b"x" * 200
    assert frame(b"x" * 70_000, 0, last=False)[:10] == b"\x00\xff\0\0\0\0\0\x01\x11\x70"


def test_messages_are_the_contracts():
    text = message("ack", sub=1, frame=0)[6:]
    assert json.loads(text) == {"type": "ack", "sub": 1, "frame": 0}
    assert wire.decode_viewer(text) == wire.Ack(1, 0)


def test_an_answer_is_made_of_the_offers_text():
    answer = answer_to(OFFER)
    assert "a=recvonly" in answer and "a=setup:active" in answer
    assert "a=ice-ufrag:abcd" in answer and "xyz" not in answer


def test_the_table_has_a_row_for_each_flood():
    seen = Watched(30.0, 4.0, 9.0, 40.0, 1.0, 8.0)
    rows = table([Run(name, "lossless", seen, {"frames": 3}, 12.0, 60.0, 8, 10) for name in FLOODS]).splitlines()
    assert [row.split()[0] for row in rows[1:]] == list(FLOODS) and "3 frames" in rows[1]
