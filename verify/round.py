"""One committee's round on one request, as its convener sees it (the provider, or the payer): events in, effects out.

All members execute at once and each goes its own way; nothing here waits for all. A member's way:

    WAITING ──committed──▶ SEALED ──answer ready──▶ JUDGING ──judged──▶ VOTED
       │ └──sealed nothing──▶ ABSTAINED              │
       └───────── failed ──▶ FAILED ◀────────────────┘        any void word ──▶ FAULTY

The rules, which `_STEPS` and `Round.handle` carry out:

1. The answer is sent to a member only after its own valid commit (effect `SendReceipt`), never before.
2. A word is void when it is unsigned, for another request, receipt, committee or network, does not open its commit, or
   comes at the wrong time (a vote without a commit, a second commit). It gives a `Faulted` effect, and the member is
   FAULTY: its weight is silent. Nothing else changes. A member that is done stays as it is, whatever it still says.
3. ABSTAINED, FAILED and FAULTY weight neither accepts nor rejects, and stays in the total.
4. `certified` as soon as accepting weight is more than the quorum; `impossible` as soon as all that is outstanding
   could not lift it there; otherwise the deadline ends it: the request's own, or, once the answer is there, the time
   that the provider took, `PATIENCE_FACTOR` times over, and `PATIENCE_MS`. A decided round waits for `GRACE_MS` more
   for its last voices, which sign the certificate too, or are evidence: the driver waits until `over` or `due_ms`,
   then calls `finish`, which it may call at any time.
5. An event that the driver should never have sent (of nobody in the committee, a second answer, anything after
   `finish`) raises LocalRoundError and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wire.certificate import Certificate
from wire.inference import SignedReceipt, SignedRequest
from wire.network import Network
from wire.text import one_line
from wire.vote import NOTHING, Ballot, Reveal, SignedCommit, SignedVote, Verdict

from .ballots import Case, Sitting
from .bounds import GRACE_MS, MAX_ROUND_MS, PATIENCE_FACTOR, PATIENCE_MS
from .committee import Committee
from .events import (
    AnswerReady,
    Effect,
    Event,
    Faulted,
    MemberCommitted,
    MemberFailed,
    MemberJudged,
    Outcome,
    Phase,
    SendReceipt,
    Standing,
    Tally,
    TimePassed,
)
from .tiers import quorum


class LocalRoundError(Exception):
    """The driver broke the round's rules; the round is as it was before."""


# Which word moves a live member, and where to. Any other word of a live member is void; a member in no line is done.
_STEPS: dict[Phase, dict[type, Phase]] = {
    Phase.WAITING: {MemberCommitted: Phase.SEALED, MemberFailed: Phase.FAILED},
    Phase.SEALED: {AnswerReady: Phase.JUDGING, MemberFailed: Phase.FAILED},
    Phase.JUDGING: {MemberJudged: Phase.VOTED, MemberFailed: Phase.FAILED},
}


@dataclass(slots=True)
class _Seat:
    phase: Phase = Phase.WAITING
    commit: SignedCommit | None = None
    reveal: Reveal | None = None
    vote: SignedVote | None = None
    reason: str = ""
    fault: str = ""


