"""Finding: the model that a name means, the peers that have it, and who offers it."""

from __future__ import annotations

import trio

from p2p import fetch_manifest
from wire.canonical import decode
from wire.cid import from_cid
from wire.errors import ErrorCode, RecordError, RemoteError
from wire.keys import peer_id_of, public_of
from wire.manifest import Manifest, SignedManifest, read_manifest
from wire.name import NameRecord, is_of

from .bounds import NAME_SECONDS, REFRESH_SECONDS
from .catalogue import about, ask_offers
from .clock import now_ms
from .control import Emit
from .errors import CommandError, Exit
from .joining import wait_for_peers
from .meaning import find_here
from .naming import parse_reference
from .peer import Peer
from .petnames import calling, load_petnames
from .resolving import ask_all, look_for, resolve


async def find_model(peer: Peer, text: str, emit: Emit) -> tuple[SignedManifest, Manifest]:
    """The manifest that a CID or a name means: from the store, else from peers. CommandError when nobody knows it.

    A withdrawn model is found by its CID alone, and an event says that it is withdrawn.
    """
    try:
        model = from_cid(text)
    except RecordError:
        return await _find_named(peer, text, emit)
    signed, manifest = await _manifest(peer, model, emit)
    known = peer.local.store.names.get(manifest.publisher, manifest.name)
    named = decode(known.body, NameRecord).of(manifest.version) if known else None
    if named and named.model == model and named.withdrawn is not None:
        name = f"{manifest.name}@{manifest.version}"
        emit({"event": "withdrawn", "text": f"{name} was withdrawn by its publisher: {named.withdrawn or 'no reason'}"})
    return signed, manifest


async def _find_named(peer: Peer, text: str, emit: Emit) -> tuple[SignedManifest, Manifest]:
    petnames = load_petnames(peer.local.directory.petnames)
    reference = parse_reference(text, petnames)
    if reference is None:
        local = find_here(peer.local, text)
        if local is None:
            raise CommandError(
                Exit.NOT_FOUND, f"{text!r} means no model", "Give a CID, a name, or publisher/name[@version]."
            )
        return local, read_manifest(local, peer.network.domain)
    meaning = await resolve(peer, reference, petnames, emit)
    if isinstance(meaning, SignedManifest):
        return meaning, read_manifest(meaning, peer.network.domain)
    record, named = meaning
    if _known(peer, named.model) is None:  # a hub tells of models that it does not hold
        await wait_for_peers(peer, emit)
        await ask_all(peer, about(record.name, record.publisher))
    signed, manifest = await _manifest(peer, named.model, emit)
    if not is_of(manifest, named.model, record):
        whose = f"{calling(record.publisher, petnames)}/{record.name}@{named.version}"
        raise CommandError(
            Exit.NOT_FOUND, f"{whose} is said to be a model that has another name", "Ask its publisher to mend it."
        )
    return signed, manifest


async def _manifest(peer: Peer, model: bytes, emit: Emit) -> tuple[SignedManifest, Manifest]:
    """The model's manifest: from the store, from the catalogue, or from peers."""
    here, domain = _known(peer, model), peer.network.domain
    if here is not None:
        return here, read_manifest(here, domain)
    await wait_for_peers(peer, emit)
    if not peer.board.offers(now_ms(), model):  # we may have come this moment, and far away peers tell of it later
        await refresh_offers(peer, model, first=True)
    signed = await fetch_manifest(peer.host, await holders(peer, model), model)
    manifest = read_manifest(signed, domain, model)
    if peer.intake.known(manifest.publisher, manifest.name) < 0:  # it may have been withdrawn
        await look_for(peer, manifest.publisher, manifest.name, NAME_SECONDS, dht=False)
    await peer.intake.learn((), [signed])
    return signed, manifest


def _known(peer: Peer, model: bytes) -> SignedManifest | None:
    return peer.local.store.models.get(model) or peer.local.store.catalogue.get(model)


async def holders(peer: Peer, model: bytes) -> list[str]:
    """Peers that should have the model, best first: who offers it, who told the DHT so, then whoever is connected."""
    found: list[str] = []
    for offer in peer.board.offers(now_ms(), model):
        found.append(peer_id_of(offer.peer))
        peer.host.learn(found[-1], offer.addresses)
    found += await peer.host.find_providers(model)
    found += [status.peer_id for status in peer.host.connected()]
    unique = []
    for peer_id in dict.fromkeys(found):
        try:
            addresses = peer.addresses_of(public_of(peer_id))
        except RecordError:  # a peer with a key of another kind holds no models
            continue
        peer.host.learn(peer_id, addresses)
        if peer_id != peer.host.peer_id:
            unique.append(peer_id)
    if not unique:
        raise RemoteError(ErrorCode.NOT_FOUND, "no peer is known to hold this model")
    return unique


async def find_offers(peer: Peer, model: bytes, emit: Emit, seconds: float) -> None:
    """Return once an offer for the model is on the noticeboard; peers are asked, and gossip is waited for."""
    deadline = trio.current_time() + seconds
    if not peer.board.offers(now_ms(), model):
        await wait_for_peers(peer, emit)
    while not peer.board.offers(now_ms(), model):
        with trio.move_on_at(deadline):
            await refresh_offers(peer, model, first=True)
        if peer.board.offers(now_ms(), model):
            return
        if trio.current_time() > deadline:
            raise CommandError(
                Exit.NOT_FOUND, "no peer offers this model now", "Serve it yourself: hallmark serve --role provider"
            )
        await trio.sleep(0.5)


async def refresh_offers(peer: Peer, model: bytes, *, first: bool = False) -> None:
    """Ask the connected peers, side by side, which offers for the model they know; `first`: return at the first news.

    A peer that is frozen or far away does not use up the question's time.
    """
    known = len(peer.board.offers(now_ms(), model))
    with trio.move_on_after(REFRESH_SECONDS):
        async with trio.open_nursery() as nursery:

            async def ask(peer_id: str) -> None:
                try:
                    await ask_offers(peer, peer_id, model)
                except RemoteError:
                    return  # another one may know
                if first and len(peer.board.offers(now_ms(), model)) > known:
                    nursery.cancel_scope.cancel()

            for status in peer.host.connected()[:8]:
                nursery.start_soon(ask, status.peer_id)
