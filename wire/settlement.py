"""An epoch's settlement: the lines that say who earned what with which receipt, and how settlers agree on them.

A line's leaf is keccak256(keccak256(abi.encode(index, account, role, receipt, amount, sumBefore))), as OpenZeppelin's
trees have it; inner nodes are keccak256 of their two children, the smaller first. Lines stand in the order of (account,
role, receipt), each once; `sum_before` is what all lines before it amount to. So any two neighbours show a wrong order
or a wrong sum, and any single line a wrong share of its receipt's price.

anybody  → settler   Settle, once for each receipt; or AskLines, for the lines that pay it
proposer → settler   Compare, until both have what the other has; then Propose, and Certified when enough agreed
settler  → settler   Fetch, for a receipt that the other has

A root that is signed can be slashed for, so nobody signs one before more than two thirds of the stake agreed to it in
one turn, and nobody agrees to two in one turn.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Annotated

from msgspec import Meta

from .bounds import MAX_PLACES, U32, U63, Address, Hash32, Signature65, TimeMs
from .canonical import Amount, Record
from .chain import EPOCH_ROOT
from .eip712 import Domain, StructType, keccak256
from .keys import NodeKey
from .receiptfile import ReceiptFile

AGREEMENT = StructType("EpochAgreement", ("uint64", "turn"), ("bytes32", "root"))  # `root`: what EPOCH_ROOT signs

MAX_RECEIPTS_NAMED = 3500  # digests in one list of a message, which holds two; a proposal of more takes several
MAX_LINES_AT_ONCE = 1000  # in one message
MAX_SETTLERS = 256  # who agreed, in one message
MAX_TREE_PATH = 32  # hashes from a leaf to its tree's root
Digests = Annotated[tuple[Hash32, ...], Meta(max_length=MAX_RECEIPTS_NAMED)]
Part = Annotated[int, Meta(ge=0, le=4095)]
Parts = Annotated[int, Meta(ge=1, le=4096)]
Path = Annotated[tuple[Hash32, ...], Meta(max_length=MAX_TREE_PATH)]


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


class Payable(Record):
    """All of a proved receipt that decides who is paid. `payees`: those whose signatures certify it, in their order.

    One receipt can be certified twice, with other signers. The one with more payees counts, then the one of the lower
    `version`: so settlers who heard of both agree, and nobody gains by leaving a signer out.
    """

    receipt: Hash32
    provider: Address
    payer: Address
    publisher: Address
    royalty_bps: Annotated[int, Meta(ge=0, le=10_000)]
    price: Amount
    finished_ms: TimeMs
    payees: Annotated[tuple[Address, ...], Meta(max_length=MAX_PLACES)]

    @property
    def version(self) -> bytes:
        """What settlers call it among themselves: keccak256 of the receipt's digest and the payees."""
        return keccak256(self.receipt + b"".join(self.payees))

    def counts_before(self, other: Payable) -> bool:
        """Whether this one counts, and not the `other` of the same receipt."""
        return (-len(self.payees), self.version) < (-len(other.payees), other.version)


class EpochRoot(Record):
    """What settlers sign of an epoch: the tree's root, its `count` lines, their sum, and which receipts they divide."""

    epoch: U63
    root: Hash32
    count: U32
    total: Amount
    receipts: Hash32  # `named` of all of them

    def digest(self, domain: Domain) -> bytes:
        """What a settler signs, and the contract checks. Two different ones of an epoch are a slashable offence."""
        return EPOCH_ROOT.digest(domain, self.epoch, self.root, self.count, self.total, self.receipts)

    def agreement(self, domain: Domain, turn: int) -> bytes:
        """What a settler signs before that, to agree to this root in this turn. Nobody is slashed for it."""
        return AGREEMENT.digest(domain, turn, self.digest(domain))


def named(digests: Iterable[bytes]) -> bytes:
    """The name of a set of receipts: keccak256 of their digests in ascending order."""
    return keccak256(b"".join(sorted(digests)))


class Settle(Record, tag="settle", tag_field="type"):
    """Hands over one proved receipt. Its outputs and ballots may be left out: its certificate speaks for them."""

    file: ReceiptFile


