"""Paying for answers: a channel of deposits on a chain, and vouchers that add up, as x402's `batch-settlement` has it.

The struct types are that scheme's to the letter, under its own domain, so that any contract and facilitator of it
takes our vouchers. `payer` is whose deposit it is; `payer_authorizer` signs the vouchers and is a payer's node key.
`receiver` is the till of a provider's node (`wire.chain`), `receiver_authorizer` that node's key.

A voucher names the most that the receiver may claim from the channel over its whole life. It grows by no more than one
request's ceiling at a time, and only over answers that were proved: no certificate, no increment.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from .bounds import Address, Hash32, Signature65
from .canonical import Amount, Record
from .eip712 import Domain, StructType
from .keys import NodeKey, signed_by

CHANNEL_CONFIG = StructType(
    "ChannelConfig", ("address", "payer"), ("address", "payerAuthorizer"), ("address", "receiver"),
    ("address", "receiverAuthorizer"), ("address", "token"), ("uint40", "withdrawDelay"), ("bytes32", "salt"),
)  # fmt: skip
VOUCHER = StructType("Voucher", ("bytes32", "channelId"), ("uint128", "maxClaimableAmount"))
MIN_WITHDRAW_DELAY, MAX_WITHDRAW_DELAY = 15 * 60, 30 * 24 * 3600  # seconds, the scheme's own bounds

Seconds40 = Annotated[int, Meta(ge=0, le=2**40 - 1)]


def payment_domain(chain_id: int, channels: bytes) -> Domain:
    """What vouchers are bound to: the chain, and the contract at `channels` that holds the deposits."""
    return Domain(chain_id=chain_id, contract=channels, name="x402 Batch Settlement", version="1")


class ChannelConfig(Record):
    """One channel, for ever: whoever changes a field means another channel."""

    payer: Address
    payer_authorizer: Address
    receiver: Address
    receiver_authorizer: Address
    token: Address
    withdraw_delay: Seconds40
    salt: Hash32

    def id(self, domain: Domain) -> bytes:
        """The channel's name, 32 bytes; `domain` is a `payment_domain`."""
        return CHANNEL_CONFIG.digest(
            domain, self.payer, self.payer_authorizer, self.receiver, self.receiver_authorizer, self.token,
            self.withdraw_delay, self.salt,
        )  # fmt: skip


class Voucher(Record):
    """The receiver may claim up to `amount` from the channel, all earlier claims counted in."""

    channel: Hash32
    amount: Amount

    def digest(self, domain: Domain) -> bytes:
        """What the payer's authorizer signs."""
        return VOUCHER.digest(domain, self.channel, self.amount)


class SignedVoucher(Record):
    """A voucher with its authorizer's signature."""

    voucher: Voucher
    signature: Signature65

    def is_signed(self, authorizer: bytes, domain: Domain) -> bool:
        """Whether the key behind this address signed it, for this contract on this chain."""
        return signed_by(authorizer, self.voucher.digest(domain), self.signature)


def sign_voucher(voucher: Voucher, key: NodeKey, domain: Domain) -> SignedVoucher:
    """A payer's signed voucher."""
    return SignedVoucher(voucher=voucher, signature=key.sign(voucher.digest(domain)))


class PaymentTerms(Record):
    """How a provider wants to be paid; part of its offer where it is paid on a chain.

    `step` is its risk limit: the most it lets a payer owe, and so the largest part of a ceiling that one voucher has to
    cover before work goes on. `withdraw_delay` is the shortest it accepts, in seconds.
    """

    channels: Address
    token: Address
    receiver: Address
    receiver_authorizer: Address
    withdraw_delay: Seconds40
    step: Amount


class Payment(Record):
    """What comes with a request that costs something: the channel, and a voucher that covers the next step."""

    channel: ChannelConfig
    voucher: SignedVoucher


class TopUp(Record, tag="top_up", tag_field="type"):
    """A payer's answer to `Owed`: the most that it signs now."""

    voucher: SignedVoucher


class Owed(Record, tag="owed", tag_field="type"):
    """Said by a provider when a voucher does not cover the next step, before work or in its middle: what it charged on
    this channel so far, what a voucher has to reach, and the highest one it holds, so that a payer that lost its books
    can go on. A `TopUp` answers each."""

    charged: Amount
    needed: Amount
    held: SignedVoucher | None
