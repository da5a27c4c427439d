"""Names between serving peers, over real links: by gossip at once, by a hub's pages for who comes later."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import node.catchingup
from node.bounds import NAME_LIFE_MS
from node.catalogue import Asked, ask_page
from node.clock import now_ms
from node.config import Config
from node.datadir import DataDir
from node.keyfile import load_key
from node.listening import LOOPBACK
from node.local import keep_network
from node.networkfile import new_network
from node.opening import open_peer
from node.peer import Peer
from node.publishing import own_record, publish, publish_version, with_version
from tests.node.processes.running import settle, soon
from tests.node.records import named, signed_manifest, signed_name
from tests.verify.scenes import bent
from wire.canonical import decode
from wire.catalogue import AskModels
from wire.manifest import Manifest, SignedManifest, sign_manifest
from wire.name import Named, NameRecord, SignedName
from wire.tensors import TensorSpec


@pytest.fixture
def place(tmp_path: Path) -> Callable[[str], DataDir]:
    network = new_network("spread", [load_key(settle(tmp_path / "first").key).peer_id])

    def home(name: str) -> DataDir:
        directory = DataDir(tmp_path / name)
        if not directory.initialised:
            settle(directory.path)
        keep_network(directory, network)
        return directory

    return home


@asynccontextmanager
async def serving(directory: DataDir, *joined: Peer, roles: tuple[str, ...] = ("hub",)) -> AsyncIterator[Peer]:
    config = Config(roles=roles, listen=LOOPBACK, bootstraps=tuple(peer.host.addresses[0] for peer in joined))
    async with open_peer(directory, config, serving=True) as peer:
        if joined:
            await soon(peer.host.connected, "it joins")
        yield peer


def own_model(peer: Peer, **changes: Any) -> SignedManifest:
    fields = bent(decode(signed_manifest(**changes).body, Manifest), publisher=peer.local.key.address)
    return sign_manifest(fields, peer.local.key, peer.network.domain)


def known(peer: Peer, publisher: Peer, name: str = "digits") -> NameRecord | None:
    signed = peer.local.store.names.get(publisher.local.key.address, name)
    return decode(signed.body, NameRecord) if signed else None


async def test_what_is_published_and_withdrawn_is_heard_at_once(place: Callable[[str], DataDir]) -> None:
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(serving(place("hub")))
        publisher = await stack.enter_async_context(serving(place("publisher"), hub, roles=("provider",)))
        model = own_model(publisher)
        await publish_version(publisher.local, "1.0.0", model, "digits")
        await soon(lambda: hub.local.store.catalogue.get(model.model), "the hub knows the model")
        specs = tuple(TensorSpec(name=f"{i}" + "x" * 240, datatype="FP32", shape=("n" * 60,) * 8) for i in range(60))
        long = own_model(publisher, version="2.0.0", inputs=specs)  # longer than a gossip message may be
        await publish_version(publisher.local, "2.0.0", long, "digits")
        await soon(lambda: hub.local.store.catalogue.get(long.model), "the hub has asked for what gossip left out")
        gone = Named(version="1.0.0", model=model.model, withdrawn="bad")
        before = own_record(publisher.local, "digits")
        assert before is not None
        await publish(publisher.local, with_version(before, before.publisher, "digits", gone, now_ms()))
        await soon(lambda: hub.local.store.catalogue.get(model.model) is None, "the hub heeds the withdrawal")
        found = known(hub, publisher)
        assert found is not None
        assert [(n.version, n.withdrawn) for n in found.versions] == [("2.0.0", None), ("1.0.0", "bad")]
        assert hub.intake.wanted == {}


async def test_a_publishers_names_are_signed_again_before_they_end(place: Callable[[str], DataDir]) -> None:
    async with serving(place("publisher"), roles=()) as publisher:
        local, issued = publisher.local, now_ms() - NAME_LIFE_MS + 1000
        record = with_version(None, local.key.address, "digits", Named(
            version="1.0.0", model=bytes(32), withdrawn=None), issued)  # fmt: skip
        await publish(local, record)

        def renewed() -> bool:
            newest = own_record(local, "digits")
            assert newest is not None
            return newest.issued_ms > issued and newest.versions == record.versions

        await soon(renewed, "the record is signed again")


async def test_who_comes_late_reads_a_hubs_catalogue_once(
    place: Callable[[str], DataDir], monkeypatch: pytest.MonkeyPatch
) -> None:
    pages: list[Asked] = []

    async def asked(peer: Peer, peer_id: str, question: AskModels) -> Asked:
        found = await ask_page(peer, peer_id, question)
        if peer.local.directory == place("late"):
            pages.append(found)
        return found

    monkeypatch.setattr(node.catchingup, "ask_page", asked)
    async with serving(place("hub")) as hub:
        told = tell(hub, 150)
        mark = place("late").caught_up
        async with serving(place("late"), hub) as late:
            await soon(mark.exists, "the whole catalogue was read")
            assert late.local.store.catalogue.count == 150
            assert all(late.local.store.names.get(r.publisher, r.name) == signed for r, signed in told)
        assert [len(asked.page.entries) for asked in pages] == [64, 64, 22]
        pages.clear()
        tell(hub, 1, "more")
        async with serving(place("late"), hub) as late:
            await soon(lambda: late.local.store.catalogue.count == 151, "the news")
            await soon(lambda: len(pages) > 1 and mark.exists(), "the look was finished")  # it was there before
        assert [asked.news > 0 for asked in pages] == [True, False]
        pages.clear()
        mark.unlink()  # as if it had been killed in the middle
        async with serving(place("late"), hub):
            await soon(mark.exists, "the look is made anew, to its end")
        assert len(pages) == 3


def tell(hub: Peer, count: int, prefix: str = "m") -> list[tuple[NameRecord, SignedName]]:
    """Let a hub know so many models of a stranger."""
    domain, issued = hub.network.domain, now_ms()
    models = [signed_manifest(name=f"{prefix}{i}", domain=domain) for i in range(count)]
    fields: dict[str, Any] = {"domain": domain, "issued_ms": issued, "expires_ms": issued + NAME_LIFE_MS}
    names = [signed_name(name=f"{prefix}{i}", versions=named(model), **fields) for i, model in enumerate(models)]
    for first in range(0, count, 64):
        hub.local.store.names.put_all(names[first : first + 64])
        hub.local.store.catalogue.put(models[first : first + 64])
    return [(decode(signed.body, NameRecord), signed) for signed in names]
