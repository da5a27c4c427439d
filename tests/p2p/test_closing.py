"""A host that was closed holds nothing: no listener, no socket, whatever its peers did meanwhile."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from p2p import bounds, open_host
from wire.errors import RemoteError
from wire.keys import NodeKey

from .hosts import LOOPBACK, NETWORK, two, until


def sockets() -> set[str]:
    """The sockets of this process."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = str(entry.readlink())
        except OSError:  # the one that lists them
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


async def never(_: bytearray) -> None:
    await trio.sleep_forever()


@pytest.fixture
def _uncollected() -> Iterator[None]:
    """Nothing is closed by the collector."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_uncollected")
async def test_a_peer_that_does_not_read_keeps_no_listener_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "CLOSE_TIMEOUT", 0.1)
    async with open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as peer:
        before = sockets()
        async with open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as host:
            await host.connect(peer.addresses)
            port = int(host.addresses[0].split("/")[4])
            session = host._swarm.get_connections()[0].muxed_conn._session  # type: ignore[attr-defined]  # ours
            monkeypatch.setattr(session._link, "flush", never)
            session._pending += bytes(1000)  # what the peer does not take
        with pytest.raises(OSError, match=r"refused|connect"):
            await trio.open_tcp_stream("127.0.0.1", port)
        await until(lambda: not peer.connected())
        await until(lambda: sockets() <= before)


@pytest.mark.usefixtures("_uncollected")
async def test_dials_that_are_cut_off_at_any_point_leave_no_socket() -> None:
    async with two() as (server, client):
        before = sockets()
        for step in range(0, 120, 4):
            async with open_host(NodeKey.generate(), NETWORK, listen=[]) as other, trio.open_nursery() as nursery:
                nursery.start_soon(other.connect, server.addresses)
                for _ in range(step):
                    await trio.lowlevel.checkpoint()
                nursery.cancel_scope.cancel()
        with pytest.raises(RemoteError):
            await client.connect(["/ip4/127.0.0.1/tcp/1/p2p/" + NodeKey.generate().peer_id])
        await until(lambda: sockets() <= before)
