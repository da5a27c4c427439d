"""Rung `zk`: a proof that the model, as a circuit, takes these inputs to these outputs. Nobody executes it again.

What the proof states is computed from what is known otherwise: the inputs from their bytes, which the request names by
hash; the outputs from the receipt's; the model from the publisher's registration. A prover adds the proof's bytes, and
the outputs as whole numbers, which must give the very floats that the receipt binds.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from wire.blob import outline_of
from wire.bounds import CHUNK
from wire.canonical import decode
from wire.cid import content_hash
from wire.circuit import Circuit, CircuitFile, ZkEvidence, ZkFiles, count, read_circuit
from wire.errors import RecordError
from wire.keys import show_address
from wire.manifest import Manifest

from ..checks import Check
from ..zk import arithmetic, srs
from ..zk.fixedpoint import dequantise, quantise, unpack_numbers
from ..zk.policy import ZkPolicy
from ..zk.settings import read_settings
from ..zk.statement import Statement
from .claim import Claim

STRICT = ZkPolicy()


def check(claim: Claim, policy: ZkPolicy = STRICT) -> list[Check]:
    """Every check of `examine`, and the arithmetic where all of those hold."""
    checks, statement = examine(claim, policy)
    if statement is not None:
        wrong = arithmetic.fault(statement)
        checks.append(Check("evidence", not wrong, f"the proof does not hold: {wrong}" if wrong else "the proof holds"))
    return checks


def examine(claim: Claim, policy: ZkPolicy = STRICT) -> tuple[list[Check], Statement | None]:
    """The registration, its files, inputs, outputs and weights; then what the proof has to state, if these hold."""
    evidence = claim.certificate.zk
    if evidence is None or evidence.files is None:
        missing = "proof" if evidence is None else "registered circuit"
        return [Check("evidence", False, f"there is no {missing} in the certificate")], None
    files = evidence.files
    try:
        circuit = read_circuit(files.circuit, claim.network.domain, claim.manifest, claim.request.request.model)
    except RecordError as error:
        return [Check("circuit", False, str(error))], None
    registered = evidence.circuit == files.circuit.hash
    other = "the proof is of another circuit than the one that is with it"
    inputs, numbers_in = _inputs(circuit, files, claim)
    outputs, numbers_out = _outputs(circuit, evidence, claim)
    checks = [
        Check("circuit", registered, "registered by the model's publisher" if registered else other),
        _files(circuit, claim.manifest, files),
        check_srs(circuit, policy),
        inputs,
        outputs,
        _weights(circuit, evidence.proof),
    ]
    if not all(c.ok for c in checks):
        return checks, None
    return checks, Statement(
        settings=files.settings,
        key=files.key,
        srs=circuit.verifier_srs,
        numbers=(*numbers_in, *numbers_out),
        proof=evidence.proof,
    )


def check_srs(circuit: Circuit, policy: ZkPolicy) -> Check:
    """Whose reference string is it? Known ceremonies by their hash, whatever the record calls it."""
    origin = srs.origin(circuit.verifier_srs)
    if origin != srs.DEV:
        return Check("policy: SRS", True, origin)
    wrong = "its SRS is dev: whoever made it can forge proofs, and this policy does not allow that (dev_srs)"
    return Check("policy: SRS", policy.dev_srs, "dev, which the policy allows" if policy.dev_srs else wrong)


def check_registration(circuit: Circuit, manifest: Manifest, settings: bytes) -> None:
    """RecordError unless the settings bind all that a proof has to bind, in the sizes that the record says."""
    found = read_settings(settings)
    said = (circuit.logrows, circuit.visibility, circuit.input_scales, circuit.output_scales)
    if (found.logrows, found.visibility, found.input_scales, found.output_scales) != said:
        raise RecordError("the circuit's settings are not those that its record speaks of")
    if manifest.interface != "tensors":
        raise RecordError(f"a model with the interface {manifest.interface} is more than a circuit")


def is_named(file: CircuitFile, data: bytes) -> bool:
    """Whether these are the bytes of the blob."""
    pieces = (data[at : at + CHUNK] for at in range(0, len(data), CHUNK))
    return file.size == len(data) and outline_of(pieces).hash() == file.blob


def _files(circuit: Circuit, manifest: Manifest, files: ZkFiles) -> Check:
    for name, file, data in (("file of settings", circuit.settings, files.settings), ("key", circuit.key, files.key)):
        if not is_named(file, data):
            return Check("circuit files", False, f"the {name} is not that which the publisher registered")
    try:
        check_registration(circuit, manifest, files.settings)
    except RecordError as error:
        return Check("circuit files", False, str(error))
    return Check("circuit files", True, "settings and key as registered")


def _inputs(circuit: Circuit, files: ZkFiles, claim: Claim) -> tuple[Check, tuple[int, ...]]:
    try:
        if len(files.inputs) != len(circuit.inputs) or len(claim.inputs.leaves) != len(circuit.inputs):
            raise RecordError(f"{len(files.inputs)} inputs came, the circuit has {len(circuit.inputs)}")
        numbers: list[int] = []
        for leaf, spec, scale, data in zip(
            claim.inputs.leaves, circuit.inputs, circuit.input_scales, files.inputs, strict=True
        ):
            if leaf.content != content_hash(data) or leaf.size != len(data):
                raise RecordError(f"{spec.name}: not the bytes that the request was signed for")
            if leaf.name != spec.name or leaf.shape != spec.shape or len(data) != 4 * count((spec,)):
                raise RecordError(f"{spec.name}: the circuit takes another shape")
            numbers += quantise(data, scale)
    except RecordError as error:
        return Check("proved inputs", False, str(error)), ()
    return Check("proved inputs", True, "those of the request"), tuple(numbers)


def _outputs(circuit: Circuit, evidence: ZkEvidence, claim: Claim) -> tuple[Check, tuple[int, ...]]:
    try:
        numbers = unpack_numbers(evidence.outputs)
        parts = split(numbers, circuit)
        if len(parts) != len(claim.outputs):
            raise RecordError(f"{len(claim.outputs)} outputs came, the circuit has {len(parts)}")
        for spec, scale, part, tensor in zip(circuit.outputs, circuit.output_scales, parts, claim.outputs, strict=True):
            if tensor.header.shape != spec.shape or dequantise(part, scale) != bytes(tensor.data):
                raise RecordError(f"{spec.name}: the receipt's output is not the proved one")
    except RecordError as error:
        return Check("proved outputs", False, str(error)), ()
    return Check("proved outputs", True, "those of the receipt, to the last bit"), numbers


def split(numbers: Sequence[int], circuit: Circuit) -> list[Sequence[int]]:
    """All outputs' numbers by tensor; RecordError when they are not as many as the circuit has."""
    if len(numbers) != count(circuit.outputs):
        raise RecordError(f"{len(numbers)} outputs were proved, the circuit has {count(circuit.outputs)}")
    edges = [0]
    for spec in circuit.outputs:
        edges.append(edges[-1] + count((spec,)))
    return [numbers[low:high] for low, high in pairwise(edges)]


