"""What strangers on the port can do: nonsense, floods, slowness. The chain goes on and answers everybody else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from settle.devnet import Running, Settings, bounds, devnet_here
from settle.devnet.errors import Rejected, RpcError
from settle.devnet.faucet import Faucet
from settle.devnet.jsonrpc import answer
from settle.devnet.methods import Methods

from .scenes import FAUCET, address, chain, secret, signed

OK = b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}'


@asynccontextmanager
async def running(path: Path, *, cheats: bool = True) -> AsyncIterator[Running]:
    """A devnet in this process that makes no empty blocks."""
    async with devnet_here(Settings(path, block_time=0.01, idle=3600, cheats=cheats)) as started:
        yield started


async def connect(url: str) -> trio.SocketStream:
    """A bare connection."""
    host, _, port = url.removeprefix("http://").partition(":")
    return await trio.open_tcp_stream(host, int(port))


async def all_of(stream: trio.SocketStream) -> bytes:
    """What comes until the other side closes."""
    got = b""
    with trio.fail_after(20):
        async for piece in stream:
            got += piece
    return got


async def well(url: str) -> None:
    """It answers."""
    async with httpx.AsyncClient() as client:
        assert (await client.post(url, content=OK)).json()["result"] == "0x7a69"


async def test_a_keep_alive_connection_serves_many(tmp_path: Path) -> None:
    async with running(tmp_path) as node, httpx.AsyncClient() as client:
        for _ in range(20):
            assert (await client.post(node.url, content=OK)).json()["id"] == 1


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00" + bytes(100) + b"\r\n\r\n", 400),  # TLS
        (b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: " + b"y" * 40_000, 431),
        (b"PUT / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n", 405),
        (b"POST / HTTP/1.1\r\nHost: evil.example:8545\r\nContent-Length: 2\r\n\r\n{}", 403),
        (b"POST / HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\nContent-Length: 2\r\n\r\n{}", 403),
    ],
    ids=["nonsense", "tls", "length", "head", "method", "rebinding", "rebinding, like ours"],
)
async def test_a_wrong_request_is_refused_and_closed(tmp_path: Path, sent: bytes, status: int) -> None:
    async with running(tmp_path) as node:
        async with await connect(node.url) as stream:
            await stream.send_all(sent)
            assert (await all_of(stream)).startswith(f"HTTP/1.1 {status}".encode())
        await well(node.url)


async def test_a_body_beyond_the_bound_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as node:
        async with await connect(node.url) as stream:
            await stream.send_all(b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
            chunk = b"100000\r\n" + bytes(0x100000) + b"\r\n"
            got = b""
            with suppress(trio.BrokenResourceError):  # it closes before it has read all
                for _ in range(bounds.MAX_BODY // 0x100000 + 20):
                    await stream.send_all(chunk)
                got = await all_of(stream)
            assert b"200" not in got
        await well(node.url)


async def test_who_only_connects_is_put_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "IDLE_SECONDS", 0.05)
    monkeypatch.setattr(bounds, "REQUEST_SECONDS", 0.05)
    async with running(tmp_path) as node:
        async with await connect(node.url) as idle, await connect(node.url) as slow:
            await slow.send_all(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{")
            assert await all_of(idle) == b""
            assert await all_of(slow) == b""
        await well(node.url)


async def test_connections_beyond_the_bound_wait_for_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_CONNECTIONS", 4)
    monkeypatch.setattr(bounds, "IDLE_SECONDS", 0.2)
    async with running(tmp_path) as node:
        idle = [await connect(node.url) for _ in range(40)]
        with trio.fail_after(20):
            for stream in idle:
                await stream.aclose()
            await well(node.url)


async def test_a_get_says_what_this_is(tmp_path: Path) -> None:
    async with running(tmp_path) as node, httpx.AsyncClient() as client:
        assert "JSON-RPC" in (await client.get(node.url)).text


def test_a_flood_of_transactions_stops_at_the_pools_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_POOL_SENDER", 8)
    with chain(tmp_path) as ledger:
        for _ in range(8):
            ledger.submit(signed(ledger, 0, address(9), gas=21_000))
        with pytest.raises(Rejected, match="too many"):
            ledger.submit(signed(ledger, 0, address(9), gas=21_000))
        with pytest.raises(Rejected, match="too far"):
            ledger.submit(signed(ledger, 1, address(9), gas=21_000, nonce=1000))
        monkeypatch.setattr(bounds, "MAX_POOL", 8)
        with pytest.raises(Rejected, match="full"):
            ledger.submit(signed(ledger, 1, address(9), gas=21_000))


async def test_what_only_tests_may_needs_the_flag(tmp_path: Path) -> None:
    async with running(tmp_path, cheats=False) as node, httpx.AsyncClient() as client:
        for name in ("evm_mine", "evm_increaseTime", "anvil_reorg", "evm_snapshot"):
            body = {"jsonrpc": "2.0", "id": 1, "method": name, "params": []}
            assert (await client.post(node.url, json=body)).json()["error"]["code"] == -32601


async def test_a_batch_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path) as node, httpx.AsyncClient() as client:
        one = json.loads(OK)
        assert len((await client.post(node.url, json=[one] * bounds.MAX_BATCH)).json()) == bounds.MAX_BATCH
        assert (await client.post(node.url, json=[one] * (bounds.MAX_BATCH + 1))).json()["error"]["code"] == -32600
        monkeypatch.setattr(bounds, "MAX_ANSWER", 300)
        assert "too large" in (await client.post(node.url, json=[one] * 50)).json()["error"]["message"]


async def test_an_error_of_ours_is_an_answer() -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    assert json.loads(await answer(OK, broken))["error"]["code"] == -32603


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=50)
    | st.sampled_from(["0x", "0x0", "latest", "0x" + "11" * 20, "0x" + "11" * 32, "0x" + "f" * 64, "earliest"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["to", "from", "data", "value", "gas", "address", "topics", "fromBlock", "toBlock", "blockHash"]
        ) | st.text(max_size=3),
        inner,
        max_size=4,
    ),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_parameters_of_any_method_have_an_answer(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    ledger, methods = _methods(tmp_path_factory)
    name = data.draw(st.sampled_from(sorted(methods._every)))
    if name in ("anvil_mine", "anvil_reorg"):
        return  # their parameters are work
    given_ = data.draw(st.lists(ANYTHING, max_size=4))
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": name, "params": given_}).encode()
    said = json.loads(trio.run(answer, body, methods.call) or b"{}")
    assert said.get("error", {}).get("code") != -32603, (name, given_, said)
    ledger.pool.clear()


@given(st.binary(max_size=200))
def test_any_bytes_have_an_answer(body: bytes) -> None:
    def call(name: str, _: Any) -> str:
        return name

    json.loads(trio.run(answer, body, call) or b"{}")


@settings(max_examples=150, deadline=None)
@given(
    at=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4),
    cut=st.integers(0, 40),
    tail=st.binary(max_size=3),
)
def test_any_bytes_are_a_transaction_or_refused(
    tmp_path_factory: pytest.TempPathFactory, at: list[tuple[int, int]], cut: int, tail: bytes
) -> None:
    ledger, _ = _methods(tmp_path_factory)
    raw = bytearray(signed(ledger, 0, address(9), value=1, gas=21_000))
    for place, octet in at:
        raw[place % len(raw)] = octet
    with suppress(RpcError):
        ledger.submit(bytes(raw[: len(raw) - cut]) + tail)
    ledger.seal()  # and what it took spoils no block


_MADE: list[Any] = []


def _methods(factory: pytest.TempPathFactory) -> Any:
    if not _MADE:
        held = chain(factory.mktemp("fuzz"))
        ledger = held.__enter__()
        _MADE.extend([ledger, Methods(ledger, Faucet(secret(FAUCET), ledger), cheats=True), held])
    return _MADE[:2]
