"""A fraud file as the Evidence contract takes it: which function shows it, with which arguments.

Two words of one key settle themselves. A wrong answer becomes an accusation, for which the committee stands node by
node: its weights are not told but looked up, so whoever invents a committee accuses nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from wire.canonical import encode
from wire.chain import RULING
from wire.cid import content_hash
from wire.errors import RecordError
from wire.fraud import Fraud, LazyVotes, TwoCommits, TwoReceipts, TwoVotes
from wire.inference import Receipt
from wire.keys import address_of, recover
from wire.tier import TIER_CODE
from wire.vote import Commit, Vote

from .abi import Event
from .chain import Chain
from .interfaces import interface
from .stake import SETTLER


@dataclass(frozen=True)
class Seats:
    """The committee that judged, by 33-byte keys: `size` members, then the bench."""

    epoch: int
    size: int
    places: tuple[bytes, ...]


def call_of(fraud: Fraud, seats: Seats | None = None) -> tuple[str, list[Any]]:
    """The function of Evidence that shows this fraud, and its arguments. A wrong answer needs the committee's `seats`.

    RecordError for lazy votes, which nothing settles.
    """
    if isinstance(fraud, TwoVotes):
        return "twoVotes", _two(fraud.verifier, [(_vote(v.vote), v.signature) for v in (fraud.first, fraud.second)])
    if isinstance(fraud, TwoCommits):
        words = [(_commit(c.commit), c.signature) for c in (fraud.first, fraud.second)]
        return "twoCommits", _two(fraud.verifier, words)
    if isinstance(fraud, TwoReceipts):
        shown = [(receipt_of(r.receipt), r.signature) for r in (fraud.first, fraud.second)]
        return "twoReceipts", [part for word in shown for part in word]
    if isinstance(fraud, LazyVotes):
        raise RecordError("a report on lazy votes accuses nobody: there is nothing to settle")
    if seats is None:
        raise ValueError("a wrong answer is shown with its committee")
    votes = sorted((ballot.member, ballot.vote.signature) for ballot in fraud.ballots if ballot.vote)
    committee = {"epoch": seats.epoch, "size": seats.size, "places": [address_of(key) for key in seats.places]}
    members, signatures = [member for member, _ in votes], [signature for _, signature in votes]
    return "accuse", [receipt_of(fraud.receipt.receipt), fraud.receipt.signature, committee, members, signatures]


def _two(public: bytes, words: Sequence[tuple[dict[str, Any], bytes]]) -> list[Any]:
    return [address_of(public), *(part for word in words for part in word)]


def _vote(vote: Vote) -> dict[str, Any]:
    return {"receipt": vote.receipt, "committee": vote.committee, "epoch": vote.epoch, "verdict": int(vote.verdict)}


def _commit(commit: Commit) -> dict[str, Any]:
    return {
        "request": commit.request, "committee": commit.committee, "epoch": commit.epoch,
        "commitment": commit.commitment,
    }  # fmt: skip


def receipt_of(said: Receipt) -> dict[str, Any]:
    """A receipt as contracts have it: the fields of its digest, without the chain that its domain has."""
    usage = said.usage
    return {
        "request": said.request, "nonce": said.nonce, "payer": said.payer, "provider": said.provider,
        "model": said.model, "inputs": said.inputs, "outputs": said.outputs,
        "runtime": content_hash(encode(said.runtime)), "tier": TIER_CODE[said.tier], "units": usage.units,
        "tokensIn": usage.tokens_in, "tokensOut": usage.tokens_out, "computeUs": usage.compute_us,
        "price": int(said.price), "started": said.started_ms, "finished": said.finished_ms,
    }  # fmt: skip


@dataclass(frozen=True)
class Standing:
    """How a fraud stands on the chain. `accusation`: that of a wrong answer, as the contract has it."""

    known: bool
    accusation: dict[str, Any] | None = None

    @property
    def is_contested(self) -> bool:
        return self.accusation is not None and bool(self.accusation["contested"])

    @property
    def is_closed(self) -> bool:
        """Slashed for, or dismissed: nothing more will come of it."""
        return self.known if self.accusation is None else bool(self.accusation["closed"])


async def read_standing(chain: Chain, fraud: bytes) -> Standing:
    """How the fraud with this digest stands now."""
    known = bool(await chain.call(chain.spec.evidence, "Evidence", "isKnown", fraud))
    accusation = await chain.call(chain.spec.evidence, "Evidence", "accusation", fraud)
    return Standing(known, accusation if accusation["until"] else None)


async def read_accusation(chain: Chain, event: Event) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The receipt and the committee that stand behind an `Accused` event, as they were called with; None when it was
    not called with them by a transaction of its own."""
    found = await chain.rpc.call("eth_getTransactionByHash", "0x" + event.transaction.hex())
    try:
        data = bytes.fromhex(str(found["input"]).removeprefix("0x"))
        called = interface("Evidence").arguments("accuse", data)
    except Exception:  # whatever an RPC or a stranger's transaction holds: eth_abi has a dozen errors
        return None
    receipt, committee = called["receipt"], called["committee"]
    digest = await chain.call(chain.spec.evidence, "Evidence", "receiptDigest", receipt)
    return (receipt, committee) if digest == event.values["receipt"] else None


async def agreeing(
    chain: Chain, fraud: bytes, upheld: bool, accusation: Mapping[str, Any], signatures: Iterable[bytes]
) -> tuple[list[tuple[bytes, bytes]], int, int]:
    """The settlers who signed this ruling, ascending and each with its signature; their stake, and that of all but the
    accused, who may not rule.

    Whatever is no such settler's signature over it is left out.
    """
    digest = RULING.digest(chain.domain, fraud, upheld)
    culprit, block = accusation["culprit"], accusation["blockNumber"]
    found: dict[bytes, bytes] = {}
    for signature in signatures:
        with suppress(RecordError):
            found[address_of(recover(digest, signature))] = signature
    found.pop(culprit, None)

    async def stake_of(node: bytes) -> int:
        return int(await chain.call(chain.domain.contract, "Registry", "stakeAt", node, SETTLER, block))

    stakes = {node: await stake_of(node) for node in sorted(found)}
    total = int(await chain.call(chain.domain.contract, "Registry", "totalAt", SETTLER, block))
    signers = [(node, found[node]) for node, stake in stakes.items() if stake]
    return signers, sum(stakes.values()), total - await stake_of(culprit)