def _weights(circuit: Circuit, proof: bytes) -> Check:
    """With committed weights the key fits any, so the proof must begin with the registered points, both halves of each.

    The first 32 bytes alone are one coordinate of one point: the weights negated have the same, and what does not fit
    into one column has a point of its own.
    """
    if circuit.visibility == "fixed":
        return Check("weights", True, "in the registered key")
    same = proof.startswith(circuit.commitment)
    return Check("weights", same, "as committed to" if same else "the proof is about other weights than the registered")


def describe(evidence: ZkEvidence) -> str:
    """One line on a proof that holds."""
    if evidence.files is None:
        return "a ZK proof"
    circuit = decode(evidence.files.circuit.body, Circuit)
    return f"a ZK proof of {len(evidence.proof)} bytes, SRS {srs.origin(circuit.verifier_srs)}"


def rests_on(claim: Claim) -> tuple[str, ...]:
    """The trust that is left."""
    evidence = claim.certificate.zk
    assert evidence is not None
    assert evidence.files is not None
    circuit = read_circuit(evidence.files.circuit, claim.network.domain, claim.manifest, claim.request.request.model)
    origin, differ = srs.origin(circuit.verifier_srs), circuit.tolerance_ppb / 1e9
    whose = f"an SRS of the ceremony {origin}: that one of its participants destroyed a secret, as each was to do."
    if origin == srs.DEV:
        whose = "SRS dev: whoever made the reference string can forge this proof. Not for money."
    return (
        f"A ZK proof under the key {circuit.key.blob.hex()[:16]}…, {whose}",
        f"The publisher {show_address(circuit.publisher)}: it signed that this key is the model's circuit. Whoever has "
        "the model can make the key again and compare: hallmark zk check.",
        f"{circuit.system}, and the cryptography under it (Halo2, KZG over BN254): no check of ours replaces them.",
        f"The outputs are the circuit's, in fixed-point numbers; the publisher measured them up to {differ:.1e} away "
        "from the model's own, relative to the largest.",
    )
