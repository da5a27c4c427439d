"""Which requests were seen already: a machine that refuses a replay, in bounded memory and without a disk.

A digest is remembered until its request's own deadline, which is bounded; and nothing issued before this process
started is taken. What is answered was never from the future (a clock that is a little ahead is waited for), so that a
restart closes the door behind everything that was answered before it.
"""

from __future__ import annotations

import heapq

from wire.bounds import MAX_REQUEST_LIFE_MS
from wire.errors import ErrorCode, RemoteError
from wire.inference import Request

from .bounds import MAX_AHEAD_MS


class ReplayGuard:
    """Admit each request once."""

    def __init__(self, started_ms: int, limit: int) -> None:
        self._started = started_ms
        self._limit = limit
        self._seen: set[bytes] = set()
        self._by_deadline: list[tuple[int, bytes]] = []

    def admit(self, request: Request, digest: bytes, now_ms: int) -> float:
        """Remember the request, and say how many seconds to wait before it is answered: until its own time has come.

        RemoteError when it is expired, from the future, too long-lived, older than this process, or was seen before.
        """
        self._forget(now_ms)
        if now_ms >= request.deadline_ms:
            raise RemoteError(ErrorCode.DEADLINE, "the request's deadline has passed")
        if request.issued_ms > now_ms + MAX_AHEAD_MS:
            raise RemoteError(ErrorCode.REFUSED, "the request is from the future: set your clock")
        if request.deadline_ms - request.issued_ms > MAX_REQUEST_LIFE_MS:
            raise RemoteError(ErrorCode.REFUSED, f"the request lives longer than {MAX_REQUEST_LIFE_MS} ms", retry=False)
        if request.issued_ms < self._started:
            raise RemoteError(ErrorCode.REFUSED, "the request is older than this peer's start: ask anew")
        if digest in self._seen:
            raise RemoteError(ErrorCode.REFUSED, "this request was answered before: each needs a nonce of its own")
        if len(self._seen) >= self._limit:
            raise RemoteError(ErrorCode.OVERLOADED, "too many requests are open here: try later or elsewhere")
        self._seen.add(digest)
        heapq.heappush(self._by_deadline, (request.deadline_ms, digest))
        return max(0, request.issued_ms - now_ms) / 1000

    def _forget(self, now_ms: int) -> None:
        while self._by_deadline and self._by_deadline[0][0] <= now_ms:
            self._seen.discard(heapq.heappop(self._by_deadline)[1])
