"""What a caller sends, read: quantities, bytes, addresses, blocks, filters. RpcError for all else, never another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import bounds
from .engine import Call
from .errors import PARAMS, SERVER, RpcError
from .ledger import Ledger

_LATEST = ("latest", "pending", "safe", "finalized")  # one sequencer, whose word is final


def quantity(value: Any, name: str = "quantity", most: int = 2**256 - 1) -> int:
    """A number, as JSON-RPC has it in hexadecimal, or plain as some clients send it."""
    if isinstance(value, str) and value.startswith("0x") and 3 <= len(value) <= 66 and value[2:].isalnum():
        try:
            value = int(value, 16)
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise RpcError(PARAMS, f"invalid {name}")
    return value


def octets(value: Any, name: str = "data", size: int | None = None) -> bytes:
    """Bytes in hexadecimal, of `size` where one is given."""
    if isinstance(value, str) and value.startswith("0x") and len(value) % 2 == 0:
        try:
            read = bytes.fromhex(value[2:])
        except ValueError:
            read = b"?"
        if len(read) * 2 == len(value) - 2 and size in (None, len(read)):  # `fromhex` passes over spaces
            return read
    raise RpcError(PARAMS, f"invalid {name}")


def address(value: Any, name: str = "address") -> bytes:
    """20 bytes."""
    return octets(value, name, 20)


def word(value: Any, name: str = "hash") -> bytes:
    """32 bytes."""
    return octets(value, name, 32)


def block_number(value: Any, ledger: Ledger) -> int:
    """The number a block's tag, number, or object (EIP-1898) means. It may lie beyond the head."""
    if value is None or value in _LATEST:
        return ledger.number
    if value == "earliest":
        return 0
    if isinstance(value, dict):
        if "blockHash" in value:
            found = ledger.number_of(word(value["blockHash"], "blockHash"))
            if found is None:
                raise RpcError(SERVER, "header not found")
            return found
        return block_number(value.get("blockNumber"), ledger)
    return quantity(value, "block number", 2**64 - 1)


def call(value: Any) -> Call:
    """The message of an eth_call."""
    if not isinstance(value, dict):
        raise RpcError(PARAMS, "invalid call: an object is needed")
    data = value.get("input", value.get("data"))
    gas = value.get("gas")
    return Call(
        sender=bytes(20) if value.get("from") is None else address(value["from"], "from"),
        to=None if value.get("to") is None else address(value["to"], "to"),
        data=b"" if data is None else octets(data, "data"),
        value=0 if value.get("value") is None else quantity(value["value"], "value"),
        gas=bounds.CALL_GAS if gas is None else min(quantity(gas, "gas"), bounds.CALL_GAS),
    )


@dataclass(frozen=True)
class Filter:
    """Which logs: of the blocks `first` to `last`, of any of the addresses, with any of the topics in each place."""

    first: int
    last: int
    addresses: frozenset[str]
    topics: tuple[frozenset[str], ...]

    def takes(self, log: dict[str, Any]) -> bool:
        """Whether it is one of them. Empty sets take all."""
        if self.addresses and log["address"] not in self.addresses:
            return False
        if len(log["topics"]) < len(self.topics):
            return False
        return all(not wanted or topic in wanted for wanted, topic in zip(self.topics, log["topics"], strict=False))


def log_filter(value: Any, ledger: Ledger) -> Filter:
    """The filter of an eth_getLogs."""
    if not isinstance(value, dict):
        raise RpcError(PARAMS, "invalid filter: an object is needed")
    if value.get("blockHash") is not None:
        if value.get("fromBlock") is not None or value.get("toBlock") is not None:
            raise RpcError(PARAMS, "invalid filter: a block's hash and a range")
        first = last = block_number({"blockHash": value["blockHash"]}, ledger)
    else:
        first, last = block_number(value.get("fromBlock"), ledger), block_number(value.get("toBlock"), ledger)
        last = min(last, ledger.number)
    if last - first >= bounds.MAX_LOG_BLOCKS:
        raise RpcError(-32005, f"query exceeds max block range {bounds.MAX_LOG_BLOCKS}")
    addresses = _alternatives(value.get("address"), 20, bounds.MAX_ADDRESSES)
    topics = value.get("topics") or []
    if not isinstance(topics, list) or len(topics) > 4:
        raise RpcError(PARAMS, "invalid topics: at most 4 places")
    return Filter(first, last, addresses, tuple(_alternatives(t, 32, bounds.MAX_TOPICS) for t in topics))


def _alternatives(value: Any, size: int, most: int) -> frozenset[str]:
    values = [] if value is None else value if isinstance(value, list) else [value]
    if len(values) > most:
        raise RpcError(PARAMS, f"invalid filter: more than {most} alternatives")
    return frozenset("0x" + octets(v, "filter", size).hex() for v in values)
