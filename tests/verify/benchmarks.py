"""Benchmark files for tests, over the receipts of a `Scene`."""

from __future__ import annotations

from typing import Any

from tests.verify.scenes import NOW, Scene, bent
from wire.benchmark import Benchmark, BenchmarkFile, countersign, sample_hash, sign_benchmark
from wire.inference import SignedReceipt

SCENE = Scene(tier="signed")
DOMAIN = SCENE.network.domain
MODEL = SCENE.signed_manifest.model


def receipts(count: int) -> tuple[SignedReceipt, ...]:
    """The provider's receipts for as many different requests of the payer, a tenth of a second apart, two at once."""
    runtime = bent(SCENE.receipt.receipt.runtime, together=2)
    return tuple(
        SCENE.answer(nonce=bytes([n]) * 32, runtime=runtime, started_ms=NOW + 100 * n, finished_ms=NOW + 100 * n + 20)
        for n in range(count)
    )


def benchmark(**changes: Any) -> Benchmark:
    """Two clients, ten answers in a second, of which the five receipts are a sample."""
    receipt = SCENE.receipt.receipt
    made = Benchmark(
        model=MODEL,
        measurer=SCENE.payer.address,
        provider=SCENE.provider.address,
        tier="signed",
        profile=receipt.runtime.profile,
        backend=receipt.runtime.backend,
        concurrency=2,
        requests=10,
        items=10,
        failed=1,
        wrong=0,
        duration_us=1_000_000,
        p50_us=100_000,
        p99_us=150_000,
        max_us=160_000,
        together_p50=2,
        together_max=2,
        inputs=bytes(32),
        sampled=sample_hash(receipts(5), DOMAIN),
        begun_ms=NOW,
        ended_ms=NOW + 900,
        measured_ms=NOW + 1000,
    )
    return bent(made, **changes)


def file(about: Benchmark | None = None, *, countersigned: bool = True, **changes: Any) -> BenchmarkFile:
    """The file of a benchmark, signed by the payer, whom the scene's provider answered."""
    signed = sign_benchmark(about or benchmark(), SCENE.payer, DOMAIN)
    made = BenchmarkFile(
        format=1,
        network=SCENE.network.name,
        chain_id=DOMAIN.chain_id,
        contract=DOMAIN.contract,
        manifest=SCENE.signed_manifest,
        benchmark=signed,
        countersignature=countersign(signed, SCENE.provider, DOMAIN) if countersigned else None,
        receipts=receipts(5),
    )
    return bent(made, **changes)
