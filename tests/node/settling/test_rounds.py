"""One settler's part in an epoch: what it signed counts as spent, and whose signature it leaves out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
import trio

from node.peer import Peer
from node.settling.book import Book
from node.settling.clock import ChainClock
from node.settling.desk import Desk
from node.settling.rounds import EpochWork
from node.settling.watching import Watch
from settle.chain import Block
from settle.epoch import Settlers, Timetable
from settle.ledger import EpochFacts
from settle.lines import Shares
from storage import Store
from tests.verify.scenes import NOW, key_of
from wire.keys import NodeKey
from wire.settlement import Agreed, SignedRoot

from .test_desk import GENESIS, NETWORK, SECONDS, Stub, deal, file

OTHER = key_of("another settler")
TIMES = Timetable(cut=NOW // 1000, begins=NOW // 1000, length=600)


@dataclass
class Stakes:
    """The chain, as far as a proposer asks it: what is left behind a settler."""

    left: dict[bytes, int] = field(default_factory=dict)
    domain: Any = NETWORK.domain

    async def call(self, contract: bytes, interface: str, function: str, node: bytes) -> Any:
        assert (contract, interface) == (NETWORK.contract, "Registry")
        return self.left[node] if function == "stakeOf" else b"\x01" * 20


@dataclass
class Local:
    store: Store
    key: NodeKey


def facts(epoch: int, **stakes: int) -> EpochFacts:
    who = {key_of("settler").address: stakes.get("own", 1), OTHER.address: stakes.get("other", 0)}
    return EpochFacts(
        epoch=epoch, named=epoch + 1, beacon=bytes(32), pot=1000, shares=Shares(0, 0, 0, 0, 0),
        revenue={key_of("provider").address: 1000}, settlers=Settlers(who), sharers=tuple(who), hubs={}, times=TIMES,
        keys={OTHER.address: OTHER.public},
    )  # fmt: skip


@dataclass
class Scene:
    peer: Peer
    desk: Desk
    clock: ChainClock

    def work(self, given: EpochFacts) -> EpochWork:
        return EpochWork(self.peer, self.desk, self.clock, given, set)

    def watch(self, *works: EpochWork) -> Watch:
        book = Book(self.peer.local.store)
        watch = Watch(self.peer, cast(Any, None), cast(Any, None), self.desk, self.clock, book)
        watch._works = {(work.facts.epoch, work.facts.named): work for work in works}
        return watch


@pytest.fixture
async def scene(store: Store, nursery: trio.Nursery) -> Scene:
    clock = ChainClock(lambda: 0.0, lambda: 0.0)
    clock.saw(Block(1, bytes(32), NOW // 1000))
    peer = cast(Peer, Stub(Local(store, key_of("settler")), cast(Any, Stakes())))
    desk = Desk(peer, clock, GENESIS, SECONDS)
    nursery.start_soon(desk.run)
    await desk.take(file(tier="signed"), "giver")
    return Scene(peer, desk, clock)


async def test_what_a_signed_root_pays_no_other_epoch_pays(scene: Scene) -> None:
    """It is not posted yet: who has the signatures may do that at any time, and of two roots that pay one receipt the
    later one falls, with all who signed it."""
    digest = deal(tier="signed").receipt_digest
    work = scene.work(facts(0))
    proposal = await work.build()
    assert isinstance(await work.judge(0, proposal.root, proposal.versions), Agreed)
    assert scene.watch(work)._spent(1) == set()
    work.machine.propose(0, proposal)
    work.machine.hear_agreed(cast(Agreed, await work.judge(0, proposal.root, proposal.versions)))
    certificate = work.machine.certificate()
    assert certificate is not None
    assert isinstance(await work.say(work.machine.certify(certificate)), SignedRoot)
    for signed in (work, scene.work(facts(0))):  # in this process, and after a restart
        watch = scene.watch(signed)
        assert watch._spent(0) == set()
        assert watch._spent(1) == {digest}
        assert scene.desk.claims(1, watch._spent(1)) == {}
        signed.machine.forget(proposal.root)
        assert watch._spent(1) == set()


async def test_who_took_half_its_stake_away_is_left_out_of_what_is_posted(scene: Scene) -> None:
    """The contract refuses a root with its signature as a whole."""
    work = scene.work(facts(0, own=300, other=101))
    chain = cast(Stakes, scene.peer.chain)
    for left, gone in ((101, set()), (50, set()), (49, {OTHER.address}), (0, {OTHER.address})):
        chain.left = {key_of("settler").address: 300, OTHER.address: left}
        assert await work._gone() == gone


async def test_a_receipt_that_was_refused_in_time_is_not_paid(scene: Scene) -> None:
    """A root that pays it falls. What is refused after the next epoch began brings down nobody, and is paid."""
    digest, watch = deal(tier="signed").receipt_digest, scene.watch()
    for since, gone in ((999, {digest}), (1000, set()), (1001, set())):
        watch._refused = {digest: since}
        assert watch._unpayable(replace(facts(0), closed_at=1000)) == gone
