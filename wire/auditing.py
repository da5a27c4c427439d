"""Checks of sampled answers on their way: asked of a verifier, told to everybody, and taken to a committee.

payer → verifier   AskAudit, then the input tensors and the provider's output tensors     (on the committee stream)
verifier → payer   Audited, or an ERROR: this verifier has no say, or cannot execute
verifier → all     AuditNews on the gossip topic `audits`
"""

from __future__ import annotations

from .audit import SampledEvidence, SignedAudit
from .bounds import Hash32, Line
from .canonical import Record
from .inference import SignedReceipt, SignedRequest
from .tensors import Headers


class AskAudit(Record, tag="audit", tag_field="type"):
    """Check this answer: the payer's secret makes the ticket that drew the verifier. The tensors follow."""

    request: SignedRequest
    receipt: SignedReceipt
    secret: Hash32
    inputs: Headers
    outputs: Headers


class Audited(Record, tag="audited", tag_field="type"):
    """The check, and in words why it came out so."""

    audit: SignedAudit
    reason: Line


class AuditNews(Record):
    """A check with all that shows that its verifier was drawn for it, so that nobody is praised or smeared without an
    answer that was really asked for and given."""

    request: SignedRequest
    receipt: SignedReceipt
    secret: Hash32
    audit: SignedAudit


class Appeal(Record):
    """A checked answer that was refused, before the committee of its request: without a refusal there is no appeal."""

    receipt: SignedReceipt
    evidence: SampledEvidence
