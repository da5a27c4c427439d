"""The rung `tee` against those who have a quote, but not the right one."""

from __future__ import annotations

import subprocess
import sys
from functools import cached_property

import pytest
from typing_extensions import override

from tests.verify.scenes import NOW, Scene, bent, key_of, some_hash
from tests.verify.tee import claims, vendors
from tests.verify.tee.claims import DEV, NITRO, RUNTIME, SNP, attested, bound, challenge, claim, failing, names
from tests.verify.tee.samples import INTEL_AT, intel, needed
from verify.ladder import check_evidence, rests_on
from verify.policy import Policy
from verify.report import verify_file
from verify.teepolicy import TeePolicy
from verify.tiers import tee
from verify.tiers.claim import file_of
from verify.tiers.tee.dcap import read_intel
from wire.canonical import encode
from wire.inference import Backend, SignedReceipt
from wire.modelset import path_of, root_of
from wire.network import Network

SCENE = Scene(tier="tee")


@pytest.fixture
def _own_vendors(monkeypatch: pytest.MonkeyPatch) -> None:
    vendors.trusted(monkeypatch)


own_vendors = pytest.mark.usefixtures("_own_vendors")


def test_an_attested_answer_holds_under_a_policy_that_takes_it() -> None:
    assert failing(SCENE, attested(SCENE)) == []


@own_vendors
def test_amds_and_awss_formats_hold_from_end_to_end() -> None:
    assert failing(SCENE, attested(SCENE, "snp"), SNP) == []
    assert failing(SCENE, attested(SCENE, "nitro"), NITRO) == []


def test_a_development_attesters_answer_is_refused_by_default_and_named() -> None:
    (refused,) = [c for c in check_evidence(claim(SCENE, attested(SCENE))) if not c.ok]
    assert (refused.name, refused.detail[-11:]) == ("policy: TEE kind", "this is dev")


@own_vendors
def test_by_default_no_software_is_trusted() -> None:
    policy = TeePolicy(snp_levels=vendors.LEVELS)  # type: ignore[arg-type]
    assert names(failing(SCENE, attested(SCENE, "snp"), policy)) == ["policy: TEE measurement"]


def test_no_attestation_is_no_proof() -> None:
    assert names(failing(SCENE, None)) == ["evidence"]


def test_a_quote_of_another_nodes_key_is_refused() -> None:
    """A thief shows an honest provider's evidence for its own receipts, or puts its own key into it."""
    honest = attested(SCENE)
    thief = key_of("thief")
    theirs = attested(SCENE, about=bent(bound(SCENE), key=thief.public))
    assert names(failing(SCENE, theirs)) == ["TEE key"]
    swapped = bent(honest, bound=bent(honest.bound, key=thief.public))
    assert names(failing(SCENE, swapped)) == ["TEE key", "TEE binding"]


@pytest.mark.parametrize("seconds", [3601, 30 * 24 * 3600])
def test_a_stale_challenge_is_refused(seconds: int) -> None:
    asked = challenge(SCENE, issued_ms=NOW - seconds * 1000)
    assert names(failing(SCENE, attested(SCENE, asked=asked))) == ["policy: TEE fresh"]


def test_a_challenge_from_after_the_answer_is_refused() -> None:
    asked = challenge(SCENE, issued_ms=NOW + 31_000)
    assert names(failing(SCENE, attested(SCENE, asked=asked))) == ["policy: TEE fresh"]


def test_a_challenge_cannot_be_dated_anew() -> None:
    """Whoever holds a stale quote changes the time in it: the payer's signature no longer holds, nor does the quote."""
    stale = challenge(SCENE, issued_ms=NOW - 9_000_000)
    evidence = attested(SCENE, asked=stale)
    fresh = bent(stale, challenge=bent(stale.challenge, issued_ms=NOW))
    assert names(failing(SCENE, bent(evidence, challenge=fresh))) == ["TEE challenge", "TEE binding"]


def test_a_nonce_that_the_payer_did_not_choose_is_refused_unless_the_policy_takes_it() -> None:
    heartbeat = attested(SCENE, asked=challenge(SCENE, by="provider"))
    assert names(failing(SCENE, heartbeat)) == ["policy: TEE nonce"]
    assert failing(SCENE, heartbeat, TeePolicy(kinds=("dev",), measurements=("any",), asked_by="anyone")) == []


def test_a_challenge_to_another_provider_is_refused() -> None:
    asked = challenge(SCENE, provider=key_of("another").address)
    assert names(failing(SCENE, attested(SCENE, asked=asked))) == ["TEE challenge"]


