"""`model search | versions`"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from wire.canonical import decode, encode
from wire.catalogue import AskModels
from wire.cid import to_cid
from wire.keys import show_address
from wire.manifest import Manifest, SignedManifest
from wire.name import Named
from wire.offer import Offer

from ..auditing.record import is_disputed
from ..clock import now_ms
from ..control import Emit
from ..errors import CommandError, Exit
from ..naming import parse_reference
from ..peer import Peer
from ..petnames import find_publisher, load_petnames
from ..resolving import newest_record, publisher_of
from ..searching import Heard, search
from .models import called
from .standing import known_record, standing


async def search_models(peer: Peer, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Models that fit, newest word first: from the catalogue here, after a few hubs told what they know."""
    petnames = load_petnames(peer.local.directory.petnames)
    publisher = find_publisher(params["publisher"], petnames) if params["publisher"] else None
    asked = {name: params[name] for name in ("text", "task", "tag", "licence")}
    question = AskModels(name="", publisher=publisher, cursor=None, **asked)
    decode(encode(question), AskModels)  # what was typed, through the bounds that every hub will check
    found = await search(peer, question, params["limit"], emit)
    offers = _offers(peer)
    rows = [_row(peer, signed, petnames, offers[signed.model], found.heard) for signed in found.models]
    as_of = now_ms() if found.heard.hubs else max((row["word_ms"] for row in rows), default=0)
    return {"models": rows, "more": found.more, "hubs": found.heard.hubs, "as_of_ms": as_of}


def _row(
    peer: Peer, signed: SignedManifest, petnames: dict[str, bytes], offers: list[Offer], heard: Heard
) -> dict[str, Any]:
    manifest, store = decode(signed.body, Manifest), peer.local.store
    seen, model = store.seen.get(signed.model), signed.model
    record = known_record(store, manifest.publisher, manifest.name)
    here = store.manifest(model) is not None and all(store.blobs.complete(f.blob) for f in manifest.files)
    return {
        "cid": signed.cid,
        "name": manifest.name,
        "version": manifest.version,
        "publisher": show_address(manifest.publisher),
        "called": called(peer.local, manifest.publisher, petnames),
        "size": sum(f.size for f in manifest.files),
        "task": manifest.task,
        "tags": list(manifest.tags),
        "licence": manifest.licence,
        "description": manifest.description,
        "providers": len(offers),
        "cheapest": min((int(offer.price) for offer in offers), default=None),
        "tiers": sorted({terms.tier for offer in offers for terms in offer.tiers}),
        "disputed": sum(is_disputed(store, offer, now_ms()) for offer in offers),
        "hubs": heard.holding[model],
        "here": here,
        "pulls": seen.pulls + heard.pulls[model],
        "calls": seen.calls + heard.calls[model],
        "word_ms": manifest.created_ms if record is None else record.issued_ms,
    } | standing(record, manifest, model, now_ms())


def _offers(peer: Peer) -> dict[bytes, list[Offer]]:
    offers = defaultdict[bytes, list[Offer]](list)
    for offer in peer.board.offers(now_ms()):
        offers[offer.model].append(offer)
    return offers


async def list_versions(peer: Peer, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """All versions of one publisher's name by its newest record that can be had, highest first."""
    petnames = load_petnames(peer.local.directory.petnames)
    reference = parse_reference(params["name"], petnames)
    if reference is None or reference.version:
        raise CommandError(Exit.USAGE, f"{params['name']!r} is no name of a model", "Give name, or publisher/name.")
    publisher = reference.publisher or await publisher_of(peer, reference.name, petnames, emit)
    record = await newest_record(peer, publisher, reference.name, emit, needed=True)
    if record is None:
        message = f"nobody reached knows what {params['name']!r} means to its publisher"
        raise CommandError(Exit.NOT_FOUND, message, f"See who has such models: hallmark model search {reference.name}")
    return {
        "name": record.name,
        "publisher": show_address(publisher),
        "called": called(peer.local, publisher, petnames),
        "issued_ms": record.issued_ms,
        "until_ms": record.expires_ms,
        "current": record.is_current(now_ms()),
        "versions": [_version(peer, named) for named in record.versions],
    }


def _version(peer: Peer, named: Named) -> dict[str, Any]:
    store = peer.local.store
    here = store.manifest(named.model)
    signed = here or store.catalogue.get(named.model)
    manifest = None if signed is None else decode(signed.body, Manifest)
    previous = None if manifest is None or manifest.previous is None else to_cid(manifest.previous)
    return {
        "version": named.version,
        "cid": to_cid(named.model),
        "withdrawn": named.withdrawn,
        "created_ms": None if manifest is None else manifest.created_ms,
        "previous": previous,
        "here": here is not None,
    }
