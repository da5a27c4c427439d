"""What is claimed of one answer, whole: all that the check of any tier may need, and nothing that was checked yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from wire.certificate import Certificate
from wire.inference import SignedReceipt, SignedRequest
from wire.manifest import Manifest, SignedManifest
from wire.network import Network
from wire.receiptfile import ReceiptFile
from wire.tensors import Tensor, TensorSet
from wire.vote import Ballot


@dataclass(frozen=True)
class Claim:
    """`manifest` is the model's, already held against its CID; request and receipt are checked by `receipts`."""

    network: Network
    manifest: Manifest
    request: SignedRequest
    receipt: SignedReceipt
    certificate: Certificate
    ballots: Sequence[Ballot]
    inputs: TensorSet
    outputs: Sequence[Tensor]

    @cached_property
    def digest(self) -> bytes:
        """The receipt's digest: what every piece of evidence is about."""
        return self.receipt.receipt.digest(self.network.domain)


def claim_of(file: ReceiptFile, network: Network, manifest: Manifest, outputs: Sequence[Tensor]) -> Claim:
    """The claim that a receipt file makes."""
    return Claim(network, manifest, file.request, file.receipt, file.certificate, file.ballots, file.inputs, outputs)


def file_of(claim: Claim, manifest: SignedManifest) -> ReceiptFile:
    """The receipt file that holds this claim whole; `manifest` as its publisher signed it."""
    return ReceiptFile(
        format=2,
        network=claim.network.name,
        chain_id=claim.network.chain_id,
        contract=claim.network.contract,
        manifest=manifest,
        request=claim.request,
        receipt=claim.receipt,
        certificate=claim.certificate,
        ballots=tuple(claim.ballots),
        inputs=claim.inputs,
        headers=tuple(t.header for t in claim.outputs),
        outputs=tuple(bytes(t.data) for t in claim.outputs),
    )
