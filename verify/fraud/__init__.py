"""A fraud file checked from nothing but its bytes and the network file, like a receipt.

A module a kind: its `check(fraud, network)` gives every check, and `tell(fraud)` says in plain words what it shows.
Nobody is accused by a file in which one check fails, so each kind has tests of all that a frame-up would try.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wire.canonical import decode
from wire.errors import RecordError
from wire.fraud import (
    KIND,
    MAX_FRAUD_FILE,
    Fraud,
    FraudFile,
    FraudKind,
    LazyVotes,
    TwoCommits,
    TwoReceipts,
    TwoVotes,
    WrongAnswer,
    culprit_of,
    fraud_digest,
)
from wire.network import Network

from ..checks import Check, equal
from ..tiers.quorum import source_of
from . import answer, lazy, provider, verifier


@dataclass(frozen=True)
class _Kind:
    check: Callable[[Any, Network], list[Check]]
    tell: Callable[[Any], str]


_KINDS: dict[type, _Kind] = {
    TwoVotes: _Kind(verifier.check_votes, verifier.tell_votes),
    TwoCommits: _Kind(verifier.check_commits, verifier.tell_commits),
    TwoReceipts: _Kind(provider.check, provider.tell),
    WrongAnswer: _Kind(answer.check, answer.tell),
    LazyVotes: _Kind(lazy.check, lazy.tell),
}


@dataclass(frozen=True, slots=True)
class FraudReport:
    """What a file shows, of whom, and whether all of it holds. Claims of an invalid file show nothing.

    `settles`: whether a contract could act on it; a report on lazy votes is a reason to look, and no more. `culprit` is
    an address (20 bytes), `digest` the 32 bytes that name the fraud.
    """

    valid: bool
    kind: FraudKind
    settles: bool
    culprit: bytes
    digest: bytes
    says: str
    checks: tuple[Check, ...]
    rests_on: tuple[str, ...]


def verify_fraud(data: bytes, network: Network) -> FraudReport:
    """The report on a fraud file; RecordError when `data` is none. Never another exception."""
    file = decode(data, FraudFile, limit=MAX_FRAUD_FILE)
    fraud = file.fraud
    culprit, digest = culprit_of(fraud), fraud_digest(fraud, network.domain)
    kind = _KINDS[type(fraud)]
    other = f"the file is of network {file.network} (chain {file.chain_id}), not of {network.name} ({network.chain_id})"
    bound = "the file is bound to another contract than the network file"
    checks = [
        equal("network", (file.network, file.chain_id), (network.name, network.chain_id), other),
        equal("contract", file.contract, network.contract, bound),
        *kind.check(fraud, network),
    ]
    valid = all(check.ok for check in checks)
    return FraudReport(
        valid=valid,
        kind=KIND[type(fraud)],
        settles=not isinstance(fraud, LazyVotes),
        culprit=culprit,
        digest=digest,
        says=kind.tell(fraud),
        checks=tuple(checks),
        rests_on=_rests_on(fraud, network) if valid else (),
    )


def file_of(fraud: Fraud, network: Network) -> FraudFile:
    """The file that holds a fraud, for this network."""
    return FraudFile(
        format=1, network=network.name, chain_id=network.chain_id, contract=network.contract, fraud=fraud
    )  # fmt: skip


def holds(fraud: Fraud, network: Network) -> bool:
    """Whether every check of this fraud holds."""
    try:
        return all(check.ok for check in _KINDS[type(fraud)].check(fraud, network))
    except RecordError:  # a key that is no point of the curve, or a registry that nobody can draw from
        return False


def _rests_on(fraud: Fraud, network: Network) -> tuple[str, ...]:
    if isinstance(fraud, TwoReceipts):
        return ("Nothing but the two signatures: only the holder of that key can have made them.",)
    listed = f"Whoever wrote the network file {network.name}: it says who may verify."
    if isinstance(fraud, TwoVotes | TwoCommits):
        return ("Nothing but the two signatures: only the holder of that key can have made them.", listed)
    if isinstance(fraud, LazyVotes):
        return (
            "The rounds that whoever made the report chose to show.",
            "It shows a pattern, which may have an innocent cause: it accuses nobody, and nothing is settled by it.",
            listed,
        )
    return (
        "More than the quorum of the committee's weight: they executed the model, and their outputs were others.",
        source_of(network.at(fraud.request.request.issued_ms)),
    )
