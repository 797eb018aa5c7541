"""Reads a ring that another process writes, and verifies all it gets. Must not know who writes."""

from __future__ import annotations

import sys
from collections import deque

from framewire.link.ring import MAX_LEASES, Lease, RingReader
from tests.link.patterns import whole

WANTED = 8_000


def main(fd: int) -> None:
    reader = RingReader(fd)
    held: deque[Lease] = deque()
    last, verified = 0, 0
    while verified < WANTED:
        lease = reader.latest()
        if lease is None or lease.frame.number == last:
            if lease:
                lease.release()
            continue
        assert lease.frame.number > last, (lease.frame.number, last)
        last = lease.frame.number
        held.append(lease)
        # Some are verified at once, some when the writer has lapped them many times.
        while len(held) > verified % MAX_LEASES:
            oldest = held.popleft()
            assert whole(oldest.frame), oldest.frame
            oldest.release()
            verified += 1
    sys.stdout.write(f"verified {verified} of {last}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
