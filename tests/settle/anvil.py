"""Anvil, an EVM chain of somebody else's making: what works on it and on our devnet works on chains."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from settle.rpc import open_rpc

BINARY = Path(__file__).resolve().parents[2] / "settle/contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
needs_anvil = pytest.mark.skipif(not BINARY.exists(), reason="anvil is not here: npm ci in settle/contracts")


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def anvil(*flags: str, port: int = 0, chain_id: int = 31337) -> AsyncIterator[str]:
    """A chain of its own on loopback; its URL."""
    port = port or free_port()
    command = [str(BINARY), "--port", str(port), "--chain-id", str(chain_id), "--silent", *flags]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        await listening(port)
        yield url
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def listening(port: int) -> None:
    """Return as soon as somebody listens there."""
    with trio.fail_after(20):
        while True:
            try:
                stream = await trio.open_tcp_stream("127.0.0.1", port)
            except OSError:
                await trio.sleep(0.02)
            else:
                await stream.aclose()
                return


async def tell(url: str, method: str, *params: object) -> object:
    """One of a development chain's own methods, such as `evm_increaseTime`."""
    async with open_rpc([url], None) as rpc:
        return await rpc.call(method, *params)
