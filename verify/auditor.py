"""A verifier's side of a check after the answer: was it drawn for it, and does its own execution agree?

Nothing of whoever asks is believed: the ticket is computed anew, and both signatures stand under it.
"""

from __future__ import annotations

from collections.abc import Sequence

from wire.audit import Audit, sign_audit, ticket
from wire.auditing import AskAudit, Audited
from wire.bounds import CLOCK_SKEW_MS
from wire.canonical import encode
from wire.cid import content_hash
from wire.errors import ErrorCode, RecordError, RemoteError
from wire.keys import NodeKey
from wire.manifest import Manifest
from wire.network import Network
from wire.tensors import Tensor, tensor_set
from wire.text import one_line
from wire.vote import Verdict

from .agreement import compare_outputs
from .distance import INCOMPARABLE
from .receipts import check_binding, check_outputs
from .sampling import calls_for_check, check_asked_and_answered, open_until, panel
from .tolerance import Comparison


def check_summons(network: Network, public: bytes, asked: AskAudit, now_ms: int) -> None:
    """RemoteError unless the verifier with the key `public` is drawn to check this answer, and it is time."""
    request, receipt = asked.request.request, asked.receipt.receipt
    try:
        check_asked_and_answered(network, asked.request, asked.receipt, asked.secret)
    except RecordError as error:
        raise RemoteError(ErrorCode.REFUSED, str(error), retry=False) from error
    drawn_by = ticket(asked.secret, receipt.digest(network.domain))
    if not calls_for_check(network, request, receipt, asked.secret):
        raise RemoteError(ErrorCode.REFUSED, "the ticket calls for no check", retry=False)
    if public not in panel(network, request, drawn_by):
        raise RemoteError(ErrorCode.REFUSED, "this verifier was not drawn for this answer")
    if now_ms >= open_until(request):
        raise RemoteError(ErrorCode.DEADLINE, "the answer is too old to be checked", retry=False)
    if receipt.finished_ms > now_ms + CLOCK_SKEW_MS:
        raise RemoteError(ErrorCode.REFUSED, "the answer is from the future: set your clock")


def judge(
    network: Network, key: NodeKey, manifest: Manifest, asked: AskAudit, own: Sequence[Tensor],
    outputs: Sequence[Tensor], now_ms: int,
) -> Audited:  # fmt: skip
    """The signed check: `own` are this verifier's outputs, `outputs` the provider's. Call `check_summons` before.

    What the provider signed and got wrong is a REJECT; RemoteError for what it did not sign, or cannot be compared.
    """
    request, receipt = asked.request.request, asked.receipt.receipt
    if content_hash(encode(manifest)) != request.model:
        raise RemoteError(ErrorCode.INTERNAL, "that is the manifest of another model than was asked")
    tolerance = network.at(request.issued_ms).tolerance(manifest.profile)
    if tolerance is None:
        text = f"network {network.name} has no tolerance for profile {manifest.profile}"
        raise RemoteError(ErrorCode.UNSUPPORTED, text, retry=False)
    shapes, content = check_outputs(manifest, asked.receipt, outputs)
    if not content.ok:
        raise RemoteError(ErrorCode.WRONG_DATA, content.detail, retry=False)
    bound = (shapes, *check_binding(network, manifest, asked.request, asked.receipt))
    broken = next((check for check in bound if not check.ok), None)
    comparison = Comparison(False, INCOMPARABLE, shapes.detail)
    if shapes.ok:
        comparison = compare_outputs(manifest, own, outputs, tolerance)
    accept = broken is None and comparison.agrees
    audit = Audit(
        auditor=key.public,
        receipt=receipt.digest(network.domain),
        request=receipt.request,
        model=receipt.model,
        provider=receipt.provider,
        outputs=tensor_set(own).hash(),
        verdict=Verdict.ACCEPT if accept else Verdict.REJECT,
        distance=comparison.distance,
        checked_ms=max(now_ms, receipt.finished_ms),
    )
    reason = f"{broken.name}: {broken.detail}" if broken else comparison.reason
    return Audited(audit=sign_audit(audit, key, network.domain), reason=one_line(reason))
