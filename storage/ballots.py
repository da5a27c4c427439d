"""What this verifier said, by the request it was said on, until nobody may ask any more.

A ballot is on disk before it is sent, so that a verifier which restarts can answer for its word.
"""

from __future__ import annotations

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

        ValueError over `MAX_BALLOT` bytes; StoreFull at `MAX_BALLOTS`: abstain, since the word could not be kept.
        """
        if len(reply) > bounds.MAX_BALLOT:
            raise ValueError(f"a ballot reply of {len(reply)} bytes, the bound is {bounds.MAX_BALLOT}")
        expiry = expires_ms.to_bytes(8, "big")

        def work(txn: Txn) -> None:
            if not self._remove(txn, request) and txn.stat(self._ballots)["entries"] >= bounds.MAX_BALLOTS:
                raise StoreFull(f"The store has {bounds.MAX_BALLOTS} ballots that have not expired. Try again later.")
            txn.put(request, expiry + with_hash(reply), db=self._ballots)
            txn.put(expiry + request, b"", db=self._expiries)

        self._environment.write(work)

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
