"""How long a quorum certificate takes to make and to check, and how many bytes it is, for 4, 16 and 64 signers.

Both forms, side by side: half-aggregated, and (`musig2`) signed once more by all signers together. Making the latter
counts the signers' own work as well, all on one core; checking it, the adding up of a committee's keys, which for a
committee that comes again is remembered.

Beside it stands the floor: verifying the same signers' BIP340 signatures one by one, which is what a certificate
replaces. Half-aggregation halves the bytes; it can't be faster than one multiplication a point, of which it has two.

    python -m bench.certificates [--json] [--rounds 50]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from statistics import median
from typing import TypedDict

from verify import halfagg
from verify.musig import Group, SecretNonce, Signing, add_nonces
from wire.eip712 import keccak256
from wire.keys import NodeKey, schnorr_signed_by


class Row(TypedDict):
    """One committee's figures; times are medians in milliseconds."""

    signers: int
    bytes: int
    list_bytes: int
    make_ms: float
    verify_ms: float
    musig_bytes: int
    musig_make_ms: float
    musig_verify_ms: float
    floor_ms: float


def measure(signers: int, rounds: int) -> Row:
    """The figures for `signers` votes on one receipt."""
    digest = keccak256(b"a vote")
    keys = [NodeKey(keccak256(b"signer %d" % i)) for i in range(signers)]
    signatures = [(key.public[1:], digest, key.sign_schnorr(digest)) for key in keys]
    pairs = [(key, message) for key, message, _ in signatures]
    aggregate = halfagg.aggregate(signatures)

    everybody = [NodeKey(keccak256(b"signer %d" % i)) for i in range(signers)]
    together = tuple(key.public for key in everybody)

    def cosign() -> bytes:
        group = Group(together)
        nonces = [SecretNonce(key, digest, group) for key in everybody]
        signing = Signing(group, digest, add_nonces([nonce.public for nonce in nonces]))
        parts = [nonce.sign(key, signing.nonces) for nonce, key in zip(nonces, everybody, strict=True)]
        if not all(signing.fits(p, n.public, k) for p, n, k in zip(parts, nonces, together, strict=True)):
            raise SystemExit("a part did not fit: these figures would mean nothing")
        return signing.finish(parts)

    cosigned = cosign()

    def one_by_one() -> bool:
        return all(schnorr_signed_by(b"\x02" + key, message, signature) for key, message, signature in signatures)

    return Row(
        signers=signers,
        bytes=(signers + 7) // 8 + len(aggregate),
        list_bytes=(signers + 7) // 8 + 64 * signers,
        make_ms=_median_ms(lambda: halfagg.aggregate(signatures) == aggregate, rounds),
        verify_ms=_median_ms(lambda: halfagg.verify(aggregate, pairs), rounds),
        musig_bytes=(signers + 7) // 8 + len(cosigned),
        musig_make_ms=_median_ms(lambda: bool(cosign()), max(3, rounds // 10)),
        musig_verify_ms=_median_ms(lambda: Group(together).signed(digest, cosigned), rounds),
        floor_ms=_median_ms(one_by_one, rounds),
    )


def _median_ms(work: Callable[[], bool], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        good = work()
        times.append((time.perf_counter() - started) * 1000)
        if not good:
            raise SystemExit("what was measured did not verify: these figures would mean nothing")
    return round(median(times), 3)


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--rounds", type=int, default=50, help="repetitions of each measurement")
    options = parser.parse_args()
    rows = [measure(signers, options.rounds) for signers in (4, 16, 64)]
    if options.json:
        print(json.dumps(rows))
        return
    print("signers  bytes  (as a list)  make ms  verify ms  musig2: bytes  make ms  verify ms  floor: one by one, ms")
    for row in rows:
        print(
            f"{row['signers']:>7}  {row['bytes']:>5}  {row['list_bytes']:>11}  {row['make_ms']:>7.2f}  "
            f"{row['verify_ms']:>9.2f}  {row['musig_bytes']:>13}  {row['musig_make_ms']:>7.2f}  "
            f"{row['musig_verify_ms']:>9.2f}  {row['floor_ms']:>21.2f}"
        )


if __name__ == "__main__":
    main()
