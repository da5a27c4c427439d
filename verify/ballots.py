"""What makes a committee member's words valid: one set of rules, for the round as it runs and for a file years later.

Each function gives None, or the sentence that says what is wrong. A void word counts for nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from wire.inference import Receipt
from wire.network import Network
from wire.vote import NOTHING, Ballot, Reveal, SignedCommit, SignedVote, Verdict, commitment

from .committee import Committee
from .distance import IDENTICAL, INCOMPARABLE, bucket


@dataclass(frozen=True)
class Sitting:
    """One committee on one request (its digest): what every commit must name."""

    network: Network
    committee: Committee
    request: bytes

    def commit_fault(self, member: int, said: SignedCommit) -> str | None:
        """What is wrong with a commit said by the member at this place."""
        commit = said.commit
        if commit.request != self.request:
            return "the commit is for another request"
        if (commit.committee, commit.epoch) != (self.committee.root, self.committee.epoch):
            return "the commit names another committee or epoch"
        if not said.is_signed(self.committee.members[member].key, self.network.domain):
            return "the commit is not signed by this member for this network"
        return None


@dataclass(frozen=True)
class Case:
    """A sitting with the receipt before it: what every vote must name."""

    sitting: Sitting
    receipt: Receipt

    @cached_property
    def digest(self) -> bytes:
        """The receipt's digest."""
        return self.receipt.digest(self.sitting.network.domain)

    @cached_property
    def _widest(self) -> int:
        """The largest distance at which a member may accept; without a tolerance only what is identical."""
        tolerance = self.sitting.network.tolerance(self.receipt.runtime.profile)
        return IDENTICAL if tolerance is None else bucket(tolerance)

    def vote_fault(self, member: int, commit: SignedCommit, reveal: Reveal, said: SignedVote) -> str | None:
        """What is wrong with a reveal and vote that follow the valid `commit` of the member at this place."""
        vote, committee = said.vote, self.sitting.committee
        public = committee.members[member].key
        if vote.receipt != self.digest:
            return "the vote is on another receipt"
        if (vote.committee, vote.epoch) != (committee.root, committee.epoch):
            return "the vote names another committee or epoch"
        if commit.commit.commitment == NOTHING:
            return "the member abstained, and then voted"
        if commitment(public, self.sitting.request, reveal.outputs, reveal.salt) != commit.commit.commitment:
            return "the reveal does not open the commitment"
        if vote.verdict == Verdict.ACCEPT and (wrong := self._accept_fault(reveal)):
            return wrong
        if not said.is_signed(public, self.sitting.network.domain):
            return "the vote is not signed by this member for this network"
        return None

    def _accept_fault(self, reveal: Reveal) -> str | None:
        if (reveal.distance == IDENTICAL) != (reveal.outputs == self.receipt.outputs):
            return "the reveal's distance contradicts its outputs"
        if reveal.distance == INCOMPARABLE or reveal.distance > self._widest:
            return "it accepts at a distance beyond the profile's tolerance"
        return None

    def ballot_fault(self, ballot: Ballot) -> str | None:
        """What is wrong with a whole ballot; one that ends with the commit is whole too."""
        if ballot.member >= len(self.sitting.committee.members):
            return "it is of nobody in the committee"
        if wrong := self.sitting.commit_fault(ballot.member, ballot.commit):
            return wrong
        if ballot.reveal is None and ballot.vote is None:
            return None
        if ballot.reveal is None or ballot.vote is None:
            return "it holds only one of reveal and vote"
        return self.vote_fault(ballot.member, ballot.commit, ballot.reveal, ballot.vote)
