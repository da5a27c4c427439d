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
from .committee import Committee, committee_for
from .receipts import check_answer
from .tiers import check_evidence
from .tiers.quorum import signers_in


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


def verify_file(data: bytes, network: Network, inputs: Sequence[Tensor] | None = None) -> Report:
    """The report on a receipt file; `inputs` are shown to be those that were asked about, where somebody has them.

    RecordError when `data` is no receipt file at all. Never another exception.
    """
    file = decode(data, ReceiptFile, limit=MAX_RECEIPT_FILE)
    checks = _network(file, network)
    manifest = _manifest(file, network, checks)
    if manifest is not None:
        outputs = _outputs(file, checks)
        checks += check_answer(network, manifest, file.request, file.receipt, file.inputs, outputs)
    if inputs is not None:
        wrong = "the inputs given are not those that this answer is about"
        checks.append(_given(file, inputs, wrong))
    checks += check_evidence(network, file.request, file.receipt, file.certificate, file.ballots)
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
        rests_on=_rests_on(file, network, committee, signers) if valid else (),
    )


def _network(file: ReceiptFile, network: Network) -> list[Check]:
    """The file names the network it is checked against; its signatures then prove it."""
    other = f"the file is of network {file.network} (chain {file.chain_id}), not of {network.name} ({network.chain_id})"
    return [
        equal("network", (file.network, file.chain_id), (network.name, network.chain_id), other),
        equal(
            "contract", file.contract, network.contract, "the file is bound to another contract than the network file"
        ),
    ]


def _manifest(file: ReceiptFile, network: Network, checks: list[Check]) -> Manifest | None:
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
        committee = committee_for(network, file.request.request)
        members = signers_in(evidence.signers, len(committee.members))
    except RecordError:
        return None, ()
    return committee, tuple(peer_id_of(committee.members[i].key) for i in members)


def _rests_on(
    file: ReceiptFile, network: Network, committee: Committee | None, signers: Sequence[str]
) -> tuple[str, ...]:
    model = "The publisher, for what the model is called; which model it was, its CID says exactly."
    if committee is None:
        return "The provider alone: it signed this answer, and nobody else executed the model to check it.", model
    count, listed = len(committee.members), len(network.verifiers)
    numerator, denominator = network.quorum_numerator, network.quorum_denominator
    share = "two thirds" if (numerator, denominator) == (2, 3) else f"{numerator}/{denominator}"
    alike = len({v.weight for v in network.verifiers}) == 1
    weights = "they have equal weight, because no bonds exist yet" if alike else "each has the weight listed there"
    profile = file.receipt.receipt.runtime.profile
    tolerance = network.tolerance(profile)
    near = "only a bit-identical answer" if tolerance is None else f"an answer within {tolerance:g} of its own"
    return (
        f"More than {share} of the weight of a committee of {count}, drawn from the {listed} verifiers that the "
        f"network file {network.name} lists: {weights}. {len(signers)} of {count} executed the model and signed.",
        "Whoever wrote that network file: it chose the verifiers, and the beacon that seeds the draw.",
        "Whoever asked: the beacon is known beforehand, so that a payer could try requests until it liked a committee.",
        f"Its rule for profile {profile}: a verifier accepts {near}, relative to the largest output.",
        model,
    )
