"""A benchmark's file checked from nothing but its bytes and the network file, like a receipt.

The signatures show who says so, the receipts that the provider did answer, with which backend and when, and arithmetic
that the figures do not contradict each other. How long an answer took on its way no signature can show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wire.benchmark import (
    MAX_BENCHMARK_FILE,
    Benchmark,
    BenchmarkFile,
    SignedBenchmark,
    check_figures,
    is_countersigned,
    read_benchmark,
    sample_hash,
)
from wire.canonical import decode
from wire.errors import RecordError
from wire.inference import SignedReceipt
from wire.keys import peer_id_of, recover
from wire.manifest import read_manifest
from wire.network import Network

from .checks import Check, equal


@dataclass(frozen=True, slots=True)
class BenchmarkReport:
    """What the file claims, whether all holds, and what trust is left. Claims of an invalid file prove nothing."""

    valid: bool
    benchmark: Benchmark
    model: str  # CID
    model_name: str | None
    provider_peer: str | None  # None when no receipt of the sample says which key the address belongs to
    countersigned: bool
    items_per_s: float
    checks: tuple[Check, ...]
    rests_on: tuple[str, ...]


def verify_benchmark(data: bytes, network: Network) -> BenchmarkReport:
    """The report on a benchmark's file; RecordError when `data` is none. Never another exception."""
    file = decode(data, BenchmarkFile, limit=MAX_BENCHMARK_FILE)
    benchmark = decode(file.benchmark.body, Benchmark)
    name, checks = _model(file, benchmark, network)
    countersigned = file.countersignature is not None
    checks = [
        *_network(file, network),
        *checks,
        _measurer(file.benchmark, network),
        _figures(benchmark),
        *([_countersignature(file, benchmark, network)] if countersigned else []),
        *_receipts(file.receipts, benchmark, network),
    ]
    valid = all(check.ok for check in checks)
    return BenchmarkReport(
        valid=valid,
        benchmark=benchmark,
        model=file.manifest.cid,
        model_name=name,
        provider_peer=_peer(file.receipts, network) if valid else None,
        countersigned=countersigned,
        items_per_s=benchmark.items * 1e6 / benchmark.duration_us if benchmark.duration_us else 0.0,
        checks=tuple(checks),
        rests_on=_rests_on(benchmark, countersigned, len(file.receipts)) if valid else (),
    )


def _network(file: BenchmarkFile, network: Network) -> list[Check]:
    other = f"the file is of network {file.network} (chain {file.chain_id}), not of {network.name} ({network.chain_id})"
    bound = "the file is bound to another contract than the network file"
    return [
        equal("network", (file.network, file.chain_id), (network.name, network.chain_id), other),
        equal("contract", file.contract, network.contract, bound),
    ]


def _model(file: BenchmarkFile, benchmark: Benchmark, network: Network) -> tuple[str | None, list[Check]]:
    try:
        manifest = read_manifest(file.manifest, network.domain, benchmark.model)
    except RecordError as error:
        return None, [Check("model", False, str(error))]
    name = f"{manifest.name}@{manifest.version}"
    return name, [Check("model", True, f"{name}, signed by its publisher")]


def _measurer(signed: SignedBenchmark, network: Network) -> Check:
    try:
        read_benchmark(signed, network.domain)
    except RecordError as error:
        return Check("measurer", False, str(error))
    return Check("measurer", True, "signed it")


def _figures(benchmark: Benchmark) -> Check:
    try:
        check_figures(benchmark)
    except RecordError as error:
        return Check("figures", False, str(error))
    return Check("figures", True, "do not contradict each other")


def _countersignature(file: BenchmarkFile, benchmark: Benchmark, network: Network) -> Check:
    signature = file.countersignature
    assert signature is not None
    ok = is_countersigned(file.benchmark, benchmark.provider, signature, network.domain)
    return Check("countersignature", ok, "the provider's" if ok else "not the provider's, or not for this network")


def _receipts(receipts: Sequence[SignedReceipt], benchmark: Benchmark, network: Network) -> list[Check]:
    """The sample is the one that was signed, and each receipt is one of those that the benchmark counts."""
    same = sample_hash(receipts, network.domain) == benchmark.sampled
    faults = (fault for receipt in receipts if (fault := _fault(receipt, benchmark, network)))
    wrong = next(faults, "")
    if not wrong and len({r.receipt.digest(network.domain) for r in receipts}) != len(receipts):
        wrong = "one receipt stands twice"
    if not wrong and not 0 < len(receipts) <= benchmark.requests:
        wrong = f"{len(receipts)} receipts for {benchmark.requests} requests"
    return [
        Check("sample", same, "the receipts that it names" if same else "these are not the receipts that it names"),
        Check("receipts", not wrong, wrong or f"{len(receipts)}, each signed by the provider for the measurer"),
    ]


def _fault(signed: SignedReceipt, benchmark: Benchmark, network: Network) -> str:
    receipt, runtime = signed.receipt, signed.receipt.runtime
    said = (receipt.provider, receipt.payer, receipt.model, receipt.tier, runtime.profile, runtime.backend)
    claimed = (
        benchmark.provider, benchmark.measurer, benchmark.model, benchmark.tier, benchmark.profile, benchmark.backend,
    )  # fmt: skip
    if said != claimed:
        return "a receipt is of another provider, payer, model, tier, profile or backend"
    if runtime.together > benchmark.together_max:
        return "a receipt is of a larger batch than the largest that is claimed"
    if not benchmark.begun_ms <= receipt.finished_ms <= benchmark.ended_ms:
        return "a receipt is from before or after the benchmark"
    return "" if signed.is_signed(network.domain) else "a receipt is not signed by the provider for this network"


def _peer(receipts: Sequence[SignedReceipt], network: Network) -> str:
    first = receipts[0]
    return peer_id_of(recover(first.receipt.digest(network.domain), first.signature))


def _rests_on(benchmark: Benchmark, countersigned: bool, sampled: int) -> tuple[str, ...]:
    count = f"{benchmark.requests} requests and {benchmark.items} items"
    return (
        f"The measurer and the provider, for {count}: both signed, and the provider counted its own answers."
        if countersigned
        else f"The measurer alone, for {count}: the provider signed the {sampled} receipts here, and not the rest.",
        "The measurer alone, for the latencies, for how many clients it had and for what was wrong.",
        "The provider alone, for which backend executed: it says so in every receipt.",
        "Both, for how many requests were executed together: receipts say so, and the measurer counted them.",
    )
