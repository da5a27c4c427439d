"""The committee round: what ends it and how, in any order of events; what breaks its rules changes nothing."""

from typing import Any

import pytest

from tests.verify.scenes import NOW, Scene, bent, key_of
from verify.bounds import GRACE_MS, LATE_MS, MAX_ROUND_MS, PATIENCE_FACTOR, PATIENCE_MS
from verify.events import (
    AnswerReady,
    CallMember,
    Effect,
    Event,
    Faulted,
    MemberCommitted,
    MemberFailed,
    MemberJudged,
    Phase,
    SendReceipt,
    Tally,
    TimePassed,
)
from verify.ladder import check_evidence
from verify.openings import Outputs
from verify.round import LocalRoundError, Round
from verify.tiers import quorum
from wire.vote import Verdict

SCENE = Scene()
KEYS = [k.public for k in SCENE.keys]


def new(scene: Scene = SCENE) -> Round:
    return Round(scene.network, scene.request, NOW)


def committed(member: int, scene: Scene = SCENE) -> MemberCommitted:
    return MemberCommitted(scene.keys[member].public, scene.commit(member))


def abstained(member: int) -> MemberCommitted:
    return MemberCommitted(KEYS[member], SCENE.abstention(member), "no such model")


def judged(member: int, verdict: Verdict = Verdict.ACCEPT, scene: Scene = SCENE) -> MemberJudged:
    return MemberJudged(scene.keys[member].public, scene.reveal(), scene.vote(member, verdict))


ANSWER = SCENE.answer_ready


def play(round_: Round, *events: Event, now_ms: int = NOW) -> list[Effect]:
    return [effect for event in events for effect in round_.handle(event, now_ms)]


def state(round_: Round) -> Any:
    return round_.phases, round_.tally, round_.certified, round_.impossible, round_.over, round_.due_ms


def test_four_of_four() -> None:
    round_ = new()
    assert not round_.over
    assert play(round_, committed(0), committed(1)) == []
    assert play(round_, ANSWER) == [SendReceipt(KEYS[0]), SendReceipt(KEYS[1])]  # only to those who have committed
    assert play(round_, committed(2)) == [SendReceipt(KEYS[2])]
    play(round_, judged(0), judged(1))
    assert round_.tally == Tally(accept=2, reject=0, silent=0, outstanding=2, bench=0)
    play(round_, judged(2))
    assert round_.certified  # 3 of 4 is more than two thirds
    assert not round_.over  # and the fourth has a little time
    assert round_.due_ms == NOW + GRACE_MS
    play(round_, committed(3), judged(3))
    assert round_.complete
    assert round_.over
    outcome = round_.finish()
    assert outcome.result == "certified"
    assert outcome.evidence is not None
    assert outcome.evidence.signers == b"\x0f"
    assert len(outcome.ballots) == 4
    certificate = bent(SCENE.certificate(), quorum=outcome.evidence)
    checks = check_evidence(SCENE.claim(certificate, outcome.ballots))
    assert all(c.ok for c in checks), checks
    assert round_.finish() is outcome


def test_the_grace_ends_and_three_of_four_certify() -> None:
    round_ = new()
    play(round_, ANSWER, *(committed(i) for i in range(3)), *(judged(i) for i in range(3)))
    assert not round_.over
    play(round_, TimePassed(), now_ms=NOW + GRACE_MS - 1)
    assert not round_.over
    play(round_, TimePassed(), now_ms=NOW + GRACE_MS)
    assert round_.over
    outcome = round_.finish()
    assert outcome.evidence is not None
    assert outcome.evidence.signers == b"\x07"


def test_the_driver_may_finish_as_soon_as_it_is_certified() -> None:
    round_ = new()
    play(round_, ANSWER, *(committed(i) for i in range(3)), *(judged(i) for i in range(3)))
    assert round_.finish().result == "certified"


def test_two_rejects_of_four_are_a_rejection_and_the_others_are_heard_for_a_moment() -> None:
    round_ = new()
    play(round_, ANSWER, committed(0), committed(1), judged(0, Verdict.REJECT))
    assert not round_.over
    play(round_, judged(1, Verdict.REJECT))
    assert round_.impossible
    assert not round_.over
    assert round_.due_ms == NOW + GRACE_MS
    play(round_, TimePassed(), now_ms=NOW + GRACE_MS)
    assert round_.over
    outcome = round_.finish()
    assert (outcome.result, outcome.evidence) == ("rejected", None)
    assert "2 rejected" in outcome.reason
    assert [b.member for b in outcome.ballots] == [0, 1]