class Round:
    """The machine. `now_ms` never decides by itself: only as far as an event brings it."""

    def __init__(self, network: Network, committee: Committee, request: SignedRequest, now_ms: int) -> None:
        if request.request.tier != "quorum" or not request.is_signed(network.domain):
            raise LocalRoundError("only a quorum request that its payer signed can be judged")
        self.network, self.committee = network, committee
        self.deadline_ms = min(request.request.deadline_ms, now_ms + MAX_ROUND_MS)
        self._sitting = Sitting(network, committee, request.request.digest(network.domain))
        self._seats = [_Seat() for _ in committee.members]
        self._case: Case | None = None
        self._now = self._began = now_ms
        self._decided_ms: int | None = None
        self._outcome: Outcome | None = None

    def handle(self, event: Event, now_ms: int) -> tuple[Effect, ...]:
        """Take one event at `now_ms`; what the driver has to do now. LocalRoundError by rule 5."""
        if self._outcome is not None:
            raise LocalRoundError("the round is finished")
        if isinstance(event, AnswerReady):
            case = self._open_case(event.receipt)
            self._now = max(self._now, now_ms)
            patience = PATIENCE_MS + PATIENCE_FACTOR * (self._now - self._began)
            self.deadline_ms = min(self.deadline_ms, self._now + patience)
            return self._show(case)
        if isinstance(event, TimePassed):
            self._now = max(self._now, now_ms)
            return ()
        if (index := self.committee.index_of(event.member)) is None:
            raise LocalRoundError("that peer is nobody in this committee")
        self._now = max(self._now, now_ms)
        if self.expired:  # too late to count
            return ()
        effects = self._hear(index, event)
        if (self.certified or self.impossible) and self._decided_ms is None:
            self._decided_ms = self._now
        return effects

    def _open_case(self, receipt: SignedReceipt) -> Case:
        if self._case is not None:
            raise LocalRoundError("the answer is here already")
        if receipt.receipt.request != self._sitting.request or not receipt.is_signed(self.network.domain):
            raise LocalRoundError("that receipt is not a signed answer to this round's request")
        return Case(self._sitting, receipt.receipt)

    def _show(self, case: Case) -> tuple[Effect, ...]:
        """The answer is ready: everyone who has committed may see it."""
        self._case = case
        if self.expired:
            return ()
        shown = [i for i, seat in enumerate(self._seats) if AnswerReady in _STEPS.get(seat.phase, {})]
        for i in shown:
            self._seats[i].phase = _STEPS[self._seats[i].phase][AnswerReady]
        return tuple(SendReceipt(self.committee.members[i].key) for i in shown)

    def _hear(self, index: int, event: MemberCommitted | MemberJudged | MemberFailed) -> tuple[Effect, ...]:
        """One member's word: a step, a fault, or nothing."""
        seat = self._seats[index]
        steps = _STEPS.get(seat.phase)
        if steps is None and isinstance(event, MemberFailed):
            return ()  # it was done already: that its stream ends is no news
        wrong = self._wrong(index, event)
        if wrong is not None:
            return self._fault(seat, event.member, wrong)
        assert steps is not None
        seat.phase, seat.reason = steps[type(event)], one_line(event.reason)
        if isinstance(event, MemberCommitted):
            seat.commit = event.commit
            if event.commit.commit.commitment == NOTHING:
                seat.phase = Phase.ABSTAINED
            elif self._case is not None:
                seat.phase = _STEPS[seat.phase][AnswerReady]
                return (SendReceipt(event.member),)
        elif isinstance(event, MemberJudged):
            seat.reveal, seat.vote = event.reveal, event.vote
        return ()

    def _wrong(self, index: int, event: MemberCommitted | MemberJudged | MemberFailed) -> str | None:
        """Why this word is void, or None."""
        seat = self._seats[index]
        if type(event) not in _STEPS.get(seat.phase, {}):
            return f"it {'committed' if isinstance(event, MemberCommitted) else 'voted'} when it was {seat.phase.value}"
        if isinstance(event, MemberCommitted):
            return self._sitting.commit_fault(index, event.commit)
        if isinstance(event, MemberJudged):
            assert self._case is not None
            assert seat.commit is not None
            return self._case.vote_fault(index, seat.commit, event.reveal, event.vote)
        return None

    def _fault(self, seat: _Seat, member: bytes, wrong: str) -> tuple[Effect, ...]:
        if seat.phase in _STEPS:
            seat.phase = Phase.FAULTY
        if seat.fault:  # the first is enough, and a chatty member fills no memory
            return ()
        seat.fault = wrong
        return (Faulted(member, wrong),)

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Each member's, in the committee's order."""
        return tuple(seat.phase for seat in self._seats)

    @property
    def tally(self) -> Tally:
        """The weights so far."""
        accept = self._weight_of(Verdict.ACCEPT)
        reject = self._weight_of(Verdict.REJECT)
        live = self.committee.weight([i for i, seat in enumerate(self._seats) if seat.phase in _STEPS])
        return Tally(accept, reject, self.committee.total - accept - reject - live, live)

    def _weight_of(self, verdict: Verdict) -> int:
        return self.committee.weight(
            [i for i, s in enumerate(self._seats) if s.vote and s.vote.vote.verdict == verdict]
        )

    @property
    def certified(self) -> bool:
        """Whether accepting weight is more than the quorum."""
        return self.network.accepts(self.tally.accept, self.committee.total)

    @property
    def impossible(self) -> bool:
        """Whether all that is outstanding could not lift the accepting weight to the quorum."""
        return not self.network.accepts(self.tally.accept + self.tally.outstanding, self.committee.total)

    @property
    def complete(self) -> bool:
        """Whether every member is done."""
        return not any(seat.phase in _STEPS for seat in self._seats)

    @property
    def expired(self) -> bool:
        """Whether the deadline has passed."""
        return self._now >= self.deadline_ms

    @property
    def due_ms(self) -> int:
        """When the driver must bring `TimePassed` at the latest."""
        grace = self.deadline_ms if self._decided_ms is None else self._decided_ms + GRACE_MS
        return min(grace, self.deadline_ms)

    @property
    def over(self) -> bool:
        """Whether nothing is left to wait for."""
        return self.complete or self._now >= self.due_ms

    def finish(self) -> Outcome:
        """Close the round on the words so far, at any time; the same outcome ever after."""
        if self._outcome is None:
            self._outcome = self._conclude()
        return self._outcome

    def _conclude(self) -> Outcome:
        tally, total = self.tally, self.committee.total
        quiet = total - tally.accept - tally.reject
        words = f"of weight {total}, {tally.accept} accepted, {tally.reject} rejected, {quiet} did not say"
        certificate: Certificate | None = None
        if self.certified and self._case is not None:
            votes = {i: s.vote for i, s in enumerate(self._seats) if s.vote and s.vote.vote.verdict == Verdict.ACCEPT}
            certificate = quorum.certify(self.network, self.committee, self._case.digest, votes)
            return self._outcome_of("certified", certificate, words)
        if not self.network.accepts(total - tally.reject, total):
            return self._outcome_of("rejected", None, words)
        if self._case is None:
            words = "the provider's answer did not come; " + words
        return self._outcome_of("inconclusive", None, words)

    def _outcome_of(
        self, result: Literal["certified", "rejected", "inconclusive"], certificate: Certificate | None, reason: str
    ) -> Outcome:
        ballots, standings = [], []
        for i, seat in enumerate(self._seats):
            verdict = seat.vote.vote.verdict if seat.vote else None
            standings.append(Standing(self.committee.members[i].key, seat.phase, verdict, seat.reason, seat.fault))
            if seat.commit is not None:
                ballots.append(Ballot(member=i, commit=seat.commit, reveal=seat.reveal, vote=seat.vote))
        return Outcome(result, certificate, tuple(ballots), tuple(standings), reason)
