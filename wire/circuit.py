"""ZK proofs: the circuit that a publisher registers for a model, and the proof of one answer.

A circuit is the model in whole numbers of a field. Whoever checks a proof uses what the publisher registered, by hash,
and never a file that a prover would like to have used.

peer → any peer   AskCircuits
any peer → peer   Circuits
"""

from __future__ import annotations

from math import prod
from typing import Annotated, Literal

from msgspec import Meta

from .bounds import KIB, MAX_TENSORS, MIB, U32, U63, Address, Hash32, Name, TimeMs
from .canonical import Record, decode, encode
from .eip712 import Domain, StructType
from .errors import RecordError
from .keys import NodeKey
from .manifest import Manifest
from .signed import Signed, check_signature, sign
from .tensors import TensorSpec

CIRCUIT = StructType("Circuit", ("address", "publisher"), ("bytes32", "circuit"))

MAX_PROOF = 64 * KIB
MAX_CIRCUIT = 16 * KIB  # an encoded circuit record
MAX_CIRCUITS = 4  # of one model, the newest
MAX_INSTANCES = 8192  # numbers that a proof shows: all elements of inputs and outputs
MAX_SETTINGS = 128 * KIB
MAX_KEY = 2 * MIB  # a verification key: about 2 bytes for each of the circuit's 2**logrows rows
MAX_SRS = 128 * MIB
MAX_LOGROWS = 20
MAX_SCALE = 40  # bits behind the binary point
POINT = 64  # bytes of an uncompressed point of BN254's first group
VERIFIER_SRS = 4 + 4 * POINT + 4 * POINT  # bytes: an SRS cut down to two rows, see `verify.zk.srs`

Visibility = Literal["fixed", "polycommit"]
Scales = Annotated[tuple[Annotated[int, Meta(ge=0, le=MAX_SCALE)], ...], Meta(min_length=1, max_length=MAX_TENSORS)]


class CircuitFile(Record):
    """A file of the circuit, by the name of its blob."""

    blob: Hash32
    size: Annotated[int, Meta(ge=1, le=MAX_SRS)]


class Circuit(Record):
    """What a publisher registers, so that answers of a model can be proved.

    `inputs` and `outputs` are the manifest's with every dim fixed. A number x stands as round(x · 2**scale). With
    visibility `fixed` the key holds the weights; with `polycommit` it does not, and every proof must begin with
    `commitment`, points of 64 bytes. `tolerance_ppb` is how far outputs were from the float model's, in billionths of
    the largest, and `proof_bytes` and `prove_us` what a proof took; all three as the publisher measured them.
    """

    model: Hash32
    publisher: Address
    system: Name  # what proves, with its version
    graph: Hash32  # the blob of the ONNX graph
    settings: CircuitFile
    key: CircuitFile  # for verification
    srs: CircuitFile  # for proving
    verifier_srs: Annotated[bytes, Meta(min_length=VERIFIER_SRS, max_length=VERIFIER_SRS)]
    logrows: Annotated[int, Meta(ge=1, le=MAX_LOGROWS)]
    visibility: Visibility
    commitment: Annotated[bytes, Meta(max_length=64 * POINT)]
    inputs: Annotated[tuple[TensorSpec, ...], Meta(min_length=1, max_length=MAX_TENSORS)]
    outputs: Annotated[tuple[TensorSpec, ...], Meta(min_length=1, max_length=MAX_TENSORS)]
    input_scales: Scales
    output_scales: Scales
    tolerance_ppb: U63
    proof_bytes: U32
    prove_us: U63
    created_ms: TimeMs


class SignedCircuit(Signed):
    """A circuit's canonical bytes with the publisher's signature over their hash."""


class ZkFiles(Record):
    """What a stranger needs to check a proof: the registration, its files, and the inputs' bytes, which this shows."""

    circuit: SignedCircuit
    settings: Annotated[bytes, Meta(min_length=1, max_length=MAX_SETTINGS)]
    key: Annotated[bytes, Meta(min_length=1, max_length=MAX_KEY)]
    inputs: Annotated[tuple[Annotated[bytes, Meta(max_length=4 * MAX_INSTANCES)], ...], Meta(max_length=MAX_TENSORS)]


class ZkEvidence(Record):
    """A proof that the circuit takes the request's inputs to the receipt's outputs.

    `circuit` is the record's hash. `outputs` are the proved numbers of all outputs, 8 bytes each, little-endian.
    A provider sends no `files`: who asked puts its own there, for those who check the receipt later.
    """

    circuit: Hash32
    proof: Annotated[bytes, Meta(min_length=1, max_length=MAX_PROOF)]
    outputs: Annotated[bytes, Meta(min_length=8, max_length=8 * MAX_INSTANCES)]
    files: ZkFiles | None = None


class AskCircuits(Record, tag="circuits", tag_field="type"):
    """Which circuits are registered for this model?"""

    model: Hash32


class Circuits(Record):
    """Those that this peer knows, newest first. None is no error."""

    circuits: Annotated[tuple[SignedCircuit, ...], Meta(max_length=MAX_CIRCUITS)]


def sign_circuit(circuit: Circuit, key: NodeKey, domain: Domain) -> SignedCircuit:
    """The publisher's signed circuit; ValueError when `key` is not the publisher's."""
    if circuit.publisher != key.address:
        raise ValueError("the circuit names another publisher than the key that would sign it")
    return sign(SignedCircuit, CIRCUIT, encode(circuit), key, domain)


def read_circuit(signed: SignedCircuit, domain: Domain, manifest: Manifest, model: bytes) -> Circuit:
    """The circuit inside, checked against the manifest of the model it must be for; RecordError says what differs."""
    circuit = decode(signed.body, Circuit, limit=MAX_CIRCUIT)
    if circuit.model != model or circuit.graph != manifest.files[0].blob:
        raise RecordError("Circuit: it is of another model")
    if circuit.publisher != manifest.publisher:
        raise RecordError("Circuit: it is not registered by the model's publisher")
    check_signature(signed, CIRCUIT, circuit.publisher, domain)
    for fixed, open_, scales in (
        (circuit.inputs, manifest.inputs, circuit.input_scales),
        (circuit.outputs, manifest.outputs, circuit.output_scales),
    ):
        if len(fixed) != len(scales) or not _fits(fixed, open_):
            raise RecordError("Circuit: its inputs and outputs are not the model's, with sizes of floats")
    if count(circuit.inputs) + count(circuit.outputs) > MAX_INSTANCES:
        raise RecordError(f"Circuit: more than {MAX_INSTANCES} elements of inputs and outputs")
    points, rest = divmod(len(circuit.commitment), POINT)
    if rest or (points > 0) != (circuit.visibility == "polycommit"):
        raise RecordError("Circuit: its commitment does not fit its visibility")
    return circuit


def count(specs: tuple[TensorSpec, ...]) -> int:
    """The elements of all tensors of these fixed sizes."""
    return sum(prod(dim for dim in spec.shape if isinstance(dim, int)) for spec in specs)


def _fits(fixed: tuple[TensorSpec, ...], open_: tuple[TensorSpec, ...]) -> bool:
    """Whether `fixed` is `open_` with a size for every name."""
    return len(fixed) == len(open_) and all(
        one.name == other.name
        and one.datatype == other.datatype == "FP32"
        and len(one.shape) == len(other.shape)
        and all(
            isinstance(dim, int) and dim > 0 and (not isinstance(want, int) or want == dim)
            for dim, want in zip(one.shape, other.shape, strict=True)
        )
        for one, other in zip(fixed, open_, strict=True)
    )
