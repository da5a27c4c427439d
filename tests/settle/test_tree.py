"""The tree: its proofs hold before the contract, and nothing else does."""

from __future__ import annotations

import pytest
from eth_abi import abi
from hypothesis import given
from hypothesis import strategies as st

from settle.tree import EMPTY, Tree, leaf_of
from tests.settle.contracts.ledger import fit, fresh
from tests.settle.evm import Reverted
from wire.canonical import Amount
from wire.eip712 import keccak256
from wire.settlement import SettlementLine, Share

leaves = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=40)


def climbed(leaf: bytes, proof: tuple[bytes, ...]) -> bytes:
    """What a verifier computes, as OpenZeppelin's `processProof` does."""
    for other in proof:
        leaf = keccak256(min(leaf, other) + max(leaf, other))
    return leaf


@given(leaves)
def test_every_leaf_leads_to_the_root(given: list[bytes]) -> None:
    tree = Tree(given)
    assert all(climbed(leaf, tree.proof(i)) == tree.root for i, leaf in enumerate(given))
    assert max(len(tree.proof(i)) for i in range(len(given))) == (len(given) - 1).bit_length()


@given(leaves, st.binary(min_size=32, max_size=32))
def test_another_leaf_does_not(given: list[bytes], stranger: bytes) -> None:
    tree = Tree(given)
    if stranger not in given:
        assert all(climbed(stranger, tree.proof(i)) != tree.root for i in range(len(given)))


@given(leaves, st.data())
def test_any_change_changes_the_root(given: list[bytes], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(given) - 1))
    changed = [*given[:place], keccak256(given[place]), *given[place + 1 :]]
    assert Tree(changed).root != Tree(given).root


def test_no_lines_have_a_root_of_zeros_and_no_proof() -> None:
    tree = Tree([])
    assert tree.root == EMPTY
    with pytest.raises(IndexError):
        tree.proof(0)


@pytest.mark.parametrize("index", [-1, 3])
def test_there_is_no_proof_of_what_is_not_there(index: int) -> None:
    with pytest.raises(IndexError, match="the tree has 3 leaves"):
        Tree([bytes(32)] * 3).proof(index)


@given(
    st.integers(0, 2**32 - 1), st.binary(min_size=20, max_size=20), st.sampled_from(Share),
    st.binary(min_size=32, max_size=32), st.integers(0, 2**128 - 1), st.integers(0, 2**128 - 1),
)  # fmt: skip
def test_a_leaf_is_the_double_hash_of_the_abis_words(
    index: int, account: bytes, role: Share, receipt: bytes, amount: int, before: int
) -> None:
    line = SettlementLine(
        index=index, account=account, role=role, receipt=receipt, amount=Amount(amount), sum_before=Amount(before)
    )
    kinds = ["uint32", "address", "uint8", "bytes32", "uint128", "uint128"]
    words = abi.encode(kinds, [index, account, int(role), receipt, amount, before])
    assert leaf_of(line) == keccak256(keccak256(words))


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 65])
def test_the_contract_takes_every_proof_and_no_other(count: int) -> None:
    ledger = fresh()
    epoch = ledger.earn(6, count)
    ledger.next_epoch()
    lines = fit((i.to_bytes(20, "big"), Share.PROVIDER, i.to_bytes(32, "big"), 1) for i in range(1, count + 1))
    root = ledger.forged(epoch, lines)
    for i in {0, 1, count // 2, count - 2, count - 1} & set(range(count)):
        with pytest.raises(Reverted, match="NothingWrong"):  # so it is in the tree
            ledger.challenge("Line", epoch, *root.shown(i))
        line, proof = root.shown(i)
        for wrong in (proof[1:], proof[::-1], (*proof, bytes(32)), root.shown((i + 1) % count)[1]):
            if wrong != proof:
                with pytest.raises(Reverted, match="NotInTree"):
                    ledger.challenge("Line", epoch, line, wrong)
