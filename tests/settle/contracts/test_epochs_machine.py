"""Epochs under any sequence of what anybody may do, right and wrong roots alike.

The model knows what each epoch took in, which root stands and which lines were paid. It holds at every step that the
contract has exactly what it owes, that no epoch pays more than its root says and its pot holds, and at the end that
everything gets out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from settle.lines import Claimed
from tests.settle.evm import ETHER, Done, Reverted
from wire.inference import SignedReceipt
from wire.keys import NodeKey
from wire.settlement import SettlementLine, Share

from .bonds import DAY
from .ledger import ANSWER, DEMAND, EPOCH, PROVIDERS, SETTLERS, WINDOW, Ledger, Root, fit, fresh, struct

OPEN, POSTED, FINAL = range(3)


@dataclass
class Known:
    """What the model says of one epoch."""

    pot: int = 0
    root: Root | None = None
    right: bool = True
    status: int = OPEN
    posted: int = 0
    paid: set[int] = field(default_factory=set)  # indices of lines
    demands: dict[int, int] = field(default_factory=dict)  # open ones: until when
    asked: set[int] = field(default_factory=set)


def tried(do: Callable[[], Done]) -> str:
    """Why it was refused; nothing where it was not."""
    try:
        do()
    except Reverted as error:
        return str(error)
    return ""


class Epochs(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.ledger: Ledger = fresh()
        self.known: dict[int, Known] = {}
        self.receipts: dict[bytes, SignedReceipt] = {}
        self.taken: set[bytes] = set()  # receipts that a standing root pays
        self.bonds = 0
        self.number = 0

    # Time, revenue and receipts

    @rule(node=st.sampled_from(PROVIDERS), price=st.integers(1, 5 * ETHER), extra=st.integers(-1, 99))
    def answer(self, node: int, price: int, extra: int) -> None:
        """A receipt, and revenue that is enough for it or is not."""
        self.number += 1
        signed = self.ledger.receipt(node, price, self.number)
        self.receipts[signed.receipt.digest(self.ledger.domain)] = signed
        amount = price + extra
        if amount:
            epoch = self.ledger.earn(node, amount)
            self.known.setdefault(epoch, Known()).pot += amount
            self.balanced()

    @rule(seconds=st.sampled_from([ANSWER, WINDOW, EPOCH]))
    def wait(self, seconds: int) -> None:
        self.ledger.evm.forward(seconds)
        self.ledger.epochs.send("open")

    def standing(self, status: int) -> list[int]:
        return [epoch for epoch, it in self.known.items() if it.status == status]

    def ended(self) -> list[int]:
        now = self.ledger.epochs.call("current")
        return [epoch for epoch in self.standing(OPEN) if epoch < now]

    # Roots

    @rule(data=st.data(), right=st.booleans())
    def post(self, data: st.DataObject, right: bool) -> None:
        if not self.ended():
            self.answer(PROVIDERS[0], 3 * ETHER, 5)
            self.answer(PROVIDERS[1], 2 * ETHER, -1)
            self.ledger.next_epoch()
        self.ledger.epochs.send("open")  # an epoch ends with the opening of another
        epoch = data.draw(st.sampled_from(self.ended()))
        it = self.known[epoch]
        root = self.ledger.honest(epoch, [self.claimed(r) for r in self.receipts if r not in self.taken])
        if not right:
            root = self.bent(root, it.pot, data)
        if refused := tried(lambda: self.ledger.post(root)):
            assert "CancelledBefore" in refused or (root.total > it.pot and not right), refused
            return
        assert root.total <= it.pot
        it.root, it.right, it.status, it.posted = root, right, POSTED, self.ledger.evm.now
        it.paid, it.demands, it.asked = set(), {}, set()
        if right:
            self.taken |= {line.receipt for line in root.lines}
        self.balanced()

    def claimed(self, receipt: bytes) -> Claimed:
        return self.ledger.claimed(self.receipts[receipt], verifiers=(0, 1) if receipt[0] % 2 else ())

    def bent(self, root: Root, pot: int, data: st.DataObject) -> Root:
        """Lines that settlers made up: indices, amounts and sums are anybody's guess."""
        thief = self.ledger.node(6).address
        amounts = data.draw(st.lists(st.integers(0, pot), min_size=1, max_size=4))
        made_up = fit((thief, Share.PROVIDER, bytes([i]) * 32, amount) for i, amount in enumerate(amounts))
        lines = [*made_up, *root.lines[: data.draw(st.integers(0, 3))]]
        total = data.draw(st.one_of(st.just(pot), st.integers(0, pot)))
        return Root(root.epoch, tuple(lines), total, bytes(32), len(lines) + data.draw(st.integers(0, 1)))

    # Challenges

    @rule(data=st.data())
    def challenge(self, data: st.DataObject) -> None:
        """Whatever can be tried with a root's lines: only a wrong one falls."""
        epoch = self.posted(data)
        it = self.known[epoch]
        root = it.root
        assert root is not None
        if not root.lines:
            return
        a, b = (data.draw(st.integers(0, len(root.lines) - 1)) for _ in range(2))
        name = data.draw(st.sampled_from(["Line", "Order", "Revenue"]))
        shown = {
            "Line": root.shown(a),
            "Order": (*root.shown(a), *root.shown(b)),
            "Revenue": ([root.shown(a)[0], root.shown(b)[0]], [root.shown(a)[1], root.shown(b)[1]]),
        }[name]
        if refused := tried(lambda: self.ledger.challenge(name, epoch, *shown)):
            assert "NothingWrong" in refused, refused
            return
        assert not it.right
        self.fallen(epoch)

    def fallen(self, epoch: int) -> None:
        """The signers are punished, mend their stakes and leave jail; the bonds of open demands go back."""
        it = self.known[epoch]
        root = it.root
        assert root is not None
        args = (epoch, root.tree.root, root.count, root.total)
        signers = sorted(self.ledger.node(i).address for i in SETTLERS)
        self.ledger.epochs.send("punish", *args, signers)
        for i in SETTLERS:
            lost = 1_000 * ETHER - self.ledger.registry.call("stakeOf", self.ledger.node(i).address)
            self.ledger.bond(self.ledger.node(i).address, lost, self.ledger.owner(i))
        self.ledger.evm.forward(DAY)
        for i in SETTLERS:  # in jail they do not count for an epoch that closes meanwhile
            self.ledger.registry.send("unjail", self.ledger.node(i).address, by=self.ledger.owner(i))
        for index in it.demands:
            self.ledger.epochs.send("release", *args, index)
            self.bonds -= DEMAND
        if it.right:
            self.taken -= {line.receipt for line in root.lines}
        it.root, it.status, it.demands = None, OPEN, {}
        self.balanced()

    # Demands

    @rule(data=st.data())
    def demand(self, data: st.DataObject) -> None:
        epoch = self.posted(data)
        it = self.known[epoch]
        assert it.root is not None
        index = data.draw(st.integers(0, it.root.count))
        late = self.ledger.evm.now + 1 > it.posted + WINDOW - ANSWER
        if refused := tried(lambda: self.ledger.epochs.send("demand", epoch, index, by=self.ledger.challenger)):
            assert late or index == it.root.count or index in it.asked, refused
            return
        assert not late
        it.asked.add(index)
        it.demands[index] = self.ledger.evm.now + ANSWER
        self.bonds += DEMAND
        self.balanced()

    @rule(data=st.data())
    def answer_or_fail(self, data: st.DataObject) -> None:
        if not any(it.demands for it in self.known.values()):
            self.demand(data)
        asked = [epoch for epoch, it in self.known.items() if it.demands]
        if not asked:
            return
        epoch = data.draw(st.sampled_from(asked))
        it = self.known[epoch]
        assert it.root is not None
        index = data.draw(st.sampled_from(sorted(it.demands)))
        late = self.ledger.evm.now + 1 > it.demands[index]
        if late:
            self.ledger.epochs.send("fail", epoch, index)
            del it.demands[index]
            self.bonds -= DEMAND
            self.fallen(epoch)
            return
        line = next((line for line in it.root.lines if line.index == index), None)
        if line is None or (line.receipt not in self.receipts and line.role is not Share.UNRECEIPTED):
            return  # made up: nobody can show it
        signed = self.receipts.get(line.receipt) or self.ledger.receipt(6, 1, 0)
        proof = it.root.tree.proof(it.root.lines.index(line))
        self.ledger.epochs.send(
            "show", epoch, struct(line), proof, self.ledger.on_chain(signed), signed.signature, by=self.ledger.stranger
        )
        del it.demands[index]
        self.bonds -= DEMAND
        self.balanced()

    # What is final

    def posted(self, data: st.DataObject) -> int:
        """An epoch whose root is in its window, or past it; one is posted where there is none."""
        while not self.standing(POSTED):
            self.post(data, data.draw(st.booleans()))
        return data.draw(st.sampled_from(self.standing(POSTED)))

    @rule(data=st.data())
    def finalise(self, data: st.DataObject) -> None:
        epoch = self.posted(data)
        it = self.known[epoch]
        early = self.ledger.evm.now + 1 <= it.posted + WINDOW
        if refused := tried(lambda: self.ledger.epochs.send("finalise", epoch)):
            assert early or it.demands, refused
            return
        assert not early
        assert not it.demands
        it.status = FINAL
        self.balanced()

    @rule(data=st.data())
    def claim(self, data: st.DataObject) -> None:
        if not self.standing(FINAL):
            self.posted(data)
            self.wait(WINDOW)
            self.finalise(data)
        if not self.standing(FINAL):
            return
        epoch = data.draw(st.sampled_from(self.standing(FINAL)))
        it = self.known[epoch]
        assert it.root is not None
        if not it.root.lines:
            return
        places = sorted(data.draw(st.integers(0, len(it.root.lines) - 1)) for _ in range(2))
        self.claim_of(epoch, *places)

    def claim_of(self, epoch: int, first: int, last: int) -> None:
        it = self.known[epoch]
        root = it.root
        assert root is not None
        a, b = root.lines[first], root.lines[last]
        before = self.ledger.epochs.call("paidOf", epoch)
        if tried(lambda: self.ledger.claim(root, first, last, self.owner_of(a))):
            return
        lines = set(range(a.index, b.index + 1))
        assert (a.account, a.role) == (b.account, b.role)
        if it.right:
            assert not lines & it.paid
            amount = self.ledger.epochs.call("paidOf", epoch) - before
            assert amount == sum(line.amount for line in root.lines[first : last + 1])
        it.paid |= lines
        self.balanced()

    def owner_of(self, line: SettlementLine) -> NodeKey:
        for node in range(8):
            if self.ledger.node(node).address == line.account:
                return self.ledger.owner(node)
        return self.ledger.evm.account(40)  # the publisher

    # What holds

    def balanced(self) -> None:
        owed = self.bonds
        for epoch, it in self.known.items():
            paid = self.ledger.epochs.call("paidOf", epoch)
            assert self.ledger.epochs.call("potOf", epoch) == it.pot
            assert paid <= (it.root.total if it.root else 0) <= it.pot
            owed += it.root.total - paid if it.status == FINAL and it.root else it.pot
        assert self.ledger.has(self.ledger.epochs.address) == owed

    def teardown(self) -> None:
        """Everything gets out: every epoch gets a root, what its accounts claim is paid, the rest is swept."""
        if not hasattr(self, "known"):
            return
        ledger = self.ledger
        ledger.next_epoch()
        for epoch, it in self.known.items():
            for index in [*it.demands][:1]:
                ledger.evm.forward(ANSWER + 1)
                ledger.epochs.send("fail", epoch, index)
                del it.demands[index]
                self.bonds -= DEMAND
                self.fallen(epoch)
            if it.status == OPEN:
                it.root, it.right, it.paid = Root(epoch, (), 0, bytes(32), 0), True, set()
                ledger.post(it.root)
                it.status = POSTED
            if it.status == POSTED:
                ledger.finalise(epoch)
                it.status = FINAL
        for epoch, it in self.known.items():
            for place in range(len(it.root.lines) if it.root and it.right else 0):
                self.claim_of(epoch, place, place)
            if it.right and it.root:
                assert it.paid == set(range(it.root.count))
        ledger.evm.forward(3 * 365 * 86_400)
        for epoch, it in self.known.items():
            if it.root and ledger.epochs.call("paidOf", epoch) < it.root.total:
                ledger.epochs.send("sweep", epoch)
        assert ledger.has(ledger.epochs.address) == 0


TestEpochs = Epochs.TestCase
TestEpochs.settings = settings(max_examples=12, stateful_step_count=12, deadline=None)
