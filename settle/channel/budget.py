"""What a payer may spend: for one answer, in a day, and to one provider in a day. A machine without I/O.

Days are UTC's, by this machine's clock. What answers under way may cost counts as spent until they end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from ..amounts import show_amount
from .faults import OverBudget

DAY_MS = 24 * 60 * 60 * 1000

Spent = tuple[int, bytes]  # a day (since 1970), and a provider's address


@dataclass(frozen=True)
class Limits:
    """In the token's smallest unit; 0 is no limit."""

    request: int = 0
    day: int = 0
    provider: int = 0


@dataclass(eq=False)
class Reserved:
    """What one answer under way may cost."""

    provider: bytes
    amount: int


class Budget:
    """Each amount that `reserve` gives back ends with `end`."""

    def __init__(self, limits: Limits, spent: Mapping[Spent, int]) -> None:
        """`spent` as it was kept; days before today's do not matter."""
        self.limits = limits
        self._spent = Counter(dict(spent))
        self._reserved: set[Reserved] = set()

    def spent(self, now_ms: int, provider: bytes | None = None) -> int:
        """What was spent today, on all or on one provider."""
        day = now_ms // DAY_MS
        return sum(n for (d, p), n in self._spent.items() if d == day and provider in (None, p))

    def room(self, provider: bytes, now_ms: int) -> int | None:
        """The most that an answer of this provider may cost now; None where nothing limits it."""
        limits, rooms = self.limits, list[int]()
        if limits.request:
            rooms.append(limits.request)
        if limits.day:
            rooms.append(limits.day - self.spent(now_ms) - sum(r.amount for r in self._reserved))
        if limits.provider:
            under_way = sum(r.amount for r in self._reserved if r.provider == provider)
            rooms.append(limits.provider - self.spent(now_ms, provider) - under_way)
        return max(0, min(rooms)) if rooms else None

    def reserve(self, provider: bytes, amount: int, now_ms: int) -> Reserved:
        """Room for an answer that may cost `amount`; OverBudget where there is none."""
        room = self.room(provider, now_ms)
        if room is not None and amount > room:
            raise OverBudget(f"the answer may cost {show_amount(amount)}, your limits leave {show_amount(room)}")
        reserved = Reserved(provider, amount)
        self._reserved.add(reserved)
        return reserved

    def end(self, reserved: Reserved, price: int, now_ms: int) -> tuple[Spent, int]:
        """It cost so much (0: nothing). What was spent on this provider today, to be kept."""
        self._reserved.discard(reserved)
        return self.add(reserved.provider, price, now_ms)

    def add(self, provider: bytes, price: int, now_ms: int) -> tuple[Spent, int]:
        """So much more was spent on a provider. What that is today, to be kept."""
        key = now_ms // DAY_MS, provider
        self._spent[key] += price
        self._spent = Counter({k: n for k, n in self._spent.items() if k[0] >= key[0]})
        return key, self._spent[key]
