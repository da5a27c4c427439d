"""`hallmark chain dev` as a user has it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from node.errors import Exit
from wire.keys import show_address

SOMEBODY = show_address(b"somebody's account 1")
HALLMARK = [sys.executable, "-m", "node.cli", "chain", "dev"]


@contextmanager
def dev(*flags: str) -> Iterator[subprocess.Popen[str]]:
    """The command, ended with the block."""
    process = subprocess.Popen([*HALLMARK, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def line(process: subprocess.Popen[str]) -> str:
    """What it says next."""
    assert process.stdout is not None
    return process.stdout.readline()


def test_it_runs_until_ctrl_c_and_goes_on_where_it_was(tmp_path: Path) -> None:
    for _ in range(2):
        with dev("--json", "--port", "0", "--data-dir", str(tmp_path), "--fund", SOMEBODY) as process:
            ready = json.loads(line(process))
            assert (ready["event"], ready["chain_id"], ready["block"]) == ("ready", 31337, 0)
            assert ready["dir"] == str(tmp_path / "devnet")
            body = {"jsonrpc": "2.0", "id": 1, "method": "eth_getBalance", "params": [SOMEBODY, "latest"]}
            assert int(httpx.post(ready["url"], json=body).json()["result"], 16) > 0
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == Exit.INTERRUPTED


def test_a_person_is_told_what_it_is_and_what_comes_next(tmp_path: Path) -> None:
    with dev("--port", "0", "--dir", str(tmp_path)) as process:
        said = [line(process) for _ in range(6)]
        assert said[0].startswith("Ready: chain 31337 at http://127.0.0.1:")
        assert "A single sequencer without consensus" in said[2]
        assert "hallmark chain deploy --rpc http://127.0.0.1:" in said[5]
        second = subprocess.run(
            [*HALLMARK, "--port", "0", "--dir", str(tmp_path)], capture_output=True, text=True, check=False
        )
        assert second.returncode == Exit.CONFIG
        assert f"Another devnet runs in {tmp_path}" in second.stderr


def test_an_address_that_is_none_is_told(tmp_path: Path) -> None:
    done = subprocess.run(
        [*HALLMARK, "--port", "0", "--dir", str(tmp_path), "--fund", "0x12"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == Exit.USAGE
    assert "is not an address" in done.stderr
