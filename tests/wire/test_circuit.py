"""A circuit record: its publisher's word on one model, in sizes that are the model's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.verify.scenes import Scene, key_of
from tests.zk.records import a_circuit
from wire.circuit import MAX_INSTANCES, Circuit, SignedCircuit, read_circuit, sign_circuit
from wire.eip712 import Domain
from wire.errors import RecordError
from wire.manifest import Manifest
from wire.tensors import TensorSpec

SCENE = Scene(tier="signed")
MODEL, DOMAIN = SCENE.signed_manifest.model, SCENE.network.domain
MANIFEST: Manifest = SCENE.manifest
FIXED = tuple(
    tuple(
        msgspec.structs.replace(spec, shape=tuple(d if isinstance(d, int) else 1 for d in spec.shape)) for spec in specs
    )
    for specs in (MANIFEST.inputs, MANIFEST.outputs)
)


def circuit(**changes: Any) -> Circuit:
    made = msgspec.structs.replace(
        a_circuit(),
        model=MODEL,
        publisher=key_of("publisher").address,
        graph=MANIFEST.files[0].blob,
        inputs=FIXED[0],
        outputs=FIXED[1],
    )
    return msgspec.structs.replace(made, **changes)


def signed(**changes: Any) -> SignedCircuit:
    return sign_circuit(circuit(**changes), key_of("publisher"), DOMAIN)


def test_its_publishers_word_is_read() -> None:
    assert read_circuit(signed(), DOMAIN, MANIFEST, MODEL) == circuit()


def bent(name: str, shape: tuple[Any, ...] = (1, 4), datatype: Any = "FP32") -> tuple[TensorSpec, ...]:
    return (TensorSpec(name=name, datatype=datatype, shape=shape),)


@pytest.mark.parametrize(
    "changes",
    [
        {"model": rb"\9" * 32},
        {"graph": rb"\9" * 32},
        {"inputs": bent("other")},
        {"inputs": bent(FIXED[0][0].name, ("N", 4))},
        {"inputs": bent(FIXED[0][0].name, (0, 4))},
        {"inputs": bent(FIXED[0][0].name, (1, 4, 1))},
        {"inputs": bent(FIXED[0][0].name, (1, 4), "FP64")},
        {"inputs": bent(FIXED[0][0].name, (MAX_INSTANCES, 4))},
        {"input_scales": (13, 13)},
        {"output_scales": (13, 13)},
        {"commitment": bytes(64)},
        {"visibility": "polycommit"},
        {"visibility": "polycommit", "commitment": bytes(63)},
    ],
    ids=str,
)
def test_what_is_not_of_this_model_or_contradicts_itself_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(RecordError):
        read_circuit(signed(**changes), DOMAIN, MANIFEST, MODEL)


@pytest.mark.parametrize(
    "forge",
    [
        lambda: sign_circuit(circuit(publisher=key_of("mallory").address), key_of("mallory"), DOMAIN),
        lambda: msgspec.structs.replace(signed(), body=signed(prove_us=1).body),
        lambda: sign_circuit(circuit(), key_of("publisher"), Domain(chain_id=1, contract=bytes(20))),
    ],
    ids=["another key", "other bytes", "another network"],
)
def test_nobody_else_s_word_counts(forge: Callable[[], SignedCircuit]) -> None:
    with pytest.raises(RecordError):
        read_circuit(forge(), DOMAIN, MANIFEST, MODEL)


def test_a_key_signs_for_itself_alone() -> None:
    with pytest.raises(ValueError, match="another publisher"):
        sign_circuit(circuit(), key_of("mallory"), DOMAIN)
