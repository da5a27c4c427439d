"""`fraud ls | submit | contest | execute | rule`: frauds as the chain has them."""

from __future__ import annotations

from typing import Any

from settle.chain import Chain, ChainError, Done
from settle.evidence import agreeing, read_standing
from settle.history import block_at
from verify.fraud import verify_fraud
from wire.canonical import decode
from wire.chain import RULING
from wire.errors import RecordError
from wire.fraud import MAX_FRAUD_FILE, FraudFile, fraud_digest
from wire.keys import show_address

from ..chain.opening import Purse, the_chain, the_sender
from ..control import Emit
from ..errors import CommandError, Exit
from ..fraud import court
from .evidence import list_frauds, the_one

DAY_MS = 24 * 3600 * 1000


async def list_with_chain(purse: Purse, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Every fraud file of the store, and what became of it on the chain, where the network has one that answers."""
    found = await list_frauds(purse.local, params, emit)
    if purse.chain is None or not any(row["settles"] for row in found["frauds"]):
        return found
    try:
        return {"frauds": await _on_chain(purse.chain, found["frauds"])}
    except ChainError as error:
        return found | {"problem": str(error)}


async def _on_chain(chain: Chain, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    slashed: dict[str, int] | None = None
    told = []
    for row in rows:
        if row["settles"]:
            standing = await read_standing(chain, bytes.fromhex(row["digest"]))
            if standing.known and slashed is None:
                slashed = await _slashed(chain, min(r["kept_ms"] for r in rows) - DAY_MS)
            row |= {
                "on_chain": standing.known,
                "contested": standing.is_contested,
                "open": standing.known and not standing.is_closed,
                "slashed": (slashed or {}).get(row["digest"], 0),
            }
        told.append(row)
    return told


async def _slashed(chain: Chain, since_ms: int) -> dict[str, int]:
    """What was slashed for each fraud since a time, by its digest."""
    head, registry = await chain.head(), chain.domain.contract
    first = await block_at(chain, head, since_ms // 1000)
    if first > head.number:
        return {}
    events = await chain.logs(registry, "Registry", ["Slashed"], first, head.number)
    return {event.values["evidence"].hex(): int(event.values["amount"]) for event in events}


async def submit_fraud(purse: Purse, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """Show a fraud (`data`, a file's bytes, or the one kept here whose digest begins with `digest`) to the contract."""
    local = purse.local
    data: bytes | None = params["data"]
    if data is None:
        digest = the_one(
            params["digest"], [k.digest for k in local.store.frauds.all()], "fraud file", "hallmark fraud ls"
        )
        data = local.store.frauds.get(digest)
        assert data is not None
    try:
        report = verify_fraud(data, local.network)
    except RecordError as error:
        raise CommandError(Exit.NOT_PROVED, f"it is no fraud file: {error}") from error
    if not report.valid:
        wrong = next(check for check in report.checks if not check.ok)
        raise CommandError(
            Exit.NOT_PROVED, f"it does not hold: {wrong.name}: {wrong.detail}", "Look: hallmark verify FILE"
        )
    fraud = decode(data, FraudFile, limit=MAX_FRAUD_FILE).fraud
    try:
        done = await court.submit(purse, fraud)
    except court.NothingToSettle as error:
        raise CommandError(Exit.CHAIN, f"it is not submitted: {error}") from error
    return {"digest": fraud_digest(fraud, local.network.domain).hex()} | _outcome(done)


async def contest_fraud(purse: Purse, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """Contest the accusation with this `digest` in this node's name."""
    return _outcome(await court.contest(purse, params["digest"]))


async def execute_fraud(purse: Purse, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """Have the accused of `digest` slashed, when nobody contested in time."""
    return _outcome(await court.execute(purse, params["digest"]))


async def rule_fraud(purse: Purse, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """Sign a ruling on a contested accusation with this node's key. Where `post` is, and the `signatures` of others are
    enough with it, it is sent to the contract."""
    chain, key, digest, upheld = the_chain(purse), purse.local.key, params["digest"], params["upheld"]
    standing = await read_standing(chain, digest)
    if standing.accusation is None or not standing.is_contested or standing.is_closed:
        raise CommandError(Exit.CHAIN, "no ruling is waited for: it is not a contested accusation that is open")
    own = key.sign(RULING.digest(chain.domain, digest, upheld))
    given = [own, *params["signatures"]]
    signers, stake, total = await agreeing(chain, digest, upheld, standing.accusation, given)
    said: dict[str, Any] = {
        "digest": digest.hex(), "upheld": upheld, "signer": show_address(key.address), "signature": own.hex(),
        "counts": any(node == key.address for node, _ in signers), "stake": stake, "total": total,
    }  # fmt: skip
    if not params["post"]:
        return said | {"posted": False}
    if stake * 3 <= total * 2:
        raise CommandError(
            Exit.CHAIN,
            f"{len(signers)} settler(s) signed, with {stake} of {total} at stake: it takes more than two thirds",
            "Give the signatures of others, too.",
        )
    done = await the_sender(purse).send(
        f"rule {digest.hex()}", chain.spec.evidence, "Evidence", "rule", digest, upheld,
        [node for node, _ in signers], [signature for _, signature in signers],
    )  # fmt: skip
    return said | {"posted": True} | _outcome(done)


def _outcome(done: Done) -> dict[str, Any]:
    """The transaction, and what was slashed in it."""
    slashed = [event.values for event in done.events if event.name == "Slashed"]
    accused = [event.values for event in done.events if event.name == "Accused"]
    return {
        "transaction": "0x" + done.hash.hex(),
        "block": done.block,
        "gas": done.gas,
        "slashed": sum(int(values["amount"]) for values in slashed),
        "reported": sum(int(values["reported"]) for values in slashed),
        "contest_until_s": max((int(values["until"]) for values in accused), default=0),
    }
