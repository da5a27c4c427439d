"""Claims of tier `tee` to bend: a scene's answer, attested by an environment of our own making."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.verify.scenes import NOW, Scene, bent, key_of, some_hash
from tests.verify.tee import vendors
from verify.checks import Check
from verify.ladder import check_evidence
from verify.policy import Policy
from verify.teepolicy import TeePolicy
from verify.tiers.claim import Claim
from wire.attestation import (
    Bound,
    Challenge,
    SignedChallenge,
    TeeEvidence,
    TeeKind,
    gpu_nonce,
    sign_challenge,
    sign_dev_quote,
)
from wire.canonical import encode
from wire.modelset import path_of, root_of

RUNTIME = some_hash("runtime")
ASKED = NOW - 60_000
OTHERS = (some_hash("a model"), some_hash("another model"))
DEV = TeePolicy(kinds=("dev",), measurements=(RUNTIME.hex(),))
SNP = TeePolicy(kinds=("snp",), measurements=(vendors.IMAGE.hex(),), snp_levels=vendors.LEVELS)  # type: ignore[arg-type]
NITRO = TeePolicy(kinds=("nitro",), measurements=(vendors.IMAGE.hex(),))


def challenge(scene: Scene, by: str = "payer", **changes: Any) -> SignedChallenge:
    """The payer's wish for a fresh quote, a minute before the answer."""
    asked = Challenge(
        asker=key_of(by).address, provider=scene.provider.address, nonce=some_hash("nonce"), issued_ms=ASKED
    )
    return sign_challenge(bent(asked, **changes), key_of(by), scene.network.domain)


def bound(scene: Scene, models: Sequence[bytes] | None = None) -> Bound:
    held = (*OTHERS, scene.signed_manifest.model) if models is None else models
    return Bound(key=scene.provider.public, runtime=RUNTIME, models=root_of(held))


def attested(
    scene: Scene,
    kind: TeeKind = "dev",
    *,
    asked: SignedChallenge | None = None,
    about: Bound | None = None,
    card: bool = False,
    **quoting: Any,
) -> TeeEvidence:
    """Evidence that holds, unless what it is made of was bent; `quoting` goes to the maker of the quote."""
    asked, about = asked or challenge(scene), about or bound(scene)
    data = about.report_data(asked.challenge.digest(scene.network.domain))
    if kind == "snp":
        quote, collateral = vendors.snp_report(data, **quoting), vendors.snp_collateral()
    elif kind == "nitro":
        quote, collateral = vendors.nitro_document(data, **({"at_ms": ASKED} | quoting)), None
    else:
        quote, collateral = encode(sign_dev_quote(RUNTIME, data, key_of("attester"))), None
    model = scene.signed_manifest.model
    return TeeEvidence(
        kind=kind,
        challenge=asked,
        bound=about,
        path=path_of((*OTHERS, model), model),
        quote=quote,
        collateral=collateral,
        gpu=vendors.card_evidence(gpu_nonce(data)) if card else None,
    )


def claim(scene: Scene, evidence: TeeEvidence | None) -> Claim:
    return scene.claim(bent(scene.certificate(), tee=evidence))


def failing(scene: Scene, evidence: TeeEvidence | None, policy: TeePolicy = DEV) -> list[Check]:
    """What does not hold."""
    return [c for c in check_evidence(claim(scene, evidence), Policy(tee=policy)) if not c.ok]


def names(checks: Sequence[Check]) -> list[str]:
    return [c.name for c in checks]
