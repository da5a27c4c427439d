"""Transactions that wait for a block: who may enter, who replaces whom, and who goes next. No I/O, no clock, no EVM."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import bounds
from .errors import Rejected


@dataclass(frozen=True)
class Waiting:
    """One transaction, and of it what decides. `cost`: wei that its sender must have, at most, with the value."""

    hash: bytes
    sender: bytes
    nonce: int
    gas: int
    max_fee: int
    tip: int
    cost: int
    signed: Any


class Pool:
    """Bounded by `MAX_POOL` and, for each account, `MAX_POOL_SENDER`."""

    def __init__(self) -> None:
        self._accounts: dict[bytes, dict[int, Waiting]] = {}
        self._all: dict[bytes, tuple[int, Waiting]] = {}  # by hash, with the order in which they came
        self.came = 0  # transactions that entered, ever

    def __len__(self) -> int:
        return len(self._all)

    def add(self, new: Waiting, nonce: int, balance: int) -> None:
        """Take a transaction of an account that sent `nonce` of them and has `balance` wei. Rejected says no."""
        if new.hash in self._all:
            raise Rejected("already known")
        if new.nonce < nonce:
            raise Rejected(f"nonce too low: next nonce {nonce}, tx nonce {new.nonce}")
        if new.cost > balance:
            raise Rejected(f"insufficient funds for gas * price + value: balance {balance}, tx cost {new.cost}")
        account = self._accounts.get(new.sender, {})
        old = account.get(new.nonce)
        if old is not None:
            least = 100 + bounds.PRICE_BUMP
            if new.max_fee * 100 < old.max_fee * least or new.tip * 100 < old.tip * least:
                raise Rejected("replacement transaction underpriced")
            self.drop(old.hash)
        elif len(account) >= bounds.MAX_POOL_SENDER or new.nonce >= nonce + bounds.MAX_POOL_SENDER:
            raise Rejected(f"too many transactions of this account wait, or its nonce is too far ahead of {nonce}")
        elif len(self) >= bounds.MAX_POOL:
            raise Rejected("txpool is full")
        self._accounts.setdefault(new.sender, {})[new.nonce] = new
        self.came += 1
        self._all[new.hash] = self.came, new

    def get(self, transaction_hash: bytes) -> Waiting | None:
        """The transaction, while it waits."""
        found = self._all.get(transaction_hash)
        return None if found is None else found[1]

    def next_nonce(self, sender: bytes, nonce: int) -> int:
        """The nonce after the last transaction that waits without a gap."""
        account = self._accounts.get(sender, {})
        while nonce in account:
            nonce += 1
        return nonce

    def choose(self, nonce_of: Callable[[bytes], int], base_fee: int, gas: int) -> list[Waiting]:
        """What fits into a block now: accounts in the order in which theirs came, each in the order of its nonces."""
        heads: list[tuple[int, bytes, int]] = []
        for sender, account in self._accounts.items():
            nonce = nonce_of(sender)
            if nonce in account:
                heapq.heappush(heads, (self._all[account[nonce].hash][0], sender, nonce))
        chosen = []
        while heads:
            _, sender, nonce = heapq.heappop(heads)
            waiting = self._accounts[sender][nonce]
            if waiting.max_fee < base_fee or waiting.gas > gas:
                continue  # and with it all later ones of the account
            chosen.append(waiting)
            gas -= waiting.gas
            if (following := self._accounts[sender].get(nonce + 1)) is not None:
                heapq.heappush(heads, (self._all[following.hash][0], sender, nonce + 1))
        return chosen

    def drop(self, transaction_hash: bytes) -> bool:
        """Forget a transaction; whether it was there."""
        found = self._all.pop(transaction_hash, None)
        if found is None:
            return False
        waiting = found[1]
        account = self._accounts[waiting.sender]
        del account[waiting.nonce]
        if not account:
            del self._accounts[waiting.sender]
        return True

    def settle(self, nonce_of: Callable[[bytes], int]) -> None:
        """Forget what can never enter a block any more: nonces that are used."""
        for sender in list(self._accounts):
            used = nonce_of(sender)
            for waiting in [w for w in self._accounts[sender].values() if w.nonce < used]:
                self.drop(waiting.hash)

    def clear(self) -> None:
        """Forget all."""
        self._accounts, self._all = {}, {}
