"""`income`: what this user earned and spent, and what of the network's fees would last; from the chain's events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from settle.abi import Event
from settle.chain import Block, Chain
from settle.costs import break_even, hourly
from settle.history import block_at
from settle.income import EVENTS, SOURCES, Income, health_of
from settle.journal import Entry
from settle.stake import each, read_operator
from storage.receipts import ReceiptSummary
from wire.canonical import decode
from wire.cid import to_cid
from wire.errors import RecordError
from wire.keys import show_address

from ..chain.opening import Purse, the_chain
from ..control import Emit

BPS = 10_000


async def show_income(purse: Purse, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """What the account with the address `owner` earned and spent since `since_s` (seconds UTC), in the token's smallest
    unit; `gas` is in wei."""
    chain, local = the_chain(purse), purse.local
    head = await chain.head()
    since = await block_at(chain, head, params["since_s"])
    emit({"event": "reading", "text": f"reads the chain's history up to block {head.number}"})
    income = await read_income(chain, params["owner"], head, since)
    receipts = [r for r in local.store.receipts.all() if r.finished_ms >= params["since_s"] * 1000]
    own = await read_operator(chain, local.key.address, head)
    epochs = sorted({e for _, e in income.paid + income.bonded} | {e for _, e in income.spent})
    return {
        "owner": show_address(params["owner"]),
        "nodes": [show_address(node) for node in income.nodes],
        "block": head.number,
        "epoch": income.epoch,
        "earned": sum(income.paid.values()) + sum(income.bonded.values()),
        "paid_out": sum(income.paid.values()),
        "incentives": 0,  # nothing is emitted yet: all that is earned was paid by somebody
        "spent": sum(income.spent.values()),
        "self_dealing": sum(income.self_dealt.values()),
        "slashed": income.slashed,
        "gas": await _gas(purse, params["owner"], since),
        "by_source": {source: _of(income, source) for source in SOURCES if any(_of(income, source).values())},
        "by_epoch": [_epoch(income, epoch) for epoch in epochs],
        "by_model": _by_model(receipts, local.key.address),
        "costs": await _costs(purse, income.epoch, own.own if own else 0, receipts),
    }


async def show_network_income(purse: Purse, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """The network's fees since `since_s`: all, those among one owner's own, and the part that would last."""
    chain = the_chain(purse)
    head = await chain.head()
    since = await block_at(chain, head, params["since_s"])
    emit({"event": "reading", "text": f"reads the chain's history up to block {head.number}"})
    income = await read_income(chain, bytes(20), head, since)
    health = health_of(income)
    return {
        "block": head.number,
        "epoch": income.epoch,
        "fees": health.fees,
        "self_dealing": health.self_dealing,
        "subsidised": health.subsidised,
        "emitted": health.emitted,
        "external": health.external,
        "durable": health.durable,
        "by_epoch": [
            {"epoch": epoch, "fees": income.fees[epoch], "self_dealing": income.self_dealing[epoch]}
            for epoch in sorted(income.fees)
        ],
    }


async def read_income(chain: Chain, owner: bytes, head: Block, since: int) -> Income:
    """The account's income, from all events of the network's contracts."""
    events = sorted(await _events(chain, head), key=lambda told: (told[1].block, told[1].index))
    nodes = [event.values["node"] for _, event in events if event.name == "Registered"]
    tills = await each(lambda node: chain.call(chain.spec.epochs, "Epochs", "tillOf", node), nodes)
    treasury = bytes(await chain.call(chain.spec.split, "Split", "treasury"))
    income = Income(owner, dict(zip(map(bytes, tills), nodes, strict=True)), treasury, since)
    for contract, event in events:
        income.take(contract, event)
    return income


async def _events(chain: Chain, head: Block) -> list[tuple[str, Event]]:
    places = {"Registry": chain.domain.contract, "Channels": chain.spec.channels, "Epochs": chain.spec.epochs}
    found: list[tuple[str, Event]] = []
    for contract, names in EVENTS.items():
        told = await chain.logs(places[contract], contract, names, chain.spec.from_block, head.number)
        found += [(contract, event) for event in told]
    return found


async def _gas(purse: Purse, owner: bytes, since: int) -> int:
    """Fees of the transactions that were sent from here, in wei: from the journal, which is by chain and account."""
    whose = (await the_chain(purse).block(0)).hash + owner
    fees = 0
    for data in await purse.local.store.in_thread(purse.local.store.transactions.all, whose):
        try:
            outcome = decode(data, Entry).outcome
        except RecordError:  # of another release
            continue
        fees += int(outcome.fee) if outcome and outcome.block >= since else 0
    return fees


def _of(income: Income, source: str) -> dict[str, int]:
    paid = sum(amount for (name, _), amount in income.paid.items() if name == source)
    return {"paid": paid, "bonded": sum(amount for (name, _), amount in income.bonded.items() if name == source)}


def _epoch(income: Income, epoch: int) -> dict[str, Any]:
    earned = {source: income.earned((source, epoch)) for source in SOURCES if income.earned((source, epoch))}
    spent = sum(amount for (_, when), amount in income.spent.items() if when == epoch)
    return {
        "epoch": epoch, "earned": sum(earned.values()), "sources": earned, "spent": spent,
        "self_dealing": income.self_dealt[epoch],
    }  # fmt: skip


def _by_model(receipts: list[ReceiptSummary], node: bytes) -> list[dict[str, Any]]:
    """Prices of the receipts that are kept here, before they are divided: what the node answered, and what it asked."""
    answered, asked = Counter[bytes](), Counter[bytes]()
    counts = Counter[bytes]()
    for receipt in receipts:
        counts[receipt.model] += 1
        if receipt.provider == node:
            answered[receipt.model] += int(receipt.price)
        if receipt.payer == node:
            asked[receipt.model] += int(receipt.price)
    return [
        {"model": to_cid(model), "receipts": counts[model], "charged": answered[model], "paid": asked[model]}
        for model in sorted(counts, key=lambda m: (-answered[m] - asked[m], m))
    ]


async def _costs(purse: Purse, epoch: int, bond: int, receipts: list[ReceiptSummary]) -> dict[str, Any] | None:
    costs = purse.local.config.costs
    if not costs:
        return None
    chain, node = the_chain(purse), purse.local.key.address
    shares = await chain.call(chain.spec.split, "Split", "sharesOf", epoch)
    take = sum(int(shares[name]) for name in ("publisherMax", "verifiers", "hubs", "treasury")) / BPS
    prices = list(_prices(receipts, node))
    price = sum(prices) / len(prices) if prices else float(purse.local.config.price)
    hour = hourly(costs, bond)
    even = break_even(hour, costs.get("capacity", 0.0), price, take)
    return {
        "hourly": round(hour),
        "bond": bond,
        "price": round(price),
        "take": take,  # with the largest royalty that a manifest may ask for
        "answers_an_hour": even.answers,
        "utilisation": even.utilisation,
        "break_even_price": None if even.price is None else round(even.price),
    }


def _prices(receipts: list[ReceiptSummary], node: bytes) -> Iterator[int]:
    yield from (int(r.price) for r in receipts if r.provider == node and r.price)
