"""Whom to dial so as to be in the network, and to stay in all of it. A machine without I/O.

Alone, a peer tries all it knows: first the two that it was longest with before, then seeds and peers met before in
turn. With company it goes on slowly until it has dialled peers in several ranges of addresses: connections that come
in are chosen by others, and who owns one range must not be all that a peer hears.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from random import Random

from .. import bounds
from ..addresses import is_circuit
from ..standing.ranges import RangeOf
from .peerbook import SavedPeer

SEED, BOOK, HEARD = "bootstrap", "peer book", "heard of"


@dataclass(frozen=True, slots=True)
class Candidate:
    """Someone to dial: one peer's whole addresses, and how we came by them."""

    peer: str
    addresses: tuple[str, ...]
    source: str
    name: str = ""  # the seed's name that stood for it


@dataclass(frozen=True, slots=True)
class Contact:
    """A peer that is connected."""

    peer: str
    address: str
    outgoing: bool
    since_ms: int


@dataclass(slots=True)
class _Tried:
    failures: int
    again: float  # when it is tried again while nobody is there


class Company:
    """The decisions of one peer."""

    def __init__(self, random: Random, range_of: RangeOf, *, grows: bool) -> None:
        """`grows`: whether more than a first connection is wanted."""
        self._random, self._range_of, self._grows = random, range_of, grows
        self._tried: dict[str, _Tried] = {}
        self._dialling: set[str] = set()
        self._grown = 0.0  # when one more was dialled last, or company came
        self._alone = True
        self._next = 0.0

    def plan(
        self,
        now: float,
        contacts: Sequence[Contact],
        seeds: Sequence[Candidate],
        book: Sequence[SavedPeer],
        heard: Iterable[Candidate],
    ) -> list[Candidate]:
        """Whom to dial now. Each is to be given back to `ended`."""
        if self._alone and contacts:
            self._grown = now
        self._alone = not contacts
        known = {contact.peer for contact in contacts} | self._dialling
        near = any(self._is_near(contact.address) for contact in contacts)
        heard = (one for one in heard if near or not any(map(self._is_near, one.addresses)))
        saved = [Candidate(one.peer, _whole(one), BOOK) for one in book]
        anchors = [one for one, its in zip(saved, book, strict=True) if its.anchor]
        if self._alone:
            in_turn = (one for one in chain(*zip_longest(seeds, saved)) if one is not None)
            candidates = [*anchors, *in_turn]
            found = self._due(now, candidates, known, 1.0) or self._due(now, heard, known, 1.0)
            chosen = found[: max(0, min(bounds.BOOT_BATCH, bounds.BOOT_AT_ONCE - len(self._dialling)))]
            self._next = now + bounds.BOOT_STAGGER if len(found) > len(chosen) else self._soonest(now, candidates)
        else:
            chosen = self._one_more(now, contacts, known, chain(anchors, saved, seeds, heard))
            due = self._grown + bounds.BOOT_GROW
            self._next = due if due > now else now + bounds.BOOT_GROW
        self._dialling.update(one.peer for one in chosen)
        return chosen

    def ended(self, candidate: Candidate, now: float, *, worked: bool) -> None:
        """What came of a dial."""
        self._dialling.discard(candidate.peer)
        failures = 0 if worked else min(self._failures(candidate.peer) + 1, 16)
        pause = min(bounds.BOOT_RETRY * 2 ** max(0, failures - 1), bounds.BOOT_RETRY_MAX)
        self._tried.pop(candidate.peer, None)
        self._tried[candidate.peer] = _Tried(failures, now + pause * self._random.uniform(0.75, 1.25))
        while len(self._tried) > bounds.BOOT_REMEMBERED:
            del self._tried[next(iter(self._tried))]

    def wait(self, now: float) -> float:
        """Seconds until `plan` may have more, unless someone comes or goes before."""
        return max(0.0, self._next - now)

    def has_tried(self, peer: str) -> bool:
        """Whether a dial of this peer has ended, one way or the other."""
        return peer in self._tried

    def anchors(self, contacts: Sequence[Contact]) -> list[str]:
        """The peers to come back to first: those that we dialled and have been with longest, of different ranges."""
        chosen: dict[str, str] = {}
        for contact in sorted(contacts, key=lambda one: one.since_ms):
            if contact.outgoing and len(chosen) < bounds.ANCHORS:
                chosen.setdefault(self._range_of(contact.address) or contact.peer, contact.peer)
        return list(chosen.values())

    def _is_near(self, address: str) -> bool:
        """Whether it is an address of this machine or LAN, or may be: a stranger's word leads us to none of those, but
        where the network itself is here."""
        return self._range_of(address) is None and not is_circuit(address)

    def _one_more(
        self, now: float, contacts: Sequence[Contact], known: set[str], candidates: Iterable[Candidate]
    ) -> list[Candidate]:
        dialled = [contact for contact in contacts if contact.outgoing]
        covered = {self._range_of(contact.address) or contact.peer for contact in dialled}
        full = len(covered) >= bounds.OUTBOUND or len(dialled) >= 2 * bounds.OUTBOUND
        if not self._grows or full or self._dialling or now < self._grown + bounds.BOOT_GROW:
            return []
        found = self._due(now, candidates, known, bounds.BOOT_PATIENCE)
        fresh = [one for one in found if (self._range_of(one.addresses[0]) or one.peer) not in covered]
        if not fresh and len(dialled) >= bounds.OUTBOUND:
            return []
        self._grown = now
        return (fresh or found)[:1]

    def _due(self, now: float, candidates: Iterable[Candidate], known: set[str], patience: float) -> list[Candidate]:
        """Those not connected whose last failure lies back long enough: with company, `patience` times as long."""
        found: dict[str, Candidate] = {}
        for one in candidates:
            tried = self._tried.get(one.peer)
            pause = min(bounds.BOOT_RETRY * 2 ** max(0, self._failures(one.peer) - 1), bounds.BOOT_RETRY_MAX)
            rested = tried is None or tried.again + (patience - 1) * pause <= now
            if rested and one.peer not in known and one.addresses:
                found[one.peer] = _joined(found.get(one.peer, one), one)
        return list(found.values())

    def _soonest(self, now: float, candidates: Iterable[Candidate]) -> float:
        """When one of those that rest is due again."""
        resting = (tried.again for one in candidates if (tried := self._tried.get(one.peer)))
        return min((again for again in resting if again > now), default=now + bounds.BOOT_RETRY_MAX)

    def _failures(self, peer: str) -> int:
        tried = self._tried.get(peer)
        return tried.failures if tried else 0


def _joined(one: Candidate, other: Candidate) -> Candidate:
    """One dial for what is known of one peer from two sides: as a seed, where it is one."""
    addresses = tuple(dict.fromkeys((*one.addresses, *other.addresses)))
    seed = one if one.source == SEED else other if other.source == SEED else one
    return Candidate(one.peer, addresses, seed.source, seed.name)


def _whole(saved: SavedPeer) -> tuple[str, ...]:
    return tuple(f"{address}/p2p/{saved.peer}" for address in saved.addresses)
