"""Meeting through a public DHT, which js-libp2p nodes play here, with RSA and Ed25519 ids and the public id."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from itertools import pairwise

import pytest
from libp2p.custom_types import TProtocol

from p2p import Host, bounds, open_host
from p2p.addresses import parse_peer
from p2p.rendezvous.place import cid_of, key_of
from tests.p2p.dht.test_values import knows
from tests.p2p.hosts import LOOPBACK, NETWORK, ask, echo, until
from wire.keys import NodeKey

from .javascript import JavaScript, JsNode, javascript, needs_javascript

AMINO = TProtocol("/ipfs/kad/1.0.0")
CID = cid_of(key_of(NETWORK))

pytestmark = needs_javascript


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "RENDEZVOUS_PULSE", 0.05)
    monkeypatch.setattr(bounds, "RENDEZVOUS_SOON", 0.3)
    monkeypatch.setattr(bounds, "RENDEZVOUS_MOVED", 0.3)
    monkeypatch.setattr(bounds, "RENDEZVOUS_RETRY", 0.3)


async def public_network(js: JavaScript, size: int = 6) -> list[JsNode]:
    """So many peers, of which each knows the one before."""
    nodes = [await js.open(kad=AMINO, key="RSA" if number % 2 else "Ed25519") for number in range(size)]
    for one, other in pairwise(nodes):
        await other("dial", address=one.addresses[0])
    for node in nodes:
        await node.until(lambda said: said["peers"], "table")
    return nodes


def guest(
    seed: JsNode, listen: Sequence[str] = LOOPBACK, relays: Sequence[str] = ()
) -> AbstractAsyncContextManager[Host]:
    """One of ours that knows nobody but a peer of the public network."""
    meeting = partial(open_host, rendezvous=("amino",), rendezvous_seeds=seed.addresses)
    return meeting(NodeKey.generate(), NETWORK, listen=listen, relays=relays)


def told(host: Host) -> bool:
    return (last := host.rendezvous()) is not None and last.told > 0


async def test_two_peers_that_know_only_the_public_network_find_each_other() -> None:
    async with javascript() as js:
        nodes = await public_network(js)
        async with guest(nodes[0]) as one, guest(nodes[-1]) as other:
            one.handle("echo", echo)
            await until(lambda: told(one) and other.connected())
            await ask(other, one.peer_id)
            await until(lambda: knows(one) == 1 and knows(other) == 1)
            assert {one.peer_id, other.peer_id} <= set((await nodes[2]("providers", cid=CID))["peers"])
            # Nobody of the public network got in anywhere (it may connect, as any stranger may).
            for host, friend in ((one, other), (other, one)):
                assert [saved.peer for saved in host._whereabouts.book.latest()] == [friend.peer_id]
                assert list(host.discovery.table) == [parse_peer(friend.peer_id)]
            # Nor do we say that we are of theirs, though js-libp2p takes everybody who answers a ping.
            assert AMINO not in other._host.speaks(parse_peer(one.peer_id))


async def test_a_peer_that_is_reached_over_a_relay_says_so_there() -> None:
    async with javascript() as js, open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK, relay=True) as relay:
        nodes = await public_network(js, 2)
        async with (
            guest(nodes[0], listen=["/p2p-circuit"], relays=relay.addresses) as hidden,
            guest(nodes[1], listen=()) as other,
        ):
            hidden.handle("echo", echo)
            await until(lambda: told(hidden))
            await until(lambda: hidden.peer_id in {status.peer_id for status in other.connected()})
            assert [status.via for status in other.connected() if status.peer_id == hidden.peer_id] == [relay.peer_id]
            await ask(other, hidden.peer_id)


async def test_who_only_says_that_it_is_of_the_network_is_not_kept() -> None:
    """It provides the same key, and speaks nothing of ours."""
    async with javascript() as js:
        nodes = await public_network(js, 3)
        liar = await js.open(kad=AMINO)  # a secp256k1 id
        await liar("dial", address=nodes[0].addresses[0])
        await liar.until(lambda said: said["peers"], "table")
        await liar("provide", cid=CID)
        async with guest(nodes[2], listen=()) as host:
            await until(lambda: (last := host.rendezvous()) is not None and last.found == 1)
            await until(lambda: not host.connected())
            last = host.rendezvous()
            assert last is not None
            assert (last.met, last.told) == (0, 0)
            assert host._whereabouts.book.latest() == []


async def test_a_public_network_of_which_nobody_answers_is_named() -> None:
    async with open_host(
        NodeKey.generate(),
        NETWORK,
        listen=LOOPBACK,
        rendezvous=("amino",),
        rendezvous_seeds=["/ip4/127.0.0.1/tcp/9/p2p/QmaCpDMGvV2BGHeYERUEnRQAwe3N8SzbUtfsmvsqQLuvuJ", "/nonsense"],
    ) as host:
        await until(lambda: host.rendezvous() is not None)
        last = host.rendezvous()
        assert last is not None
        assert (last.answered, last.cid) == (0, CID)
        assert "none of 1 seeds" in last.failure
