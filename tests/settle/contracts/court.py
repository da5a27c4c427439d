"""Evidence with all that it looks at: registered verifiers, a provider, epochs, and a scene whose records they sign."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.settle.evm import ETHER, Done
from tests.verify.scenes import Scene, bent, key_of
from verify.committee import Committee
from wire.canonical import encode
from wire.chain import RULING
from wire.cid import content_hash
from wire.inference import Receipt, SignedReceipt
from wire.keys import NodeKey
from wire.network import Network
from wire.tier import TIER_CODE
from wire.vote import Commit, SignedVote, Verdict, Vote

from .bonds import PROVIDER, SETTLER, VERIFIER, Bonds, judged

EPOCH_SECONDS = 3_600
TERMS = {
    "epochSeconds": EPOCH_SECONDS, "windowSeconds": 3_600, "answerSeconds": 600, "slashBps": 1_000,
    "demandBond": ETHER,
}  # fmt: skip
SHARES = {"publisherMax": 1_000, "verifiers": 1_000, "hubs": 500, "treasury": 500, "unreceipted": 5_000}


@dataclass(frozen=True)
class Case(Scene):
    """A scene on the court's network, in its first epoch after the nodes came."""

    contract: bytes = b""

    @cached_property
    def network(self) -> Network:
        return bent(super().network, contract=self.contract, epoch=1)


class Court:
    """Verifier i has `weights[i]` tokens behind it, is a settler too, and belongs to account 10 + i. The provider has
    1,000 and belongs to account 30, the reporter is account 50."""

    def __init__(self, weights: Sequence[int] = (1, 1, 1, 1), size: int = 16, **rules: Any) -> None:
        self.bonds = Bonds(verifierBond=ETHER, settlerBond=ETHER)
        self.evm, self.registry = self.bonds.evm, self.bonds.registry
        self.evidence = judged(self.bonds, **rules)
        deployer, registry, evidence = self.bonds.deployer.address, self.registry.address, self.evidence.address
        channels, split = self.evm.deploy("Channels"), self.evm.deploy("Split", SHARES, deployer, deployer)
        self.epochs = self.evm.deploy(
            "Epochs", self.bonds.token.address, channels.address, registry, evidence, split.address, TERMS
        )
        self.bonds.slashers(evidence, self.epochs.address)
        self.case = Case(len(weights), size, tuple(weights), contract=registry)
        for i, weight in enumerate(weights):
            node = self.bonds.enter(key_of(f"verifier {i}"), self.bonds.owner(i), VERIFIER | SETTLER)
            self.bonds.bond(node, weight * ETHER + 7, self.bonds.owner(i))  # a part of a token weighs nothing
        self.provider = self.bonds.enter(self.case.provider, self.provider_owner, PROVIDER)
        self.bonds.bond(self.provider, 1_000 * ETHER, self.provider_owner)
        self.evm.forward(EPOCH_SECONDS)
        self.epochs.send("open")
        assert self.epochs.call("current") == 1

    @property
    def provider_owner(self) -> NodeKey:
        return self.evm.account(30)

    @property
    def reporter(self) -> NodeKey:
        return self.evm.account(50)

    def owner_of(self, node: bytes) -> NodeKey:
        """Whose account a verifier's is."""
        address = self.registry.call("ownerOf", node)
        return next(k for i in range(64) if (k := self.evm.account(i)).address == address)

    def behind(self, node: bytes) -> int:
        """All tokens behind a node."""
        return int(self.registry.call("poolOf", node)["assets"])

    def show(self, kind: str, *args: Any) -> Done:
        """Evidence, by the reporter."""
        return self.evidence.send(kind, *args, by=self.reporter)

    def refusals(self, members: Sequence[int], verdict: Verdict = Verdict.REJECT, **changes: Any) -> list[SignedVote]:
        return [self.case.vote(i, verdict, **changes) for i in members]

    def accusation(self, members: Sequence[int] = (0, 1, 2), **changes: Any) -> tuple[Any, ...]:
        """The arguments of `accuse`, some of them bent."""
        given: dict[str, Any] = {
            "receipt": receipt_of(self.case.receipt.receipt),
            "signature": self.case.receipt.signature,
            "committee": committee_of(self.case.committee, self.case.keys),
            "signers": list(members),
            "signatures": [vote.signature for vote in self.refusals(members)],
        } | changes
        return tuple(given.values())

    def accuse(self, members: Sequence[int] = (0, 1, 2), **changes: Any) -> bytes:
        """The accusation's name."""
        done = self.show("accuse", *self.accusation(members, **changes))
        fraud: bytes = done.event("Accused").values["fraud"]
        return fraud

    def ruling(
        self, fraud: bytes, upheld: bool, settlers: Sequence[NodeKey], signs: bool | None = None
    ) -> tuple[Any, ...]:
        """The arguments of `rule`: `settlers` sign that it is `signs` (or `upheld`)."""
        signers = sorted(settlers, key=lambda k: k.address)
        digest = RULING.digest(self.case.network.domain, fraud, upheld if signs is None else signs)
        return fraud, upheld, [k.address for k in signers], [k.sign(digest) for k in signers]


def vote_of(vote: Vote) -> tuple[Any, ...]:
    """The contract's struct."""
    return vote.receipt, vote.committee, vote.epoch, int(vote.verdict)


def commit_of(commit: Commit) -> tuple[Any, ...]:
    """The contract's struct."""
    return commit.request, commit.committee, commit.epoch, commit.commitment


def receipt_of(said: Receipt) -> dict[str, Any]:
    """The contract's struct."""
    return {
        "request": said.request, "nonce": said.nonce, "payer": said.payer, "provider": said.provider,
        "model": said.model, "inputs": said.inputs, "outputs": said.outputs,
        "runtime": content_hash(encode(said.runtime)), "tier": TIER_CODE[said.tier], "units": said.usage.units,
        "tokensIn": said.usage.tokens_in, "tokensOut": said.usage.tokens_out, "computeUs": said.usage.compute_us,
        "price": int(said.price), "started": said.started_ms, "finished": said.finished_ms,
    }  # fmt: skip


def receipts_of(first: SignedReceipt, second: SignedReceipt) -> tuple[Any, ...]:
    """The arguments of `twoReceipts`."""
    return receipt_of(first.receipt), first.signature, receipt_of(second.receipt), second.signature


def committee_of(committee: Committee, keys: Sequence[NodeKey]) -> dict[str, Any]:
    """The contract's struct: the members and the bench by their addresses."""
    return {"epoch": committee.epoch, "size": len(committee.members), "places": [k.address for k in keys]}
