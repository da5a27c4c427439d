"""`model ls | show | pull`"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import trio

from wire.cid import to_cid
from wire.keys import peer_id_of, show_address
from wire.manifest import Manifest, SignedManifest, read_manifest
from wire.tensors import TensorSpec

from ..auditing.record import of_offer
from ..benching.described import valid_ones
from ..clock import now_ms
from ..control import Emit
from ..fetching import fetch_model
from ..finding import find_model, refresh_offers
from ..joining import has_company, wait_for_peers
from ..local import Local
from ..peer import Peer
from ..petnames import calling, load_petnames
from .standing import known_record, standing


async def list_models(local: Local, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """Every model of the store, newest first, and whether all of its bytes are here."""
    rows = []
    petnames, copies = load_petnames(local.directory.petnames), local.store.mirrored.copies()
    for signed in local.store.models.all():
        manifest = read_manifest(signed, local.network.domain)
        complete = all(local.store.blobs.complete(f.blob) for f in manifest.files)
        record = known_record(local.store, manifest.publisher, manifest.name)
        row = describe(signed, manifest) | standing(record, manifest, signed.model, now_ms())
        more = {"called": called(local, manifest.publisher, petnames), "mirrored": signed.model in copies}
        rows.append(row | more | {"complete": complete})
    return {"models": sorted(rows, key=lambda r: -r["created_ms"])}


BENCHMARKS = 8  # the newest of a model, shown


async def show_model(peer: Peer, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """One model in full: what its publisher says of it, who offers and holds it, how often it was used as seen here."""
    signed, manifest = await find_model(peer, params["model"], emit)
    store, petnames = peer.local.store, load_petnames(peer.local.directory.petnames)
    together = await has_company(peer, emit)
    if together and not peer.board.offers(now_ms(), signed.model):
        await refresh_offers(peer, signed.model, first=True)
    offers = [
        {
            "peer_id": peer_id_of(o.peer),
            "tiers": [
                {"tier": t.tier, "price": int(t.price), "added_us": t.added_us, "added_bytes": t.added_bytes}
                for t in o.tiers
            ],
            "price": int(o.price),
            "backend": f"{o.backend.name} {o.backend.version} on {o.backend.device}",
            "compute_us": o.compute_us,
            "record": of_offer(store, o),
        }
        for o in peer.board.offers(now_ms(), signed.model)
    ]
    held = await peer.host.find_providers(signed.model) if together else []
    seen = store.seen.get(signed.model)
    benchmarks = await trio.to_thread.run_sync(valid_ones, store.benchmarks.of(signed.model, BENCHMARKS), peer.network)
    extra = {
        "called": called(peer.local, manifest.publisher, petnames),
        "offers": offers,
        "holders": held,
        "complete": all(store.blobs.complete(f.blob) for f in manifest.files),
        "mirrored": signed.model in store.mirrored.copies(),
        "pulls": seen.pulls,
        "calls": seen.calls,
        "benchmarks": benchmarks,
    }
    if reason := peer.ready.refused().get(signed.model):
        extra["refused"] = reason
    record = known_record(store, manifest.publisher, manifest.name)
    return describe(signed, manifest) | extra | standing(record, manifest, signed.model, now_ms())


async def pull_model(peer: Peer, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Fetch a model from all peers that have it, chunk by verified chunk; what is here already is not fetched again."""
    signed, manifest = await find_model(peer, params["model"], emit)
    if not all(peer.local.store.blobs.complete(f.blob) for f in manifest.files):
        await wait_for_peers(peer, emit)  # the manifest may be known from an earlier pull, and nobody connected yet
    fetched = await fetch_model(peer, signed, manifest, emit)
    return describe(signed, manifest) | {"fetched": fetched.size, "seconds": round(fetched.seconds, 3)}


def called(local: Local, publisher: bytes, petnames: Mapping[str, bytes]) -> str:
    """What stands before a name so that it is certain whose it is: nothing for this peer's own."""
    return "" if publisher == local.key.address else calling(publisher, petnames)


def describe(signed: SignedManifest, manifest: Manifest) -> dict[str, Any]:
    """A model's manifest as plain values."""
    return {
        "cid": signed.cid,
        "name": manifest.name,
        "version": manifest.version,
        "publisher": show_address(manifest.publisher),
        "size": sum(f.size for f in manifest.files),
        "files": [{"path": f.path, "size": f.size, "blob": to_cid(f.blob)} for f in manifest.files],
        "interface": manifest.interface,
        "inputs": [_spec(s) for s in manifest.inputs],
        "outputs": [_spec(s) for s in manifest.outputs],
        "task": manifest.task,
        "tags": list(manifest.tags),
        "licence": manifest.licence,
        "royalty_bps": manifest.royalty_bps,
        "opset": manifest.opset,
        "profile": manifest.profile,
        "description": manifest.description,
        "previous": None if manifest.previous is None else to_cid(manifest.previous),
        "created_ms": manifest.created_ms,
    }


def _spec(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}
