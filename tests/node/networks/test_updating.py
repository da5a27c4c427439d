"""Running peers keep their network's file new, from each other: real hosts, one publisher."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from node.local import Local
from node.networkfile import load_network
from node.networks.archive import Archive
from node.networks.rules import read_signed
from node.networks.updating import PROTOCOL, Updates
from p2p import Channel, Host, open_host
from wire.errors import RecordError, RemoteError
from wire.keys import NodeKey
from wire.network import Network
from wire.networkfile import AskNetwork, NetworkReply

from .files import FIRST, HEIR, PUBLISHER, SEED, STRANGER, changed, local_at, text_of

SECOND = changed(FIRST, bootstraps=(SEED,))


@asynccontextmanager
async def peer_of(local: Local) -> AsyncIterator[tuple[Host, Updates]]:
    async with open_host(NodeKey.generate(), local.network, listen=["/ip4/127.0.0.1/tcp/0"]) as host:
        updates = Updates(local, host)
        host.handle(PROTOCOL, updates.serve)
        yield host, updates


def stored(local: Local) -> Network:
    return load_network(local.directory.networks / "scene.toml")


async def test_a_peer_with_an_older_file_gets_the_newer_one_and_hands_it_on(tmp_path: Path) -> None:
    a, b, c = local_at(tmp_path / "a", SECOND), local_at(tmp_path / "b"), local_at(tmp_path / "c")
    told = list[int]()
    b.followers.append(lambda network: told.append(network.version))
    async with peer_of(a) as (from_a, _), peer_of(b) as (from_b, at_b), peer_of(c) as (from_c, at_c):
        await from_b.connect(from_a.addresses)
        assert await at_b.ask_peer(from_a.peer_id)
        assert not await at_b.ask_peer(from_a.peer_id)
        assert b.network == stored(b) == SECOND
        assert told == [2]
        await from_c.connect(from_b.addresses)
        assert await at_c.ask_peer(from_b.peer_id)
        assert c.network == SECOND
        assert not await Updates(a, from_a).ask_peer(await from_a.connect(from_b.addresses))


async def test_whoever_was_away_while_the_publisher_changed_follows_step_by_step(tmp_path: Path) -> None:
    handed = changed(SECOND, publisher=HEIR.address)
    last = changed(changed(handed), relays=(SEED,))
    a = local_at(tmp_path / "a", SECOND)
    b = local_at(tmp_path / "b")
    async with peer_of(a) as (from_a, at_a), peer_of(b) as (from_b, at_b):
        at_a.take(text_of(handed), "a test")
        at_a.take(text_of(changed(handed), by=HEIR), "a test")
        at_a.take(text_of(last, by=HEIR), "a test")
        assert [file.version for file in at_a.archive.all()] == [3, 5]  # version 4 is needed by nobody
        await from_b.connect(from_a.addresses)
        assert await at_b.ask_peer(from_a.peer_id)
    assert b.network == last == stored(b)


async def test_a_liar_changes_nothing(tmp_path: Path) -> None:
    b = local_at(tmp_path / "b", SECOND)
    said = b""

    async def lie(channel: Channel) -> None:
        await channel.receive(AskNetwork, timeout=5)
        await channel.send(NetworkReply(size=len(said)))
        await channel.send_data(said)

    async with (
        peer_of(b) as (from_b, at_b),
        open_host(NodeKey.generate(), FIRST, listen=["/ip4/127.0.0.1/tcp/0"]) as liar,
    ):
        liar.handle(PROTOCOL, lie)
        await from_b.connect(liar.addresses)
        for lies in (
            text_of(changed(SECOND), by=STRANGER),
            text_of(FIRST),  # rollback: signed, and older
            text_of(changed(SECOND, contract=b"\x66" * 20)),
            text_of(changed(SECOND, verifiers=())),
            "# signature 0x" + "00" * 65,
            "\x00",
        ):
            said = lies.encode()
            with pytest.raises(RemoteError):
                await at_b.ask_peer(liar.peer_id)
        said = b"\xff\xfe"
        with pytest.raises(RemoteError):
            await at_b.ask_peer(liar.peer_id)
    assert b.network == SECOND == stored(b)


async def test_of_two_files_of_one_version_ours_is_kept_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    b = local_at(tmp_path / "b", SECOND)
    async with peer_of(b) as (_, at_b):
        with pytest.raises(RecordError, match="is here already"):
            at_b.take(text_of(changed(FIRST, bootstraps=())), "somebody")
        assert "another version 2 of the network file" in caplog.text
        caplog.clear()
        with pytest.raises(RecordError):
            at_b.take(text_of(changed(FIRST, bootstraps=())), "somebody")
        assert not caplog.text  # it is told once
    assert b.network == SECOND


async def test_a_start_with_an_older_file_goes_on_from_what_was_taken_over(tmp_path: Path) -> None:
    b = local_at(tmp_path / "b")
    async with peer_of(b) as (_, at_b):
        at_b.take(text_of(SECOND), "a test")
    again = Local(b.directory, b.config, b.key, FIRST, None, None)  # type: ignore[arg-type]
    async with peer_of(again):
        assert again.network == SECOND


async def test_a_peer_that_runs_asks_by_itself(tmp_path: Path) -> None:
    a, b = local_at(tmp_path / "a", SECOND), local_at(tmp_path / "b")
    async with peer_of(a) as (from_a, _), peer_of(b) as (from_b, at_b), trio.open_nursery() as nursery:
        nursery.start_soon(at_b.run)
        await from_b.connect(from_a.addresses)
        with trio.fail_after(10):
            while b.network.version < 2:  # noqa: ASYNC110 — nobody tells
                await trio.sleep(0.02)
        nursery.cancel_scope.cancel()


async def test_the_urls_of_the_file_are_asked(tmp_path: Path) -> None:
    b = local_at(tmp_path / "b", changed(FIRST, version=1, updates=("https://x.example/scene.toml",)))
    served = text_of(b.network)

    async def fetch(_: str) -> str:
        await trio.lowlevel.checkpoint()
        return served

    async with open_host(NodeKey.generate(), FIRST, listen=[]) as host:
        updates = Updates(b, host, fetch)
        (url,) = b.network.updates
        assert not await updates.ask_url(url)
        served = text_of(changed(b.network, relays=(SEED,)))
        assert await updates.ask_url(url)
        assert b.network.relays == (SEED,)
        served = text_of(changed(b.network), by=STRANGER)
        with pytest.raises(RecordError):
            await updates.ask_url(url)


def test_what_lies_in_the_archive_and_is_none_is_left_aside(tmp_path: Path) -> None:
    local = local_at(tmp_path / "a", SECOND)
    folder = local.directory.signed("scene")
    (folder / "9.toml").write_text("nothing")
    (folder / "10.toml").write_bytes(b"\xff")
    assert [file.version for file in Archive(folder).all()] == [2]


def test_a_publisher_that_hands_over_again_and_again_fills_no_disk(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "scene.signed")
    network, keys = FIRST, [PUBLISHER, HEIR]
    for n in range(60):
        by, to = keys[n % 2], keys[(n + 1) % 2]
        network = changed(network, publisher=to.address)
        archive.keep(read_signed(text_of(network, by=by)))
    assert len(archive.all()) == len(list((tmp_path / "scene.signed").glob("*"))) == 17
