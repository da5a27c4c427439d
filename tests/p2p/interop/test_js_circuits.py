"""Circuits with js-libp2p: over a relay of ours and over one of js-libp2p's, between all that may be at their ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Literal

import pytest

from p2p import Host, open_host
from p2p.addresses import parse_peer
from tests.p2p.hosts import LOOPBACK, NETWORK, until
from wire.keys import NodeKey

from .javascript import JavaScript, JsNode, javascript, needs_javascript
from .test_js import ECHO, echo

Side = Literal["ours", "js"]
DATA = bytes(range(256)) * 64

pytestmark = needs_javascript


@asynccontextmanager
async def relay(side: Side, js: JavaScript) -> AsyncIterator[str]:
    """The address of one."""
    if side == "js":
        yield (await js.open(relay=True)).addresses[0]
        return
    async with open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK, relay=True) as host:
        yield host.addresses[0]


@asynccontextmanager
async def ours(listen: list[str], relays: list[str]) -> AsyncIterator[Host]:
    async with open_host(NodeKey.generate(), NETWORK, listen=listen, relays=relays) as host:
        host._host.set_stream_handler(ECHO, echo)
        yield host


def is_circuit(address: str, by: str) -> bool:
    return address.startswith(f"{by}/p2p-circuit")


@asynccontextmanager
async def target(side: Side, js: JavaScript, by: str) -> AsyncIterator[str]:
    """The address of a peer that is reached over the relay only, and echoes."""
    if side == "ours":
        async with ours(["/p2p-circuit"], [by]) as host:
            await until(lambda: any(is_circuit(each, by) for each in host.addresses))
            yield next(each for each in host.addresses if is_circuit(each, by))
        return
    node = await js.open(circuits=True, listen=[f"{by}/p2p-circuit"])
    await node.until(lambda said: said["addresses"], "addresses")
    yield (await node("addresses"))["addresses"][0]


async def dial_as_javascript(node: JsNode, address: str) -> None:
    said = await node("dial", address=address)
    assert "/p2p-circuit" in said["at"]
    assert said["peer"] == address.rpartition("/")[2]
    assert (await node("echo", peer=said["peer"], data=DATA.hex()))["data"] == DATA.hex()


async def dial_as_we(host: Host, address: str) -> None:
    peer = await host.connect([address])
    assert [status.relayed for status in host.connected() if status.peer_id == peer] == [True]
    stream = await host._host.new_stream(parse_peer(peer), [ECHO])
    await stream.write(DATA)
    back = b""
    while len(back) < len(DATA):
        back += await stream.read(65536)
    assert back == DATA


@pytest.mark.parametrize(
    ("by", "to", "dialler"),
    [
        ("ours", "js", "js"),
        ("ours", "js", "ours"),
        ("ours", "ours", "js"),
        ("js", "ours", "js"),
        ("js", "ours", "ours"),
        ("js", "js", "ours"),
    ],
)
async def test_a_circuit(by: Side, to: Side, dialler: Side) -> None:
    async with javascript() as js, AsyncExitStack() as stack:
        at = await stack.enter_async_context(relay(by, js))
        address = await stack.enter_async_context(target(to, js, at))
        assert is_circuit(address, at)
        if dialler == "js":
            await dial_as_javascript(await js.open(circuits=True, listen=[]), address)
        else:
            await dial_as_we(await stack.enter_async_context(ours([], [])), address)
