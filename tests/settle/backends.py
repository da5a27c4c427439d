"""What executes contracts in tests: the devnet's own engine in this process, or anvil, by the environment:

HALLMARK_EVM=anvil pytest tests/settle/contracts
"""

from __future__ import annotations

import socket
import subprocess
import weakref
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
from eth.db.atomic import AtomicDB

from settle.devnet.engine import Call, Engine, Executed, decode_transaction
from settle.devnet.errors import RpcError
from wire.eip712 import keccak256

from .anvil import BINARY, free_port

CHAIN_ID = 31337
START = 1_800_000_000
WEI = 10**24  # of each account that has ether


@dataclass(frozen=True)
class Log:
    """What a contract wrote into the log."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True)
class Outcome:
    """What came of a transaction. `output`: what it returned or reverted with; `error`: why it failed, empty if not."""

    gas: int
    logs: tuple[Log, ...]
    output: bytes
    error: str


class Backend(Protocol):
    """A chain of its own, Cancun rules, one block for each transaction."""

    @property
    def block(self) -> int:
        """The latest block's number."""

    @property
    def now(self) -> int:
        """The latest block's time, seconds."""

    def nonce(self, address: bytes) -> int:
        """Transactions that an account has sent."""

    def ask(self, to: bytes, data: bytes, by: bytes, gas: int, time: int) -> Outcome:
        """A call as the next block's first transaction would see the chain at that time."""

    def transact(self, raw: bytes, time: int) -> Outcome:
        """A block of that time with one transaction."""

    def mine(self, time: int) -> None:
        """An empty block of that time."""


class Local:
    """The devnet's engine."""

    def __init__(self, funded: list[bytes]) -> None:
        self._engine = Engine(AtomicDB(), CHAIN_ID)
        self._head = self._engine.genesis(dict.fromkeys(funded, WEI), START).block.header

    @property
    def block(self) -> int:
        return int(self._head.block_number)

    @property
    def now(self) -> int:
        return int(self._head.timestamp)

    def nonce(self, address: bytes) -> int:
        return self._engine.state(self._head).get_nonce(address)  # type: ignore[arg-type]

    def ask(self, to: bytes, data: bytes, by: bytes, gas: int, time: int) -> Outcome:
        following = self._engine.draft(self._head, time, self._randomness())
        try:
            return Outcome(0, (), self._engine.ask(following, Call(by, to, data, gas=gas)), "")
        except RpcError as error:
            return Outcome(0, (), bytes.fromhex((error.data or "0x")[2:]), error.message)

    def transact(self, raw: bytes, time: int) -> Outcome:
        done = self._make([decode_transaction(raw, CHAIN_ID)], time)[0]
        logs = [
            Log(bytes(o.address), tuple(t.to_bytes(32, "big") for t in o.topics), o.data) for o in done.receipt.logs
        ]
        error = str(done.computation.error) or "failed" if done.computation.is_error else ""
        return Outcome(done.receipt.gas_used, tuple(logs), bytes(done.computation.output), error)

    def mine(self, time: int) -> None:
        self._make([], time)

    def _make(self, transactions: list[Any], time: int) -> tuple[Executed, ...]:
        made = self._engine.make(self._head, transactions, time, self._randomness())
        assert not made.dropped, made.dropped
        self._head = made.block.header
        return made.executed

    def _randomness(self) -> bytes:
        return keccak256(self._head.hash)  # the same in every run


class Anvil:
    """A process of its own, which ends with this object."""

    def __init__(self, funded: list[bytes]) -> None:
        process, url = start_anvil("--timestamp", str(START), "--no-mining")
        weakref.finalize(self, end, process)
        self._client = httpx.Client(base_url=url, timeout=60)
        for address in funded:
            self._call("anvil_setBalance", _hex(address), hex(WEI))
        self.block, self.now = 0, START

    def nonce(self, address: bytes) -> int:
        return int(self._call("eth_getTransactionCount", _hex(address), "latest"), 16)

    def ask(self, to: bytes, data: bytes, by: bytes, gas: int, time: int) -> Outcome:
        message = {"from": _hex(by), "to": _hex(to), "data": _hex(data), "gas": hex(gas)}
        then = {"number": hex(self.block + 1), "time": hex(time)}
        answer = self._post("eth_call", message, "latest", {}, then)
        if "result" in answer:
            return Outcome(0, (), bytes.fromhex(answer["result"][2:]), "")
        error = answer["error"]
        return Outcome(0, (), bytes.fromhex(error.get("data", "0x")[2:]), error["message"])

    def transact(self, raw: bytes, time: int) -> Outcome:
        name = self._call("eth_sendRawTransaction", _hex(raw))
        self.mine(time)
        receipt = self._call("eth_getTransactionReceipt", name)
        logs = [
            Log(bytes.fromhex(o["address"][2:]), tuple(bytes.fromhex(t[2:]) for t in o["topics"]),
                bytes.fromhex(o["data"][2:]))
            for o in receipt["logs"]
        ]  # fmt: skip
        gas = int(receipt["gasUsed"], 16)
        if receipt["status"] == "0x1":
            return Outcome(gas, tuple(logs), b"", "")
        traced = self._call("debug_traceTransaction", name, {"tracer": "callTracer"})
        return Outcome(gas, (), bytes.fromhex(traced.get("output", "0x")[2:]), traced.get("error", "failed"))

    def mine(self, time: int) -> None:
        self._call("evm_setNextBlockTimestamp", time)
        self._call("evm_mine")
        self.block, self.now = self.block + 1, time

    def _call(self, method: str, *params: Any) -> Any:
        answer = self._post(method, *params)
        assert "result" in answer, (method, answer)
        return answer["result"]

    def _post(self, method: str, *params: Any) -> dict[str, Any]:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        return dict(self._client.post("/", json=body).json())


def start_anvil(*flags: str) -> tuple[subprocess.Popen[bytes], str]:
    """A chain with Cancun's rules that answers, and its URL."""
    port = free_port()
    command = [str(BINARY), "--silent", "--port", str(port), "--hardfork", "cancun", *flags]
    process = subprocess.Popen(command)
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert process.poll() is None, "anvil ended"
        else:
            return process, f"http://127.0.0.1:{port}"


def end(process: subprocess.Popen[bytes]) -> None:
    """At once; nothing of it is kept."""
    process.kill()
    process.wait()


def _hex(octets: bytes) -> str:
    return "0x" + octets.hex()


BACKENDS: dict[str, type[Local] | type[Anvil]] = {"devnet": Local, "anvil": Anvil}
