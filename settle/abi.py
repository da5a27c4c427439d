"""Calls, results, events and errors of a contract, between Python values and the ABI's bytes.

Structs are dicts by field name, or sequences in the fields' order; addresses are 20 bytes, both ways.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from eth_abi import abi

from wire.eip712 import keccak256

from .artefacts import Artefact, artefact

Entry = dict[str, Any]


@dataclass(frozen=True)
class Event:
    """One decoded log: which event of which contract, its values by name, and where it stands on the chain."""

    name: str
    contract: bytes
    values: dict[str, Any]
    block: int = 0
    index: int = 0
    transaction: bytes = b""


class Interface:
    """What a contract can be asked and told."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = tuple(entries)

    @classmethod
    def of(cls, made: Artefact | str) -> Interface:
        """The interface of a committed contract."""
        return cls((artefact(made) if isinstance(made, str) else made).abi)

    @cached_property
    def _functions(self) -> dict[str, Entry]:
        return {e["name"]: e for e in self._entries if e["type"] == "function"}

    @cached_property
    def _events(self) -> dict[bytes, Entry]:
        return {keccak256(_signature(e).encode()): e for e in self._entries if e["type"] == "event"}

    @cached_property
    def _errors(self) -> dict[bytes, Entry]:
        return {keccak256(_signature(e).encode())[:4]: e for e in self._entries if e["type"] == "error"}

    def constructor(self, *args: Any) -> bytes:
        """The bytes that follow the bytecode when the contract is deployed."""
        entry: Entry = next((e for e in self._entries if e["type"] == "constructor"), {"inputs": []})
        return _encode(entry["inputs"], args)

    def call(self, function: str, *args: Any) -> bytes:
        """A transaction's or a call's data. KeyError for a function that is not there."""
        return self.call_selector(function) + _encode(self._functions[function]["inputs"], args)

    def arguments(self, function: str, data: bytes) -> dict[str, Any]:
        """The arguments in a transaction's data, by name. ValueError when it is no call of this function; `eth_abi`
        has other errors for bytes that only begin like one."""
        inputs = self._functions[function]["inputs"]
        if data[:4] != self.call_selector(function):
            raise ValueError(f"no call of {function}")
        return {item["name"]: value for item, value in zip(inputs, _decode(inputs, data[4:]), strict=True)}

    def call_selector(self, function: str) -> bytes:
        """The four bytes that a call of the function begins with."""
        return keccak256(_signature(self._functions[function]).encode())[:4]

    def result(self, function: str, data: bytes) -> Any:
        """What a call returned: one value, or a dict of values by name where there are several."""
        outputs = self._functions[function]["outputs"]
        values = _decode(outputs, data)
        if len(values) == 1:
            return values[0]
        return {output["name"] or str(i): value for i, (output, value) in enumerate(zip(outputs, values, strict=True))}

    def topic(self, event: str) -> bytes:
        """The first topic of an event's logs."""
        return next(topic for topic, entry in self._events.items() if entry["name"] == event)

    def event(self, contract: bytes, topics: Sequence[bytes], data: bytes) -> Event | None:
        """The event in a log; None when this contract's interface has no such event."""
        entry: Entry | None = self._events.get(topics[0]) if topics else None
        if entry is None:
            return None
        plain = iter(_decode([i for i in entry["inputs"] if not i["indexed"]], data))
        indexed = iter(topics[1:])
        values = {i["name"]: _topic(i, next(indexed)) if i["indexed"] else next(plain) for i in entry["inputs"]}
        return Event(entry["name"], contract, values)

    def error(self, data: bytes) -> str | None:
        """What a reverted call said, as a person reads it; None when it is no error of this contract's."""
        if data[:4] == bytes.fromhex("08c379a0"):
            return str(abi.decode(["string"], data[4:])[0])
        entry = self._errors.get(data[:4])
        if entry is None:
            return None
        values = _decode(entry["inputs"], data[4:])
        shown = ", ".join(f"{i['name']} {_show(v)}" for i, v in zip(entry["inputs"], values, strict=True))
        return f"{entry['name']}({shown})" if shown else str(entry["name"])


def _show(value: Any) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)


def _type(item: Entry) -> str:
    kind: str = item["type"]
    if kind.startswith("tuple"):
        return "(" + ",".join(map(_type, item["components"])) + ")" + kind[5:]
    return kind


def _signature(entry: Entry) -> str:
    return f"{entry['name']}({','.join(map(_type, entry['inputs']))})"


def _encode(items: Sequence[Entry], args: Sequence[Any]) -> bytes:
    if len(items) != len(args):
        raise TypeError(f"{len(args)} arguments, the contract takes {len(items)}")
    return abi.encode([_type(i) for i in items], [_plain(i, a) for i, a in zip(items, args, strict=True)])


def _plain(item: Entry, value: Any) -> Any:
    kind: str = item["type"]
    if kind.endswith("]"):
        inner = item | {"type": kind[: kind.rindex("[")]}
        return [_plain(inner, v) for v in value]
    if kind == "tuple":
        fields = item["components"]
        values = [value[f["name"]] for f in fields] if isinstance(value, Mapping) else value
        return tuple(_plain(f, v) for f, v in zip(fields, values, strict=True))
    return value


def _decode(items: Sequence[Entry], data: bytes) -> list[Any]:
    values = abi.decode([_type(i) for i in items], data)
    return [_named(i, v) for i, v in zip(items, values, strict=True)]


def _named(item: Entry, value: Any) -> Any:
    kind: str = item["type"]
    if kind.endswith("]"):
        inner = item | {"type": kind[: kind.rindex("[")]}
        return [_named(inner, v) for v in value]
    if kind == "tuple":
        return {f["name"]: _named(f, v) for f, v in zip(item["components"], value, strict=True)}
    if kind == "address":
        return bytes.fromhex(value[2:])
    return value


def _topic(item: Entry, word: bytes) -> Any:
    if item["type"] in ("string", "bytes") or item["type"].endswith("]"):
        return word  # only its hash is there
    return _named(item, abi.decode([_type(item)], word)[0])
