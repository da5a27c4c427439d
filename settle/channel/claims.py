"""When a provider claims, and what: many channels in one transaction, when their sum is worth its gas.

A withdrawal that is under way does not wait for that, nor does more than the risk limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import asdict

from wire.books import PayeeBook
from wire.eip712 import Domain, keccak256
from wire.payment import ChannelConfig

MAX_CLAIMS = 100  # of one batch; the contract takes no more
GAS_ONCE, GAS_EACH = 180_000, 18_000  # of a batch with the till's emptying; of each channel in it
SHARE = 50  # gas may cost up to one part in so many of what is claimed

_CLAIM_ENTRY = keccak256(b"ClaimEntry(bytes32 channelId,uint128 maxClaimableAmount,uint128 totalClaimed)")
_CLAIM_BATCH = keccak256(
    b"ClaimBatch(ClaimEntry[] claims)ClaimEntry(bytes32 channelId,uint128 maxClaimableAmount,uint128 totalClaimed)"
)


@dataclass(frozen=True)
class Claim:
    """A channel with what it may be claimed up to in all, and what that adds."""

    book: PayeeBook
    total: int
    adds: int


def claim_of(book: PayeeBook) -> Claim:
    """All that can be claimed from a channel: what was charged, as far as voucher and deposit go."""
    total = min(book.charged, book.held.voucher.amount, book.deposit.balance)
    return Claim(book, total, max(0, total - book.deposit.claimed))


def due(books: Sequence[PayeeBook], gas: int, risk: int) -> list[list[Claim]]:
    """The batches to claim now. `gas`: the price of one unit of gas in tokens; `risk`: the most to leave unclaimed.

    What one more channel in a batch costs is held against its own amount too, but where a withdrawal asks for it, or
    without it more than the risk limit would be left.
    """
    found = [claim for book in books if (claim := claim_of(book)).adds]
    left = sum(claim.adds for claim in found)
    exposed, claims = left > risk, list[Claim]()
    for claim in sorted(found, key=lambda claim: (_urgent(claim), claim.adds), reverse=True):
        if _urgent(claim) or left > risk or claim.adds > GAS_EACH * gas:
            claims.append(claim)
            left -= claim.adds
    batches = [claims[at : at + MAX_CLAIMS] for at in range(0, len(claims), MAX_CLAIMS)]
    return [batch for batch in batches if exposed or any(map(_urgent, batch)) or _is_worth(batch, gas)]


def _is_worth(batch: Sequence[Claim], gas: int) -> bool:
    return (GAS_ONCE + GAS_EACH * len(batch)) * gas * SHARE <= sum(claim.adds for claim in batch)


def _urgent(claim: Claim) -> bool:
    return claim.book.deposit.withdrawing > 0


def claim_digest(batch: Sequence[Claim], domain: Domain) -> bytes:
    """What the receivers' authorizer signs so that anybody may bring a batch to the chain."""
    entries = b"".join(
        keccak256(_CLAIM_ENTRY + c.book.config.id(domain) + _word(c.book.held.voucher.amount) + _word(c.total))
        for c in batch
    )
    return keccak256(b"\x19\x01" + domain.separator() + keccak256(_CLAIM_BATCH + keccak256(entries)))


def claim_arguments(batch: Sequence[Claim]) -> list[dict[str, Any]]:
    """The batch as the contract's `claimWithSignature` takes it."""
    return [
        {
            "voucher": {"channel": config_arguments(c.book.config), "maxClaimableAmount": c.book.held.voucher.amount},
            "signature": vm_signature(c.book.held.signature),
            "totalClaimed": c.total,
        }
        for c in batch
    ]


def config_arguments(config: ChannelConfig) -> dict[str, Any]:
    """A channel's config as contracts take it."""
    names = ("payer", "payerAuthorizer", "receiver", "receiverAuthorizer", "token", "withdrawDelay", "salt")
    return dict(zip(names, asdict(config).values(), strict=True))


def vm_signature(signature: bytes) -> bytes:
    """A signature with its recovery id as the EVM counts it, from 27."""
    return signature[:64] + bytes([signature[64] + 27])


def _word(number: int) -> bytes:
    return number.to_bytes(32, "big")
