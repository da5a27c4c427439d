"""What this verifier said, by the request it was said on, until nobody may ask any more.

A verifier that restarts can answer for its word with it. Many are written at once, since each transaction waits for the
disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from . import bounds
from .checked import with_hash, without_hash
from .environment import Environment
from .errors import StoreFull

if TYPE_CHECKING:
    from .environment import Txn


class Ballots:
    """Encoded ballot replies. `get` is short; `put` and `prune` block until they are on disk."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._ballots = environment.table("ballots")  # request digest: expiry (8 bytes), hash, reply
        self._expiries = environment.table("expiries")  # expiry, request digest

    def put(self, request: bytes, reply: bytes, expires_ms: int) -> None:
        """Keep the reply to an AskBallot on `request` (its digest, 32 bytes); a later one replaces it. Blocks.

        ValueError over `MAX_BALLOT` bytes; StoreFull at `MAX_BALLOTS`.
        """
        if self.put_all({request: (reply, expires_ms)}):
            raise StoreFull(f"The store has {bounds.MAX_BALLOTS} ballots that have not expired. Try again later.")

    def put_all(self, replies: Mapping[bytes, tuple[bytes, int]]) -> int:
        """Keep these replies, each with its expiry, in one transaction; how many had no room at `MAX_BALLOTS`. Blocks.

        ValueError when one has over `MAX_BALLOT` bytes.
        """
        for reply, _ in replies.values():
            if len(reply) > bounds.MAX_BALLOT:
                raise ValueError(f"a ballot reply of {len(reply)} bytes, the bound is {bounds.MAX_BALLOT}")

        def work(txn: Txn) -> int:
            refused = 0
            for request, (reply, expires_ms) in replies.items():
                if not self._remove(txn, request) and txn.stat(self._ballots)["entries"] >= bounds.MAX_BALLOTS:
                    refused += 1
                    continue
                expiry = expires_ms.to_bytes(8, "big")
                txn.put(request, expiry + with_hash(reply), db=self._ballots)
                txn.put(expiry + request, b"", db=self._expiries)
            return refused

        return self._environment.write(work)

    def get(self, request: bytes) -> bytes | None:
        """The reply kept for `request`, or None. StoreDamaged when it is not what was written."""
        with self._environment.read() as txn:
            stored = txn.get(request, db=self._ballots) if request else None
            return None if stored is None else without_hash(stored[8:], f"The ballot on request {request.hex()}")

    def prune(self, now_ms: int) -> int:
        """Forget what has expired; how many. Blocks."""

        def work(txn: Txn) -> int:
            now = (now_ms + 1).to_bytes(8, "big")
            expired = []
            for key in txn.cursor(self._expiries).iternext(values=False):
                if bytes(key) >= now:
                    break
                expired.append(bytes(key[8:]))
            for request in expired:
                self._remove(txn, request)
            return len(expired)

        return self._environment.write(work)

    def _remove(self, txn: Txn, request: bytes) -> bool:
        stored = txn.get(request, db=self._ballots)
        if stored is None:
            return False
        txn.delete(bytes(stored[:8]) + request, db=self._expiries)
        return txn.delete(request, db=self._ballots)
