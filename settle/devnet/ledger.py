"""The chain as a whole: its head, what waits, what every block left on disk, and what may be asked of them.

One caller at a time, no waiting: `submit` takes transactions, `seal` makes a block of them. A block is the head only
once it is on disk, so whatever was told of it survives the process and the power.
"""

from __future__ import annotations

import logging
import os
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from eth.abc import StateAPI
from eth_typing import Address

from . import bounds
from .disk import Disk
from .engine import Call, Engine, Header, Made, decode_transaction
from .errors import PARAMS, SERVER, RpcError, Unstorable
from .pool import Pool, Waiting
from .records import Json, block_record, data, receipt_record, transaction_record

log = logging.getLogger("hallmark.devnet")

CHAIN_ID = 31337


class Ledger:
    """Over a disk; `clock` gives seconds since 1970; `balances` are wei in the first block, where there is none yet."""

    def __init__(self, disk: Disk, clock: Callable[[], float], balances: dict[bytes, int]) -> None:
        self.pool = Pool()
        self.broken = ""  # why blocks cannot be written now, if they cannot
        self._disk, self._clock = disk, clock
        self._engine = Engine(disk.state, CHAIN_ID)
        self._next_time: int | None = None
        self._snapshots: list[tuple[int, bytes, int]] = []
        self._offset = int(disk.get("meta", b"offset") or b"0")
        number = disk.get("meta", b"head")
        if number is None:
            self._begin(balances)
        else:
            self._set_head(self._header_at(int(number)))

    @property
    def number(self) -> int:
        """The head's number."""
        return int(self.head.block_number)

    @property
    def base_fee(self) -> int:
        """Wei a gas that the next block burns."""
        return self._engine.base_fee_after(self.head)

    def submit(self, raw: bytes) -> bytes:
        """Take a signed transaction; its hash. Rejected says no."""
        if self.broken:
            raise RpcError(SERVER, self.broken)
        signed = decode_transaction(raw, CHAIN_ID)
        cost = signed.value + signed.gas * signed.max_fee_per_gas
        waiting = Waiting(
            signed.hash, bytes(signed.sender), signed.nonce, signed.gas, signed.max_fee_per_gas,
            signed.max_priority_fee_per_gas, cost, signed,
        )  # fmt: skip
        self.pool.add(waiting, self._nonce(waiting.sender), self.balance(waiting.sender))
        return waiting.hash

    def due(self) -> bool:
        """Whether a transaction waits that the next block can have."""
        return len(self.pool) > 0 and bool(self._choose())

    def seal(self) -> None:
        """Make the next block and put it on disk. Unstorable, and nothing changed, when the disk takes none."""
        time, offset = self._time(), self._offset
        chosen = self._choose()
        if self._next_time is not None:
            time = self._next_time
            offset = time - int(self._clock())
        try:
            made = self._engine.make(self.head, [w.signed for w in chosen], time, os.urandom(32))
            self._record(made)
            self._point(made.block.number, offset)
        except Unstorable as error:
            self.broken = str(error)
            raise
        finally:
            self._disk.discard()
        self.broken = ""
        self._offset, self._next_time = offset, None
        self._set_head(made.block.header)
        self._tidy(made)

    # -- what readers ask

    def number_of(self, block_hash: bytes) -> int | None:
        """The number of the block with this hash, in the chain as it is now."""
        found = self._disk.get("numbers", block_hash)
        return None if found is None else int.from_bytes(found, "big")

    def block(self, number: int) -> Json | None:
        """A block's record, None beyond the head."""
        found = self._disk.get("blocks", _key(number)) if 0 <= number < 2**64 else None
        return None if found is None else _unpack(found)

    def transaction(self, transaction_hash: bytes) -> Json | None:
        """A transaction's record, in a block or waiting."""
        found = self._disk.get("transactions", transaction_hash)
        if found is not None:
            return dict(_unpack(found))
        waiting = self.pool.get(transaction_hash)
        return None if waiting is None else transaction_record(waiting.signed)

    def receipt(self, transaction_hash: bytes) -> Json | None:
        """What came of a transaction; None while it is in no block."""
        found = self._disk.get("receipts", transaction_hash)
        return None if found is None else _unpack(found)

    def logs(self, first: int, last: int) -> Iterator[Json]:
        """All logs of the blocks from `first` to `last`, in order."""
        for _, packed in self._disk.scan("logs", _key(first), _key(last)):
            yield from _unpack(packed)

    def state(self, number: int) -> StateAPI:
        """Accounts as that block left them."""
        return self._engine.state(self._header_at(number))

    def balance(self, address: bytes) -> int:
        """Wei that an account has."""
        return self._now.get_balance(Address(address))

    def nonce(self, address: bytes, *, pending: bool) -> int:
        """Transactions that an account has sent; `pending`: with those that wait."""
        nonce = self._nonce(address)
        return self.pool.next_nonce(address, nonce) if pending else nonce

    def ask(self, number: int, call: Call) -> bytes:
        """What a call returns after that block. RpcError when it reverts."""
        return self._engine.ask(self._header_at(number), call)

    def estimate(self, number: int, call: Call) -> int:
        """Gas with which a call goes through after that block. RpcError when it reverts."""
        return self._engine.estimate(self._header_at(number), call)

    def note(self, name: str, value: bytes) -> None:
        """Keep a value beside the chain, on disk when this returns."""
        try:
            self._disk.put("notes", name.encode(), value)
            self._disk.commit()
        finally:
            self._disk.discard()

    def noted(self, name: str) -> bytes | None:
        """What was kept under the name."""
        return self._disk.get("notes", name.encode())

    # -- what only tests ask

    def forward(self, seconds: int) -> int:
        """Let the chain's clock go so much before ours; by how much it goes then."""
        if not 0 <= seconds <= bounds.MAX_TIME - self._time():
            raise RpcError(PARAMS, "no such time")
        self._offset += seconds
        return self._offset

    def set_next_time(self, timestamp: int) -> None:
        """The next block's time; the clock goes on from there. RpcError when it lies before the head's."""
        if not self.head.timestamp <= timestamp <= bounds.MAX_TIME:
            raise RpcError(PARAMS, f"timestamp {timestamp} is before the latest block's, {self.head.timestamp}")
        self._next_time = timestamp

    def snapshot(self) -> int:
        """Remember the head; a number to come back to it with."""
        if len(self._snapshots) >= bounds.MAX_HELD:
            raise RpcError(SERVER, f"{bounds.MAX_HELD} snapshots are kept already")
        self._snapshots.append((self.number, bytes(self.head.hash), self._offset))
        return len(self._snapshots) - 1

    def revert(self, snapshot: int) -> bool:
        """Go back to a snapshot, which ends it and all later ones; False when there is none."""
        if not 0 <= snapshot < len(self._snapshots):
            return False
        number, block_hash, offset = self._snapshots[snapshot]
        del self._snapshots[snapshot:]
        if self.number_of(block_hash) != number:
            return False  # a reorganisation took it
        self._rewind(number, offset)
        self.pool.clear()
        return True

    def reorganise(self, depth: int) -> None:
        """Replace the last `depth` blocks by as many empty ones; what stood in them is forgotten."""
        if not 0 <= depth <= min(self.number, bounds.MAX_MINED):
            raise RpcError(PARAMS, f"the chain has {self.number} blocks after its first")
        pool, self.pool = self.pool, Pool()
        self._rewind(self.number - depth, self._offset)
        for _ in range(depth):
            self.seal()
        self.pool = pool
        self.pool.settle(self._nonce)

    # -- within

    def _begin(self, balances: dict[bytes, int]) -> None:
        made = self._engine.genesis(balances, int(self._clock()))
        self._record(made)
        self._point(0, 0)
        self._set_head(made.block.header)

    def _set_head(self, header: Header) -> None:
        self.head = header
        self._now = self._engine.state(header)  # only read from

    def _time(self) -> int:
        return max(int(self.head.timestamp), int(self._clock()) + self._offset)

    def _choose(self) -> list[Waiting]:
        return self.pool.choose(self._nonce, self.base_fee, bounds.BLOCK_GAS)

    def _nonce(self, address: bytes) -> int:
        return self._now.get_nonce(Address(address))

    def _header_at(self, number: int) -> Header:
        found = self._disk.get("hashes", _key(number)) if 0 <= number < 2**64 else None
        if found is None:
            raise RpcError(SERVER, "header not found")
        return self._engine.header(found)

    def _record(self, made: Made) -> None:
        block, key = made.block, _key(made.block.number)
        self._disk.put("hashes", key, block.hash)
        self._disk.put("numbers", block.hash, key)
        self._disk.put("blocks", key, _pack(block_record(block)))
        logs: list[Json] = []
        used = 0
        for index, done in enumerate(made.executed):
            name = done.transaction.hash
            receipt = receipt_record(done, block, index, used, len(logs))
            used = done.receipt.gas_used
            logs += receipt["logs"]
            transaction = transaction_record(done.transaction, block, index)
            self._disk.put("transactions", name, _pack(transaction))
            self._disk.put("receipts", name, _pack(receipt))
        if logs:
            self._disk.put("logs", key, _pack(logs))

    def _point(self, number: int, offset: int) -> None:
        self._disk.put("meta", b"head", str(number).encode())
        self._disk.put("meta", b"offset", str(offset).encode())
        self._disk.commit()

    def _rewind(self, number: int, offset: int) -> None:
        for above in range(number + 1, self.number + 1):
            record = self.block(above)
            assert record is not None
            for transaction in record["transactions"]:
                for table in ("transactions", "receipts"):
                    self._disk.delete(table, bytes.fromhex(transaction[2:]))
            for table in ("hashes", "blocks", "logs"):
                self._disk.delete(table, _key(above))
            self._disk.delete("numbers", bytes.fromhex(record["hash"][2:]))
        self._point(number, offset)
        self._offset, self._next_time = offset, None
        self._set_head(self._header_at(number))

    def _tidy(self, made: Made) -> None:
        failed = set()
        for transaction, reason in made.dropped:
            if transaction.sender not in failed:  # its later ones only lack the nonce before theirs
                failed.add(transaction.sender)
                self.pool.drop(transaction.hash)
                log.info("%s can stand in no block: %s", data(transaction.hash), reason)
        self.pool.settle(self._nonce)


def _pack(record: Any) -> bytes:
    # Mostly zeros: packed, an empty block takes 1.8 KB of the disk instead of 5.2, which were a page of its own.
    return zlib.compress(msgspec.json.encode(record), 1)


def _unpack(packed: bytes) -> Any:
    return msgspec.json.decode(zlib.decompress(packed))


def _key(number: int) -> bytes:
    return number.to_bytes(8, "big")