@own_vendors
def test_a_debug_enclave_is_refused_whatever_the_policy() -> None:
    assert names(failing(SCENE, attested(SCENE, "snp", debug=True), SNP)) == ["TEE debug"]
    anything = TeePolicy(kinds=("nitro",), measurements=("any",))
    assert names(failing(SCENE, attested(SCENE, "nitro", pcr0=bytes(48)), anything)) == ["TEE debug"]


@own_vendors
def test_other_software_is_refused() -> None:
    evidence = attested(SCENE, "nitro", pcr0=b"\x43" * 48)
    assert names(failing(SCENE, evidence, NITRO)) == ["policy: TEE measurement"]


def test_a_model_that_was_not_attested_is_refused() -> None:
    """The set is another one, or the path is of a neighbour of the model's."""
    others = attested(SCENE, about=bound(SCENE, claims.OTHERS))
    assert names(failing(SCENE, others)) == ["TEE model"]
    model = SCENE.signed_manifest.model
    astray = bent(attested(SCENE), path=path_of((*claims.OTHERS, model), claims.OTHERS[0]))
    assert names(failing(SCENE, astray)) == ["TEE model"]
    swapped = bent(attested(SCENE), bound=bent(bound(SCENE), models=root_of([model])), path=path_of([model], model))
    assert names(failing(SCENE, swapped)) == ["TEE binding"]


def test_another_runtime_than_was_attested_is_refused() -> None:
    lied = bent(attested(SCENE), bound=bent(bound(SCENE), runtime=some_hash("a better one")))
    assert names(failing(SCENE, lied)) == ["TEE binding"]


class _Elsewhere(Scene):
    """The same people on another network."""

    @cached_property
    @override
    def network(self) -> Network:
        return bent(super().network, chain_id=1)


def test_a_quote_does_not_travel_to_another_network() -> None:
    elsewhere = _Elsewhere(tier="tee")
    assert names(failing(SCENE, attested(elsewhere))) == ["TEE challenge", "TEE binding"]
    resigned = bent(attested(elsewhere), challenge=challenge(SCENE))
    assert names(failing(SCENE, resigned)) == ["TEE binding"]


@own_vendors
def test_a_quote_made_before_its_challenge_is_refused_where_the_vendor_signs_the_time() -> None:
    early = attested(SCENE, "nitro", at_ms=claims.ASKED - 31_000)
    assert names(failing(SCENE, early, NITRO)) == ["TEE time"]


@own_vendors
def test_certificates_are_judged_as_of_the_answer() -> None:
    expired = bent(attested(SCENE, "snp"), collateral=vendors.snp_collateral(until=-1))
    assert names(failing(SCENE, expired, SNP)) == ["TEE quote"]
    assert failing(SCENE, bent(expired, collateral=vendors.snp_collateral(until=2)), SNP) == []


@own_vendors
def test_a_reports_firmware_and_chip_are_those_of_its_key() -> None:
    better = attested(SCENE, "snp", levels=(9, 9, 9, 255))
    (wrong,) = failing(SCENE, better, SNP)
    assert (wrong.name, "TCB" in wrong.detail) == ("TEE quote", True)
    (wrong,) = failing(SCENE, attested(SCENE, "snp", chip=b"\x78" * 64), SNP)
    assert "another chip" in wrong.detail
    assert names(failing(SCENE, attested(SCENE, "snp"), TeePolicy(kinds=("snp",), measurements=("any",)))) == [
        "policy: TEE firmware"
    ]


@own_vendors
def test_a_certificate_that_is_no_authoritys_signs_nothing() -> None:
    """An enclave's own key issues a certificate for a key of its owner's."""
    leaf = vendors.issue("enclave", "someone", ca=False)
    middle = vendors.issue("someone", "own-nitro", ca=False)
    bundle = [vendors.der(vendors.issue("own-nitro", "own-nitro", ca=True)), vendors.der(middle)]
    forged = attested(SCENE, "nitro", leaf=leaf, cabundle=bundle)
    (wrong,) = failing(SCENE, forged, NITRO)
    assert "may not sign" in wrong.detail
    middle = vendors.issue("someone", "own-nitro", ca=True)
    assert failing(SCENE, attested(SCENE, "nitro", leaf=leaf, cabundle=[bundle[0], vendors.der(middle)]), NITRO) == []


class _OnCard(Scene):
    """The answer was executed on a card."""

    @cached_property
    @override
    def receipt(self) -> SignedReceipt:
        runtime = super().answer().receipt.runtime
        card = Backend(name="tensorrt", version="11", device="H100", compute_capability="9.0")
        return self.answer(runtime=bent(runtime, backend=card))


