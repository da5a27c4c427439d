"""Many who fetch one model from few: who has some of it serves that, and is found while it fetches."""

from __future__ import annotations

import io
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

import node.fetching
from node.clock import now_ms
from node.config import Config
from node.datadir import DataDir
from node.fetching import fetch_model
from node.keyfile import load_key
from node.listening import LOOPBACK
from node.local import keep_network
from node.networkfile import new_network
from node.opening import open_peer
from node.peer import Peer
from p2p.dht.discovery import _BLAKE3
from tests.node.processes.running import PATIENCE, eventually, settle, soon
from tests.node.records import signed_manifest
from wire.bounds import MIB
from wire.canonical import decode
from wire.manifest import File, Manifest, SignedManifest

LARGE, SMALL = 32 * MIB, MIB
RATE = 2 * MIB  # bytes a second of whoever has all of it: the large one takes longer than any test


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where three peers of one network are."""
    places = [settle(tmp_path / name) for name in "abc"]
    network = new_network("crowd", [load_key(places[0].key).peer_id])
    for one in places:
        keep_network(one, network)
    return tmp_path


@asynccontextmanager
async def serving(place: Path, *joined: Peer, roles: tuple[str, ...] = ("hub",), rate: int = 0) -> AsyncIterator[Peer]:
    starts = tuple(peer.host.addresses[0] for peer in joined)
    config = Config(roles=roles, listen=LOOPBACK, bootstraps=starts, upload_rate=rate)
    async with open_peer(DataDir(place), config, serving=True) as peer:
        if joined:
            await soon(peer.host.connected, "it joins")
        yield peer


def publish(peer: Peer, size: int) -> tuple[SignedManifest, Manifest]:
    """A model that this peer has all of."""
    blob = peer.local.store.blobs.add(io.BytesIO(random.Random(size).randbytes(size)))
    file = File(path="m.onnx", blob=blob.hash(), size=size, media_type="application/onnx")
    signed = signed_manifest(files=(file,), created_ms=now_ms(), domain=peer.network.domain)
    peer.local.store.models.put(signed)
    peer.local.models_changed.notify()
    return signed, decode(signed.body, Manifest)


def is_whole(peer: Peer, manifest: Manifest) -> bool:
    return peer.local.store.blobs.complete(manifest.files[0].blob)


async def found(by: Peer, who: Peer, model: bytes) -> None:
    """Return once the DHT tells `by` that `who` has the model."""

    async def is_found() -> bool:
        return who.host.peer_id in await by.host.find_providers(model)

    await eventually(is_found, "a provider record")


async def test_who_fetches_is_found_and_serves_what_it_has(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node.fetching, "LOOK_EVERY", 0.2)
    helped = trio.Event()
    async with (
        serving(place / "a", rate=RATE) as a,
        serving(place / "b", a) as b,
        serving(place / "c", a) as c,
        trio.open_nursery() as nursery,
    ):
        signed, manifest = publish(a, LARGE)
        await found(b, a, signed.model)
        nursery.start_soon(fetch_model, b, signed, manifest, lambda _: None)
        await found(c, b, signed.model)

        def hear(event: dict[str, Any]) -> None:
            if event["peer"] == b.host.peer_id and "text" not in event and event["done"]:
                helped.set()

        nursery.start_soon(fetch_model, c, signed, manifest, hear)
        with trio.fail_after(PATIENCE):
            await helped.wait()
        assert not is_whole(b, manifest)
        for peer in (a, b, c):  # to lack what is asked for is no fault
            assert all(one.score >= 0 for one in peer.host.standing()), peer.host.standing()
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("roles", [("hub",), ("verifier",)])
async def test_who_gives_up_is_no_longer_announced_and_who_is_done_only_as_a_hub(
    place: Path, roles: tuple[str, ...]
) -> None:
    async with serving(place / "a", rate=RATE) as a, serving(place / "b", a, roles=roles) as b:
        provided = b.host.discovery._provided
        signed, manifest = publish(a, LARGE)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fetch_model, b, signed, manifest, lambda _: None)
            await soon(lambda: _BLAKE3 + signed.model in provided, "it is announced")
            nursery.cancel_scope.cancel()
        assert _BLAKE3 + signed.model not in provided
        signed, manifest = publish(a, SMALL)
        await fetch_model(b, signed, manifest, lambda _: None)
        assert is_whole(b, manifest)
        assert (_BLAKE3 + signed.model in provided) == ("hub" in roles)


async def test_a_client_that_does_not_stay_announces_nothing(place: Path) -> None:
    async with serving(place / "a") as a:
        signed, manifest = publish(a, SMALL)
        config = Config(bootstraps=(a.host.addresses[0],))
        async with open_peer(DataDir(place / "b"), config, serving=False) as client:
            await soon(client.host.connected, "it joins")
            said = list[int]()
            await fetch_model(client, signed, manifest, lambda _: said.append(len(client.host.discovery._provided)))
            assert is_whole(client, manifest)
            assert set(said) == {0}
