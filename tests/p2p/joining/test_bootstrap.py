"""Joining with everything around it but the wire: seeds by name, the book, and what a user is told."""

# ruff: noqa: ARG001 — pytest-trio finds the clock among a test's arguments
from __future__ import annotations

from collections.abc import Sequence
from random import Random

import trio
import trio.testing

from p2p.joining.bootstrap import Bootstrap
from p2p.joining.company import HEARD, Candidate, Company, Contact
from p2p.joining.peerbook import PeerBook
from p2p.joining.seeds import Found
from p2p.standing.ranges import wide_range_of
from wire.errors import ErrorCode, RemoteError
from wire.keys import NodeKey

IDS = [NodeKey((n + 1).to_bytes(32, "big")).peer_id for n in range(8)]


def seed(n: int) -> str:
    return f"/ip4/{20 + n}.1.1.1/tcp/4001/p2p/{IDS[n]}"


class World:
    """Peers that are there, or not, and names that stand for them."""

    def __init__(self) -> None:
        self.there: set[str] = set()
        self.names: dict[str, tuple[str, ...]] = {}
        self.tries: list[tuple[float, str]] = []
        self.asked: list[float] = []
        self.contacts: list[Contact] = []
        self.heard: list[Candidate] = []
        self.book = PeerBook(None)

    async def connect(self, addresses: Sequence[str]) -> str:
        await trio.sleep(0.1)
        self.tries.append((trio.current_time(), addresses[0]))
        if addresses[0] not in self.there:
            raise RemoteError(ErrorCode.UNREACHABLE, f"{addresses[0]}: connection refused")
        peer = addresses[0].rpartition("/")[2]
        self.contacts.append(Contact(peer, addresses[0], True, int(1000 * trio.current_time())))
        return peer

    async def resolve(self, name: str) -> Found:
        await trio.sleep(0.1)
        self.asked.append(trio.current_time())
        addresses = self.names.get(name, ())
        return Found(name.split("/")[2], addresses, None if addresses else f"the seed {name} cannot be found: gone")

    def bootstrap(self, *seeds: str) -> Bootstrap:
        company = Company(Random(1), wide_range_of, grows=True)
        return Bootstrap(
            seeds, self.book, company, self.connect, lambda: self.contacts, lambda: self.heard, self.resolve
        )


async def test_names_and_addresses_are_tried_side_by_side_and_failures_are_told(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    world = World()
    world.names = {"/dnsaddr/one.example": (seed(1), seed(2))}
    boot = world.bootstrap(seed(0), "/dnsaddr/one.example", "/dnsaddr/two.example", "/ip4/bad")
    assert boot.is_hopeful()
    assert boot.awaited() == [
        "the seed one.example has not been found in DNS yet",
        "the seed two.example has not been found in DNS yet",
        f"peer {IDS[0]} has not answered yet ({seed(0)})",
    ]
    nursery.start_soon(boot.run)
    await trio.sleep(0.5)
    assert {address for _, address in world.tries} == {seed(0), seed(1), seed(2)}
    assert not boot.is_hopeful()
    assert boot.awaited() == []
    told = {attempt.failure for attempt in boot.report() if attempt.failure}
    assert {
        f"{seed(0)}: connection refused",
        f"one.example: {seed(1)}: connection refused",
        f"one.example: {seed(2)}: connection refused",
        "the seed /dnsaddr/two.example cannot be found: gone",
    } <= told
    assert any("/ip4/bad cannot be used" in failure for failure in told)
    nursery.cancel_scope.cancel()


async def test_every_seed_is_down_and_one_old_peer_is_up(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    world = World()
    for n in range(2, 8):
        world.book.note(IDS[n], [], n, reached=seed(n).rpartition("/p2p/")[0])
    world.there = {seed(2)}
    boot = world.bootstrap(seed(0), seed(1), "/dnsaddr/gone.example")
    nursery.start_soon(boot.run)
    await trio.sleep(2)
    assert [contact.peer for contact in world.contacts] == [IDS[2]]
    nursery.cancel_scope.cancel()


async def test_names_are_asked_for_again_while_nobody_is_there_and_no_more_often_than_that(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    world = World()
    boot = world.bootstrap("/dnsaddr/one.example")
    nursery.start_soon(boot.run)
    await trio.sleep(100)
    assert 2 <= len(world.asked) <= 3
    world.names, world.there = {"/dnsaddr/one.example": (seed(1),)}, {seed(1)}
    await trio.sleep(100)
    assert [contact.peer for contact in world.contacts] == [IDS[1]]
    count = len(world.asked)
    await trio.sleep(1000)
    assert len(world.asked) == count
    nursery.cancel_scope.cancel()


async def test_a_peer_that_lost_all_company_looks_for_it_again_at_once(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    world = World()
    world.there = {seed(0)}
    boot = world.bootstrap(seed(0))
    nursery.start_soon(boot.run)
    await trio.sleep(500)
    assert len(world.contacts) == 1
    world.contacts.clear()
    boot.changed()
    await trio.sleep(2)
    assert len(world.contacts) == 1
    nursery.cancel_scope.cancel()


async def test_with_company_it_meets_those_it_hears_of_and_keeps_two_as_anchors(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    world = World()
    world.heard = [Candidate(IDS[n], (seed(n),), HEARD) for n in range(1, 8)]
    world.there = {seed(n) for n in range(8)}
    boot = world.bootstrap(seed(0))
    nursery.start_soon(boot.run)
    await trio.sleep(1)
    assert len(world.contacts) == 1
    await trio.sleep(200)
    assert len(world.contacts) == 4
    for n in range(8):
        world.book.note(IDS[n], [], 1, reached=seed(n))
    await trio.sleep(30)
    anchors = {saved.peer for saved in world.book.latest() if saved.anchor}
    assert anchors == {contact.peer for contact in world.contacts[:2]}
    world.contacts.clear()
    boot.changed()
    world.there.clear()
    await trio.sleep(30)
    assert {saved.peer for saved in world.book.latest() if saved.anchor} == anchors  # until there are others
    nursery.cancel_scope.cancel()


async def test_new_seeds_are_tried_without_a_restart(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    world = World()
    world.there = {seed(1)}
    boot = world.bootstrap(seed(0))
    nursery.start_soon(boot.run)
    await trio.sleep(20)
    boot.use([seed(1)])
    await trio.sleep(0.5)
    assert [contact.peer for contact in world.contacts] == [IDS[1]]
    nursery.cancel_scope.cancel()
