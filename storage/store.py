"""The store as a whole: one directory, one lock, one environment, and a door for each kind of thing kept.

What a serving peer needs stands on `Store` itself. Its reads are short enough for the trio thread; its writes wait for
the disk, so they run in a worker thread, one at a time (LMDB has one writer anyway, and waiting tasks cost less than
waiting threads).
"""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import trio

from wire.blob import Outline
from wire.manifest import SignedManifest

from .audits import Audits
from .ballots import Ballots
from .benchmarks import Benchmarks
from .blobs import Blobs, Chunk
from .catalogue import Catalogue
from .circuits import Circuits
from .collection import Collected, Collection
from .environment import Environment
from .errors import StoreDamaged, StoreError, StoreFull
from .frauds import Frauds
from .holds import Hold, Holds
from .lock import DirectoryLock
from .mirrored import Mirrored
from .models import Models
from .names import Names
from .payments import Payments
from .pins import Pins
from .receipts import Receipts
from .sealed import open_sealed
from .seen import SeenCounts
from .settling import Settling
from .transactions import Transactions
from .verification import ModelState, Verification, Verified, model_states

T = TypeVar("T")
S = TypeVar("S")
Ts = TypeVarTuple("Ts")


class Store:
    """Everything one peer keeps. Made by `open_store`."""

    def __init__(self, environment: Environment, quota: int | None = None) -> None:
        self._environment = environment
        self._writer = trio.CapacityLimiter(1)
        self._collecting = trio.Lock()
        self._holds = Holds()
        self.quota = quota
        self.blobs = Blobs(environment, self._holds, quota)
        self.seen = SeenCounts(environment)
        self.catalogue = Catalogue(environment, self.seen)
        self.names = Names(environment, self.catalogue)
        self.mirrored = Mirrored(environment)
        self.models = Models(environment, self._holds, self.names, self.seen, self.mirrored)
        self.pins = Pins(environment)
        self.receipts = Receipts(environment)
        self.ballots = Ballots(environment)
        self.benchmarks = Benchmarks(environment)
        self.circuits = Circuits(environment)
        self.audits = Audits(environment)
        self.frauds = Frauds(environment)
        self.transactions = Transactions(environment)
        self.settling = Settling(environment)
        self.payments = Payments(environment)

    async def in_thread(self, write: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run one of this store's blocking methods in a worker thread, after those before it.

        Once it has begun, it ends before a cancellation is seen: what it wrote is then known.
        """
        return await trio.to_thread.run_sync(write, *args, limiter=self._writer)

    def manifest(self, model: bytes) -> SignedManifest | None:
        """The model's manifest, or None when it is not here or damaged (then it can be put again)."""
        try:
            return self.models.get(model)
        except StoreDamaged:
            return None

    def outline(self, blob: bytes) -> Outline | None:
        """See `Blobs.outline`."""
        return self.blobs.outline(blob)

    def chunk(self, digest: bytes) -> bytes | None:
        """See `Blobs.chunk`."""
        return self.blobs.chunk(digest)

    def missing(self, outline: Outline) -> list[int]:
        """See `Blobs.missing`."""
        return self.blobs.missing(outline)

    async def put_outline(self, outline: Outline) -> None:
        """See `Blobs.put_outline`; returns when it is on disk."""
        await self.in_thread(self.blobs.put_outline, outline)

    async def put_chunks(self, chunks: Sequence[Chunk]) -> None:
        """See `Blobs.put_chunks`; returns when they are on disk."""
        await self.in_thread(self.blobs.put_chunks, chunks)

    async def open_sealed(self, blob: bytes) -> int:
        """See `sealed.open_sealed`. A worker thread of its own: it reads for long and writes nothing."""
        return await trio.to_thread.run_sync(open_sealed, self.blobs, blob)

    @asynccontextmanager
    async def holding(self, blobs: Iterable[bytes] = ()) -> AsyncIterator[Hold]:
        """While this lasts these blobs are not collected, whether they are here already or not.

        Whoever fetches, publishes or uses blobs that no manifest here may name holds them from before it looks.
        """
        hold = await self.in_thread(self.blobs.hold, blobs)
        try:
            yield hold
        finally:
            hold.release()

    def collection(self, *, dry_run: bool = False) -> Iterator[Collected]:
        """See `collection.Collection.steps`. Each step blocks; `collect` runs them all."""
        collection = Collection(self._environment, self.blobs, self.models, self.circuits, self._holds, dry_run=dry_run)
        return collection.steps()

    async def collect(self, progress: Callable[[Collected], None] | None = None, *, dry_run: bool = False) -> Collected:
        """Free what no manifest names and nobody holds; other writers take their turn between its steps.

        `dry_run` only counts. StoreDamaged when it cannot be told what is needed. Cancelled, it goes on another time.
        """
        async with self._collecting:
            return await self._run(self.collection(dry_run=dry_run), Collected(), progress)

    def verification(self) -> Iterator[Verified]:
        """See `verification.Verification.steps`. Each step blocks; `verify` runs them all."""
        return Verification(self._environment, self.blobs).steps()

    async def verify(self, progress: Callable[[Verified], None] | None = None) -> Verified:
        """Read everything back; what is damaged goes into quarantine, and counts as missing."""
        return await self._run(self.verification(), Verified(), progress)

    async def _run(self, steps: Iterator[S], last: S, progress: Callable[[S], None] | None) -> S:
        try:
            while (step := await self.in_thread(next, steps, None)) is not None:
                last = step
                if progress is not None:
                    progress(step)
        finally:
            if isinstance(steps, Generator):
                steps.close()
        return last

    def states(self) -> list[ModelState]:
        """See `verification.model_states`. Reads for long when there are many models."""
        return list(model_states(self.models, self.blobs))

    @property
    def disk_bytes(self) -> int:
        """What the database takes on disk."""
        return self._environment.disk_bytes


@contextmanager
def open_store(path: Path, quota: int | None = None) -> Iterator[Store]:
    """The store in `path`, made when there is none, locked for this process until the block ends.

    `quota` is the most bytes that chunks may take on disk; what goes beyond it is refused with StoreFull.
    StoreBusy when another process has it; StoreDamaged, StoreFull, or StoreError (a newer format, no permission).
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = DirectoryLock(path)
        lock.acquire()
    except OSError as error:
        kind = StoreFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StoreError
        raise kind(f"The store in {path} cannot be opened: {error.strerror}. Choose another data directory.") from error
    with ExitStack() as leaving:
        leaving.callback(lock.release)
        environment = Environment(path)
        leaving.callback(environment.close)
        yield Store(environment, quota)
