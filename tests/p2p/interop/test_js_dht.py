"""The DHT with js-libp2p: each provides and finds, puts and gets, and locates, as client and as server of the other."""

from __future__ import annotations

from base64 import b32encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

from p2p import Host, open_host
from p2p.dht.discovery import id_of
from p2p.dht.records import name_of
from tests.p2p.blobs.made import BLOB
from tests.p2p.dht.test_records import KEY, judge, record
from tests.p2p.dht.test_values import held, knows
from tests.p2p.hosts import LOOPBACK, NETWORK, until
from wire.cid import to_cid
from wire.keys import NodeKey

from .javascript import JsNode, javascript, needs_javascript

KAD = id_of(NETWORK)
# js-libp2p keeps providers under SHA2-256 only; of BLAKE3, which our models' names are, it is a client.
SHA2 = b"\x12\x20" + sha256(b"content").digest()
CID = "b" + b32encode(b"\x01\x55" + SHA2).decode().rstrip("=").lower()

pytestmark = needs_javascript


@asynccontextmanager
async def two_and_javascript() -> AsyncIterator[tuple[Host, Host, JsNode]]:
    """Two of ours that know each other, and a node that knows the first; all of them servers of the DHT."""
    async with (
        open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK, judge=judge) as first,
        open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK, judge=judge) as second,
        javascript() as js,
    ):
        node = await js.open(kad=KAD)
        await second.connect(first.addresses)
        await node("dial", address=first.addresses[0])
        await node.until(lambda said: said["peers"], "table")
        await until(lambda: knows(first) == 2 and knows(second) >= 1)
        yield first, second, node


async def test_providers_of_a_model_are_found_both_ways() -> None:
    async with two_and_javascript() as (_, second, node):
        await node("provide", cid=to_cid(BLOB))
        assert node.peer in await second.find_providers(BLOB)
        other = bytes(range(32))
        assert await second.provide(other)
        assert second.peer_id in (await node("providers", cid=to_cid(other)))["peers"]


async def test_javascript_keeps_what_we_provide_and_tells_it() -> None:
    async with (
        javascript() as js,
        open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as provider,
        open_host(NodeKey.generate(), NETWORK, listen=[]) as asker,
    ):
        node = await js.open(kad=KAD)
        await provider.connect(node.addresses)
        await until(lambda: knows(provider) == 1)
        assert await provider.discovery.provide_key(SHA2)
        await node.until(lambda said: provider.peer_id in said["peers"], "providers", cid=CID)
        await asker.connect(node.addresses)
        await until(lambda: knows(asker) == 1)
        assert await asker.discovery.find_providers_of_key(SHA2) == [provider.peer_id]


async def test_records_are_put_and_got_both_ways() -> None:
    async with two_and_javascript() as (first, second, node):
        name = name_of(KEY)
        await node("put", key=name.hex(), value=record(1).hex())
        await until(lambda: held(first) == record(1))
        assert await second.get_record(KEY) == record(1)
        assert await second.put_record(KEY, record(2))
        assert (await node("get", key=name.hex()))["value"] == record(2).hex()


async def test_javascript_serves_the_records_that_it_was_given() -> None:
    async with javascript() as js, open_host(NodeKey.generate(), NETWORK, listen=[], judge=judge) as asker:
        node = await js.open(kad=KAD)
        async with open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK, judge=judge) as owner:
            await owner.connect(node.addresses)
            await until(lambda: knows(owner) == 1)
            assert await owner.put_record(KEY, record(3))
        await asker.connect(node.addresses)
        await until(lambda: knows(asker) == 1)
        assert await asker.get_record(KEY) == record(3)


async def test_peers_are_located_both_ways() -> None:
    async with two_and_javascript() as (_, second, node):
        found = (await node("locate", peer=second.peer_id))["addresses"]
        assert second.addresses[0].split("/p2p/")[0] in [address.split("/p2p/")[0] for address in found]
        await second.discovery.find_peer(node.peer)
        assert node.addresses[0].split("/p2p/")[0] in map(str, second._whereabouts.of(node.peer))
