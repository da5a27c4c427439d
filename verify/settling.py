"""What counts for settlement: the checks of a receipt file, by the network's rules alone, and who is paid for it.

They are `report`'s, with two differences. Every settler has to come to the same result, so the strict policy is
everybody's. And nothing depends on what may be left out (`slim`): ballots, since the certificate's aggregate is the
members' own word, and outputs, which the receipt binds by their hash; but those of tier zk are part of what is proved.

A receipt without a price settles nothing. Who paid whom does not matter: payers who pay themselves pay the shares of
all others as everybody does.
"""

from __future__ import annotations

from msgspec import structs

from wire.errors import RecordError
from wire.keys import address_of
from wire.manifest import Manifest
from wire.network import Network
from wire.receiptfile import ReceiptFile
from wire.settlement import Payable
from wire.tensors import Tensor
from wire.tier import rungs_of

from .checks import Check, equal
from .policy import STRICT
from .receipts import check_binding, check_inputs, check_outputs, rows
from .report import check_manifest, check_network
from .tiers import quorum, sampled, tee, zk
from .tiers.claim import Claim, claim_of


def payable(file: ReceiptFile, network: Network) -> Payable:
    """Who is paid for this answer, all of it checked; RecordError says what does not hold.

    It takes milliseconds, and of a ZK proof as long as its checker takes (`zk.arithmetic.checked_by`).
    """
    checks = check_network(file, network)
    manifest = check_manifest(file, network, checks)
    if manifest is not None:
        checks += _answer(file, network, manifest)
        checks.append(Check("price", file.receipt.receipt.price > 0, "it cost nothing, so there is nothing to settle"))
    wrong = next((check for check in checks if not check.ok), None)
    if wrong is not None or manifest is None:
        raise RecordError(f"{wrong.name}: {wrong.detail}" if wrong else "there is no manifest")
    receipt = file.receipt.receipt
    return Payable(
        receipt=receipt.digest(network.domain),
        provider=receipt.provider,
        payer=receipt.payer,
        publisher=manifest.publisher,
        royalty_bps=manifest.royalty_bps,
        price=receipt.price,
        finished_ms=receipt.finished_ms,
        payees=_payees(file, network),
    )


def slim(file: ReceiptFile) -> ReceiptFile:
    """What settlers need of a receipt file."""
    needed = "zk" in rungs_of(file.request.request.tier)
    return structs.replace(
        file, ballots=(), headers=file.headers if needed else (), outputs=file.outputs if needed else ()
    )


def _answer(file: ReceiptFile, network: Network, manifest: Manifest) -> list[Check]:
    """As `report` checks it, but for outputs and ballots."""
    units = file.receipt.receipt.usage.units
    outputs = [Tensor(header, data) for header, data in zip(file.headers, file.outputs, strict=False)]
    claim = claim_of(file, network, manifest, outputs)
    checks = [
        *check_inputs(manifest, file.request, file.inputs),
        *check_binding(network, manifest, file.request, file.receipt),
        equal("usage", units, rows(file.inputs), "the receipt counts other rows than the inputs have"),
    ]
    if "zk" in rungs_of(file.request.request.tier):
        checks += check_outputs(manifest, file.receipt, outputs)
    return checks + _evidence(claim)


def _evidence(claim: Claim) -> list[Check]:
    """The certificate's parts, each without the ballots."""
    asked, evidence = claim.request.request.tier, claim.certificate
    checks = [
        equal("certificate tier", evidence.tier, asked, f"it is of tier {evidence.tier}, {asked} was asked for"),
        equal("certified receipt", evidence.receipt, claim.digest, "the certificate is for another receipt"),
    ]
    for rung in rungs_of(asked):
        if rung == "quorum" and evidence.quorum is None:
            checks.append(Check("evidence", False, "there is no committee's signature in the certificate"))
        elif rung == "quorum" and evidence.quorum is not None:
            checks += quorum.check_aggregate(claim.network, claim.request, claim.digest, evidence.quorum)
        elif rung == "sampled":
            checks += sampled.check(claim, STRICT.sampled)
        elif rung == "tee":
            checks += tee.check(claim, STRICT.tee)
        elif rung == "zk":
            checks += zk.check(claim, STRICT.zk)
    return checks


def _payees(file: ReceiptFile, network: Network) -> tuple[bytes, ...]:
    """The addresses of those whose signatures certify it: a quorum's signers, or who checked a sampled answer."""
    certificate, rungs = file.certificate, rungs_of(file.request.request.tier)
    if "quorum" in rungs and certificate.quorum is not None:
        committee, places = quorum.signers(network, file.request, certificate.quorum)
        return tuple(sorted(address_of(committee.places[i].key) for i in places))
    if "sampled" in rungs and certificate.sampled is not None:
        return tuple(sorted(address_of(said.audit.auditor) for said in certificate.sampled.audits))
    return ()
