"""The client of RPCs: whatever they send is a value or a sentence, and another one is asked where one fails."""

from __future__ import annotations

import contextlib
import gzip
import json
import logging
from collections.abc import Callable

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from settle import bounds, replies
from settle.errors import ChainError, Unavailable, WrongChain
from settle.rpc import RpcError, check_url, open_rpc, shown_url

from .fake_rpc import Error, FakeRpc, serving

NONSENSE: list[Callable[[bytes], bytes]] = [
    lambda _: b"",
    lambda _: b"<html>Bad gateway</html>",
    lambda _: b"\xff\xfe\x00",
    lambda _: b"null",
    lambda _: b"17",
    lambda _: b"[]",
    lambda _: b"{}",
    lambda _: b"[" * 100_000,  # what imports an EVM lets Python recurse that deep, and no stack is
    lambda body: b'{"id": %d, "result": %s}' % (json.loads(body)["id"], b'["]",{"a":' * 50_000 + b"1" + b"}]" * 50_000),
    lambda body: json.dumps({"id": json.loads(body)["id"] + 1, "result": "0x1"}).encode(),  # another call's
    lambda body: json.dumps({"id": str(json.loads(body)["id"]), "result": "0x1"}).encode(),
    lambda body: json.dumps({"id": json.loads(body)["id"]}).encode(),
    lambda body: gzip.compress(json.dumps({"id": json.loads(body)["id"], "result": "0x1"}).encode()),
]


async def test_a_call_and_its_answer() -> None:
    rpc = FakeRpc()
    rpc.methods |= {"eth_getBalance": lambda address, place: [address, place], "eth_gasPrice": "0x7"}
    async with serving(rpc), open_rpc([rpc.url], 31337) as client:
        assert await client.call("eth_getBalance", "0xab", "latest") == ["0xab", "latest"]
        assert await client.call("eth_gasPrice") == "0x7"
        assert rpc.asked.count("eth_chainId") == 1


@pytest.mark.parametrize("batches", [True, False])
async def test_a_batch_keeps_its_order_and_its_refusals(batches: bool) -> None:
    rpc = FakeRpc(batches=batches)
    rpc.methods |= {"double": lambda n: n * 2, "refuse": Error("no", data="0xabcd")}
    async with serving(rpc), open_rpc([rpc.url], 31337) as client:
        calls = [*(("double", (n,)) for n in range(2 * bounds.MAX_BATCH)), ("refuse", ())]
        *numbers, refused = await client.ask(lambda endpoint: endpoint.batch(calls))
        assert numbers == [2 * n for n in range(2 * bounds.MAX_BATCH)]
        assert isinstance(refused, RpcError)
        assert refused.data == bytes.fromhex("abcd")


@pytest.mark.parametrize("raw", NONSENSE)
async def test_nonsense_is_unavailable_and_the_next_one_is_asked(
    raw: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "RPC_PAUSE", 0)
    bad, good = FakeRpc(raw=raw), FakeRpc(methods={"eth_chainId": "0x7a69", "ping": "pong"})
    async with serving(bad, good):
        async with open_rpc([bad.url], 31337) as client:
            with pytest.raises(Unavailable, match=bad.url):
                await client.call("ping")
        async with open_rpc([bad.url, good.url], 31337) as client:
            assert await client.call("ping") == "pong"


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_chain_error(data: bytes) -> None:
    async def ask() -> None:
        rpc = FakeRpc(raw=lambda _: data)
        async with serving(rpc), open_rpc([rpc.url], None) as client:
            with pytest.raises(ChainError):
                await client.call("eth_blockNumber")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bounds, "RPC_PAUSE", 0)
        trio.run(ask)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.binary(max_size=34).map(lambda b: "0x" + b.hex()),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["number", "hash", "timestamp", "address", "topics", "data", "blockNumber", "logs", "status"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)


@given(json_values, st.sampled_from([replies.read_block, replies.read_log, replies.read_receipt]))
def test_any_value_is_what_was_asked_for_or_unavailable(value: object, read: Callable[[object], object]) -> None:
    with contextlib.suppress(Unavailable):
        read(value)


@pytest.mark.parametrize("text", ["0x", "5", "0x+5", "0x1_0", "0x 5", "0xg", "0x" + "f" * 65, 5, None, True, ["0x1"]])
def test_what_is_no_quantity(text: object) -> None:
    with pytest.raises(Unavailable):
        replies.number(text, "a number")


