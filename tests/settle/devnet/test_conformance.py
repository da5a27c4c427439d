"""The same questions to the devnet and to anvil, an engine of somebody else's making: same answers, same shapes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from settle.artefacts import artefact
from tests.settle.anvil import needs_anvil

from .engines import ETHER, GWEI, TOKEN, Node, account, anvil, our_devnet

pytestmark = needs_anvil
ALICE, BOB = account(0), account(1)
ALICE_RAW, BOB_RAW = (bytes.fromhex(who.address[2:]) for who in (ALICE, BOB))
ANVILS_OWN = {"blockTimestamp", "blobGasPrice"}  # beyond the specification
PLACE = {"blockHash", "blockNumber"}  # another first block, and now and then an empty one
Pair = tuple[Node, Node]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Both, with the same accounts and a token at the same address."""
    directory: Path = tmp_path_factory.mktemp("devnet")
    with our_devnet(directory, "--cheats", "--block-time", "0.02") as ours, anvil() as theirs:
        for node in (ours, theirs):
            node.token = node.deploy_token(ALICE)["contractAddress"]
        assert ours.token == theirs.token
        yield ours, theirs


def both(pair: Pair, ask: Callable[[Node], Any]) -> tuple[Any, Any]:
    """One after the other."""
    return ask(pair[0]), ask(pair[1])


def shape(value: Any) -> Any:
    """What kinds of values stand where; of hexadecimal text also its length, where that has a meaning."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items() if key not in ANVILS_OWN}
    if isinstance(value, list):
        return [shape(inner) for inner in value[:1]]
    if isinstance(value, str) and value.startswith("0x"):
        return "data of " + str(len(value)) if len(value) > 18 else "quantity"
    return type(value).__name__


def transfer(to: bytes, amount: int) -> str:
    """A token's transfer, as a transaction's data."""
    return "0x" + TOKEN.call("transfer", to, amount).hex()


def balance(of: bytes) -> str:
    """A token's question for a balance."""
    return "0x" + TOKEN.call("balanceOf", of).hex()


def filled(value: Any, node: Node) -> Any:
    """The token's address in the place of its name."""
    if isinstance(value, dict):
        return {key: filled(inner, node) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, node) for inner in value]
    return node.token if value == "token" else value


def without(record: dict[str, Any], *names: str) -> dict[str, Any]:
    """A record, and of its logs, without what may differ."""
    gone = ANVILS_OWN | PLACE | set(names)
    kept = {key: value for key, value in record.items() if key not in gone}
    if "logs" in kept:
        kept["logs"] = [without(log) for log in kept["logs"]]
    return kept


@pytest.mark.parametrize(
    "fields",
    [
        {"to": ALICE.address, "value": 5, "gas": 21_000},
        {"to": BOB.address, "value": 5, "gas": 21_000, "gasPrice": 5 * GWEI},
        {"to": "token", "data": transfer(BOB_RAW, 7)},
        {"to": "token", "data": transfer(BOB_RAW, 10**40)},  # reverts
        {"to": BOB.address, "value": 1, "accessList": [{"address": BOB.address, "storageKeys": ["0x" + "07" * 32]}]},
        {"data": "0x" + "fe" * 40, "gas": 60_000},  # a contract whose making fails
    ],
    ids=["plain", "legacy", "log", "revert", "access list", "create"],
)
def test_a_transaction_and_its_receipt(pair: Pair, fields: dict[str, Any]) -> None:
    def run(node: Node) -> tuple[dict[str, Any], dict[str, Any]]:
        receipt = node.send(ALICE, **filled(fields, node))
        return receipt, mined(node, receipt["transactionHash"])

    (receipt, transaction), (their_receipt, their_transaction) = both(pair, run)
    assert without(receipt, "effectiveGasPrice") == without(their_receipt, "effectiveGasPrice")
    assert without(transaction, "gasPrice") == without(their_transaction, "gasPrice")
    assert shape(receipt) == shape(their_receipt)
    assert shape(transaction) == shape(their_transaction)


