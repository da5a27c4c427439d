"""Searching: what is known here comes at once, and a few hubs add to it in a bounded time."""

# ruff: noqa: ARG001 — pytest-trio finds the clock among a test's arguments
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from node.bounds import MAX_SEARCHED_HUBS, SEARCH_PATIENCE, SEARCH_SECONDS
from node.catalogue import about
from node.errors import CommandError, Exit
from node.peer import Peer
from node.searching import Results, search
from storage import Store, open_store
from tests.storage.made import manifest
from wire.catalogue import AskModels, Listed, Models
from wire.errors import ErrorCode, RecordError, RemoteError
from wire.manifest import SignedManifest


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "store") as opened:
        yield opened


def listed(signed: SignedManifest, pulls: int = 0, calls: int = 0, *, held: bool = True) -> Listed:
    return Listed(manifest=signed, name=None, held=held, pulls=pulls, calls=calls)


class Hubs:
    """Peers that are connected, and what each tells. What is told is learnt, as from any page that is believed."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store, self.asked, self.offers = store, list[str](), list[str]()
        self.pages: dict[str, list[tuple[Listed, ...]] | None] = {}  # None: it never answers
        self.hubs: set[str] = set()
        host = SimpleNamespace(connected=lambda: [SimpleNamespace(peer_id=peer_id) for peer_id in self.pages])
        board = SimpleNamespace(offers=lambda _: ())
        local = SimpleNamespace(store=store)
        peer = SimpleNamespace(local=local, host=host, board=board, bootstraps=0, is_hub=self.hubs.__contains__)
        self.peer = cast(Peer, peer)
        monkeypatch.setattr("node.searching.ask_models", self.ask)
        monkeypatch.setattr("node.searching.ask_offers", self.ask_offers)
        monkeypatch.setattr("node.joining.wait_for_peers", self.wait)

    async def wait(self, _: Peer, __: object) -> None:
        await trio.lowlevel.checkpoint()
        if not self.pages:
            raise CommandError(Exit.NO_PEERS, "there are no peers")

    async def ask(self, _: Peer, peer_id: str, question: AskModels) -> Models:
        number = 0 if question.cursor is None else int.from_bytes(question.cursor, "big")
        self.asked.append(peer_id)
        pages = self.pages[peer_id]
        if pages is None:
            await trio.sleep_forever()
            raise AssertionError
        await trio.sleep(0.01)
        if not pages:
            raise RemoteError(ErrorCode.FAILED, "no")
        entries = pages[min(number, len(pages) - 1)]
        self.store.catalogue.put([entry.manifest for entry in entries])
        more = None if number == len(pages) - 1 else (number + 1).to_bytes(8, "big")
        return Models(entries=entries, cursor=more, gone=())

    async def ask_offers(self, _: Peer, peer_id: str, model: bytes | None) -> int:
        assert model is None
        self.offers.append(peer_id)
        return 0

    async def find(self, limit: int = 20, **question: str) -> Results:
        return await search(self.peer, replace(about(), **question), limit, lambda _: None)


@pytest.fixture
def hubs(store: Store, monkeypatch: pytest.MonkeyPatch) -> Hubs:
    return Hubs(store, monkeypatch)


async def test_without_anybody_it_is_what_was_known(hubs: Hubs) -> None:
    one, two = manifest("one"), manifest("two", tags=("audio",))
    hubs.store.catalogue.put([one, two])
    found = await hubs.find()
    assert (found.models, found.more, found.heard.hubs) == ((two, one), False, 0)
    assert (await hubs.find(tag="audio")).models == (two,)


async def test_what_several_hubs_say_is_counted_together(hubs: Hubs, autojump_clock: MockClock) -> None:
    known, news = manifest("known"), manifest("news")
    hubs.store.catalogue.put([known])
    hubs.pages = {
        "a": [(listed(known, 3, 1), listed(news, 5, 7))],
        "b": [(listed(news, 2, 2, held=False),)],
        "c": [],
    }
    found = await hubs.find()
    assert found.models == (news, known)
    heard = found.heard
    assert (heard.hubs, heard.holding[news.model], heard.holding[known.model]) == (2, 1, 1)
    assert (heard.pulls[news.model], heard.calls[news.model]) == (7, 9)
    assert sorted(hubs.offers) == ["a", "b"]  # of whom it has come to know nothing yet


async def test_a_frozen_hub_holds_nobody_up(hubs: Hubs, autojump_clock: MockClock) -> None:
    news, began = manifest("news"), trio.current_time()
    hubs.pages = {"frozen": None, "a": [(listed(news),)]}
    found = await hubs.find()
    assert (found.models, found.heard.hubs) == ((news,), 1)
    assert trio.current_time() - began < SEARCH_SECONDS + 0.1
    hubs.pages = {"frozen": None}
    began = trio.current_time()
    assert (await hubs.find()).models == (news,)
    assert trio.current_time() - began < SEARCH_PATIENCE + 0.1


async def test_hubs_are_asked_before_others_and_only_a_few(hubs: Hubs, autojump_clock: MockClock) -> None:
    hubs.pages = {f"p{number}": [()] for number in range(9)}
    await hubs.find()
    assert sorted(set(hubs.asked)) == ["p0", "p1", "p2", "p3"]
    hubs.asked.clear()
    hubs.hubs |= {"p7", "p8"}
    await hubs.find()
    assert sorted(set(hubs.asked)) == ["p7", "p8"]
    hubs.asked.clear()
    hubs.hubs |= set(hubs.pages)
    await hubs.find()
    assert len(set(hubs.asked)) == MAX_SEARCHED_HUBS


async def test_pages_are_asked_for_until_there_is_enough(hubs: Hubs, autojump_clock: MockClock) -> None:
    pages = [(listed(manifest(f"m{number}")),) for number in range(5)]
    hubs.pages = {"a": list(pages)}
    found = await hubs.find(limit=3)
    assert (len(found.models), len(hubs.asked), found.heard.hubs) == (3, 3, 1)
    assert not found.more
    assert (await hubs.find(limit=2)).more  # one more is here by now


async def test_a_hub_that_never_ends_is_left_behind(
    hubs: Hubs, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async def endless(_: Peer, __: str, ___: AskModels) -> Models:
        await trio.sleep(0.01)
        return Models(entries=(), cursor=bytes(8), gone=())

    monkeypatch.setattr("node.searching.ask_models", endless)
    hubs.pages, began = {"a": [()]}, trio.current_time()
    assert (await hubs.find()).models == ()
    assert trio.current_time() - began < SEARCH_SECONDS + 1


async def test_a_question_that_is_none_is_asked_of_nobody(hubs: Hubs) -> None:
    hubs.pages = {"a": [()]}
    with pytest.raises(RecordError, match="only signs"):
        await hubs.find(text="?!")
    with pytest.raises(RecordError, match="words"):
        await hubs.find(text=" ".join(map(str, range(99))))
    assert hubs.asked == []
