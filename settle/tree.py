"""The Merkle tree over an epoch's lines, and the proofs that contracts check with OpenZeppelin's `MerkleProof`.

A leaf is the hash of the hash of a line's words, so that no inner node is ever taken for one; an inner node is the hash
of its two children, the smaller first. The nodes stand as in a heap: the children of `i` are `2i + 1` and `2i + 2`, and
the lines' leaves, in their order, are the last ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wire.eip712 import keccak256
from wire.settlement import SettlementLine

EMPTY = bytes(32)  # the root of no lines at all


def leaf_of(line: SettlementLine) -> bytes:
    """A line's leaf, 32 bytes: keccak256(keccak256(abi.encode(line)))."""
    return keccak256(
        keccak256(
            line.index.to_bytes(32, "big")
            + line.account.rjust(32, b"\0")
            + line.role.to_bytes(32, "big")
            + line.receipt
            + line.amount.to_bytes(32, "big")
            + line.sum_before.to_bytes(32, "big")
        )
    )


class Tree:
    """A tree over leaves of 32 bytes each."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        inner = max(len(leaves) - 1, 0)
        nodes = [EMPTY] * inner + list(leaves)
        for i in range(inner - 1, -1, -1):
            nodes[i] = _parent(nodes[2 * i + 1], nodes[2 * i + 2])
        self._nodes, self._inner = nodes, inner

    @classmethod
    def of(cls, lines: Iterable[SettlementLine]) -> Tree:
        """The tree of a settlement's lines."""
        return cls([leaf_of(line) for line in lines])

    @property
    def root(self) -> bytes:
        """32 bytes; zeros for a tree without leaves."""
        return self._nodes[0] if self._nodes else EMPTY

    def proof(self, index: int) -> tuple[bytes, ...]:
        """What leads from a leaf to the root, from below. IndexError where there is no such leaf."""
        if not 0 <= index < len(self._nodes) - self._inner:
            raise IndexError(f"the tree has {len(self._nodes) - self._inner} leaves, none at {index}")
        found, i = [], self._inner + index
        while i:
            found.append(self._nodes[i + 1 if i % 2 else i - 1])
            i = (i - 1) // 2
        return tuple(found)


def root_from(leaf: bytes, path: Iterable[bytes]) -> bytes:
    """The root to which this path leads from a leaf."""
    for node in path:
        leaf = _parent(leaf, node)
    return leaf


def _parent(one: bytes, other: bytes) -> bytes:
    return keccak256(one + other if one < other else other + one)
