"""A hub's mirroring over a real store: what it sees in the catalogue, and what it does about it."""

# ruff: noqa: ARG001 — pytest-trio finds the clock among a test's arguments
from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from node.bounds import MIRROR_REST, MIRROR_RETRY
from node.config import Config
from node.datadir import DataDir
from node.fetching import Fetched
from node.mirroring import Policy, Standing
from node.peer import Peer
from node.roles.mirror import run_mirror, survey
from node.signal import Signal
from storage import Store, StoreFull, open_store
from tests.storage.made import ALICE, BOB, DOMAIN, manifest
from tests.storage.test_collection import spoil_record
from wire.blob import outline_of
from wire.bounds import CHUNK
from wire.canonical import decode
from wire.errors import ErrorCode, RemoteError
from wire.keys import NodeKey
from wire.manifest import File, Manifest, SignedManifest
from wire.name import Named, NameRecord, SignedName, sign_name

HUB = NodeKey(b"\3" * 32)
EVERYTHING = Policy("everything")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "store", 20 * CHUNK) as opened:
        yield opened


def made(number: int, key: NodeKey = ALICE, pieces: int = 1, **changes: Any) -> SignedManifest:
    """A model with one file of its own, `pieces` chunks long."""
    file = File(path="m.onnx", blob=content(number, pieces)[0], size=pieces * CHUNK, media_type="application/onnx")
    return manifest(f"m{number}", key=key, files=(file,), **changes)


