"""Frames, the outbox, what was seen and what is held: each alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p import bounds
from p2p.gossip.frames import Frames, framed
from p2p.gossip.history import Recent, Seen
from p2p.gossip.outbox import Outbox, Urgency
from wire.errors import RecordError


@given(st.lists(st.binary(max_size=300), max_size=10), st.lists(st.integers(1, 100), max_size=20))
def test_frames_come_out_as_they_went_in_however_they_are_cut(packets: list[bytes], cuts: list[int]) -> None:
    frames, stream, found = Frames(300), b"".join(map(framed, packets)), []
    for cut in [*cuts, len(stream)]:
        found += frames.feed(stream[:cut])
        stream = stream[cut:]
    assert found == packets


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_any_bytes_are_frames_or_a_record_error(chunks: list[bytes]) -> None:
    frames = Frames(64)
    try:
        for chunk in chunks:
            for packet in frames.feed(chunk):
                assert len(packet) <= 64
    except RecordError:
        pass


@pytest.mark.parametrize("head", [b"\xff\xff\xff\xff\xff", b"\xc1\x02", b"\xff\xff\x7f"])
def test_a_frame_over_the_bound_is_refused_at_its_head(head: bytes) -> None:
    with pytest.raises(RecordError):
        Frames(320).feed(head)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(Urgency), st.integers(1, bounds.OUTBOX // 3)), max_size=40))
def test_an_outbox_is_bounded_and_drops_what_matters_least_first(steps: list[tuple[Urgency, int]]) -> None:
    box = Outbox()
    kept: dict[Urgency, list[int]] = {urgency: [] for urgency in Urgency}
    for number, (urgency, size) in enumerate(steps):
        kept[urgency].append(number)
        sizes = {n: s for n, (_, s) in enumerate(steps)}
        fits = box.put(number.to_bytes(1, "big") + bytes(size - 1), urgency)
        while sum(sizes[n] for numbers in kept.values() for n in numbers) > bounds.OUTBOX:
            worst = kept[Urgency.OFFER] or kept[Urgency.MESSAGE]
            if not worst:
                break
            worst.pop(0)
        if sum(sizes[n] for numbers in kept.values() for n in numbers) > bounds.OUTBOX:
            kept[urgency].remove(number)  # nothing could go for it
        assert fits is (number in kept[urgency] or urgency is not Urgency.CONTROL)
        assert box.size == sum(sizes[n] for numbers in kept.values() for n in numbers)
    sent = []
    while data := box.take(1):  # a frame at a time
        sent.append(data[0])
    assert sent == [n for urgency in Urgency for n in kept[urgency]]
    assert box.size == 0


def test_an_id_is_known_for_two_minutes_and_memory_is_bounded() -> None:
    seen = Seen()
    seen.add(b"first", 0.0)
    for second in range(1, 119):
        seen.add(b"%d" % second, float(second))
    assert b"first" in seen
    seen.add(b"later", 121.0)
    seen.add(b"later still", 182.0)
    assert b"first" not in seen
    assert b"118" in seen
    for number in range(2 * bounds.SEEN):
        seen.add(b"flood %d" % number, 183.0)
    assert len(seen) <= bounds.SEEN
    seen.forget(b"flood %d" % (number - 1))
    assert b"flood %d" % (number - 1) not in seen


def test_messages_are_held_for_five_heartbeats_and_offered_for_three() -> None:
    recent = Recent()
    recent.keep("t", b"1", b"data")
    recent.keep("t", b"2", b"data")
    assert recent.offered() == {"t": [b"2", b"1"]}
    for _ in range(bounds.HISTORY_OFFERED - 1):
        recent.shift()
    assert recent.offered()["t"]
    recent.shift()
    assert recent.offered() == {}
    assert recent.get(b"1") == ("t", b"data")
    recent.shift()
    recent.shift()
    assert recent.get(b"1") is None


def test_what_is_held_is_bounded_in_bytes() -> None:
    recent, size = Recent(), bounds.GOSSIP
    for number in range(2 * bounds.HISTORY_BYTES // size):
        recent.keep("t", b"%d" % number, bytes(size))
    held = [number for number in range(2 * bounds.HISTORY_BYTES // size) if recent.get(b"%d" % number)]
    assert len(held) == bounds.HISTORY_BYTES // size
    assert held[-1] == 2 * bounds.HISTORY_BYTES // size - 1
