"""Both engines as processes, ours and anvil, asked over plain HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from eth_account import Account
from eth_account.signers.local import LocalAccount

from settle.abi import Interface
from settle.artefacts import artefact
from tests.settle.backends import end, start_anvil

CHAIN_ID = 31337
ETHER = 10**18
GWEI = 10**9
TOKEN = Interface.of("HallmarkToken")


class Node:
    """One engine. `call` gives the result, or the error as a dict with `code`."""

    token = ""  # the address of one, where a test deployed it

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = httpx.Client(timeout=60)

    def raw(self, method: str, *params: Any) -> dict[str, Any]:
        """The whole answer."""
        body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": list(params)}
        answer = self.client.post(self.url, json=body).json()
        assert answer.pop("jsonrpc") == "2.0"
        assert answer.pop("id") == 7
        return dict(answer)

    def call(self, method: str, *params: Any) -> Any:
        """The result."""
        answer = self.raw(method, *params)
        assert "result" in answer, (method, answer)
        return answer["result"]

    def error(self, method: str, *params: Any) -> dict[str, Any]:
        """The error."""
        answer = self.raw(method, *params)
        assert "error" in answer, (method, answer)
        return dict(answer["error"])

    def send(self, who: LocalAccount, **fields: Any) -> dict[str, Any]:
        """A transaction, in a block: its receipt."""
        return self.receipt(self.call("eth_sendRawTransaction", self.sign(who, **fields)))

    def sign(self, who: LocalAccount, **fields: Any) -> str:
        """A transaction's bytes; EIP-1559 unless `gasPrice` is given."""
        nonce = int(self.call("eth_getTransactionCount", who.address, "pending"), 16)
        fees = {} if "gasPrice" in fields else {"maxFeePerGas": 5 * GWEI, "maxPriorityFeePerGas": GWEI}
        if "to" in fields:
            fields["to"] = bytes.fromhex(fields["to"][2:])  # it takes letters only in the right case
        common = {"chainId": CHAIN_ID, "nonce": nonce, "gas": 100_000, "value": 0, **fees}
        return "0x" + bytes(who.sign_transaction(common | fields).raw_transaction).hex()

    def receipt(self, name: str) -> dict[str, Any]:
        """A transaction's receipt, as soon as it is in a block."""
        while True:
            if found := self.call("eth_getTransactionReceipt", name):
                return dict(found)

    def deploy_token(self, who: LocalAccount) -> dict[str, Any]:
        """A token whose supply is all `who`'s."""
        made = artefact("HallmarkToken")
        code = made.bytecode + TOKEN.constructor("OPG", "OPG", bytes.fromhex(who.address[2:]))
        return self.send(who, data="0x" + code.hex(), gas=5_000_000)


def account(index: int) -> LocalAccount:
    """An account, the same in every run; 0 to 3 have 100 ether."""
    made: LocalAccount = Account.from_key(bytes([0x11 + index]) * 32)
    return made


@contextmanager
def our_devnet(directory: Path, *flags: str) -> Iterator[Node]:
    """The devnet as its own process."""
    command = [sys.executable, "-m", "settle.devnet", "--dir", str(directory), "--until-eof", *flags]
    for index in range(4):
        command += ["--fund", account(index).address[2:]]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        node = Node(json.loads(process.stdout.readline())["url"])
        yield node
        node.client.close()
    finally:
        process.communicate()


@contextmanager
def anvil() -> Iterator[Node]:
    """Anvil with Cancun's rules."""
    process, url = start_anvil("--chain-id", str(CHAIN_ID))
    try:
        node = Node(url)
        for index in range(4):
            node.call("anvil_setBalance", account(index).address, hex(100 * ETHER))
        yield node
        node.client.close()
    finally:
        end(process)
