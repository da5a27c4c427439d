"""What the two sides of a payment channel keep of it. These records lie on disk and in backups; no peer sees them."""

from __future__ import annotations

from .bounds import U32, U63, PublicKey
from .canonical import Amount, Record
from .payment import ChannelConfig, Seconds40, SignedVoucher


class Deposit(Record):
    """A channel as the chain had it at block `block`: what it holds with all that was claimed still counted in, what
    was claimed, and a withdrawal that is under way since `since` (the chain's seconds; 0: none is)."""

    balance: Amount = Amount(0)
    claimed: Amount = Amount(0)
    withdrawing: Amount = Amount(0)
    since: Seconds40 = 0
    block: U63 = 0

    @property
    def most(self) -> Amount:
        """The highest voucher that it covers: what is being withdrawn may be gone before it is claimed."""
        return Amount(max(0, self.balance - self.withdrawing))


class PayerBook(Record):
    """A payer's side of one channel. `owed`: the prices of all answers whose proof it accepted, added up. `signed`: its
    highest voucher. `paid_on_trust`: it believed a charge for an answer that it did not get, and has had none since.
    `deposits`: how many it made."""

    config: ChannelConfig
    provider: PublicKey
    owed: Amount = Amount(0)
    signed: Amount = Amount(0)
    paid_on_trust: bool = False
    deposits: U32 = 0
    deposit: Deposit = Deposit()


class PayeeBook(Record):
    """A provider's side of one channel: its highest voucher, and what it charged for answers that it delivered."""

    config: ChannelConfig
    held: SignedVoucher
    charged: Amount = Amount(0)
    deposit: Deposit = Deposit()
