"""A sampled answer before its committee: only after a refusal that holds, in its time, and then as any other."""

from __future__ import annotations

import pytest

from tests.verify.lots import ALWAYS, KEYS, OUTSIDER, PANEL, SCENE, audit, evidence
from tests.verify.scenes import SALT, SECRET, Scene, bent, floats
from verify import AnswerReady, LocalRoundError, MemberCommitted, MemberJudged, Outputs, Round
from verify.appeal import check_appeal, judged_until
from verify.fraud import holds
from verify.fraud.finding import wrong_answer
from verify.member import Member
from verify.sampling import open_until
from wire.audit import SignedAudit
from wire.auditing import Appeal
from wire.errors import ErrorCode, RecordError, RemoteError
from wire.vote import Verdict

REFUSED = audit(verdict=Verdict.REJECT)
DUE = SCENE.request.request.deadline_ms  # when the answer itself was due
LATE = DUE + 60_000
HONEST = (floats("scores", 9.0, 9.0, 9.0),)  # what everybody but the provider computes


def appeal(*audits: SignedAudit, secret: bytes = SECRET) -> Appeal:
    return Appeal(receipt=SCENE.receipt, evidence=evidence(*(audits or (REFUSED,)), secret=secret))


def test_one_refusal_is_enough_whoever_else_agreed() -> None:
    check_appeal(ALWAYS, SCENE.request, appeal())
    check_appeal(ALWAYS, SCENE.request, appeal(audit(KEYS[PANEL[1]]), REFUSED))


@pytest.mark.parametrize(
    ("made", "wrong"),
    [
        (appeal(audit()), "no verifier refused the answer"),
        (appeal(audit(OUTSIDER, Verdict.REJECT)), "was not drawn"),
        (appeal(bent(REFUSED, signature=audit().signature)), "not signed by its verifier"),
        (appeal(bent(REFUSED, audit=bent(REFUSED.audit, receipt=b"\1" * 32))), "of another receipt"),
        (appeal(secret=b"like" * 8), "committed to another secret"),
        (bent(appeal(), receipt=SCENE.answer(outputs=b"\1" * 32)), "of another receipt"),
        (bent(appeal(), receipt=bent(SCENE.receipt, signature=bytes(65))), "not signed by its provider"),
    ],
)
def test_without_a_refusal_that_holds_there_is_no_appeal(made: Appeal, wrong: str) -> None:
    with pytest.raises(RecordError, match=wrong):
        check_appeal(ALWAYS, SCENE.request, made)
    with pytest.raises(RemoteError) as failure:
        Member(ALWAYS, KEYS[PANEL[0]], SCENE.request, LATE, made)
    assert failure.value.code is ErrorCode.UNSUPPORTED
    with pytest.raises(LocalRoundError, match=wrong):
        Round(ALWAYS, SCENE.request, LATE, made)


def test_a_sampled_answer_has_no_committee_of_its_own() -> None:
    with pytest.raises(RecordError, match="tier sampled has no committee"):
        judged_until(ALWAYS, SCENE.request, None)
    assert judged_until(ALWAYS, SCENE.request, appeal()) == open_until(SCENE.request.request)
    quorum = Scene()
    assert judged_until(ALWAYS, quorum.request, None) == DUE
    assert judged_until(ALWAYS, quorum.request, appeal()) == DUE  # it gives nobody more time


def test_it_ends_when_nobody_need_remember_the_request() -> None:
    key = KEYS[SCENE.committee.members[0].key]
    Member(ALWAYS, key, SCENE.request, LATE, appeal())
    with pytest.raises(RemoteError) as failure:
        Member(ALWAYS, key, SCENE.request, open_until(SCENE.request.request), appeal())
    assert failure.value.code is ErrorCode.DEADLINE


def test_the_committee_judges_it_and_the_refusal_is_a_fraud_that_anybody_can_check() -> None:
    made = appeal()
    round_ = Round(ALWAYS, SCENE.request, LATE, made)
    members = [Member(ALWAYS, KEYS[m.key], SCENE.request, LATE, made) for m in round_.committee.members]
    round_.begin(LATE)
    for member, place in zip(members, round_.committee.members, strict=True):
        committed = member.commit(SCENE.manifest, HONEST, SALT)
        round_.handle(MemberCommitted(place.key, committed.commit), LATE)
    round_.handle(AnswerReady(SCENE.receipt, Outputs(SCENE.outputs)), LATE)
    for member, place in zip(members, round_.committee.members, strict=True):
        judged = member.judge(SCENE.receipt, SCENE.outputs, LATE)
        round_.handle(MemberJudged(place.key, judged.reveal, judged.vote), LATE)
    outcome = round_.finish()
    assert outcome.result == "rejected", outcome.reason
    fraud = wrong_answer(ALWAYS, SCENE.request, SCENE.receipt, outcome.ballots)
    assert fraud is not None
    assert holds(fraud, ALWAYS)
    assert not holds(fraud, bent(ALWAYS, epoch=8))  # another registry, another committee
