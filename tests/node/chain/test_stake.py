"""Staking on a real chain: one command registers, sets roles and bonds; what was interrupted is not done twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from node.chain.following import Following
from node.errors import CommandError
from node.operations import stake as operations
from settle.chain import Chain, Refused
from tests.settle.town import TOKEN, Town, deployed_devnet
from tests.verify.scenes import key_of
from wire.keys import show_address

from .purses import purse_of

NODE, OTHER = key_of("a node"), key_of("another node")


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with deployed_devnet() as opened:
        for index in (1, 2):
            await opened.give(opened.account(index).address, 1_000 * TOKEN)
        yield opened


@pytest.fixture
async def chain(town: Town) -> AsyncIterator[Chain]:
    async with town.open() as opened:
        yield opened


def params(amount: int = 0, *roles: str, commission: int | None = None) -> dict[str, Any]:
    return {"amount": amount * TOKEN, "roles": list(roles), "commission": commission}


def quiet(_: dict[str, Any]) -> None:
    """Nobody watches."""


async def has(town: Town, chain: Chain, index: int) -> int:
    found = await chain.call(town.spec.token, "HallmarkToken", "balanceOf", town.account(index).address)
    return int(found) // TOKEN


async def test_from_nothing_to_a_verifier_and_back(tmp_path: Path, town: Town, chain: Chain) -> None:
    said: list[str] = []
    async with purse_of(tmp_path, town, chain, NODE, town.account(1)) as purse:
        now = await operations.stake(
            purse, params(150, "verifier", "settler", commission=500), lambda e: said.append(e["text"])
        )
        assert (now["stake"], now["own"], now["commission_bps"]) == (150 * TOKEN, 150 * TOKEN, 500)
        assert now["active"] == ["verifier", "settler"]
        assert [text.partition(":")[0] for text in said if ":" in text] == [
            "the registration", "the approval", "the bond",
        ]  # fmt: skip
        assert await has(town, chain, 1) == 850

        again = await operations.stake(purse, params(20, "verifier"), quiet)
        assert (again["stake"], again["active"]) == (170 * TOKEN, ["verifier"]), "more, and other roles"
        begun = await operations.unstake(purse, {"amount": 60 * TOKEN, "node": b""}, quiet)
        shown = await operations.show_stakes(purse, {}, quiet)
        (mine,) = shown["operators"]
        assert (mine["stake"], mine["unbonding"], mine["mine"]) == (110 * TOKEN, 60 * TOKEN, True)

        early = await operations.withdraw(purse, {}, quiet)
        assert early["taken"] == 0
        assert [(w["amount"], w["release_s"]) for w in early["waiting"]] == [(60 * TOKEN, begun["release_s"])]
        await town.forward(town.terms.unbonding + 5)
        late = await operations.withdraw(purse, {}, quiet)
        assert late == {"taken": 60 * TOKEN, "waiting": []}
        assert await has(town, chain, 1) == 890

        await operations.unstake(purse, {"amount": None, "node": b""}, quiet)
        with pytest.raises(CommandError, match="nothing behind"):
            await operations.unstake(purse, {"amount": None, "node": b""}, quiet)


async def test_others_stand_behind_a_node(tmp_path: Path, town: Town, chain: Chain) -> None:
    async with purse_of(tmp_path / "1", town, chain, NODE, town.account(1)) as purse:
        await operations.stake(purse, params(100, "verifier"), quiet)
    async with purse_of(tmp_path / "2", town, chain, OTHER, town.account(2)) as purse:
        behind = await operations.delegate(purse, {"node": NODE.address, "amount": 40 * TOKEN}, quiet)
        assert (behind["worth"], behind["peer_id"]) == (40 * TOKEN, NODE.peer_id)
        (one,) = (await operations.show_stakes(purse, {}, quiet))["operators"]
        assert (one["stake"], one["own"], one["delegated"]) == (140 * TOKEN, 100 * TOKEN, 40 * TOKEN)
        assert one["owner"] == show_address(town.account(1).address)
        with pytest.raises(CommandError, match="has 40 there"):
            await operations.unstake(purse, {"amount": 41 * TOKEN, "node": NODE.address}, quiet)
        with pytest.raises(CommandError, match="no node"):
            await operations.delegate(purse, {"node": OTHER.address, "amount": TOKEN}, quiet)
        with pytest.raises(CommandError, match="has 960 tokens, this takes 961"):
            await operations.delegate(purse, {"node": NODE.address, "amount": 961 * TOKEN}, quiet)


async def test_a_node_belongs_to_one_account(tmp_path: Path, town: Town, chain: Chain) -> None:
    async with purse_of(tmp_path, town, chain, NODE, town.account(1)) as purse:
        await operations.stake(purse, params(0, "verifier"), quiet)
    async with purse_of(tmp_path, town, chain, NODE, town.account(2)) as purse:
        with pytest.raises(CommandError, match="belongs to the account"):
            await operations.stake(purse, params(10), quiet)


@pytest.mark.parametrize("step", ["register", "approve", "bond"])
async def test_a_command_that_was_interrupted_goes_on(tmp_path: Path, town: Town, chain: Chain, step: str) -> None:
    async with purse_of(tmp_path, town, chain, NODE, town.account(1)) as purse:
        with trio.CancelScope() as scope:  # as a Ctrl-C while it waits for that step's block

            def interrupt(event: dict[str, Any]) -> None:
                if event["event"] == "sending" and event["what"] == step:
                    scope.cancel()

            await operations.stake(purse, params(150, "verifier"), interrupt)
        assert scope.cancelled_caught
    async with purse_of(tmp_path, town, chain, NODE, town.account(1)) as purse:  # another process
        now = await operations.stake(purse, params(150, "verifier"), quiet)
        assert now["stake"] == 150 * TOKEN
        assert await has(town, chain, 1) == 850
        more = await operations.stake(purse, params(150, "verifier"), quiet)
        assert more["stake"] == 300 * TOKEN, "what was done is done, and the same again is more"


async def test_a_refused_bond_leaves_nothing_open(tmp_path: Path, town: Town, chain: Chain) -> None:
    async with purse_of(tmp_path, town, chain, NODE, town.account(1)) as purse:
        await operations.stake(purse, params(100, "verifier"), quiet)
        with pytest.raises(Refused, match="BondTooSmall"):
            await operations.stake(purse, {"amount": 5, "roles": [], "commission": None}, quiet)
        assert (await operations.stake(purse, params(1), quiet))["stake"] == 101 * TOKEN


async def test_who_bonds_is_drawn_from_the_next_epoch_on_and_who_leaves_is_not(
    tmp_path: Path, town: Town, chain: Chain
) -> None:
    async with (
        purse_of(tmp_path / "1", town, chain, NODE, town.account(1)) as one,
        purse_of(tmp_path / "2", town, chain, OTHER, town.account(2)) as two,
    ):
        follow, epochs = Following(one.local, chain), town.spec.epochs

        async def next_epoch(name: str) -> dict[bytes, int]:
            await town.forward(town.terms.epoch)
            assert two.sender is not None
            await two.sender.send(name, epochs, "Epochs", "open")
            await town.mine()
            assert await follow.look() == 1
            return {v.key: v.weight for v in one.local.network.verifiers}

        await operations.stake(one, params(150, "verifier"), quiet)
        await operations.stake(two, params(200, "verifier"), quiet)
        assert await next_epoch("one") == {NODE.public: 150, OTHER.public: 200}
        await operations.unstake(two, {"amount": 150 * TOKEN, "node": b""}, quiet)
        assert {v.key for v in one.local.network.verifiers} == {NODE.public, OTHER.public}, "this epoch goes on"
        assert await next_epoch("two") == {NODE.public: 150}, "50 of its own are less than the minimum"
        said = await chain.call(epochs, "Epochs", "beaconOf", one.local.network.epoch)
        assert one.local.network.beacon == said
