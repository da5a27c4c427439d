"""One committee's round on one request, as its convener sees it (the provider, or the payer): events in, effects out.

All members execute at once and each goes its own way; nothing here waits for all. A member's way, and a reserve's:

    BENCH ──called──▶ WAITING ──committed──▶ SEALED ──answer ready──▶ JUDGING ──judged──▶ VOTED
                       │ └──sealed nothing──▶ ABSTAINED              │
                       └───────── failed ──▶ FAILED ◀────────────────┘        any void word ──▶ FAULTY

The rules, which `_STEPS` and `Round.handle` carry out:

1. The answer is sent to a member only after its own valid commit (effect `SendReceipt`), never before.
2. A word is void when it is unsigned, for another request, receipt, committee or network, does not open its commit,
   opens what the answer contradicts, or comes at the wrong time (a vote without a commit, a second commit). It gives a
   `Faulted` effect, and the member is FAULTY: its weight is silent. Nothing else changes. A member that is done stays
   as it is, whatever it still says.
3. ABSTAINED, FAILED and FAULTY weight neither accepts nor rejects, and stays in the total.
4. The next of the bench is called (effect `CallMember`) for each one that sits and is silent: by rule 3, by a vote to
   abstain, or because it is late. Late is who still executes, or judges, half as long again (`LATE_MS` at least) as it
   took until a third of the members' weight had committed; if it speaks after all, it counts. The bench is called too
   when those who sit and are not late could no longer accept among themselves, so that a split committee decides.
5. `certified` as soon as accepting weight is more than the quorum; `impossible` as soon as all that is outstanding or
   on the bench could not lift it there; otherwise the deadline ends it: the request's own, or, once the answer is
   there, the time that the provider took, `PATIENCE_FACTOR` times over, and `PATIENCE_MS`. A decided round waits for
   `GRACE_MS` more for its last voices, which sign the certificate too, or are evidence, and calls nobody any more. The
   driver brings `TimePassed` at `due_ms` until the round is `over`, then calls `finish`, which it may call at any time.
6. An event that the driver should never have sent (of nobody in the committee, of a reserve that was not called, a
   second answer, anything after `finish`) raises LocalRoundError and changes nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from wire.auditing import Appeal
from wire.certificate import QuorumEvidence
from wire.errors import RecordError
from wire.inference import SignedRequest
from wire.network import Network
from wire.text import one_line
from wire.vote import NOTHING, Ballot, Reveal, SignedCommit, SignedVote, Verdict

from .appeal import judged_until
from .ballots import Case, Sitting
from .bounds import GRACE_MS, LATE_MS, MAX_ROUND_MS, PATIENCE_FACTOR, PATIENCE_MS
from .events import (
    AnswerReady,
    CallMember,
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
_SILENT = (Phase.ABSTAINED, Phase.FAILED, Phase.FAULTY)


@dataclass(slots=True)
class _Seat:
    phase: Phase
    since_ms: int  # when it was last given something to do
    commit: SignedCommit | None = None
    reveal: Reveal | None = None
    vote: SignedVote | None = None
    reason: str = ""
    fault: str = ""

    @property
    def verdict(self) -> Verdict | None:
        return self.vote.vote.verdict if self.vote else None


class Round:
    """The machine. `now_ms` never decides by itself: only as far as an event brings it."""

    def __init__(self, network: Network, request: SignedRequest, now_ms: int, appeal: Appeal | None = None) -> None:
        """RecordError when nobody may judge this request."""
        if not request.is_signed(network.domain):
            raise LocalRoundError("only a request that its payer signed can be judged")
        try:
            until = judged_until(network, request, appeal)
        except RecordError as error:
            raise LocalRoundError(str(error)) from error
        self._sitting = Sitting.of(network, request)
        self.committee = self._sitting.committee
        self.deadline_ms = min(until, now_ms + MAX_ROUND_MS)
        members = len(self.committee.members)
        self._seats = [
            _Seat(Phase.WAITING if i < members else Phase.BENCH, now_ms) for i in range(len(self.committee.places))
        ]
        self._called = 0  # of the bench
        self._lapse: int | None = None  # how long who is not late may take
        self._case: Case | None = None
        self._now = self._began = self._called_ms = now_ms
        self._decided_ms: int | None = None
        self._outcome: Outcome | None = None

    def begin(self, now_ms: int) -> tuple[Effect, ...]:
        """Whom to call first: every member, so that all execute side by side; a generator's with its answer."""
        self._now = self._called_ms = max(self._now, now_ms)
        for seat in self._seats:
            seat.since_ms = self._now
        return tuple(CallMember(member.key) for member in self.committee.members)

    def handle(self, event: Event, now_ms: int) -> tuple[Effect, ...]:
        """Take one event at `now_ms`; what the driver has to do now. LocalRoundError by rule 6."""
        if self._outcome is not None:
            raise LocalRoundError("the round is finished")
        effects: tuple[Effect, ...] = ()
        if isinstance(event, AnswerReady):
            case = self._open_case(event)
            self._now = max(self._now, now_ms)
            patience = PATIENCE_MS + PATIENCE_FACTOR * (self._now - self._began)
            self.deadline_ms = min(self.deadline_ms, self._now + patience)
            effects = self._show(case)
        elif isinstance(event, TimePassed):
            self._now = max(self._now, now_ms)
        else:
            index = self._place(event.member)
            self._now = max(self._now, now_ms)
            if self.expired:  # too late to count
                return ()
            effects = self._hear(index, event)
        if self.expired:
            return effects
        if self._decided_ms is None:
            effects += self._call()
            if self._is_decided(self.tally):
                self._decided_ms = self._now
        return effects

    def _place(self, member: bytes) -> int:
        index = self.committee.index_of(member)
        if index is None:
            raise LocalRoundError("that peer is nobody in this committee")
        if self._seats[index].phase is Phase.BENCH:
            raise LocalRoundError("that reserve was not called")
        return index

    def _open_case(self, event: AnswerReady) -> Case:
        receipt = event.receipt
        if self._case is not None:
            raise LocalRoundError("the answer is here already")
        if receipt.receipt.request != self._sitting.request or not receipt.is_signed(self._sitting.network.domain):
            raise LocalRoundError("that receipt is not a signed answer to this round's request")
        return Case(self._sitting, receipt.receipt, event.outputs)

    def _show(self, case: Case) -> tuple[Effect, ...]:
        """The answer is ready: everyone who has committed may see it."""
        self._case = case
        if self.expired:
            return ()
        shown = [i for i, seat in enumerate(self._seats) if AnswerReady in _STEPS.get(seat.phase, {})]
        return tuple(self._show_to(i) for i in shown)

    def _show_to(self, index: int) -> Effect:
        seat = self._seats[index]
        seat.phase, seat.since_ms = _STEPS[seat.phase][AnswerReady], self._now
        return SendReceipt(self.committee.places[index].key)

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
                return ()
            self._pace()
            if self._case is not None:
                return (self._show_to(index),)
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

    def _pace(self) -> None:
        """Rule 4: what the first third of the members took is the measure of all."""
        if self._lapse is not None:
            return
        members = range(len(self.committee.members))
        done = [i for i in members if (c := self._seats[i].commit) and c.commit.commitment != NOTHING]
        if 3 * self.committee.weight(done) >= self.committee.total:
            took = self._now - self._called_ms
            self._lapse = took + max(took // 2, LATE_MS)

    def _late_ms(self, seat: _Seat) -> int | None:
        """When this one is late; None when nothing is expected of it yet."""
        at_work = seat.phase in (Phase.WAITING, Phase.JUDGING)
        return seat.since_ms + self._lapse if at_work and self._lapse is not None else None

    def _is_silent(self, seat: _Seat) -> bool:
        late = self._late_ms(seat)
        return seat.phase in _SILENT or seat.verdict == Verdict.ABSTAIN or (late is not None and self._now >= late)

    def _call(self) -> tuple[Effect, ...]:
        """Rule 4."""
        members, effects = len(self.committee.members), list[Effect]()
        while self._called < len(self.committee.bench):
            tally = self.tally
            if self._is_decided(tally):
                break
            late = [i for i, seat in enumerate(self._seats) if seat.phase in _STEPS and self._is_silent(seat)]
            awaited = tally.outstanding - self.committee.weight(late)
            split = not self.committee.carries(tally.accept + awaited)
            if not split and self._called >= sum(map(self._is_silent, self._seats)):
                break
            place = members + self._called
            self._called += 1
            self._seats[place] = _Seat(Phase.WAITING, self._now)
            effects.append(CallMember(self.committee.places[place].key))
        return tuple(effects)

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Of each place."""
        return tuple(seat.phase for seat in self._seats)

    @property
    def tally(self) -> Tally:
        """What was said so far."""
        accept = reject = silent = live = bench = 0
        for seat, counts in zip(self._seats, self.committee.counts, strict=True):
            if seat.phase is Phase.BENCH:
                bench += counts
            elif seat.phase in _STEPS:
                live += counts
            elif seat.verdict == Verdict.ACCEPT:
                accept += counts
            elif seat.verdict == Verdict.REJECT:
                reject += counts
            else:
                silent += counts
        return Tally(accept, reject, silent, live, bench)

    def _is_decided(self, tally: Tally) -> bool:
        """Whether it is certified, or all that is outstanding or on the bench could not lift it there."""
        accept = tally.accept
        return self.committee.carries(accept) or not self.committee.carries(accept + tally.outstanding + tally.bench)

    @property
    def certified(self) -> bool:
        """Whether accepting weight is more than the quorum."""
        return self.committee.carries(self.tally.accept)

    @property
    def impossible(self) -> bool:
        """Whether it never can be."""
        return self._is_decided(self.tally) and not self.certified

    @property
    def complete(self) -> bool:
        """Whether everyone who was called is done."""
        return not any(seat.phase in _STEPS for seat in self._seats)

    @property
    def expired(self) -> bool:
        """Whether the deadline has passed."""
        return self._now >= self.deadline_ms

    @property
    def _end_ms(self) -> int:
        grace = self.deadline_ms if self._decided_ms is None else self._decided_ms + GRACE_MS
        return min(grace, self.deadline_ms)

    @property
    def due_ms(self) -> int:
        """When the driver must bring `TimePassed` at the latest."""
        if self._decided_ms is not None or self._called == len(self.committee.bench):
            return self._end_ms
        late = [ms for ms in map(self._late_ms, self._seats) if ms is not None and ms > self._now]
        return min([self._end_ms, *late])

    @property
    def over(self) -> bool:
        """Whether nothing is left to wait for."""
        return self.complete or self._now >= self._end_ms

    def finish(self) -> Outcome:
        """Close the round on the words so far, at any time; the same outcome ever after."""
        if self._outcome is None:
            self._outcome = self._conclude()
        return self._outcome

    def _conclude(self) -> Outcome:
        tally, committee = self.tally, self.committee
        said = tally.accept + tally.reject
        quiet = sum(committee.counts) - tally.bench - said
        words = f"of weight {committee.total}, {tally.accept} accepted, {tally.reject} rejected, {quiet} did not say"
        if self._called:
            words += f" ({self._called} of {len(committee.bench)} reserves were called)"
        if self.certified:
            return self._outcome_of("certified", self._certify(Verdict.ACCEPT), None, words)
        if not committee.carries(sum(committee.counts) - tally.reject):
            rejection = self._certify(Verdict.REJECT) if committee.carries(tally.reject) else None
            return self._outcome_of("rejected", None, rejection, words)
        if self._case is None:
            words = "the provider's answer did not come; " + words
        if given := Counter(seat.reason for seat in self._seats if seat.phase in _SILENT and seat.reason):
            reason, times = given.most_common(1)[0]
            words += f"; {times} of them: {reason}"
        return self._outcome_of("inconclusive", None, None, one_line(words))

    def _certify(self, verdict: Verdict) -> QuorumEvidence:
        assert self._case is not None  # nobody votes before there is an answer
        votes = {i: s.vote for i, s in enumerate(self._seats) if s.vote and s.verdict == verdict}
        return quorum.certify(self._sitting.network, self.committee, self._case.digest, votes, verdict)

    def _outcome_of(
        self,
        result: Literal["certified", "rejected", "inconclusive"],
        evidence: QuorumEvidence | None,
        rejection: QuorumEvidence | None,
        reason: str,
    ) -> Outcome:
        ballots, standings = [], []
        for i, (place, seat) in enumerate(zip(self.committee.places, self._seats, strict=True)):
            standings.append(Standing(place.key, seat.phase, seat.verdict, seat.reason, seat.fault))
            if seat.commit is not None:
                ballots.append(Ballot(member=i, commit=seat.commit, reveal=seat.reveal, vote=seat.vote))
        return Outcome(result, evidence, rejection, tuple(ballots), tuple(standings), reason)
