"""What an offer says of its provider's proofs: the median of the last ones, by model and tier."""

from __future__ import annotations

from statistics import median_low

from hypothesis import given
from hypothesis import strategies as st

from node.bounds import MAX_COSTED, PROOFS_COSTED
from node.tiers.costs import ProofCosts

MODEL = b"m" * 32
PROOFS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=3 * PROOFS_COSTED)


@given(PROOFS)
def test_it_is_the_median_of_the_last_ones(proofs: list[tuple[int, int]]) -> None:
    costs = ProofCosts()
    for us, size in proofs:
        costs.note(MODEL, "quorum", us, size)
    last = proofs[-PROOFS_COSTED:]
    assert costs.of(MODEL, "quorum") == (median_low(max(1, us) for us, _ in last), median_low(size for _, size in last))


def test_models_and_tiers_are_apart_and_nothing_is_known_of_those_that_made_no_proof() -> None:
    costs = ProofCosts()
    costs.note(MODEL, "quorum", 7, 70)
    costs.note(MODEL, "tee", 9, 90)
    assert (costs.of(MODEL, "quorum"), costs.of(MODEL, "tee")) == ((7, 70), (9, 90))
    assert costs.of(MODEL, "zk") == costs.of(b"o" * 32, "quorum") == (0, 0)


def test_what_was_proved_longest_ago_is_forgotten() -> None:
    costs = ProofCosts()
    for n in range(MAX_COSTED):
        costs.note(n.to_bytes(32, "big"), "zk", 1, 1)
    costs.note(bytes(32), "zk", 1, 1)
    costs.note(MODEL, "zk", 1, 1)
    assert costs.of(bytes(32), "zk") == (1, 1)
    assert costs.of((1).to_bytes(32, "big"), "zk") == (0, 0)