def test_silence_of_every_kind_is_no_rejection() -> None:
    round_ = new()
    play(round_, ANSWER, committed(0), judged(0), abstained(1), MemberFailed(KEYS[2], "unreachable"))
    assert round_.impossible
    assert round_.due_ms == NOW + GRACE_MS
    outcome = round_.finish()
    assert outcome.result == "inconclusive"
    assert round_.tally == Tally(accept=1, reject=0, silent=2, outstanding=1, bench=0)
    assert [s.phase for s in outcome.standings] == [Phase.VOTED, Phase.ABSTAINED, Phase.FAILED, Phase.WAITING]
    assert [s.reason for s in outcome.standings] == ["", "no such model", "unreachable", ""]
    assert outcome.reason.endswith("3 did not say; 1 of them: no such model")


def test_a_vote_to_abstain_counts_for_nobody() -> None:
    round_ = new()
    play(round_, ANSWER, committed(0), judged(0, Verdict.ABSTAIN))
    assert round_.tally == Tally(accept=0, reject=0, silent=1, outstanding=3, bench=0)


def test_the_deadline_ends_it_and_what_comes_later_does_not_count() -> None:
    round_ = new()
    play(round_, ANSWER, *(committed(i) for i in range(3)), judged(0), judged(1))
    due = NOW + PATIENCE_MS
    assert round_.due_ms == due
    assert play(round_, judged(2), now_ms=due) == []
    assert round_.over
    assert not round_.certified
    assert round_.finish().result == "inconclusive"


def test_members_have_some_times_what_the_provider_took_and_never_more_than_the_request() -> None:
    slow = new()
    play(slow, TimePassed(), ANSWER, now_ms=NOW + 2_000)
    assert slow.due_ms == NOW + 2_000 + PATIENCE_FACTOR * 2_000 + PATIENCE_MS
    slower = new()
    play(slower, ANSWER, now_ms=NOW + 30_000)
    assert slower.due_ms == NOW + 60_000


def test_without_an_answer_nothing_is_certified() -> None:
    round_ = new()
    play(round_, *(committed(i) for i in range(4)))
    play(round_, TimePassed(), now_ms=NOW + 60_000)
    outcome = round_.finish()
    assert outcome.result == "inconclusive"
    assert "did not come" in outcome.reason


def test_a_far_deadline_is_cut_and_time_never_runs_back() -> None:
    request = SCENE.ask(deadline_ms=NOW + 10 * MAX_ROUND_MS)
    round_ = Round(SCENE.network, request, NOW)
    assert round_.deadline_ms == NOW + MAX_ROUND_MS
    play(round_, TimePassed(), now_ms=NOW + MAX_ROUND_MS)
    play(round_, TimePassed(), now_ms=NOW)
    assert round_.over


def test_weight_and_not_heads_is_counted() -> None:
    scene = Scene(weights=(1, 1, 1, 7))
    heavy = next(i for i, m in enumerate(scene.committee.members) if m.weight == 7)
    round_ = new(scene)
    play(round_, scene.answer_ready, committed(heavy, scene), judged(heavy, scene=scene))
    assert round_.certified


def test_two_thirds_are_not_more_than_two_thirds() -> None:
    scene = Scene(verifiers=3)
    round_ = new(scene)
    play(round_, scene.answer_ready)
    for i in (0, 1):
        play(round_, committed(i, scene), judged(i, scene=scene))
    assert not round_.certified
    play(round_, committed(2, scene), judged(2, scene=scene))
    assert round_.certified


LOCAL_ERRORS: list[Event] = [
    MemberCommitted(key_of("stranger").public, SCENE.commit(0)),
    MemberJudged(key_of("stranger").public, SCENE.reveal(), SCENE.vote(0)),
    MemberFailed(b"", "nobody"),
    ANSWER,  # a second one
    AnswerReady(SCENE.answer(request=bytes(32)), Outputs(SCENE.outputs)),
    AnswerReady(bent(SCENE.receipt, signature=bytes(65)), Outputs(SCENE.outputs)),
]


@pytest.mark.parametrize("event", LOCAL_ERRORS)
def test_a_drivers_mistake_raises_and_changes_nothing(event: Event) -> None:
    round_ = new()
    play(round_, ANSWER, committed(0), judged(0), committed(1))
    before = state(round_)
    with pytest.raises(LocalRoundError):
        round_.handle(event, NOW + 10**9)
    assert state(round_) == before


def test_an_unsigned_answer_leaves_room_for_the_right_one() -> None:
    round_ = new()
    with pytest.raises(LocalRoundError):
        round_.handle(AnswerReady(bent(SCENE.receipt, signature=bytes(65)), Outputs(SCENE.outputs)), NOW)
    assert play(round_, committed(0), ANSWER) == [SendReceipt(KEYS[0])]


