"""Finding: somebody to talk to, the model that a name means, and the peers that have it."""

from __future__ import annotations

import trio

from p2p import fetch_manifest
from wire.cid import from_cid
from wire.errors import ErrorCode, RecordError, RemoteError
from wire.keys import peer_id_of, public_of
from wire.manifest import Manifest, SignedManifest, read_manifest

from .bounds import CATALOGUE_SECONDS, NAME_SECONDS, REFRESH_SECONDS
from .catalogue import ask_models, ask_offers
from .clock import now_ms
from .control import Emit
from .errors import CommandError, Exit
from .peer import Peer

JOIN_SECONDS = 10.0  # to reach a first peer


async def wait_for_peers(peer: Peer, emit: Emit) -> None:
    """Return once somebody is connected; CommandError that names each address tried and why it failed."""
    if peer.host.connected():
        return
    if peer.bootstraps:
        emit({"event": "joining", "text": "looking for a first peer"})
    with trio.move_on_after(JOIN_SECONDS):
        while not peer.host.connected():
            tried = peer.host.bootstrap_report()
            if not peer.bootstraps or (len(tried) >= peer.bootstraps and all(a.failure for a in tried)):
                break
            await trio.sleep(0.05)
        else:
            return
    failures = [f"  {attempt.failure or attempt.address}" for attempt in peer.host.bootstrap_report()]
    if not failures and peer.host.addresses:
        join = f"Let others join it: hallmark serve --bootstrap {peer.host.addresses[0]}"
        raise CommandError(Exit.NO_PEERS, "this peer is alone: nobody is connected", join)
    if not failures:
        raise CommandError(
            Exit.NO_PEERS,
            "there are no peers, and no address to find one at",
            "Give one: --bootstrap ADDRESS (the line that `hallmark serve` prints), or start a node: hallmark serve",
        )
    raise CommandError(
        Exit.NO_PEERS,
        "no peer could be reached:\n" + "\n".join(failures),
        "Check that a peer runs there, or give another address: --bootstrap ADDRESS",
    )


async def find_model(peer: Peer, text: str, emit: Emit) -> tuple[SignedManifest, Manifest]:
    """The manifest that a CID or a name means: from the store, else from peers. CommandError when nobody knows it."""
    local = peer.local.store.models.find(text)  # ModelAmbiguous names the candidates
    if local:
        return local, read_manifest(local, peer.network.domain)
    await wait_for_peers(peer, emit)
    try:
        model = from_cid(text)
    except RecordError:
        return _only(text, await _ask_all(peer, text), peer)
    signed = await fetch_manifest(peer.host, await holders(peer, model), model)
    return signed, read_manifest(signed, peer.network.domain, model)


def _only(text: str, found: list[SignedManifest], peer: Peer) -> tuple[SignedManifest, Manifest]:
    read = [(signed, read_manifest(signed, peer.network.domain)) for signed in found]
    if not read:
        raise CommandError(
            Exit.NOT_FOUND, f"nobody reached knows a model {text!r}", "Give its CID, or ask its publisher."
        )
    publishers = {manifest.publisher for _, manifest in read}
    if len(publishers) > 1:  # never guess between two publishers
        listed = "\n".join(f"  {s.cid}  {m.name}@{m.version}" for s, m in read)
        raise CommandError(Exit.NOT_FOUND, f"{text!r} means several models:\n{listed}", "Choose one by its CID.")
    return max(read, key=lambda r: ([int(n) for n in r[1].version.split(".")], r[1].created_ms))


async def _ask_all(peer: Peer, text: str) -> list[SignedManifest]:
    found: dict[bytes, SignedManifest] = {}
    scope = trio.CancelScope(deadline=trio.current_time() + CATALOGUE_SECONDS)

    async def ask(peer_id: str) -> None:
        try:
            for signed in await ask_models(peer, peer_id, text):
                found[signed.model] = signed
                # Others have a moment more: one that is frozen or far away does not hold up what is known.
                scope.deadline = min(scope.deadline, trio.current_time() + NAME_SECONDS)
        except RemoteError:
            return  # another one may answer; if none does, the caller says that nobody knows the model

    with scope:
        async with trio.open_nursery() as nursery:
            for status in peer.host.connected()[:16]:
                nursery.start_soon(ask, status.peer_id)
    return list(found.values())


async def holders(peer: Peer, model: bytes) -> list[str]:
    """Peers that should have the model, best first: who offers it, who told the DHT so, then whoever is connected."""
    found: list[str] = []
    for offer in peer.board.offers(now_ms(), model):
        found.append(peer_id_of(offer.peer))
        peer.host.learn(found[-1], offer.addresses)
    found += await peer.host.find_providers(model)
    found += [status.peer_id for status in peer.host.connected()]
    for peer_id in dict.fromkeys(found):
        if addresses := peer.addresses_of(public_of(peer_id)):
            peer.host.learn(peer_id, addresses)
    unique = [p for p in dict.fromkeys(found) if p != peer.host.peer_id]
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
