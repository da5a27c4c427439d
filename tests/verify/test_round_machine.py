"""The round under every order of true and false words: it certifies what is proved, and nothing else, in time."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.verify.scenes import NOW, Scene, bent, key_of
from verify.bounds import LATE_MS
from verify.events import (
    AnswerReady,
    CallMember,
    Event,
    Faulted,
    MemberCommitted,
    MemberFailed,
    MemberJudged,
    Phase,
    SendReceipt,
    TimePassed,
)
from verify.ladder import check_evidence
from verify.openings import Outputs
from verify.round import LocalRoundError, Round
from verify.tiers import quorum
from wire.vote import SignedCommit, SignedVote, Verdict, sign_vote

SCENES = [
    Scene(verifiers=4),
    Scene(verifiers=5, weights=(1, 2, 3, 4, 5)),
    Scene(verifiers=1),
    Scene(verifiers=7, size=4),  # with one reserve
    Scene(verifiers=12, size=8, weights=(1, 9, 1, 9, 1, 9, 1, 9, 1, 9, 1, 9)),  # with two, of whom each counts the mean
]
assert [len(scene.committee.bench) for scene in SCENES] == [0, 0, 0, 1, 2]
LIARS = ("signature", "receipt", "committee", "stolen")
members = st.integers(0, 9)


class RoundMachine(RuleBasedStateMachine):
    """A model beside the machine: who said a valid commit, then a valid vote, in time; that alone gives the result."""

    @initialize(scene=st.sampled_from(SCENES), hostile=st.booleans())
    def start(self, scene: Scene, hostile: bool) -> None:
        self.scene, self.now, self.hostile = scene, NOW, hostile
        self.round = Round(scene.network, scene.request, NOW)
        self.answered = False
        self.since = dict[int, int]()  # of each place that was called: since when it has had something to do
        self.lapse: int | None = None
        self.committed: set[int] = set()
        self.shown: set[int] = set()
        self.done: set[int] = set()
        self.verdicts: dict[int, Verdict] = {}
        for effect in self.round.begin(self.now):
            assert isinstance(effect, CallMember)
            self.since[self.place(effect.member)] = NOW
        assert sorted(self.since) == list(range(len(scene.committee.members)))

    def place(self, public: bytes) -> int:
        place = self.scene.committee.index_of(public)
        assert place is not None
        return place

    def at(self, member: int) -> int:
        """Any place that sits; one on the bench tries to speak first, and is not heard."""
        place = member % len(self.scene.keys)
        if place in self.since:
            return place
        before = self.state()
        with pytest.raises(LocalRoundError):
            self.round.handle(
                MemberCommitted(self.scene.keys[place].public, self.scene.commit(place)), self.now + 10**7
            )
        assert self.state() == before
        return 0

    def state(self) -> tuple[object, ...]:
        return self.round.phases, self.round.tally, self.round.due_ms, self.round.over

    def say(self, event: Event) -> list[Faulted]:
        effects = self.round.handle(event, self.now)
        self.pace()
        for effect in effects:
            if isinstance(effect, CallMember):
                self.called(self.place(effect.member))
            elif isinstance(effect, SendReceipt):
                member = self.scene.committee.index_of(effect.member)
                assert member is not None
                assert self.answered
                assert member in self.committed
                assert member not in self.shown
                self.shown.add(member)
                self.since[member] = self.now
        return [e for e in effects if isinstance(e, Faulted)]

    def pace(self) -> None:
        """A third of the members has committed: what that took is the measure of who is late."""
        committee = self.scene.committee
        early = [i for i in self.committed if i < len(committee.members)]
        if self.lapse is None and 3 * committee.weight(early) >= committee.total:
            self.lapse = self.now - NOW + max((self.now - NOW) // 2, LATE_MS)

    def called(self, place: int) -> None:
        """A reserve is called in its turn, and only for somebody silent, or where nobody else can decide."""
        committee = self.scene.committee
        assert place == len(self.since)
        assert not self.late
        nth = place - len(committee.members) + 1
        able = self.awaited() + [i for i in self.verdicts if self.accepts(i)]
        assert sum(map(self.is_silent, self.since)) >= nth or not committee.carries(committee.weight(able))
        self.since[place] = self.now

    def accepts(self, place: int) -> bool:
        return self.verdicts.get(place) == Verdict.ACCEPT

    def awaited(self) -> list[int]:
        return [i for i in self.since if i not in self.done and not self.is_silent(i)]

    def is_silent(self, place: int) -> bool:
        if place in self.done:
            return self.verdicts.get(place, Verdict.ABSTAIN) == Verdict.ABSTAIN
        at_work = place not in self.committed or place in self.shown  # and not waiting for the answer
        return at_work and self.lapse is not None and self.now >= self.since[place] + self.lapse

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
        self.say(self.scene.answer_ready)

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

    @rule(milliseconds=st.sampled_from([1, 60, 100, 9_999]))
    def wait(self, milliseconds: int) -> None:
        self.now += milliseconds
        self.say(TimePassed())

    @rule(event=st.sampled_from(["stranger", "second answer", "unsigned answer"]))
    def blunder(self, event: str) -> None:
        before = self.state()
        bad: Event = AnswerReady(bent(self.scene.receipt, signature=bytes(65)), Outputs(self.scene.outputs))
        if event == "stranger":
            bad = MemberCommitted(key_of("stranger").public, self.scene.commit(0))
        elif event == "second answer" and self.answered:
            bad = self.scene.answer_ready
        try:
            self.round.handle(bad, self.now + 10**7)
        except LocalRoundError:
            assert before == self.state()
        else:
            raise AssertionError(f"{event} was taken")

    def weight(self, verdict: Verdict) -> int:
        return self.scene.committee.weight([i for i, v in self.verdicts.items() if v == verdict])

    @invariant()
    def tally_is_that_of_the_valid_words(self) -> None:
        tally, committee = self.round.tally, self.scene.committee
        assert (tally.accept, tally.reject) == (self.weight(Verdict.ACCEPT), self.weight(Verdict.REJECT))
        assert tally.outstanding == committee.weight([i for i in self.since if i not in self.done])
        assert tally.bench == committee.weight([i for i in range(len(committee.places)) if i not in self.since])
        every = (tally.accept, tally.reject, tally.silent, tally.outstanding, tally.bench)
        assert sum(every) == sum(committee.counts)
        assert self.round.certified == (3 * tally.accept > 2 * committee.total)
        assert self.round.impossible == (3 * (sum(every) - tally.reject - tally.silent) <= 2 * committee.total)

    @invariant()
    def the_bench_stands_in_for_the_silent(self) -> None:
        committee, tally = self.scene.committee, self.round.tally
        left = len(committee.places) - len(self.since)
        if left and not (self.late or self.round.certified or self.round.impossible):
            assert len(self.since) - len(committee.members) >= sum(map(self.is_silent, self.since))
            assert committee.carries(tally.accept + committee.weight(self.awaited()))

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
        if 3 * (sum(scene.committee.counts) - reject) <= 2 * total:
            assert expected == "inconclusive"
            expected = "rejected"
        assert outcome.result == expected
        assert (outcome.evidence is not None) == (expected == "certified")
        assert (outcome.rejection is not None) == (3 * reject > 2 * total)
        if outcome.rejection is not None:
            network, digest = scene.network, scene.receipt_digest
            for verdict in (Verdict.REJECT, Verdict.ACCEPT):
                checks = quorum.check_aggregate(network, scene.request, digest, outcome.rejection, verdict)
                assert all(c.ok for c in checks) == (verdict == Verdict.REJECT)
        if outcome.evidence is not None:
            certificate = bent(scene.certificate(), quorum=outcome.evidence)
            checks = check_evidence(scene.claim(certificate, outcome.ballots))
            assert all(c.ok for c in checks), checks


RoundMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestRound = RoundMachine.TestCase