def mined(node: Node, transaction: str) -> dict[str, Any]:
    """A transaction as its block has it; anvil may have its receipt a moment before."""
    for _ in range(1000):
        found: dict[str, Any] = node.call("eth_getTransactionByHash", transaction)
        if found["transactionIndex"] is not None:
            break
    return found


def test_blocks(pair: Pair) -> None:
    for node in pair:
        node.send(ALICE, to=BOB.address, value=1, gas=21_000)
    for whole in (False, True):
        ours, theirs = both(pair, lambda node, whole=whole: node.call("eth_getBlockByNumber", "latest", whole))
        assert shape(ours) == shape(theirs)
        same = ("gasUsed", "gasLimit", "difficulty", "sha3Uncles", "transactionsRoot", "receiptsRoot", "logsBloom")
        assert {key: ours[key] for key in same} == {key: theirs[key] for key in same}
    for node in pair:
        latest = node.call("eth_getBlockByNumber", "latest", False)
        assert node.call("eth_getBlockByHash", latest["hash"], False) == latest
        assert node.call("eth_getBlockByNumber", latest["number"], False) == latest
        assert (
            node.call("eth_getBlockByNumber", hex(int(latest["number"], 16) - 1), False)["hash"] == latest["parentHash"]
        )


def test_the_base_fee_follows_the_same_rule(pair: Pair) -> None:
    for node in pair:  # EIP-1559; blocks here are emptier than the target, half the limit
        node.send(ALICE, to=BOB.address, value=1, gas=21_000)
        last = int(node.call("eth_blockNumber"), 16)
        first, second = (node.call("eth_getBlockByNumber", hex(n), False) for n in (last - 1, last))
        fee, used, target = (int(first[name], 16) for name in ("baseFeePerGas", "gasUsed", "gasLimit"))
        target //= 2
        assert int(second["baseFeePerGas"], 16) == fee - fee * (target - used) // target // 8


STATE = {
    "chain": lambda node: node.call("eth_chainId"),
    "network": lambda node: node.call("net_version"),
    "listening": lambda node: node.call("net_listening"),
    "syncing": lambda node: node.call("eth_syncing"),
    "code": lambda node: node.call("eth_getCode", node.token, "latest"),
    "no code": lambda node: node.call("eth_getCode", BOB.address, "latest"),
    "storage": lambda node: node.call("eth_getStorageAt", node.token, "0x2", "latest"),
    "empty storage": lambda node: node.call("eth_getStorageAt", node.token, "0x77", "latest"),
    "nonce": lambda node: node.call("eth_getTransactionCount", ALICE.address, "latest"),
    "pending nonce": lambda node: node.call("eth_getTransactionCount", ALICE.address, "pending"),
    "nonce of nobody": lambda node: node.call("eth_getTransactionCount", "0x" + "77" * 20, "latest"),
    "balance": lambda node: node.call("eth_getBalance", account(3).address, "latest"),
    "call": lambda node: node.call("eth_call", {"to": node.token, "data": balance(ALICE_RAW)}, "latest"),
    "call, input": lambda node: node.call("eth_call", {"to": node.token, "input": balance(ALICE_RAW)}, "latest"),
    "call without a tag": lambda node: node.call("eth_call", {"to": node.token, "data": balance(ALICE_RAW)}),
    "call before": lambda node: node.call("eth_call", {"to": node.token, "data": balance(ALICE_RAW)}, "0x0"),
    "call to nobody": lambda node: node.call("eth_call", {"to": BOB.address, "data": "0x01"}, "latest"),
    "estimate": lambda node: node.call(
        "eth_estimateGas", {"to": node.token, "from": ALICE.address, "data": transfer(BOB_RAW, 3)}
    ),
    "estimate, plain": lambda node: node.call(
        "eth_estimateGas", {"to": BOB.address, "from": ALICE.address, "value": "0x1"}
    ),
    "no block": lambda node: node.call("eth_getBlockByNumber", "0xffff", False),
    "no block of this hash": lambda node: node.call("eth_getBlockByHash", "0x" + "11" * 32, False),
    "no receipt": lambda node: node.call("eth_getTransactionReceipt", "0x" + "11" * 32),
    "no transaction": lambda node: node.call("eth_getTransactionByHash", "0x" + "11" * 32),
}


