"""Searching: what this peer knows, after a few hubs were asked what they know."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import trio
from msgspec.structs import replace

from wire.catalogue import AskModels
from wire.errors import RemoteError
from wire.manifest import SignedManifest

from .bounds import MAX_SEARCHED_HUBS, SEARCH_PATIENCE, SEARCH_SECONDS
from .catalogue import ask_models, ask_offers
from .clock import now_ms
from .control import Emit
from .joining import has_company
from .peer import Peer


@dataclass
class Heard:
    """What hubs said of themselves while they were asked; their own word, and no more than a hint."""

    hubs: int = 0  # that answered
    holding: Counter[bytes] = field(default_factory=Counter)  # how many of them hold a model
    pulls: Counter[bytes] = field(default_factory=Counter)
    calls: Counter[bytes] = field(default_factory=Counter)


@dataclass(frozen=True)
class Results:
    """Models found, newest word first; `more` when there are others."""

    models: tuple[SignedManifest, ...]
    more: bool
    heard: Heard


async def search(peer: Peer, question: AskModels, limit: int, emit: Emit) -> Results:
    """What fits the question, `limit` at most. Nobody has to be there: then it is what this peer knew before.

    RecordError when the question is none that a catalogue answers.
    """
    found = await _look(peer, question, limit)  # at once, so that a bad question is asked of nobody
    heard = Heard()
    if await has_company(peer, emit):
        await _ask(peer, question, limit, heard)
        found = await _look(peer, question, limit)  # what hubs told is in the catalogue by now, as far as it holds
    return Results(found[:limit], len(found) > limit, heard)


async def _look(peer: Peer, question: AskModels, limit: int) -> tuple[SignedManifest, ...]:
    """One more than `limit`, to know whether there are more."""

    def look() -> tuple[SignedManifest, ...]:
        catalogue, found, cursor = peer.local.store.catalogue, list[SignedManifest](), question.cursor
        while len(found) <= limit:
            page = catalogue.search(
                question.text,
                name=question.name,
                task=question.task,
                tag=question.tag,
                licence=question.licence,
                publisher=question.publisher or b"",
                limit=limit + 1 - len(found),
                cursor=cursor,
            )
            found += page.models
            cursor = page.cursor
            if cursor is None:
                break
        return tuple(found)

    return await trio.to_thread.run_sync(look)


async def _ask(peer: Peer, question: AskModels, limit: int, heard: Heard) -> None:
    """Ask a few hubs side by side. Once one has answered the others have a moment more: one that is frozen or far away
    does not hold up what is known."""
    scope = trio.CancelScope(deadline=trio.current_time() + SEARCH_PATIENCE)

    async def ask(peer_id: str) -> None:
        try:
            left, cursor = limit, None
            while left > 0:
                page = await ask_models(peer, peer_id, replace(question, cursor=cursor))
                heard.hubs += cursor is None
                scope.deadline = min(scope.deadline, trio.current_time() + SEARCH_SECONDS)
                for listed in page.entries:
                    model = listed.manifest.model
                    heard.holding[model] += listed.held
                    heard.pulls[model] += listed.pulls
                    heard.calls[model] += listed.calls
                left, cursor = left - len(page.entries), page.cursor
                if cursor is None:
                    break
            if not peer.board.offers(now_ms()):  # this peer has just come, and heard of nobody
                await ask_offers(peer, peer_id, None)
        except RemoteError:
            return  # others may answer, and what is known here is known

    with scope:
        async with trio.open_nursery() as nursery:
            for peer_id in _hubs(peer):
                nursery.start_soon(ask, peer_id)


def _hubs(peer: Peer) -> list[str]:
    """Whom to ask of those connected: hubs, or whoever there is while none is known for one."""
    connected = [status.peer_id for status in peer.host.connected()]
    hubs = [peer_id for peer_id in connected if peer.is_hub(peer_id)]
    return (hubs or connected)[:MAX_SEARCHED_HUBS]
