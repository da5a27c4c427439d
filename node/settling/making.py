"""A receipt file as its provider can make it, from an answer and the proof that went out with it."""

from __future__ import annotations

from collections.abc import Sequence

from verify import Claim, file_of
from verify.tiers import signed
from wire.inference import Proof, SignedReceipt
from wire.receiptfile import ReceiptFile
from wire.tensors import Tensor, tensor_set
from wire.tier import rungs_of

from ..tiers.rung import Job


def receipt_file(
    job: Job, receipt: SignedReceipt, outputs: Sequence[Tensor], proof: Proof | None
) -> ReceiptFile | None:
    """What settlers need of an answer; None where its model's manifest is gone."""
    manifest, network = job.peer.local.store.manifest(job.request.request.model), job.peer.network
    if manifest is None:
        return None
    certificate = signed.certify(receipt.receipt.digest(network.domain)) if proof is None else proof.certificate
    claim = Claim(
        network=network,
        manifest=job.ready.manifest,
        request=job.request,
        receipt=receipt,
        certificate=certificate,
        ballots=(),
        inputs=tensor_set(job.inputs),
        outputs=outputs if "zk" in rungs_of(job.tier) else (),
    )
    return file_of(claim, manifest)