@pytest.mark.parametrize("name", STATE)
def test_a_question_has_the_same_answer(pair: Pair, name: str) -> None:
    ours, theirs = both(pair, STATE[name])
    assert ours == theirs


def test_an_estimate_of_a_deployment_is_near(pair: Pair) -> None:
    made = artefact("HallmarkToken")
    data = "0x" + (made.bytecode + TOKEN.constructor("OPG", "OPG", ALICE_RAW)).hex()
    ours, theirs = both(pair, lambda node: int(node.call("eth_estimateGas", {"from": ALICE.address, "data": data}), 16))
    assert abs(ours - theirs) <= theirs // 50


def test_history_stays(pair: Pair) -> None:
    def ask(node: Node) -> list[str]:
        before = node.call("eth_blockNumber")
        node.send(ALICE, to=node.token, data=transfer(BOB_RAW, 11))
        question = {"to": node.token, "data": balance(BOB_RAW)}
        return [node.call("eth_call", question, tag) for tag in (before, "latest", {"blockNumber": before})]

    (was, now, again), theirs = both(pair, ask)
    assert int(now, 16) == int(was, 16) + 11
    assert again == was
    assert [was, now, again] == theirs


LOGS = {
    "all": {"fromBlock": "0x0", "toBlock": "latest"},
    "of the token": {"fromBlock": "0x0", "address": "token"},
    "of several": {"fromBlock": "0x0", "address": ["token", BOB.address]},
    "of another": {"fromBlock": "0x0", "address": BOB.address},
    "by name": {"fromBlock": "0x0", "topics": ["0x" + TOKEN.topic("Transfer").hex()]},
    "by place": {"fromBlock": "0x0", "topics": [None, ["0x" + "00" * 12 + ALICE.address[2:].lower()]]},
    "none by place": {"fromBlock": "0x0", "topics": [None, "0x" + "33" * 32]},
    "latest only": {},
    "backwards": {"fromBlock": "0x3", "toBlock": "0x1"},
    "beyond": {"fromBlock": "0xfff0", "toBlock": "0xffff"},
}


@pytest.mark.parametrize("name", LOGS)
def test_logs(pair: Pair, name: str) -> None:
    for node in pair:
        node.send(ALICE, to=node.token, data=transfer(BOB_RAW, 2))
    ours, theirs = both(pair, lambda node: node.raw("eth_getLogs", filled(LOGS[name], node)))
    if "error" in theirs or "error" in ours:
        assert set(ours) == set(theirs) or ours == {"result": []}
        return
    assert [without(log) for log in ours["result"]] == [without(log) for log in theirs["result"]]
    assert shape(ours["result"]) == shape(theirs["result"])


def test_logs_of_a_block(pair: Pair) -> None:
    receipts = [node.send(ALICE, to=node.token, data=transfer(BOB_RAW, 2)) for node in pair]
    for node, receipt in zip(pair, receipts, strict=True):
        found = node.call("eth_getLogs", {"blockHash": receipt["blockHash"]})
        assert [log["transactionHash"] for log in found] == [receipt["transactionHash"]]
        assert node.error("eth_getLogs", {"blockHash": "0x" + "11" * 32})["code"] == -32000


def test_a_revert_brings_the_contracts_words(pair: Pair) -> None:
    for method in ("eth_call", "eth_estimateGas"):
        question = {"from": ALICE.address, "data": transfer(BOB_RAW, 10**40)}
        ours, theirs = both(pair, lambda node, m=method, q=question: node.error(m, {"to": node.token} | q))
        assert (ours["code"], ours["data"]) == (theirs["code"], theirs["data"]) == (3, theirs["data"])
        assert ours["message"].startswith("execution reverted")


