"""What a network's chain says: blocks, calls, logs, balances. The same on every EVM chain; `sender` writes to it.

A block is relied on when `confirmations` others stand on it. What was relied on stays so: when an RPC tells another
story of such a block, nothing it says is believed.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio

from wire.chain import ChainSpec
from wire.eip712 import Domain

from . import bounds, interfaces
from .abi import Event
from .errors import ChainError, Refused, Unavailable, Undone, WrongChain
from .replies import Block, binary, number, read_block, read_log
from .rpc import Endpoint, Rpc, RpcError, open_rpc
from .sender import Done, Sender, open_sender

__all__ = [
    "Block",
    "Chain",
    "ChainError",
    "Done",
    "Event",
    "Refused",
    "Sender",
    "Unavailable",
    "open_chain",
    "open_sender",
]

log = logging.getLogger("hallmark.chain")


class Chain:
    """A network's contracts on its chain. Made by `open_chain`."""

    def __init__(self, spec: ChainSpec, domain: Domain, rpc: Rpc) -> None:
        self.spec = spec
        self.domain = domain  # its contract is the registry
        self.rpc = rpc
        self.contracts = {name: address for address, name in interfaces.contracts_of(spec, domain).items()}
        self._relied: Block | None = None

    async def head(self) -> Block:
        """The newest block that `spec.confirmations` others stand on. Undone when one that was told before is gone."""
        found = await self.rpc.ask(self._head)
        self._relied = found
        return found

    async def block(self, number: int) -> Block:
        """A block by its number. Unavailable when no RPC has it (yet)."""
        return await self.rpc.ask(lambda endpoint: _block(endpoint, number))

    async def call(self, contract: bytes, interface: str, function: str, *args: Any, block: int | None = None) -> Any:
        """What a contract's function returns, at the end of a block or of the newest: see `Interface.result`."""
        data = interfaces.interface(interface).call(function, *args)
        question = {"to": "0x" + contract.hex(), "data": "0x" + data.hex()}
        place = "latest" if block is None else hex(block)

        async def ask(endpoint: Endpoint) -> Any:
            try:
                answer = await endpoint.call("eth_call", question, place)
            except RpcError as error:
                raise interfaces.meaning(error, f"{interface}.{function}") from error
            return interfaces.result(interface, function, binary(answer, "eth_call"))

        return await self.rpc.ask(ask)

    async def logs(self, contract: bytes, interface: str, events: Sequence[str], since: int, until: int) -> list[Event]:
        """The contract's events of these names in the blocks `since` to `until`, both included, in their order."""
        topics = [interfaces.interface(interface).topic(event) for event in events]
        found: list[Event] = []
        at, step = since, bounds.LOG_BLOCKS
        while at <= until:
            last = min(until, at + step - 1)
            asked = _Logs(contract, interface, topics, at, last)
            try:
                found += await self.rpc.ask(asked.ask)
            except RpcError as error:  # too many blocks or events for this RPC
                if step == 1:
                    raise Unavailable(f"The logs of block {at} cannot be had: {error}") from error
                step = max(1, step // 4)
                continue
            if len(found) > bounds.MAX_LOGS:
                raise Unavailable(f"{interface} had more than {bounds.MAX_LOGS} events between blocks {since} and {at}")
            at = last + 1
        return found

    async def balance(self, address: bytes) -> int:
        """What an account has of the chain's own coin, in wei."""
        place = "0x" + address.hex()
        return await self.rpc.ask(lambda e: _quantity(e, "eth_getBalance", place, "latest"))

    async def code(self, address: bytes) -> bytes:
        """The code at an address; empty where no contract is."""
        return binary(await self.rpc.call("eth_getCode", "0x" + address.hex(), "latest"), "eth_getCode")

    async def _head(self, endpoint: Endpoint) -> Block:
        newest = await _quantity(endpoint, "eth_blockNumber")
        relied = self._relied
        wanted = max(0, newest - self.spec.confirmations)
        if relied is None:
            return await _block(endpoint, wanted)
        if wanted < relied.number:
            raise Unavailable(
                f"{endpoint.name} is behind: it has not seen block {relied.number + self.spec.confirmations}"
            )
        again = await _block(endpoint, relied.number)
        if again.hash != relied.hash:
            raise Undone(
                f"{endpoint.name} tells of another block {relied.number} than the one that was relied on: its chain "
                f"was reorganised deeper than {self.spec.confirmations} blocks, or RPCs disagree. Find out which RPC "
                "is right, keep only that one in the network file, and start again."
            )
        return again if wanted == relied.number else await _block(endpoint, wanted)


class _Logs:
    """One question for logs."""

    def __init__(self, contract: bytes, interface: str, topics: Sequence[bytes], since: int, until: int) -> None:
        self._contract, self._interface, self._topics = contract, interface, set(topics)
        self._since, self._until = since, until
        self._filter = {
            "address": "0x" + contract.hex(),
            "topics": [["0x" + topic.hex() for topic in topics]],
            "fromBlock": hex(since),
            "toBlock": hex(until),
        }

    async def ask(self, endpoint: Endpoint) -> list[Event]:
        """In order. Unavailable when the RPC has not seen the last block yet, or answers nonsense."""
        newest = await _quantity(endpoint, "eth_blockNumber")
        if newest < self._until:  # it would leave out what it has not seen, without a word
            raise Unavailable(f"{endpoint.name} has not seen block {self._until} yet")
        answer = await endpoint.call("eth_getLogs", self._filter)
        if not isinstance(answer, list):
            raise Unavailable(f"{endpoint.name} answered eth_getLogs with something that cannot be one")
        found = [self._event(item) for item in answer]
        return sorted(found, key=lambda e: (e.block, e.index))

    def _event(self, item: Any) -> Event:
        one = read_log(item)
        asked = one.contract == self._contract and one.topics[:1] and one.topics[0] in self._topics
        found = interfaces.event(self._interface, one.contract, one.topics, one.data) if asked else None
        if found is None or not self._since <= one.block <= self._until:
            raise Unavailable("an RPC answered eth_getLogs with logs that were not asked for")
        return Event(found.name, found.contract, found.values, one.block, one.index, one.transaction)


@asynccontextmanager
async def open_chain(spec: ChainSpec, domain: Domain, rpcs: Sequence[str] = ()) -> AsyncIterator[Chain]:
    """A network's chain, through the spec's RPCs or these. It opens although none answers: its calls are Unavailable.

    WrongChain when those that answer are all of another chain; ChainError for a URL that is none.
    """
    async with open_rpc(rpcs or spec.rpcs, domain.chain_id) as rpc:
        await refuse_wrong(rpc)
        yield Chain(spec, domain, rpc)


async def refuse_wrong(rpc: Rpc) -> None:
    """Look at all RPCs' chains for a moment, until one is right. WrongChain when some answer and none is right."""
    wrong: list[WrongChain] = []
    right = False

    async def look(endpoint: Endpoint, scope: trio.CancelScope) -> None:
        nonlocal right
        try:
            await rpc.check(endpoint)
        except WrongChain as error:
            wrong.append(error)
        except ChainError as error:
            log.info("%s", error)
            rpc.rest(endpoint)
        else:
            right = True
            scope.cancel()

    with trio.move_on_after(bounds.OPEN_SECONDS):
        async with trio.open_nursery() as nursery:
            for endpoint in rpc.endpoints:
                nursery.start_soon(look, endpoint, nursery.cancel_scope)
    if wrong and not right:
        raise wrong[0]


async def _block(endpoint: Endpoint, number: int) -> Block:
    found = read_block(await endpoint.call("eth_getBlockByNumber", hex(number), False))
    if found.number != number:
        raise Unavailable(f"{endpoint.name} answered with block {found.number} where {number} was asked for")
    return found


async def _quantity(endpoint: Endpoint, method: str, *params: Any) -> int:
    return number(await endpoint.call(method, *params), method)
