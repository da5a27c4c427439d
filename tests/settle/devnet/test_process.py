"""The devnet as a process: killed in the middle of its work, started twice, on a disk that is damaged or full."""

from __future__ import annotations

import json
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from .engines import ETHER, Node, account

ALICE, BOB = account(0), account(1)


class Process(Node):
    """A devnet that a test may end as it likes."""

    def __init__(self, directory: Path, *flags: str, before: Callable[[], None] | None = None) -> None:
        command = [sys.executable, "-m", "settle.devnet", "--dir", str(directory), "--cheats", "--until-eof", *flags]
        self.process = subprocess.Popen(
            [*command, "--block-time", "0.01", "--fund", ALICE.address[2:], "--fund", BOB.address[2:]],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=before,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.said: dict[str, Any] = json.loads(self.process.stdout.readline())
        super().__init__(self.said.get("url", ""))

    def kill(self) -> None:
        """As a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()
        self.client.close()


@contextmanager
def process(directory: Path, *flags: str, before: Callable[[], None] | None = None) -> Iterator[Process]:
    """A devnet, ended with the block."""
    started = Process(directory, *flags, before=before)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.communicate()
        started.client.close()


def _seen(node: Node, heads: list[tuple[str, str]], receipts: list[dict[str, Any]]) -> None:
    """Send and look, until it is gone: what it told of blocks and transactions."""
    nonce = 0
    try:
        while True:
            raw = node.sign(ALICE, to=BOB.address, value=1, gas=21_000, nonce=nonce)
            name = node.call("eth_sendRawTransaction", raw)
            nonce += 1
            head = node.call("eth_getBlockByNumber", "latest", False)
            heads.append((head["number"], head["hash"]))
            if found := node.call("eth_getTransactionReceipt", name):
                receipts.append(found)
    except httpx.HTTPError:
        pass


@pytest.mark.parametrize("after", [3, 12])
def test_a_kill_in_the_middle_of_traffic_takes_nothing_that_was_told(tmp_path: Path, after: int) -> None:
    heads: list[tuple[str, str]] = []
    receipts: list[dict[str, Any]] = []
    with process(tmp_path) as first:
        traffic = threading.Thread(target=_seen, args=(first, heads, receipts))
        traffic.start()
        with httpx.Client() as client:  # until so many blocks were made
            body = {"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber"}
            while int(client.post(first.url, json=body).json()["result"], 16) < after:
                pass
        first.process.send_signal(signal.SIGKILL)
        traffic.join()
    assert heads
    with process(tmp_path) as again:
        for number, block_hash in heads:
            assert again.call("eth_getBlockByNumber", number, False)["hash"] == block_hash
        for receipt in receipts:
            assert again.call("eth_getTransactionReceipt", receipt["transactionHash"]) == receipt
        assert again.said["block"] >= int(heads[-1][0], 16)
        assert again.send(ALICE, to=BOB.address, value=1, gas=21_000)["status"] == "0x1"


def test_a_second_one_on_the_directory_is_told(tmp_path: Path) -> None:
    with process(tmp_path) as first:
        second = Process(tmp_path)
        assert second.process.wait() == 1
        assert "Another devnet runs in" in second.said["message"]
        assert first.call("eth_chainId") == "0x7a69"
        second.kill()


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with process(tmp_path / "a") as first:
        second = Process(tmp_path / "b", "--port", first.url.rpartition(":")[2])
        assert second.process.wait() == 1
        assert "cannot be had" in second.said["message"]
        second.kill()


def test_it_says_what_it_is_and_keeps_its_key_to_itself(tmp_path: Path) -> None:
    with process(tmp_path) as running:
        assert "single sequencer" in running.said["note"]
        assert stat.S_IMODE((tmp_path / "faucet.key").stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "chain" / "data.mdb").stat().st_mode) == 0o600
        faucet = running.said["faucet"]
    with process(tmp_path) as again:
        assert again.said["faucet"] == faucet


def test_it_ends_with_whoever_started_it(tmp_path: Path) -> None:
    with process(tmp_path) as running:
        assert running.process.stdin is not None
        running.process.stdin.close()
        running.process.stdin = None
        assert running.process.wait(timeout=10) == 0


@pytest.mark.parametrize("damage", ["cut", "garbled", "emptied", "a directory's"])
def test_a_damaged_disk_ends_in_a_sentence_or_in_the_chain(tmp_path: Path, damage: str) -> None:
    with process(tmp_path) as first:
        for _ in range(5):
            first.send(ALICE, to=BOB.address, value=1, gas=21_000)
        first.kill()
    data = tmp_path / "chain" / "data.mdb"
    size = data.stat().st_size
    if damage == "cut":
        os.truncate(data, size // 2 // 4096 * 4096 + 100)
    elif damage == "garbled":
        with data.open("r+b") as file:
            file.seek(8192)
            file.write(os.urandom(size - 8192))
    elif damage == "emptied":
        os.truncate(data, 0)
    else:
        data.unlink()
        data.mkdir()
    again = Process(tmp_path)
    if again.said["event"] == "error":
        assert again.process.wait() == 1
        assert "move the directory away" in again.said["message"].lower()
    else:
        assert again.call("eth_chainId") == "0x7a69"
    again.kill()


def test_a_full_disk_is_an_error_and_reads_go_on(tmp_path: Path) -> None:
    def little() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))

    with process(tmp_path, before=little) as running:
        sent: list[str] = []
        said = ""
        while not said:
            answer = running.raw("eth_sendRawTransaction", running.sign(ALICE, to=BOB.address, value=ETHER // 1000))
            sent += [answer["result"]] if "result" in answer else []
            said = answer.get("error", {}).get("message", "")
        assert "Nothing was lost" in said
        while "error" not in (refused := running.raw("evm_mine")):  # a block without transactions may still find room
            assert "result" in refused
        assert refused["error"]["code"] == -32603
        assert running.call("eth_getBlockByNumber", "latest", False)["number"] != "0x0"
        assert int(running.call("eth_getBalance", BOB.address, "latest"), 16) > 100 * ETHER
        # Room again: what was accepted goes into blocks, and new transactions are taken.
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert all(running.receipt(name)["status"] == "0x1" for name in sent)
        assert running.send(ALICE, to=BOB.address, value=1, gas=21_000)["status"] == "0x1"
        running.kill()
    with process(tmp_path) as again:
        assert all(again.call("eth_getTransactionReceipt", name) for name in sent)
