"""Peers of two releases speak the newest version of a stream that both know."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from p2p import Channel, Host, open_host
from tests.p2p.hosts import LOOPBACK, NETWORK
from wire.catalogue import AskOffers
from wire.errors import ErrorCode, RemoteError
from wire.keys import NodeKey
from wire.network import VERSIONS


async def serve_version(channel: Channel) -> None:
    """Answers with an error that holds the version of the stream."""
    await channel.receive(AskOffers, timeout=5)
    raise RemoteError(ErrorCode.REFUSED, f"version {channel.version}")


async def ask(host: Host, peer: str) -> tuple[int, str]:
    """The version as the asker sees it, and as the asked does."""
    try:
        async with host.exchange(peer, "echo") as channel:
            await channel.send(AskOffers(model=None))
            await channel.receive(AskOffers, timeout=5)
    except RemoteError as told:
        return channel.version, told.message
    raise AssertionError("it said nothing")


@asynccontextmanager
async def host_with(monkeypatch: pytest.MonkeyPatch, *versions: int) -> AsyncIterator[Host]:
    monkeypatch.setitem(VERSIONS, "echo", versions)
    async with open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as host:
        host.handle("echo", serve_version)
        yield host


async def test_the_newest_that_both_speak_is_agreed_on_and_both_know_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        host_with(monkeypatch, 1) as old,
        host_with(monkeypatch, 2, 1) as new,
        host_with(monkeypatch, 3, 2) as newer,
    ):
        for host in (new, newer):
            await host.connect(old.addresses)
        await new.connect(newer.addresses)
        monkeypatch.setitem(VERSIONS, "echo", (2, 1))
        assert await ask(new, old.peer_id) == (1, "version 1")
        assert await ask(new, old.peer_id) == (1, "version 1")  # on the stream that was kept
        assert await ask(new, newer.peer_id) == (2, "version 2")
        assert await ask(new, new.peer_id) == (2, "version 2")
        monkeypatch.setitem(VERSIONS, "echo", (1,))
        assert await ask(old, new.peer_id) == (1, "version 1")
        monkeypatch.setitem(VERSIONS, "echo", (3, 2))
        with pytest.raises(RemoteError) as told:
            async with newer.exchange(old.peer_id, "echo"):
                pass
        assert told.value.code is ErrorCode.UNSUPPORTED
