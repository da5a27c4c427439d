"""What a newcomer sees: from nothing to proved and paid answers, each step of it real, on this machine alone."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import trio
from rich.console import Console

from settle.deploy import COIN
from wire.arrays import to_array
from wire.canonical import Amount, decode, encode
from wire.keys import peer_id_of, public_of
from wire.presence import Role
from wire.receiptfile import MAX_RECEIPT_FILE, ReceiptFile

from ..asking import ask
from ..attempt import Answered, Question
from ..chain.amounts import show_amount
from ..cli.screen import size, table
from ..clock import now_ms
from ..config import Config
from ..datadir import DataDir
from ..errors import CommandError, Exit
from ..finding import find_model
from ..opening import open_peer
from ..peer import Peer
from .founding import follow, founded, fund, next_epoch, open_account, passphrase_file, put_down_bonds
from .magika import Magika, load_magika
from .money import owed_to, settle, slash, unpaid_lie
from .peers import Member, assemble, ending, start

SETTLE_SECONDS = 30.0  # for gossip to bring both offers
PRICE = COIN // 100  # of an honest answer
CHECK_WIDTH = 100  # columns of what `hallmark verify` said
DEPOSIT = COIN  # into each channel
ROOT = Path(__file__).resolve().parents[2]
SHOWN = (
    "README.md",
    "Makefile",
    "setup.sh",
    "pyproject.toml",
    "node/demo/story.py",
    "docs/life-of-an-answer.svg",
    "LICENSE",
)


async def tell(place: Path, files: Sequence[Path], screen: Console) -> dict[str, Any]:
    """The whole demonstration, with everything it makes under `place`; what was seen, as plain values.

    CommandError when a step does not hold.
    """
    magika = load_magika()
    members, client = _cast(place)
    _headline(screen, 1, "A chain with the network's contracts, and seven peers on it, each a process of its own")
    async with founded(place, members, client, screen) as bank, ending(members):
        owners = [open_account(member.directory) for member in members]
        payer = open_account(client)
        await fund(bank, [account.address for account in [*owners, payer]])
        await _come_up(members, screen)
        await put_down_bonds(members, screen)
        config = Config(bootstraps=members[0].addresses[:1], deposit=DEPOSIT)
        # The client is there before anything is offered: what it knows of offers, gossip brings.
        async with open_peer(client, config, serving=False, account=payer) as peer:
            await next_epoch(bank, peer, 1)  # in which bonds count
            cid = await _spread_model(members, magika, screen)
            await _both_offers(peer, cid, screen)
            await follow(peer)
            answers = await _classify(peer, cid, magika, files, screen)
            caught = await _catch_the_liar(peer, cid, magika, files[0], members, screen)
            liars = {peer_id_of(key): why for key, why in peer.distrust.current(now_ms()).items()}
            lie = _write_lie(peer, place, screen)
            unpaid_lie(peer, members, screen)
            receipts = _keep(place, [*(answer for _, answer in answers), caught])
            await _check_offline(place, receipts[-1], lie, screen)
            _headline(screen, 6, "Money: who asked pays, who worked is paid, who lied pays for it")
            money = await settle(bank, peer, members, screen)
            slashed = await slash(bank, peer, members, lie, screen)
    await _next_steps(place, files[0], magika, screen)
    return {
        "model": cid,
        "answers": [_summary(file, magika, answer) for file, answer in [*answers, (files[0], caught)]],
        "rejected": liars,
        "receipts": [str(path) for path in receipts],
        "fraud": str(lie),
        "money": money | slashed,
    }


def _summary(file: Path, magika: Magika, answer: Answered) -> dict[str, Any]:
    label, score = magika.read(answer.outputs[0])
    return {
        "file": str(file.relative_to(ROOT)) if file.is_relative_to(ROOT) else str(file),
        "type": label,
        "score": round(score, 4),
        "tier": answer.file.receipt.receipt.tier,
        "signers": len(answer.signers),
        "committee": answer.committee,
        "latency_ms": round(sum(answer.timing.values()), 1),
    }


def _cast(place: Path) -> tuple[list[Member], DataDir]:
    cast: dict[str, tuple[Role, ...]] = {"publisher": ("hub",)}
    cast |= {f"provider-{i}": ("provider", "hub") for i in (1, 2)}
    cast |= {f"verifier-{i}": ("verifier", "settler") for i in (1, 2, 3, 4)}
    members, client = assemble(place, cast)
    members[1].price, members[2].price, members[2].honest = PRICE, 2 * PRICE, False
    for member in members:
        member.flags = ("--passphrase-file", str(passphrase_file(member.directory)))
    return members, client


async def _come_up(members: Sequence[Member], screen: Console) -> None:
    async def one(member: Member, bootstraps: Sequence[str]) -> None:
        await start(member, bootstraps)
        pid = member.process.pid if member.process else 0
        address = member.addresses[0].partition("/p2p/")[0]
        screen.print(f"  ready  {member.name:<11} {member.key.peer_id}  {address}  pid {pid}")

    await one(members[0], ())
    async with trio.open_nursery() as nursery:
        for member in members[1:]:
            nursery.start_soon(one, member, members[0].addresses[:1])


async def _spread_model(members: Sequence[Member], magika: Magika, screen: Console) -> str:
    _headline(screen, 2, "The publisher adds a model; the others fetch it by its CID, chunk by verified chunk")
    about = {
        "path": str(magika.model), "name": "magika", "version": "3.3.0", "licence": "Apache-2.0",
        "task": "file-type-detection", "description": "Google's Magika: a file's type from its bytes",
        "royalty_bps": 500,
    }  # fmt: skip
    model = await members[0].call("model.add", about, lambda _: None)
    cid: str = model["cid"]
    screen.print(f"  added  magika@3.3.0, {size(model['size'])}, CID {cid}")

    async def pull(member: Member) -> None:
        found = await member.call("model.pull", {"model": cid}, lambda _: None)
        rate = size(found["fetched"] / max(found["seconds"], 1e-3))
        screen.print(f"  pulled {member.name:<11} {size(found['fetched'])} in {found['seconds']:.2f} s ({rate}/s)")

    async with trio.open_nursery() as nursery:
        for member in members[1:]:
            nursery.start_soon(pull, member)
    return cid


async def _both_offers(peer: Peer, cid: str, screen: Console) -> None:
    _headline(
        screen, 3, "A client finds offers by gossip and classifies real files; four verifiers re-execute each answer"
    )
    signed, _ = await find_model(peer, cid, lambda _: None)
    with trio.move_on_after(SETTLE_SECONDS):
        while len(peer.board.offers(now_ms(), signed.model)) < 2:
            await peer.board_changed.wait(1.0)
    for offer in peer.board.offers(now_ms(), signed.model):
        backend = f"{offer.backend.name} {offer.backend.version} on {offer.backend.device}"
        screen.print(
            f"  offer  {peer_id_of(offer.peer)}  price {show_amount(offer.price)}  "
            f"{offer.compute_us / 1000:.1f} ms  {backend}"
        )


async def _classify(
    peer: Peer, cid: str, magika: Magika, files: Sequence[Path], screen: Console
) -> list[tuple[Path, Answered]]:
    answers = []
    rows = table("file", "type", ">score", "tier", ">signers", ">latency", ">paid so far")
    for file in files:
        answer = await ask(peer, await _question(peer, cid, magika, file), _say(screen))
        seen = _summary(file, magika, answer)
        signers, latency = f"{seen['signers']}/{seen['committee']}", f"{seen['latency_ms']:.0f} ms"
        paid = show_amount(owed_to(peer, answer.provider))
        rows.add_row(seen["file"], seen["type"], f"{seen['score']:.4f}", seen["tier"], signers, latency, paid)
        answers.append((file, answer))
    screen.print()
    screen.print(rows)
    screen.print(
        "\nPaid without a transaction: the client signs a voucher over all that it owes so far, out of a deposit of "
        f"{show_amount(DEPOSIT)},\nand only once an answer's certificate has convinced it."
    )
    return answers


async def _catch_the_liar(
    peer: Peer, cid: str, magika: Magika, file: Path, members: Sequence[Member], screen: Console
) -> Answered:
    _headline(screen, 4, "provider-2 is dishonest (this demonstration started it so): ask it first")
    liar = next(m for m in members if not m.honest)
    question = replace(await _question(peer, cid, magika, file), prefer=public_of(liar.key.peer_id))
    answer = await ask(peer, question, _say(screen))
    if answer.provider == question.prefer or question.prefer not in peer.distrust.current(now_ms()):
        raise CommandError(Exit.NOT_PROVED, "the dishonest provider was not caught", "Please report this.")
    label, score = magika.read(answer.outputs[0])
    honest = next(m.name for m in members if m.key.public == answer.provider)
    screen.print(f"  {honest} answered instead: {file.name} is {label} ({score:.4f}), {answer.proof}")
    return answer


def _write_lie(peer: Peer, place: Path, screen: Console) -> Path:
    """The file that shows the lie to anybody: what the liar signed, and the committee that refused it."""
    frauds = peer.local.store.frauds
    data = next((data for kept in frauds.all() if (data := frauds.get(kept.digest))), None)
    if data is None:
        raise CommandError(Exit.NOT_PROVED, "the lie was caught, and no file shows it", "Please report this.")
    path = place / "lie.fraud"
    path.write_bytes(data)
    screen.print(f"  its lie is now a file of {size(len(data))} that convinces anybody: {path.name}")
    return path


async def _question(peer: Peer, cid: str, magika: Magika, file: Path) -> Question:
    signed, manifest = await find_model(peer, cid, lambda _: None)
    content = await trio.Path(file).read_bytes()
    return Question(
        manifest=signed,
        specs=manifest,
        tensors=[magika.features(content)],
        tier="quorum",
        max_price=Amount(2 * PRICE),
        seconds=60.0,
    )


def _keep(place: Path, answers: Sequence[Answered]) -> list[Path]:
    paths = []
    for number, answer in enumerate(answers, 1):
        paths.append(place / f"answer-{number}.receipt")
        paths[-1].write_bytes(answer.encoded)
    return paths


async def _check_offline(place: Path, receipt: Path, lie: Path, screen: Console) -> None:
    _headline(
        screen, 5, "A fresh process without any network verifies a receipt, then a changed copy, then the lie's file"
    )
    network = place / "client" / "networks" / "demo.toml"
    isolate = await _without_network()
    file = decode(await trio.Path(receipt).read_bytes(), ReceiptFile, limit=MAX_RECEIPT_FILE)
    first = bytearray(file.outputs[0])
    first[0] ^= 1
    changed = receipt.with_name("changed.receipt")
    changed.write_bytes(encode(_with_outputs(file, (bytes(first), *file.outputs[1:]))))
    for path, wanted in ((receipt, Exit.OK), (changed, Exit.NOT_PROVED), (lie, Exit.OK)):
        command = [sys.executable, "-m", "node.cli", "verify", str(path), "--network", str(network)]
        run = await trio.run_process([*isolate, *command], capture_stdout=True, capture_stderr=True, check=False)
        how = " (in a network namespace of its own)" if isolate else ""
        screen.print(f"  $ hallmark verify {path.name} --network demo.toml{how}: exit code {run.returncode}")
        for line in (run.stdout + run.stderr).decode().splitlines():
            _print_check(line, screen)
        if run.returncode != wanted:
            raise CommandError(
                Exit.NOT_PROVED, f"verifying {path.name} ended with {run.returncode}", "Please report this."
            )


def _print_check(line: str, screen: Console) -> None:
    """A line of `hallmark verify`: folded under itself, and of the list of what was checked only how long it is."""
    label, text = line[:12], line[12:]
    if label.strip() == "checked":
        names = text.split(", ")
        text = f"{len(names)} things: {', '.join(names[:4])}, … {names[-1]}"
    for number, part in enumerate(textwrap.wrap(text, CHECK_WIDTH) or [""]):
        screen.print(f"    {label if number == 0 else ' ' * 12}{part}".rstrip())


def _with_outputs(file: ReceiptFile, outputs: tuple[bytes, ...]) -> ReceiptFile:
    fields: dict[str, Any] = {name: getattr(file, name) for name in file.__struct_fields__}
    return ReceiptFile(**fields | {"outputs": outputs})


async def _without_network() -> list[str]:
    """The prefix that runs a command with no network at all, where this machine allows it."""
    prefix = ["unshare", "--net", "--user", "--map-root-user"]
    if shutil.which("unshare") is None:
        return []
    tried = await trio.run_process([*prefix, "true"], capture_stdout=True, capture_stderr=True, check=False)
    return prefix if tried.returncode == 0 else []


async def _next_steps(place: Path, file: Path, magika: Magika, screen: Console) -> None:
    _headline(screen, 7, "Your turn")
    features = place / "features.npy"
    np.save(features, to_array(magika.features(await trio.Path(file).read_bytes())))
    hallmark = Path(sys.executable).parent / "hallmark"
    short = hallmark.relative_to(Path.cwd()) if hallmark.is_relative_to(Path.cwd()) else hallmark
    steps = [
        ("a peer of your own", f"{short} serve --role hub --role provider --role verifier"),
        ("join it from another terminal", f"{short} serve --data-dir ./second --network FILE --bootstrap ADDRESS"),
        ("", "(serve prints this line with its own file and address)"),
        ("add a model", f"{short} model add {magika.model} --name magika --licence Apache-2.0"),
        ("ask it", f"{short} infer magika --input bytes=@{features} --receipt answer.receipt"),
        ("check the answer, offline", f"{short} verify answer.receipt"),
    ]
    for what, command in steps:
        screen.print(f"  {what + ':' if what else '':<31} {command}", soft_wrap=True)


def _say(screen: Console) -> Any:
    def say(event: dict[str, Any]) -> None:
        if event["event"] in ("rejected", "failed"):
            screen.print(f"  {event['text']}")

    return say


def _headline(screen: Console, number: int, text: str) -> None:
    screen.print(f"\n{number}. {text}", style="bold")
