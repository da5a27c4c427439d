"""Channels as a machine: payers, receivers and a stranger do what they may and what they may not, in any order.

What the contract holds is always what its sums say. Nobody claims beyond a deposit or a voucher, or twice. At the end
every payer has back what was not claimed, every receiver what was, and the contract is empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.settle.contracts.desk import MOST, Desk, evm_signature, fields
from tests.settle.evm import Reverted
from wire.payment import MIN_WITHDRAW_DELAY, ChannelConfig

PAYERS, RECEIVERS = 2, 2
WEALTH = 1000  # of each payer
AMOUNTS = st.sampled_from([1, 40, 70, 70, 110, 110, 160, WEALTH, MOST])


@dataclass
class Book:
    """What a channel should be."""

    config: ChannelConfig
    payer: int
    receiver: int
    balance: int = 0
    claimed: int = 0
    asked: int = 0
    since: int = 0
    nonce: int = 0
    signed: int = 0  # the highest voucher there is

    @property
    def left(self) -> int:
        return self.balance - self.claimed


PARTS = st.sampled_from([200, 500, 900, 1000, 1000])  # of a thousand
CHANNELS = st.integers(0, PAYERS * RECEIVERS - 1)


class Channels(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.desk = desk = Desk()
        self.payers = [desk.evm.account(10 + i) for i in range(PAYERS)]
        self.signers = [desk.evm.account(20 + i) for i in range(PAYERS)]
        self.tills = [desk.evm.account(30 + i) for i in range(RECEIVERS)]
        self.books = [
            Book(
                desk.other(
                    payer=self.payers[p].address,
                    payer_authorizer=self.signers[p].address,
                    receiver=self.tills[r].address,
                    withdraw_delay=MIN_WITHDRAW_DELAY + 100 * r,
                ),
                p,
                r,
            )
            for p in range(PAYERS)
            for r in range(RECEIVERS)
        ]
        for payer in self.payers:
            desk.token.send("transfer", payer.address, WEALTH, by=desk.payer)
            desk.approve(by=payer)
        self.purse = [WEALTH] * PAYERS
        for at in range(len(self.books) - 1):  # one has to be opened first
            self.deposit(at, 300)
            self.sign(at, 200)
        self.credit = [0] * RECEIVERS
        self.sent = [0] * RECEIVERS

    def tries(self, allowed: bool, function: str, *args: Any, by: Any) -> bool:
        """Sends it; it has to go through when it is allowed, and only then."""
        try:
            self.desk.channels.send(function, *args, by=by)
        except Reverted:
            assert not allowed, function
            return False
        assert allowed, function
        return True

    @rule(at=CHANNELS, amount=AMOUNTS)
    def deposit(self, at: int, amount: int) -> None:
        book = self.books[at]
        if self.tries(
            amount <= self.purse[book.payer], "deposit", fields(book.config), amount, by=self.payers[book.payer]
        ):
            book.balance += amount
            self.purse[book.payer] -= amount

    @rule(at=CHANNELS, adds=AMOUNTS)
    def sign(self, at: int, adds: int) -> None:
        book = self.books[at]
        book.signed = min(MOST, book.signed + adds)

    @rule(
        batch=st.lists(st.tuples(CHANNELS, PARTS), min_size=1, max_size=3),
        relayed=st.booleans(),
    )
    def claim(self, batch: list[tuple[int, int]], relayed: bool) -> None:
        """Each takes a part of its newest voucher."""
        entries, books = [], [Book(**vars(book)) for book in self.books]
        credit, allowed = list(self.credit), True
        for at, part in batch:
            book = books[at]
            total = book.signed * part // 1000
            entries.append(self.desk.entry(book.signed, total, book.config, self.signers[book.payer]))
            if total <= book.claimed:
                continue
            allowed = allowed and total <= book.balance
            credit[book.receiver] += total - book.claimed
            book.claimed = total
        if relayed:
            digest = self.desk.channels.call("getClaimBatchDigest", entries)
            given: Any = (entries, evm_signature(self.desk.authorizer, digest))
            done = self.tries(allowed, "claimWithSignature", *given, by=self.desk.stranger)
        else:
            done = self.tries(allowed, "claim", entries, by=self.desk.authorizer)
        if done:
            self.books, self.credit = books, credit

    @rule(at=CHANNELS, amount=AMOUNTS)
    def overdraw(self, at: int, amount: int) -> None:
        """The receiver's side takes more than was signed, or signs vouchers itself."""
        book = self.books[at]
        if book.signed < MOST:
            above = self.desk.entry(book.signed, book.signed + 1, book.config, self.signers[book.payer])
            self.tries(False, "claim", [above], by=self.desk.authorizer)
        if amount > book.claimed:
            forged = self.desk.entry(amount, amount, book.config, self.desk.authorizer)
            self.tries(False, "claim", [forged], by=self.desk.authorizer)

    @rule(receiver=st.integers(0, RECEIVERS - 1))
    def settle(self, receiver: int) -> None:
        self.tries(True, "settle", self.tills[receiver].address, self.desk.token.address, by=self.desk.stranger)
        self.sent[receiver] = self.credit[receiver]

    @rule(at=CHANNELS, amount=AMOUNTS, thief=st.sampled_from([None, None, None, None, "signers", "tills"]))
    def ask_back(self, at: int, amount: int, thief: str | None) -> None:
        book = self.books[at]
        by = getattr(self, thief)[0] if thief else self.payers[book.payer]
        allowed = not thief and not book.since and book.left > 0
        if self.tries(allowed, "initiateWithdraw", fields(book.config), amount, by=by):
            book.asked, book.since = min(amount, book.left), self.desk.evm.now
            self.tries(False, "finalizeWithdraw", fields(book.config), by=by)  # not yet

    @rule(at=CHANNELS, seconds=st.sampled_from([1, 1200, 1200]))
    def take_back(self, at: int, seconds: int) -> None:
        self.desk.evm.forward(seconds - 1)
        waiting = [book for book in self.books if book.since] or self.books
        book = waiting[at % len(waiting)]
        due = self.desk.evm.now + seconds >= book.since + book.config.withdraw_delay
        allowed = book.since > 0 and due
        if self.tries(allowed, "finalizeWithdraw", fields(book.config), by=self.payers[book.payer]):
            self.pay_back(book, min(book.asked, book.left))
            book.asked = book.since = 0

    @rule(at=CHANNELS, amount=AMOUNTS, stale=st.sampled_from([0, 0, 1]), relayed=st.booleans())
    def refund(self, at: int, amount: int, stale: int, relayed: bool) -> None:
        book = self.books[at]
        if relayed:
            nonce = book.nonce + stale
            digest = self.desk.channels.call("getRefundDigest", book.config.id(self.desk.domain), nonce, amount)
            given: Any = (fields(book.config), amount, nonce, evm_signature(self.desk.authorizer, digest))
            done = self.tries(not stale and book.left > 0, "refundWithSignature", *given, by=self.desk.stranger)
        else:
            done = self.tries(book.left > 0, "refund", fields(book.config), amount, by=self.tills[book.receiver])
        if done:
            given_back = min(amount, book.left)
            self.pay_back(book, given_back)
            book.nonce += 1
            book.asked = max(0, book.asked - given_back)
            book.since = book.since if book.asked else 0

    def pay_back(self, book: Book, amount: int) -> None:
        book.balance -= amount
        self.purse[book.payer] += amount

    @invariant()
    def it_holds_what_its_sums_say(self) -> None:
        if not hasattr(self, "desk"):
            return
        held = sum(book.left for book in self.books) + sum(self.credit) - sum(self.sent)
        assert self.desk.has(self.desk.channels.address) == held

    def teardown(self) -> None:
        if not hasattr(self, "desk"):
            return
        desk = self.desk
        for book in self.books:
            assert desk.state(book.config) == (book.balance, book.claimed)
            assert book.claimed <= min(book.balance, book.signed)
            payer = self.payers[book.payer]
            if book.since:
                desk.evm.forward(book.config.withdraw_delay)
                desk.channels.send("finalizeWithdraw", fields(book.config), by=payer)
                self.pay_back(book, min(book.asked, book.left))
            if book.left:
                desk.channels.send("initiateWithdraw", fields(book.config), MOST, by=payer)
                desk.evm.forward(book.config.withdraw_delay)
                desk.channels.send("finalizeWithdraw", fields(book.config), by=payer)
                self.pay_back(book, book.left)
        for till, credit in zip(self.tills, self.credit, strict=True):
            desk.channels.send("settle", till.address, desk.token.address)
            assert desk.has(till.address) == credit
        for payer, purse in zip(self.payers, self.purse, strict=True):
            assert desk.has(payer.address) == purse
        assert desk.has(desk.channels.address) == 0


TestChannels = Channels.TestCase
TestChannels.settings = settings(max_examples=12, stateful_step_count=40)
