"""The one door to all evidence: each rung of the tier that was asked for is proved, and nothing else is claimed."""

from __future__ import annotations

import pytest

from tests.verify.scenes import SECRET, Scene, bent
from verify.ladder import check_evidence, check_expected
from verify.policy import STRICT, Policy, QuorumPolicy, SampledPolicy
from verify.tiers.claim import Claim, claim_of, file_of
from wire.audit import SampledEvidence
from wire.canonical import decode, encode
from wire.certificate import Certificate
from wire.receiptfile import ReceiptFile
from wire.tier import Tier

SIGNED, QUORUM = Scene(tier="signed"), Scene()


def failing(claim: Claim) -> set[str]:
    return {c.name for c in check_evidence(claim) if not c.ok}


@pytest.mark.parametrize("scene", [SIGNED, QUORUM], ids=["signed", "quorum"])
def test_an_honest_answer_is_proved_before_and_after_it_was_a_file(scene: Scene) -> None:
    claim = scene.claim()
    assert failing(claim) == set()
    file = decode(encode(file_of(claim, scene.signed_manifest)), ReceiptFile)
    again = claim_of(file, scene.network, scene.manifest, scene.outputs)
    assert failing(again) == set()
    assert again.digest == claim.digest == scene.receipt_digest


@pytest.mark.parametrize("tier", ["tee+quorum", "tee+sampled"])
def test_half_of_a_joined_tier_proves_nothing(tier: Tier) -> None:
    """A true quorum, and a payer's true secret: without the other rung's evidence the tier is not proved."""
    scene = Scene(tier=tier)
    assert scene.certificate().tee is None
    assert "evidence" in failing(scene.claim())


def test_a_rung_of_a_joined_tier_does_not_pass_for_the_tier() -> None:
    scene = Scene(tier="tee+quorum")
    for tier in ("quorum", "tee", "signed"):
        assert "certificate tier" in failing(scene.claim(bent(scene.certificate(), tier=tier)))
    joined = bent(QUORUM.certificate(), tier="tee+quorum")  # and it is no more than was asked for either
    assert failing(QUORUM.claim(joined)) == {"certificate tier"}


MORE: list[tuple[Scene, Certificate]] = [
    (SIGNED, bent(SIGNED.certificate(), quorum=QUORUM.certificate().quorum)),
    (SIGNED, bent(SIGNED.certificate(), sampled=SampledEvidence(secret=SECRET, audits=()))),
    (QUORUM, bent(QUORUM.certificate(), sampled=SampledEvidence(secret=SECRET, audits=()))),
]


@pytest.mark.parametrize(("scene", "certificate"), MORE, ids=["signed, quorum", "signed, sampled", "quorum, sampled"])
def test_a_part_that_was_not_asked_for_makes_the_whole_void(scene: Scene, certificate: Certificate) -> None:
    assert failing(scene.claim(certificate)) == {"no other evidence"}


def test_ballots_that_were_not_asked_for_make_the_whole_void() -> None:
    assert failing(SIGNED.claim(ballots=QUORUM.ballots())) == {"no other evidence"}


REFUSED = [
    (SIGNED, Policy(tiers=("quorum",)), "policy: tier"),
    (Scene(tier="sampled"), Policy(sampled=SampledPolicy(probability=0.9)), "policy: probability"),
    (Scene(tier="tee+sampled"), Policy(sampled=SampledPolicy(probability=0.9)), "policy: probability"),
    (QUORUM, Policy(quorum=QuorumPolicy(committee=5)), "policy: committee"),
    (QUORUM, Policy(quorum=QuorumPolicy(weight=5)), "policy: weight"),
    (Scene(tier="tee+quorum"), Policy(quorum=QuorumPolicy(tolerance=1e-6)), "policy: tolerance"),
]


@pytest.mark.parametrize(("scene", "policy", "rule"), REFUSED, ids=[rule for _, _, rule in REFUSED])
def test_what_a_policy_is_sure_to_refuse_is_known_before_anybody_is_asked(
    scene: Scene, policy: Policy, rule: str
) -> None:
    """The same rule in both places: no input leaves for an answer that would be refused when it comes."""
    before = {c.name for c in check_expected(scene.network, scene.request, scene.manifest, policy) if not c.ok}
    assert before == {rule}
    assert rule in {c.name for c in check_evidence(scene.claim(), policy) if not c.ok}
    assert all(c.ok for c in check_expected(scene.network, scene.request, scene.manifest, STRICT))


def test_a_committee_of_one_that_a_payer_asks_for_is_refused_before_it_is_asked() -> None:
    """Who asks for `quorum:1` has to say in the policy that it will do."""
    asked, one = QUORUM.ask(committee=1), Policy(quorum=QuorumPolicy(committee=1))
    failed = [c for c in check_expected(QUORUM.network, asked, QUORUM.manifest, STRICT) if not c.ok]
    assert [c.name for c in failed] == ["policy: committee"]
    assert all(c.ok for c in check_expected(QUORUM.network, asked, QUORUM.manifest, one))
