"""Registered circuits by the model they are of, newest first. Their files are blobs like a model's.

The blobs of a model that is here are kept as long as it is; a publisher can register anew, so beyond a bound the oldest
record goes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wire.canonical import decode, encode
from wire.circuit import MAX_CIRCUITS, Circuit, SignedCircuit
from wire.errors import RecordError

from . import bounds
from .checked import with_hash, without_hash
from .environment import Environment
from .errors import StoreDamaged

if TYPE_CHECKING:
    from .environment import Txn


class Circuits:
    """The circuits this peer registered, or learnt of. `put` blocks until it is on disk."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._circuits = environment.table("circuits")  # model, time (8 bytes), record's hash: hash, signed record

    def put(self, signed: SignedCircuit) -> None:
        """Keep a circuit that the caller has checked. Blocks.

        Beyond `MAX_CIRCUITS` of a model its oldest goes, beyond `MAX_KNOWN_CIRCUITS` the oldest of all.
        """
        circuit = decode(signed.body, Circuit)

        def work(txn: Txn) -> None:
            key = circuit.model + circuit.created_ms.to_bytes(8, "big") + signed.hash
            txn.put(key, with_hash(encode(signed)), db=self._circuits)
            for old in self._keys(txn, circuit.model)[:-MAX_CIRCUITS]:
                txn.delete(old, db=self._circuits)
            if txn.stat(self._circuits)["entries"] > bounds.MAX_KNOWN_CIRCUITS:
                every = map(bytes, txn.cursor(self._circuits).iternext(values=False))
                txn.delete(min(every, key=lambda key: key[32:40]), db=self._circuits)

        self._environment.write(work)

    def of(self, model: bytes) -> list[SignedCircuit]:
        """The model's circuits, newest first; one that is damaged on disk is left out."""
        found = []
        with self._environment.read() as txn:
            for key in reversed(self._keys(txn, model)):
                stored = txn.get(key, db=self._circuits)
                assert stored is not None
                try:
                    found.append(decode(without_hash(stored, "A circuit"), SignedCircuit))
                except (StoreDamaged, RecordError):
                    continue
        return found

    def blobs(self, model: bytes) -> set[bytes]:
        """The blobs that the model's circuits name."""
        circuits = [decode(signed.body, Circuit) for signed in self.of(model)]
        return {file.blob for c in circuits for file in (c.settings, c.key, c.srs)}

    def _keys(self, txn: Txn, model: bytes) -> list[bytes]:
        """The model's, oldest first."""
        keys = []
        cursor = txn.cursor(self._circuits)
        if cursor.set_range(model):
            for key in cursor.iternext(values=False):
                if bytes(key[:32]) != model:
                    break
                keys.append(bytes(key))
        return keys
