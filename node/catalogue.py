"""Questions between two peers about what is known: who is here, who offers what, which models exist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import trio

from p2p import Channel
from wire.canonical import decode, encode
from wire.catalogue import (
    MAX_ENTRIES,
    MAX_REPLY,
    AskModels,
    AskName,
    AskOffers,
    AskPresences,
    CatalogueRequest,
    Models,
    NameReply,
    Offers,
    Presences,
)
from wire.keys import peer_id_of
from wire.manifest import Manifest, SignedManifest
from wire.name import SignedName
from wire.offer import SignedOffer
from wire.presence import Presence, SignedPresence

from .bounds import CATALOGUE_SECONDS, LISTING_THREADS
from .clock import now_ms
from .listing import believe, list_models
from .naming import News, rule_on_record
from .noticeboard import Ruling
from .peer import Peer

S = TypeVar("S", SignedOffer, SignedPresence)

ENTRY_FRAME = 128  # bytes of an entry beside its body: a signature and three headers


class CatalogueService:
    """Answers one question at a time from what this peer knows."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._threads = trio.CapacityLimiter(LISTING_THREADS)
        self._held: dict[bytes, bool] = {}  # of the store's models: looking is long for a large one
        self._changes = -1

    async def serve(self, channel: Channel) -> None:
        """Answer one question."""
        question = await channel.receive(CatalogueRequest, timeout=CATALOGUE_SECONDS)
        board = self._peer.board
        if isinstance(question, AskPresences):
            await channel.send(Presences(entries=_fitting(board.signed_presences(now_ms(), MAX_ENTRIES))))
        elif isinstance(question, AskOffers):
            await channel.send(Offers(entries=_fitting(board.signed_offers(now_ms(), question.model, MAX_ENTRIES))))
        elif isinstance(question, AskName):
            await channel.send(NameReply(record=self._peer.local.store.names.get(question.publisher, question.name)))
        else:
            await channel.send(await self._models(question))

    async def _models(self, question: AskModels) -> Models:
        local = self._peer.local
        if self._changes != local.models_changed.count:
            self._held, self._changes = {}, local.models_changed.count
        return await trio.to_thread.run_sync(list_models, local.store, question, self._is_held, limiter=self._threads)

    def _is_held(self, signed: SignedManifest) -> bool:
        store, held = self._peer.local.store, self._held
        if signed.model not in held:
            if store.manifest(signed.model) is None:
                return False
            held[signed.model] = all(store.blobs.complete(file.blob) for file in decode(signed.body, Manifest).files)
        return held[signed.model]


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
    news = [e for e in reply.entries if peer.board.take_presence(encode(e), now_ms()).ruling is Ruling.ACCEPT]
    for signed in news:
        presence = decode(signed.body, Presence)
        peer.host.learn(peer_id_of(presence.peer), presence.addresses)
    return len(news)


async def ask_offers(peer: Peer, peer_id: str, model: bytes | None) -> int:
    """Put the offers that `peer_id` knows on our noticeboard; how many were news. RemoteError when it stays silent."""
    async with peer.host.exchange(peer_id, "catalogue") as channel:
        await channel.send(AskOffers(model=model))
        reply = await channel.receive(Offers, timeout=CATALOGUE_SECONDS)
    return sum(peer.board.take_offer(encode(e), now_ms()).ruling is Ruling.ACCEPT for e in reply.entries)


async def ask_models(peer: Peer, peer_id: str, question: AskModels) -> Models:
    """A page of the models that `peer_id` knows, as far as it is believed: see `listing.believe`. It is learnt too.

    RemoteError when the peer stays silent.
    """
    return (await ask_page(peer, peer_id, question)).page


@dataclass(frozen=True)
class Asked:
    """A page, as far as it is believed; how much of it was news, and how many bytes came."""

    page: Models
    news: int
    size: int


async def ask_page(peer: Peer, peer_id: str, question: AskModels) -> Asked:
    """As `ask_models`, and what became of it."""
    async with peer.host.exchange(peer_id, "catalogue") as channel:
        await channel.send(question)
        reply = await channel.receive(Models, timeout=CATALOGUE_SECONDS)
    local = peer.local
    found = await trio.to_thread.run_sync(believe, local.store, local.network.domain, question, reply, now_ms())
    size = sum(len(entry.manifest.body) + (len(entry.name.body) if entry.name else 0) for entry in reply.entries)
    return Asked(found.page, await peer.intake.learn(found.names, found.manifests), size)


async def ask_name(peer: Peer, peer_id: str, publisher: bytes, name: str) -> bool:
    """Learn the record that `peer_id` has of a name, if it is news; whether it was. RemoteError as above."""
    async with peer.host.exchange(peer_id, "catalogue") as channel:
        await channel.send(AskName(publisher=publisher, name=name))
        reply = await channel.receive(NameReply, timeout=CATALOGUE_SECONDS)
    return reply.record is not None and await take_record(peer, reply.record, publisher, name)


async def take_record(peer: Peer, signed: SignedName, publisher: bytes, name: str) -> bool:
    """Learn a record that somebody told of this name; False when it is none, or no news."""
    news = rule_on_record(signed, peer.network.domain, now_ms(), peer.intake.known)
    if not isinstance(news, News) or (news.record.publisher, news.record.name) != (publisher, name):
        return False
    return await peer.intake.learn([signed], ()) > 0


def about(name: str = "", publisher: bytes | None = None, cursor: bytes | None = None) -> AskModels:
    """The question for all models, or those of a name or a publisher."""
    return AskModels(text="", name=name, task="", tag="", licence="", publisher=publisher, cursor=cursor)
