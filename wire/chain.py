"""Where a network's money and rules live: addresses of contracts, and the structs that they and peers both sign.

The contract that `eip712.Domain` names is the registry. Everything below is bound to it.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from .bounds import U32, U63, Address, Line
from .canonical import Record
from .eip712 import StructType

Rpcs = Annotated[tuple[Line, ...], Meta(min_length=1, max_length=8)]

BIND = StructType("Bind", ("address", "node"), ("address", "owner"), ("uint64", "deadline"))
EPOCH_ROOT = StructType(
    "EpochRoot", ("uint64", "epoch"), ("bytes32", "root"), ("uint32", "count"), ("uint128", "total"),
    ("bytes32", "receipts"),
)  # fmt: skip
RULING = StructType("Ruling", ("bytes32", "evidence"), ("bool", "upheld"))


class ChainSpec(Record):
    """A network's chain: how it is reached, and the contracts on it. The registry is the network's `contract`.

    `confirmations`: blocks on top of one before what it says is relied on. `from_block`: where the contracts' logs
    begin. `lead`: seconds between an epoch's opening on chain and the time from which peers follow it, in which all of
    them can hear of it.
    """

    rpcs: Rpcs
    token: Address
    channels: Address
    evidence: Address
    split: Address
    epochs: Address
    confirmations: U32
    from_block: U63
    lead: U32
