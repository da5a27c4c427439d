"""Benchmark files by the model they are about, so that a model can be shown with what was measured of it.

They can be measured again, so a bound drops the oldest instead of refusing the newest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wire.benchmark import MAX_BENCHMARK_FILE, Benchmark, BenchmarkFile
from wire.canonical import decode

from . import bounds
from .checked import with_hash, without_hash
from .environment import Environment
from .errors import StoreDamaged

if TYPE_CHECKING:
    from .environment import Txn


class Benchmarks:
    """What this peer measured, or was given. `put` blocks until it is on disk."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._files = environment.table("benchmarks")  # model, time (8 bytes), benchmark's hash: hash, file

    def put(self, data: bytes) -> bytes:
        """Keep a benchmark's file, whose signatures the caller has checked; its 32-byte name. Blocks.

        The same benchmark with another countersignature replaces it. Beyond `MAX_BENCHMARKS_OF_MODEL` the oldest of
        the model goes, beyond `MAX_BENCHMARKS` the oldest of all. RecordError when `data` is no such file.
        """
        signed = decode(data, BenchmarkFile, limit=MAX_BENCHMARK_FILE).benchmark
        benchmark = decode(signed.body, Benchmark)
        model = benchmark.model

        def work(txn: Txn) -> None:
            txn.put(model + benchmark.measured_ms.to_bytes(8, "big") + signed.hash, with_hash(data), db=self._files)
            keys = self._keys(txn, model)
            for key in keys[: max(0, len(keys) - bounds.MAX_BENCHMARKS_OF_MODEL)]:
                txn.delete(key, db=self._files)
            if txn.stat(self._files)["entries"] > bounds.MAX_BENCHMARKS:
                every = map(bytes, txn.cursor(self._files).iternext(values=False))
                txn.delete(min(every, key=lambda key: key[32:40]), db=self._files)

        self._environment.write(work)
        return signed.hash

    def of(self, model: bytes, limit: int = bounds.MAX_BENCHMARKS_OF_MODEL) -> list[bytes]:
        """The model's benchmark files, newest first, `limit` at most; one that is damaged on disk is left out."""
        found: list[bytes] = []
        with self._environment.read() as txn:
            for key in reversed(self._keys(txn, model)):
                if len(found) == limit:
                    break
                stored = txn.get(key, db=self._files)
                assert stored is not None
                try:
                    found.append(without_hash(stored, "A benchmark"))
                except StoreDamaged:
                    continue
        return found

    def _keys(self, txn: Txn, model: bytes) -> list[bytes]:
        """The model's, oldest first."""
        keys = []
        cursor = txn.cursor(self._files)
        if cursor.set_range(model):
            for key in cursor.iternext(values=False):
                if bytes(key[:32]) != model:
                    break
                keys.append(bytes(key))
        return keys
