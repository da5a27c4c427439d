"""A provider's attestations: its heartbeat, payers' own challenges, and what stops when the attester does."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
import trio

from node.attesting.attester import Attester, AttesterFailed
from node.attesting.collateral import Collaterals
from node.attesting.configfs import find_configfs
from node.attesting.dev import DevAttester
from node.attesting.nsm import Nsm
from node.attesting.service import Attesting
from node.bounds import ATTEST_BURST, ATTEST_FRESH_MS, ATTEST_PAYER_BURST, ATTEST_SECONDS
from node.clock import now_ms
from node.datadir import DataDir
from node.signal import Signal
from tests.node.attesting.kernels import FakeKernel, FakeNsm
from tests.node.attesting.test_attesters import ASK, VCEK, table
from tests.verify.scenes import NOW, Scene, bent, key_of, some_hash
from tests.verify.tee import vendors
from tests.verify.tee.claims import NITRO, SNP
from tests.verify.tee.samples import INTEL_AT, intel, needed
from verify.teepolicy import ANYTHING
from verify.tiers.tee import Occasion, check_attestation
from wire.attestation import (
    Challenge,
    Collateral,
    IntelCollateral,
    SignedChallenge,
    TeeEvidence,
    TeeKind,
    sign_challenge,
)
from wire.errors import ErrorCode, RemoteError
from wire.keys import NodeKey
from wire.network import Network

SCENE = Scene(tier="tee")
MODEL, OTHER = some_hash("model"), some_hash("other")
RUNTIME = some_hash("runtime")


@dataclass
class Here:
    """What of a `Local` is needed."""

    key: NodeKey = field(default_factory=lambda: SCENE.provider)
    network: Network = SCENE.network


@dataclass
class Models:
    """What of `ReadyModels` is needed: the models that are ready now."""

    held: dict[bytes, None] = field(default_factory=lambda: {MODEL: None})
    changed: Signal = field(default_factory=Signal)

    def all(self) -> dict[bytes, None]:
        return dict(self.held)


class Switched:
    """A development attester that can be broken."""

    kind: TeeKind = "dev"
    name = "a switch"

    def __init__(self) -> None:
        self.fault: Exception | None = None
        self.quotes = 0
        self._dev = DevAttester(key_of("attester"), RUNTIME)

    def quote(self, report_data: bytes) -> tuple[bytes, Collateral | None]:
        self.quotes += 1
        if self.fault:
            raise self.fault
        return self._dev.quote(report_data)


def attesting(models: Models, attester: Any, directory: DataDir) -> Attesting:
    async def nobody(_: str) -> list[Any]:
        return []

    collaterals = Collaterals(directory.collateral)
    return Attesting(cast("Any", Here()), cast("Any", models), attester, RUNTIME, collaterals, nobody)


@dataclass
class World:
    models: Models
    attester: Switched
    attesting: Attesting

    async def changed(self, since: int) -> None:
        """Once what is offered has changed."""
        await self.models.changed.wait(10, since=since)
        assert self.models.changed.count > since


@pytest.fixture
async def world(tmp_path: Any) -> AsyncIterator[World]:
    async with _running(DataDir(tmp_path)) as running:
        yield running


@asynccontextmanager
async def _running(directory: DataDir) -> AsyncIterator[World]:
    models, attester = Models(), Switched()
    made = World(models, attester, attesting(models, attester, directory))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(made.attesting.run)
        await made.changed(since=0)
        yield made
        nursery.cancel_scope.cancel()


def holds(evidence: TeeEvidence | None, model: bytes = MODEL) -> bool:
    assert evidence is not None
    occasion = Occasion(
        network=SCENE.network, provider=SCENE.provider.address, payer=SCENE.payer.address, model=model,
        at_ms=now_ms(), on_card=False,
    )  # fmt: skip
    return all(c.ok for c in check_attestation(evidence, occasion, ANYTHING))


def asks(by: str = "payer", **changes: Any) -> SignedChallenge:
    asked = Challenge(
        asker=key_of(by).address, provider=SCENE.provider.address, nonce=some_hash(by), issued_ms=now_ms()
    )
    return sign_challenge(bent(asked, **changes), key_of(by), SCENE.network.domain)


async def refused(world: World, challenge: SignedChallenge, model: bytes = MODEL) -> ErrorCode:
    with pytest.raises(RemoteError) as error:
        await world.attesting.over(challenge, model)
    return error.value.code


async def test_a_heartbeat_serves_every_payer(world: World) -> None:
    evidence = world.attesting.shown(b"anyone", MODEL)
    assert holds(evidence)
    assert evidence is not None
    assert evidence.challenge.challenge.asker == SCENE.provider.address
    assert not world.attesting.covers(OTHER)


async def test_a_payers_own_nonce_is_in_its_evidence_and_in_nobody_elses(world: World) -> None:
    challenge = asks()
    evidence = await world.attesting.over(challenge, MODEL)
    assert holds(evidence)
    assert evidence.challenge == challenge
    assert world.attesting.shown(SCENE.payer.address, MODEL) == evidence
    another = world.attesting.shown(key_of("another").address, MODEL)
    assert another is not None
    assert another.challenge != challenge


async def test_one_quote_serves_a_payer_until_it_asks_with_another_nonce(world: World) -> None:
    before, challenge = world.attester.quotes, asks()
    first = await world.attesting.over(challenge, MODEL)
    assert await world.attesting.over(challenge, MODEL) == first
    assert world.attester.quotes == before + 1
    await world.attesting.over(asks(nonce=some_hash("again")), MODEL)
    assert world.attester.quotes == before + 2


async def test_a_challenge_that_is_not_for_us_or_not_signed_or_of_another_time_makes_no_quote(world: World) -> None:
    before = world.attester.quotes
    assert await refused(world, asks(provider=key_of("another").address)) is ErrorCode.REFUSED
    unsigned = asks()
    assert (
        await refused(world, bent(unsigned, challenge=bent(unsigned.challenge, nonce=bytes(32)))) is ErrorCode.REFUSED
    )
    assert await refused(world, asks(issued_ms=now_ms() - ATTEST_FRESH_MS)) is ErrorCode.REFUSED
    assert await refused(world, asks(issued_ms=now_ms() + 60_000)) is ErrorCode.REFUSED
    assert await refused(world, asks(), OTHER) is ErrorCode.NOT_FOUND
    assert world.attester.quotes == before


async def test_a_payer_that_asks_without_end_is_told_to_wait_and_others_are_not(world: World) -> None:
    for n in range(int(ATTEST_PAYER_BURST)):
        await world.attesting.over(asks(nonce=some_hash(f"{n}")), MODEL)
    assert await refused(world, asks(nonce=some_hash("one more"))) is ErrorCode.OVERLOADED
    assert holds(await world.attesting.over(asks("another"), MODEL))


async def test_many_payers_together_are_bounded_too(world: World) -> None:
    before = world.attester.quotes
    for n in range(int(ATTEST_BURST)):
        await world.attesting.over(asks(f"payer {n}"), MODEL)
    assert await refused(world, asks("one more")) is ErrorCode.OVERLOADED
    assert world.attester.quotes == before + ATTEST_BURST
    assert world.attesting.covers(MODEL)  # the heartbeat is not theirs to exhaust


async def test_a_new_model_is_attested_at_once(world: World) -> None:
    world.models.held[OTHER] = None
    world.models.changed.notify()
    await world.changed(since=world.models.changed.count)
    assert holds(world.attesting.shown(b"", OTHER), OTHER)
    assert holds(world.attesting.shown(b"", MODEL), MODEL)


async def test_an_attester_that_fails_is_told_to_the_payer_and_the_last_quote_serves_on(world: World) -> None:
    world.attester.fault = AttesterFailed("no entropy")
    with pytest.raises(RemoteError, match="no entropy"):
        await world.attesting.over(asks(), MODEL)
    assert holds(world.attesting.shown(SCENE.payer.address, MODEL))


async def test_when_no_quote_comes_any_more_the_offer_ends_with_the_last_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.attester.fault = AttesterFailed("no entropy")
    later = now_ms() + ATTEST_FRESH_MS
    monkeypatch.setattr("node.attesting.service.now_ms", lambda: later)
    assert not world.attesting.covers(MODEL)
    assert world.attesting.shown(SCENE.payer.address, MODEL) is None
    world.models.changed.notify()
    await world.changed(since=world.models.changed.count)  # so that offers are made anew
    assert world.attesting.heartbeat.trouble == "no entropy"


async def test_a_quote_that_nobody_would_take_is_not_shown(tmp_path: Any) -> None:
    class Liar(Switched):
        def quote(self, report_data: bytes) -> tuple[bytes, Collateral | None]:
            return super().quote(report_data[::-1])

    service = attesting(Models(), Liar(), DataDir(tmp_path))
    with pytest.raises(RemoteError, match="TEE binding"):
        await service.over(asks(), MODEL)


async def test_an_attester_that_hangs_is_given_up(tmp_path: Any, mock_clock: trio.testing.MockClock) -> None:
    ending = threading.Event()

    class Hung(Switched):
        def quote(self, report_data: bytes) -> tuple[bytes, Collateral | None]:
            ending.wait()
            return super().quote(report_data)

    service = attesting(Models(), Hung(), DataDir(tmp_path))

    async def ask() -> None:
        with pytest.raises(RemoteError, match="took longer"):
            await service.over(asks(), MODEL)

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(ATTEST_SECONDS)
    finally:
        ending.set()


def hardware(tmp_path: Path, kind: str) -> Attester:
    """An attester whose kernel is a fake, and whose vendor is our own."""
    if kind == "snp":
        kernel = FakeKernel("sev_guest", vendors.snp_report)
        certificates = vendors.snp_collateral()
        kernel.aux = table((VCEK, certificates.vcek), (ASK, certificates.ask))
        (tmp_path / "tsm").mkdir()
        found = find_configfs(tmp_path / "tsm", kernel)
        assert not isinstance(found, str)
        return found
    (tmp_path / "nsm").write_bytes(b"")
    return Nsm(tmp_path / "nsm", FakeNsm(lambda data: {"Attestation": {"document": vendors.nitro_document(data)}}))


@pytest.mark.parametrize("kind", ["snp", "nitro"])
async def test_what_a_kernel_gives_becomes_evidence_that_a_strict_payer_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    vendors.trusted(monkeypatch)
    monkeypatch.setattr("node.attesting.service.now_ms", lambda: NOW)
    service = attesting(Models(), hardware(tmp_path, kind), DataDir(tmp_path))
    evidence = await service.over(asks(issued_ms=NOW), MODEL)
    occasion = Occasion(
        network=SCENE.network, provider=SCENE.provider.address, payer=SCENE.payer.address, model=MODEL,
        at_ms=NOW, on_card=False,
    )  # fmt: skip
    assert [c for c in check_attestation(evidence, occasion, SNP if kind == "snp" else NITRO) if not c.ok] == []


async def test_a_debug_environment_is_never_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vendors.trusted(monkeypatch)
    monkeypatch.setattr("node.attesting.service.now_ms", lambda: NOW)
    module = FakeNsm(lambda data: {"Attestation": {"document": vendors.nitro_document(data, pcr0=bytes(48))}})
    (tmp_path / "nsm").write_bytes(b"")
    service = attesting(Models(), Nsm(tmp_path / "nsm", module), DataDir(tmp_path))
    with pytest.raises(RemoteError, match="TEE debug"):
        await service.over(asks(issued_ms=NOW), MODEL)


@needed
async def test_intels_quotes_need_collateral_from_here_or_from_a_peer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Intel's sample is over others' bytes: with collateral it gets as far as that, without it no further than here."""
    quote, collateral = intel("tdx")
    monkeypatch.setattr("node.attesting.service.now_ms", lambda: INTEL_AT * 1000)
    (tmp_path / "tsm").mkdir()
    tsm = find_configfs(tmp_path / "tsm", FakeKernel("tdx_guest", lambda _: quote))
    service = attesting(Models(), tsm, DataDir(tmp_path))
    with pytest.raises(RemoteError, match="no collateral of tdx-b0c06f000000 here, and no peer has any"):
        await service.over(asks(issued_ms=INTEL_AT * 1000), MODEL)

    async def peers(platform: str) -> list[IntelCollateral]:
        assert platform == "tdx-b0c06f000000"
        return [intel("sgx")[1], collateral]

    service._ask_peers = peers
    with pytest.raises(RemoteError, match="TEE binding"):
        await service.over(asks(issued_ms=INTEL_AT * 1000), MODEL)
    assert Collaterals(DataDir(tmp_path).collateral).get("tdx-b0c06f000000") == collateral
