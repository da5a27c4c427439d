"""TCP, noise and yamux with js-libp2p, dialled by either side: identify, ping, and echoes of three megabytes."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol
from libp2p.host.ping import PingService
from libp2p.network.stream.exceptions import StreamEOF

from p2p import Host, open_host
from p2p.addresses import parse_peer
from tests.p2p.test_blobs import NETWORK
from wire.keys import NodeKey

HERE = Path(__file__).parent
NODE = shutil.which("node")
ECHO = TProtocol("/echo/1.0.0")
SIZE = 3 * 1024 * 1024 + 17
SECONDS = 30

pytestmark = [
    pytest.mark.skipif(NODE is None, reason="node is not installed"),
    pytest.mark.skipif(
        not (HERE / "node_modules" / "libp2p").is_dir(), reason="js-libp2p is not installed: make interop"
    ),
]


async def echo(stream: INetStream) -> None:
    with suppress(StreamEOF):
        while True:
            await stream.write(await stream.read(65536))
    await stream.close()


@asynccontextmanager
async def peer() -> AsyncIterator[Host]:
    """One of ours that serves the echo."""
    async with open_host(NodeKey.generate(), NETWORK, listen=["/ip4/127.0.0.1/tcp/0"]) as host:
        host._host.set_stream_handler(ECHO, echo)
        yield host


async def lines(process: trio.Process) -> AsyncIterator[dict[str, Any]]:
    assert process.stdout is not None
    buffer = b""
    async for chunk in process.stdout:
        *whole, buffer = (buffer + chunk).split(b"\n")
        for line in whole:
            yield json.loads(line)


@asynccontextmanager
async def javascript(*arguments: str) -> AsyncIterator[tuple[trio.Process, AsyncIterator[dict[str, Any]]]]:
    """The other side, and what it says."""
    assert NODE is not None
    async with trio.open_nursery() as nursery:
        command = [NODE, str(HERE / "peer.js"), *arguments]
        process = await nursery.start(
            partial(trio.run_process, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, check=False)
        )
        try:
            with trio.fail_after(SECONDS):
                yield process, lines(process)
        finally:
            nursery.cancel_scope.cancel()


async def test_javascript_dials_us() -> None:
    async with peer() as host, javascript("dial", host.addresses[0]) as (_, said):
        result = await anext(said)
        assert result["ok"], result
        assert (result["muxer"], result["encryption"]) == ("/yamux/1.0.0", "/noise")
        assert ECHO in result["protocols"]
        assert result["echoed"] == 2 * SIZE


async def test_we_dial_javascript() -> None:
    async with peer() as host, javascript("listen") as (_, said):
        ready = await anext(said)
        assert "ready" in ready, ready
        assert await host.connect([ready["address"]]) == ready["ready"]
        other = parse_peer(ready["ready"])
        with trio.fail_after(5):
            while ECHO not in await _protocols(host, ready["ready"]):  # noqa: ASYNC110 — identify has no event
                await trio.sleep(0.01)
        assert await PingService(host._host).ping(other, 3)
        data = bytes(range(251)) * (SIZE // 251)
        stream = await host._host.new_stream(other, [ECHO])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.write, data)
            back = bytearray()
            while len(back) < len(data):
                back += await stream.read(65536)
        assert back == data
        await stream.close()
        with pytest.raises(StreamEOF):
            await stream.read(1)


async def _protocols(host: Host, peer_id: str) -> list[str]:
    try:
        return list(host._host.get_peerstore().get_protocols(parse_peer(peer_id)))
    except Exception:  # the store raises for a peer it does not know yet
        return []
