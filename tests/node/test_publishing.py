"""What a publisher says next: every record is one that others take, above the last, and no withdrawal is lost."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from node.bounds import NAME_LIFE_MS
from node.ownnames import OwnNames
from node.publishing import is_due, renewed, with_version
from tests.node.records import DOMAIN, name_record
from tests.verify.scenes import NOW, key_of
from wire.bounds import MAX_VERSIONS
from wire.name import Named, NameRecord, read_name, sign_name

ALICE = key_of("alice")
versions = st.builds(
    lambda a, b, pre: f"{a}.{b}.0{pre}", st.integers(0, 9), st.integers(0, 9), st.sampled_from(["", "-rc.1"])
)
steps = st.lists(st.tuples(versions, st.integers(0, 2**40), st.none() | st.just("bad " * 64)), min_size=1, max_size=90)


def apply(said: list[tuple[str, int, str | None]]) -> NameRecord:
    record: NameRecord | None = None
    for i, (version, model, withdrawn) in enumerate(said):
        named = Named(version=version, model=(model * 100 + i).to_bytes(32, "big"), withdrawn=withdrawn)
        after = with_version(record, ALICE.address, "digits", named, NOW - i)  # a clock that runs backwards
        assert record is None or after.sequence > record.sequence
        read_name(sign_name(after, ALICE, DOMAIN), DOMAIN)
        assert after.of(version) in (named, None)
        record = after
    assert record is not None
    return record


@settings(max_examples=60, deadline=None)
@given(steps)
def test_whatever_is_published_and_withdrawn_others_take_the_record(said: list[tuple[str, int, str | None]]) -> None:
    record = apply(said)
    last = {version: withdrawn for version, _, withdrawn in said}
    for named in record.versions:
        assert named.withdrawn == last[named.version]
    if len(last) <= 20:
        assert {named.version for named in record.versions} == set(last)


def test_old_versions_that_stand_go_first() -> None:
    many = [(f"0.{i}.0", i, None) for i in range(1, MAX_VERSIONS + 5)]
    record = apply([("0.0.0", 0, "bad"), *many])
    assert record.of("0.0.0") == Named(version="0.0.0", model=bytes(32), withdrawn="bad")
    assert record.of("0.1.0") is None
    assert record.versions[0].version == f"0.{MAX_VERSIONS + 4}.0"


def test_a_record_is_signed_again_in_its_second_half() -> None:
    record = renewed(name_record(), NOW)
    assert (record.issued_ms, record.expires_ms, record.sequence) == (NOW, NOW + NAME_LIFE_MS, NOW)
    assert not is_due(record, NOW + NAME_LIFE_MS // 2)
    assert is_due(record, NOW + NAME_LIFE_MS // 2 + 1)
    assert renewed(record, NOW).sequence == record.sequence + 1


class TestOwnNames:
    def test_what_changed_comes_first_then_what_was_said_longest_ago(self) -> None:
        own, a, b = OwnNames(every=10), name_record(name="a"), name_record(name="b")
        own.hold([a, b])
        for now in (1.0, 2.0):
            record = own.next(now)
            assert record is not None
            own.said(record, now)
        assert (own.next(3.0), own.wait(3.0)) == (None, 8.0)
        newer = name_record(name="b", sequence=2)
        own.hold([a, newer])
        assert (own.next(3.0), own.wait(3.0)) == (newer, 0.0)
        own.said(newer, 3.0)
        assert [own.next(now) for now in (10.9, 11.0)] == [None, a]

    def test_nothing_is_said_where_there_is_nothing(self) -> None:
        own = OwnNames(every=10)
        assert (own.next(0), own.wait(0)) == (None, float("inf"))

    def test_news_is_what_was_not_said_before(self) -> None:
        own = OwnNames(every=10)
        first = Named(version="1.0.0", model=b"1" * 32, withdrawn=None)
        second = Named(version="2.0.0", model=b"2" * 32, withdrawn=None)
        gone = Named(version="1.0.0", model=b"1" * 32, withdrawn="bad")
        before = name_record(versions=(first,))
        assert own.news(before) == [first.model]
        own.said(before, 0.0)
        assert own.news(name_record(versions=(second, first), sequence=2)) == [second.model]
        assert own.news(name_record(versions=(gone,), sequence=2)) == []
        other = OwnNames(every=10)
        assert other.news(name_record(versions=(second, first))) == [second.model]

    @given(st.lists(st.sampled_from("abc"), max_size=20), st.integers(1, 5))
    def test_each_is_said_in_its_turn(self, changed: list[str], every: int) -> None:
        own, records = OwnNames(every), {n: name_record(name=n) for n in "abc"}
        own.hold(records.values())
        heard: dict[str, list[float]] = {n: [] for n in "abc"}
        for now in range(60):
            if now < len(changed):
                name = changed[now]
                records[name] = name_record(name=name, sequence=records[name].sequence + 1)
                own.hold(records.values())
            if record := own.next(now):
                assert record == records[record.name]
                own.said(record, now)
                heard[record.name].append(now)
        for times in heard.values():
            gaps = [b - a for a, b in zip(times, [*times[1:], 60], strict=True)]
            assert max(gaps) <= every + 3 + len(changed)
