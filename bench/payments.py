"""What one core checks of vouchers, and what payment adds to an answer.    python -m bench.payments [--rounds N]

The answers are of a provider that asks for nothing and of one that is paid, asked in turn: the same model, two
processes, a devnet with the contracts. A pair's difference is what payment adds, the provider's write to disk included.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # it asks at its import, and would write and send data about this session

import numpy as np
import trio
from msgspec.structs import replace

from bench.figures import percentile, row, show
from bench.models.perceptron import save_perceptron
from node.attempt import Question, attempt
from node.clock import now_ms
from node.config import Config
from node.demo.peers import Member, assemble, ending, start
from node.finding import find_model, refresh_offers
from node.local import keep_network
from node.networkfile import new_network
from node.opening import open_peer
from node.peer import Peer
from settle.chain import open_sender
from settle.channel.payee import Payee, check_voucher, opened
from settle.deploy import deploy, devnet_terms, open_bare
from settle.devnet import devnet
from storage import open_store
from storage.payments import Written
from wire.arrays import from_array
from wire.books import Deposit
from wire.canonical import Amount
from wire.chain import ChainSpec
from wire.keys import NodeKey
from wire.offer import Offer
from wire.payment import ChannelConfig, Payment, Voucher, payment_domain, sign_voucher

VOUCHERS, REMEMBERED = 20_000, 2_000  # checked; signed beyond them, since keys remember their last signatures
PRICE, WARM = 1000, 20
TOKEN = 10**18


def checks() -> dict[str, object]:
    """Vouchers of one channel checked, kept, held against deposit and other answers, and charged; without the disk."""
    payer, domain = NodeKey.generate(), payment_domain(31337, b"\xcc" * 20)
    config = ChannelConfig(
        payer=bytes(20), payer_authorizer=payer.address, receiver=bytes(20), receiver_authorizer=bytes(20),
        token=bytes(20), withdraw_delay=3600, salt=bytes(32),
    )  # fmt: skip
    channel = config.id(domain)
    amounts = range(1, VOUCHERS + REMEMBERED)
    vouchers = [sign_voucher(Voucher(channel=channel, amount=Amount(n)), payer, domain) for n in amounts]
    deposit = Deposit(balance=Amount(2**100), block=1)
    payee = Payee(opened(Payment(channel=config, voucher=vouchers[0]), deposit), domain, 1)
    payee.see(deposit, 0.0)
    began = time.process_time()
    for voucher in vouchers[:VOUCHERS]:
        check_voucher(config, voucher, domain)
        payee.take(voucher)
        sale = payee.begin(1)
        if payee.cover(sale, 1, 1.0) is not None:
            raise SystemExit("a good voucher does not cover its answer")
        payee.charge(sale, 1)
    seconds = time.process_time() - began
    return {"name": "vouchers checked", "per_second": round(VOUCHERS / seconds), "us": round(seconds / VOUCHERS * 1e6)}


async def answers(rounds: int, place: Path) -> list[dict[str, object]]:
    """Free and paid answers in turn."""
    owner = NodeKey.generate()
    async with devnet(place / "chain", fund=[owner.address]) as chain:
        spec, contract = await _deployed(chain.url, owner, place)
        members, client = assemble(place, {"free": ("hub", "provider"), "paid": ("hub", "provider")})
        network = replace(new_network("bench", []), chain_id=chain.chain_id, contract=contract, chain=spec)
        for directory in [*(member.directory for member in members), client]:
            keep_network(directory, network)
        members[1].price = PRICE
        async with ending(members):
            await start(members[0], ())
            await start(members[1], members[0].addresses[:1])
            cid = await _publish(members, place)
            config = Config(bootstraps=members[0].addresses[:1], deposit=TOKEN)
            async with open_peer(client, config, serving=False, account=owner) as peer:
                return await _in_turn(peer, cid, members, rounds)


async def _in_turn(peer: Peer, cid: str, members: list[Member], rounds: int) -> list[dict[str, object]]:
    signed, manifest = await find_model(peer, cid, lambda _: None)
    offers = await _offers(peer, signed.model, members)
    numbers = from_array("x", np.array([[(i % 7 - 3) / 4 for i in range(49)]], dtype=np.float32))
    question = Question(signed, manifest, [numbers], "signed", Amount(PRICE), 60.0)
    took: dict[str, list[float]] = {"free": [], "paid": []}
    for i in range(rounds + WARM):
        for name in ("free", "paid") if i % 2 else ("paid", "free"):
            began = time.perf_counter()
            answer = await attempt(peer, question, offers[name], trio.current_time() + 60)
            if i >= WARM:
                took[name].append((time.perf_counter() - began) * 1000)
            if answer.file.receipt.receipt.price != (PRICE if name == "paid" else 0):
                raise SystemExit("an answer has another price than it was offered for")
    assert peer.spending is not None
    (payer,) = peer.spending.payers.values()
    if payer.book.owed != (rounds + WARM) * PRICE:
        raise SystemExit("the books do not have what was answered")
    disk = []
    store = peer.local.store
    for _ in range(rounds):
        began = time.perf_counter()
        await store.in_thread(store.payments.put, Written(payers={payer.id: payer.book}))
        disk.append((time.perf_counter() - began) * 1000)
    added = [paid - free for paid, free in zip(took["paid"], took["free"], strict=True)]
    quarter, three = percentile(added, 25), percentile(added, 75)
    return [
        row("answer that costs nothing", took["free"]),
        row("answer that is paid", took["paid"]),
        row("payment adds, pair by pair", added, quartiles=f"{quarter:.2f} to {three:.2f}"),
        row("a book on its way to this disk", disk),
    ]


async def _deployed(url: str, owner: NodeKey, place: Path) -> tuple[ChainSpec, bytes]:
    with open_store(place / "journal") as store:
        async with open_bare([url], 0) as chain, open_sender(chain, owner, store.transactions) as sender:
            deployed = await deploy("bench", chain, sender, devnet_terms(10**6))
            return deployed.spec, deployed.registry


async def _publish(members: list[Member], place: Path) -> str:
    save_perceptron(place / "mlp.onnx", (49, 32, 8))
    about = {"path": str(place / "mlp.onnx"), "name": "mlp", "version": "1.0.0", "licence": "Apache-2.0", "task": "",
             "description": "", "royalty_bps": 0}  # fmt: skip
    cid = str((await members[0].call("model.add", about, lambda _: None))["cid"])
    await members[1].call("model.pull", {"model": cid}, lambda _: None)
    return cid


async def _offers(peer: Peer, model: bytes, members: list[Member]) -> dict[str, Offer]:
    """Both providers' offers, once they are there."""
    with trio.fail_after(120):
        while True:
            await refresh_offers(peer, model)
            found = {o.peer: o for o in peer.board.offers(now_ms(), model)}
            if all(member.key.public in found for member in members):
                return {member.name: found[member.key.public] for member in members}
            await trio.sleep(0.5)


def main() -> None:
    """Parse the arguments, measure, show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    show("Vouchers, one core", [checks()], given.json)
    with tempfile.TemporaryDirectory() as place:
        show("Answers in turn, tier signed", trio.run(answers, given.rounds, Path(place)), given.json)


if __name__ == "__main__":
    main()
