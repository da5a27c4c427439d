"""Signed gossip with js-libp2p, both ways, to the bound of a message's size, and over each other."""

from __future__ import annotations

import pytest
import trio

from p2p import Admission, Host, bounds, open_host
from tests.p2p.hosts import LOOPBACK, NETWORK, until
from wire.keys import NodeKey

from .javascript import JsNode, javascript, needs_javascript

TOPIC = NETWORK.protocol("offers")
SIZES = (1, 1000, bounds.GOSSIP)

pytestmark = needs_javascript


async def listen(host: Host) -> trio.MemoryReceiveChannel[tuple[bytes, str]]:
    """Join the topic; what is heard there, and from whom."""
    said, heard = trio.open_memory_channel[tuple[bytes, str]](100)
    await host.join("offers", lambda *_: Admission.ACCEPT, lambda data, author: said.send_nowait((data, author)))
    return heard


async def subscribed(node: JsNode, *peers: str) -> None:
    """Wait until the node knows that these take part."""
    await node.until(lambda said: set(peers) <= set(said["peers"]), "subscribers", topic=TOPIC)


async def test_signed_gossip_both_ways() -> None:
    async with open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as host, javascript() as js:
        node = await js.open(gossip=True)
        heard = await listen(host)
        await node("subscribe", topic=TOPIC)
        await node("dial", address=host.addresses[0])
        await subscribed(node, host.peer_id)
        await until(lambda: host.neighbours("offers"))
        for size in SIZES:
            await node("publish", topic=TOPIC, data=(data := bytes([size % 256]) * size).hex())
            assert await heard.receive() == (data, node.peer)
        for size in SIZES:
            await host.publish("offers", data := bytes([size % 251]) * size)
            event = await node.heard()
            assert (event["data"], event["author"], event["topic"]) == (data.hex(), host.peer_id, TOPIC)


@pytest.mark.parametrize("key", ["Ed25519", "RSA"])
async def test_authors_with_other_keys_are_heard(key: str) -> None:
    async with open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as host, javascript() as js:
        node = await js.open(gossip=True, key=key)
        heard = await listen(host)
        await node("subscribe", topic=TOPIC)
        await node("dial", address=host.addresses[0])
        await subscribed(node, host.peer_id)
        await node("publish", topic=TOPIC, data=b"hello".hex())
        assert await heard.receive() == (b"hello", node.peer)


async def test_each_passes_on_what_the_other_ones_neighbours_say() -> None:
    """In a line: ours, js, ours, js. What the first says the last hears, and the other way round."""
    async with (
        open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as first,
        open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as third,
        javascript() as js,
    ):
        second, last = await js.open(gossip=True), await js.open(gossip=True, listen=[])
        heard = await listen(first)
        await listen(third)
        for node in (second, last):
            await node("subscribe", topic=TOPIC)
        await first.connect(second.addresses)
        await third.connect(second.addresses)
        await last("dial", address=third.addresses[0])
        await subscribed(second, first.peer_id, third.peer_id)
        await subscribed(last, third.peer_id)
        await until(lambda: first.neighbours("offers") == 1 and third.neighbours("offers") == 2)
        await last("publish", topic=TOPIC, data=b"from the last".hex())
        assert await heard.receive() == (b"from the last", last.peer)
        await first.publish("offers", b"from the first")
        event = await last.heard()
        assert (event["data"], event["author"]) == (b"from the first".hex(), first.peer_id)
