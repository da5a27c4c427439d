"""The vendors' public samples, each with a time at which it holds. They are not shipped: tests that need one skip."""

from __future__ import annotations

from pathlib import Path

import pytest

from verify.tiers.tee import dcap
from wire.attestation import AmdCollateral, GpuEvidence, IntelCollateral, TeeKind

FOLDER = Path(__file__).parents[4] / "shared/vectors/tee"
INTEL_AT, NITRO_AT, NITRO_DEBUG_AT, LATER = 1_752_000_000, 1_668_034_321, 1_665_582_607, 1_700_000_000
MONTH = 31 * 24 * 3600

needed = pytest.mark.skipif(not FOLDER.exists(), reason=f"the vendors' public samples are not in {FOLDER}")


def sample(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def intel(kind: TeeKind) -> tuple[bytes, IntelCollateral]:
    """A quote of `sgx` or `tdx`, and the collateral of its platform."""
    return sample(f"dcap/{kind}_quote"), dcap.read_collateral(sample(f"dcap/{kind}_quote_collateral.json"))


def snp() -> tuple[bytes, AmdCollateral]:
    """Milan's report and certificates."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    ask = x509.load_pem_x509_certificate(sample("snp/milan_ask.pem")).public_bytes(Encoding.DER)
    report = bytes.fromhex(sample("snp/report_milan.hex").decode())
    return report, AmdCollateral(ask=ask, vcek=sample("snp/vcek_milan.der"))


def card() -> tuple[GpuEvidence, bytes]:
    """A Hopper's evidence, and its nonce."""
    report = bytes.fromhex(sample("nvidia/hopperAttestationReport.txt").decode())
    return GpuEvidence(report=report, chain=sample("nvidia/hopperCertChain.txt")), report[4:36]
