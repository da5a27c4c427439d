"""What must hold after every trial, whoever attacked: a run in which one of these breaks stops, and says its seed."""

from __future__ import annotations

from verify.committee import Committee
from verify.events import Outcome, Phase
from wire.vote import Verdict

from .adversaries import Conduct, Scenario
from .world import World


class Broken(Exception):
    """A rule broke, or a machine raised: `args` are the trial's name and what happened."""


def broken_rule(
    world: World, scenario: Scenario, committee: Committee, adversary: frozenset[int], outcome: Outcome
) -> str | None:
    """The sentence that says what must never be, or None."""
    certified = outcome.result == "certified"
    accepting, bench = list[int](), list[int]()
    for place, standing in enumerate(outcome.standings):
        honest = world.site(standing.member).index not in adversary
        if standing.phase is Phase.BENCH:
            bench.append(place)
        if honest and standing.fault:
            return f"an honest verifier was called faulty: {standing.fault}"
        if standing.verdict == Verdict.ACCEPT:
            accepting.append(place)
            if honest and scenario.false:
                return "an honest verifier accepted a lie"
            if not honest and scenario.conduct is Conduct.COPY:
                return "a copied commitment counted"
        elif honest and standing.verdict == Verdict.REJECT and not scenario.false:
            return "an honest verifier rejected the truth"
    if certified != committee.carries(committee.weight(accepting)):
        return f"{committee.weight(accepting)} of {committee.total} accepted, and the round says: {outcome.result}"
    if certified != (outcome.evidence is not None):
        return "the verdict and the evidence differ"
    if not certified and scenario.hears == "everybody" and committee.carries(committee.weight(accepting + bench)):
        return "reserves were left that could have decided"
    return None