class Settled(Record, tag="settled", tag_field="type"):
    """The settler checked it and keeps it, on disk. `epoch`: where it is settled already."""

    receipt: Hash32
    epoch: U63 | None


class Compare(Record, tag="compare", tag_field="type"):
    """The receipts (versions) that a settler would divide in an epoch. Part `part` of `parts`; the last one is
    answered, by `Missing`."""

    epoch: U63
    part: Part
    parts: Parts
    digests: Digests


class Missing(Record, tag="missing", tag_field="type"):
    """Of the versions named, those that the settler lacks; and those that it has and was not told of."""

    lacks: Digests
    has: Digests


class Fetch(Record, tag="fetch", tag_field="type"):
    """Asks for a version that the settler has; answered by a `Settle`, or NOT_FOUND."""

    version: Hash32


class Propose(Record, tag="propose", tag_field="type"):
    """Proposes an epoch's root over these receipts (versions), in this turn. Part `part` of `parts`; the last one is
    answered: by `Agreed`, by `Missing`, or by the `SignedRoot` of another root that the settler signed before."""

    root: EpochRoot
    turn: U63
    part: Part
    parts: Parts
    digests: Digests


class Agreed(Record, tag="agreed", tag_field="type"):
    """The settler found the same root. The signature is over `EpochRoot.agreement`."""

    settler: Address
    signature: Signature65


class Certified(Record, tag="certified", tag_field="type"):
    """More than two thirds of the stake agreed to this root in this turn. Answered by a `SignedRoot`."""

    root: EpochRoot
    turn: U63
    agreed: Annotated[tuple[Agreed, ...], Meta(max_length=MAX_SETTLERS)]


class SignedRoot(Record, tag="signed_root", tag_field="type"):
    """A settler's signature for the contract."""

    root: EpochRoot
    settler: Address
    signature: Signature65


class AskLines(Record, tag="ask_lines", tag_field="type"):
    """Asks for an account's lines of an epoch."""

    epoch: U63
    account: Address


class ProvedLines(Record):
    """All lines of one account and role, from the first to the last, as the contract pays them at once."""

    first: SettlementLine
    first_path: Path
    last: SettlementLine
    last_path: Path

    @property
    def amount(self) -> int:
        """What they amount to."""
        return self.last.sum_before + self.last.amount - self.first.sum_before


class Lines(Record, tag="lines", tag_field="type"):
    """An account's lines under a root, at most one run of them a role."""

    root: EpochRoot
    runs: Annotated[tuple[ProvedLines, ...], Meta(max_length=len(Share))]


class AskTree(Record, tag="ask_tree", tag_field="type"):
    """Asks for the lines under the root that stands for an epoch, from the one with index `first` on."""

    epoch: U63
    first: U32


class Tree(Record, tag="tree", tag_field="type"):
    """Some lines, in their order. All of them together make the root, so they need no paths."""

    root: EpochRoot
    lines: Annotated[tuple[SettlementLine, ...], Meta(max_length=MAX_LINES_AT_ONCE)]


class AskSettled(Record, tag="ask_settled", tag_field="type"):
    """Asks in which epochs these receipts (digests) were settled."""

    receipts: Digests


class SettledIn(Record, tag="settled_in", tag_field="type"):
    """The epochs of what was asked for, in its order; nil for what is not settled, or not known here."""

    epochs: Annotated[tuple[U63 | None, ...], Meta(max_length=MAX_RECEIPTS_NAMED)]


class Word(Record):
    """What a settler said of an epoch last, as it is kept on disk: the root that it agreed to in a turn, and its
    signature once it gave that."""

    root: EpochRoot
    turn: U63
    signed: SignedRoot | None


SettleRequest = Settle | Compare | Fetch | Propose | Certified | AskLines | AskTree | AskSettled


def sign_root(root: EpochRoot, key: NodeKey, domain: Domain) -> SignedRoot:
    """A settler's signature on a root. Whoever calls this has written down that it does."""
    return SignedRoot(root=root, settler=key.address, signature=key.sign(root.digest(domain)))


def agree(root: EpochRoot, turn: int, key: NodeKey, domain: Domain) -> Agreed:
    """A settler's agreement to a root in a turn."""
    return Agreed(settler=key.address, signature=key.sign(root.agreement(domain, turn)))