@own_vendors
def test_a_card_that_executes_has_to_attest_itself_or_be_allowed_not_to() -> None:
    scene = _OnCard(tier="tee")
    assert names(failing(scene, attested(scene))) == ["policy: TEE card"]
    assert failing(scene, attested(scene, card=True)) == []
    lenient = TeePolicy(kinds=("dev",), measurements=("any",), unattested_card=True)
    assert failing(scene, attested(scene), lenient) == []


@own_vendors
def test_a_cards_report_does_not_serve_another_quote() -> None:
    evidence = attested(SCENE, card=True)
    other = attested(SCENE, asked=challenge(SCENE, nonce=some_hash("later")), card=True)
    assert names(failing(SCENE, bent(evidence, gpu=other.gpu))) == ["TEE card"]


@pytest.mark.parametrize("tier", ["signed", "quorum", "zk", "tee+quorum"])
def test_tee_evidence_is_for_no_other_tier(tier: str) -> None:
    other = Scene(tier=tier)  # type: ignore[arg-type]
    certificate = bent(SCENE.certificate(), tee=attested(SCENE), receipt=other.receipt_digest)
    assert not all(c.ok for c in check_evidence(other.claim(certificate, ()), Policy(tee=DEV)))


def test_joined_with_a_quorum_both_have_to_hold() -> None:
    scene = Scene(tier="tee+quorum")
    whole = claim(scene, attested(scene))
    assert all(c.ok for c in check_evidence(whole, Policy(tee=DEV)))
    assert names(failing(scene, None)) == ["evidence"]
    bare = scene.claim(bent(scene.certificate(), tee=attested(scene), quorum=None))
    assert not all(c.ok for c in check_evidence(bare, Policy(tee=DEV)))
    assert any("committee" in s for s in rests_on(whole))
    assert any("DEV" in s for s in rests_on(whole))


def test_joined_with_sampling_both_have_to_hold() -> None:
    scene = Scene(tier="tee+sampled")
    assert failing(scene, attested(scene)) == []
    assert names(failing(scene, None)) == ["evidence"]
    unsampled = scene.claim(bent(scene.certificate(), tee=attested(scene), sampled=None))
    assert not all(c.ok for c in check_evidence(unsampled, Policy(tee=DEV)))


def test_who_reads_no_quote_pays_for_no_library() -> None:
    code = "import sys, verify; print(sorted({'dcap_qvl', 'cbor2', 'cryptography'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


@needed
def test_a_real_quote_is_about_nothing_of_ours() -> None:
    """Intel's sample, genuine, in a receipt of our own: the 64 bytes are others'."""
    quote, collateral = intel("tdx")
    evidence = bent(attested(SCENE), kind="tdx", quote=quote, collateral=collateral)
    policy = TeePolicy(traits=("dynamic-platform", "cached-keys", "smt"), measurements=("any",))
    assert names(failing(SCENE, evidence, policy)) == ["TEE quote"]  # its collateral has expired by then


def test_a_file_of_this_tier_is_checked_offline_and_says_what_it_rests_on() -> None:
    file = encode(file_of(claim(SCENE, attested(SCENE)), SCENE.signed_manifest))
    assert not verify_file(file, SCENE.network).valid
    report = verify_file(file, SCENE.network, policy=Policy(tee=DEV))
    assert report.valid
    assert {"TEE challenge", "TEE key", "TEE model", "TEE quote", "TEE binding", "TEE debug"} <= set(
        names(report.checks)
    )
    assert "a key in a file" in report.rests_on[0]
    assert RUNTIME.hex() in " ".join(report.rests_on)


@own_vendors
def test_what_hardware_cannot_promise_is_said() -> None:
    whole = claim(SCENE, attested(SCENE, "snp", card=True))
    assert all(c.ok for c in check_evidence(whole, Policy(tee=SNP)))
    said = " ".join(rests_on(whole))
    assert "An AMD SEV-SNP report, firmware 3 0 8 115 on 2027-01-15, debug off." in said
    assert "TEE.fail" in said
    assert "Not checked: AMD's revocation list" in said
    assert "Not checked: the card's measurements" in said


@needed
def test_the_age_of_collateral_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    found = read_intel("tdx", *intel("tdx"), INTEL_AT)
    monkeypatch.setattr(tee, "read", lambda _, __: found)
    at_ms = INTEL_AT * 1000
    scene = _At(tier="tee")
    assert scene.receipt.receipt.finished_ms == at_ms
    said = rests_on(claim(scene, attested(scene)))[0]
    assert said == "An Intel TDX quote, TCB UpToDate on 2025-07-08 (Intel's word of 19 days before), debug off."


class _At(Scene):
    """The answer was finished when Intel's sample holds."""

    @cached_property
    @override
    def receipt(self) -> SignedReceipt:
        return self.answer(finished_ms=INTEL_AT * 1000)
