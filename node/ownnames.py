"""Which own name is said next: what changed at once, the others again and again. A machine without I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wire.name import NameRecord


@dataclass(frozen=True)
class _Said:
    sequence: int
    at: float
    models: frozenset[bytes]


class OwnNames:
    """Own name records, and when each was said last. Times are seconds of any one clock."""

    def __init__(self, every: float) -> None:
        """`every`: seconds after which the same is said again."""
        self._every = every
        self._records: dict[str, NameRecord] = {}
        self._said: dict[str, _Said] = {}

    def hold(self, records: Iterable[NameRecord]) -> None:
        """These are all there are now."""
        self._records = {record.name: record for record in records}
        self._said = {name: said for name, said in self._said.items() if name in self._records}

    def next(self, now: float) -> NameRecord | None:
        """What is to be said now: one that changed since it was said, else the one said longest ago, if it is time."""
        if not self._records:
            return None
        record = min(self._records.values(), key=self._due)
        return record if self._due(record) <= now else None

    def wait(self, now: float) -> float:
        """Seconds until `next` has one, if nothing changes; a time without end when there are none."""
        return max(0.0, min(map(self._due, self._records.values()), default=float("inf")) - now)

    def news(self, record: NameRecord) -> list[bytes]:
        """The models that stand in the record and were not said of it before; the newest word first.

        Of one that was never said only what the name means: what else there is was said before this peer started.
        """
        said = self._said.get(record.name)
        if said is None:
            named = record.of()
            return [] if named is None else [named.model]
        standing = [named.model for named in record.versions if named.withdrawn is None]
        return [model for model in standing if model not in said.models]

    def said(self, record: NameRecord, now: float) -> None:
        """The record was said."""
        models = frozenset(named.model for named in record.versions)
        self._said[record.name] = _Said(record.sequence, now, models)

    def _due(self, record: NameRecord) -> float:
        said = self._said.get(record.name)
        return said.at + self._every if said and said.sequence == record.sequence else float("-inf")
