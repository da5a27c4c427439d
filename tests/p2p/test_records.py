"""Value records that a peer holds: the judge rules, the newest stays, and the bounds hold. No network."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libp2p.kad_dht.pb.kademlia_pb2 import Record

from p2p import bounds
from p2p.records import NAMESPACE, Judge, Records, key_of, name_of, validator

KEY, OTHER = b"publisher/name", b"another/name"


def record(rank: int, key: bytes = KEY, body: bytes = b"") -> bytes:
    """A value that `judge` finds good under `key` only."""
    return key + b"\0" + rank.to_bytes(4, "big") + body


def judge(key: bytes, value: bytes) -> int | None:
    """As a signed record would be judged: it names its key."""
    named, _, rest = value.partition(b"\0")
    return int.from_bytes(rest[:4], "big") if named == key and len(rest) >= 4 else None


def records(by: Judge | None = judge) -> Records:
    host: Any = SimpleNamespace(get_id=lambda: None)  # the library asks its host for nothing here
    return Records(host, by)


@given(st.lists(st.one_of(st.binary(max_size=30), st.builds(record, st.integers(0, 9), body=st.binary(max_size=3)))))
def test_the_best_good_record_is_held_whatever_came_and_in_which_order(values: list[bytes]) -> None:
    held, name = records(), name_of(KEY)
    best: tuple[int, bytes] | None = None
    for value in values:
        rank = judge(KEY, value)
        good = rank is not None and (best is None or (rank, value) >= best)
        assert held.offer(name, value) is good
        if rank is not None and good:
            best = (rank, value)
        assert held.newest(name) == (best[1] if best else None)


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
        assert not held.offer(name, value)
        held.put_record(name, Record(key=name, value=value))
        held.put(name, value)
        assert held.size() == 0
    assert not records(by=None).offer(name_of(KEY), record(1))


def test_a_judge_that_fails_refuses() -> None:
    def fails(_: bytes, __: bytes) -> int:
        raise ZeroDivisionError

    assert not records(fails).offer(name_of(KEY), record(1))


def test_a_judge_that_changes_its_mind_is_heard_before_anything_is_served() -> None:
    good = True
    held = records(lambda _, __: 1 if good else None)
    assert held.offer(name_of(KEY), b"anything")
    good = False
    assert held.get(name_of(KEY)) is None
    assert held.size() == 0


def test_the_record_put_longest_ago_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "RECORDS", 3)
    held, keys = records(), [bytes([n]) for n in range(1, 5)]
    for key in keys[:3]:
        held.offer(name_of(key), record(1, key))
    held.offer(name_of(keys[0]), record(1, keys[0]))  # said again
    held.offer(name_of(keys[3]), record(1, keys[3]))
    assert [held.newest(name_of(key)) is not None for key in keys] == [True, False, True, True]


def test_nothing_of_a_strangers_record_is_kept_but_its_value() -> None:
    held, name = records(), name_of(KEY)
    held.put_record(name, Record(key=b"x" * 999, value=record(1), author=b"x" * 999, signature=b"x" * 999))
    kept = held.get(name)
    assert kept is not None
    assert (kept.key, kept.value, kept.author, kept.signature) == (name, record(1), b"", b"")


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


def test_the_library_takes_the_newer_and_the_same_again_and_nothing_else() -> None:
    asked, name = validator(records()), name_of(KEY).decode()
    asked.validate(name, record(1))
    assert asked.select(name, [record(1), record(2)]) == 1
    assert asked.select(name, [record(2), record(1)]) == 0
    assert asked.select(name, [record(1), record(1)]) == 1  # or a record put again would not be acknowledged
    assert asked.select(name, [record(1), b"garbage"]) == 0
    for key, value in ((name, b"garbage"), ("/pk/x", b"x"), ("plain", b"x"), (f"/{NAMESPACE}/", b"x"), ("", b"x")):
        with pytest.raises(Exception, match=r"refused|validat"):
            asked.validate(key, value)
