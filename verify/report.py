"""A receipt file checked from nothing but its bytes and the network file: no peer is asked, nothing in it is believed.

Every byte of the file is covered by a check, and one that fails makes the whole file invalid. What remains to be
trusted cannot be computed away, so the report says it in plain sentences (`rests_on`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wire.canonical import decode
from wire.errors import RecordError
from wire.inference import SignedReceipt
from wire.keys import peer_id_of, recover
from wire.manifest import Manifest, read_manifest
from wire.network import Network
from wire.receiptfile import MAX_RECEIPT_FILE, ReceiptFile
from wire.tensors import Tensor, tensor_set
from wire.tier import Tier

from .checks import Check, equal
from .committee import Committee
from .ladder import check_evidence, rests_on
from .policy import STRICT, Policy
from .receipts import check_answer
from .tiers import quorum
from .tiers.claim import Claim, claim_of

_MODEL = "The publisher, for what the model is called; which model it was, its CID says exactly."


@dataclass(frozen=True, slots=True)
class Report:
    """What the file claims, whether all of it holds, and what trust is left. Claims of an invalid file prove nothing.

    `provider_peer` is None when the receipt's signature recovers to no key; `signers` and `committee_size` are the
    quorum's (none in tier signed). Addresses are 20 bytes, peers libp2p peer ids, times milliseconds UTC.
    """

    valid: bool
    tier: Tier
    model: str  # CID
    model_name: str | None  # name@version, by its publisher
    provider_peer: str | None
    provider: bytes
    payer: bytes
    finished_ms: int
    signers: tuple[str, ...]
    committee_size: int
    checks: tuple[Check, ...]
    rests_on: tuple[str, ...]


def verify_file(
    data: bytes, network: Network, inputs: Sequence[Tensor] | None = None, policy: Policy = STRICT
) -> Report:
    """The report on a receipt file; `inputs` are shown to be those that were asked about, where somebody has them.
    What is valid and less than `policy` wants is refused as well.

    RecordError when `data` is no receipt file at all. Never another exception.
    """
    file = decode(data, ReceiptFile, limit=MAX_RECEIPT_FILE)
    checks = check_network(file, network)
    manifest = check_manifest(file, network, checks)
    claim: Claim | None = None
    if manifest is not None:
        outputs = _outputs(file, checks)
        claim = claim_of(file, network, manifest, outputs)
        checks += check_answer(network, manifest, file.request, file.receipt, file.inputs, outputs)
    if inputs is not None:
        wrong = "the inputs given are not those that this answer is about"
        checks.append(_given(file, inputs, wrong))
    if claim is not None:
        checks += check_evidence(claim, policy)
    valid = all(c.ok for c in checks)
    committee, signers = _signers(file, network)
    return Report(
        valid=valid,
        tier=file.certificate.tier,
        model=file.manifest.cid,
        model_name=f"{manifest.name}@{manifest.version}" if manifest else None,
        provider_peer=_provider_peer(file.receipt, network),
        provider=file.receipt.receipt.provider,
        payer=file.request.request.payer,
        finished_ms=file.receipt.receipt.finished_ms,
        signers=signers,
        committee_size=len(committee.members) if committee else 0,
        checks=tuple(checks),
        rests_on=(*rests_on(claim), _MODEL) if valid and claim is not None else (),
    )


def check_network(file: ReceiptFile, network: Network) -> list[Check]:
    """The file names the network it is checked against; its signatures then prove it."""
    other = f"the file is of network {file.network} (chain {file.chain_id}), not of {network.name} ({network.chain_id})"
    return [
        equal("network", (file.network, file.chain_id), (network.name, network.chain_id), other),
        equal(
            "contract", file.contract, network.contract, "the file is bound to another contract than the network file"
        ),
    ]


def check_manifest(file: ReceiptFile, network: Network, checks: list[Check]) -> Manifest | None:
    """The manifest, signed and of the model that was asked for, or None; what was found is added to `checks`."""
    try:
        manifest = read_manifest(file.manifest, network.domain, file.request.request.model)
    except RecordError as error:
        checks.append(Check("model", False, str(error)))
        return None
    checks.append(Check("model", True, f"{manifest.name}@{manifest.version}, signed by its publisher"))
    return manifest


def _outputs(file: ReceiptFile, checks: list[Check]) -> list[Tensor]:
    if len(file.headers) != len(file.outputs):
        wrong = f"{len(file.outputs)} tensors for {len(file.headers)} headers"
        checks.append(Check("output tensors", False, wrong))
    return [Tensor(header, data) for header, data in zip(file.headers, file.outputs, strict=False)]


def _given(file: ReceiptFile, inputs: Sequence[Tensor], wrong: str) -> Check:
    try:
        for tensor in inputs:
            tensor.check()
    except RecordError as error:
        return Check("inputs given", False, str(error))
    return equal("inputs given", tensor_set(inputs).hash(), file.request.request.inputs, wrong)


def _provider_peer(receipt: SignedReceipt, network: Network) -> str | None:
    try:
        return peer_id_of(recover(receipt.receipt.digest(network.domain), receipt.signature))
    except RecordError:
        return None


def _signers(file: ReceiptFile, network: Network) -> tuple[Committee | None, tuple[str, ...]]:
    """The committee drawn anew, and those of it whom the certificate names."""
    evidence = file.certificate.quorum
    if evidence is None:
        return None, ()
    try:
        committee, places = quorum.signers(network, file.request, evidence)
    except RecordError:
        return None, ()
    return committee, tuple(peer_id_of(committee.places[i].key) for i in places)
