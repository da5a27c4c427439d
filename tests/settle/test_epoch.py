"""How settlers come to one root: no two roots carry, whoever lies, dies or is cut off; and one does, while few are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from settle import bounds
from settle.epoch import EpochMachine, Proposal, Ready, Said, Settlers, Timetable
from wire.canonical import Amount
from wire.eip712 import Domain, keccak256
from wire.keys import NodeKey
from wire.settlement import Agreed, Certified, EpochRoot, Missing, SignedRoot, Word, agree, sign_root

DOMAIN = Domain(chain_id=31337, contract=b"\x11" * 20)
EPOCH = 7
TIMES = Timetable(cut=1000, begins=1010, length=10)
KEYS = [NodeKey(keccak256(b"settler" + bytes([i]))) for i in range(7)]


def receipt(i: int) -> bytes:
    return keccak256(b"receipt" + bytes([i]))


def made(versions: Collection[bytes], epoch: int = EPOCH) -> Proposal:
    """What everybody makes of these receipts."""
    ordered = tuple(sorted(versions))
    root = keccak256(b"".join(ordered))
    return Proposal(
        EpochRoot(epoch=epoch, root=root, count=len(ordered), total=Amount(len(ordered)), receipts=root), ordered
    )


@dataclass
class Node:
    """A settler with its receipts and its disk. `crash` leaves nothing but the disk."""

    key: NodeKey
    settlers: Settlers
    receipts: set[bytes] = field(default_factory=set)
    disk: tuple[Word, tuple[bytes, ...]] | None = None
    signed: set[EpochRoot] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.crash()

    def crash(self) -> None:
        word, versions = self.disk or (None, ())
        self.machine = EpochMachine(EPOCH, self.key, DOMAIN, self.settlers, TIMES, word, versions)

    def say(self, said: Said, *, dies: bool = False) -> Agreed | Missing | SignedRoot | None:
        """What leaves, once it is on disk; nothing where the settler dies between."""
        if said.word is not None:
            self.disk = said.word, said.versions
        if dies:
            self.crash()
            return None
        if isinstance(said.reply, SignedRoot):
            self.signed.add(said.reply.root)
        return said.reply

    def judge(
        self, turn: int, proposal: Proposal, now: int, *, dies: bool = False
    ) -> Agreed | Missing | SignedRoot | None:
        own = made(self.receipts | (set(proposal.versions) & self.receipts))
        return self.say(self.machine.judge(turn, proposal, own, self.receipts, now), dies=dies)

    def certify(self, certificate: Certified, *, dies: bool = False) -> SignedRoot | None:
        reply = self.say(self.machine.certify(certificate), dies=dies)
        return reply if isinstance(reply, SignedRoot) else None


def town(stakes: Sequence[int], receipts: Iterable[int] = range(3)) -> list[Node]:
    settlers = Settlers({key.address: stake for key, stake in zip(KEYS, stakes, strict=False)})
    return [Node(key, settlers, {receipt(i) for i in receipts}) for key in KEYS[: len(stakes)]]


def run_turn(nodes: Sequence[Node], turn: int, up: Callable[[Node], bool] = lambda _: True) -> Ready | None:
    """One turn as a proposer drives it, with those that are up."""
    now = TIMES.begins + turn * TIMES.length
    leader = next(n for n in nodes if n.key.address == n.settlers.proposer(EPOCH, turn))
    if not up(leader):
        return None
    assert leader.machine.my_turn(now) == turn
    proposal = leader.machine.propose(turn, made(leader.receipts))
    for node in nodes:
        reply = node.judge(turn, proposal, now) if up(node) else None
        if isinstance(reply, Missing):
            leader.receipts |= {v for v in reply.has}
            node.receipts |= {v for v in reply.lacks if v in leader.receipts}
            reply = node.judge(turn, proposal, now)
        if isinstance(reply, Agreed):
            leader.machine.hear_agreed(reply)
    certificate = leader.machine.certificate()
    ready = None
    for node in nodes if certificate else ():
        assert certificate is not None
        signed = node.certify(certificate) if up(node) else None
        ready = (leader.machine.hear_signed(signed) if signed else None) or ready
    return ready


def test_all_who_have_the_same_receipts_sign_one_root_in_the_first_turn() -> None:
    nodes = town([5, 5, 5, 5])
    ready = run_turn(nodes, 0)
    assert ready is not None
    assert ready.root == made(nodes[0].receipts).root
    assert list(ready.signers) == sorted(ready.signers)
    assert nodes[0].settlers.carry(ready.signers)


def test_a_minority_that_is_offline_changes_nothing_but_whose_turn_it_is() -> None:
    nodes = town([1] * 7)
    down = nodes[0].settlers.proposer(EPOCH, 0), nodes[0].settlers.proposer(EPOCH, 1)
    found = [run_turn(nodes, turn, lambda n: n.key.address not in down) for turn in range(3)]
    assert found[:2] == [None, None]
    assert found[2] is not None
    assert not set(down) & set(found[2].signers)


def test_a_third_that_is_offline_is_no_minority() -> None:
    nodes = town([1, 1, 1])
    assert all(run_turn(nodes, turn, lambda n: n is not nodes[2]) is None for turn in range(6))


def test_what_one_lacks_it_is_given_and_what_the_proposer_lacks_comes_in_the_next_turn() -> None:
    nodes = town([1] * 4)
    nodes[1].receipts = {receipt(0)}
    nodes[2].receipts |= {receipt(9)}
    nodes[3].receipts |= {receipt(9)}
    found = next(ready for turn in range(8) if (ready := run_turn(nodes, turn)))
    assert found.root == made({receipt(i) for i in (0, 1, 2, 9)}).root


def test_a_receipt_that_was_there_in_time_cannot_be_left_out() -> None:
    censor, *honest = town([1] * 4)
    censor.receipts.discard(receipt(1))
    proposal = made(censor.receipts)
    said = honest[0].judge(0, proposal, TIMES.begins)
    assert said == Missing(lacks=(), has=(receipt(1),))


def test_a_root_that_others_find_otherwise_is_not_agreed_to() -> None:
    nodes = town([1] * 4)
    wrong = made(nodes[0].receipts)
    wrong = Proposal(
        EpochRoot(epoch=EPOCH, root=bytes(32), count=3, total=Amount(3), receipts=bytes(32)), wrong.versions
    )
    said = nodes[1].machine.judge(0, wrong, made(nodes[1].receipts), nodes[1].receipts, TIMES.begins)
    assert (said.reply, said.why) == (None, "the same receipts make another root here")


def test_nobody_agrees_to_two_roots_in_a_turn_nor_signs_without_a_certificate() -> None:
    nodes = town([1] * 4)
    first, second = made({receipt(0), receipt(1), receipt(2)}), made({receipt(0), receipt(1), receipt(2), receipt(3)})
    node = nodes[1]
    assert isinstance(node.judge(0, first, TIMES.begins), Agreed)
    node.receipts.add(receipt(3))
    assert node.judge(0, second, TIMES.begins) is None
    assert isinstance(node.judge(1, second, TIMES.begins + TIMES.length), Agreed)
    assert not isinstance(node.judge(0, first, TIMES.begins + TIMES.length), Agreed)
    few = tuple(agree(second.root, 1, n.key, DOMAIN) for n in nodes[:2])
    assert node.certify(Certified(root=second.root, turn=1, agreed=few * 2)) is None
    assert node.signed == set()


def test_who_agreed_to_a_later_root_does_not_sign_an_earlier_one() -> None:
    """Others may have gone on with the later one: a signature now would only keep both from being carried."""
    nodes = town([1] * 4)
    first = made({receipt(i) for i in range(3)})
    late = Certified(root=first.root, turn=0, agreed=tuple(agree(first.root, 0, n.key, DOMAIN) for n in nodes))
    node, other = nodes[0], nodes[1]
    assert isinstance(node.judge(0, first, TIMES.begins), Agreed)
    node.receipts.add(receipt(3))
    assert isinstance(node.judge(1, made(node.receipts), TIMES.begins + TIMES.length), Agreed)
    assert node.certify(late) is None
    assert other.certify(late) is None  # it has not found that root itself
    assert isinstance(other.judge(0, first, TIMES.begins), Agreed)
    assert other.certify(late) is not None


def test_agreements_of_another_turn_root_key_or_network_are_none() -> None:
    nodes = town([1] * 4)
    proposal = made(nodes[0].receipts)
    node = nodes[0]
    assert isinstance(node.judge(2, proposal, TIMES.begins + 2 * TIMES.length), Agreed)
    elsewhere = Domain(chain_id=1, contract=DOMAIN.contract)
    other = made({receipt(5)}).root
    for agreed in (
        [agree(proposal.root, 1, n.key, DOMAIN) for n in nodes],
        [agree(other, 2, n.key, DOMAIN) for n in nodes],
        [agree(proposal.root, 2, n.key, elsewhere) for n in nodes],
        [agree(proposal.root, 2, key, DOMAIN) for key in KEYS[4:]],
        [
            Agreed(settler=n.key.address, signature=agree(proposal.root, 2, nodes[0].key, DOMAIN).signature)
            for n in nodes
        ],
    ):
        assert node.certify(Certified(root=proposal.root, turn=2, agreed=tuple(agreed))) is None
    good = tuple(agree(proposal.root, 2, n.key, DOMAIN) for n in nodes)
    assert node.certify(Certified(root=proposal.root, turn=2, agreed=good)) is not None


def test_a_signature_of_another_network_or_root_is_not_counted() -> None:
    nodes = town([1] * 3)
    leader = next(n for n in nodes if n.key.address == n.settlers.proposer(EPOCH, 0))
    proposal = leader.machine.propose(0, made(leader.receipts))
    elsewhere = Domain(chain_id=1, contract=DOMAIN.contract)
    assert all(leader.machine.hear_signed(sign_root(proposal.root, n.key, elsewhere)) is None for n in nodes)
    assert all(leader.machine.hear_signed(sign_root(made({receipt(8)}).root, n.key, DOMAIN)) is None for n in nodes)
    assert [leader.machine.hear_signed(sign_root(proposal.root, n.key, DOMAIN)) is not None for n in nodes] == [
        False, False, True,
    ]  # fmt: skip


def test_who_took_its_stake_away_signs_and_is_not_shown_to_the_contract() -> None:
    nodes = town([1] * 4)
    leader = next(n for n in nodes if n.key.address == n.settlers.proposer(EPOCH, 0))
    proposal = leader.machine.propose(0, made(leader.receipts))
    leader.machine.gone = {nodes[0].key.address}
    found = [leader.machine.hear_signed(sign_root(proposal.root, n.key, DOMAIN)) for n in nodes]
    assert found[:3] == [None] * 3
    assert found[3] is not None
    assert set(found[3].signers) == {n.key.address for n in nodes[1:]}


def test_who_signed_stands_by_it_after_a_restart_until_the_contract_cancels_it() -> None:
    nodes = town([1] * 4)
    assert run_turn(nodes, 0) is not None
    node = nodes[1]
    first = made(node.receipts).root
    node.crash()
    for n in nodes:
        n.receipts.add(receipt(4))
    second = made(node.receipts)
    reply = node.judge(5, second, TIMES.begins + 5 * TIMES.length)
    assert isinstance(reply, SignedRoot)
    assert reply.root == first
    assert node.machine.propose(5, second).root == first
    node.machine.forget(first)
    node.disk = None
    assert isinstance(node.judge(5, second, TIMES.begins + 5 * TIMES.length), Agreed)
    assert node.judge(6, made({receipt(i) for i in range(3)}), TIMES.begins + 6 * TIMES.length) is None


def test_a_clock_that_is_wrong_by_minutes_is_left_out_and_signs_nothing() -> None:
    nodes = town([1] * 4)
    proposal = made(nodes[0].receipts)
    for wrong in (-600, -TIMES.length * 2, TIMES.length * 2 + 1, 600):
        assert nodes[1].judge(3, proposal, TIMES.begins + 3 * TIMES.length + wrong) is None
    assert isinstance(nodes[1].judge(3, proposal, TIMES.begins + 2 * TIMES.length), Agreed)


def test_a_stranger_neither_proposes_nor_agrees() -> None:
    nodes = town([1, 1, 1, 0])
    outsider = nodes[3]
    assert not outsider.machine.is_settler
    assert all(outsider.machine.my_turn(TIMES.begins + t * TIMES.length) is None for t in range(8))
    assert outsider.judge(0, made(outsider.receipts), TIMES.begins) is None


def test_turns_are_long_in_long_epochs_and_short_in_short_ones() -> None:
    short, long = Timetable.after(1000, 20), Timetable.after(1000, 7 * 24 * 3600)
    assert (short.cut, short.begins, short.length) == (1004, 1008, 4)
    assert (long.length, long.turn(long.begins - 1), long.turn(long.begins)) == (bounds.TURN_SECONDS[1], None, 0)
    assert long.turn(long.begins + long.length) == 1


def often(data: st.DataObject) -> bool:
    return data.draw(st.integers(0, 4)) > 0


@settings(max_examples=150)
@given(st.data())
def test_no_two_roots_ever_carry(data: st.DataObject) -> None:
    """Less than a third lies: it proposes different roots, agrees to and signs whatever there is. Messages are lost,
    and settlers die at every step, before and after they wrote down what they were to say."""
    count = data.draw(st.integers(4, 7))
    liars = set(KEYS[: (count - 1) // 3])
    nodes = [n for n in town([1] * count) if n.key not in liars]
    for node in nodes:
        node.receipts |= {receipt(i) for i in data.draw(st.sets(st.integers(3, 5)))}
    sets = [
        frozenset(receipt(i) for i in range(3)) | {receipt(i) for i in more} for more in ((), (3,), (4,), (3, 4, 5))
    ]
    agreed: dict[tuple[int, EpochRoot], dict[bytes, Agreed]] = {}
    signed: dict[EpochRoot, set[bytes]] = {}
    for turn in range(data.draw(st.integers(1, 6))):
        now = TIMES.begins + turn * TIMES.length
        leader = next((n for n in nodes if n.key.address == n.settlers.proposer(EPOCH, turn)), None)
        told = [made(s) for s in sets] if leader is None else [leader.machine.propose(turn, made(leader.receipts))]
        for proposal in told:
            for node in nodes:
                if leader is None and data.draw(st.booleans()):
                    node.receipts = set(proposal.versions)  # a liar gives each what it needs to agree
                if often(data):
                    reply = node.judge(turn, proposal, now, dies=not often(data))
                    if isinstance(reply, Agreed):
                        agreed.setdefault((turn, proposal.root), {})[node.key.address] = reply
        for (then, root), votes in agreed.items():
            for liar in liars:
                votes[liar.address] = agree(root, then, liar, DOMAIN)
            certificate = Certified(root=root, turn=then, agreed=tuple(votes.values()))
            for node in nodes:
                if often(data):
                    reply = node.certify(certificate, dies=not often(data))
                    if reply is not None:
                        signed.setdefault(reply.root, {liar.address for liar in liars}).add(node.key.address)
    assert all(len(node.signed) <= 1 for node in nodes)
    carried = [root for root, who in signed.items() if nodes[0].settlers.carry(who)]
    assert len(carried) <= 1


@settings(max_examples=60)
@given(st.data())
def test_a_root_carries_while_more_than_two_thirds_are_up(data: st.DataObject) -> None:
    """Honest settlers with whatever receipts, some of them down, some dying between turns: a turn of each is enough."""
    count = data.draw(st.integers(1, 7))
    nodes = town([1] * count)
    for node in nodes:
        node.receipts |= {receipt(i) for i in data.draw(st.sets(st.integers(3, 5)))}
    down = set(data.draw(st.permutations(range(count)))[: (count - 1) // 3])
    for turn in range(3 * count):
        for i in data.draw(st.sets(st.integers(0, count - 1))):
            nodes[i].crash()
        if ready := run_turn(nodes, turn, lambda n: nodes.index(n) not in down):
            assert nodes[0].settlers.carry(ready.signers)
            return
    pytest.fail("no root carried")
