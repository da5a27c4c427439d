"""The demonstration's last act: who asked has paid, who worked is paid, and who lied pays for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import trio
from rich.console import Console

from settle.chain import Chain, Event
from settle.ledger import Ledger, Posted, Status
from wire.canonical import decode
from wire.fraud import MAX_FRAUD_FILE, FraudFile, fraud_digest
from wire.settlement import Share

from ..chain.amounts import show_amount
from ..chain.opening import the_chain
from ..cli.screen import table
from ..errors import CommandError, Exit
from ..fraud.court import execute, submit
from ..peer import Peer
from .founding import EPOCH, Bank, next_epoch
from .peers import Member, stop

PATIENCE = 60.0  # seconds for four settlers on two slow cores to agree


def owed_to(peer: Peer, provider: bytes) -> int:
    """What this peer has promised a provider so far, in the token's smallest unit: its last voucher."""
    assert peer.spending is not None
    return sum(p.book.owed for p in peer.spending.payers.values() if p.book.provider == provider)


def unpaid_lie(peer: Peer, members: Sequence[Member], screen: Console) -> None:
    """What the liar was paid: nothing. CommandError otherwise."""
    liar = next(m for m in members if not m.honest)
    if owed := owed_to(peer, liar.key.public):
        raise CommandError(Exit.INTERNAL, f"the lie was paid {show_amount(owed)}", "Please report this.")
    screen.print(f"  no certificate, no payment: {liar.name} has been promised 0")


async def settle(bank: Bank, peer: Peer, members: Sequence[Member], screen: Console) -> dict[str, Any]:
    """Claim, let the epoch end, have its root signed and its window pass, and pay everybody's lines."""
    earner = next(m for m in members if m.honest and "provider" in m.roles)
    promised = owed_to(peer, earner.key.public)
    await earner.call("channel.claim", {}, lambda _: None)
    chain = the_chain(peer)
    ledger = Ledger(chain)
    epoch = peer.network.epoch
    await next_epoch(bank, peer, epoch + 1)
    if facts := await ledger.facts(epoch, await chain.head()):  # when settlers begin: who was away has time until then
        await bank.forward(max(0, facts.times.begins - (await chain.head()).timestamp) + 1)
    stands = await _until(chain, ledger, epoch, Status.POSTED)
    pot = int(await ledger.ask("potOf", epoch))
    screen.print(
        "  Voucher: a signed promise of all that is owed so far. Only the last one is ever taken to the chain.\n"
        f"    the client's last one to {earner.name} says {show_amount(promised)}; claimed: {show_amount(pot)}\n"
        "  Epoch: a span of time; what came in during it is divided at its end.\n"
        f"    epoch {epoch} is over: nobody waited for it, this devnet's clock was moved on by {EPOCH // 60} minutes\n"
        "  Root: one hash over the list of who gets how much for which receipt; settlers check them and sign it.\n"
        f"    {stands.root.hex()[:16]}… over {stands.count} shares, signed by more than two thirds of their stake"
    )
    *_, window = await ledger.fixed()
    await bank.forward(window + 1)
    stands = await _until(chain, ledger, epoch, Status.FINAL)
    screen.print(
        "  Window: the time in which anybody can challenge a wrong root, and its signers lose their bonds.\n"
        f"    {window // 60} minutes (the clock was moved again), nobody challenged it: the shares are paid"
    )
    for member in members:
        if "settler" not in member.roles:  # these claim by themselves
            await member.call("claim", {"epoch": epoch}, lambda _: None)
    shares = await _paid(peer, ledger, epoch, members)
    shares["treasury"] = {"the network": pot - stands.total}
    rows = table("who", "as", ">paid")
    columns = aligned([*(amount for roles in shares.values() for amount in roles.values()), pot])
    for name, roles in shares.items():
        for role in roles:
            rows.add_row(name, role, next(columns))
    rows.add_row("", "together", next(columns))
    screen.print()
    screen.print(rows)
    if not sum(amount for roles in shares.values() for amount in roles.values()) == pot == promised:
        raise CommandError(Exit.INTERNAL, "the shares do not add up to what was promised", "Please report this.")
    return {"paid": promised, "epoch": epoch, "root": stands.root.hex(), "shares": shares}


def aligned(amounts: Sequence[int]) -> Iterator[str]:
    """Amounts with as many places as the longest of them needs, so that their points stand under each other."""
    shown = [show_amount(amount).partition(".") for amount in amounts]
    places = max((len(part) for _, _, part in shown), default=0)
    return (whole + ("." + part.ljust(places, "0") if places else "") for whole, _, part in shown)


async def _paid(peer: Peer, ledger: Ledger, epoch: int, members: Sequence[Member]) -> dict[str, dict[str, int]]:
    """By member and role, what an epoch paid, once all of it is paid: as the chain's log has it."""
    chain = the_chain(peer)
    with trio.move_on_after(PATIENCE):
        while True:
            head = await chain.head()
            if await ledger.ask("paidOf", epoch, at=head) == (await ledger.posted(epoch, head)).total:
                break
            await trio.sleep(0.1)
    names = {m.key.address: m.name for m in members}
    shares: dict[str, dict[str, int]] = {m.name: {} for m in members}
    events = await chain.logs(chain.spec.epochs, "Epochs", ["Paid"], chain.spec.from_block, head.number)
    for paid in (event.values for event in events):
        if paid["epoch"] == epoch:
            roles, role = shares[names[paid["account"]]], Share(paid["role"]).name.lower()
            roles[role] = roles.get(role, 0) + int(paid["amount"])
    return shares


async def slash(bank: Bank, peer: Peer, members: Sequence[Member], lie: Path, screen: Console) -> dict[str, Any]:
    """The liar runs away; its bond does not."""
    liar = next(m for m in members if not m.honest)
    await stop(liar)
    fraud = decode(await trio.Path(lie).read_bytes(), FraudFile, limit=MAX_FRAUD_FILE).fraud
    chain = the_chain(peer)
    accused = _one((await submit(peer, fraud)).events, "Accused")
    head = await chain.head()
    await bank.forward(max(0, int(accused.values["until"]) - head.timestamp) + 1)
    done = await execute(peer, fraud_digest(fraud, peer.network.domain))
    slashed = _one(done.events, "Slashed").values
    amount, reported = int(slashed["amount"]), int(slashed["reported"])
    screen.print(
        "\n  Bond: what a peer put down on the chain, and loses of when it cheats. It stays when the peer leaves.\n"
        f"    the client sent {lie.name} to the chain; in the time to contest it (moved on, too) nobody did\n"
        f"    {liar.name} loses {show_amount(amount)} of its bond, {show_amount(reported)} of that goes to the client"
    )
    return {"slashed": amount, "reported": reported}


def _one(events: Sequence[Event], name: str) -> Event:
    found = next((event for event in events if event.name == name), None)
    if found is None:
        raise CommandError(Exit.INTERNAL, f"the chain did not say {name}", "Please report this.")
    return found


async def _until(chain: Chain, ledger: Ledger, epoch: int, status: Status) -> Posted:
    with trio.move_on_after(PATIENCE):
        while True:  # a chain tells nobody
            stands = await ledger.posted(epoch, await chain.head())
            if stands.status >= status:
                return stands
            await trio.sleep(0.1)
    raise CommandError(Exit.INTERNAL, f"epoch {epoch} did not become {status.name.lower()}", "Please report this.")
