"""A member that looks as if it executes nothing: what its own ballots show, and how little that is.

A copied commitment can't be opened, and an opening that does not fit makes a vote void, so most laziness never counts.
What is left shows only side by side: a salt that was not drawn anew, or outputs that do not depend on what was asked.
Each has an innocent cause that nobody outside can rule out (a broken source of randomness, a model that gives one
answer), so it is reported, and settles nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from wire.errors import RecordError
from wire.fraud import LazyRound, LazyVotes
from wire.keys import peer_id_of
from wire.network import Network
from wire.vote import Ballot, Reveal

from ..ballots import Case, Sitting
from ..checks import Check
from ..committee import Committee, committee_for
from ..receipts import check_signatures


@dataclass(frozen=True)
class Pattern:
    """How often, in so many rounds. An honest member has zeros, but for models that give one answer."""

    rounds: int
    shared_salts: int  # another member of the same round has the same salt: one execution, two votes
    repeated_salts: int  # a salt of an earlier round again
    repeated_outputs: int  # the outputs of an earlier round again, to another question with another answer

    @property
    def suspicious(self) -> bool:
        return bool(self.shared_salts or self.repeated_salts or self.repeated_outputs)

    def __str__(self) -> str:
        return (
            f"in {self.rounds} rounds {self.shared_salts} salts that another member had too, {self.repeated_salts} "
            f"salts and {self.repeated_outputs} outputs of its own earlier rounds"
        )


def check(fraud: LazyVotes, network: Network) -> list[Check]:
    """Every round is real and another, the member's words in it are its own, and there is a pattern in them."""
    requests = [round_.request.request.digest(network.domain) for round_ in fraud.rounds]
    wrong = "one round stands twice" if len(set(requests)) != len(requests) else ""
    for round_ in fraud.rounds:
        wrong = wrong or _fault(fraud.verifier, round_, network)
    if wrong:
        return [Check("rounds", False, wrong)]
    found = pattern(fraud.verifier, fraud.rounds, network)
    return [
        Check("rounds", True, f"{found.rounds}, each asked for and answered, and the ballots signed"),
        Check("pattern", found.suspicious, str(found)),
    ]


def _fault(public: bytes, round_: LazyRound, network: Network) -> str:
    failed = next((c for c in check_signatures(network, round_.request, round_.receipt) if not c.ok), None)
    if failed:
        return f"{failed.name}: {failed.detail}"
    digest = round_.request.request.digest(network.domain)
    if round_.receipt.receipt.request != digest:
        return "a receipt answers another request"
    try:
        committee = committee_for(network, round_.request.request)
    except RecordError as error:
        return str(error)
    case = Case(Sitting.of(network, round_.request), round_.receipt.receipt)
    faults = (f"a ballot of member {b.member}: {wrong}" for b in round_.ballots if (wrong := case.ballot_fault(b)))
    if fault := next(faults, ""):
        return fault
    if len({ballot.member for ballot in round_.ballots}) != len(round_.ballots):
        return "a member has two ballots in one round"
    return "" if _own(public, round_, committee) else "the member said nothing in one of the rounds"


def _own(public: bytes, round_: LazyRound, committee: Committee) -> Ballot | None:
    place = committee.index_of(public)
    return next((b for b in round_.ballots if b.member == place and b.reveal), None)


def pattern(public: bytes, rounds: Sequence[LazyRound], network: Network) -> Pattern:
    """What the member's reveals in these rounds, whose checks hold, have in common with each other and with others'."""
    salts, outputs = Counter[bytes](), dict[bytes, set[tuple[bytes, bytes]]]()
    shared = repeated_outputs = 0
    for round_ in rounds:
        own = _own(public, round_, committee_for(network, round_.request.request))
        assert own is not None
        reveal: Reveal | None = own.reveal
        assert reveal is not None
        shared += any(b.member != own.member and b.reveal and b.reveal.salt == reveal.salt for b in round_.ballots)
        salts[reveal.salt] += 1
        said = round_.receipt.receipt
        before = outputs.setdefault(reveal.outputs, set())
        repeated_outputs += any(inputs != said.inputs and answer != said.outputs for inputs, answer in before)
        before.add((said.inputs, said.outputs))
    return Pattern(len(rounds), shared, sum(salts.values()) - len(salts), repeated_outputs)


def tell(fraud: LazyVotes) -> str:
    """What it shows."""
    return f"verifier {peer_id_of(fraud.verifier)} looks lazy; this accuses nobody, and nothing is settled by it"
