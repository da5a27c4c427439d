"""What stands behind a name: versions in their order, the one that a name alone means, and what is withdrawn."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.test_signed_records import ALICE, BOB, HOME, manifest, name
from wire.bounds import MAX_NAME_RECORD, MAX_VERSIONS
from wire.errors import RecordError
from wire.manifest import sign_manifest
from wire.name import Named, is_of, name_key, read_name, sign_name
from wire.version import VERSION, is_prerelease, precedence

# The order that semver.org, item 11, gives as its example.
RISING = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
          "1.0.0-rc.1", "1.0.0", "1.0.1-0", "1.0.1", "1.2.0", "1.10.0", "2.0.0"]  # fmt: skip
versions = st.from_regex(VERSION.replace(r"{0,8}", "{0,2}"), alphabet="0129ab-.").filter(lambda text: len(text) <= 64)


def named(version: str, number: int = 0, withdrawn: str | None = None) -> Named:
    return Named(version=version, model=number.to_bytes(32, "big"), withdrawn=withdrawn)


def test_versions_stand_in_the_standards_order() -> None:
    assert sorted(RISING, key=precedence) == RISING
    assert all(precedence(a) < precedence(b) for a, b in pairwise(RISING))


@given(versions, versions)
def test_no_two_versions_are_equal_in_order(a: str, b: str) -> None:
    assert (precedence(a) == precedence(b)) == (a == b)
    assert (precedence(a) < precedence(b)) != (precedence(b) < precedence(a)) or a == b


@given(st.lists(st.tuples(versions, st.booleans()), min_size=1, max_size=6, unique_by=lambda pair: pair[0]))
def test_a_name_alone_means_the_highest_release_that_stands(said: list[tuple[str, bool]]) -> None:
    falling = sorted(said, key=lambda pair: precedence(pair[0]), reverse=True)
    record = name(versions=tuple(named(v, i, "bad" if gone else None) for i, (v, gone) in enumerate(falling)))
    assert read_name(sign_name(record, ALICE, HOME), HOME) == record
    standing = [v for v, gone in falling if not gone]
    found = record.of()
    assert (found.version if found else None) == next(
        iter([v for v in standing if not is_prerelease(v)] or standing), None
    )
    for i, (version, gone) in enumerate(falling):
        assert record.of(version) == record.versions[i]
        assert record.stands(i.to_bytes(32, "big")) == (not gone)
    assert record.of("77.0.0") is None


@pytest.mark.parametrize(
    "changes",
    [
        {"versions": ()},
        {"versions": (named("1.0.0", 1), named("1.0.0", 2))},
        {"versions": (named("1.0.0", 1), named("1.0.1", 2))},
        {"versions": (named("1.0.0-rc.1", 1), named("1.0.0", 2))},
        {"versions": (named("1.0.1", 1), named("1.0.0", 1))},
        {"versions": tuple(named(f"{200 - i}.0.0", i) for i in range(MAX_VERSIONS + 1))},
        {"versions": (named("1.0.0", 1, "a\nb"),)},
        {"name": "Digits"},
    ],
)
def test_a_record_out_of_order_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(RecordError):
        read_name(sign_name(name(**changes), ALICE, HOME), HOME)


def test_a_record_that_a_dht_would_not_take_is_not_signed() -> None:
    long = tuple(named(f"{200 - i}.0.0", i, "x" * 256) for i in range(MAX_VERSIONS))
    with pytest.raises(RecordError, match=f"the bound is {MAX_NAME_RECORD}"):
        sign_name(name(versions=long), ALICE, HOME)
    plain = tuple(named(f"{200 - i}.0.0-{'x' * 20}", i) for i in range(MAX_VERSIONS))
    read_name(sign_name(name(versions=plain), ALICE, HOME), HOME)


def test_a_record_is_about_its_own_models_alone() -> None:
    signed = sign_manifest(manifest(), ALICE, HOME)
    record = name(versions=(Named(version="1.0.0", model=signed.model, withdrawn=None),))
    assert is_of(manifest(), signed.model, record)
    assert not is_of(manifest(), bytes(32), record)
    assert not is_of(manifest(version="1.0.1"), signed.model, record)
    assert not is_of(manifest(name="letters"), signed.model, record)
    assert not is_of(manifest(publisher=BOB.address), signed.model, record)


def test_every_name_has_a_key_of_its_own() -> None:
    keys = {name_key(p, n) for p in (ALICE.address, BOB.address) for n in ("a", "b", "ab", "a0")}
    assert len(keys) == 8
    assert all(re.fullmatch(rb"(?s).{32}", key) for key in keys)
