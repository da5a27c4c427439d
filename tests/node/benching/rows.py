"""Results of `bench`, made up."""

from __future__ import annotations

from typing import Any

from tests.verify.scenes import key_of

ALICE, BOB = key_of("alice").peer_id, key_of("bob").peer_id
CPU, CARD = "onnxruntime 1.31.1 on cpu", "tensorrt 11.0 on NVIDIA H200"


def step(peer: str = ALICE, clients: int = 8, **changes: Any) -> dict[str, Any]:
    return {
        "model": "bagaqihra", "name": "digits@1.0.0", "peer": peer, "tier": "signed", "clients": clients,
        "offered": CPU, "given_up": False, "share_of_direct": 0.871, "seconds": 2.0, "requests": 2400, "items": 2400,
        "items_per_s": 1234.5, "mean_items_per_s": 1200.0, "tokens_per_s": 0.0, "p50_us": 6500, "p99_us": 21_000,
        "max_us": 90_000, "compute_share": 0.62, "failed": 0, "failures": {}, "why_failed": "", "wrong": 0,
        "why_wrong": "", "sent_bytes": 5 << 20, "received_bytes": 9 << 10, "backends": {CPU: 2400}, "backend": CPU,
        "mixed": False, "batch_p50": 6, "batch_max": 8, "price_per_1000": 0, "countersigned": True, "unsigned": "",
        "benchmark": b"", "measurer_cpu": 0.3,
    } | changes  # fmt: skip


def loop(batch: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "batch": batch, "runs": 100, "items": 100 * batch, "items_per_s": 700.0 * batch, "mean_items_per_s": 690.0,
        "p50_us": 1400, "p99_us": 1700, "max_us": 2000, "backend": CPU, "why": "", "passed": {},
    } | changes  # fmt: skip


def model(**changes: Any) -> dict[str, Any]:
    return {
        "model": "bagaqihra", "name": "digits@1.0.0", "profile": "fp32", "inputs": 64, "shapes": ["x FP32 [1, 4]"],
        "reference": "this machine's own engine", "tier": "signed", "steps": [],
    } | changes  # fmt: skip
