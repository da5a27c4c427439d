"""Registered circuits: newest first, bounded, and their files kept as long as their model is here."""

from __future__ import annotations

from io import BytesIO

import msgspec
import pytest

from storage import Store
from storage.environment import Environment
from tests.verify.scenes import key_of
from tests.zk.records import a_circuit
from wire.circuit import MAX_CIRCUITS, CircuitFile, SignedCircuit, sign_circuit
from wire.eip712 import Domain

from .made import model_of

DOMAIN = Domain(chain_id=1, contract=b"\0" * 20)


def circuit(model: bytes = b"\1" * 32, created_ms: int = 1, **changes: object) -> SignedCircuit:
    record = msgspec.structs.replace(a_circuit(), model=model, created_ms=created_ms, **changes)
    return sign_circuit(record, key_of("publisher"), DOMAIN)


def test_the_newest_come_first_and_the_oldest_goes(store: Store) -> None:
    made = [circuit(created_ms=ms) for ms in range(1, MAX_CIRCUITS + 3)]
    for signed in (*made[3:], *made[:3], made[-1]):
        store.circuits.put(signed)
    assert store.circuits.of(b"\1" * 32) == made[: -MAX_CIRCUITS - 1 : -1]
    other = circuit(b"\2" * 32)
    store.circuits.put(other)
    assert store.circuits.of(b"\2" * 32) == [other]
    assert store.circuits.of(b"\3" * 32) == []


def test_beyond_the_bound_the_oldest_of_all_goes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.bounds.MAX_KNOWN_CIRCUITS", 2)
    for number in (3, 1, 2):
        store.circuits.put(circuit(bytes([number]) * 32, created_ms=number))
    assert [len(store.circuits.of(bytes([n]) * 32)) for n in (1, 2, 3)] == [0, 1, 1]


def test_a_damaged_one_is_left_out(store: Store) -> None:
    signed = circuit()
    store.circuits.put(signed)
    environment: Environment = store._environment
    table = environment.table("circuits")

    def spoil(txn: object) -> None:
        cursor = txn.cursor(table)  # type: ignore[attr-defined]
        cursor.first()
        txn.put(bytes(cursor.key()), b"\0" * 99, db=table)  # type: ignore[attr-defined]

    environment.write(spoil)
    assert store.circuits.of(b"\1" * 32) == []


async def test_its_files_are_kept_as_long_as_its_model(store: Store) -> None:
    signed = model_of(bytes(32))
    files = [store.blobs.add(BytesIO(f"file {n}".encode())) for n in range(3)]
    named = [CircuitFile(blob=outline.hash(), size=outline.size) for outline in files]
    store.circuits.put(circuit(signed.model, settings=named[0], key=named[1], srs=named[2]))
    store.models.put(signed)
    await store.collect()
    assert all(store.blobs.complete(file.blob) for file in named)
    store.models.remove(signed.model)
    await store.collect()
    assert not any(store.blobs.complete(file.blob) for file in named)
