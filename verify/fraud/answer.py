"""An answer that is wrong: more than the quorum of its request's committee executed the model and refused it.

A model that gives NaN makes an honest provider and an honest committee agree on outputs that no committee accepts. So a
refusal accuses nobody unless the signers' own outputs, sealed before they saw the answer, were others.
"""

from __future__ import annotations

from itertools import pairwise

from wire.errors import RecordError
from wire.fraud import WrongAnswer
from wire.keys import show_address
from wire.network import Network
from wire.tier import rungs_of
from wire.vote import Verdict

from ..ballots import Case, Sitting
from ..checks import Check, equal
from ..receipts import check_signatures
from ..tiers import quorum


def check(fraud: WrongAnswer, network: Network) -> list[Check]:
    """The request and its answer, the committee drawn anew, the refusals and what the members sealed."""
    asked, said, evidence = fraud.request.request, fraud.receipt.receipt, fraud.rejected
    digest = asked.digest(network.domain)
    named = (said.request, said.payer, said.provider, said.model, said.inputs, said.tier)
    judged = {"quorum", "sampled"} & set(rungs_of(asked.tier))
    checks = [
        *check_signatures(network, fraud.request, fraud.receipt),
        equal(
            "receipt", named, (digest, asked.payer, asked.provider, asked.model, asked.inputs, asked.tier),
            "the receipt answers another request",
        ),
        Check("tier", bool(judged), "one that a committee judges" if judged else f"no committee judges {asked.tier}"),
    ]  # fmt: skip
    try:
        case = Case(Sitting.of(network, fraud.request), said)
        _, places = quorum.signers(network, fraud.request, evidence)
    except RecordError as error:
        return [*checks, Check("committee", False, str(error))]
    return [
        *checks,
        *quorum.check_aggregate(network, fraud.request, case.digest, evidence, Verdict.REJECT),
        _sealed(fraud, case, places),
    ]


def _sealed(fraud: WrongAnswer, case: Case, members: list[int]) -> Check:
    """Every signer committed, before it saw the answer, to outputs that are not the answer's."""
    if any(a.member >= b.member for a, b in pairwise(fraud.ballots)):
        return Check("ballots", False, "they are not one a member, in the committee's order")
    if [ballot.member for ballot in fraud.ballots] != members:
        return Check("ballots", False, "they are not those of the members who signed")
    for ballot in fraud.ballots:
        if wrong := case.ballot_fault(ballot):
            return Check("ballots", False, f"the ballot of member {ballot.member}: {wrong}")
        if ballot.vote is None or ballot.vote.vote.verdict != Verdict.REJECT:
            return Check("ballots", False, f"member {ballot.member} did not refuse it")
        if ballot.reveal is None or ballot.reveal.outputs == fraud.receipt.receipt.outputs:
            same = f"member {ballot.member} has the very same outputs: then they are not finite, and nobody lied"
            return Check("ballots", False, same)
    return Check("ballots", True, f"{len(members)}, each sealed other outputs before it saw the answer")


def tell(fraud: WrongAnswer) -> str:
    """What it shows."""
    who = show_address(fraud.receipt.receipt.provider)
    return f"provider {who} signed a wrong answer, and its committee refused it"
