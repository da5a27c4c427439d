"""EIP-1559 transactions: their bytes, their signature, their hash. Tests hold this equal to eth-account's."""

from __future__ import annotations

from dataclasses import dataclass

import rlp

from wire.eip712 import keccak256
from wire.keys import NodeKey

_TYPE = b"\x02"


@dataclass(frozen=True)
class Transaction:
    """One transaction. `to` is empty for a contract's creation; `cap` and `tip` are wei for each gas."""

    chain_id: int
    nonce: int
    to: bytes
    value: int
    data: bytes
    gas: int
    cap: int
    tip: int

    def sign(self, key: NodeKey) -> bytes:
        """The bytes that a node takes. Deterministic: the same transaction has one signature."""
        fields = [self.chain_id, self.nonce, self.tip, self.cap, self.gas, self.to, self.value, self.data, []]
        signature = key.sign(keccak256(_TYPE + rlp.encode(fields)))
        r, s = (int.from_bytes(signature[at : at + 32], "big") for at in (0, 32))
        return _TYPE + bytes(rlp.encode([*fields, signature[64], r, s]))


def hash_of(raw: bytes) -> bytes:
    """The hash that names a signed transaction."""
    return keccak256(raw)


def created_by(account: bytes, nonce: int) -> bytes:
    """The address of the contract that an account's transaction of this nonce creates."""
    return keccak256(rlp.encode([account, nonce]))[12:]
