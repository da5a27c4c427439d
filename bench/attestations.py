"""How long a client takes to check an attestation of each kind, on the vendors' public samples, as of a time of theirs.

The first one of a process also loads its vendor's library; that is shown apart. `all checks` is what `hallmark infer`
and `hallmark verify` do for tier `tee` besides: challenge, key, model, binding and policy, with a development quote.

    python -m bench.attestations [--json] [--rounds 200] [--samples ../shared/vectors/tee]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TypedDict

from bench.networks import NETWORK
from verify.teepolicy import ANYTHING
from verify.tiers.tee import Occasion, check_attestation, dcap, nitro, nvidia, snp
from wire.attestation import (
    AmdCollateral,
    Bound,
    Challenge,
    GpuEvidence,
    TeeEvidence,
    TeeKind,
    sign_challenge,
    sign_dev_quote,
)
from wire.canonical import encode
from wire.keys import NodeKey
from wire.modelset import path_of, root_of

INTEL_AT, NITRO_AT, LATER = 1_752_000_000, 1_668_034_321, 1_700_000_000


class Row(TypedDict):
    """One kind's figures: milliseconds, and the bytes that travel."""

    kind: str
    bytes: int
    first_ms: float
    p50_ms: float
    cpu_ms: float  # the median of this thread's own time, which other work on the machine does not lengthen


def measure(kind: str, size: int, check: Callable[[], object], rounds: int) -> Row:
    """The figures of one check."""
    times, own = [], []
    for _ in range(rounds + 1):
        began, busy = time.perf_counter(), time.thread_time()
        check()
        times.append((time.perf_counter() - began) * 1000)
        own.append((time.thread_time() - busy) * 1000)
    return Row(kind=kind, bytes=size, first_ms=times[0], p50_ms=median(times[1:]), cpu_ms=median(own[1:]))


def intel(samples: Path, kind: TeeKind, rounds: int) -> Row:
    """SGX or TDX."""
    quote = (samples / f"dcap/{kind}_quote").read_bytes()
    collateral = dcap.read_collateral((samples / f"dcap/{kind}_quote_collateral.json").read_bytes())
    size = len(quote) + len(encode(collateral))
    return measure(kind, size, lambda: dcap.read_intel(kind, quote, collateral, INTEL_AT), rounds)


def others(samples: Path, rounds: int) -> list[Row]:
    """AWS, AMD, NVIDIA."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    document = (samples / "nitro/aws_nitro_document.cbor").read_bytes()
    report = bytes.fromhex((samples / "snp/report_milan.hex").read_text())
    ask = x509.load_pem_x509_certificate((samples / "snp/milan_ask.pem").read_bytes()).public_bytes(Encoding.DER)
    amd = AmdCollateral(ask=ask, vcek=(samples / "snp/vcek_milan.der").read_bytes())
    exchange = bytes.fromhex((samples / "nvidia/hopperAttestationReport.txt").read_text())
    card = GpuEvidence(report=exchange, chain=(samples / "nvidia/hopperCertChain.txt").read_bytes())
    nonce = exchange[4:36]
    return [
        measure("nitro", len(document), lambda: nitro.read_nitro(document, NITRO_AT), rounds),
        measure("snp", len(report) + len(encode(amd)), lambda: snp.read_snp(report, amd, LATER), rounds),
        measure("nvidia card", len(encode(card)), lambda: nvidia.read_card(card, nonce, LATER), rounds),
    ]


def whole(rounds: int) -> Row:
    """Every check of the rung, over a set of 64 models; each round at another second, so that nothing is remembered."""
    provider, payer, attester = (NodeKey(bytes([n]) * 32) for n in (1, 2, 3))
    models = [bytes([n]) * 32 for n in range(64)]
    asked = Challenge(asker=payer.address, provider=provider.address, nonce=bytes(32), issued_ms=LATER * 1000)
    bound = Bound(key=provider.public, runtime=bytes(32), models=root_of(models))
    data = bound.report_data(asked.digest(NETWORK.domain))
    evidence = TeeEvidence(
        kind="dev",
        challenge=sign_challenge(asked, payer, NETWORK.domain),
        bound=bound,
        path=path_of(models, models[7]),
        quote=encode(sign_dev_quote(bytes(32), data, attester)),
        collateral=None,
    )
    seconds = iter(range(rounds + 1))

    def check() -> None:
        occasion = Occasion(
            network=NETWORK, provider=provider.address, payer=payer.address, model=models[7],
            at_ms=(LATER + next(seconds)) * 1000, on_card=False,
        )  # fmt: skip
        assert all(c.ok for c in check_attestation(evidence, occasion, ANYTHING))

    return measure("dev, all checks", len(encode(evidence)), check, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--samples", type=Path, default=Path(__file__).parents[2] / "shared/vectors/tee")
    given = parser.parse_args()
    rows = [whole(given.rounds)]
    if given.samples.exists():
        rows = [*(intel(given.samples, kind, given.rounds) for kind in ("tdx", "sgx")),
                *others(given.samples, given.rounds), *rows]  # fmt: skip
    else:
        print(f"the vendors' public samples are not in {given.samples}", file=sys.stderr)
    if given.json:
        print(json.dumps(rows))
        return
    print("| kind | bytes | first, ms | p50 ms | CPU ms |\n|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['kind']} | {row['bytes']:,} | {row['first_ms']:.1f} | {row['p50_ms']:.2f} | {row['cpu_ms']:.2f} |"
        )


if __name__ == "__main__":
    main()
