"""The DHT's ids: networks do not mix in it, nor with the public one, and release 0.1.0 is still met."""

from __future__ import annotations

import msgspec
import pytest
from libp2p.kad_dht.common import PROTOCOL_ID
from libp2p.kad_dht.pb.kademlia_pb2 import Message
from libp2p.utils.varint import encode_varint_prefixed

from p2p import Host, open_host
from p2p.addresses import parse_peer
from p2p.dht.discovery import id_of, is_server
from wire.keys import NodeKey

from ..blobs.made import BLOB
from ..hosts import LOOPBACK, NETWORK, echo, raw, until
from .test_values import knows

OURS = id_of(NETWORK)
OTHER = msgspec.structs.replace(NETWORK, name="other")


@pytest.mark.parametrize(
    ("protocols", "server"),
    [
        ({"/hallmark/test/kad/1"}, True),
        ({"/hallmark/test/kad/1", "/ipfs/kad/1.0.0"}, True),
        ({"/ipfs/kad/1.0.0", "/hallmark/test/blobs/1"}, True),  # release 0.1.0
        ({"/ipfs/kad/1.0.0", "/ipfs/id/1.0.0"}, False),  # the public DHT
        ({"/ipfs/kad/1.0.0", "/hallmark/other/kad/1"}, False),
        ({"/ipfs/kad/1.0.0", "/hallmark/testing/blobs/1"}, False),
        ({"/hallmark/test/blobs/1"}, False),  # one that only dials
        (set(), False),
    ],
)
def test_who_serves_the_networks_dht(protocols: set[str], server: bool) -> None:
    assert is_server(frozenset(protocols), NETWORK) is server


def as_before(host: Host) -> None:
    """Have the host serve what release 0.1.0 did: the library's id, and protocols of the network."""
    host.handle("echo", echo)
    host._host.remove_stream_handler(OURS)


async def test_a_peer_of_release_0_1_0_is_of_the_dht() -> None:
    async with (
        open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as new,
        open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as old,
    ):
        await until(lambda: all(OURS in host._host.get_mux().get_protocols() for host in (new, old)))
        as_before(old)
        await new.connect(old.addresses, timeout=5)
        await until(lambda: knows(new) == 1 and knows(old) == 1)
        assert await new.provide(BLOB)
        assert await old.find_providers(BLOB) == [new.peer_id]


async def test_peers_of_another_network_are_not_of_this_ones_dht() -> None:
    """They connect, are identified, and open streams under the library's id."""
    async with (
        open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as ours,
        open_host(NodeKey.generate(), OTHER, listen=LOOPBACK) as foreign,
        open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as friend,
    ):
        await foreign.connect(ours.addresses, timeout=5)
        # It asks, and names itself and one that it made up as providers and as nearest peers.
        ask = Message(type=Message.FIND_NODE, key=parse_peer(ours.peer_id).to_bytes())
        await raw(foreign, ours.peer_id, PROTOCOL_ID, encode_varint_prefixed(ask.SerializeToString()))
        await until(lambda: ours._host.speaks(parse_peer(foreign.peer_id)))
        await friend.connect(ours.addresses, timeout=5)
        await until(lambda: knows(ours) == 1 and knows(friend) == 1)  # and so the foreign one was looked at before
        assert list(ours.discovery.table) == [parse_peer(friend.peer_id)]


async def test_who_meets_in_the_public_dht_does_not_serve_under_its_id() -> None:
    async with (
        open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK, rendezvous=("amino",), rendezvous_seeds=()) as ours,
        open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as friend,
    ):
        await friend.connect(ours.addresses, timeout=5)
        await until(lambda: knows(ours) == 1 and knows(friend) == 1)
        said = friend._host.speaks(parse_peer(ours.peer_id))
        assert OURS in said
        assert PROTOCOL_ID not in said
