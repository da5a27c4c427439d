"""A channel between two keys, and what each side of it says."""

from __future__ import annotations

from settle.channel.payee import Payee
from settle.channel.payer import Payer
from wire.books import Deposit, PayeeBook, PayerBook
from wire.canonical import Amount
from wire.keys import NodeKey
from wire.payment import ChannelConfig, PaymentTerms, SignedVoucher, Voucher, payment_domain, sign_voucher

PAYER, PROVIDER, STRANGER = (NodeKey(bytes([n]) * 32) for n in (3, 4, 5))
DOMAIN = payment_domain(31337, b"\xcc" * 20)
ELSEWHERE = payment_domain(1, b"\xcc" * 20)
CONFIG = ChannelConfig(
    payer=b"\x0f" * 20,
    payer_authorizer=PAYER.address,
    receiver=b"\x11" * 20,
    receiver_authorizer=PROVIDER.address,
    token=b"\x70" * 20,
    withdraw_delay=3600,
    salt=bytes(32),
)
TERMS = PaymentTerms(
    channels=DOMAIN.contract,
    token=CONFIG.token,
    receiver=CONFIG.receiver,
    receiver_authorizer=PROVIDER.address,
    withdraw_delay=3600,
    step=Amount(100),
)
MOST = 2**128 - 1


def deposit(balance: int = 1000, *, claimed: int = 0, withdrawing: int = 0, block: int = 1) -> Deposit:
    return Deposit(
        balance=Amount(balance), claimed=Amount(claimed), withdrawing=Amount(withdrawing), since=int(withdrawing > 0),
        block=block,
    )  # fmt: skip


def payer(book: PayerBook | None = None, has: Deposit | None = None) -> Payer:
    fresh = PayerBook(config=CONFIG, provider=PROVIDER.public, deposit=has or deposit())
    return Payer(book or fresh, DOMAIN)


def voucher(amount: int, key: NodeKey = PAYER, config: ChannelConfig = CONFIG) -> SignedVoucher:
    return signed(Voucher(channel=config.id(DOMAIN), amount=Amount(amount)), key)


def signed(given: Voucher, key: NodeKey = PAYER) -> SignedVoucher:
    return sign_voucher(given, key, DOMAIN)


def book(held: int = 0, charged: int = 0, has: Deposit | None = None, config: ChannelConfig = CONFIG) -> PayeeBook:
    return PayeeBook(
        config=config, held=voucher(held, config=config), charged=Amount(charged), deposit=has or deposit()
    )  # fmt: skip


def payee(held: int = 0, charged: int = 0, has: Deposit | None = None, step: int = 100) -> Payee:
    made = Payee(book(held, charged, has), DOMAIN, step)
    made.see(has or deposit(), 0.0)
    return made
