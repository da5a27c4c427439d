"""A peer that is its own customer."""

from __future__ import annotations

import pytest

from bench.networks import bare_network
from p2p import Channel, open_host
from p2p.loopback import loopback
from wire.blob import AskManifest, BlobReply
from wire.errors import ErrorCode, RemoteError
from wire.keys import NodeKey
from wire.tensors import Tensor

KEY = NodeKey(bytes([7]) * 32)
NETWORK = bare_network("alone")
BIG = Tensor.of("x", "UINT8", [3_000_000], bytes(3_000_000))


async def test_an_exchange_with_oneself_needs_no_network() -> None:
    async def answer(channel: Channel) -> None:
        await channel.receive(AskManifest, timeout=5)
        await channel.receive_tensors([BIG.header], timeout=5)
        await channel.send(BlobReply(size=1))

    async with open_host(KEY, NETWORK, listen=[]) as host:
        host.handle("infer", answer)
        for _ in range(40):  # more than the streams one peer may hold: each ends with its exchange
            async with host.exchange(host.peer_id, "infer") as channel:
                await channel.send(AskManifest(model=bytes(32)), [BIG])
                assert await channel.receive(BlobReply, timeout=5) == BlobReply(size=1)
        with pytest.raises(RemoteError) as caught:
            async with host.exchange(host.peer_id, "committee"):
                raise AssertionError("nobody serves that")
        assert caught.value.code is ErrorCode.UNSUPPORTED


@pytest.mark.parametrize("how", ["reset", "close"])
async def test_either_end_hears_that_the_other_left(how: str) -> None:
    near, far = loopback()
    told: list[str] = []
    near.on_end(lambda: told.append("near"))
    far.on_end(lambda: told.append("far"))
    await near.write(b"more to come")
    assert told == []
    await (near.reset() if how == "reset" else near.close())
    assert told == ["far"]
    far.on_end(lambda: told.append("again"))
    far.on_end(None)
    await far.close()
    assert told == ["far", "again", "near"]
