"""An epoch's settlement: the lines that say who earned what with which receipt, and how settlers agree on them.

A line's leaf is keccak256(keccak256(abi.encode(index, account, role, receipt, amount, sumBefore))), as OpenZeppelin's
trees have it; inner nodes are keccak256 of their two children, the smaller first. Lines stand in the order of (account,
role, receipt), each once; `sum_before` is what all lines before it amount to. So any two neighbours show a wrong order
or a wrong sum, and any single line a wrong share of its receipt's price.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from msgspec import Meta

from .bounds import U32, U63, Address, Hash32, Signature65
from .canonical import Amount, Record
from .receiptfile import ReceiptFile

MAX_RECEIPTS_NAMED = 4096  # digests in one message; a proposal of more takes several
Digests = Annotated[tuple[Hash32, ...], Meta(max_length=MAX_RECEIPTS_NAMED)]


class Share(IntEnum):
    """Whose share a line is. The treasury has what no line has."""

    PROVIDER = 1
    PUBLISHER = 2
    VERIFIER = 3
    HUB = 4
    UNRECEIPTED = 5  # a provider's part of revenue that no receipt explains; the line's receipt is zeros
    SETTLER = 6  # of the verifiers' share, where a receipt's tier had none


class SettlementLine(Record):
    """One share of one receipt. `account` is a node's address, or a publisher's."""

    index: U32
    account: Address
    role: Share
    receipt: Hash32
    amount: Amount
    sum_before: Amount


class Settle(Record, tag="settle", tag_field="type"):
    """A provider hands a settler one proved receipt: the compact file (its outputs may be left out)."""

    file: ReceiptFile


class Settled(Record, tag="settled", tag_field="type"):
    """The settler checked it and keeps it, on disk."""

    receipt: Hash32


class Propose(Record, tag="propose", tag_field="type"):
    """A settler proposes an epoch's root over these receipts, and asks for a signature. Part `part` of `parts`."""

    epoch: U63
    root: Hash32
    count: U32
    total: Amount
    receipts: Hash32  # keccak256 of all digests in ascending order
    part: U32
    parts: Annotated[int, Meta(ge=1, le=4096)]
    digests: Digests


class Signed(Record, tag="signed", tag_field="type"):
    """A settler found the same root. The signature is over `wire.chain.EPOCH_ROOT`."""

    epoch: U63
    root: Hash32
    signature: Signature65


class Missing(Record, tag="missing", tag_field="type"):
    """A settler lacks these receipts: send them with `Settle`, then propose again. Or it has these that you lack."""

    lacks: Digests
    has: Digests


SettleRequest = Settle | Propose
