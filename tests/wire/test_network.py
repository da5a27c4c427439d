"""A network through its epochs: each time has its own rules, and clocks may differ where they change."""

from __future__ import annotations

import pytest

from tests.verify.scenes import bent, key_of
from wire.bounds import CLOCK_SKEW_MS
from wire.errors import RecordError
from wire.network import Network, Profile, Registry, Verifier

SECOND, THIRD = 1_000_000, 2_000_000


def listed(*labels: str) -> tuple[Verifier, ...]:
    return tuple(Verifier(key=key_of(label).public, weight=1) for label in labels)


def epoch(number: int, from_ms: int, *labels: str) -> Registry:
    return Registry(
        epoch=number,
        from_ms=from_ms,
        beacon=bytes([number]) * 32,
        committee_size=number,
        quorum_numerator=2,
        quorum_denominator=3 + number,
        verifiers=listed(*labels),
        profiles=(Profile(name="fp32", tolerance=number / 100),),
        sample_bps=number,
    )


NETWORK = Network(
    name="home", chain_id=1, contract=bytes(20), epoch=7, beacon=bytes(32), committee_size=7, quorum_numerator=1,
    quorum_denominator=2, verifiers=listed("c"), from_ms=THIRD, past=(epoch(1, 0, "a"), epoch(4, SECOND, "b")),
)  # fmt: skip


@pytest.mark.parametrize(
    ("ms", "number"), [(0, 1), (SECOND - 1, 1), (SECOND, 4), (THIRD - 1, 4), (THIRD, 7), (10 * THIRD, 7)]
)
def test_each_time_has_its_epoch(ms: int, number: int) -> None:
    assert NETWORK.at(ms).epoch == number


def test_everything_that_a_certificate_rests_on_is_that_of_its_time() -> None:
    then = NETWORK.at(SECOND)
    was = NETWORK.past[1]
    assert {name: getattr(then, name) for name in Registry.__struct_fields__} == {
        name: getattr(was, name) for name in Registry.__struct_fields__
    }
    assert then.tolerance("fp32") == 0.04
    assert then.domain == NETWORK.domain
    assert then.at(0) == NETWORK.at(0)  # and it knows what came before it
    assert then.at(10 * THIRD) is then  # but nothing of what came after


def test_what_is_older_than_the_file_is_told() -> None:
    with pytest.raises(RecordError, match="before epoch 4, the oldest that the network file of home knows"):
        bent(NETWORK, past=NETWORK.past[1:]).at(SECOND - 1)
    with pytest.raises(RecordError, match="before epoch 7"):
        bent(NETWORK, past=()).at(0)


def test_only_what_was_issued_in_this_epoch_is_live_but_for_clocks_at_the_change() -> None:
    assert NETWORK.is_live(THIRD, THIRD)
    assert NETWORK.is_live(SECOND, THIRD - 1)
    assert NETWORK.is_live(THIRD - 1, THIRD + CLOCK_SKEW_MS - 1)  # issued just before the change
    assert not NETWORK.is_live(THIRD - 1, THIRD + CLOCK_SKEW_MS)
    assert NETWORK.is_live(THIRD, THIRD - CLOCK_SKEW_MS)  # by a clock that is ahead
    assert not NETWORK.is_live(THIRD, THIRD - CLOCK_SKEW_MS - 1)
    assert not NETWORK.is_live(0, THIRD)
    young = bent(NETWORK, past=())
    assert not young.is_live(0, THIRD)
    assert not young.is_live(0, 0)


def test_who_verifies_now_or_did_until_now_is_listed() -> None:
    assert {v.key for v in NETWORK.listed} == {key_of("b").public, key_of("c").public}
    assert {v.key for v in NETWORK.at(0).listed} == {key_of("a").public}
