"""`epoch show | ls`, `claim`: what the chain says of epochs, and the lines that pay this node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from settle.chain import Chain, ChainError, Refused
from settle.ledger import EpochFacts, Ledger, Posted, Status
from storage import StoreDamaged
from wire.canonical import Amount
from wire.errors import RemoteError
from wire.keys import show_address
from wire.settlement import EpochRoot, ProvedLines

from ..bounds import CLAIM_BACK
from ..catalogue import ask_presences
from ..chain.opening import the_chain, the_sender
from ..control import Emit
from ..errors import CommandError, Exit
from ..joining import wait_for_peers
from ..settling.asking import Settlers, ask_lines
from ..settling.book import Kept
from ..settling.chores import claim_args, is_paid, purpose_of
from ..settling.watching import own_runs

if TYPE_CHECKING:
    from ..chain.opening import Purse
    from ..peer import Peer

_STATUS = {Status.OPEN: "no root yet", Status.POSTED: "in its window", Status.FINAL: "final"}


async def list_epochs(purse: Purse, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """The newest epochs, the current one first."""
    chain = the_chain(purse)
    ledger, at = Ledger(chain), await chain.head()
    current = await ledger.current(at)
    rows = []
    for epoch in range(current, max(-1, current - int(params["limit"])), -1):
        stands, revenue = await ledger.posted(epoch, at), int(await ledger.ask("potOf", epoch, at=at))
        rows.append(
            {
                "epoch": epoch,
                "opened_ms": int(await ledger.ask("openedAt", epoch, at=at)) * 1000,
                "revenue": revenue,
                "status": _status(epoch, current, stands, revenue),
                "lines": stands.count,
                "total": stands.total,
            }
        )
    return {"current": current, "epochs": rows}


async def show_epoch(peer: Peer, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """One epoch: how it stands on the chain, and the lines that pay this node. The newest that ended, by default."""
    chain = the_chain(peer)
    ledger, at = Ledger(chain), await chain.head()
    genesis, seconds, window = await ledger.fixed()
    current = await ledger.current(at)
    epoch = max(0, current - 1) if params["epoch"] is None else int(params["epoch"])
    if epoch > current:
        raise CommandError(
            Exit.NOT_FOUND, f"epoch {epoch} has not begun: it is {current} now", "See: hallmark epoch ls"
        )
    stands, facts = await ledger.posted(epoch, at), await ledger.facts(epoch, at)
    pot = int(await ledger.ask("potOf", epoch, at=at))
    told: dict[str, Any] = {
        "epoch": epoch,
        "begins_ms": (genesis + epoch * seconds) * 1000,
        "ends_ms": (genesis + (epoch + 1) * seconds) * 1000,
        "beacon": (await ledger.ask("beaconOf", epoch, at=at)).hex(),
        "status": _status(epoch, current, stands, pot),
        "pot": pot,
        "paid": int(await ledger.ask("paidOf", epoch, at=at)),
        "revenue": [] if facts is None else [_earned(node, amount) for node, amount in sorted(facts.revenue.items())],
        "settlers": [] if facts is None else [show_address(a) for a in facts.settlers.order],
        "root": None,
    }
    if stands.status is Status.OPEN:
        return told | {"lines": []}
    told["root"] = {
        "root": stands.root.hex(),
        "lines": stands.count,
        "total": stands.total,
        "posted_ms": stands.posted_at * 1000,
        "final_ms": (stands.posted_at + window) * 1000,
        "signers": await _signers(chain, ledger, facts, stands, epoch),
    }
    told["lines"] = None
    if stands.count:
        try:
            runs = await _own_lines(peer, await _root_of(chain, ledger, facts, stands, epoch), emit)
            told["lines"] = [await _line(chain, epoch, run, stands) for run in runs]
        except (RemoteError, CommandError) as error:
            told["unknown"] = str(error)
    return told


async def claim(peer: Peer, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Have all lines paid that pay this node and were not paid yet, of one epoch or of all that are final.

    CommandError: NOT_FOUND where there is nothing to claim; what was claimed before an error stays claimed.
    """
    chain, sender = the_chain(peer), the_sender(peer)
    ledger, at = Ledger(chain), await chain.head()
    current = await ledger.current(at)
    wanted = params["epoch"]
    epochs = range(max(0, current - CLAIM_BACK), current) if wanted is None else [int(wanted)]
    claimed: list[dict[str, Any]] = []
    unknown: dict[int, str] = {}
    for epoch in epochs:
        stands = await ledger.posted(epoch, at)
        if stands.status is not Status.FINAL or not stands.count:
            continue
        emit({"event": "looking", "text": f"epoch {epoch}: asking settlers which lines pay this node"})
        facts = await ledger.facts(epoch, at)
        try:
            root = await _root_of(chain, ledger, facts, stands, epoch)
            runs = await _own_lines(peer, root, emit)
        except (RemoteError, CommandError) as error:
            unknown[epoch] = str(error)
            continue
        for run in runs:
            if await is_paid(chain, root, run):
                continue
            emit({"event": "claiming", "text": f"epoch {epoch}: claiming as {run.first.role.name.lower()}"})
            try:
                done = await sender.send(
                    purpose_of(root, run), chain.spec.epochs, "Epochs", "claim", *claim_args(root, run)
                )
            except Refused as error:
                raise CommandError(Exit.REMOTE, f"epoch {epoch} pays nothing: {error}") from error
            claimed.append(
                {
                    "epoch": epoch,
                    "role": run.first.role.name.lower(),
                    "amount": run.amount,
                    "transaction": done.hash.hex(),
                    "fee": done.fee,
                }
            )
    if not claimed and unknown:
        listed = "\n".join(f"  epoch {epoch}: {why}" for epoch, why in unknown.items())
        raise CommandError(Exit.REMOTE, f"no settler says what pays this node:\n{listed}", "Try again when one is up.")
    return {"claimed": claimed, "unknown": [{"epoch": e, "why": why} for e, why in unknown.items()]}


