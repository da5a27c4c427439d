"""What a chain is believed to say: blocks deep enough, logs that were asked for, one story and not two."""

from __future__ import annotations

from typing import Any

import pytest

from settle import bounds
from settle.chain import Block, Refused, Unavailable, open_chain
from settle.deploy import bare
from settle.errors import ChainError, Undone, WrongChain
from settle.interfaces import interface
from wire.chain import ChainSpec
from wire.eip712 import Domain

from .anvil import anvil, needs_anvil, tell
from .fake_rpc import Error, FakeRpc, serving

DOMAIN = Domain(chain_id=31337, contract=bytes([5] * 20))
TOKEN = bytes([1] * 20)
TRANSFER = "0x" + interface("HallmarkToken").topic("Transfer").hex()
WORD = "0x" + "00" * 32


def block_hash(number: int, branch: int = 0) -> str:
    return "0x" + bytes([branch]).hex() + number.to_bytes(31, "big").hex()


def chain_of(length: int, branch: int = 0, forks_at: int = 0) -> FakeRpc:
    """An RPC whose newest block is `length`; from `forks_at` on its blocks are those of a branch."""
    rpc = FakeRpc()

    def block(place: str, _: bool) -> dict[str, str] | None:
        at = int(place, 16)
        if at > length:
            return None
        return {"number": place, "hash": block_hash(at, branch if at >= forks_at else 0), "timestamp": hex(1000 + at)}

    rpc.methods |= {"eth_blockNumber": hex(length), "eth_getBlockByNumber": block}
    return rpc


def spec(*rpcs: FakeRpc, confirmations: int = 3) -> ChainSpec:
    return bare([rpc.url for rpc in rpcs], confirmations)


def a_log(block: int, index: int, **changes: Any) -> dict[str, Any]:
    return {
        "address": "0x" + TOKEN.hex(), "topics": [TRANSFER, WORD, WORD], "data": "0x" + "00" * 31 + "07",
        "blockNumber": hex(block), "logIndex": hex(index), "transactionHash": WORD,
    } | changes  # fmt: skip


async def test_the_head_is_deep_enough() -> None:
    rpc = chain_of(20)
    async with serving(rpc), open_chain(spec(rpc), DOMAIN) as chain:
        assert await chain.head() == Block(17, bytes.fromhex(block_hash(17)[2:]), 1017)
    young = chain_of(2)
    async with serving(young), open_chain(spec(young), DOMAIN) as chain:
        assert (await chain.head()).number == 0


async def test_one_that_is_behind_is_not_believed_and_the_other_is() -> None:
    ahead, behind = chain_of(20), chain_of(15)
    async with serving(ahead, behind), open_chain(spec(ahead, behind), DOMAIN) as chain:
        assert (await chain.head()).number == 17
        ahead.down = True
        with pytest.raises(Unavailable, match="is behind"):
            await chain.head()


async def test_two_stories_of_a_block_that_was_relied_on() -> None:
    honest, liar = chain_of(20), chain_of(30, branch=1, forks_at=16)
    async with serving(honest, liar), open_chain(spec(honest, liar), DOMAIN) as chain:
        await chain.head()
        honest.down = True
        with pytest.raises(Undone, match="another block 17"):
            await chain.head()


async def test_a_reorganisation_within_the_depth_is_nothing() -> None:
    rpc, after = chain_of(20), chain_of(21, branch=1, forks_at=18)
    async with serving(rpc), open_chain(spec(rpc), DOMAIN) as chain:
        await chain.head()
        rpc.methods = after.methods
        assert (await chain.head()).number == 18


async def test_a_wrong_chain_is_refused_at_opening_and_a_silent_one_is_not() -> None:
    wrong, silent, right = FakeRpc(methods={"eth_chainId": "0x1"}), FakeRpc(down=True), chain_of(9)
    async with serving(wrong, silent, right):
        with pytest.raises(WrongChain, match=r"chain 1, .* 31337"):
            async with open_chain(spec(wrong, silent), DOMAIN):
                pass
        async with open_chain(spec(silent), DOMAIN) as chain:
            with pytest.raises(Unavailable):
                await chain.head()
            silent.down = False
            silent.methods = right.methods
            assert (await chain.head()).number == 6
        async with open_chain(spec(wrong, right), DOMAIN) as chain:
            assert (await chain.head()).number == 6
        with pytest.raises(ChainError, match="RPC's URL"):
            async with open_chain(bare(["nowhere"], 0), DOMAIN):
                pass


