"""One circuit made ready to prove, in a folder of its own: the keys made here, and one proof after another.

The proving key is made from the model, never fetched: it is large, and who makes it learns whether the registered
key is really this model's. EZKL keeps tables in its folder and takes what it finds there, which is one more reason for
a folder that nobody shares.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import trio

from engine import EngineError
from engine.zk import files
from engine.zk.messages import MakeKeys, Prove
from engine.zk.running import open_proof_worker
from verify.tiers.zk import is_named
from verify.zk.fixedpoint import from_field, to_field
from verify.zk.statement import Statement
from wire.circuit import MAX_KEY, MAX_PROOF, Circuit
from wire.errors import RecordError

THREADS = os.cpu_count() or 1  # a proof takes every core, so there is one at a time


@dataclass(frozen=True)
class Proved:
    """A proof, the numbers it shows for the outputs, and the microseconds it took."""

    proof: bytes
    outputs: tuple[int, ...]
    took_us: int


class CircuitFolder:
    """A folder with a circuit in it. Nothing in it is believed but what is checked here."""

    def __init__(self, path: Path, settings: bytes, key: bytes, verifier_srs: bytes) -> None:
        self.path = path
        self.settings, self.key, self.verifier_srs = settings, key, verifier_srs

    async def prove(self, numbers: Sequence[Sequence[int]], outputs: int) -> Proved:
        """A proof over these inputs, a sequence a tensor; `outputs` is how many numbers come out.

        EngineError when EZKL refuses or its process ends: the inputs are beyond the circuit. Cancelled, it is killed.
        """
        write(self.path, files.INPUT, input_of(numbers))
        started = trio.current_time()
        async with open_proof_worker(self.path, threads=THREADS) as worker:
            await worker.do(Prove())
        took = int((trio.current_time() - started) * 1e6)
        proof, shown = read_proof(self.path)
        given = [number for part in numbers for number in part]
        if shown[: len(given)] != given or len(shown) != len(given) + outputs:
            raise EngineError("EZKL proved other inputs than it was given")
        return Proved(proof, tuple(shown[len(given) :]), took)

    def remove(self) -> None:
        """Take the folder away; a proof under way in it fails."""
        shutil.rmtree(self.path, ignore_errors=True)

    def statement(self, numbers: Sequence[Sequence[int]], proved: Proved) -> Statement:
        """What that proof has to state."""
        given = tuple(number for part in numbers for number in part)
        return Statement(self.settings, self.key, self.verifier_srs, (*given, *proved.outputs), proved.proof)


async def make_keys(path: Path, graph: bytes, settings: bytes, srs: bytes) -> bytes:
    """Make both keys in an empty folder; the bytes of the one for verification. EngineError when there can be none."""
    for name, data in ((files.GRAPH, graph), (files.SETTINGS, settings), (files.SRS, srs)):
        write(path, name, data)
    async with open_proof_worker(path, threads=THREADS) as worker:
        await worker.do(MakeKeys())
    return read(path, files.VERIFICATION_KEY, MAX_KEY)


async def open_circuit(path: Path, circuit: Circuit, graph: bytes, settings: bytes, srs: bytes) -> CircuitFolder:
    """The registered circuit, made ready in an empty folder. EngineError when its key is not what the model gives."""
    key = await make_keys(path, graph, settings, srs)
    if not is_named(circuit.key, key):
        raise EngineError("the registered key is not what this model gives: its publisher must register it anew")
    return CircuitFolder(path, settings, key, circuit.verifier_srs)


def input_of(numbers: Sequence[Sequence[int]]) -> bytes:
    """EZKL's file of inputs, in numbers of the field: nothing is left for it to round."""
    return json.dumps({"input_data": [[to_field(number) for number in part] for part in numbers]}).encode()


def read_proof(path: Path) -> tuple[bytes, list[int]]:
    """The proof's bytes and its public numbers, out of what EZKL wrote. EngineError when that is not as it must be."""
    data = read(path, files.PROOF, 64 * MAX_PROOF)
    try:
        found = json.loads(data)
        (column,) = found["instances"]
        proof = bytes(found["proof"])
        numbers = [from_field(text) for text in column]
    except (ValueError, KeyError, TypeError, RecursionError, RecordError) as error:
        raise EngineError(f"EZKL wrote no proof that can be used ({error})") from error
    if not 0 < len(proof) <= MAX_PROOF:
        raise EngineError(f"the proof has {len(proof)} bytes, the bound is {MAX_PROOF}")
    return proof, numbers


def write(path: Path, name: str, data: bytes) -> None:
    """A file of the folder."""
    (path / name).write_bytes(data)


def read(path: Path, name: str, most: int) -> bytes:
    """A file that EZKL wrote; EngineError when it is missing, no plain file, or over `most` bytes."""
    try:
        with os.fdopen(os.open(path / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise EngineError(f"EZKL left no {name}: {error.strerror}") from error
    if len(data) > most:
        raise EngineError(f"{name} is over {most} bytes: this circuit is too large to be proved here")
    return data
