"""Signed records to keep, made the way publishers, providers and payers make them."""

from __future__ import annotations

from typing import Any

from wire.bounds import CHUNK
from wire.canonical import Amount, encode
from wire.certificate import Certificate
from wire.cid import content_hash
from wire.eip712 import Domain
from wire.inference import Backend, Receipt, Request, Runtime, Usage, sign_receipt, sign_request
from wire.keys import NodeKey
from wire.manifest import File, Manifest, SignedManifest, sign_manifest
from wire.name import Named, NameRecord, SignedName, sign_name
from wire.receiptfile import ReceiptFile
from wire.tensors import TensorSet, TensorSpec

DOMAIN = Domain(chain_id=1, contract=bytes(20))
ALICE, BOB = NodeKey(b"\1" * 32), NodeKey(b"\2" * 32)
BACKEND = Backend(name="onnxruntime", version="1.31.0", device="cpu", compute_capability="")


def piece(number: int, size: int = CHUNK) -> bytes:
    """Content that differs by `number`."""
    return number.to_bytes(4, "big") * (size // 4) + bytes(size % 4)


def manifest(name: str = "digits", version: str = "1.0.0", key: NodeKey = ALICE, **changes: Any) -> SignedManifest:
    """A signed manifest of a model with one file."""
    fields: dict[str, Any] = {
        "name": name,
        "version": version,
        "publisher": key.address,
        "files": (File(path="model.onnx", blob=bytes(32), size=1, media_type="application/onnx"),),
        "interface": "tensors",
        "inputs": (TensorSpec(name="x", datatype="FP32", shape=("batch", 4)),),
        "outputs": (TensorSpec(name="y", datatype="FP32", shape=("batch", 2)),),
        "task": "classify",
        "tags": (),
        "licence": "MIT",
        "royalty_bps": 100,
        "opset": 17,
        "profile": "ort-cpu",
        "description": "",
        "previous": None,
        "created_ms": 1,
    }
    return sign_manifest(Manifest(**fields | changes), key, DOMAIN)


def model_of(*blobs: bytes, size: int = 1, **changes: Any) -> SignedManifest:
    """A signed manifest of a model with these blobs as its files."""
    files = tuple(
        File(path=f"part{i}.onnx", blob=blob, size=size, media_type="application/onnx") for i, blob in enumerate(blobs)
    )
    return manifest(files=files, **changes)


def receipt_file(number: int, outputs: bytes = b"") -> tuple[bytes, bytes]:
    """A receipt's digest, and an encoded receipt file of it; `outputs` makes files of one receipt differ."""
    request = Request(
        nonce=content_hash(b"%d" % number),
        model=bytes(32),
        tier="signed",
        committee=0,
        seed=bytes(32),
        inputs=bytes(32),
        payer=ALICE.address,
        provider=BOB.address,
        max_price=Amount(9),
        issued_ms=1,
        deadline_ms=2,
    )
    receipt = Receipt(
        chain_id=DOMAIN.chain_id,
        request=request.digest(DOMAIN),
        nonce=request.nonce,
        payer=request.payer,
        provider=request.provider,
        model=request.model,
        inputs=request.inputs,
        outputs=bytes(32),
        runtime=Runtime(profile="ort-cpu", backend=BACKEND, together=1),
        tier="signed",
        usage=Usage(units=1, tokens_in=0, tokens_out=0, compute_us=5),
        price=Amount(number),
        started_ms=1,
        finished_ms=2,
    )
    digest = receipt.digest(DOMAIN)
    file = ReceiptFile(
        format=2,
        network="test",
        chain_id=DOMAIN.chain_id,
        contract=DOMAIN.contract,
        manifest=manifest(),
        request=sign_request(request, ALICE, DOMAIN),
        receipt=sign_receipt(receipt, BOB, DOMAIN),
        certificate=Certificate(tier="signed", receipt=digest),
        ballots=(),
        inputs=TensorSet(leaves=()),
        headers=(),
        outputs=(outputs,),
    )
    return digest, encode(file)


def named(version: str, model: bytes, withdrawn: str | None = None) -> Named:
    """One version of a name."""
    return Named(version=version, model=model, withdrawn=withdrawn)


def name_record(
    *versions: Named, sequence: int = 1, name: str = "digits", key: NodeKey = ALICE, issued_ms: int | None = None
) -> SignedName:
    """A name record over these versions, the highest first; issued at the time of its sequence, if not said."""
    issued = sequence if issued_ms is None else issued_ms
    record = NameRecord(
        publisher=key.address,
        name=name,
        versions=versions,
        sequence=sequence,
        issued_ms=issued,
        expires_ms=issued + 1,
    )
    return sign_name(record, key, DOMAIN)
