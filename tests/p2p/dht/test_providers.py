"""Who provides what: remembered for hours, within bounds, and no crowd of ids keeps a lone honest provider out."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p import bounds
from p2p.dht.providers import Addresses, Providers
from p2p.reach.places import Scope

KEY, WHERE = b"key", [(Scope.GLOBAL, b"address")]


def said(providers: Providers, key: bytes = KEY, now: float = 0.0, asker: bytes = b"") -> list[bytes]:
    return [peer for peer, _ in providers.of(key, asker, now)]


STEPS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 6), st.sampled_from([None, "a", "b", "c"]), st.integers(0, 2000)),
    max_size=80,
)


@given(STEPS)
def test_within_bounds_whatever_is_said(steps: list[tuple[int, int, str | None, int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("PROVIDED", 3), ("PROVIDERS_PER_KEY", 3), ("PROVIDER_RECORDS", 8)):
            patch.setattr(bounds, name, value)
        providers, now, last = Providers(), 0.0, dict[tuple[bytes, bytes], float]()
        for key, peer, range_, later in steps:
            now += later
            pair = (b"key %d" % key, b"peer %d" % peer)
            if providers.add(*pair, WHERE, range_, now):
                last[pair] = now
            told = [(k, p) for k in {k for k, _ in last} for p in said(providers, k, now)]
            assert all(now - last[pair] < bounds.PROVIDER_LIFE for pair in told)
            assert len(providers) == len(told) <= 8
            for count, most in ((0, 3), (1, 3)):
                names = [each[count] for each in told]
                assert all(names.count(name) <= most for name in names)
            assert sum(map(len, providers._ranges.values())) == len(providers)
            assert set(providers._peers) == {p for _, p in told}


def test_a_record_lapses_unless_it_is_said_again() -> None:
    providers = Providers()
    for hours, peer in ((0, b"one"), (1, b"two"), (3, b"one"), (6, b"one")):
        assert providers.add(KEY, peer, WHERE, None, hours * 3600.0)
    assert said(providers, now=9 * 3600.0) == [b"one"]
    assert said(providers, now=10 * 3600.0) == []
    assert len(providers) == 0


def test_the_latest_addresses_are_told() -> None:
    providers = Providers()
    new: Addresses = ((Scope.LAN, b"new"),)
    providers.add(KEY, b"one", WHERE, "a", 0.0)
    providers.add(b"other", b"one", new, "b", 1.0)  # it has moved
    assert providers.of(KEY, b"", 2.0) == [(b"one", new)]


def test_a_thousand_ids_of_few_ranges_hide_no_honest_provider() -> None:
    """Before it comes, and after."""
    providers = Providers()
    for n in range(500):
        providers.add(KEY, b"evil %d" % n, WHERE, f"6.{n % 2}.0.0/16", 0.0)
    assert providers.add(KEY, b"honest", WHERE, "10.0.0.0/16", 1.0)
    for n in range(500, 1000):
        providers.add(KEY, b"evil %d" % n, WHERE, f"6.{n % 2}.0.0/16", 2.0)
    told = said(providers, now=3.0)
    assert b"honest" in told[:3]
    assert len(told) == bounds.PROVIDERS_TOLD


def test_who_asks_sees_that_it_was_heard() -> None:
    providers = Providers()
    for n in range(bounds.PROVIDERS_PER_KEY):
        providers.add(KEY, b"peer %d" % n, WHERE, None, float(n))
    assert b"peer 0" not in said(providers, now=70.0)
    assert said(providers, now=70.0, asker=b"peer 0")[0] == b"peer 0"


def test_where_all_room_is_taken_the_range_with_most_gives_up_its_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "PROVIDER_RECORDS", 100)
    providers = Providers()
    for n in range(10):
        providers.add(b"good %d" % n, b"honest", WHERE, "10.0.0.0/16", 0.0)
    for n in range(1000):
        providers.add(b"key %d" % n, b"evil %d" % (n % 50), WHERE, "6.6.0.0/16", 1.0)
    assert len(providers) == 100
    assert all(said(providers, b"good %d" % n, 2.0) == [b"honest"] for n in range(10))
    left = [n for n in range(1000) if said(providers, b"key %d" % n, 2.0)]
    assert all(later - earlier == 1 for earlier, later in pairwise(left))
    assert left[-1] == 999


def test_one_peer_provides_so_many_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "PROVIDED", 5)
    providers = Providers()
    for n in range(9):
        providers.add(b"key %d" % n, b"hub", WHERE, None, float(n))
    assert [n for n in range(9) if said(providers, b"key %d" % n, 9.0)] == [4, 5, 6, 7, 8]