REFUSED = {
    "nonce too low": lambda node: node.sign(ALICE, nonce=0, to=BOB.address),
    "no ether": lambda node: node.sign(account(9), to=BOB.address),
    "gas too low": lambda node: node.sign(ALICE, to=BOB.address, gas=20_000),
    "gas beyond a block": lambda node: node.sign(ALICE, to=BOB.address, gas=31_000_000),
    "another chain": lambda node: node.sign(ALICE, to=BOB.address, chainId=5),
    "tip above the fee": lambda node: node.sign(ALICE, to=BOB.address, maxPriorityFeePerGas=9 * GWEI),
    "no transaction": lambda _: "0x1234",
    "nothing": lambda _: "0x",
    "cut short": lambda node: node.sign(ALICE, to=BOB.address)[:-20],
}


@pytest.mark.parametrize("name", REFUSED)
def test_both_refuse(pair: Pair, name: str) -> None:
    ours, theirs = both(pair, lambda node: node.error("eth_sendRawTransaction", REFUSED[name](node)))
    assert ours["code"] in (-32000, -32602)
    assert theirs["code"] in (-32000, -32003, -32602)


def test_we_are_stricter(pair: Pair) -> None:
    ours, _ = pair
    other = ours.sign(ALICE, to=BOB.address, chainId=5, gasPrice=5 * GWEI)
    assert "chain id" in ours.error("eth_sendRawTransaction", other)["message"]
    assert ours.error("eth_sendRawTransaction", ours.sign(ALICE, to=BOB.address) + "00")["code"] == -32000


def test_what_is_known_already(pair: Pair) -> None:
    for node in pair:
        node.call("evm_setAutomine", False)
        raw = node.sign(ALICE, to=BOB.address, value=1, gas=21_000)
        name = node.call("eth_sendRawTransaction", raw)
        waiting = node.call("eth_getTransactionByHash", name)
        assert (waiting["blockHash"], waiting["blockNumber"]) == (None, None)
        assert "already" in node.error("eth_sendRawTransaction", raw)["message"]
        latest, pending = (node.call("eth_getTransactionCount", ALICE.address, tag) for tag in ("latest", "pending"))
        assert int(pending, 16) == int(latest, 16) + 1
        low = node.sign(ALICE, to=BOB.address, value=2, gas=21_000, nonce=int(latest, 16))
        assert "underpriced" in node.error("eth_sendRawTransaction", low)["message"]
        node.call("evm_mine")
        assert node.receipt(name)["status"] == "0x1"
        node.call("evm_setAutomine", True)


WRONG = {
    "no such method": ("eth_nothing",),
    "an address cut short": ("eth_getBalance", "0x12", "latest"),
    "no address": ("eth_getBalance",),
    "a block that is none": ("eth_getBalance", BOB.address, "newest"),
    "a number that is none": ("eth_getBlockByNumber", "0xzz", False),
    "a hash cut short": ("eth_getTransactionReceipt", "0x11"),
    "data that is none": ("eth_call", {"to": BOB.address, "data": "0x1"}, "latest"),
    "a call that is none": ("eth_call", 5, "latest"),
    "a filter that is none": ("eth_getLogs", "all"),
}


@pytest.mark.parametrize("name", WRONG)
def test_errors_have_the_same_code(pair: Pair, name: str) -> None:
    ours, theirs = both(pair, lambda node: node.error(*WRONG[name]))
    assert ours["code"] == theirs["code"]


def test_a_batch(pair: Pair) -> None:
    calls = [{"jsonrpc": "2.0", "id": i, "method": name} for i, name in enumerate(("eth_chainId", "eth_nothing"))]
    ours, theirs = both(pair, lambda node: node.client.post(node.url, json=calls).json())
    assert ours[0] == theirs[0]
    assert ours[1]["error"]["code"] == theirs[1]["error"]["code"]


