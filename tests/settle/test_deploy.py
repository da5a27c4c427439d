"""A network's contracts on a chain: complete, linked, the same on every engine, and deployed once however often."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, replace

import pytest

from settle.chain import Chain, Refused, Sender, Unavailable, open_chain, open_sender
from settle.deploy import DEVNETS, deploy, devnet_terms, open_bare, public_terms
from settle.errors import ChainError
from settle.journal import Entry
from tests.settle.anvil import needs_anvil
from tests.settle.town import ENGINES, MemoryJournal, account, deployed_devnet, found
from wire.canonical import decode
from wire.eip712 import Domain

engines = pytest.mark.parametrize("engine", ["devnet", pytest.param("anvil", marks=needs_anvil)])


@engines
async def test_everything_is_linked_and_has_its_parameters(engine: str) -> None:
    async with deployed_devnet(engine=engine) as town, town.open() as chain:
        spec, registry, terms = town.spec, town.domain.contract, town.terms
        assert town.domain.chain_id in DEVNETS
        assert await chain.call(registry, "Registry", "domainSeparator") == town.domain.separator()
        assert await chain.call(registry, "Registry", "evidence") == spec.evidence
        assert await chain.call(registry, "Registry", "epochs") == spec.epochs
        assert await chain.call(spec.split, "Split", "epochs") == spec.epochs
        assert await chain.call(spec.evidence, "Evidence", "registry") == registry
        for name in ("token", "channels", "evidence", "split"):
            assert await chain.call(spec.epochs, "Epochs", name) == getattr(spec, name)
        assert await chain.call(spec.epochs, "Epochs", "epochSeconds") == terms.epoch
        assert await chain.call(spec.token, "HallmarkToken", "balanceOf", account(0).address) == 10**27
        shares = (await chain.call(spec.split, "Split", "parameters"))["now_"]
        assert shares == {"publisherMax": 2000, "verifiers": 1000, "hubs": 300, "treasury": 500, "unreceipted": 5000}
        assert (await chain.block(spec.from_block)).number == spec.from_block


@needs_anvil
async def test_both_engines_make_the_same_network() -> None:
    specs = []
    for engine in ("devnet", "anvil"):
        async with deployed_devnet(engine=engine) as town:
            specs.append((town.domain, replace_rpcs(town.spec)))
    assert specs[0] == specs[1]


def replace_rpcs(spec: object) -> dict[str, object]:
    from msgspec.structs import asdict as fields

    return {k: v for k, v in fields(spec).items() if k not in ("rpcs", "from_block")}  # type: ignore[type-var]


@engines
async def test_the_terms_of_public_chains_deploy_too(engine: str) -> None:
    async with ENGINES[engine]() as url:
        town = await found(url, replace(public_terms(), confirmations=0))  # nobody else makes blocks here
        async with town.open() as chain:
            rules = await chain.call(town.domain.contract, "Registry", "parameters")
            assert rules["unbondingSeconds"] == 21 * 86_400
            assert await chain.call(town.spec.epochs, "Epochs", "epochSeconds") == 7 * 86_400


@pytest.mark.parametrize("epoch", [2, 10, 60, 3600, 86_400])
def test_every_epoch_that_may_be_asked_for_gives_terms_that_hold(epoch: int) -> None:
    for terms in (devnet_terms(epoch), public_terms(epoch)):
        assert terms.contest + terms.ruling < terms.unbonding
        assert terms.lead < terms.epoch
        assert terms.window + terms.answer + terms.epoch < terms.unbonding
        taken = terms.publisher_most + terms.verifiers + terms.hubs + terms.treasury
        assert terms.unreceipted <= 10_000 - taken


async def test_an_interrupted_one_goes_on_where_it_stopped() -> None:
    journal = MemoryJournal()
    async with ENGINES["devnet"]() as url:
        said: list[str] = []

        def say(text: str) -> None:
            said.append(text)
            if len(said) == 3:
                raise KeyError("stopped")

        with pytest.RaisesGroup(KeyError, flatten_subgroups=True):
            async with open_bare([url]) as chain, open_sender(chain, account(0), journal) as sender:
                await deploy("home", chain, sender, devnet_terms(), say)
        async with open_bare([url]) as chain, open_sender(chain, account(0), journal) as sender:
            first = await deploy("home", chain, sender, devnet_terms())
            again = await deploy("home", chain, sender, devnet_terms())
            other = await deploy("home", chain, sender, devnet_terms(30))
        assert first == again
        assert other.registry != first.registry
        nonces = sorted(decode(data, Entry).nonce for data in journal.kept.values())
        assert nonces == list(range(16))  # two deployments of eight transactions each


@asynccontextmanager
async def bare_place() -> AsyncIterator[tuple[Chain, Sender]]:
    async with ENGINES["devnet"]() as url, open_bare([url]) as chain:
        sending = open_sender(chain, account(0), MemoryJournal())
        async with sending as sender:
            yield chain, sender


async def test_a_journal_that_is_not_this_chains_is_noticed() -> None:
    async with bare_place() as (chain, sender):
        code = chain.code
        chain.code = lambda _: code(bytes(20))  # type: ignore[method-assign]
        with pytest.raises(ChainError, match="nothing at"):
            await deploy("home", chain, sender, devnet_terms())


async def test_terms_out_of_bounds_are_refused_by_the_contracts() -> None:
    async with bare_place() as (chain, sender):
        with pytest.raises(Refused, match="OutOfBounds"):
            await deploy("home", chain, sender, replace(devnet_terms(), unbonding=1))


async def test_a_network_elsewhere_is_not_there() -> None:
    async with deployed_devnet() as town, ENGINES["devnet"]() as url:
        from msgspec.structs import replace as changed

        domain = Domain(chain_id=town.domain.chain_id, contract=town.domain.contract)
        async with open_chain(changed(town.spec, rpcs=(url,)), domain) as chain:
            with pytest.raises(Unavailable, match="no contract is there"):
                await chain.call(domain.contract, "Registry", "nodeCount")


def test_terms_are_whole_numbers() -> None:
    assert all(isinstance(value, int | str) for value in asdict(public_terms()).values())