def content(number: int, pieces: int) -> tuple[bytes, bytes]:
    """A blob and its bytes."""
    parts = [bytes([number, piece]) * (CHUNK // 2) for piece in range(pieces)]
    return outline_of(parts).hash(), b"".join(parts)


def word(signed: SignedManifest, *, withdrawn: str) -> SignedName:
    """ALICE's word that a model of hers is withdrawn."""
    about = decode(signed.body, Manifest)
    named = Named(version=about.version, model=signed.model, withdrawn=withdrawn)
    record = NameRecord(
        publisher=ALICE.address, name=about.name, versions=(named,), sequence=1, issued_ms=1, expires_ms=2
    )
    return sign_name(record, ALICE, DOMAIN)


def seen(store: Store, policy: Policy = EVERYTHING, later: frozenset[bytes] = frozenset()) -> list[bytes]:
    return [wanted.model for wanted in survey(store, policy, HUB.address, later)[0]]


class TestSurvey:
    def test_each_policy_sees_its_own_newest_first(self, store: Store) -> None:
        one, two, three = made(1), made(2, BOB, tags=("audio",)), made(3, tags=("audio", "tiny"))
        store.catalogue.put([one, two, three])
        assert seen(store) == [three.model, two.model, one.model]
        assert seen(store, Policy("publishers", frozenset({BOB.address}))) == [two.model]
        assert seen(store, Policy("tags", tags=frozenset({"audio"}))) == [three.model, two.model]
        assert seen(store, Policy("pinned")) == []

    def test_what_is_here_or_refused_or_withdrawn_or_our_own_is_left_out(self, store: Store) -> None:
        here, refused, withdrawn, own, wanted = made(1), made(2), made(3), made(4, HUB), made(5)
        store.catalogue.put([here, refused, withdrawn, own, wanted])
        for signed in (here, refused):
            store.models.put(signed)
        store.models.remove(refused.model)
        store.names.put(word(withdrawn, withdrawn="wrong"))
        assert seen(store) == [wanted.model]

    def test_publishers_take_turns_and_what_failed_comes_last(self, store: Store) -> None:
        flood = [made(number) for number in range(5)]
        quiet = made(9, BOB)
        store.catalogue.put([quiet])
        store.catalogue.put(flood)
        order = seen(store)
        assert order.index(quiet.model) == 1
        assert seen(store, later=frozenset({flood[4].model}))[-1] == flood[4].model

    def test_copies_are_neither_pinned_nor_pulled_by_hand(self, store: Store) -> None:
        copy, pinned, pulled, withdrawn = made(1, tags=("audio",)), made(2), made(3), made(4)
        for signed in (copy, pinned, pulled, withdrawn):
            store.models.put(signed, mirrored_ms=7)
        store.pins.pin(pinned.model)
        store.models.put(pulled)
        store.names.put(word(withdrawn, withdrawn=""))
        store.seen.add({copy.model: (3, 0)})
        policy = Policy("tags", tags=frozenset({"audio"}))
        copies = {found.model: found for found in survey(store, policy, HUB.address, ())[1]}
        assert set(copies) == {copy.model, withdrawn.model}
        found, gone = copies[copy.model], copies[withdrawn.model]
        assert (found.since_ms, found.pulls, found.wanted, found.stands) == (7, 3, True, True)
        assert (gone.wanted, gone.stands) == (False, False)


class Spoken(Standing):
    """What a hub says it is at, for whoever waits to hear it."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self.said = Signal()
        super().__init__()

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == "text":
            self.all.append(str(value))
            self.said.notify()

    async def says(self, text: str) -> None:
        """Return once it says so, from now on."""
        self.all.clear()
        while not any(text in said for said in self.all):
            await self.said.wait(math.inf)


class Town:
    """A hub's surroundings: what is fetched comes from here, or does not come."""

    def __init__(self, store: Store, path: Path) -> None:
        self.store, self.kept, self.asked = store, Signal(), list[bytes]()
        self.failures: dict[bytes, Exception] = {}
        self.hub = Spoken()
        config = Config(hub_policy="everything")
        self.local = SimpleNamespace(
            store=store, config=config, key=HUB, directory=DataDir(path), mirroring=self.hub, models_changed=Signal()
        )
        intake, network = SimpleNamespace(kept=self.kept), SimpleNamespace(domain=DOMAIN)
        self.peer = cast(Peer, SimpleNamespace(local=self.local, intake=intake, network=network))

    async def fetch(
        self, _: Peer, signed: SignedManifest, manifest: Manifest, __: object, *, mirrored: bool
    ) -> Fetched:
        assert mirrored
        self.asked.append(signed.model)
        if failure := self.failures.get(signed.model):
            raise failure
        number, pieces = int(manifest.name[1:]), manifest.files[0].size // CHUNK
        self.store.blobs.add(io.BytesIO(content(number, pieces)[1]))  # not in a thread: the clock would not wait for it
        self.store.models.put(signed, mirrored_ms=5)
        await trio.lowlevel.checkpoint()
        return Fetched(manifest.files[0].size, 1.0)


@pytest.fixture
def town(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nursery: trio.Nursery) -> Town:
    made_up = Town(store, tmp_path)
    monkeypatch.setattr("node.roles.mirror.fetch_model", made_up.fetch)
    monkeypatch.setattr("node.roles.mirror.now_ms", lambda: int(trio.current_time() * 1000) + 1)
    nursery.start_soon(run_mirror, made_up.peer)
    return made_up


ALL_HERE = "all that the policy asks for is here"


async def test_what_the_catalogue_learns_is_fetched(town: Town, store: Store, autojump_clock: MockClock) -> None:
    await town.hub.says(ALL_HERE)
    one, two = made(1), made(2)
    store.catalogue.put([one, two])
    town.kept.notify()
    await town.hub.says(ALL_HERE)
    assert set(store.mirrored.copies()) == {one.model, two.model}
    assert town.asked == [two.model, one.model]


async def test_a_withdrawn_copy_is_dropped_and_its_room_freed(
    town: Town, store: Store, autojump_clock: MockClock
) -> None:
    kept, gone = made(1), made(2)
    store.catalogue.put([kept, gone])
    await town.hub.says(ALL_HERE)
    assert store.blobs.statistics().chunks == 2
    store.names.put(word(gone, withdrawn="wrong"))
    town.kept.notify()
    await town.hub.says(ALL_HERE)
    assert store.blobs.statistics().chunks == 1
    assert set(store.mirrored.copies()) == {kept.model}
    assert store.mirrored.refused() == set()


async def test_what_fails_is_tried_again_later_and_others_meanwhile(
    town: Town, store: Store, autojump_clock: MockClock
) -> None:
    bad, good = made(1), made(2)
    town.failures[bad.model] = RemoteError(ErrorCode.NOT_FOUND, "nobody has it")
    store.catalogue.put([good])
    store.catalogue.put([bad])
    town.kept.notify()
    await town.hub.says("1 model could not be fetched")
    assert town.asked == [bad.model, good.model]
    town.failures.clear()
    began = trio.current_time()
    await town.hub.says(ALL_HERE)
    assert town.asked == [bad.model, good.model, bad.model]
    assert trio.current_time() - began >= MIRROR_RETRY[0] - 2


async def test_a_full_store_is_said_and_nothing_of_the_operators_is_touched(
    town: Town, store: Store, autojump_clock: MockClock
) -> None:
    own = made(7, HUB, pieces=12)
    store.blobs.add(io.BytesIO(content(7, 12)[1]))
    store.models.put(own)
    store.catalogue.put([made(number, pieces=3) for number in (1, 2, 3)])
    town.kept.notify()
    await town.hub.says("the quota is used up: 2 models wait")
    assert len(store.mirrored.copies()) == 1
    assert store.blobs.complete(content(7, 12)[0])


async def test_a_fetch_that_finds_no_room_after_all_is_not_the_end(
    town: Town, store: Store, autojump_clock: MockClock
) -> None:
    bad = made(1)
    town.failures[bad.model] = StoreFull("The store would take more than its quota.")
    store.catalogue.put([bad])
    town.kept.notify()
    await town.hub.says("1 model could not be fetched")
    town.failures.clear()
    await town.hub.says(ALL_HERE)


async def test_where_nothing_can_be_freed_nothing_is_dropped(
    town: Town, store: Store, autojump_clock: MockClock
) -> None:
    copy, broken = made(1, pieces=4), made(2)
    for number, pieces in ((1, 4), (2, 1)):
        store.blobs.add(io.BytesIO(content(number, pieces)[1]))
    store.models.put(copy, mirrored_ms=1)
    store.models.put(broken)
    spoil_record(store, "models", broken.model)  # what it needs cannot be told, so that no garbage is collected
    store.blobs.add(io.BytesIO(content(7, 14)[1]))
    town.kept.notify()
    await town.hub.says("cannot be freed")
    await trio.sleep(5 * MIRROR_REST)
    assert set(store.mirrored.copies()) == {copy.model}


async def test_a_copy_that_somebody_pins_meanwhile_stays(
    town: Town, store: Store, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    copy = made(1)
    store.blobs.add(io.BytesIO(content(1, 1)[1]))
    store.models.put(copy, mirrored_ms=1)
    collect = store.collect

    async def collecting() -> Any:
        store.pins.pin(copy.model)
        return await collect()

    monkeypatch.setattr(store, "collect", collecting)
    store.names.put(word(copy, withdrawn=""))
    town.kept.notify()
    await town.hub.says(ALL_HERE)
    await trio.sleep(3 * MIRROR_REST)
    assert store.models.get(copy.model) == copy
    assert store.blobs.complete(content(1, 1)[0])


async def test_a_peer_that_trickles_does_not_hold_up_the_others(
    town: Town, store: Store, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    slow, good = made(1), made(2)
    fetch = town.fetch

    async def trickling(peer: Peer, signed: SignedManifest, *more: Any, **named: Any) -> Fetched:
        if signed.model == slow.model:
            await trio.sleep_forever()
        return await fetch(peer, signed, *more, **named)

    monkeypatch.setattr("node.roles.mirror.fetch_model", trickling)
    store.catalogue.put([good])
    store.catalogue.put([slow])
    town.kept.notify()
    await town.hub.says("1 model could not be fetched")
    assert set(store.mirrored.copies()) == {good.model}
