"""What a name means to a peer that asks a hub, over real links: never a guess, never a word that is over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from node.bounds import NAME_LIFE_MS, NAME_STALE_MS
from node.clock import now_ms
from node.config import Config
from node.control import Event
from node.errors import CommandError, Exit
from node.finding import find_model
from node.keyfile import load_key
from node.listening import LOOPBACK
from node.local import keep_network
from node.meaning import find_here
from node.networkfile import new_network
from node.opening import open_peer
from node.operations.editing import edit_model, withdraw_model
from node.peer import Peer
from node.petnames import save_petnames
from tests.node.processes.running import eventually, settle, soon
from tests.node.records import named, signed_manifest, signed_name
from tests.verify.scenes import key_of
from wire.canonical import decode, encode
from wire.keys import show_address
from wire.manifest import Manifest, SignedManifest
from wire.name import SignedName, name_key

PUBLISHER = show_address(key_of("publisher").address)
HOUR = 60 * 60 * 1000


class Scene:
    """A hub and a desk that has joined it; `said` is what the desk was told on the way."""

    def __init__(self, hub: Peer, desk: Peer) -> None:
        self.hub, self.desk = hub, desk
        self.said: list[Event] = []

    def model(self, who: str = "publisher", **changes: Any) -> SignedManifest:
        return signed_manifest(who, domain=self.hub.network.domain, **changes)

    def record(self, *manifests: SignedManifest, who: str = "publisher", age: int = 0, **changes: Any) -> SignedName:
        issued = now_ms() - age
        withdrawn = changes.pop("withdrawn", None)
        fields = {"sequence": issued, "issued_ms": issued, "expires_ms": issued + NAME_LIFE_MS} | changes
        return signed_name(
            who, domain=self.hub.network.domain, versions=named(*manifests, withdrawn=withdrawn), **fields
        )

    def tell(self, peer: Peer, record: SignedName | None, *manifests: SignedManifest) -> None:
        if record is not None:
            peer.local.store.names.put(record)
        peer.local.store.catalogue.put(manifests)

    async def find(self, text: str) -> str:
        signed, _ = await find_model(self.desk, text, self.said.append)
        return signed.cid

    async def refused(self, text: str) -> str:
        with pytest.raises(CommandError) as refusal:
            await self.find(text)
        assert refusal.value.exit_code is Exit.NOT_FOUND
        return refusal.value.message


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    homes = [settle(tmp_path / name) for name in ("hub", "desk")]
    network = new_network("names", [load_key(homes[0].key).peer_id])
    for home in homes:
        keep_network(home, network)
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(open_peer(homes[0], Config(listen=LOOPBACK), serving=True))
        config = Config(bootstraps=(hub.host.addresses[0],))
        desk = await stack.enter_async_context(open_peer(homes[1], config, serving=False))
        await soon(desk.host.connected, "the desk joins")
        yield Scene(hub, desk)


async def test_a_name_is_asked_of_hubs_and_learnt(scene: Scene) -> None:
    old, new = scene.model(), scene.model(version="1.1.0")
    scene.tell(scene.hub, scene.record(new, old), old, new)
    assert await scene.find("digits") == new.cid
    assert await scene.find(f"{PUBLISHER}/digits@1.0.0") == old.cid
    assert "no version 2.0.0" in await scene.refused("digits@2.0.0")
    assert "nobody reached knows" in await scene.refused("letters")
    assert "nobody reached knows" in await scene.refused(f"{PUBLISHER}/letters")
    assert scene.desk.local.store.catalogue.get(new.model) == new


async def test_two_publishers_are_never_guessed_between(scene: Scene) -> None:
    mine, hers = scene.model(), scene.model("eve")
    scene.tell(scene.hub, scene.record(mine), mine)
    scene.tell(scene.hub, scene.record(hers, who="eve"), hers)
    save_petnames(scene.desk.local.directory.petnames, {"alice": key_of("publisher").address})
    message = await scene.refused("digits")
    assert "alice/digits" in message
    assert show_address(key_of("eve").address) + "/digits" in message
    assert await scene.find("alice/digits") == mine.cid


async def test_a_manifest_alone_gives_no_name(scene: Scene) -> None:
    scene.tell(scene.hub, None, scene.model())
    assert "nobody reached knows" in await scene.refused("digits")


async def test_what_is_withdrawn_is_found_by_its_cid_alone_and_with_a_warning(scene: Scene) -> None:
    model = scene.model()
    scene.hub.local.store.models.put(model)
    scene.tell(scene.hub, scene.record(model, withdrawn="wrong weights"))
    for text in (f"{PUBLISHER}/digits", f"{PUBLISHER}/digits@1.0.0"):
        assert "withdrawn by its publisher: wrong weights" in await scene.refused(text)
    assert await scene.find(model.cid) == model.cid
    assert any(event["event"] == "withdrawn" for event in scene.said)


async def test_a_bare_name_that_was_withdrawn_gives_the_reason_also_where_no_file_of_it_is_left(scene: Scene) -> None:
    model = scene.model()
    scene.tell(scene.hub, scene.record(model, withdrawn="wrong weights"), model)
    assert scene.hub.local.store.manifest(model.model) is None
    assert "withdrawn by its publisher: wrong weights" in await scene.refused("digits")


async def test_where_another_publishers_model_stands_the_bare_name_means_that(scene: Scene) -> None:
    model, hers = scene.model(), scene.model("eve")
    scene.tell(scene.hub, scene.record(model, withdrawn="wrong weights"), model)
    scene.tell(scene.hub, scene.record(hers, who="eve"), hers)
    assert await scene.find("digits") == hers.cid


async def test_a_silent_publishers_name_no_longer_holds(scene: Scene) -> None:
    model = scene.model()
    old = scene.record(model, age=NAME_LIFE_MS + HOUR)
    scene.tell(scene.hub, old, model)
    assert "nobody reached knows" in await scene.refused(f"{PUBLISHER}/digits")  # what is over is not even learnt
    scene.tell(scene.desk, old, model)
    assert "silent since" in await scene.refused("digits")
    assert await scene.find(model.cid) == model.cid
    scene.desk.local.store.models.put(model)
    assert await scene.find("digits") == model.cid
    assert "silent since" in scene.said[-1]["text"]


async def test_an_old_word_is_asked_for_anew(scene: Scene) -> None:
    for who, age in (("publisher", HOUR), ("bob", NAME_STALE_MS + HOUR)):
        before, after = scene.model(who), scene.model(who, version="3.0.0")
        scene.tell(scene.hub, scene.record(after, who=who), after)
        scene.tell(scene.desk, scene.record(before, who=who, age=age), before)  # a command hears no gossip
        assert await scene.find(f"{show_address(key_of(who).address)}/digits") == after.cid


async def test_who_hears_gossip_relies_on_a_young_word_and_on_no_old_one(scene: Scene) -> None:
    before, after = scene.model(), scene.model(version="3.0.0")
    for age, expected in ((HOUR, before), (NAME_STALE_MS + HOUR, after)):
        who = f"publisher {age}"
        scene.tell(scene.hub, scene.record(scene.model(who), who=who, age=age), scene.model(who))
        newer = scene.model(who, version="3.0.0")
        scene.tell(scene.desk, scene.record(newer, who=who), newer)
        signed, _ = await find_model(scene.hub, f"{show_address(key_of(who).address)}/digits", scene.said.append)
        version = decode(signed.body, Manifest).version
        assert version == decode(expected.body, Manifest).version


async def test_a_record_that_only_the_dht_has_is_found(scene: Scene) -> None:
    model = scene.model()
    scene.tell(scene.hub, None, model)
    key, value = name_key(key_of("publisher").address, "digits"), encode(scene.record(model))
    await scene.hub.host.put_record(key, value)
    assert scene.hub.local.store.names.count == 0

    async def has_it() -> bool:
        return await scene.desk.host.get_record(key) == value

    await eventually(has_it, "the DHT knows it")
    assert await scene.find(f"{PUBLISHER}/digits") == model.cid


async def test_the_stores_own_commands_take_names_too(scene: Scene) -> None:
    old, new, hers = scene.model(), scene.model(version="1.1.0-rc.1"), scene.model("eve", version="9.0.0")
    local = scene.desk.local
    for model in (old, new, hers):
        local.store.models.put(model)
    found = [find_here(local, text) for text in (f"{PUBLISHER}/digits", f"{PUBLISHER}/digits@1.1.0-rc.1", hers.cid)]
    assert found == [old, new, hers]
    assert find_here(local, f"{PUBLISHER}/letters") is None
    local.store.names.put(scene.record(new, old, withdrawn="bad"))
    assert find_here(local, f"{PUBLISHER}/digits@1.1.0-rc.1") is None
    assert find_here(local, new.cid) == new


async def test_only_its_publisher_corrects_or_withdraws_a_model(scene: Scene) -> None:
    model = scene.model()
    scene.desk.local.store.models.put(model)
    scene.tell(scene.desk, scene.record(model), model)
    for text in ("digits", f"{PUBLISHER}/digits", model.cid):
        for operation in (edit_model, withdraw_model):
            with pytest.raises(CommandError, match="publishes no model"):
                await operation(scene.desk.local, {"model": text, "reason": "", "task": "x"}, scene.said.append)
