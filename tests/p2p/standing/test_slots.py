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
@given(st.lists(st.floats(0, 0.05), max_size=300), st.sampled_from([0.0, 5.0]))
def test_who_opens_streams_without_end_waits_and_nobody_else_does(pauses: list[float], rest: float) -> None:
    slots, begun, now = Slots(), list[float](), 0.0
    for _ in range(int(bounds.STREAM_BURST)):
        assert slots.wait("flooder", now) < 1e-9
    for pause in pauses:
        now += pause
        begun.append(now + slots.wait("flooder", now))
        assert slots.wait("honest", now) == 0
    assert begun == sorted(begun)
    assert all(at >= (n + 1) / bounds.STREAM_RATE - 1e-9 for n, at in enumerate(begun))
    assert slots.wait("flooder", now + rest + bounds.STREAM_BURST / bounds.STREAM_RATE + 1) == 0


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
