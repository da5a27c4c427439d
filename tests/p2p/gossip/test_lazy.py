"""What is asked of peers who offer ids: no more than they can send, and who sends what it can is blamed for nothing."""

from __future__ import annotations

from collections import Counter, deque
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from p2p import bounds
from p2p.gossip.history import Recent
from p2p.gossip.lazy import Lazy
from p2p.gossip.outbox import Outbox, Urgency

PEER = "p"
STEP = 0.05  # seconds


class Asker:
    """One that asks a single peer for whatever it offers."""

    def __init__(self) -> None:
        self.lazy = Lazy(Random(1), Recent())
        self.now = 0.0
        self.had: set[bytes] = set()
        self.broken: Counter[str] = Counter()
        self.owed = 0

    def offered(self, ids: list[bytes], peer: str = PEER) -> list[bytes]:
        return self._asks(self.lazy.offered(peer, ids, self.is_new, self.now))

    def comes(self, message_id: bytes, sender: str = PEER) -> list[bytes]:
        self.owed -= self.lazy.owes(PEER, message_id)
        _, wanted = self.lazy.came(sender, message_id, self.is_new, self.now)
        self.had.add(message_id)
        return self._asks(wanted)

    def beats(self) -> None:
        broken, _ = self.lazy.heartbeat(self.now)
        self.broken += broken

    def is_new(self, message_id: bytes) -> bool:
        return message_id not in self.had

    def _asks(self, wanted: list[bytes]) -> list[bytes]:
        self.owed += len(wanted)
        return wanted


@given(st.integers(100, bounds.GOSSIP + 500), st.integers(2, 230), st.integers(0, 10))
def test_an_honest_peer_on_a_slow_link_breaks_no_promise(size: int, seconds_for_100: int, delay: int) -> None:
    """It offers far more than its queue of 512 KiB takes, and its link carries as little as one message in 2.3 s."""
    per_second, asker, box = size * 100 / seconds_for_100, Asker(), Outbox()
    wire: deque[tuple[float, bytes]] = deque()  # when it is there, and its id
    room, sent = 0.0, 0
    for step in range(int(30 / STEP)):
        asker.now = step * STEP
        wanted: list[bytes] = []
        if step % int(1 / STEP) == 0:
            asker.beats()
            wanted += asker.offered([b"%d %d" % (step, number) for number in range(bounds.IHAVE_IDS)])
        room = min(room + per_second * STEP, max(size, per_second * STEP))
        while room >= size and (frame := box.take(1)):
            room -= size
            wire.append((asker.now + delay * STEP, frame.rstrip(b".")))
            sent += 1
        while wire and wire[0][0] <= asker.now:
            wanted += asker.comes(wire.popleft()[1])
        for message_id in wanted:
            assert box.put(message_id.ljust(size, b"."), Urgency.MESSAGE)
    assert not asker.broken
    assert not box.dropped
    assert sent >= 5


def test_what_is_offered_is_all_asked_for_a_few_at_a_time() -> None:
    asker = Asker()
    ids = [b"%d" % number for number in range(bounds.IWANT_IDS)]
    under_way = deque(asker.offered(ids))
    assert len(under_way) == bounds.ASKED
    while under_way:
        under_way.extend(asker.comes(under_way.popleft()))
        assert len(under_way) <= bounds.ASKED
    assert asker.had == set(ids)
    assert asker.offered([b"more"]) == []  # not before the next heartbeat
    asker.beats()
    assert asker.offered([b"more"]) == [b"more"]


def test_who_keeps_a_few_promises_is_asked_for_a_few() -> None:
    """It would not be blamed, but of what it promises little is waited for, and that for 3 s at most."""
    asker, waited = Asker(), Counter[int]()
    kept: list[bytes] = []
    for second in range(60):
        asker.now = float(second)
        asker.beats()
        wanted = asker.offered([b"%d %d" % (second, number) for number in range(1000)])
        if wanted:
            kept.append(wanted[0])
        if second % bounds.PROMISE == 2 and kept:
            asker.comes(kept.pop())
        waited[second] = sum(1 for peer, _ in asker.lazy._owed.values() if peer == PEER)
        assert all(since + bounds.PROMISE > asker.now for _, since in asker.lazy._owed.values())
    assert max(waited[second] for second in range(15, 60)) <= 3


def test_what_others_brought_is_nobodys_debt_and_makes_room() -> None:
    asker = Asker()
    first = asker.offered([b"%d" % number for number in range(20)])
    assert len(first) == bounds.ASKED
    then = [asker.comes(message_id, sender="q") for message_id in first]
    assert sum(map(len, then)) == bounds.ASKED
    asker.now = bounds.PROMISE
    asker.beats()
    assert asker.broken == {PEER: bounds.ASKED}


def test_streams_that_are_new_end_what_was_promised_on_the_old() -> None:
    asker = Asker()
    ids = asker.offered([b"a", b"b"])
    asker.lazy.forget(PEER)
    asker.now = 2 * bounds.PROMISE
    asker.beats()
    assert not asker.broken
    assert sorted(asker.offered(ids, "q")) == [b"a", b"b"]