def test_after_finish_nothing_is_heard() -> None:
    round_ = new()
    round_.finish()
    with pytest.raises(LocalRoundError):
        round_.handle(TimePassed(), NOW)


def test_only_a_signed_quorum_request_opens_a_round() -> None:
    for request in (Scene(tier="signed").request, bent(SCENE.request, signature=bytes(65))):
        with pytest.raises(LocalRoundError):
            Round(SCENE.network, request, NOW)


@pytest.mark.parametrize(
    ("history", "word", "sentence"),
    [
        ([], judged(0), "voted when it was executing"),
        ([committed(0)], judged(0), "voted when it was committed"),
        ([committed(0)], committed(0), "committed when it was committed"),
        ([ANSWER, committed(0)], committed(0), "committed when it was judging"),
    ],
)
def test_a_word_out_of_turn_silences_its_member_alone(history: list[Event], word: Event, sentence: str) -> None:
    round_ = new()
    play(round_, committed(3), *history)
    others = round_.phases[1:]
    [fault] = play(round_, word)
    assert fault == Faulted(KEYS[0], f"it {sentence}")
    assert round_.phases == (Phase.FAULTY, *others)
    assert round_.tally.silent == 1
    # nothing it still says counts, and its faults fill no memory
    assert play(round_, committed(0), word, MemberFailed(KEYS[0], "left")) == []
    assert round_.phases == (Phase.FAULTY, *others)


def test_a_vote_that_stands_cannot_be_unsaid() -> None:
    round_ = new()
    play(round_, ANSWER, committed(0), judged(0))
    [fault] = play(round_, judged(0, Verdict.REJECT))
    assert isinstance(fault, Faulted)
    assert (round_.phases[0], round_.tally.accept, round_.tally.reject) == (Phase.VOTED, 1, 0)
    assert play(round_, MemberFailed(KEYS[0], "stream closed")) == []
    assert round_.finish().standings[0].fault == fault.reason


BENCHED = Scene(verifiers=8, size=4)
RESERVE = BENCHED.keys[4].public


def calls(effects: list[Effect]) -> list[bytes]:
    return [effect.member for effect in effects if isinstance(effect, CallMember)]


def test_the_members_are_called_first_and_the_bench_is_not() -> None:
    round_ = new(BENCHED)
    assert calls(list(round_.begin(NOW))) == [k.public for k in BENCHED.keys[:4]]
    assert round_.phases[4] is Phase.BENCH
    assert round_.tally == Tally(accept=0, reject=0, silent=0, outstanding=4, bench=1)


@pytest.mark.parametrize(
    "silence",
    [
        MemberFailed(BENCHED.keys[0].public, "unreachable"),
        MemberCommitted(BENCHED.keys[0].public, BENCHED.abstention(0), "no such model"),
        MemberCommitted(BENCHED.keys[0].public, BENCHED.commit(1)),  # a copy
    ],
    ids=["fails", "abstains", "copies"],
)
def test_a_reserve_is_called_at_once_for_who_is_silent_and_certifies_in_its_place(silence: Event) -> None:
    round_ = new(BENCHED)
    assert calls(play(round_, silence)) == [RESERVE]
    assert calls(play(round_, MemberFailed(BENCHED.keys[1].public, "gone"))) == []  # there is no second one
    everyone = (2, 3, 4)
    play(round_, BENCHED.answer_ready, *(committed(i, BENCHED) for i in everyone))
    play(round_, *(judged(i, scene=BENCHED) for i in everyone))
    assert round_.over  # all have said what they have to
    outcome = round_.finish()
    assert outcome.result == "certified"
    assert outcome.evidence is not None
    assert outcome.evidence.signers == b"\x1c"
    assert "1 of 1 reserves were called" in outcome.reason
    checks = check_evidence(BENCHED.claim(bent(BENCHED.certificate(), quorum=outcome.evidence), outcome.ballots))
    assert all(c.ok for c in checks), checks


def test_who_is_half_as_slow_again_as_others_has_a_reserve_called_for_it_and_counts_if_it_comes() -> None:
    round_ = new(BENCHED)
    play(round_, committed(1, BENCHED), now_ms=NOW + 300)
    assert round_.due_ms == NOW + 60_000  # one of four is no measure
    play(round_, committed(2, BENCHED), now_ms=NOW + 400)
    assert round_.due_ms == NOW + 600
    assert calls(play(round_, committed(3, BENCHED), TimePassed(), now_ms=NOW + 599)) == []
    assert calls(play(round_, TimePassed(), now_ms=NOW + 600)) == [RESERVE]
    assert round_.phases[0] is Phase.WAITING
    play(round_, BENCHED.answer_ready, committed(0, BENCHED), judged(0, scene=BENCHED), now_ms=NOW + 700)
    assert round_.tally == Tally(accept=1, reject=0, silent=0, outstanding=4, bench=0)


