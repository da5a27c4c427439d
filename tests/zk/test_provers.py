"""Which models a provider proves: the newest circuit that works here, and none that does not, or not in time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
import trio.testing

from node.config import Config
from node.local import Local, open_local
from node.peer import Peer
from node.signal import Signal
from node.tiers.costs import ProofCosts
from node.zk import provers as module
from node.zk.proofs import CheckedProofs
from node.zk.provers import Provers
from wire.circuit import CircuitFile, SignedCircuit

from .world import World


class _Ready:
    """The one ready model, as long as it is there."""

    def __init__(self, world: World) -> None:
        self.changed = Signal()
        self.models: dict[bytes, Any] = {
            world.signed.model: SimpleNamespace(manifest=world.manifest, model=world.signed.model)
        }

    def all(self) -> dict[bytes, Any]:
        return dict(self.models)


class _Alone:
    """A host that knows nobody."""

    peer_id = "alone"

    async def find_providers(self, _: bytes) -> list[str]:
        return []

    def connected(self) -> list[Any]:
        return []


@asynccontextmanager
async def a_provider(world: World, local: Local, folder: Path) -> AsyncIterator[tuple[Provers, Any]]:
    peer: Any = SimpleNamespace(
        local=local, ready=_Ready(world), host=_Alone(), network=world.network, costs=ProofCosts(),
        checked=CheckedProofs(), board=SimpleNamespace(offers=lambda *_: []),
    )  # fmt: skip
    provers = Provers(cast("Peer", peer), folder)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(provers.run)
        yield provers, peer
        nursery.cancel_scope.cancel()
    await peer.checked.close()


async def until(found: Any) -> None:
    with trio.fail_after(60):
        while not found():  # noqa: ASYNC110  # a file that goes, or a line of the log, notifies nobody
            await trio.sleep(0.02)


async def test_a_circuit_that_works_is_offered_until_its_model_goes(committed: World, tmp_path: Path) -> None:
    model = committed.signed.model
    async with open_local(committed.home, Config()) as local:
        async with a_provider(committed, local, tmp_path / "circuits") as (provers, peer):
            offered = peer.ready.changed.count
            await until(lambda: provers.get(model))
            assert peer.ready.changed.count > offered  # an offer goes out
            us, size = peer.costs.of(model, "zk")
            assert us > 0
            assert size > committed.circuit.proof_bytes
            prover = provers.get(model)
            assert prover is not None
            assert prover.folder.path.exists()
            peer.ready.models.clear()
            peer.ready.changed.notify()
            await until(lambda: provers.get(model) is None)
            assert not prover.folder.path.exists()
        assert not (tmp_path / "circuits").exists()


async def test_a_circuit_that_does_not_work_here_is_not_offered(
    committed: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One with another key, one with another commitment: each is named, and the next is tried."""
    model, circuit = committed.signed.model, committed.circuit
    key = CircuitFile(blob=b"\1" * 32, size=circuit.key.size)
    later = circuit.created_ms
    bad: list[SignedCircuit] = [
        committed.sign(created_ms=later + 1, key=key),
        committed.sign(created_ms=later + 2, commitment=b"\1" * len(circuit.commitment)),
    ]
    async with open_local(committed.home, Config()) as local:
        for signed in bad:
            local.store.circuits.put(signed)
        async with a_provider(committed, local, tmp_path / "circuits") as (provers, _):
            await until(lambda: provers.get(model))
            prover = provers.get(model)
            assert prover is not None
            assert prover.signed == committed.registered
    assert "other weights than this model's" in caplog.text
    assert "not what this model gives" in caplog.text


async def test_one_that_is_not_ready_in_time_is_given_up(
    committed: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "PREPARING_SECONDS", 0.1)
    opening = open_local(committed.home, Config())
    async with opening as local, a_provider(committed, local, tmp_path / "circuits") as (provers, _):
        await until(lambda: "not ready to prove within" in caplog.text)
        assert provers.get(committed.signed.model) is None


async def test_without_ezkl_nothing_is_offered(fixed: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "installed", lambda: False)
    provers = Provers(cast("Peer", SimpleNamespace(ready=_Ready(fixed))), tmp_path / "circuits")
    await provers.run()  # it returns
    assert provers.get(fixed.signed.model) is None
