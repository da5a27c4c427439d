"""Joining with real hosts: seeds by name, old peers when every seed is down, and what the book keeps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import trio

from p2p import bounds, open_host
from p2p.joining import bootstrap, seeds
from p2p.joining.peerbook import PeerBook
from tests.p2p.hosts import LOOPBACK, NETWORK
from wire.keys import NodeKey

from .nameserver import serving


async def until(probe: Callable[[], object]) -> None:
    with trio.fail_after(20):
        while not probe():  # noqa: ASYNC110 — a host tells nobody of what happens in it
            await trio.sleep(0.02)


async def test_a_seed_is_found_by_its_name_and_a_name_that_is_gone_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as seed:
        names = {"_dnsaddr.seeds.example": [f"dnsaddr={seed.addresses[0]}"]}
        async with serving(names) as txt:
            # The host asks the machine's resolver; here that is ours.
            resolve = partial(seeds.resolve, txt=txt)
            monkeypatch.setattr(bootstrap.Bootstrap.__init__, "__defaults__", (resolve,))
            given = ["/dnsaddr/gone.example", "/dnsaddr/seeds.example"]
            async with open_host(NodeKey.generate(), NETWORK, listen=[], bootstraps=given) as client:
                await until(client.connected)
                assert client.connected()[0].peer_id == seed.peer_id
                await until(lambda: not client.is_joining())
                told = [one.failure for one in client.bootstrap_report() if one.failure]
    assert told == ["the seed gone.example cannot be found: there is no _dnsaddr.gone.example in DNS"]


async def test_with_every_seed_down_one_old_peer_that_is_up_is_enough(tmp_path: Path) -> None:
    book, key = tmp_path / "peers", NodeKey.generate()
    async with open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as friend:
        async with (
            open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as seed,
            open_host(key, NETWORK, listen=[], bootstraps=seed.addresses, peerbook=book) as first,
        ):
            gone = seed.addresses
            await first.connect(friend.addresses)
            await until(lambda: len(first._whereabouts.book.latest()) == 2)
        reached = {saved.peer: saved.worked_ms for saved in PeerBook(book).latest()}
        assert reached.keys() == {seed.peer_id, friend.peer_id}
        assert all(reached.values())
        async with open_host(key, NETWORK, listen=[], bootstraps=gone, peerbook=book) as again:
            await until(again.connected)
            assert [one.peer_id for one in again.connected()] == [friend.peer_id]
            await until(lambda: any(one.failure for one in again.bootstrap_report()))
            (failure,) = [one.failure for one in again.bootstrap_report() if one.failure]
            assert failure is not None
            assert gone[0].rpartition("/p2p/")[0] in failure
            assert "refused" in failure.lower()


async def test_a_peer_that_listens_meets_more_than_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "BOOT_GROW", 0.1)
    async with (
        open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as seed,
        open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as other,
        open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK, bootstraps=seed.addresses) as peer,
    ):
        await until(peer.connected)
        peer.learn(other.peer_id, other.addresses)
        await until(lambda: len([one for one in peer.connected() if one.outgoing]) == 2)
        await until(lambda: len([one for one in peer._whereabouts.book.latest() if one.anchor]) == 2)
