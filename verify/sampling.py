"""Who checks a sampled answer, and what makes a check count: a draw that neither payer nor provider controls alone.

The payer's request carries the hash of a secret, and the provider's receipt is signed before it sees the secret. Both
together make the ticket (`wire.audit.ticket`). The exact bytes of the draw, so that a contract can repeat it:

    drawn       ticket as an integer modulo 10,000 is below the network's `sample_bps`
    auditor i   the one that `committee.draw` gives for a committee of one, with keccak256(ticket ‖ i) in place of a
                request's digest, i as 32 bytes big-endian from 0, without payer, provider and the auditors before it

Registry and probability are those of the epoch in which the request was issued.

The first auditor is asked first, the next one when it is down or cannot execute. Anybody of the panel counts: a payer
may pass over an honest one, and all that it gains is another of four who were drawn by chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wire.audit import PANEL, SHARES, SignedAudit, is_drawn, seed_of, ticket
from wire.bounds import CLOCK_SKEW_MS, MAX_REQUEST_LIFE_MS
from wire.eip712 import keccak256
from wire.errors import RecordError
from wire.inference import Receipt, Request, SignedReceipt, SignedRequest
from wire.keys import address_of
from wire.network import Network
from wire.tier import rungs_of
from wire.vote import Verdict

from .checks import Check
from .committee import draw


def panel(network: Network, request: Request, drawn_by: bytes) -> Iterator[bytes]:
    """The keys of the verifiers whom this ticket draws, in their order; ends early where the registry does."""
    excluded = {request.provider, request.payer}
    for i in range(PANEL):
        try:
            then = network.at(request.issued_ms)
            (member, *_) = draw(then, keccak256(drawn_by + i.to_bytes(32, "big")), excluded, 1).members
        except RecordError:  # nobody is left, or nobody knows who verified at that time
            return
        excluded.add(address_of(member.key))
        yield member.key


def _is_listed(network: Network, request: Request, public: bytes) -> bool:
    """Whether this key was a verifier's when the request was issued."""
    try:
        return any(verifier.key == public for verifier in network.at(request.issued_ms).verifiers)
    except RecordError:
        return False


def share_of(network: Network, request: Request) -> int:
    """How many of 10,000 answers were checked when this request was issued; 0 where that time is not known."""
    try:
        return network.at(request.issued_ms).sample_bps
    except RecordError:
        return 0


def calls_for_check(network: Network, request: Request, receipt: Receipt, secret: bytes) -> bool:
    """Whether the ticket of this answer calls for a check."""
    return is_drawn(ticket(secret, receipt.digest(network.domain)), share_of(network, request))


def open_until(request: Request) -> int:
    """Until when a check, and an appeal after it, may be asked for: milliseconds UTC.

    It is the longest life that a request may have, so that whoever remembers what it answered has to do so no longer.
    """
    return request.issued_ms + MAX_REQUEST_LIFE_MS


def check_ticket(network: Network, request: SignedRequest, receipt: Receipt, secret: bytes) -> list[Check]:
    """Is this the secret that the request committed to, and what does the ticket call for?"""
    fits = seed_of(secret) == request.request.seed
    drawn = calls_for_check(network, request.request, receipt, secret)
    share = f"{share_of(network, request.request) / SHARES:.2%} of answers are checked"
    said = f"it calls for a check; {share}" if drawn else f"no check is called for; {share}"
    return [
        Check("secret", fits, "the one that the request committed to" if fits else "the request committed to another"),
        Check("ticket", True, said),
    ]


def audit_fault(network: Network, request: Request, receipt: Receipt, secret: bytes, said: SignedAudit) -> str | None:
    """What is wrong with a check of this answer, or None. Request, receipt and secret are checked elsewhere."""
    return word_fault(network, request, receipt, said) or draw_fault(network, request, receipt, secret, said)


def word_fault(network: Network, request: Request, receipt: Receipt, said: SignedAudit) -> str | None:
    """What is wrong with a check whatever one knows of the network's verifiers."""
    audit, digest = said.audit, receipt.digest(network.domain)
    if audit.receipt != digest:
        return "it is of another receipt"
    if (audit.request, audit.model, audit.provider) != (receipt.request, receipt.model, receipt.provider):
        return "it names another request, model or provider than its receipt"
    if audit.verdict == Verdict.ABSTAIN:
        return "it says neither yes nor no"
    if audit.verdict == Verdict.ACCEPT and (audit.distance == 0) != (audit.outputs == receipt.outputs):
        return "its distance contradicts its outputs"
    if not receipt.finished_ms - CLOCK_SKEW_MS <= audit.checked_ms <= open_until(request) + CLOCK_SKEW_MS:
        return "it was not made in the time after the answer"
    if not said.is_signed(network.domain):  # before the draw, which takes 30 ms where thousands are listed
        return "it is not signed by its verifier for this network"
    return None


def draw_fault(network: Network, request: Request, receipt: Receipt, secret: bytes, said: SignedAudit) -> str | None:
    """Why this check was not drawn, as far as this network file goes: an older or a newer one may say otherwise."""
    audit, digest = said.audit, receipt.digest(network.domain)
    if not calls_for_check(network, request, receipt, secret):
        return "the ticket calls for no check"
    # Who is nobody's verifier costs no draw either: keys are free, and anyone can sign a question and its answer.
    if not _is_listed(network, request, audit.auditor) or audit.auditor not in panel(
        network, request, ticket(secret, digest)
    ):
        return "its verifier was not drawn for this answer"
    return None


def audits_fault(
    network: Network, request: Request, receipt: Receipt, secret: bytes, audits: Sequence[SignedAudit]
) -> str | None:
    """What is wrong with the checks of one answer together."""
    if len({said.audit.auditor for said in audits}) != len(audits):
        return "one verifier's check stands twice"
    return next((wrong for said in audits if (wrong := audit_fault(network, request, receipt, secret, said))), None)


def check_asked_and_answered(network: Network, request: SignedRequest, receipt: SignedReceipt, secret: bytes) -> None:
    """RecordError unless payer and provider signed a sampled question and its answer, and this secret belongs to it.

    It is what stands under every check, whoever shows it: without inputs, outputs and manifest.
    """
    asked, said, domain = request.request, receipt.receipt, network.domain
    if "sampled" not in rungs_of(asked.tier):
        raise RecordError(f"tier {asked.tier} is not sampled")
    if seed_of(secret) != asked.seed:
        raise RecordError("the request committed to another secret")
    named = (said.request, said.payer, said.provider, said.model, said.tier)
    if named != (asked.digest(domain), asked.payer, asked.provider, asked.model, asked.tier):
        raise RecordError("the receipt answers another request")
    if not request.is_signed(domain):
        raise RecordError("the request is not signed by its payer for this network")
    if not receipt.is_signed(domain):
        raise RecordError("the receipt is not signed by its provider for this network")
