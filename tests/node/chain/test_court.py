"""From a liar's fraud file to its bond: shown to the contract on a chain, slashed, the reporter paid."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from node.chain.following import Following
from node.chain.opening import OpenPurse
from node.config import Config
from node.errors import CommandError
from node.fraud.court import Court, NothingToSettle, submit
from node.fraud.keeping import keep
from node.operations import court as operations
from node.operations import stake as staking
from node.operations.income import show_income, show_network_income
from settle.chain import Chain, Refused
from settle.evidence import read_standing
from storage import Store, open_store
from tests.settle.town import TOKEN, Town, deployed_devnet
from tests.verify.scenes import Scene, bent, key_of
from tests.verify.test_fraud import HONEST, OWN, refused
from wire.fraud import Fraud, TwoCommits, TwoReceipts, TwoVotes, fraud_digest
from wire.network import Network
from wire.vote import Verdict

from .purses import local_of
from .test_stake import params, quiet

PROVIDER, REPORTER = key_of("provider"), key_of("reporter")
VERIFIERS = [key_of(f"verifier {i}") for i in range(4)]
BOND = 200


@dataclass(frozen=True)
class Case(Scene):
    """A scene on a network that follows a chain."""

    town: Network | None = None

    @cached_property
    def network(self) -> Network:
        assert self.town is not None
        return msgspec.structs.replace(self.town, from_ms=0, past=())  # the scene's time is its own


def two_votes(case: Case) -> TwoVotes:
    return TwoVotes(verifier=case.keys[1].public, first=case.vote(1), second=case.vote(1, Verdict.REJECT))


def two_commits(case: Case) -> TwoCommits:
    return TwoCommits(verifier=case.keys[1].public, first=case.commit(1), second=case.commit(1, HONEST))


def two_receipts(case: Case) -> TwoReceipts:
    return TwoReceipts(first=case.answer(), second=case.answer(outputs=OWN))


@dataclass
class Trial:
    """Four verifiers and a provider, all bonded and in epoch 1; the reporter has an account and no node."""

    town: Town
    chain: Chain
    case: Case
    reporter: OpenPurse
    provider: OpenPurse

    async def behind(self, node: bytes) -> int:
        pool = await self.chain.call(self.town.domain.contract, "Registry", "poolOf", node)
        return int(pool["assets"]) // TOKEN

    async def has(self, address: bytes) -> int:
        return int(await self.chain.call(self.town.spec.token, "HallmarkToken", "balanceOf", address)) // TOKEN

    async def rewarded(self) -> int:
        """What the reporter has: it began with nothing."""
        assert self.reporter.sender is not None
        return await self.has(self.reporter.sender.address)

    def digest(self, fraud: Fraud) -> bytes:
        return fraud_digest(fraud, self.case.network.domain)


@pytest.fixture
async def trial(tmp_path: Path) -> AsyncIterator[Trial]:
    async with deployed_devnet() as town, AsyncExitStack() as opened:
        chain = await opened.enter_async_context(town.open())
        purses = []
        for index, node in enumerate((*VERIFIERS, PROVIDER, REPORTER), start=1):
            owner = town.account(index)
            sender = await opened.enter_async_context(town.sender(chain, owner))
            local = local_of(tmp_path / str(index), town, node)
            store: Store = opened.enter_context(open_store(tmp_path / str(index) / "store"))
            local.store = store
            purse = OpenPurse(local, chain, sender)
            purses.append(purse)
            if node is not REPORTER:
                await town.give(owner.address, BOND * TOKEN)
        async with trio.open_nursery() as nursery:
            for purse in purses[:-1]:
                roles = ("provider",) if purse.local.key is PROVIDER else ("verifier", "settler")
                nursery.start_soon(staking.stake, purse, params(BOND, *roles), quiet)
        await town.forward(town.terms.epoch)
        assert purses[0].sender is not None
        await purses[0].sender.send("open", town.spec.epochs, "Epochs", "open")
        await town.mine()
        await Following(purses[0].local, chain).look()
        case = Case(town=purses[0].local.network)
        for purse in purses:
            purse.local.network = case.network
        yield Trial(town, chain, case, purses[-1], purses[-2])


@pytest.mark.parametrize("words", [two_votes, two_commits])
async def test_two_words_cost_a_verifier_its_bond(trial: Trial, words: Callable[[Case], Fraud]) -> None:
    liar, fraud = trial.case.keys[1], words(trial.case)
    assert await trial.behind(liar.address) == BOND
    await submit(trial.reporter, fraud)
    assert await trial.behind(liar.address) == 0
    assert await trial.rewarded() == BOND * 2 // 10
    with pytest.raises(NothingToSettle, match="knows it already"):
        await submit(trial.reporter, fraud)
    with pytest.raises(NothingToSettle, match="nothing stands behind"):
        await submit(trial.reporter, {two_votes: two_commits, two_commits: two_votes}[words](trial.case))  # type: ignore[index]


async def test_two_receipts_cost_a_provider_its_bond_and_who_kept_the_file_need_do_nothing(trial: Trial) -> None:
    fraud = two_receipts(trial.case)
    await keep(trial.reporter.local, fraud)
    court = Court(trial.reporter)
    await court.look()
    assert await trial.behind(PROVIDER.address) == 0
    (row,) = (await operations.list_with_chain(trial.reporter, {}, quiet))["frauds"]
    assert (row["on_chain"], row["slashed"], row["open"]) == (True, BOND * TOKEN, False)
    await court.look()  # nothing more
    assert trial.reporter.sender is not None
    earned = await show_income(trial.reporter, {"since_s": 0, "owner": trial.reporter.sender.address}, quiet)
    assert earned["by_source"] == {"reports": {"paid": BOND * 2 // 10 * TOKEN, "bonded": 0}}
    whole = await show_network_income(trial.reporter, {"since_s": 0}, quiet)
    assert (whole["fees"], whole["epoch"]) == (0, 1)


async def test_who_only_keeps_submits_nothing(trial: Trial) -> None:
    trial.reporter.local.config = Config(frauds="keep")
    await keep(trial.reporter.local, two_receipts(trial.case))
    await Court(trial.reporter).look()
    assert await trial.behind(PROVIDER.address) == BOND
    (row,) = (await operations.list_with_chain(trial.reporter, {}, quiet))["frauds"]
    assert (row["on_chain"], row["slashed"]) == (False, 0)


async def test_a_wrong_answer_is_accused_and_executed_when_nobody_contests(trial: Trial) -> None:
    await keep(trial.reporter.local, refused(trial.case))
    court = Court(trial.reporter)
    await court.look()
    assert await trial.behind(PROVIDER.address) == BOND, "an accusation first"
    await court.look()
    assert await trial.behind(PROVIDER.address) == BOND, "it may still be contested"
    await trial.town.forward(trial.town.terms.contest + 1)
    await court.look()
    assert await trial.behind(PROVIDER.address) == BOND * 7 // 10
    assert await trial.rewarded() == BOND * 3 // 10 * 2 // 10


async def test_an_accused_node_says_so_and_contests_and_the_settlers_rule(
    trial: Trial, caplog: pytest.LogCaptureFixture
) -> None:
    fraud = refused(trial.case)
    digest = trial.digest(fraud)
    await submit(trial.reporter, fraud)
    await Court(trial.provider).look()
    assert "THIS NODE IS ACCUSED" in caplog.text
    await trial.town.forward(trial.town.terms.contest + 1)
    with pytest.raises(Refused, match="ContestedNeedsRuling"):
        await operations.execute_fraud(trial.reporter, {"digest": digest}, quiet)

    settlers = [OpenPurse(local_of(trial.reporter.local.directory.path, trial.town, key), trial.chain, None)
                for key in VERIFIERS[:3]]  # fmt: skip
    ruling: dict[str, Any] = {"digest": digest, "upheld": True, "post": False, "signatures": []}
    said = [await operations.rule_fraud(one, ruling, quiet) for one in settlers]
    assert all(one["counts"] for one in said)
    stranger = OpenPurse(trial.reporter.local, trial.chain, trial.reporter.sender)
    signatures = [bytes.fromhex(one["signature"]) for one in said]
    few = ruling | {"post": True, "signatures": signatures[:2]}
    with pytest.raises(CommandError, match="it takes more than two thirds"):
        await operations.rule_fraud(stranger, few, quiet)
    done = await operations.rule_fraud(stranger, few | {"signatures": [*signatures, bytes(65)]}, quiet)
    assert (done["posted"], done["slashed"]) == (True, BOND * 3 // 10 * TOKEN)
    assert await trial.behind(PROVIDER.address) == BOND * 7 // 10


async def test_without_an_account_a_node_that_is_accused_still_says_so(
    trial: Trial, caplog: pytest.LogCaptureFixture
) -> None:
    await submit(trial.reporter, refused(trial.case))
    locked = OpenPurse(trial.provider.local, trial.chain, None)
    await Court(locked).look()
    assert "THIS NODE IS ACCUSED" in caplog.text
    assert "no account is unlocked" in caplog.text


async def test_what_does_not_hold_never_leaves(trial: Trial) -> None:
    honest = two_votes(trial.case)
    for forged in (bent(honest, second=honest.first), bent(honest, verifier=VERIFIERS[2].public)):
        with pytest.raises(NothingToSettle, match="does not hold"):
            await submit(trial.reporter, forged)
    with pytest.raises(CommandError, match="no fraud file"):
        await operations.submit_fraud(trial.reporter, {"data": b"\x80", "digest": ""}, quiet)


async def test_others_contest_what_a_committee_says_that_was_not_drawn(
    trial: Trial, caplog: pytest.LogCaptureFixture
) -> None:
    """The accused one sleeps. Three of the four verifiers accuse it, as a committee that they chose themselves."""
    network = trial.case.network
    chosen = Case(
        size=3,
        town=msgspec.structs.replace(
            network, verifiers=tuple(v for v in network.verifiers if v.key != VERIFIERS[3].public)
        ),
    )
    bystander = OpenPurse(local_of(trial.provider.local.directory.path, trial.town, VERIFIERS[3]), trial.chain, None)
    bystander.local.network, bystander.local.config = network, Config(frauds="keep")
    trial.reporter.local.network = chosen.network
    fraud = refused(chosen)
    await submit(trial.reporter, fraud)
    async with trial.town.sender(trial.chain, trial.town.account(4)) as sender:
        watching = OpenPurse(bystander.local, trial.chain, sender)
        await Court(watching).look()
    assert "another committee is drawn" in caplog.text
    assert (await read_standing(trial.chain, trial.digest(fraud))).is_contested


async def test_nobody_contests_what_the_drawn_committee_says(trial: Trial) -> None:
    fraud = refused(trial.case)
    await submit(trial.reporter, fraud)
    async with trial.town.sender(trial.chain, trial.town.account(4)) as sender:
        local = local_of(trial.provider.local.directory.path, trial.town, VERIFIERS[3])
        local.network = trial.case.network
        local.config = Config(frauds="keep")
        await Court(OpenPurse(local, trial.chain, sender)).look()
    assert not (await read_standing(trial.chain, trial.digest(fraud))).is_contested