def _status(epoch: int, current: int, stands: Posted, revenue: int) -> str:
    if epoch >= current:
        return "runs"
    if stands.status is Status.OPEN and not revenue:
        return "nothing came in"  # so that no root is needed
    return _STATUS[stands.status]


def _earned(node: bytes, amount: int) -> dict[str, Any]:
    return {"node": show_address(node), "amount": amount}


async def _line(chain: Chain, epoch: int, run: ProvedLines, stands: Posted) -> dict[str, Any]:
    root = EpochRoot(epoch=epoch, root=stands.root, count=stands.count, total=Amount(stands.total), receipts=bytes(32))
    return {
        "role": run.first.role.name.lower(),
        "lines": run.last.index - run.first.index + 1,
        "amount": run.amount,
        "claimed": await is_paid(chain, root, run),
    }


async def _posted(
    chain: Chain, ledger: Ledger, facts: EpochFacts | None, stands: Posted, epoch: int
) -> dict[str, Any] | None:
    """What was said when the root was posted."""
    head = await chain.head()
    since = int(await ledger.ask("openedBlock", facts.named if facts else epoch, at=head))
    for event in await chain.logs(chain.spec.epochs, "Epochs", ["Posted"], since, head.number):
        if (event.values["epoch"], event.values["root"]) == (epoch, stands.root):
            return event.values
    return None


async def _signers(
    chain: Chain, ledger: Ledger, facts: EpochFacts | None, stands: Posted, epoch: int
) -> list[dict[str, Any]]:
    said = await _posted(chain, ledger, facts, stands, epoch)
    stakes = facts.settlers.stakes if facts else {}
    return [{"node": show_address(node), "stake": stakes.get(node, 0)} for node in (said or {}).get("signers", ())]


async def _root_of(chain: Chain, ledger: Ledger, facts: EpochFacts | None, stands: Posted, epoch: int) -> EpochRoot:
    said = await _posted(chain, ledger, facts, stands, epoch)
    return EpochRoot(
        epoch=epoch,
        root=stands.root,
        count=stands.count,
        total=Amount(stands.total),
        receipts=said["receipts"] if said else bytes(32),
    )


async def _own_lines(peer: Peer, root: EpochRoot, emit: Emit) -> tuple[ProvedLines, ...]:
    """The lines that pay this node: from the store of a settler, or from one that is asked."""
    account = peer.local.key.address
    try:
        kept = peer.local.store.settling.lines(root.epoch)
    except StoreDamaged:
        kept = None
    if kept is not None and kept[0].root == root.root:
        return tuple(own_runs(Kept(*kept), account))
    chain = the_chain(peer)
    await wait_for_peers(peer, emit)
    for status in peer.host.connected():
        try:
            await ask_presences(peer, status.peer_id)
        except RemoteError:
            continue  # another one may tell where settlers are
    try:
        settlers = await Settlers(chain).stakes()
    except ChainError as error:
        raise CommandError(Exit.REMOTE, str(error)) from error
    return await ask_lines(peer, list(settlers), root, account)
