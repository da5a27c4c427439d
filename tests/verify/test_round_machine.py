"""The round under every order of true and false words: it certifies what is proved, and nothing else, in time."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.verify.scenes import NOW, Scene, bent, key_of
from verify.events import (
    AnswerReady,
    Event,
    Faulted,
    MemberCommitted,
    MemberFailed,
    MemberJudged,
    Phase,
    SendReceipt,
    TimePassed,
)
from verify.round import LocalRoundError, Round
from verify.tiers import check_evidence
from wire.vote import SignedCommit, SignedVote, Verdict, sign_vote

SCENES = [Scene(verifiers=4), Scene(verifiers=5, weights=(1, 2, 3, 4, 5)), Scene(verifiers=1)]
LIARS = ("signature", "receipt", "committee", "stolen")
members = st.integers(0, 4)


class RoundMachine(RuleBasedStateMachine):
    """A model beside the machine: who said a valid commit, then a valid vote, in time; that alone gives the result."""

    @initialize(scene=st.sampled_from(SCENES), hostile=st.booleans())
    def start(self, scene: Scene, hostile: bool) -> None:
        self.scene, self.now, self.hostile = scene, NOW, hostile
        self.round = Round(scene.network, scene.committee, scene.request, NOW)
        self.answered = False
        self.committed: set[int] = set()
        self.shown: set[int] = set()
        self.done: set[int] = set()
        self.verdicts: dict[int, Verdict] = {}

    def at(self, member: int) -> int:
        return member % len(self.scene.keys)

    def say(self, event: Event) -> list[Faulted]:
        effects = self.round.handle(event, self.now)
        for effect in effects:
            if isinstance(effect, SendReceipt):
                member = self.scene.committee.index_of(effect.member)
                assert member is not None
                assert self.answered
                assert member in self.committed
                assert member not in self.shown
                self.shown.add(member)
        return [e for e in effects if isinstance(e, Faulted)]

    @property
    def late(self) -> bool:
        return self.now >= self.round.deadline_ms

    @precondition(lambda self: self.hostile)
    @rule(member=members)
    def commit(self, member: int) -> None:
        i = self.at(member)
        first = i not in self.committed and i not in self.done and not self.late
        if first:
            self.committed.add(i)
        elif not self.late:
            self.done.add(i)
        self.say(MemberCommitted(self.scene.keys[i].public, self.scene.commit(i)))

    @precondition(lambda self: self.hostile)
    @rule(member=members)
    def abstain(self, member: int) -> None:
        i = self.at(member)
        if not self.late:
            self.done.add(i)
        self.say(MemberCommitted(self.scene.keys[i].public, self.scene.abstention(i)))

    @precondition(lambda self: self.hostile)
    @rule(member=members, lie=st.sampled_from(LIARS))
    def false_commit(self, member: int, lie: str) -> None:
        i = self.at(member)
        honest = self.scene.commit(i)
        said = {
            "signature": SignedCommit(commit=honest.commit, signature=bytes(64)),
            "receipt": self.scene.commit(i, request=bytes(32)),
            "committee": self.scene.commit(i, committee=bytes(32)),
            "stolen": SignedCommit(commit=honest.commit, signature=key_of("mallory").sign_schnorr(bytes(32))),
        }[lie]
        if not self.late:
            self.done.add(i)
        self.say(MemberCommitted(self.scene.keys[i].public, said))

    @precondition(lambda self: not self.answered)
    @rule()
    def answer(self) -> None:
        self.answered = True
        self.say(AnswerReady(self.scene.receipt))

    @precondition(lambda self: self.hostile)
    @rule(member=members, verdict=st.sampled_from(Verdict))
    def vote(self, member: int, verdict: Verdict) -> None:
        i = self.at(member)
        if not self.late:
            if i in self.shown and i not in self.done:
                self.verdicts[i] = verdict
            self.done.add(i)
        self.say(MemberJudged(self.scene.keys[i].public, self.scene.reveal(), self.scene.vote(i, verdict)))

    @rule(member=members, verdict=st.sampled_from((Verdict.ACCEPT, Verdict.ACCEPT, Verdict.REJECT)))
    def whole_way(self, member: int, verdict: Verdict) -> None:
        """What the others rarely come to: a member goes all its way from where it is, without a word out of turn."""
        i = self.at(member)
        if not self.answered:
            self.answer()
        if i not in self.committed and i not in self.done:
            self.commit(member)
        if i not in self.done:
            self.vote(member, verdict)

    @precondition(lambda self: self.hostile)
    @rule(member=members, lie=st.sampled_from(LIARS))
    def false_vote(self, member: int, lie: str) -> None:
        i = self.at(member)
        honest = self.scene.vote(i)
        said = {
            "signature": SignedVote(vote=honest.vote, signature=bytes(64)),
            "receipt": self.scene.vote(i, receipt=bytes(32)),
            "committee": self.scene.vote(i, committee=bytes(32)),
            "stolen": sign_vote(honest.vote, key_of("mallory"), self.scene.network.domain),
        }[lie]
        if not self.late:
            self.done.add(i)
        self.say(MemberJudged(self.scene.keys[i].public, self.scene.reveal(), said))

    @precondition(lambda self: self.hostile)
    @rule(member=members)
    def unopened_vote(self, member: int) -> None:
        i = self.at(member)
        if not self.late:
            self.done.add(i)
        reveal = bent(self.scene.reveal(), salt=bytes(32))
        self.say(MemberJudged(self.scene.keys[i].public, reveal, self.scene.vote(i)))

    @precondition(lambda self: self.hostile)
    @rule(member=members)
    def fail(self, member: int) -> None:
        i = self.at(member)
        if not self.late:
            self.done.add(i)
        self.say(MemberFailed(self.scene.keys[i].public, "gone"))

    @rule(milliseconds=st.sampled_from([1, 100, 9_999]))
    def wait(self, milliseconds: int) -> None:
        self.now += milliseconds
        self.say(TimePassed())

    @rule(event=st.sampled_from(["stranger", "second answer", "unsigned answer"]))
    def blunder(self, event: str) -> None:
        before = (self.round.phases, self.round.tally, self.round.due_ms, self.round.over)
        bad: Event = AnswerReady(bent(self.scene.receipt, signature=bytes(65)))
        if event == "stranger":
            bad = MemberCommitted(key_of("stranger").public, self.scene.commit(0))
        elif event == "second answer" and self.answered:
            bad = AnswerReady(self.scene.receipt)
        try:
            self.round.handle(bad, self.now + 10**7)
        except LocalRoundError:
            assert before == (self.round.phases, self.round.tally, self.round.due_ms, self.round.over)
        else:
            raise AssertionError(f"{event} was taken")

    def weight(self, verdict: Verdict) -> int:
        return self.scene.committee.weight([i for i, v in self.verdicts.items() if v == verdict])

    @invariant()
    def tally_is_that_of_the_valid_words(self) -> None:
        tally, committee = self.round.tally, self.scene.committee
        assert (tally.accept, tally.reject) == (self.weight(Verdict.ACCEPT), self.weight(Verdict.REJECT))
        live = committee.weight([i for i in range(len(committee.members)) if i not in self.done])
        assert tally.outstanding == live
        assert sum((tally.accept, tally.reject, tally.silent, tally.outstanding)) == committee.total
        assert self.round.certified == (3 * tally.accept > 2 * committee.total)

    @invariant()
    def it_is_over_by_the_deadline_and_waits_for_something_before(self) -> None:
        if self.late:
            assert self.round.over
        if not self.round.over:
            assert self.now < self.round.due_ms <= self.round.deadline_ms
            assert any(p in (Phase.WAITING, Phase.SEALED, Phase.JUDGING) for p in self.round.phases)

    def teardown(self) -> None:
        if not hasattr(self, "round"):
            return
        outcome, scene = self.round.finish(), self.scene
        accept, reject, total = self.weight(Verdict.ACCEPT), self.weight(Verdict.REJECT), scene.committee.total
        expected = "certified" if 3 * accept > 2 * total else "inconclusive"
        if 3 * (total - reject) <= 2 * total:
            expected = "rejected"
        assert outcome.result == expected
        assert (outcome.certificate is not None) == (expected == "certified")
        if outcome.certificate is not None:
            checks = check_evidence(scene.network, scene.request, scene.receipt, outcome.certificate, outcome.ballots)
            assert all(c.ok for c in checks), checks


RoundMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestRound = RoundMachine.TestCase
