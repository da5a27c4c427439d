"""Contracts in an EVM in this process: deploy, call, send, let time pass. For tests of contracts alone.

evm = Evm()
token = evm.deploy("HallmarkToken", "OPG", "OPG", evm.account(0).address)
token.send("transfer", bob.address, 5, by=alice)      # a Done: gas and events; Reverted when it reverts
token.call("balanceOf", bob.address)
evm.forward(3600)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from eth import constants
from eth.abc import ComputationAPI
from eth.chains.base import MiningChain
from eth.consensus.noproof import NoProofConsensus
from eth.db.atomic import AtomicDB
from eth.vm.forks.cancun import CancunVM
from eth_keys import keys
from eth_typing import Address

from settle.abi import Event, Interface
from settle.artefacts import artefact
from wire.eip712 import keccak256
from wire.keys import NodeKey

CHAIN_ID = 31337
GAS = 10_000_000
PRICE = 10**10
ETHER = 10**18


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

    def __init__(self) -> None:
        vm = CancunVM.configure(consensus_class=NoProofConsensus)
        chain = MiningChain.configure("Test", vm_configuration=((0, vm),), chain_id=CHAIN_ID)
        account = {"balance": 10**6 * ETHER, "nonce": 0, "code": b"", "storage": dict[int, int]()}
        genesis = {
            "difficulty": 0, "gas_limit": 60_000_000, "timestamp": 1_800_000_000, "coinbase": constants.ZERO_ADDRESS,
            "extra_data": b"", "nonce": bytes(8), "mix_hash": bytes(32),
        }  # fmt: skip
        state = {Address(self.account(i).address): account for i in range(64)}
        self._chain: Any = chain.from_genesis(AtomicDB(), genesis, state)  # type: ignore[arg-type]
        self._interfaces: dict[bytes, Interface] = {}
        self._ahead = 1

    def account(self, index: int) -> NodeKey:
        """An account with ether (0 to 63) or, beyond, without."""
        return _key(index)

    @property
    def now(self) -> int:
        """The latest block's time, seconds."""
        return int(self._chain.get_canonical_head().timestamp)

    @property
    def block(self) -> int:
        """The latest block's number."""
        return int(self._chain.get_canonical_head().block_number)

    def forward(self, seconds: int) -> None:
        """The next block comes so much later."""
        self._ahead += seconds

    def mine(self) -> None:
        """An empty block."""
        self._mine([])

    def deploy(self, name: str, *args: Any, by: NodeKey | None = None) -> Contract:
        """A committed contract, by its artefact's name."""
        made = artefact(name)
        interface = Interface.of(made)
        key = by or self.account(0)
        nonce = self._nonce(key.address)
        self._transact(b"", made.bytecode + interface.constructor(*args), key, interface)
        import rlp

        return self.at(keccak256(rlp.encode([key.address, nonce]))[12:], interface)

    def at(self, address: bytes, interface: Interface | str) -> Contract:
        """A contract that stands at this address."""
        known = Interface.of(interface) if isinstance(interface, str) else interface
        self._interfaces[address] = known
        return Contract(self, address, known)

    def ask(self, to: bytes, data: bytes, by: bytes) -> bytes:
        """An eth_call at the latest block, as if the next one were being made."""
        from eth.vm.spoof import SpoofTransaction

        chain = self._chain
        transaction = chain.create_unsigned_transaction(
            nonce=self._nonce(by), gas_price=PRICE, gas=GAS, to=Address(to), value=0, data=data
        )
        header = chain.create_header_from_parent(chain.get_canonical_head(), timestamp=self.now + self._ahead)
        with chain.get_vm(header).in_costless_state() as state:
            done = state.costless_execute_transaction(SpoofTransaction(transaction, from_=Address(by)))
        self._check(done, self._interfaces.get(to))
        return bytes(done.output)

    def send(self, to: bytes, data: bytes, by: NodeKey) -> Done:
        """A transaction's data to a contract."""
        return self._transact(to, data, by, self._interfaces.get(to))

    def _transact(self, to: bytes, data: bytes, by: NodeKey, interface: Interface | None) -> Done:
        unsigned = self._chain.create_unsigned_transaction(
            nonce=self._nonce(by.address), gas_price=PRICE, gas=GAS, to=Address(to), value=0, data=data
        )
        signed = unsigned.as_signed_transaction(keys.PrivateKey(by.secret), chain_id=CHAIN_ID)
        receipts, computations = self._mine([signed])
        self._check(computations[0], interface)
        return Done(gas=int(receipts[0].gas_used), events=tuple(self._events(receipts[0].logs)))

    def _mine(self, transactions: Sequence[Any]) -> tuple[Any, Any]:
        timestamp = self.now + self._ahead
        self._ahead = 1
        _, receipts, computations = self._chain.mine_all(
            transactions, parent_header=self._chain.get_canonical_head(), timestamp=timestamp
        )
        return receipts, computations

    def _events(self, logs: Sequence[Any]) -> list[Event]:
        found = []
        for log in logs:
            interface = self._interfaces.get(bytes(log.address))
            topics = [topic.to_bytes(32, "big") for topic in log.topics]
            event = interface and interface.event(bytes(log.address), topics, bytes(log.data))
            if event:
                found.append(event)
        return found

    def _check(self, done: ComputationAPI, interface: Interface | None) -> None:
        if not done.is_error:
            return
        data = bytes(done.output)
        known = [interface] if interface else []
        for candidate in [*known, *self._interfaces.values()]:
            if said := candidate.error(data):
                raise Reverted(said)
        raise Reverted(data.hex() or str(done.error))

    def _nonce(self, address: bytes) -> int:
        chain = self._chain
        return int(chain.get_vm(chain.get_canonical_head()).state.get_nonce(Address(address)))
