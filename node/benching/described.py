"""A benchmark's report as plain values, for screens and for whoever asks about a model."""

from __future__ import annotations

from typing import Any

from verify.benchmark import BenchmarkReport, verify_benchmark
from wire.keys import show_address
from wire.network import Network

from .backend import show_backend


def valid_ones(files: list[bytes], network: Network) -> list[dict[str, Any]]:
    """Those of the benchmarks' files that hold, in their order."""
    return [describe(report) for data in files if (report := verify_benchmark(data, network)).valid]


def describe(report: BenchmarkReport) -> dict[str, Any]:
    """The report as plain values."""
    b = report.benchmark
    return {
        "kind": "benchmark",
        "valid": report.valid,
        "model": report.model,
        "model_name": report.model_name,
        "provider": report.provider_peer,
        "provider_address": show_address(b.provider),
        "measurer": show_address(b.measurer),
        "countersigned": report.countersigned,
        "tier": b.tier,
        "backend": show_backend(b.backend),
        "clients": b.concurrency,
        "requests": b.requests,
        "items": b.items,
        "items_per_s": round(report.items_per_s, 3),
        "seconds": b.duration_us / 1e6,
        "p50_us": b.p50_us,
        "p99_us": b.p99_us,
        "max_us": b.max_us,
        "batch_p50": b.together_p50,
        "batch_max": b.together_max,
        "failed": b.failed,
        "wrong": b.wrong,
        "measured_ms": b.measured_ms,
        "checks": [{"name": c.name, "ok": c.ok, "detail": c.detail} for c in report.checks],
        "rests_on": list(report.rests_on),
    }
