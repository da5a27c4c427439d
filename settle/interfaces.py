"""The interfaces of all committed contracts: what an address of the network's speaks, and what a refusal says."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from wire.chain import ChainSpec
from wire.eip712 import Domain

from .abi import Event, Interface
from .errors import ChainError, Refused, Unavailable
from .rpc import RpcError

_PANIC = bytes.fromhex("4e487b71")


@cache
def interface(name: str) -> Interface:
    """The interface of a committed contract; FileNotFoundError when there is none."""
    return Interface.of(name)


@cache
def _names() -> tuple[str, ...]:
    found = (files("settle") / "artifacts").iterdir()
    return tuple(sorted(f.name.removesuffix(".json") for f in found if f.name.endswith(".json")))


def contracts_of(spec: ChainSpec, domain: Domain) -> dict[bytes, str]:
    """Which artefact stands at which address of a network."""
    return {
        spec.token: "HallmarkToken",
        spec.channels: "Channels",
        spec.evidence: "Evidence",
        spec.split: "Split",
        spec.epochs: "Epochs",
        domain.contract: "Registry",
    }


def refusal(data: bytes, said: str) -> str:
    """What a reverted call's bytes say, by any contract's interface; otherwise what the RPC said."""
    if data[:4] == _PANIC:
        return f"a check inside the contract failed (panic 0x{int.from_bytes(data[4:36], 'big'):02x})"
    for name in _names():
        try:
            text = interface(name).error(data)
        except Exception:  # the bytes are a contract's, and eth_abi has a dozen kinds of refusing them
            continue
        if text:
            return "".join(c if c.isprintable() else "\ufffd" for c in text)[:300]
    return said


def result(name: str, function: str, data: bytes) -> Any:
    """What a call returned. Unavailable when the bytes are no such result: then no such contract is there."""
    try:
        return interface(name).result(function, data)
    except Exception as error:  # eth_abi again
        what = "no contract is there" if not data else "the contract there is another one, or the RPC lies"
        raise Unavailable(f"{name}.{function} gave nothing that can be read: {what}") from error


def event(name: str, contract: bytes, topics: Sequence[bytes], data: bytes) -> Event | None:
    """The event in a log, None when the interface has no such event. Unavailable when the bytes are no event's."""
    try:
        return interface(name).event(contract, topics, data)
    except Exception as error:
        raise Unavailable(f"an RPC told of an event of {name} that cannot be read") from error


def meaning(error: RpcError, what: str) -> ChainError:
    """Refused where the contract said no; Unavailable where this RPC cannot answer, which another one may."""
    if error.code == 3 or error.data or "revert" in str(error):
        return Refused(f"{what} was refused: {refusal(error.data, str(error))}", error.data)
    return Unavailable(f"{what}: {error}")
