"""Value records that a peer holds: the judge rules, the newest stays, and the bounds hold. No network."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libp2p.peer.id import ID

from p2p import bounds
from p2p.dht.records import Judge, Records, key_of, name_of
from p2p.lookup import position

KEY, OTHER = b"publisher/name", b"another/name"
ME = ID(b"me")


def record(rank: int, key: bytes = KEY, body: bytes = b"") -> bytes:
    """A value that `judge` finds good under `key` only."""
    return key + b"\0" + rank.to_bytes(4, "big") + body


def judge(key: bytes, value: bytes) -> tuple[int, bytes] | None:
    """As a signed record would be judged: it names its key. The key's beginning is its owner."""
    named, _, rest = value.partition(b"\0")
    return (int.from_bytes(rest[:4], "big"), key[:4]) if named == key and len(rest) >= 4 else None


def records(by: Judge | None = judge) -> Records:
    return Records(ME, by)


@given(st.lists(st.one_of(st.binary(max_size=30), st.builds(record, st.integers(0, 9), body=st.binary(max_size=3)))))
def test_the_best_good_record_is_held_whatever_came_and_in_which_order(values: list[bytes]) -> None:
    held, name = records(), name_of(KEY)
    best: tuple[int, bytes] | None = None
    for value in values:
        judged = judge(KEY, value)
        rank = judged[0] if judged is not None else None
        good = rank is not None and (best is None or (rank, value) >= best)
        assert held.offer(name, value, "peer", 0.0) is good
        if rank is not None and good:
            best = (rank, value)
        assert held.newest(name, 0.0) == (best[1] if best else None)


def test_what_is_refused_is_never_held() -> None:
    held = records()
    too_long = record(9, body=bytes(bounds.RECORD_VALUE))
    for name, value in (
        (name_of(OTHER), record(1)),
        (b"/pk/" + KEY.hex().encode(), record(1)),
        (KEY, record(1)),
        (name_of(KEY), too_long),
        (name_of(KEY), b""),
    ):
        assert not held.offer(name, value, "peer", 0.0)
        assert len(held) == 0
    assert not records(by=None).offer(name_of(KEY), record(1), "peer", 0.0)


def test_a_judge_that_fails_refuses() -> None:
    def fails(_: bytes, __: bytes) -> tuple[int, bytes]:
        raise ZeroDivisionError

    assert not records(fails).offer(name_of(KEY), record(1), "peer", 0.0)


def test_a_judge_that_changes_its_mind_is_heard_before_anything_is_served() -> None:
    good = True
    held = records(lambda _, __: (1, b"") if good else None)
    assert held.offer(name_of(KEY), b"anything", "peer", 0.0)
    good = False
    assert held.newest(name_of(KEY), 0.0) is None
    assert len(held) == 0


def test_a_record_lapses_unless_it_is_put_again() -> None:
    held, name = records(), name_of(KEY)
    for hours in (0, 20, 40):
        assert held.offer(name, record(1), "peer", hours * 3600.0)
    assert held.newest(name, 60 * 3600.0) == record(1)
    assert held.newest(name, 64 * 3600.0) is None


def distance(key: bytes) -> int:
    return position(name_of(key)) ^ position(ME.to_bytes())


@given(st.lists(st.integers(0, 60), min_size=1, max_size=60), st.integers(1, 12))
def test_where_all_room_is_taken_the_farthest_go(numbers: list[int], room: int) -> None:
    keys = [b"%d/%d" % (number, number) for number in numbers]
    held = records()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounds, "RECORDS", room)
        for key in keys:
            held.offer(name_of(key), record(1, key), f"peer {len(key) % 3}", 0.0)
    near = sorted(set(keys), key=distance)[:room]
    assert {key for key in keys if held.newest(name_of(key), 0.0)} == set(near)


def test_so_much_room_is_taken_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "RECORDS_BYTES", 5000)
    held = records()
    for n in range(40):
        held.offer(name_of(b"%04d" % n), record(1, b"%04d" % n, body=bytes(480)), "peer", 0.0)
    assert 9 <= len(held) <= 10


def test_a_flood_of_one_signer_or_one_peer_takes_room_from_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "RECORDS_PER_OWNER", 8)
    monkeypatch.setattr(bounds, "RECORDS_PER_GIVER", 32)
    monkeypatch.setattr(bounds, "RECORDS", 64)
    held = records()
    honest = [b"hon%d/name" % n for n in range(5)]
    for key in honest:
        assert held.offer(name_of(key), record(1, key), "honest", 0.0)
    for n in range(200):  # one signer, many names, from many peers
        held.offer(name_of(b"evil/%d" % n), record(1, b"evil/%d" % n), f"peer {n}", 0.0)
    assert len(held) == len(honest) + 8
    for n in range(400):  # many signers, one peer
        held.offer(name_of(b"%04d/x" % n), record(1, b"%04d/x" % n), "flooder", 0.0)
    assert len(held) == len(honest) + 8 + 32
    assert all(held.newest(name_of(key), 0.0) for key in honest)


def test_what_is_refused_for_want_of_room_is_said_to_be() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounds, "RECORDS", 1)
        held = records()
        near, far = sorted((KEY, OTHER), key=distance)
        assert held.offer(name_of(near), record(1, near), "peer", 0.0)
        assert not held.offer(name_of(far), record(1, far), "peer", 0.0)


@given(st.binary(min_size=1, max_size=bounds.RECORD_KEY))
def test_a_key_travels_under_one_name(key: bytes) -> None:
    name = name_of(key)
    assert len(name) <= 128  # what other implementations take
    assert key_of(name) == key
    assert key_of(name.upper()) is None
    for other in (name + b"0", name[:-1], name + b" ", name.replace(b"/", b"//"), name + b"\xff", key):
        assert key_of(other) != key


@given(st.binary(max_size=200))
def test_any_bytes_are_a_key_or_none(name: bytes) -> None:
    key = key_of(name)
    assert key is None or name_of(key) == name
