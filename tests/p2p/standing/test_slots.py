"""Streams are shared out: nobody has too many, and who has most gives way."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from p2p import bounds
from p2p.standing.slots import Slot, Slots


def test_few_peers_with_all_the_streams_keep_nobody_out() -> None:
    slots, attackers = Slots(), bounds.STREAMS // bounds.STREAMS_PER_PEER
    first = [slots.take(f"attacker {n % attackers}")[0] for n in range(bounds.STREAMS)]
    assert slots.take("attacker 0") == (None, None)
    for n in range(100):
        slot, gone = slots.take(f"honest {n}")
        assert slot is not None
        assert gone in first[: 2 * 100]  # the oldest of one of theirs
    assert len(slots) == bounds.STREAMS


@settings(max_examples=30)
@given(steps=st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 300), st.booleans()), max_size=30))
def test_bounds_hold_after_any_history(steps: list[tuple[str, int, bool]]) -> None:
    slots, held = Slots(), list[Slot]()
    for peer, count, opens in steps:
        for _ in range(count):
            if not opens and held:
                slots.give(held.pop(count % len(held)))
                continue
            slot, gone = slots.take(peer)
            if gone is not None:
                held.remove(gone)
                slots.give(gone)  # as its task does at its end
            if slot is not None:
                held.append(slot)
        shares = Counter(slot.peer for slot in held)
        assert len(slots) == len(held) <= bounds.STREAMS
        assert all(share <= bounds.STREAMS_PER_PEER for share in shares.values())
