"""Sampled answers of a scene, and the checks that verifiers made of them."""

from __future__ import annotations

from typing import Any

from tests.verify.scenes import NOW, SECRET, Scene, bent, key_of
from verify.sampling import panel
from verify.tiers.claim import Claim
from wire.audit import Audit, SampledEvidence, SignedAudit, sign_audit, ticket
from wire.certificate import Certificate
from wire.keys import NodeKey
from wire.network import Network
from wire.vote import Verdict

SCENE = Scene(tier="sampled", verifiers=8)
ALWAYS: Network = bent(SCENE.network, sample_bps=10_000)
NEVER: Network = bent(SCENE.network, sample_bps=0)
TICKET = ticket(SECRET, SCENE.receipt_digest)
PANEL = list(panel(ALWAYS, SCENE.request.request, TICKET))
KEYS = {key_of(f"verifier {i}").public: key_of(f"verifier {i}") for i in range(SCENE.verifiers)}
AUDITOR = KEYS[PANEL[0]]
OUTSIDER = next(key for public, key in KEYS.items() if public not in PANEL)


def audit(key: NodeKey = AUDITOR, verdict: Verdict = Verdict.ACCEPT, **changes: Any) -> SignedAudit:
    """A verifier's check of the scene's answer, with fields changed before it signs."""
    receipt = SCENE.receipt.receipt
    made = Audit(
        auditor=key.public,
        receipt=SCENE.receipt_digest,
        request=receipt.request,
        model=receipt.model,
        provider=receipt.provider,
        outputs=receipt.outputs if verdict == Verdict.ACCEPT else b"\x77" * 32,
        verdict=verdict,
        distance=0 if verdict == Verdict.ACCEPT else 12,
        checked_ms=NOW + 500,
    )
    return sign_audit(bent(made, **changes), key, SCENE.network.domain)


def evidence(*audits: SignedAudit, secret: bytes = SECRET) -> SampledEvidence:
    return SampledEvidence(secret=secret, audits=audits)


def claim(*audits: SignedAudit, network: Network = ALWAYS, secret: bytes = SECRET) -> Claim:
    """The scene's answer, with these checks of it."""
    certificate = Certificate(
        tier="sampled", receipt=SCENE.receipt_digest, sampled=evidence(*audits, secret=secret)
    )  # fmt: skip
    return bent_claim(SCENE.claim(certificate), network)


def bent_claim(made: Claim, network: Network) -> Claim:
    return Claim(
        network, made.manifest, made.request, made.receipt, made.certificate, made.ballots, made.inputs, made.outputs
    )
