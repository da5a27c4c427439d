"""What a payer does after a sampled answer: has it checked where the ticket says so, and takes a refusal further.

The answer was used already, so nothing here can fail it. A check is put beside the receipt in the store, and counts in
the provider's record. A refusal goes before the whole committee, since one verifier's word settles nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import trio

from storage import StoreError
from verify.fraud.finding import wrong_answer
from verify.sampling import audit_fault, calls_for_check, panel
from wire.audit import SampledEvidence, ticket
from wire.auditing import Appeal, AskAudit, Audited, AuditNews
from wire.canonical import decode, encode
from wire.cid import to_cid
from wire.errors import ErrorCode, RecordError, RemoteError
from wire.keys import peer_id_of
from wire.manifest import Manifest
from wire.receiptfile import ReceiptFile
from wire.tensors import Tensor
from wire.vote import Verdict

from ..bounds import AUDIT_SECONDS
from ..clock import now_ms
from ..convening import convening
from ..fraud.keeping import keep
from ..peer import Peer
from .news import word_of

log = logging.getLogger("hallmark.audits")


@dataclass(frozen=True)
class Given:
    """A sampled answer that was shown to its user: the receipt file, the tensors, the provider's key."""

    file: ReceiptFile
    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    provider: bytes

    @property
    def secret(self) -> bytes:
        assert self.file.certificate.sampled is not None
        return self.file.certificate.sampled.secret

    @property
    def size(self) -> int:
        """Bytes of its tensors."""
        return sum(t.header.binary_data_size for t in (*self.inputs, *self.outputs))


@dataclass(frozen=True)
class Outcome:
    """How a check ended: the receipt file with what was found, and a sentence. `agreed` is None where nobody said."""

    file: ReceiptFile
    agreed: bool | None
    says: str


def is_to_be_checked(peer: Peer, file: ReceiptFile) -> bool:
    """Whether this answer's ticket calls for a check."""
    evidence = file.certificate.sampled
    if evidence is None:
        return False
    return calls_for_check(peer.network, file.request.request, file.receipt.receipt, evidence.secret)


async def have_checked(peer: Peer, given: Given) -> Outcome:
    """Ask the drawn verifiers, one after the other until one says, and keep what it says. See `take_further`."""
    audited, failures = await _ask_around(peer, given)
    if audited is None:
        says = "; ".join(failures) or "nobody but payer and provider is listed"
        return Outcome(given.file, None, f"no verifier could check it: {says}")
    auditor = peer_id_of(audited.audit.audit.auditor)
    file = _with(given.file, audited)
    await _keep(peer, file, audited)
    if audited.audit.audit.verdict == Verdict.ACCEPT:
        return Outcome(file, True, f"checked by {auditor}: {audited.reason}")
    return Outcome(file, False, f"REFUSED by {auditor}: {audited.reason}")


async def take_further(peer: Peer, given: Given, outcome: Outcome) -> Outcome:
    """Bring a refused answer before the committee, and anything else as it is. A fraud that results is kept, and only
    then is its provider distrusted: one verifier may lie."""
    if outcome.agreed is not False or not _accuses(outcome.file):
        return outcome
    refused = await _appeal(peer, given, outcome.file)
    if refused:
        peer.distrust.note(given.provider, "its committee refused an answer of its, after it was given", now_ms())
    further = "its committee refused it too" if refused else "its committee did not refuse it, or could not say"
    return Outcome(outcome.file, False, f"{outcome.says}; {further}")


def _accuses(file: ReceiptFile) -> bool:
    """Whether a verifier with other outputs refused it: with the very same ones, that are not finite, the model is to
    blame, or the input."""
    audits = file.certificate.sampled.audits if file.certificate.sampled else ()
    refusals = [said.audit for said in audits if said.audit.verdict == Verdict.REJECT]
    return any(audit.outputs != file.receipt.receipt.outputs for audit in refusals)


async def _ask_around(peer: Peer, given: Given) -> tuple[Audited | None, list[str]]:
    request, receipt = given.file.request.request, given.file.receipt.receipt
    failures: list[str] = []
    for public in panel(peer.network, request, ticket(given.secret, receipt.digest(peer.network.domain))):
        try:
            with trio.move_on_after(AUDIT_SECONDS):
                return await ask_one(peer, given, public), failures
            raise RemoteError(ErrorCode.TIMEOUT, "it said nothing in time")
        except RemoteError as error:
            failures.append(f"{peer_id_of(public)}: {error}")
            log.info("a verifier made no check: %s", failures[-1])
    return None, failures


async def ask_one(peer: Peer, given: Given, public: bytes) -> Audited:
    """The check of the verifier with this key, itself checked; RemoteError when it makes none."""
    peer_id, file = peer_id_of(public), given.file
    if addresses := peer.addresses_of(public):
        peer.host.learn(peer_id, addresses)
    question = AskAudit(
        request=file.request,
        receipt=file.receipt,
        secret=given.secret,
        inputs=tuple(t.header for t in given.inputs),
        outputs=tuple(t.header for t in given.outputs),
    )
    async with peer.host.exchange(peer_id, "committee") as channel:
        await channel.send(question, (*given.inputs, *given.outputs))
        audited = await channel.receive(Audited, timeout=AUDIT_SECONDS)
    wrong = audit_fault(peer.network, file.request.request, file.receipt.receipt, given.secret, audited.audit)
    if audited.audit.audit.auditor != public:
        wrong = "it is another verifier's"
    if wrong:
        raise RemoteError(ErrorCode.BAD_RECORD, f"its check does not hold: {wrong}")
    return audited


def _with(file: ReceiptFile, audited: Audited) -> ReceiptFile:
    """The receipt file with the check in its certificate."""
    before = file.certificate.sampled
    assert before is not None
    evidence = SampledEvidence(secret=before.secret, audits=(*before.audits, audited.audit))
    return msgspec.structs.replace(file, certificate=msgspec.structs.replace(file.certificate, sampled=evidence))


async def _keep(peer: Peer, file: ReceiptFile, audited: Audited) -> None:
    store, evidence = peer.local.store, file.certificate.sampled
    assert evidence is not None
    news = AuditNews(request=file.request, receipt=file.receipt, secret=evidence.secret, audit=audited.audit)
    digest = file.receipt.receipt.digest(peer.network.domain)
    try:
        await store.in_thread(store.receipts.put, digest, encode(file))
        await store.in_thread(store.audits.put, [word_of(news)])
    except StoreError as error:
        log.warning("a check of answer %s is not kept: %s", digest.hex(), error)


async def _appeal(peer: Peer, given: Given, file: ReceiptFile) -> bool:
    """Bring the answer before its request's committee; whether it refused it, and the fraud file is kept."""
    evidence = file.certificate.sampled
    assert evidence is not None
    appeal = Appeal(receipt=file.receipt, evidence=evidence)
    try:
        manifest = decode(file.manifest.body, Manifest)
        async with convening(peer, manifest, file.request, given.inputs, appeal) as round_:
            round_.answer(file.receipt, given.outputs)
            outcome = await round_.outcome()
    except (RecordError, RemoteError) as error:
        log.warning("an answer that a verifier refused could not be brought before its committee: %s", error)
        return False
    fraud = wrong_answer(peer.network, file.request, file.receipt, outcome.ballots)
    if fraud is not None:
        await keep(peer.local, fraud)
    log.warning("the committee on a refused answer of model %s: %s", to_cid(file.request.request.model), outcome.reason)
    return fraud is not None
