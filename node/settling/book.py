"""The lines of epochs whose roots stand: kept, found again, and taken from other settlers where they are not here."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import trio

from settle.tree import Tree
from storage import Store, StoreDamaged
from wire.settlement import EpochRoot, SettlementLine

_KEPT = 4  # epochs whose trees are in memory: of 10,000 receipts each takes some 20 MiB


@dataclass(frozen=True)
class Kept:
    """An epoch's lines, with the tree over them."""

    root: EpochRoot
    lines: Sequence[SettlementLine]

    @cached_property
    def _tree(self) -> Tree:
        return Tree.of(self.lines)

    @cached_property
    def _runs(self) -> dict[bytes, list[tuple[SettlementLine, SettlementLine]]]:
        found: dict[bytes, list[tuple[SettlementLine, SettlementLine]]] = {}
        for (account, _), group in groupby(self.lines, key=lambda line: (line.account, line.role)):
            run = list(group)
            found.setdefault(account, []).append((run[0], run[-1]))
        return found

    def path(self, line: SettlementLine) -> tuple[bytes, ...]:
        """What leads from the line to the root."""
        return self._tree.proof(line.index)

    def runs(self, account: bytes) -> list[tuple[SettlementLine, SettlementLine]]:
        """The first and the last line of each role that the account has lines of."""
        return self._runs.get(account, [])

    @cached_property
    def receipts(self) -> frozenset[bytes]:
        """All receipts that the lines pay."""
        return frozenset(line.receipt for line in self.lines if any(line.receipt))

    @property
    def is_ordered(self) -> bool:
        """Whether indexes and sums are those that the lines' order gives: then they need not be kept with them."""
        before = 0
        for i, line in enumerate(self.lines):
            if (line.index, line.sum_before) != (i, before):
                return False
            before += line.amount
        return True


class Book:
    """Lines by epoch."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: OrderedDict[int, Kept] = OrderedDict()

    async def keep(self, kept: Kept) -> None:
        """These are the lines of the root that stands."""
        await self._store.in_thread(self._store.settling.keep_lines, kept.root, list(kept.lines))
        self._remember(kept)

    async def lines(self, epoch: int) -> Kept | None:
        """An epoch's lines, or None where they are not here, or damaged."""
        if epoch in self._kept:
            self._kept.move_to_end(epoch)
            return self._kept[epoch]
        try:
            found = await trio.to_thread.run_sync(self._store.settling.lines, epoch)
        except StoreDamaged:
            return None
        if found is None:
            return None
        kept = Kept(*found)
        self._remember(kept)
        return kept

    async def drop(self, epoch: int) -> None:
        """That root stands no more."""
        self._kept.pop(epoch, None)
        await self._store.in_thread(self._store.settling.forget_lines, epoch)

    def _remember(self, kept: Kept) -> None:
        self._kept[kept.root.epoch] = kept
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
