"""What makes a committee member's words valid: one set of rules, for the round as it runs and for a file years later.

Each function gives None, or the sentence that says what is wrong. A void word counts for nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from wire.inference import Receipt, SignedRequest
from wire.network import Network
from wire.vote import NOTHING, Ballot, Reveal, SignedCommit, SignedVote, Verdict, commitment

from .committee import Committee, committee_for
from .distance import IDENTICAL, INCOMPARABLE, bucket
from .openings import Outputs, accepting_fault, place_of, sealed_fault


@dataclass(frozen=True)
class Sitting:
    """One committee on one request (its digest): what every commit must name. `network` is as of the request."""

    network: Network
    committee: Committee
    request: bytes

    @classmethod
    def of(cls, network: Network, request: SignedRequest) -> Sitting:
        """The one committee of this request, by the rules of its time. RecordError when there is none."""
        asked = request.request
        return cls(network.at(asked.issued_ms), committee_for(network, asked), asked.digest(network.domain))

    def commit_fault(self, member: int, said: SignedCommit) -> str | None:
        """What is wrong with a commit said by the one at this place."""
        commit = said.commit
        if commit.request != self.request:
            return "the commit is for another request"
        if (commit.committee, commit.epoch) != (self.committee.root, self.committee.epoch):
            return f"the commit names another committee or epoch ({commit.epoch}, here {self.committee.epoch})"
        if not said.is_signed(self.committee.places[member].key, self.network.domain):
            return "the commit is not signed by this member for this network"
        return None


@dataclass(frozen=True)
class Case:
    """A sitting with the answer before it: what every vote must name.

    `outputs` are the provider's, which what an accepting member opens is held against; None where nobody has them, and
    then nothing is.
    """

    sitting: Sitting
    receipt: Receipt
    outputs: Outputs | None = None

    @cached_property
    def digest(self) -> bytes:
        """The receipt's digest."""
        return self.receipt.digest(self.sitting.network.domain)

    @cached_property
    def _tolerance(self) -> float | None:
        return self.sitting.network.tolerance(self.receipt.runtime.profile)

    @cached_property
    def _widest(self) -> int:
        """The largest distance at which a member may accept; without a tolerance only what is identical."""
        return IDENTICAL if self._tolerance is None else bucket(self._tolerance)

    def vote_fault(self, member: int, commit: SignedCommit, reveal: Reveal, said: SignedVote) -> str | None:
        """What is wrong with a reveal and vote that follow the valid `commit` of the one at this place."""
        vote, committee = said.vote, self.sitting.committee
        public = committee.places[member].key
        if vote.receipt != self.digest:
            return "the vote is on another receipt"
        if (vote.committee, vote.epoch) != (committee.root, committee.epoch):
            return "the vote names another committee or epoch"
        if commit.commit.commitment == NOTHING:
            return "the member abstained, and then voted"
        sealed = commitment(public, self.sitting.request, reveal.outputs, reveal.root, reveal.salt)
        if sealed != commit.commit.commitment:
            return "the reveal does not open the commitment"
        accepts = vote.verdict == Verdict.ACCEPT
        if accepts and (wrong := self._distance_fault(reveal)):
            return wrong
        if wrong := self._opening_fault(public, reveal, accepts):
            return wrong
        if not said.is_signed(public, self.sitting.network.domain):
            return "the vote is not signed by this member for this network"
        return None

    def _distance_fault(self, reveal: Reveal) -> str | None:
        if (reveal.distance == IDENTICAL) != (reveal.outputs == self.receipt.outputs):
            return "the reveal's distance contradicts its outputs"
        if reveal.distance == INCOMPARABLE or reveal.distance > self._widest:
            return "it accepts at a distance beyond the profile's tolerance"
        return None

    def _opening_fault(self, public: bytes, reveal: Reveal, accepts: bool) -> str | None:
        if reveal.outputs == self.receipt.outputs:
            return None if reveal.opening is None else "it opens what the answer shows already"
        if (opening := reveal.opening) is None:
            return "it opens nothing of its outputs"
        place = place_of(self.digest, public, opening.count)
        if wrong := sealed_fault(reveal.root, opening, place):
            return wrong
        if not accepts or self.outputs is None:
            return None
        return accepting_fault(opening, place, self.outputs, self._tolerance or 0.0)

    def ballot_fault(self, ballot: Ballot) -> str | None:
        """What is wrong with a whole ballot; one that ends with the commit is whole too."""
        if ballot.member >= len(self.sitting.committee.places):
            return "it is of nobody in the committee"
        if wrong := self.sitting.commit_fault(ballot.member, ballot.commit):
            return wrong
        if ballot.reveal is None and ballot.vote is None:
            return None
        if ballot.reveal is None or ballot.vote is None:
            return "it holds only one of reveal and vote"
        return self.vote_fault(ballot.member, ballot.commit, ballot.reveal, ballot.vote)
