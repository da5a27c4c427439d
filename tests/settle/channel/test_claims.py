"""When a provider claims, and that the contract takes what it signs."""

from __future__ import annotations

from msgspec.structs import replace

from settle.channel.claims import (
    GAS_EACH,
    GAS_ONCE,
    MAX_CLAIMS,
    SHARE,
    claim_arguments,
    claim_digest,
    claim_of,
    config_arguments,
    due,
)
from tests.settle.evm import Evm
from wire.books import PayeeBook
from wire.canonical import Amount
from wire.keys import NodeKey
from wire.payment import ChannelConfig, SignedVoucher, Voucher, payment_domain, sign_voucher

from .scenes import CONFIG, book, deposit

RISK = 10**30


def earned(amount: int, number: int = 0, *, withdrawing: int = 0) -> PayeeBook:
    """A channel with so much charged, all of it covered."""
    config = replace(CONFIG, salt=number.to_bytes(32, "big"))
    return book(amount, amount, deposit(10**40, withdrawing=withdrawing), config)


class TestWhen:
    def test_not_while_gas_is_a_large_part_of_it(self) -> None:
        worth = (GAS_ONCE + GAS_EACH) * SHARE
        assert due([earned(worth - 1)], 1, RISK) == []
        ((claim,),) = due([earned(worth)], 1, RISK)
        assert (claim.total, claim.adds) == (worth, worth)

    def test_many_small_ones_are_worth_it_together(self) -> None:
        books = [earned(GAS_EACH * SHARE * 2, number) for number in range(50)]
        assert due(books[:1], 1, RISK) == []
        (batch,) = due(books, 1, RISK)
        assert len(batch) == 50

    def test_a_hundred_at_most_in_one_transaction(self) -> None:
        batches = due([earned(10**9, number) for number in range(MAX_CLAIMS + 1)], 1, RISK)
        assert [len(batch) for batch in batches] == [MAX_CLAIMS, 1]

    def test_a_withdrawal_does_not_wait(self) -> None:
        (batch,) = due([earned(1, withdrawing=5), earned(1, 1)], 1, RISK)
        assert [claim.adds for claim in batch] == [1]

    def test_nor_does_more_than_the_risk_limit(self) -> None:
        assert due([earned(500_000)], 1, 499_999) != []
        assert due([earned(500_000)], 1, 500_000) == []

    def test_and_then_the_largest_go_first_whatever_their_gas(self) -> None:
        books = [earned(amount, amount) for amount in (5, 40, 30, 1)]
        (batch,) = due(books, 10**9, 10)
        assert [claim.adds for claim in batch] == [40, 30]

    def test_nothing_is_claimed_twice(self) -> None:
        claimed = book(900, 900, deposit(claimed=900))
        assert due([claimed], 0, 0) == []

    def test_no_more_than_was_charged_signed_for_and_deposited(self) -> None:
        assert claim_of(book(900, 300)).adds == 300
        assert claim_of(book(200, 200, deposit(150))).adds == 150
        assert claim_of(book(200, 200, deposit(150, claimed=150))).adds == 0


def test_the_contract_takes_a_batch_that_the_node_key_signed() -> None:
    """A stranger brings it, with nothing but gas of its own."""
    evm = Evm()
    owner, provider, stranger = evm.account(1), NodeKey(b"\7" * 32), evm.account(9)
    token = evm.deploy("HallmarkToken", "OPG", "OPG", evm.account(0).address)
    channels = evm.deploy("Channels")
    domain = payment_domain(31337, channels.address)
    token.send("transfer", owner.address, 10_000)
    token.send("approve", channels.address, 10_000, by=owner)
    books = []
    for number in range(3):
        signer = NodeKey(bytes([20 + number]) * 32)
        config = ChannelConfig(
            payer=owner.address, payer_authorizer=signer.address, receiver=b"\x11" * 20,
            receiver_authorizer=provider.address, token=token.address, withdraw_delay=3600, salt=bytes(32),
        )  # fmt: skip
        channel = config.id(domain)
        assert channels.call("getChannelId", config_arguments(config)) == channel
        channels.send("deposit", config_arguments(config), 1000, by=owner)
        held: SignedVoucher = sign_voucher(Voucher(channel=channel, amount=Amount(700)), signer, domain)
        books.append(PayeeBook(config=config, held=held, charged=Amount(500 + number), deposit=deposit()))
    (batch,) = due(books, 0, 0)
    arguments, digest = claim_arguments(batch), claim_digest(batch, domain)
    assert channels.call("getClaimBatchDigest", arguments) == digest
    signature = provider.sign(digest)
    done = channels.send("claimWithSignature", arguments, signature[:64] + bytes([signature[64] + 27]), by=stranger)
    assert [event.values["totalClaimed"] for event in done.events] == [502, 501, 500]
    again = channels.send("claimWithSignature", arguments, signature[:64] + bytes([signature[64] + 27]), by=stranger)
    assert again.events == ()
