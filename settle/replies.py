"""What stands in an RPC's answers, checked: quantities, bytes, blocks, logs, receipts. Unavailable for all else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NoReturn

from . import bounds
from .errors import Unavailable

_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")


@dataclass(frozen=True)
class Block:
    """One block. `timestamp`: seconds since 1970, UTC."""

    number: int
    hash: bytes
    timestamp: int


@dataclass(frozen=True)
class Log:
    """One log as the chain has it. `index` is its place in the block."""

    contract: bytes
    topics: tuple[bytes, ...]
    data: bytes
    block: int
    index: int
    transaction: bytes


@dataclass(frozen=True)
class Mined:
    """A transaction in a block: what it used of gas, wei for each, and whether it had its effect."""

    hash: bytes
    block: int
    gas: int
    price: int
    good: bool
    logs: tuple[Log, ...] = ()


def number(value: Any, what: str) -> int:
    """A JSON-RPC quantity, of 256 bits at most. Unavailable when it is none."""
    if isinstance(value, str) and _QUANTITY.fullmatch(value):
        return int(value, 16)
    return _nonsense(what)


def binary(value: Any, what: str, size: int | None = None) -> bytes:
    """JSON-RPC data, of `size` bytes where one is given. Unavailable when it is none."""
    if isinstance(value, str) and value.startswith("0x"):
        try:
            data = bytes.fromhex(value[2:])
        except ValueError:
            return _nonsense(what)
        if len(data) * 2 == len(value) - 2 and size in (None, len(data)):  # `fromhex` passes over spaces
            return data
    return _nonsense(what)


def read_block(value: Any) -> Block:
    """A block's header. Unavailable also for None: this RPC has no such block."""
    if value is None:
        raise Unavailable("an RPC does not have that block")
    fields = _fields(value, "eth_getBlockByNumber")
    return Block(
        _count(fields.get("number"), "a block's number"),
        binary(fields.get("hash"), "a block's hash", 32),
        _count(fields.get("timestamp"), "a block's time"),
    )


def read_log(value: Any) -> Log:
    """One log of a block."""
    fields = _fields(value, "a log")
    topics = fields.get("topics")
    if not isinstance(topics, list) or len(topics) > 4:
        _nonsense("a log's topics")
    return Log(
        binary(fields.get("address"), "a log's address", 20),
        tuple(binary(topic, "a log's topic", 32) for topic in topics),
        binary(fields.get("data"), "a log's data"),
        _count(fields.get("blockNumber"), "a log's block"),
        _count(fields.get("logIndex"), "a log's index"),
        binary(fields.get("transactionHash"), "a log's transaction", 32),
    )


def read_receipt(value: Any) -> Mined | None:
    """A transaction's receipt; None while it is in no block."""
    if value is None:
        return None
    fields = _fields(value, "eth_getTransactionReceipt")
    if fields.get("blockNumber") is None:
        return None
    logs = fields.get("logs")
    if not isinstance(logs, list) or len(logs) > bounds.MAX_LOGS:
        _nonsense("a receipt's logs")
    return Mined(
        binary(fields.get("transactionHash"), "a receipt's transaction", 32),
        _count(fields.get("blockNumber"), "a receipt's block"),
        _count(fields.get("gasUsed"), "a receipt's gas"),
        number(fields.get("effectiveGasPrice"), "a receipt's price"),
        number(fields.get("status"), "a receipt's status") == 1,
        tuple(read_log(log) for log in logs),
    )


def _fields(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        _nonsense(what)
    return value


def _count(value: Any, what: str) -> int:
    """A number that a record can hold."""
    found = number(value, what)
    return found if found < 1 << 63 else _nonsense(what)


def _nonsense(what: str) -> NoReturn:
    raise Unavailable(f"An RPC answered {what} with something that cannot be one")
