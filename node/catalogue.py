"""Questions between two peers about what is known: who is here, who offers what, which models exist."""

from __future__ import annotations

from typing import TypeVar

from p2p import Channel
from wire.canonical import encode
from wire.catalogue import (
    MAX_ENTRIES,
    MAX_REPLY,
    AskModels,
    AskOffers,
    AskPresences,
    CatalogueRequest,
    Models,
    Offers,
    Presences,
)
from wire.errors import RecordError
from wire.manifest import SignedManifest, read_manifest
from wire.offer import SignedOffer
from wire.presence import SignedPresence

from .bounds import CATALOGUE_SECONDS
from .clock import now_ms
from .noticeboard import Ruling
from .peer import Peer

S = TypeVar("S", SignedManifest, SignedOffer, SignedPresence)

ENTRY_FRAME = 128  # bytes of an entry beside its body: a signature and three headers


async def serve_catalogue(channel: Channel, peer: Peer) -> None:
    """Answer one question from what this peer knows."""
    question = await channel.receive(CatalogueRequest, timeout=CATALOGUE_SECONDS)
    if isinstance(question, AskPresences):
        await channel.send(Presences(entries=_fitting(peer.board.signed_presences(now_ms(), MAX_ENTRIES))))
    elif isinstance(question, AskOffers):
        await channel.send(Offers(entries=_fitting(peer.board.signed_offers(now_ms(), question.model, MAX_ENTRIES))))
    else:
        await channel.send(Models(entries=_fitting(tuple(peer.local.store.models.named(question.text)[:8]))))


def _fitting(entries: tuple[S, ...]) -> tuple[S, ...]:
    """As many of the first entries as one reply has room for: any one of them may be long."""
    room = MAX_REPLY
    for count, entry in enumerate(entries):
        room -= len(entry.body) + ENTRY_FRAME
        if room < 0:
            return entries[:count]
    return entries


async def ask_presences(peer: Peer, peer_id: str) -> int:
    """Put what `peer_id` knows of others on our noticeboard; how many were news. RemoteError when it stays silent."""
    async with peer.host.exchange(peer_id, "catalogue") as channel:
        await channel.send(AskPresences())
        reply = await channel.receive(Presences, timeout=CATALOGUE_SECONDS)
    return sum(peer.board.take_presence(encode(e), now_ms()).ruling is Ruling.ACCEPT for e in reply.entries)


async def ask_offers(peer: Peer, peer_id: str, model: bytes | None) -> int:
    """Put the offers that `peer_id` knows on our noticeboard; how many were news. RemoteError when it stays silent."""
    async with peer.host.exchange(peer_id, "catalogue") as channel:
        await channel.send(AskOffers(model=model))
        reply = await channel.receive(Offers, timeout=CATALOGUE_SECONDS)
    return sum(peer.board.take_offer(encode(e), now_ms()).ruling is Ruling.ACCEPT for e in reply.entries)


async def ask_models(peer: Peer, peer_id: str, text: str) -> list[SignedManifest]:
    """The manifests that `peer_id` has under a name; those that are not validly signed are left out."""
    async with peer.host.exchange(peer_id, "catalogue") as channel:
        await channel.send(AskModels(text=text))
        reply = await channel.receive(Models, timeout=CATALOGUE_SECONDS)
    return [signed for signed in reply.entries if _is_valid(signed, peer)]


def _is_valid(signed: SignedManifest, peer: Peer) -> bool:
    try:
        read_manifest(signed, peer.network.domain)
    except RecordError:
        return False
    return True
