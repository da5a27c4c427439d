"""Processor time of a round with the product's own machines and real signatures, and of its single operations.

Every call of `Round` and `Member` is timed by its thread's processor time, so other work on the machine counts little;
medians. Executing the model, frames, encryption and the operating system are not in it: `bench.tiers` has the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import thread_time_ns

from coincurve import PrivateKey

from verify import halfagg
from verify.ballots import Case, Sitting
from verify.tiers import quorum
from wire.keys import schnorr_signed_by, signed_by

from .adversaries import SILENT
from .sweep import one
from .trial import Trial
from .words import REAL, TRUE
from .world import World

RECOVERY = "check one, by recovery"


@dataclass(frozen=True)
class Roles:
    """Milliseconds of processor for a committee of `size`, of which `signers` signed; one certificate."""

    size: int
    signers: int
    hops: int
    convener_draws: float
    verifier_commits: float
    convener_hears_commits: float
    verifier_judges: float
    convener_hears_votes: float
    convener_certifies: float
    client_checks: float

    @property
    def convener(self) -> float:
        return self.convener_draws + self.convener_hears_commits + self.convener_hears_votes + self.convener_certifies

    @property
    def verifier(self) -> float:
        return self.verifier_commits + self.verifier_judges

    @property
    def path(self) -> float:
        """One after the other: all that must be over before the client knows, as if all words came at once."""
        return self.convener + self.verifier + self.client_checks


def operations(world: World, rounds: int) -> Mapping[str, float]:
    """Microseconds of each single operation."""
    site, digest = world.sites[0], b"\x07" * 32
    wallet = PrivateKey(site.key.secret)  # signed past `NodeKey`, whose cache would know the signer already
    messages = [i.to_bytes(32, "big") for i in range(1, rounds + 1)]
    others = [bytes([255]) + m[1:] for m in messages]
    foreign = {m: wallet.sign_recoverable(m, hasher=None) for m in others}
    schnorr = site.key.sign_schnorr(digest)
    costs = {
        "sign a commit or a vote (BIP340)": _each(messages, site.key.sign_schnorr),
        "check one": _each(messages, lambda _: schnorr_signed_by(site.key.public, digest, schnorr)),
        "sign a request or a receipt (ECDSA)": _each(messages, site.key.sign),
        RECOVERY: _each(others, lambda m: signed_by(site.key.address, m, foreign[m])),
    }
    for size in (16, 64):
        requests = [world.request(size, i) for i in range(min(rounds, 20))]
        costs[f"draw {size} of {len(world.sites)}"] = _each(requests, world.committee)
        keys = [s.key for s in world.sites[:size]]
        signed = [(key.public[1:], digest, key.sign_schnorr(digest)) for key in keys]
        pairs, aggregate = [(key, message) for key, message, _ in signed], halfagg.aggregate(signed)
        several = range(min(rounds, 20))
        costs[f"aggregate {size}"] = _each(several, lambda _, signed=signed: halfagg.aggregate(signed))
        costs[f"check an aggregate of {size}"] = _each(
            several, lambda _, aggregate=aggregate, pairs=pairs: halfagg.verify(aggregate, pairs)
        )
    return costs


def _each(over: Sequence[object], work: Callable[..., object]) -> float:
    times = []
    for item in over:
        started = thread_time_ns()
        work(item)
        times.append(thread_time_ns() - started)
    return median(times) / 1000


def roles(world: World, size: int, rounds: int, recovery_ms: float) -> Roles:
    """What each has to do, over `rounds` honest answers. `recovery_ms`: a verifier's first look at an ECDSA signature,
    which here is never the first, since all are one process."""
    trials = [one(world, SILENT, size, 0.0, i, REAL)[2] for i in range(rounds)]
    calls = {what: [ns / 1e6 for t in trials for ns in t.cpu.get(what, [])] for what in trials[0].cpu}
    middle = {what: median(times) for what, times in calls.items()}
    signers = round(median(t.round.tally.accept for t in trials))
    return Roles(
        size=size,
        signers=signers,
        hops=6,
        convener_draws=middle["draw"],
        verifier_commits=middle["sit"] + middle["commit"] + recovery_ms,
        convener_hears_commits=middle["MemberCommitted"] * signers,
        verifier_judges=middle["judge"] + recovery_ms,
        convener_hears_votes=middle["MemberJudged"] * signers,
        convener_certifies=middle["finish"],
        client_checks=median(_checked(world, t) for t in trials),
    )


def _checked(world: World, trial: Trial) -> float:
    """What the client does with a certificate and its ballots, in ms."""
    outcome, request, receipt = trial.outcome, trial.request, trial.receipt
    assert outcome is not None
    assert receipt is not None
    if outcome.evidence is None:
        raise SystemExit("an honest round was not certified: these figures would mean nothing")
    started = thread_time_ns()
    digest = receipt.receipt.digest(world.network.domain)
    checks = quorum.check_aggregate(world.network, request, digest, outcome.evidence)
    case = Case(Sitting.of(world.network, request), receipt.receipt, TRUE.sealed)
    wrong = [case.ballot_fault(ballot) for ballot in outcome.ballots]
    took = (thread_time_ns() - started) / 1e6
    if any(wrong) or not all(check.ok for check in checks):
        raise SystemExit("a certificate did not verify: these figures would mean nothing")
    return took
