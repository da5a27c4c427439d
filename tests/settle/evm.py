"""Contracts in an EVM: deploy, call, send, let time pass. For tests of contracts alone.

evm = Evm()
token = evm.deploy("HallmarkToken", "OPG", "OPG", evm.account(0).address)
token.send("transfer", bob.address, 5, by=alice)      # a Done: gas and events; Reverted when it reverts
token.call("balanceOf", bob.address)
evm.forward(3600)

The EVM is the devnet's own in this process, or anvil: see `backends`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import cache
from typing import Any

import rlp
from eth.vm.forks.cancun.transactions import CancunTransactionBuilder
from eth_keys.datatypes import PrivateKey
from eth_typing import Address

from settle.abi import Event, Interface
from settle.artefacts import Artefact, artefact
from wire.eip712 import keccak256
from wire.keys import NodeKey

from .backends import BACKENDS, Backend, Log, Outcome
from .backends import CHAIN_ID as CHAIN_ID

GAS = 10_000_000
PRICE = 10**10
ETHER = 10**18
ENGINE = os.environ.get("HALLMARK_EVM", "devnet")


class Reverted(Exception):
    """A call or a transaction was refused; `str()` is the contract's error with its values."""


@dataclass(frozen=True)
class Done:
    """A transaction that went through."""

    gas: int
    events: tuple[Event, ...]

    def event(self, name: str) -> Event:
        """The only event of this name."""
        (found,) = [event for event in self.events if event.name == name]
        return found


class Contract:
    """One deployed contract."""

    def __init__(self, evm: Evm, address: bytes, interface: Interface) -> None:
        self.evm, self.address, self.interface = evm, address, interface

    def call(self, function: str, *args: Any, by: NodeKey | None = None) -> Any:
        """What the function returns now, nothing changed."""
        data = self.interface.call(function, *args)
        output = self.evm.ask(self.address, data, (by or self.evm.account(0)).address)
        return self.interface.result(function, output)

    def send(self, function: str, *args: Any, by: NodeKey | None = None) -> Done:
        """A transaction in a block of its own. Reverted when the contract refuses."""
        return self.evm.send(self.address, self.interface.call(function, *args), by or self.evm.account(0))


@cache
def _key(index: int) -> NodeKey:
    return NodeKey(keccak256(b"a test's account" + index.to_bytes(4, "big")))


class Evm:
    """A chain of its own, Cancun rules, a block for every transaction. Accounts 0 to 63 have ether."""

    def __init__(self, engine: str = "") -> None:
        funded = [self.account(i).address for i in range(64)]
        self._chain: Backend = BACKENDS[engine or ENGINE](funded)
        self._interfaces: dict[bytes, Interface] = {}
        self._ahead = 1

    def copy(self) -> Evm:
        """Another chain with the same past. Over the devnet's engine alone: its store keeps every block's state."""
        other = copy(self)
        other._chain, other._interfaces = copy(self._chain), dict(self._interfaces)
        return other

    def account(self, index: int) -> NodeKey:
        """An account with ether (0 to 63) or, beyond, without."""
        return _key(index)

    @property
    def now(self) -> int:
        """The latest block's time, seconds."""
        return self._chain.now

    @property
    def block(self) -> int:
        """The latest block's number."""
        return self._chain.block

    def forward(self, seconds: int) -> None:
        """The next block comes so much later."""
        self._ahead += seconds

    def mine(self) -> None:
        """An empty block."""
        self._chain.mine(self._next())

    def deploy(self, of: str | Artefact, *args: Any, by: NodeKey | None = None) -> Contract:
        """A committed contract, by its artefact's name, or an artefact that only tests have."""
        made = artefact(of) if isinstance(of, str) else of
        interface = Interface.of(made)
        key = by or self.account(0)
        nonce = self._chain.nonce(key.address)
        self._transact(b"", made.bytecode + interface.constructor(*args), key, interface)
        return self.at(keccak256(rlp.encode([key.address, nonce]))[12:], interface)

    def at(self, address: bytes, interface: Interface | str) -> Contract:
        """A contract that stands at this address."""
        known = Interface.of(interface) if isinstance(interface, str) else interface
        self._interfaces[address] = known
        return Contract(self, address, known)

    def ask(self, to: bytes, data: bytes, by: bytes) -> bytes:
        """An eth_call at the latest block, as if the next one were being made."""
        done = self._chain.ask(to, data, by, GAS, self.now + self._ahead)
        self._check(done, self._interfaces.get(to))
        return done.output

    def send(self, to: bytes, data: bytes, by: NodeKey) -> Done:
        """A transaction's data to a contract."""
        return self._transact(to, data, by, self._interfaces.get(to))

    def _transact(self, to: bytes, data: bytes, by: NodeKey, interface: Interface | None) -> Done:
        unsigned = CancunTransactionBuilder.create_unsigned_transaction(
            nonce=self._chain.nonce(by.address), gas_price=PRICE, gas=GAS, to=Address(to), value=0, data=data
        )
        signed = unsigned.as_signed_transaction(PrivateKey(by.secret), chain_id=CHAIN_ID)
        done = self._chain.transact(signed.encode(), self._next())
        self._check(done, interface)
        return Done(gas=done.gas, events=tuple(self._events(done.logs)))

    def _next(self) -> int:
        time, self._ahead = self.now + self._ahead, 1
        return time

    def _events(self, logs: Sequence[Log]) -> list[Event]:
        found = []
        for log in logs:
            interface = self._interfaces.get(log.address)
            event = interface and interface.event(log.address, log.topics, log.data)
            if event:
                found.append(event)
        return found

    def _check(self, done: Outcome, interface: Interface | None) -> None:
        if not done.error:
            return
        known = [interface] if interface else []
        for candidate in [*known, *self._interfaces.values()]:
            if said := candidate.error(done.output):
                raise Reverted(said)
        raise Reverted(done.output.hex() or done.error)
