"""`hallmark store …`, `hallmark model rm | export`, and `add` of what was exported, as a user calls them."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from node.config import Config
from node.control import Event
from node.demo.peers import ending, gather, start
from node.errors import Exit
from node.joining import wait_for_peers
from node.keyfile import load_key
from node.networkfile import load_network
from node.opening import open_peer
from node.operations.models import pull_model
from node.operations.store import repair_store
from node.peer import Peer
from node.signal import Signal
from storage import Store, open_store
from tests.node.commands import Hallmark
from tests.storage.test_blobs import spoil
from tests.storage.test_collection import spoil_record
from wire.blob import outline_of
from wire.bounds import CHUNK
from wire.canonical import decode
from wire.cid import content_hash
from wire.manifest import File, Manifest, SignedManifest, sign_manifest
from wire.tensors import TensorSpec

PIECES = [bytes([n]) * CHUNK for n in range(3)]


def published(home: Path, name: str = "digits", pieces: int = 3, network: str = "home-*") -> SignedManifest:
    """A model of this peer, in its store; nobody could execute it."""
    (file,) = (home / "networks").glob(f"{network}.toml")
    key, rules = load_key(home / "node.key"), load_network(file)
    data = b"".join(PIECES[:pieces])
    with open_store(home / "store") as store:
        outline = store.blobs.add(io.BytesIO(data))
        manifest = Manifest(
            name=name,
            version="1.0.0",
            publisher=key.address,
            files=(File(path="model.onnx", blob=outline.hash(), size=len(data), media_type="application/onnx"),),
            interface="tensors",
            inputs=(TensorSpec(name="x", datatype="FP32", shape=(4,)),),
            outputs=(TensorSpec(name="y", datatype="FP32", shape=(2,)),),
            task="",
            tags=(),
            licence="MIT",
            royalty_bps=0,
            opset=17,
            profile="fp32",
            description="",
            previous=None,
            created_ms=1,
        )
        signed = sign_manifest(manifest, key, rules.domain)
        store.models.put(signed)
    return signed


def damage(home: Path, piece: int = 1) -> None:
    with open_store(home / "store") as store:
        spoil(store, content_hash(PIECES[piece]))


@pytest.fixture
def peer(hallmark: Hallmark, home: Path) -> Path:
    """A data directory with a peer in it."""
    assert hallmark("init").code == 0
    return home


def test_a_model_is_removed_and_its_space_freed(hallmark: Hallmark, peer: Path) -> None:
    both, one = published(peer), published(peer, "other", 1)
    ran = hallmark("model", "rm", "digits")
    assert (ran.code, both.cid in ran.out, "hallmark store gc" in ran.out) == (0, True, True)
    ran = hallmark("store", "gc", "--dry-run")
    assert ran.out == "Would free 512.0 KiB: 1 files, 2 chunks\n"
    (line,) = hallmark("store", "gc", "--json").lines
    assert line == {"event": "collected", "blobs": 1, "chunks": 2, "bytes": 2 * CHUNK, "dry_run": False}
    assert hallmark("store", "gc").out == "Freed 0 B: 0 files, 0 chunks\n"
    (listed,) = hallmark("model", "ls", "--json").lines
    assert [(m["cid"], m["complete"]) for m in listed["models"]] == [(one.cid, True)]


def test_a_pinned_model_is_not_removed(hallmark: Hallmark, peer: Path) -> None:
    signed = published(peer)
    assert hallmark("store", "pin", "digits").out == f"{signed.cid} is pinned\n"
    assert hallmark("store", "pin", signed.cid).out == f"{signed.cid} is pinned, as before\n"
    ran = hallmark("model", "rm", "digits")
    assert (ran.code, "pinned" in ran.err, "hallmark store unpin" in ran.err) == (Exit.USAGE, True, True)
    (stat,) = hallmark("store", "stat", "--json").lines
    assert (stat["models"], stat["pinned"]) == (1, [signed.cid])
    assert hallmark("store", "unpin", "digits").out == f"{signed.cid} is not pinned\n"
    (line,) = hallmark("model", "rm", "digits", "--json").lines
    assert line == {"event": "removed", "cid": signed.cid}


@pytest.mark.usefixtures("peer")
@pytest.mark.parametrize("words", [("store", "pin"), ("store", "unpin"), ("model", "rm"), ("model", "export")])
def test_a_model_that_is_not_here(hallmark: Hallmark, words: tuple[str, ...]) -> None:
    more = ("folder",) if words[-1] == "export" else ()
    ran = hallmark(*words, "nobody", *more)
    assert (ran.code, "no model 'nobody' is in the store" in ran.err) == (Exit.NOT_FOUND, True)
    assert "hallmark model" in ran.err


def test_verify_finds_damage_and_says_what_to_do(hallmark: Hallmark, peer: Path) -> None:
    signed = published(peer)
    ran = hallmark("store", "verify")
    assert (ran.code, "3 chunks, 768.0 KiB" in ran.out, "Everything is sound." in ran.out) == (0, True, True)
    damage(peer)
    ran = hallmark("store", "verify")
    assert ran.code == Exit.STORAGE
    assert "Damaged chunks: 1" in ran.out
    assert "hallmark store verify --repair" in ran.out
    *steps, last = hallmark("store", "verify", "--json").lines
    assert steps[-1] == {"event": "verifying", "done": 3 * CHUNK, "total": 3 * CHUNK}
    assert (last["event"], last["sound"], last["damaged_chunks"]) == ("verified", False, 1)
    assert last["models"] == [
        {"cid": signed.cid, "name": "digits@1.0.0", "state": "damaged", "damaged_chunks": 1, "missing_chunks": 1}
    ]
    stat = hallmark("store", "stat").out
    assert "damaged" in stat
    assert "1 chunks: hallmark store verify --repair" in stat


def test_a_repair_without_peers_names_what_stays_damaged(hallmark: Hallmark, peer: Path) -> None:
    signed = published(peer)
    damage(peer)
    *_, last = hallmark("store", "verify", "--repair", "--json").lines
    assert (last["event"], last["sound"], list(last["failed"])) == ("verified", False, [signed.cid])
    assert hallmark("store", "verify", "--repair").code == Exit.STORAGE


@pytest.mark.parametrize("what", ["chunk", "outline", "manifest"])
async def test_a_repair_fetches_from_a_peer_what_is_damaged_and_nothing_else(tmp_path: Path, what: str) -> None:
    (hub,), desk = gather(tmp_path, {"hub": ("hub", "verifier")})
    signed = published(hub.directory.path, network="demo")
    (blob,) = (file.blob for file in decode(signed.body, Manifest).files)
    with open_store(desk.store) as store:
        store.blobs.add(io.BytesIO(b"".join(PIECES)))
        store.models.put(signed)
        if what == "chunk":
            spoil(store, content_hash(PIECES[1]))
        else:
            spoil_record(store, *{"outline": ("outlines", blob), "manifest": ("models", signed.model)}[what])
    events: list[Event] = []
    async with ending([hub]):
        await start(hub, ())
        async with open_peer(desk, Config(bootstraps=hub.addresses[:1]), serving=False) as peer:
            await wait_for_peers(peer, events.append)
            report = await repair_store(peer, {}, events.append)
    assert (report["sound"], report["failed"], report["damaged_chunks"]) == (True, {}, int(what == "chunk"))
    assert [model["state"] for model in report["models"]] == ["whole"]
    fetched = {e["done"] for e in events if e["event"] == "pulling"}
    assert min(fetched, default=3 * CHUNK) >= 2 * CHUNK or what == "outline"  # two of three were never fetched
    with open_store(desk.store) as store:
        assert store.models.get(signed.model) == signed
        assert list(store.verification())[-1].damaged == 0
        assert store.blobs.complete(blob)


async def test_a_collection_in_the_middle_of_a_pull_takes_nothing_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (hub,), _ = gather(tmp_path, {"hub": ("hub", "verifier")})
    signed = published(hub.directory.path, network="demo")
    outline = outline_of(PIECES)

    async def found(*_: Any) -> tuple[SignedManifest, Manifest]:
        return signed, decode(signed.body, Manifest)

    async def nobody(*_: Any) -> list[str]:
        return []

    async def fetch(_: object, __: object, blob: bytes, store: Store, *___: Any) -> None:
        await store.put_outline(outline)
        assert blob == outline.hash()
        for piece in PIECES:
            await store.put_chunks([(content_hash(piece), piece)])
            assert (await store.collect()).chunks == 0

    monkeypatch.setattr("node.operations.models.find_model", found)
    monkeypatch.setattr("node.fetching.holders", nobody)
    monkeypatch.setattr("node.zk.knowing.holders", nobody)
    monkeypatch.setattr("node.fetching.fetch_blob", fetch)
    with open_store(tmp_path / "store") as store:
        local = SimpleNamespace(store=store, models_changed=Signal())
        host = SimpleNamespace(connected=lambda: ["somebody"])
        await pull_model(
            cast(Peer, SimpleNamespace(local=local, host=host, roles=())), {"model": "digits"}, lambda _: None
        )
        assert (await store.collect()).chunks == 0
        assert store.blobs.complete(outline.hash())


def test_a_model_goes_out_and_comes_back_the_same(
    hallmark: Hallmark, peer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed = published(peer)
    said = hallmark("model", "export", "digits", "out").out
    assert said.strip() == f"Exported digits@1.0.0, 768.0 KiB, to {tmp_path}/out"
    assert (tmp_path / "out" / "model.onnx").read_bytes() == b"".join(PIECES)
    ran = hallmark("model", "export", "digits", "out")
    assert (ran.code, "is not empty" in ran.err) == (Exit.STORAGE, True)
    (network,) = (peer / "networks").glob("*.toml")
    monkeypatch.setenv("HALLMARK_DATA_DIR", str(tmp_path / "second"))
    assert hallmark("init", "--network", network).code == 0
    *_, line = hallmark("model", "add", "out", "--json").lines
    assert (line["event"], line["cid"]) == ("model", signed.cid)
    ran = hallmark("model", "add", "out", "--name", "mine", "--licence", "MIT")
    assert (ran.code, "Leave --name and --licence out" in ran.err) == (Exit.USAGE, True)
    with open_store(tmp_path / "second" / "store") as store:
        assert store.models.get(signed.model) == signed
        assert [state.blobs for state in store.states()] == [()]
    # of another network its signature says nothing
    monkeypatch.setenv("HALLMARK_DATA_DIR", str(tmp_path / "third"))
    assert hallmark("init").code == 0
    ran = hallmark("model", "add", "out")
    assert (ran.code, "not for this network" in ran.err) == (Exit.MODEL, True)


def test_a_folder_that_was_changed_is_refused(hallmark: Hallmark, peer: Path, tmp_path: Path) -> None:
    published(peer)
    hallmark("model", "export", "digits", "out")
    hallmark("model", "rm", "digits")
    (tmp_path / "out" / "model.onnx").write_bytes(b"".join(PIECES)[:-1] + b"!")
    ran = hallmark("model", "add", "out")
    assert (ran.code, "is not the file that was exported" in ran.err) == (Exit.STORAGE, True)
    (tmp_path / "out" / "manifest.hallmark").write_bytes(b"junk")
    assert hallmark("model", "add", "out").code == Exit.MODEL
    (tmp_path / "out" / "manifest.hallmark").unlink()
    ran = hallmark("model", "add", "out")  # no longer an exported model, and no new one without a name
    assert (ran.code, "--name NAME --licence SPDX" in ran.err) == (Exit.USAGE, True)


def test_a_quota_is_kept_and_says_how_to_get_on(
    hallmark: Hallmark, peer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(peer)
    hallmark("model", "export", "digits", "out")
    hallmark("model", "rm", "digits")
    hallmark("store", "gc")
    monkeypatch.setenv("HALLMARK_QUOTA", "1 MiB")
    assert hallmark("model", "add", "out").code == 0
    hallmark("model", "rm", "digits")
    hallmark("store", "gc")
    monkeypatch.setenv("HALLMARK_QUOTA", "600 KiB")
    ran = hallmark("model", "add", "out")
    assert ran.code == Exit.STORAGE
    assert "its quota is 614400" in ran.err
    assert "hallmark store gc" in ran.err
    (stat,) = hallmark("store", "stat", "--json").lines
    assert (stat["quota"], stat["chunks"]) == (614400, 0)
    assert "600.0 KiB" in hallmark("store", "stat").out


@pytest.mark.usefixtures("peer")
@pytest.mark.parametrize("value", ["20 GB", "-1", "many", "1.5 GiB", "GiB", "9999999999999 TiB"])
def test_a_quota_that_is_no_size(hallmark: Hallmark, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HALLMARK_QUOTA", value)
    ran = hallmark("store", "stat")
    assert (ran.code, "20 GiB" in ran.err) == (Exit.CONFIG, True)


def test_a_damaged_manifest_stops_gc_and_can_be_removed_by_its_cid(hallmark: Hallmark, peer: Path) -> None:
    signed = published(peer)
    with open_store(peer / "store") as store:
        spoil_record(store, "models", signed.model)
    ran = hallmark("store", "gc")
    assert (ran.code, "damaged" in ran.err) == (Exit.STORAGE, True)
    *_, last = hallmark("store", "verify", "--json").lines
    assert (last["sound"], last["models"][0]["state"], last["models"][0]["name"]) == (False, "damaged", "")
    assert hallmark("model", "rm", signed.cid).code == 0
    assert hallmark("store", "gc", "--json").lines[-1]["chunks"] == 3
