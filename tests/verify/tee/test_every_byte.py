"""Receipt files of the rungs above `signed` and `quorum`, with one bit of a byte changed: never valid, never an error.
Those two are in tests/verify/test_report.py, tier `zk` in tests/zk."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.verify import lots
from tests.verify.scenes import Scene, bent
from tests.verify.tee import vendors
from tests.verify.tee.claims import DEV, NITRO, SNP, attested, claim
from verify import verify_file
from verify.policy import Policy
from verify.teepolicy import TeePolicy
from verify.tiers.claim import file_of
from verify.tiers.tee import read_quote
from wire.attestation import TeeKind
from wire.canonical import decode, encode
from wire.errors import RecordError
from wire.network import Network
from wire.receiptfile import MAX_RECEIPT_FILE, ReceiptFile
from wire.tier import Tier

Made = tuple[bytes, Network, Policy]


def of_tee(tier: Tier, kind: TeeKind, policy: TeePolicy) -> Callable[[], Made]:
    def make() -> Made:
        scene = Scene(tier=tier)
        file = file_of(claim(scene, attested(scene, kind)), scene.signed_manifest)
        return encode(file), scene.network, Policy(tee=policy)

    return make


def of_sampled() -> Made:
    return encode(file_of(lots.claim(lots.audit()), lots.SCENE.signed_manifest)), lots.ALWAYS, Policy()


# How many bytes on the next one to change stands: those of a chain take milliseconds each, so a third is looked at.
FILES: dict[str, tuple[Callable[[], Made], int]] = {
    "sampled": (of_sampled, 1),
    "tee, dev": (of_tee("tee", "dev", DEV), 1),
    "tee, nitro": (of_tee("tee", "nitro", NITRO), 3),
    "tee, snp": (of_tee("tee", "snp", SNP), 3),
    "tee+quorum": (of_tee("tee+quorum", "dev", DEV), 3),
    "tee+sampled": (of_tee("tee+sampled", "dev", DEV), 1),
}


@pytest.mark.parametrize(("make", "step"), FILES.values(), ids=FILES)
def test_a_flipped_byte_is_noticed_in_every_tier(
    make: Callable[[], Made], step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendors.trusted(monkeypatch)
    data, network, policy = make()
    assert verify_file(data, network, None, policy).valid
    reports, chance = 0, random.Random(1)
    for at in range(0, len(data), step):
        changed = bytearray(data)
        changed[at] ^= 1 << chance.randrange(8)
        try:
            report = verify_file(bytes(changed), network, None, policy)
        except RecordError:
            continue
        reports += 1
        if report.valid:
            assert says_the_same(data, bytes(changed)), f"byte {at}: {bytes(changed[max(0, at - 24) : at + 1])!r}"
    assert reports > len(data) // step // 3  # so the checks were reached, and not only the decoder


def says_the_same(data: bytes, changed: bytes) -> bool:
    """Whether only the packing of a vendor's certificate was changed (the count of unused bits behind its signature,
    say, which DER's readers pass over), and the hardware says what it said."""
    files = [decode(each, ReceiptFile, limit=MAX_RECEIPT_FILE) for each in (data, changed)]
    parts = [file.certificate.tee for file in files]
    assert parts[0] is not None
    assert parts[1] is not None
    if parts[1] != bent(parts[0], collateral=parts[1].collateral):
        return False
    facts = [read_quote(part.kind, part.quote, part.collateral, vendors.SECONDS) for part in parts if part]
    bare = [bent(file, certificate=bent(file.certificate, tee=None)) for file in files]
    return facts[0] == facts[1] and bare[0] == bare[1]