def test_nobody_is_late_by_a_hair() -> None:
    round_ = new(BENCHED)
    play(round_, committed(1, BENCHED), committed(2, BENCHED), now_ms=NOW + 2)
    assert round_.due_ms == NOW + 2 + LATE_MS
    assert calls(play(round_, TimePassed(), now_ms=NOW + 1 + LATE_MS)) == []


def test_who_has_committed_and_will_not_judge_is_late_too_but_not_while_it_waits_for_the_answer() -> None:
    round_ = new(BENCHED)
    play(round_, *(committed(i, BENCHED) for i in range(4)))
    assert calls(play(round_, TimePassed(), now_ms=NOW + 5_000)) == []
    play(round_, BENCHED.answer_ready, *(judged(i, scene=BENCHED) for i in (0, 1)), now_ms=NOW + 5_000)
    assert round_.due_ms == NOW + 5_000 + LATE_MS
    assert calls(play(round_, TimePassed(), now_ms=NOW + 5_000 + LATE_MS)) == [RESERVE]


def test_a_decided_round_calls_nobody() -> None:
    round_ = new(BENCHED)
    play(round_, BENCHED.answer_ready, *(committed(i, BENCHED) for i in range(3)))
    play(round_, *(judged(i, scene=BENCHED) for i in range(3)))
    assert round_.due_ms == NOW + GRACE_MS
    assert calls(play(round_, MemberFailed(BENCHED.keys[3].public, "gone"))) == []
    assert round_.over


def test_a_split_committee_has_its_bench_decide() -> None:
    for last, result in ((Verdict.ACCEPT, "certified"), (Verdict.REJECT, "rejected")):
        round_ = new(BENCHED)
        play(round_, BENCHED.answer_ready, *(committed(i, BENCHED) for i in range(4)))
        play(round_, judged(0, scene=BENCHED), judged(1, Verdict.REJECT, BENCHED))
        assert calls(play(round_, judged(2, Verdict.REJECT, BENCHED))) == [RESERVE]
        play(round_, judged(3, scene=BENCHED), committed(4, BENCHED), judged(4, last, BENCHED))
        assert round_.over
        assert round_.finish().result == result


def test_the_bench_decides_for_who_is_late_and_would_have_decided() -> None:
    scene = Scene(verifiers=12, size=8)  # six of eight are enough, and two are on the bench
    first, second = (scene.keys[place].public for place in (8, 9))
    round_ = new(scene)
    play(round_, scene.answer_ready, *(committed(i, scene) for i in range(7)))
    play(round_, *(judged(i, scene=scene) for i in range(5)), *(judged(i, Verdict.REJECT, scene) for i in (5, 6)))
    assert calls(play(round_, TimePassed(), now_ms=NOW + LATE_MS)) == [first]  # for member 7, which never commits
    play(round_, committed(8, scene), now_ms=NOW + LATE_MS)
    assert calls(play(round_, judged(8, Verdict.REJECT, scene), now_ms=NOW + LATE_MS)) == [second]
    play(round_, committed(9, scene), judged(9, scene=scene), now_ms=NOW + LATE_MS)
    assert round_.certified


def test_a_rejection_by_the_quorum_is_certified_as_such() -> None:
    round_ = new()
    play(round_, ANSWER, *(committed(i) for i in range(4)), *(judged(i, Verdict.REJECT) for i in range(3)))
    outcome = round_.finish()
    assert (outcome.result, outcome.evidence) == ("rejected", None)
    assert outcome.rejection is not None
    digest, network = SCENE.receipt_digest, SCENE.network
    refused = quorum.check_aggregate(network, SCENE.request, digest, outcome.rejection, Verdict.REJECT)
    assert all(c.ok for c in refused), refused
    assert quorum.rejection(network, SCENE.request, SCENE.receipt, outcome.ballots) == outcome.rejection
    assert quorum.rejection(network, SCENE.request, SCENE.receipt, outcome.ballots[:2]) is None


def test_a_reserve_that_was_not_called_is_nobody_yet() -> None:
    round_ = new(BENCHED)
    before = state(round_)
    for event in (committed(4, BENCHED), judged(4, scene=BENCHED), MemberFailed(RESERVE, "gone")):
        with pytest.raises(LocalRoundError, match="not called"):
            round_.handle(event, NOW + 10**9)
        assert state(round_) == before
