"""From whom to fetch which piece of a blob: the scheduler, as a machine without I/O.

Events go in (a peer joined, a piece came, a request failed, a batch is on disk); `next` says what to do now. Three
rules hold it together. A piece is asked of one peer at a time; of a second one only when nothing else is left to ask
for and the first is late. What was asked for, has come and is being written is bounded together. And it always ends: a
peer that fails is asked again only so often, and when nobody is left who may have what is missing, that is the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wire.bounds import CHUNK
from wire.errors import ErrorCode, RemoteError

from .. import bounds
from .pieces import Pieces
from .source import Request, Source


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask `peer` for the pieces, and report on them under `number`."""

    number: int
    peer: str
    pieces: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """What was asked of the peer is taken back: end what is open with it. `lied`: it sent wrong bytes."""

    peer: str
    lied: bool


@dataclass(frozen=True, slots=True)
class Store:
    """Write these pieces; `stored` when they are on disk. One batch at a time."""

    pieces: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Say:
    """Tell the user."""

    peer: str
    text: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The end: all is on disk, or nobody can bring what is missing, and `failures` says why."""

    whole: bool


Action = Ask | Cut | Store | Say | Finish


class Transfer:
    """One blob's pieces, by number, on their way. `missing` are those to fetch, in the order to ask for them."""

    def __init__(self, sizes: Sequence[int], missing: Sequence[int]) -> None:
        self._sizes = sizes
        self._undone = set(missing)  # not yet arrived
        self._pieces = Pieces(missing, len(sizes))
        self._sources: dict[str, Source] = {}
        self._undone_then: dict[str, int] = {}  # by peer: how much had not arrived when it was last taken to have all
        self._holders: dict[int, list[Request]] = {}  # who is asked for each piece
        self._gathered: list[int] = []
        self._gathered_bytes = self._storing_bytes = self._asked_bytes = self._stored_bytes = 0
        self._gathering_since = 0.0
        self._requests: dict[int, Request] = {}
        self._count = 0  # of requests so far
        self._closed = self._finished = False
        self._stuck_since: float | None = None
        self._said: list[Action] = []

    @property
    def held(self) -> int:
        """Bytes asked for, come, and being written."""
        return self._asked_bytes + self._gathered_bytes + self._storing_bytes

    @property
    def failures(self) -> dict[str, RemoteError]:
        """Why each peer brings nothing more, or not all."""
        lacking = "it lacks some of the chunks that are missing"
        return {
            peer: source.error or RemoteError(ErrorCode.NOT_FOUND, lacking) for peer, source in self._sources.items()
        }

    # Events.

    def joined(self, peer: str, now: float, start: int | None = None) -> None:
        """A peer that may have the blob, or fetch it from the piece `start` on. Known ones, and those beyond the bound,
        are passed over."""
        if peer not in self._sources and len(self._sources) < bounds.BLOB_PEERS:
            self._sources[peer] = Source(peer, now, fetches=start is not None)
            self._undone_then[peer] = len(self._undone)
            self._pieces.join(peer, start)

    def no_more_peers(self) -> None:
        """No further peer will join."""
        self._closed = True

    def arrived(self, number: int, piece: int, now: float) -> bool:
        """A piece came and is right; whether it is to be kept (False when it is here already)."""
        request = self._requests.get(number)
        if request is None or piece not in request.left:
            return False
        source, size = self._sources[request.peer], self._sizes[piece]
        source.arrived(request, size, now)
        self._release(request, piece)
        if piece not in self._undone:
            return False
        self._undone.remove(piece)
        if not self._gathered:
            self._gathering_since = now
        self._gathered.append(piece)
        self._gathered_bytes += size
        return True

    def lacked(self, number: int, piece: int, now: float) -> None:
        """The peer does not have this piece; those after it in the request are not answered either."""
        if (request := self._requests.get(number)) is None:
            return
        others = any(s.peer != request.peer and s.is_at_work(now) for s in self._live())
        source = self._sources[request.peer]
        # While others deliver, who fetches as well has the time to come by this piece, which is likely its next.
        if not (others and source.fetches and self._pieces.lacks_some(request.peer)):
            self._pieces.lack(request.peer, piece)
        source.missed(now, others)
        self._end(request)

    def failed(self, number: int, error: RemoteError, now: float) -> None:
        """The request failed, and what was not delivered of it must come another way."""
        if (request := self._requests.get(number)) is None:
            return
        source = self._sources[request.peer]
        self._end(request)
        self._blame(source, error, request.asked, now)

    def stored(self) -> None:
        """The batch is on disk."""
        self._stored_bytes += self._storing_bytes
        self._storing_bytes = 0

    # What to do.

    def next(self, now: float) -> list[Action]:
        """What to do now. To be asked after every event, and every tenth of a second."""
        if self._finished:
            return []
        for source in self._live():
            if source.is_silent(now):
                self._replace(source, now)
            self._look_again(source, now)
        actions, self._said = self._said, []
        self._gather(actions, now)
        if not self._undone and not self._gathered and not self._storing_bytes:
            return self._finish(actions, True)
        for source in sorted(self._live(), key=lambda s: -s.rate):
            self._ask(actions, source, now)
        if self._undone and self._is_stuck(now):
            return self._finish(actions, False)
        return actions

    def _gather(self, actions: list[Action], now: float) -> None:
        # What came while the last batch was written is the next one: small on a slow link, so that little is lost to a
        # crash, and as large as it may be where the disk is what is slow.
        if self._storing_bytes or not self._gathered:
            return
        enough = self._gathered_bytes >= bounds.BLOB_BATCH_LEAST
        if not (enough or now - self._gathering_since >= bounds.BLOB_LINGER or not self._asked_bytes):
            return
        batch, self._gathered = self._gathered, []
        self._storing_bytes, self._gathered_bytes = self._gathered_bytes, 0
        actions.append(Store(tuple(batch)))

    def _ask(self, actions: list[Action], source: Source, now: float) -> None:
        if now < source.rest_until:
            return
        window, most = source.window(), source.pieces_at_once()
        # There is room for a whole request: filled as each chunk comes, it would cost a request for each.
        enough = window - (most - 1) * CHUNK
        while source.outstanding < enough and self._gathered_bytes + self._storing_bytes < self._most_unstored():
            chosen: list[int] = []
            size = 0
            while len(chosen) < most and source.outstanding + size < window:
                piece = self._pieces.find(source.peer)
                if piece is None or self.held + size + self._sizes[piece] > bounds.BLOB_MEMORY:
                    break
                self._pieces.take(piece)
                chosen.append(piece)
                size += self._sizes[piece]
            if not chosen and not source.requests and self._pieces.find(source.peer) is None:
                chosen = self._late(source, now)
            if not chosen:
                return
            actions.append(self._request_of(source, chosen, now))

    def _most_unstored(self) -> int:
        # A crash costs what is not on disk yet, and a disk that is slow to sync is faster with more at once: so a part
        # of what was stored since the start, which a crash at any time, and any number of them, make little of.
        least, most = bounds.BLOB_UNSTORED
        return min(max(self._stored_bytes // bounds.BLOB_UNSTORED_PART, least), most)

    def _look_again(self, source: Source, now: float) -> None:
        """A peer that lacks all that is missing may fetch it as well, and have some by now.

        Looked for only while the fetch goes on, from whomever: so it ends where nobody brings anything more.
        """
        since = source.lacking_since
        if since is None or now - since < bounds.BLOB_LACKED or len(self._undone) >= self._undone_then[source.peer]:
            return
        if len(self._pieces) and self._pieces.find(source.peer) is None:
            self._pieces.forget(source.peer)
            source.lacking_since = None
            self._undone_then[source.peer] = len(self._undone)

    def _late(self, source: Source, now: float) -> list[int]:
        """The piece that keeps the end waiting, when `source` would likely bring it much sooner than who is asked."""
        late: tuple[float, int] | None = None
        doubles = 0
        for piece, requests in self._holders.items():
            doubles += len(requests) - 1
            if len(requests) > 1 or requests[0].peer == source.peer or self._pieces.lacks(source.peer, piece):
                continue
            if piece not in self._undone:  # a second one brought it
                continue
            wait = self._sources[requests[0].peer].wait_for(0, now)
            if wait > 0.05 + 3 * source.wait_for(self._sizes[piece], now) and (late is None or wait > late[0]):
                late = wait, piece
        room = late is not None and self.held + self._sizes[late[1]] <= bounds.BLOB_MEMORY
        return [late[1]] if late is not None and room and doubles < bounds.BLOB_DOUBLES else []

    def _request_of(self, source: Source, pieces: list[int], now: float) -> Ask:
        self._count += 1
        request = self._requests[self._count] = Request(self._count, source.peer, pieces, now, source.delivered)
        size = sum(self._sizes[piece] for piece in pieces)
        source.asked(request, size, now)
        self._asked_bytes += size
        for piece in pieces:
            self._holders.setdefault(piece, []).append(request)
        return Ask(request.number, source.peer, tuple(pieces))

    def _replace(self, source: Source, now: float) -> None:
        """A peer has fallen silent: the others are asked for what it was asked for, where there are others."""
        seconds = f"{now - source.heard:.0f} s"
        if not any(s.rate and not s.is_silent(now) for s in self._live()):
            if not source.told:
                source.told = True
                self._said.append(Say(source.peer, f"has sent nothing for {seconds}, and no other peer can step in"))
            return
        asked = min(request.asked for request in source.requests.values())
        for request in list(source.requests.values()):
            self._end(request)
        error = RemoteError(ErrorCode.TIMEOUT, f"it sent nothing for {seconds}")
        self._said.append(Cut(source.peer, lied=False))
        self._blame(source, error, asked, now)

    def _blame(self, source: Source, error: RemoteError, asked: float, now: float) -> None:
        source.failed(error, asked, now)
        if not source.gone:
            self._said.append(Say(source.peer, f"failed, and is asked again later: {error.message}"))
            return
        for request in list(source.requests.values()):
            self._end(request)
        self._pieces.leave(source.peer)
        self._said.append(Say(source.peer, f"dropped: {error.message}"))
        self._said.append(Cut(source.peer, error.code is ErrorCode.WRONG_DATA))

    def _is_stuck(self, now: float) -> bool:
        """Whether nothing is under way, nobody left may have what is missing, and nobody new came for a while."""
        if self.held or any(self._pieces.find(s.peer) is not None for s in self._live()):
            self._stuck_since = None
            return False
        if self._stuck_since is None:
            self._stuck_since = now
        return self._closed or now - self._stuck_since >= bounds.BLOB_PATIENCE

    def _finish(self, actions: list[Action], whole: bool) -> list[Action]:
        self._finished = True
        return [*actions, Finish(whole)]

    def _live(self) -> list[Source]:
        return [source for source in self._sources.values() if not source.gone]

    def _release(self, request: Request, piece: int) -> None:
        """The request no longer stands for the piece."""
        request.left.remove(piece)
        self._asked_bytes -= self._sizes[piece]
        holders = self._holders[piece]
        holders.remove(request)
        if not holders:
            del self._holders[piece]
        if not request.left:
            del self._requests[request.number]
            del self._sources[request.peer].requests[request.number]

    def _end(self, request: Request) -> None:
        """What the request did not bring is wanted again, unless somebody else is asked for it or brought it."""
        for piece in list(request.left):
            self._sources[request.peer].outstanding -= self._sizes[piece]
            self._release(request, piece)
            if piece in self._undone and piece not in self._holders:
                self._pieces.put_back(piece)
