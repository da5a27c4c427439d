"""Joining the network, and staying in it: carries out what `company` decides, and remembers what became of each try."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

import trio

from wire.errors import RemoteError

from .. import bounds
from ..addresses import read_address
from . import seeds
from .company import SEED, Candidate, Company, Contact
from .peerbook import PeerBook

log = logging.getLogger(__name__)

Resolve = Callable[[str], Awaitable[seeds.Found]]


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of the last try of one peer, or of one seed's name."""

    address: str
    source: str  # "bootstrap", "peer book" or "heard of"
    failure: str | None  # None when it worked; it names each address, and why that one failed
    at_ms: int


class Bootstrap:
    """Tries to have peers."""

    def __init__(
        self,
        bootstraps: Sequence[str],
        book: PeerBook,
        company: Company,
        connect: Callable[[Sequence[str]], Awaitable[str]],
        contacts: Callable[[], Sequence[Contact]],
        heard: Callable[[], Iterable[Candidate]],
        resolve: Resolve = seeds.resolve,
    ) -> None:
        self._book, self._company, self._connect = book, company, connect
        self._contacts, self._heard, self._resolve = contacts, heard, resolve
        self._given: tuple[str, ...] = ()
        self._seeds: list[Candidate] = []
        self._found: dict[str, seeds.Found] = {}  # by seed: what its name stood for last
        self._asked: dict[str, float] = {}
        self._report: dict[tuple[str, str], Attempt] = {}
        self._changed = trio.Event()
        self.use(bootstraps)

    def use(self, bootstraps: Sequence[str]) -> None:
        """From now on these are the seeds: whole addresses, and names."""
        self._given = tuple(dict.fromkeys(bootstraps))[: bounds.BOOTSTRAPS]
        self._seeds = self._by_peer()
        self.changed()

    def report(self) -> list[Attempt]:
        """The last try of each seed and saved peer."""
        return list(self._report.values())

    def seeds(self) -> list[str]:
        """The peers that are seeds."""
        return [one.peer for one in self._seeds]

    def is_hopeful(self) -> bool:
        """Whether something has not been tried yet: a seed, a name, a peer met before."""
        unasked = any(seeds.is_name(seed) and seed not in self._found for seed in self._given)
        peers = self.seeds() + [saved.peer for saved in self._book.latest()]
        return unasked or any(not self._company.has_tried(peer) for peer in peers)

    def awaited(self) -> list[str]:
        """Of each seed that has neither answered nor failed yet, what is being waited for."""
        names = [seed.split("/")[2] for seed in self._given if seeds.is_name(seed) and seed not in self._found]
        slow = [one for one in self._seeds if not self._company.has_tried(one.peer)]
        return [f"the seed {name} has not been found in DNS yet" for name in names] + [
            f"peer {one.peer} has not answered yet ({', '.join(one.addresses)})" for one in slow
        ]

    def changed(self) -> None:
        """To be called when a connection comes about or ends."""
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                self._changed = trio.Event()
                contacts, now = self._contacts(), trio.current_time()
                self._book.anchor(self._company.anchors(contacts) or self._anchors())
                if not contacts:
                    self._ask_for_names(nursery, now)
                chosen = self._company.plan(now, contacts, self._seeds, self._book.latest(), self._heard())
                for candidate in chosen:
                    nursery.start_soon(self._try, candidate)
                with trio.move_on_after(self._company.wait(now)):
                    await self._changed.wait()
                if contacts:  # where many come and go, one look will do for all of them
                    await trio.sleep(bounds.BOOT_LOOK)

    def _anchors(self) -> list[str]:
        return [saved.peer for saved in self._book.latest() if saved.anchor]  # they stay so until there are others

    def _ask_for_names(self, nursery: trio.Nursery, now: float) -> None:
        for seed in self._given:
            if seeds.is_name(seed) and now >= self._asked.get(seed, now):
                self._asked[seed] = now + bounds.SEED_AGAIN
                nursery.start_soon(self._ask, seed)

    async def _ask(self, seed: str) -> None:
        found = await self._resolve(seed)
        if found.addresses or not (was := self._found.get(seed)) or not was.addresses:
            self._found[seed] = found  # what it stood for before is better than nothing
        self._note(seed, SEED, found.failure)
        self._seeds = self._by_peer()
        self.changed()

    def _by_peer(self) -> list[Candidate]:
        """The seeds by peer, each with all its addresses."""
        texts = [(text, "") for text in self._given if not seeds.is_name(text)]
        for seed in self._given:
            if found := self._found.get(seed):
                texts += [(text, found.name) for text in found.addresses]
        peers: dict[str, Candidate] = {}
        for text, name in texts:
            try:
                peer, _ = read_address(text)
            except RemoteError as error:
                self._note(text, SEED, error.message)
                continue
            was = peers.get(peer, Candidate(peer, (), SEED, name))
            peers[peer] = Candidate(peer, (*was.addresses, text)[: bounds.ADDRESSES], SEED, was.name)
        return list(peers.values())

    async def _try(self, candidate: Candidate) -> None:
        failure = "it was given up"
        try:
            await self._connect(candidate.addresses[: bounds.ADDRESSES])
            failure = ""
        except RemoteError as error:
            failure = f"{candidate.name}: {error.message}" if candidate.name else error.message
            log.info("%s: %s", candidate.source, failure)
        finally:
            self._company.ended(candidate, trio.current_time(), worked=not failure)
            self._note(candidate.addresses[0], candidate.source, failure or None)
            self.changed()

    def _note(self, address: str, source: str, failure: str | None) -> None:
        self._report[source, address] = Attempt(address, source, failure, time.time_ns() // 1_000_000)
        while len(self._report) > bounds.BOOTSTRAPS + bounds.BOOK_PEERS:
            del self._report[next(iter(self._report))]