def test_a_notification_has_no_answer(pair: Pair) -> None:
    for node in pair:
        answer = node.client.post(node.url, json={"jsonrpc": "2.0", "method": "eth_chainId"})
        assert (answer.status_code, answer.content) == (204, b"")


def test_fees_are_advised(pair: Pair) -> None:
    ours, theirs = both(pair, lambda node: node.call("eth_feeHistory", "0x2", "latest", [10, 50]))
    assert set(ours) == set(theirs)
    for history in (ours, theirs):
        assert len(history["baseFeePerGas"]) == len(history["gasUsedRatio"]) + 1 == 3
        assert [len(each) for each in history["reward"]] == [2, 2]
    head = pair[0].call("eth_getBlockByNumber", "latest", False)
    assert ours["baseFeePerGas"][-2] == head["baseFeePerGas"]
    base, tip = (int(pair[0].call(name), 16) for name in ("eth_gasPrice", "eth_maxPriorityFeePerGas"))
    assert base - tip == int(ours["baseFeePerGas"][-1], 16)


def test_time_and_blocks_on_demand(pair: Pair) -> None:
    for node in pair:
        before = node.call("eth_getBlockByNumber", "latest", False)
        node.call("evm_increaseTime", 1000)
        node.call("evm_mine")
        after = node.call("eth_getBlockByNumber", "latest", False)
        assert int(after["number"], 16) >= int(before["number"], 16) + 1
        assert 1000 <= int(after["timestamp"], 16) - int(before["timestamp"], 16) <= 1100
        when = int(after["timestamp"], 16) + 5000
        node.call("evm_setNextBlockTimestamp", when)
        node.call("anvil_mine", "0x3", "0x64")
        number = int(node.call("eth_blockNumber"), 16)
        times = [int(node.call("eth_getBlockByNumber", hex(number - i), False)["timestamp"], 16) for i in (2, 1, 0)]
        assert times == [when, when + 100, when + 200]
        assert node.error("evm_setNextBlockTimestamp", 5)["code"] == -32602


def test_a_reorganisation_and_a_snapshot(pair: Pair) -> None:
    for node in pair:
        node.call("evm_mine")
        snapshot, head = node.call("evm_snapshot"), node.call("eth_getBlockByNumber", "latest", False)
        receipt = node.send(ALICE, to=BOB.address, value=ETHER, gas=21_000)
        node.call("evm_mine")
        tall = node.call("eth_blockNumber")
        node.call("anvil_reorg", 2, [])
        assert int(node.call("eth_blockNumber"), 16) in (int(tall, 16), int(tall, 16) + 1)
        assert node.call("eth_getBlockByNumber", receipt["blockNumber"], False)["hash"] != receipt["blockHash"]
        assert node.call("eth_getTransactionReceipt", receipt["transactionHash"]) is None
        again = node.sign(ALICE, to=BOB.address, value=ETHER, gas=21_000)
        name = node.call("eth_sendRawTransaction", again)
        assert node.receipt(name)["status"] == "0x1"
        if node is pair[0]:  # anvil's snapshots do not outlive a reorganisation
            assert node.call("evm_revert", snapshot) is True
            assert node.call("eth_getBlockByNumber", "latest", False)["hash"] == head["hash"]
            assert node.call("evm_revert", snapshot) is False
            assert node.call("eth_getTransactionReceipt", name) is None


def test_bytes_that_are_no_request(pair: Pair) -> None:
    for body in (b"", b"{", b"[]", b"1", b"null", b'{"jsonrpc":"2.0","method":1,"id":1}', b"\xff\x00", b"[" * 5000):
        headers = {"content-type": "application/json"}
        answers = both(pair, lambda node, b=body, h=headers: node.client.post(node.url, content=b, headers=h))
        for answer in answers:
            assert json.loads(answer.content)["error"]["code"] in (-32700, -32600), body
