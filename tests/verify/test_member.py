"""The verifier's side: what it sits on, what it signs, and that it signs once."""

import pytest

from tests.verify.scenes import NOW, SALT, Scene, bent, floats, key_of
from verify.ballots import Case, Sitting
from verify.distance import INCOMPARABLE
from verify.member import LocalMemberError, Member, ProviderEquivocation
from verify.openings import Outputs
from wire.bounds import CLOCK_SKEW_MS, MAX_REQUEST_LIFE_MS
from wire.canonical import Amount
from wire.errors import ErrorCode, RemoteError
from wire.inference import SignedRequest, sign_receipt
from wire.tensors import Tensor, tensor_set
from wire.vote import NOTHING, Verdict

SCENE = Scene()
CASE = Case(Sitting.of(SCENE.network, SCENE.request), SCENE.receipt.receipt, Outputs(SCENE.outputs))


def member(request: SignedRequest | None = None, index: int = 1, now_ms: int = NOW) -> Member:
    return Member(SCENE.network, SCENE.keys[index], request or SCENE.request, now_ms)


def committed(outputs: tuple[Tensor, ...] = SCENE.outputs) -> Member:
    seated = member()
    seated.commit(SCENE.manifest, outputs, SALT)
    return seated


def test_an_equal_execution_accepts_with_a_whole_valid_ballot() -> None:
    seated = member()
    assert seated.ballot is None
    assert seated.commit(SCENE.manifest, SCENE.outputs, SALT).commit.commit == SCENE.commit(1).commit
    said = seated.judge(SCENE.receipt, SCENE.outputs, NOW)
    assert (said.vote.vote.verdict, said.reveal.distance) == (Verdict.ACCEPT, 0)
    assert said.reveal.opening is None  # the answer shows it already
    assert seated.ballot is not None
    assert seated.ballot.member == 1
    assert CASE.ballot_fault(seated.ballot) is None
    assert seated.receipt == SCENE.receipt


def test_a_near_execution_accepts_and_a_far_one_rejects_both_validly() -> None:
    for nudge, verdict in ((1e-6, Verdict.ACCEPT), (1e-2, Verdict.REJECT)):
        seated = committed((floats("scores", 0.5 + nudge, -2.0, 1.25),))
        said = seated.judge(SCENE.receipt, SCENE.outputs, NOW)
        assert said.vote.vote.verdict == verdict
        assert said.reveal.distance > 0
        assert said.reveal.opening is not None
        assert len(said.reveal.opening.blocks) == 1
        assert seated.ballot is not None
        assert CASE.ballot_fault(seated.ballot) is None


def test_nan_on_both_sides_rejects() -> None:
    scene = Scene(outputs=(floats("scores", float("nan"), 1.0, 2.0),))
    seated = Member(scene.network, scene.keys[0], scene.request, NOW)
    seated.commit(scene.manifest, scene.outputs, SALT)
    said = seated.judge(scene.receipt, scene.outputs, NOW)
    assert (said.vote.vote.verdict, said.reveal.distance) == (Verdict.REJECT, INCOMPARABLE)


@pytest.mark.parametrize(
    ("request_", "now_ms", "code"),
    [
        (Scene(tier="signed").request, NOW, ErrorCode.UNSUPPORTED),
        (bent(SCENE.request, request=bent(SCENE.request.request, nonce=SALT)), NOW, ErrorCode.REFUSED),
        (SCENE.request, NOW + 60_000, ErrorCode.DEADLINE),
        (SCENE.request, NOW - CLOCK_SKEW_MS - 1, ErrorCode.REFUSED),
        (SCENE.ask(deadline_ms=NOW + MAX_REQUEST_LIFE_MS + 1), NOW, ErrorCode.REFUSED),
        (SCENE.ask(provider=SCENE.keys[1].address), NOW, ErrorCode.REFUSED),
    ],
    ids=["tier", "signature", "expired", "future", "too long", "judge of itself"],
)
def test_what_it_does_not_sit_on(request_: SignedRequest, now_ms: int, code: ErrorCode) -> None:
    with pytest.raises(RemoteError) as caught:
        member(request_, now_ms=now_ms)
    assert caught.value.code == code


def test_who_was_not_drawn_does_not_sit() -> None:
    with pytest.raises(RemoteError, match="not drawn"):
        Member(SCENE.network, key_of("stranger"), SCENE.request, NOW)


def test_a_network_without_verifiers_is_a_refusal() -> None:
    with pytest.raises(RemoteError, match="lists no verifier"):
        Member(bent(SCENE.network, verifiers=()), SCENE.keys[0], SCENE.request, NOW)