@pytest.mark.parametrize("text", ["0", "0xa", "0xa b0", "0xgg", 7, None, "0xab", "0x" + "ab" * 21])
def test_what_is_not_twenty_bytes(text: object) -> None:
    with pytest.raises(Unavailable):
        replies.binary(text, "an address", 20)


async def test_a_huge_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_RESPONSE", 100_000)
    rpc = FakeRpc(methods={"eth_chainId": "0x7a69", "much": "x" * 10_000_000})
    async with serving(rpc), open_rpc([rpc.url], 31337) as client:
        with pytest.raises(RpcError, match="sent more than"):
            await client.call("much")
        assert await client.call("eth_chainId") == "0x7a69"


async def test_a_silent_one_costs_a_bounded_time(mock_clock: trio.testing.MockClock) -> None:
    silent, good = FakeRpc(silent=True), FakeRpc()

    async def lose_patience() -> None:
        await silent.kept_waiting.wait()
        mock_clock.jump(bounds.RPC_SECONDS)

    async with serving(silent, good), open_rpc([silent.url, good.url], 31337) as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lose_patience)
            assert await client.call("eth_chainId") == "0x7a69"
        assert await client.call("eth_chainId") == "0x7a69"  # it rests, and costs nothing


async def test_one_that_is_down_comes_back(mock_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "RPC_PAUSE", 0)
    first, second = FakeRpc(), FakeRpc()
    first.methods["who"], second.methods["who"] = "first", "second"
    async with serving(first, second), open_rpc([first.url, second.url], 31337) as client:
        assert await client.call("who") == "first"
        first.down = True
        assert await client.call("who") == "second"
        second.down = True
        with pytest.raises(Unavailable, match="cannot be reached"):
            await client.call("who")
        first.down = second.down = False
        mock_clock.jump(bounds.RPC_REST[1])
        assert await client.call("who") == "first"


@pytest.mark.parametrize("error", [Error("rate limit", -32005), Error("internal", -32603)])
async def test_a_crowded_one_is_passed_over(error: Error) -> None:
    crowded, good = FakeRpc(), FakeRpc()
    crowded.methods["who"], good.methods["who"] = error, "good"
    async with serving(crowded, good), open_rpc([crowded.url, good.url], 31337) as client:
        assert await client.call("who") == "good"


async def test_a_refusal_is_the_answer_and_no_other_is_asked() -> None:
    first, second = FakeRpc(), FakeRpc()
    first.methods["eth_call"] = Error("execution reverted", 3, {"data": {"data": "0x1234"}})
    async with serving(first, second), open_rpc([first.url, second.url], 31337) as client:
        with pytest.raises(RpcError) as refused:
            await client.call("eth_call")
    assert (refused.value.code, refused.value.data) == (3, bytes.fromhex("1234"))
    assert second.asked == []


async def test_one_of_another_chain_is_never_used() -> None:
    foreign, good = FakeRpc(methods={"eth_chainId": "0x1", "who": "foreign"}), FakeRpc()
    good.methods["who"] = "good"
    async with serving(foreign, good), open_rpc([foreign.url, good.url], 31337) as client:
        assert await client.call("who") == "good"
        good.down = True
        with pytest.raises(Unavailable):
            await client.call("who")
        with pytest.raises(WrongChain, match="chain 1"):
            await client.check(client.all[0])
    assert "who" not in foreign.asked


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:8545", "ftp://host", "http://", "http:///path", "http://h:99999", "http://[::1", "http://h:0"],
)
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(ChainError, match="RPC's URL"):
        check_url(url)


def test_a_url_is_shown_without_its_secret() -> None:
    assert shown_url("https://user:geheim@rpc.example:444/v3/geheim?key=geheim#geheim") == "https://rpc.example:444/…"
    assert shown_url("http://127.0.0.1:8545") == "http://127.0.0.1:8545"


async def test_no_message_and_no_log_has_the_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="hallmark")
    logging.getLogger().setLevel(logging.INFO)
    rpc = FakeRpc()
    messages = []
    async with serving(rpc):
        secret = rpc.url.replace("://", "://u:geheim1@") + "/v3/geheim2?k=geheim3"
        async with open_rpc([secret], 31337) as client:
            await client.call("eth_chainId")
            rpc.down = True
            with pytest.raises(Unavailable) as failed:
                await client.call("eth_chainId")
            messages += [str(failed.value), repr(client.all)]
    assert "geheim" not in "".join(messages) + caplog.text
