"""What gossip tells of names reaches the disk in batches; a full disk and an endless hub end nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio

import node.catchingup
from node.bounds import INTAKE_BATCH
from node.catalogue import Asked
from node.catchingup import catch_up
from node.intake import Intake
from node.noticeboard import Ruling
from node.peer import Peer
from storage import Store, StoreFull
from tests.node.records import DOMAIN, announced, named, signed_manifest, signed_name
from tests.verify.scenes import NOW, key_of
from wire.catalogue import Models
from wire.name import SignedName

PUBLISHER = key_of("publisher").address


async def settled(intake: Intake) -> None:
    """Let what waits reach the disk."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(intake.run)
        await intake.kept.wait(60)
        nursery.cancel_scope.cancel()


async def test_the_newest_word_is_kept_and_what_it_lacks_is_wanted(store: Store, autojump_clock: Any) -> None:  # noqa: ARG001
    intake, first, second = Intake(store, DOMAIN), signed_manifest(), signed_manifest(version="2.0.0")
    newer = signed_name(sequence=2, versions=named(second, first))
    for data in (announced(signed_name(), first), announced(newer)):
        assert intake.take(data, "alice", NOW).ruling is Ruling.ACCEPT
    assert intake.take(announced(signed_name(), first), "eve", NOW).ruling is Ruling.IGNORE  # though not on disk yet
    assert intake.known(PUBLISHER, "digits") == 2
    await settled(intake)
    assert store.names.get(PUBLISHER, "digits") == newer
    assert (intake.wanted, intake.known(PUBLISHER, "digits")) == ({(PUBLISHER, "digits"): "alice"}, 2)
    assert intake.take(announced(signed_name(sequence=3, versions=named(second)), second), "bob", NOW)
    await settled(intake)
    assert store.catalogue.get(second.model) == second


async def test_many_are_written_together(
    store: Store,
    autojump_clock: Any,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batches, put_all = list[int](), store.names.put_all

    def counted(entries: Sequence[SignedName]) -> int:
        batches.append(len(entries))
        return put_all(entries)

    monkeypatch.setattr(store.names, "put_all", counted)
    intake = Intake(store, DOMAIN)
    for i in range(INTAKE_BATCH + 1):
        intake.take(announced(signed_name(name=f"n{i}")), "alice", NOW)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(intake.run)
        while store.names.count < INTAKE_BATCH + 1:
            await intake.kept.wait(60)
        nursery.cancel_scope.cancel()
    assert batches == [INTAKE_BATCH, 1]


async def test_a_full_disk_is_no_news_and_no_failure(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> int:
        raise StoreFull("The disk is full.")

    intake = Intake(store, DOMAIN)
    with monkeypatch.context() as patch:
        patch.setattr(store.names, "put_all", full)
        assert await intake.learn([signed_name()], [signed_manifest()]) == 0
    assert await intake.learn([signed_name()], [signed_manifest()]) == 2


@pytest.mark.parametrize(("bound", "value", "pages"), [("MAX_PAGES", 5, 5), ("MAX_CATCH_UP", 250, 3)])
async def test_a_hub_that_pages_without_end_is_left(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: Any,  # noqa: ARG001
    bound: str,
    value: int,
    pages: int,
) -> None:
    asked = 0

    async def endless(*_: object) -> Asked:
        nonlocal asked
        asked += 1
        return Asked(Models(entries=(), cursor=asked.to_bytes(8, "big"), gone=()), news=1, size=100)

    mark = tmp_path / "caught-up"
    mark.touch()
    monkeypatch.setattr(node.catchingup, "ask_page", endless)
    monkeypatch.setattr(node.catchingup, bound, value)
    await catch_up(cast(Peer, SimpleNamespace(local=SimpleNamespace(directory=SimpleNamespace(caught_up=mark)))), "eve")
    assert (asked, mark.exists()) == (pages, False)