async def test_logs_come_in_pages_that_shrink_where_they_are_too_large() -> None:
    rpc = chain_of(9000)
    asked: list[tuple[int, int]] = []

    def logs(wanted: dict[str, Any]) -> Any:
        first, last = int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16)
        if last - first >= 600:
            return Error("query exceeds max block range 600", -32005)
        asked.append((first, last))
        return [a_log(n, 1 - i) for n in range(first, last + 1) if n % 1000 == 0 for i in range(2)]

    rpc.methods["eth_getLogs"] = logs
    async with serving(rpc), open_chain(spec(rpc), DOMAIN) as chain:
        found = await chain.logs(TOKEN, "HallmarkToken", ["Transfer"], 5, 8000)
    assert [(event.block, event.index) for event in found] == [(n * 1000, i) for n in range(1, 9) for i in range(2)]
    assert found[0].values == {"from": bytes(20), "to": bytes(20), "value": 7}
    assert [first for first, _ in asked] == [5, *(last + 1 for _, last in asked[:-1])]
    assert asked[-1][1] == 8000


@pytest.mark.parametrize(
    "log",
    [
        a_log(7, 0, address="0x" + "02" * 20),
        a_log(7, 0, topics=[WORD, WORD, WORD]),
        a_log(7, 0, topics=[]),
        a_log(7, 0, topics=[TRANSFER]),
        a_log(7, 0, data="0x"),
        a_log(99, 0),
        a_log(2, 0),
        {},
        7,
    ],
)
async def test_logs_that_were_not_asked_for(log: Any) -> None:
    rpc = chain_of(200)
    rpc.methods["eth_getLogs"] = [log]
    async with serving(rpc), open_chain(spec(rpc), DOMAIN) as chain:
        with pytest.raises(Unavailable):
            await chain.logs(TOKEN, "HallmarkToken", ["Transfer"], 5, 50)


async def test_logs_of_blocks_that_an_rpc_has_not_seen_are_asked_elsewhere() -> None:
    behind, ahead = chain_of(40), chain_of(60)
    behind.methods["eth_getLogs"], ahead.methods["eth_getLogs"] = [], [a_log(45, 0)]
    async with serving(behind, ahead), open_chain(spec(behind, ahead), DOMAIN) as chain:
        assert len(await chain.logs(TOKEN, "HallmarkToken", ["Transfer"], 1, 50)) == 1
    assert "eth_getLogs" not in behind.asked


async def test_too_many_logs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_LOGS", 3)
    rpc = chain_of(99)
    rpc.methods["eth_getLogs"] = [a_log(1, i) for i in range(4)]
    async with serving(rpc), open_chain(spec(rpc), DOMAIN) as chain:
        with pytest.raises(Unavailable, match="more than 3"):
            await chain.logs(TOKEN, "HallmarkToken", ["Transfer"], 0, 9)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("0xfb8f41b2" + "00" * 31 + "01" + "00" * 31 + "02" + "00" * 31 + "03", "ERC20InsufficientAllowance"),
        ("0x4e487b71" + "00" * 31 + "11", "panic 0x11"),
        ("0x08c379a0" + "00" * 31 + "20" + "00" * 31 + "02" + "6e6f" + "00" * 30, "no"),
        ("0x08c379a0ffff", "execution reverted"),
        ("0xfb8f41b2", "execution reverted"),
        ("0x12345678" + "ff" * 99, "execution reverted"),
        ("0x", "execution reverted"),
    ],
)
async def test_what_a_contract_says_that_refuses(data: str, says: str) -> None:
    rpc = chain_of(9)
    rpc.methods["eth_call"] = Error("execution reverted", 3, data)
    async with serving(rpc), open_chain(spec(rpc), DOMAIN) as chain:
        with pytest.raises(Refused, match="HallmarkToken.symbol was refused: .*" + says):
            await chain.call(TOKEN, "HallmarkToken", "symbol")


@pytest.mark.parametrize("answer", ["0x", "0x01", "0x" + "ff" * 64, "0x" + "00" * 31 + "20" + "ff" * 32, None, 7])
async def test_a_result_that_is_none(answer: Any) -> None:
    rpc = chain_of(9)
    rpc.methods["eth_call"] = answer
    async with serving(rpc), open_chain(spec(rpc), DOMAIN) as chain:
        with pytest.raises(Unavailable):
            await chain.call(TOKEN, "HallmarkToken", "symbol")


@needs_anvil
async def test_a_reorganisation_deeper_than_the_depth_stops_everything() -> None:
    async with anvil() as url:
        await tell(url, "anvil_mine", hex(20))
        async with open_chain(bare([url], 2), DOMAIN) as chain:
            before = await chain.head()
            await tell(url, "anvil_reorg", 2, [])
            assert (await chain.head()) == before
            await tell(url, "anvil_reorg", 5, [])
            with pytest.raises(Undone):
                await chain.head()
