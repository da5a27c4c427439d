"""Rung `tee`: the provider's key is held by measured software in a trusted environment, as its maker's hardware says.

    report_data = SHA-512("hallmark tee 1" ‖ key (33) ‖ runtime (32) ‖ models' root (32) ‖ challenge's digest (32))

A module a vendor reads its quotes; what they all say is one shape (`attested`), and one policy judges it (`teepolicy`).
Everything is judged as of the time at which the answer was finished, never by a clock. Libraries that a vendor's quotes
need are imported when the first one is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from wire.attestation import Collateral, TeeEvidence, TeeKind, gpu_nonce
from wire.bounds import CLOCK_SKEW_MS
from wire.errors import RecordError
from wire.keys import address_of, show_address
from wire.network import Network

from ...checks import Check, equal
from ...teepolicy import TeePolicy
from ..claim import Claim
from . import dcap, dev, nitro, nvidia, snp
from .attested import Attested, BadQuote

STRICT = TeePolicy()
CARD = "policy: TEE card"


@dataclass(frozen=True)
class Occasion:
    """What an attestation is held against: whose answer, for whom, with which model, when, and on a card or not."""

    network: Network
    provider: bytes
    payer: bytes
    model: bytes
    at_ms: int
    on_card: bool


def check(claim: Claim, policy: TeePolicy = STRICT) -> list[Check]:
    """The attestation behind a receipt, and whether it is acceptable; see `check_evidence` for the rest."""
    if (evidence := claim.certificate.tee) is None:
        return [Check("evidence", False, "there is no attestation in the certificate")]
    return check_attestation(evidence, _occasion(claim), policy)


def _occasion(claim: Claim) -> Occasion:
    receipt = claim.receipt.receipt
    return Occasion(
        network=claim.network,
        provider=receipt.provider,
        payer=receipt.payer,
        model=receipt.model,
        at_ms=receipt.finished_ms,
        on_card=bool(receipt.runtime.backend.compute_capability),
    )


def check_attestation(evidence: TeeEvidence, occasion: Occasion, policy: TeePolicy = STRICT) -> list[Check]:
    """Every check of an attestation; the vendor's libraries are not even loaded for a kind that the policy refuses."""
    if not (kind := policy.check_kind(evidence.kind)).ok:
        return [kind]
    checks = [_challenge(evidence, occasion), _asker(evidence, occasion, policy), _fresh(evidence, occasion, policy)]
    checks += [_key(evidence, occasion), _model(evidence, occasion)]
    try:
        found = read(evidence, occasion.at_ms // 1000)
    except BadQuote as error:
        return [*checks, Check("TEE quote", False, str(error))]
    said = f"{found.maker}, good from {_day(found.good_from_s)} to {_day(found.good_until_s)}"
    bound = found.report_data == _report_data(evidence, occasion.network)
    about = "key, runtime, models and challenge" if bound else "the quote is about something else"
    checks += [
        Check("TEE quote", True, said),
        Check("TEE binding", bound, about),
        Check("TEE debug", not found.debug, "off" if not found.debug else "on: its memory can be read from outside"),
    ]
    if found.quoted_ms is not None:
        checks.append(_quoted(found.quoted_ms, evidence, occasion))
    return [*checks, *_card(evidence, occasion, policy), *policy.check(found)]


@lru_cache(64)  # one quote stands behind many answers, and is told about besides
def read(evidence: TeeEvidence, at_s: int) -> Attested:
    """What the hardware says in this evidence, as of a time; BadQuote when it does not hold then."""
    return read_quote(evidence.kind, evidence.quote, evidence.collateral, at_s)


def read_quote(kind: TeeKind, quote: bytes, collateral: Collateral | None, at_s: int) -> Attested:
    """What a quote of this kind says, as of a time (seconds since 1970); BadQuote when it does not hold then."""
    if kind in ("nitro", "dev") and collateral is not None:
        raise BadQuote(f"a quote of kind {kind} has no collateral: what came with it is checked by nobody")
    match kind:
        case "sgx" | "tdx":
            return dcap.read_intel(kind, quote, collateral, at_s)
        case "nitro":
            return nitro.read_nitro(quote, at_s)
        case "snp":
            return snp.read_snp(quote, collateral, at_s)
        case "dev":
            return dev.read_dev(quote)


def _report_data(evidence: TeeEvidence, network: Network) -> bytes:
    return evidence.bound.report_data(evidence.challenge.challenge.digest(network.domain))


def _challenge(evidence: TeeEvidence, occasion: Occasion) -> Check:
    wrong = ""
    if not evidence.challenge.is_signed(occasion.network.domain):
        wrong = "who is said to have asked for the quote did not sign that, or not for this network"
    elif evidence.challenge.challenge.provider != occasion.provider:
        wrong = "it was asked of another provider"
    return Check("TEE challenge", not wrong, wrong or f"by {show_address(evidence.challenge.challenge.asker)}")


def _asker(evidence: TeeEvidence, occasion: Occasion, policy: TeePolicy) -> Check:
    own = evidence.challenge.challenge.asker == occasion.payer
    good = own or policy.asked_by == "anyone"
    wrong = "another than the payer chose the nonce, and your policy wants the payer to (asked_by)"
    return Check("policy: TEE nonce", good, ("the payer's own" if own else "another's") if good else wrong)


def _fresh(evidence: TeeEvidence, occasion: Occasion, policy: TeePolicy) -> Check:
    age = (occasion.at_ms - evidence.challenge.challenge.issued_ms) / 1000
    good = -CLOCK_SKEW_MS / 1000 <= age <= policy.fresh_seconds
    said = f"asked for {_ago(occasion.at_ms - evidence.challenge.challenge.issued_ms)} the answer"
    return Check("policy: TEE fresh", good, said if good else f"{said}; your policy allows {policy.fresh_seconds} s")


def _quoted(quoted_ms: int, evidence: TeeEvidence, occasion: Occasion) -> Check:
    """The vendor's own time of the quote: after it was asked for, before the answer."""
    since, until = evidence.challenge.challenge.issued_ms - CLOCK_SKEW_MS, occasion.at_ms + CLOCK_SKEW_MS
    good = since <= quoted_ms <= until
    return Check("TEE time", good, "made when it was asked for" if good else "it was made at another time than claimed")


def _key(evidence: TeeEvidence, occasion: Occasion) -> Check:
    try:
        same = address_of(evidence.bound.key) == occasion.provider
    except RecordError:
        same = False
    return Check("TEE key", same, "the provider's" if same else "the attested key is not the provider's")


def _model(evidence: TeeEvidence, occasion: Occasion) -> Check:
    try:
        root = evidence.path.root(occasion.model)
    except RecordError as error:
        return Check("TEE model", False, str(error))
    return equal("TEE model", root, evidence.bound.models, "the model is not among those attested")


def _card(evidence: TeeEvidence, occasion: Occasion, policy: TeePolicy) -> list[Check]:
    """A card that executed, or that attested all the same."""
    if evidence.gpu is None:
        good = policy.unattested_card or not occasion.on_card
        wrong = "a card executed this, and attested nothing (unattested_card)"
        return [Check(CARD, good, "none attested anything" if good else wrong)]
    try:
        nonce = gpu_nonce(_report_data(evidence, occasion.network))
        card = nvidia.read_card(evidence.gpu, nonce, occasion.at_ms // 1000)
    except BadQuote as error:
        return [Check("TEE card", False, str(error))]
    return [Check("TEE card", True, f"{card.name}, driver {card.driver or '?'}")]


def rests_on(claim: Claim) -> tuple[str, ...]:
    """The trust that is left."""
    evidence, occasion = claim.certificate.tee, _occasion(claim)
    assert evidence is not None
    found = read(evidence, occasion.at_ms // 1000)
    asked = evidence.challenge.challenge
    by = "the payer" if asked.asker == occasion.payer else show_address(asked.asker)
    unchecked = found.unchecked + (nvidia.UNCHECKED if evidence.gpu else ())
    if found.kind == "dev":
        hardware = ("DEV: no hardware attested this. Whoever holds the development attester's key can claim anything.",)
    else:
        hardware = (
            "Its maker, and the machine's owner: an owner can extract attestation keys from the hardware (TEE.fail), "
            "so take an unknown owner's word only with a bond, or with sampling (tee+sampled).",
        )
    return (
        f"{found.maker[0].upper()}{found.maker[1:]}{_firmware(found, occasion.at_ms // 1000)}, debug off.",
        *hardware,
        f"The software with the measurement {found.measurement.hex()}: the quote says that it runs, and only it can "
        "say that the key never leaves it and that it executed the model.",
        f"A fresh quote: {by} asked for it {_ago(occasion.at_ms - asked.issued_ms)} the answer; only who chose the "
        "nonce knows that it is no older.",
        *(f"Not checked: {thing}." for thing in unchecked),
    )


def _firmware(found: Attested, at_s: int) -> str:
    if found.tcb:
        old = (at_s - found.good_from_s) // (24 * 3600)
        return f", TCB {found.tcb} on {_day(at_s)} (Intel's word of {old} day{'' if old == 1 else 's'} before)"
    if found.levels:
        return f", firmware {' '.join(map(str, found.levels))} on {_day(at_s)}"
    return f" on {_day(at_s)}"


def _ago(ms: int) -> str:
    return f"{ms / 1000:.0f} s before" if ms >= 0 else f"{-ms / 1000:.0f} s after"


def _day(at_s: int) -> str:
    try:
        return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d}"
    except (ValueError, OverflowError):
        return "ever"
