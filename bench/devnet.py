"""The devnet: start, transactions, blocks, questions.    python -m bench.devnet [--json]

Beside it anvil, an engine in Rust, where settle/contracts has it: what a devnet could cost at the least.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
from eth_account import Account

from bench.figures import row, show
from settle.abi import Interface
from settle.artefacts import artefact

ANVIL = Path("settle/contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil")
CHAIN_ID, GWEI, TRANSFERS, ROUNDS = 31337, 10**9, 60, 5
ALICE = Account.from_key(b"\x31" * 32)
TOKEN = Interface.of("HallmarkToken")
TO = bytes.fromhex("77" * 20)


class Chain:
    """An engine, over its JSON-RPC."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=60, headers={"content-type": "application/json"})
        self.nonce = 0

    def call(self, method: str, *params: Any) -> Any:
        """A method's result."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = msgspec.json.decode(self._client.post("/", content=msgspec.json.encode(body)).content)
        if "error" in answer:
            raise SystemExit(f"{method}: {answer['error']}")
        return answer["result"]

    def sign(self, to: bytes | None, data: bytes, gas: int) -> str:
        """The next transaction of Alice's."""
        fields: dict[str, Any] = {"nonce": self.nonce, "gas": gas, "value": 0, "data": data, "chainId": CHAIN_ID}
        fields |= {"maxFeePerGas": 5 * GWEI, "maxPriorityFeePerGas": GWEI} | ({} if to is None else {"to": to})
        self.nonce += 1
        return "0x" + bytes(ALICE.sign_transaction(fields).raw_transaction).hex()

    def settle(self, name: str) -> dict[str, Any]:
        """The receipt, as soon as there is one."""
        while (receipt := self.call("eth_getTransactionReceipt", name)) is None:
            pass
        return dict(receipt)


@contextmanager
def devnet() -> Iterator[tuple[Chain, float]]:
    """Ours, with the milliseconds that it took to start."""
    with tempfile.TemporaryDirectory() as directory:
        began = time.perf_counter()
        command = [sys.executable, "-m", "settle.devnet", "--dir", directory, "--until-eof", "--cheats"]
        command += ["--block-time", "0.01", "--fund", ALICE.address[2:]]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout is not None
        ready = msgspec.json.decode(process.stdout.readline())
        took = (time.perf_counter() - began) * 1000
        try:
            yield Chain(ready["url"]), took
        finally:
            process.communicate()


@contextmanager
def anvil() -> Iterator[tuple[Chain, float]]:
    """The other engine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    began = time.perf_counter()
    process = subprocess.Popen([str(ANVIL), "--silent", "--port", str(port), "--hardfork", "cancun"])
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except ConnectionRefusedError:
            time.sleep(0.005)
    took = (time.perf_counter() - began) * 1000
    chain = Chain(f"http://127.0.0.1:{port}")
    chain.call("anvil_setBalance", ALICE.address, hex(10**20))
    try:
        yield chain, took
    finally:
        process.kill()
        process.wait()


def measure(name: str, chain: Chain, start: float) -> list[dict[str, Any]]:
    """The rows of one engine."""
    code = artefact("HallmarkToken").bytecode + TOKEN.constructor("OPG", "OPG", bytes.fromhex(ALICE.address[2:]))
    transfer, question = TOKEN.call("transfer", TO, 1), TOKEN.call("balanceOf", TO)
    deploys = []
    for _ in range(ROUNDS):
        raw = chain.sign(None, code, 5_000_000)
        began = time.perf_counter()
        receipt = chain.settle(chain.call("eth_sendRawTransaction", raw))
        deploys.append((time.perf_counter() - began) * 1000)
    token = bytes.fromhex(receipt["contractAddress"][2:])
    singles, each, sends = [], [], []
    for _ in range(20):
        raw = chain.sign(token, transfer, 100_000)
        began = time.perf_counter()
        chain.settle(chain.call("eth_sendRawTransaction", raw))
        singles.append((time.perf_counter() - began) * 1000)
    chain.call("evm_setAutomine", False)
    for _ in range(ROUNDS):
        raws = [chain.sign(token, transfer, 100_000) for _ in range(TRANSFERS)]
        for raw in raws:
            began = time.perf_counter()
            chain.call("eth_sendRawTransaction", raw)
            sends.append((time.perf_counter() - began) * 1000)
        began = time.perf_counter()
        chain.call("evm_mine")
        each.append((time.perf_counter() - began) * 1000 / TRANSFERS)
    head = chain.call("eth_getBlockByNumber", "latest", False)
    if len(head["transactions"]) != TRANSFERS:
        raise SystemExit(f"{len(head['transactions'])} transactions in the block")
    ask = {"to": "0x" + token.hex(), "data": "0x" + question.hex()}
    give = {"from": ALICE.address, "to": "0x" + token.hex(), "data": "0x" + transfer.hex()}
    return [
        row(f"{name}: start to answer", [start]),
        row(f"{name}: deploy the token, to its receipt", deploys),
        row(f"{name}: one transfer, to its receipt", singles),
        row(f"{name}: a transfer among {TRANSFERS} in a block, the disk included", each),
        row(f"{name}: take a transaction into the pool", sends),
        row(f"{name}: eth_blockNumber", [_timed(chain, "eth_blockNumber") for _ in range(500)]),
        row(f"{name}: eth_call, a balance", [_timed(chain, "eth_call", ask, "latest") for _ in range(200)]),
        row(f"{name}: eth_estimateGas, a transfer", [_timed(chain, "eth_estimateGas", give) for _ in range(20)]),
    ]


def _timed(chain: Chain, method: str, *params: Any) -> float:
    began = time.perf_counter()
    chain.call(method, *params)
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Measure both, show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = []
    for name, engine in {"devnet": devnet, "anvil": anvil}.items():
        if name == "devnet" or ANVIL.exists():
            with ExitStack() as stack:
                chain, start = stack.enter_context(engine())
                rows += measure(name, chain, start)
    show("The devnet", rows, arguments.json)


if __name__ == "__main__":
    main()