def test_one_request_one_vote() -> None:
    seated = committed()
    first = seated.judge(SCENE.receipt, SCENE.outputs, NOW)
    # the same receipt, even late and even with nothing attached: the same answer to the letter
    assert seated.judge(SCENE.receipt, (), NOW + 70_000) is first
    other = SCENE.answer(price=Amount(11))
    with pytest.raises(ProviderEquivocation) as caught:
        seated.judge(other, SCENE.outputs, NOW)
    assert (caught.value.first, caught.value.second) == (SCENE.receipt, other)
    assert seated.judge(SCENE.receipt, SCENE.outputs, NOW) is first


def test_what_the_provider_did_not_sign_spends_no_vote() -> None:
    seated = committed()
    forged = sign_receipt(SCENE.receipt.receipt, key_of("mallory"), SCENE.network.domain)
    wrong_bytes = (floats("scores", 0.5, -2.0, 1.5),)
    lying = (Tensor(SCENE.outputs[0].header, b"short"),)
    for receipt, outputs, code in (
        (forged, SCENE.outputs, ErrorCode.REFUSED),
        (SCENE.answer(request=SALT), SCENE.outputs, ErrorCode.REFUSED),
        (SCENE.receipt, wrong_bytes, ErrorCode.WRONG_DATA),
        (SCENE.receipt, lying, ErrorCode.WRONG_DATA),
        (SCENE.receipt, (), ErrorCode.WRONG_DATA),
    ):
        with pytest.raises(RemoteError) as caught:
            seated.judge(receipt, outputs, NOW)
        assert caught.value.code == code
    assert seated.judge(SCENE.receipt, SCENE.outputs, NOW).vote.vote.verdict == Verdict.ACCEPT


@pytest.mark.parametrize(
    "lie",
    [
        {"price": Amount(1001)},
        {"model": SALT},
        {"inputs": SALT},
        {"nonce": SALT},
        {"tier": "signed"},
        {"payer": bytes(20)},
    ],
    ids=lambda lie: next(iter(lie)),
)
def test_what_the_provider_signed_wrongly_is_rejected(lie: dict[str, object]) -> None:
    said = committed().judge(SCENE.answer(**lie), SCENE.outputs, NOW)
    assert said.vote.vote.verdict == Verdict.REJECT
    assert said.reason.startswith(next(iter(lie)))


def test_outputs_of_another_shape_are_rejected() -> None:
    short = (floats("scores", 0.5),)
    said = committed().judge(SCENE.answer(outputs=tensor_set(short).hash()), short, NOW)
    assert (said.vote.vote.verdict, said.reveal.distance) == (Verdict.REJECT, INCOMPARABLE)


def test_order_is_kept() -> None:
    with pytest.raises(RemoteError, match="not committed yet"):
        member().judge(SCENE.receipt, SCENE.outputs, NOW)
    seated = committed()
    with pytest.raises(LocalMemberError):
        seated.commit(SCENE.manifest, SCENE.outputs, SALT)
    with pytest.raises(LocalMemberError):
        seated.abstain("too late for that")
    with pytest.raises(RemoteError) as caught:
        seated.judge(SCENE.receipt, SCENE.outputs, NOW + 60_000)
    assert caught.value.code == ErrorCode.DEADLINE
    with pytest.raises(LocalMemberError):
        member().commit(SCENE.manifest, SCENE.outputs, b"short")


def test_abstaining_seals_nothing_and_judges_nothing() -> None:
    seated = member()
    said = seated.abstain("no such model " * 40)
    assert said.commit.commit.commitment == NOTHING
    assert len(said.reason) <= 256
    with pytest.raises(RemoteError, match="abstained"):
        seated.judge(SCENE.receipt, SCENE.outputs, NOW)
    ballot = seated.ballot
    assert ballot is not None
    assert CASE.ballot_fault(ballot) is None


def test_an_unknown_profile_abstains() -> None:
    strict = bent(SCENE.network, profiles=())
    said = Member(strict, SCENE.keys[1], SCENE.request, NOW).commit(SCENE.manifest, SCENE.outputs, SALT)
    assert said.commit.commit.commitment == NOTHING
    assert "fp32" in said.reason


def test_another_models_manifest_is_the_drivers_mistake() -> None:
    with pytest.raises(LocalMemberError, match="another model"):
        member().commit(bent(SCENE.manifest, name="other"), SCENE.outputs, SALT)
