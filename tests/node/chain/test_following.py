"""A peer's network follows its chain, is saved, and stays what it was while the chain is silent or tells nonsense."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from node.chain.following import Following
from node.chain.recalling import recall
from node.config import Config
from node.datadir import DataDir
from node.errors import CommandError
from node.local import Local, keep_network, open_local
from node.networkfile import load_network, save_network
from settle.chain import ChainError, open_chain
from settle.deploy import devnet_terms
from settle.registry import Opening, advanced, registry_of
from tests.node.settling.village import network_of, village
from tests.settle.anvil import tell
from tests.settle.histories import DOMAIN, EPOCH, ETHER, GENESIS, SECONDS, START, History, Told, histories, key
from tests.settle.town import deployed_devnet
from tests.verify.scenes import Scene, bent, key_of
from verify.committee import committee_for
from verify.report import verify_file
from wire.canonical import encode
from wire.network import Network, Verifier

STAKES = [(3, 0, ETHER), (3, 1, 2 * ETHER), (2 * EPOCH + 1, 1, 0), (3 * EPOCH, 2, 5 * ETHER)]
HISTORY = History({1: EPOCH, 2: 2 * EPOCH, 4: 4 * EPOCH}, STAKES, [(0, 1), (1, 1), (2, 2)])


def following(path: Path, chain: Told, network: Network = GENESIS) -> tuple[Local, Following]:
    directory = DataDir(path)
    directory.create()
    keep_network(directory, network)
    local = Local(directory, Config(), key(9), network, None, None)  # type: ignore[arg-type]  # it needs neither
    return local, Following(local, chain)  # type: ignore[arg-type]


def stored(local: Local) -> Network:
    return load_network(local.directory.networks / "town.toml")


async def test_an_epoch_that_is_opened_begins_a_lead_later(tmp_path: Path) -> None:
    chain = Told(HISTORY, newest=EPOCH + 1)
    local, follow = following(tmp_path, chain)
    assert await follow.look() == 0, "its block has not the confirmations"
    chain.newest = EPOCH + 3
    assert await follow.look() == 1
    opened_ms = (START + EPOCH * SECONDS) * 1000
    assert local.network.from_ms == opened_ms + 6_000
    assert local.network.at(opened_ms + 5_999).epoch == 0
    assert local.network.at(opened_ms + 6_000).epoch == 1
    assert {v.key: v.weight for v in local.network.verifiers} == {key(0).public: 1, key(1).public: 2}
    assert stored(local) == local.network


async def test_one_that_unbonded_is_no_longer_drawn_and_epochs_that_nobody_opened_are_none(tmp_path: Path) -> None:
    chain = Told(HISTORY, newest=5 * EPOCH)
    local, follow = following(tmp_path, chain)
    assert await follow.look() == 3
    assert [r.epoch for r in (*local.network.past, local.network)] == [0, 1, 2, 4]
    request = Scene().request.request
    first, last = local.network.past[1], local.network
    for registry, members in ((first, {0, 1}), (last, {0, 2})):
        asked = msgspec.structs.replace(request, issued_ms=registry.from_ms + 1)
        drawn = {v.key for v in committee_for(local.network, asked).places}
        assert drawn == {key(i).public for i in members}


async def test_the_chain_may_be_away(tmp_path: Path, autojump_clock: MockClock) -> None:  # noqa: ARG001
    chain = Told(HISTORY, newest=EPOCH + 5)
    local, follow = following(tmp_path, chain)
    seen: list[int] = []
    local.followers.append(lambda network: seen.append(network.epoch))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow.run)
        await trio.sleep(1)
        assert local.network.epoch == 1
        chain.down, chain.newest = True, 5 * EPOCH
        await trio.sleep(3600)
        assert local.network.epoch == 1, "the last one known goes on"
        chain.down = False
        await trio.sleep(20)
        nursery.cancel_scope.cancel()
    assert seen == [1, 4]
    once, other = following(tmp_path / "another", chain)
    await other.look()
    assert once.network == local.network


async def test_a_command_does_not_wait_for_a_silent_chain(tmp_path: Path, autojump_clock: MockClock) -> None:
    class Silent(Told):
        async def head(self) -> None:  # type: ignore[override]
            await trio.sleep_forever()

    for chain in (Silent(HISTORY), Told(HISTORY, down=True)):
        local, follow = following(tmp_path, chain)
        began = autojump_clock.current_time()
        await follow.catch_up()
        assert autojump_clock.current_time() - began < 6
        assert local.network == GENESIS


async def test_a_chain_of_another_history_changes_nothing(tmp_path: Path) -> None:
    chain = Told(HISTORY, newest=EPOCH + 5)
    local, follow = following(tmp_path, chain)
    await follow.look()
    known = local.network
    chain.history = History(HISTORY.opened, STAKES, HISTORY.nodes, {1: b"\x99" * 32})
    chain.newest = 5 * EPOCH
    with pytest.raises(ChainError, match="another beacon for epoch 1"):
        await follow.look()
    assert local.network == known == stored(local)


async def test_a_reorganisation_of_the_depth_allowed_changes_no_epoch_that_counted(tmp_path: Path) -> None:
    """An epoch that was opened in a block that is gone never was; the one opened instead is, and stays."""
    depth = 3
    async with deployed_devnet(devnet_terms(60)) as town:
        shallow, town.spec = town.spec, msgspec.structs.replace(town.spec, confirmations=depth)
        network = network_of(town, [key(0)])
        async with town.open() as chain, open_chain(shallow, town.domain) as now:

            async def opened(account: int) -> int:
                async with town.sender(now, town.account(account)) as sender:
                    done = await sender.send("open", shallow.epochs, "Epochs", "open")
                return (await now.block(done.block)).timestamp

            local, follow = following(tmp_path, chain, network)  # type: ignore[arg-type]
            await town.forward(60)
            await town.mine(depth)
            first = await opened(1)
            assert await follow.look() == 0
            await tell(town.url, "anvil_reorg", 1, [])
            await town.forward(7)
            second = await opened(2)
            assert second > first
            await town.mine(depth)
            assert await follow.look() == 1
            followed = local.network
            assert followed.from_ms == (second + shallow.lead) * 1000
            await tell(town.url, "anvil_reorg", depth, [])
            await town.mine(depth)
            assert await follow.look() == 0
            assert local.network == followed == load_network(local.directory.networks / f"{network.name}.toml")


async def test_an_rpc_that_is_behind_changes_nothing(tmp_path: Path) -> None:
    chain = Told(HISTORY, newest=5 * EPOCH)
    local, follow = following(tmp_path, chain)
    await follow.look()
    known, chain.newest = local.network, EPOCH
    with pytest.raises(ChainError, match="has not seen epoch 4"):
        await follow.look()
    assert local.network == known


@given(histories(), st.integers(1, 9 * EPOCH), st.integers(1, 9 * EPOCH))
def test_a_peer_that_starts_again_goes_on_where_it_was(
    tmp_path_factory: pytest.TempPathFactory, history: History, first: int, second: int
) -> None:
    async def work() -> None:
        path = tmp_path_factory.mktemp("peer")
        chain = Told(history)
        for chain.newest in (*sorted((first, second)), 10 * EPOCH):
            local, follow = following(path, chain, GENESIS)  # started with the very first file each time
            local.network = stored(local)
            await follow.look()
        fresh, other = following(path / "fresh", chain)
        await other.look()
        assert stored(local) == local.network == fresh.network

    trio.run(work)


@given(histories(), st.integers(0, 10 * EPOCH * SECONDS * 1000))
def test_a_forgotten_epoch_is_recalled_as_it_was_followed(
    tmp_path_factory: pytest.TempPathFactory, history: History, after_ms: int
) -> None:
    async def work() -> None:
        chain, ms = Told(history, newest=10 * EPOCH), START * 1000 + after_ms
        local, follow = following(tmp_path_factory.mktemp("peer"), chain)
        await follow.look()
        then = local.network.at(ms)
        if then.epoch == 0:
            with pytest.raises(CommandError, match="began with"):
                await recall(GENESIS, chain, ms)  # type: ignore[arg-type]
        else:
            assert await recall(GENESIS, chain, ms) == bent(then, past=())  # type: ignore[arg-type]

    trio.run(work)


def test_what_was_followed_is_kept_when_the_first_file_is_given_again(tmp_path: Path) -> None:
    directory = DataDir(tmp_path)
    directory.create()
    later = msgspec.structs.replace(GENESIS, epoch=3, from_ms=9, past=())
    save_network(directory.networks / "town.toml", later)
    more = msgspec.structs.replace(GENESIS, bootstraps=("/ip4/127.0.0.1/tcp/1/p2p/x",))
    keep_network(directory, more)
    kept = load_network(directory.networks / "town.toml")
    assert (kept.epoch, kept.bootstraps) == (3, more.bootstraps)
    with pytest.raises(CommandError, match="another network"):
        keep_network(directory, msgspec.structs.replace(GENESIS, contract=b"\x77" * 20))


def test_a_local_follows_its_own_network_alone() -> None:
    local = Local(None, Config(), key(9), GENESIS, None, None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="is not town"):
        local.follow(msgspec.structs.replace(GENESIS, name="village"))
    assert local.network == GENESIS


def test_an_old_receipt_is_still_verified_after_epochs_changed() -> None:
    scene = Scene(verifiers=4)
    file = scene.file
    network = bent(scene.network, chain=GENESIS.chain)
    stranger = {key(5).public: ETHER}
    later = [
        registry_of(network, Opening(network.epoch + n, bytes(32), n, 1_900_000_000 + n), stranger, 30)
        for n in range(1, 9)
    ]
    assert verify_file(encode(file), network).valid
    after = advanced(network, later)
    assert after.verifiers == (Verifier(key=key(5).public, weight=1),)
    assert verify_file(encode(file), after).valid
    forgotten = msgspec.structs.replace(after, past=after.past[1:])
    assert not verify_file(encode(file), forgotten).valid


def test_the_domain_is_the_towns() -> None:
    assert GENESIS.domain == DOMAIN


async def test_a_peer_that_runs_follows_and_starts_again_without_its_chain(tmp_path: Path) -> None:
    async with village(tmp_path, settlers=1, epoch=10) as place:
        (peer,) = place.peers
        began = peer.network
        await place.town.forward(10)
        with trio.fail_after(60):
            while peer.network.epoch == 0:  # noqa: ASYNC110 — the wall clock's doing
                await trio.sleep(0.1)
        assert {v.key: v.weight for v in peer.network.verifiers} == {key_of("verifier 0").public: 1_000}
        assert peer.network.past[0].epoch == began.epoch
        assert peer.network.at(began.from_ms).verifiers == began.verifiers
        directory, config = peer.local.directory, peer.local.config
    async with open_local(directory, config) as local:  # the chain is gone
        assert local.network.epoch > 0
        assert local.network.past[0].beacon == began.beacon
