"""What verifiers said of answers that were checked afterwards, by provider and model: a provider's record as seen here.

Whoever puts something in has checked that its verifier was drawn for a real answer. Bounded three ways: of one provider
and model the oldest praise goes first, so that no praise pushes a dispute out; in all the oldest word goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import bounds
from .checked import with_hash, without_hash
from .environment import Environment
from .errors import StoreDamaged

if TYPE_CHECKING:
    from .environment import Txn

_PAIR = 20 + 32  # bytes of a key that name the provider and the model
_AGREED = 8 + 32  # where in a value it stands, behind the place and the hash


@dataclass(frozen=True, slots=True)
class Checked:
    """One verifier's word on one answer: by the provider's address, three hashes' worth of names, and its key."""

    provider: bytes
    model: bytes
    receipt: bytes
    auditor: bytes
    agreed: bool
    checked_ms: int

    @property
    def key(self) -> bytes:
        return self.provider + self.model + self.receipt + self.auditor


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """Answers that were checked, as far as this peer kept it. One that any verifier disputed counts as disputed."""

    checked: int
    disputed: int
    verifiers: int
    since_ms: int  # the first check; 0 where there is none
    disputed_ms: int  # the last one that disputed; 0 where none did

    @property
    def agreed(self) -> int:
        return self.checked - self.disputed


class Audits:
    """`record` and `known` are short; `put` blocks until it is on disk."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._audits = environment.table("audits")  # provider, model, receipt, auditor: place (8), hash, word
        self._order = environment.table("audit_order")  # place: key of the above

    def put(self, words: Sequence[Checked]) -> int:
        """Keep these; how many were news. A verifier's second word on an answer does not replace its first. Blocks."""

        def work(txn: Txn) -> int:
            news = 0
            for word in words:
                if txn.get(word.key, db=self._audits) is None:
                    news += 1
                    self._add(txn, word)
            return news

        return self._environment.write(work)

    def known(self, word: Checked) -> bool:
        """Whether this verifier's word on this answer is here already."""
        with self._environment.read() as txn:
            return txn.get(word.key, db=self._audits) is not None

    def record(self, provider: bytes, model: bytes = b"") -> AuditRecord:
        """The record of a provider (its address, 20 bytes) with one model, or with all; damaged words are left out."""
        answers: dict[bytes, bool] = {}
        times: list[int] = []
        verifiers: set[bytes] = set()
        disputed_ms = 0
        for word in self._of(provider + model):
            answers[word.receipt] = answers.get(word.receipt, True) and word.agreed
            verifiers.add(word.auditor)
            times.append(word.checked_ms)
            if not word.agreed:
                disputed_ms = max(disputed_ms, word.checked_ms)
        disputed = sum(not agreed for agreed in answers.values())
        return AuditRecord(len(answers), disputed, len(verifiers), min(times, default=0), disputed_ms)

    def _of(self, beginning: bytes) -> Iterable[Checked]:
        with self._environment.read() as txn:
            return [word for key, stored in self._under(txn, beginning) if (word := _read(key, stored))]

    def _under(self, txn: Txn, beginning: bytes) -> Iterator[tuple[bytes, memoryview]]:
        cursor = txn.cursor(self._audits)
        if cursor.set_range(beginning):
            for key, stored in cursor:
                if bytes(key[: len(beginning)]) != beginning:
                    return
                yield bytes(key), stored

    def _add(self, txn: Txn, word: Checked) -> None:
        pair = list(self._under(txn, word.key[:_PAIR]))
        if len(pair) >= bounds.MAX_AUDITS_OF_ONE:
            # Praise goes before any dispute, and of equals the one that came first.
            self._forget(txn, min(pair, key=_worth)[0])
        if txn.stat(self._audits)["entries"] >= bounds.MAX_AUDITS:
            first = txn.cursor(self._order)
            if first.first():
                self._forget(txn, bytes(first.value()))
        last = txn.cursor(self._order)
        place = (int.from_bytes(last.key(), "big") + 1 if last.last() else 0).to_bytes(8, "big")
        said = bytes([word.agreed]) + word.checked_ms.to_bytes(8, "big")
        txn.put(word.key, place + with_hash(said), db=self._audits)
        txn.put(place, word.key, db=self._order)

    def _forget(self, txn: Txn, key: bytes) -> None:
        stored = txn.get(key, db=self._audits)
        assert stored is not None
        txn.delete(bytes(stored[:8]), db=self._order)
        txn.delete(key, db=self._audits)


def _read(key: bytes, stored: memoryview) -> Checked | None:
    try:
        said = without_hash(stored[8:], "A check")
    except StoreDamaged:
        return None
    names = key[:20], key[20:52], key[52:84], key[84:]
    return Checked(*names, agreed=bool(said[0]), checked_ms=int.from_bytes(said[1:], "big"))


def _worth(entry: tuple[bytes, memoryview]) -> tuple[int, bytes]:
    # Read without its hash: what is damaged is worth as little either way, and there are many to look at.
    stored = entry[1]
    return (1 if stored[_AGREED] == 0 else 0), bytes(stored[:8])
