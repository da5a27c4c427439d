"""A verifier that is asked to check an answer: only where it was drawn, and by its own execution."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.verify.lots import ALWAYS, AUDITOR, KEYS, NEVER, OUTSIDER, PANEL, SCENE
from tests.verify.scenes import NOW, SECRET, Scene, bent, floats
from verify.auditor import check_summons, judge
from verify.sampling import audit_fault, open_until
from wire.auditing import AskAudit
from wire.errors import ErrorCode, RemoteError
from wire.network import Network, Registry
from wire.tensors import Tensor
from wire.vote import Verdict

LATER = NOW + 1000
ASKED = AskAudit(
    request=SCENE.request,
    receipt=SCENE.receipt,
    secret=SECRET,
    inputs=tuple(t.header for t in SCENE.inputs),
    outputs=tuple(t.header for t in SCENE.outputs),
)


def refusal(public: bytes = AUDITOR.public, network: Network = ALWAYS, now: int = LATER, **changes: Any) -> RemoteError:
    with pytest.raises(RemoteError) as failure:
        check_summons(network, public, bent(ASKED, **changes), now)
    return failure.value


def check(own: tuple[Tensor, ...], outputs: tuple[Tensor, ...] = SCENE.outputs, asked: AskAudit = ASKED) -> Any:
    return judge(ALWAYS, AUDITOR, SCENE.manifest, asked, own, outputs, LATER)


@pytest.mark.parametrize("public", PANEL)
def test_whoever_is_on_the_panel_may_be_asked(public: bytes) -> None:
    check_summons(ALWAYS, public, ASKED, LATER)


def test_who_was_not_drawn_has_no_say() -> None:
    assert "not drawn" in refusal(OUTSIDER.public).message
    assert "calls for no check" in refusal(network=NEVER).message


def test_a_secret_that_is_not_the_requests_draws_nobody() -> None:
    """Grinding for a ticket that calls a certain verifier fails at the seed."""
    assert "committed to another secret" in refusal(secret=b"grind" + bytes(27)).message


def test_only_a_question_and_its_answer_as_they_were_signed_are_checked() -> None:
    signed = Scene(tier="signed")
    assert "tier signed is not sampled" in refusal(request=signed.request, receipt=signed.receipt).message
    assert "not signed by its payer" in refusal(request=bent(SCENE.request, signature=bytes(65))).message
    assert "not signed by its provider" in refusal(receipt=bent(SCENE.receipt, signature=bytes(65))).message
    assert "answers another request" in refusal(request=SCENE.ask(nonce=b"\1" * 32)).message


def test_an_answer_is_checked_in_its_time_only() -> None:
    check_summons(ALWAYS, AUDITOR.public, ASKED, open_until(SCENE.request.request) - 1)
    assert refusal(now=open_until(SCENE.request.request)).code is ErrorCode.DEADLINE
    assert "from the future" in refusal(now=NOW - 60_000).message


def test_it_is_drawn_from_the_registry_and_the_share_of_its_time() -> None:
    """A later epoch lists nobody of them and checks nothing; the answer was given before it."""
    over = Registry(**{name: getattr(ALWAYS, name) for name in Registry.__struct_fields__})
    moved = bent(NEVER, epoch=8, from_ms=NOW + 500, verifiers=(), past=(over,))
    check_summons(moved, AUDITOR.public, ASKED, LATER)
    before = bent(ALWAYS, from_ms=NOW + 1)
    assert "calls for no check" in refusal(network=before).message


def test_the_same_outputs_are_accepted_and_signed() -> None:
    audited = check(SCENE.outputs)
    audit = audited.audit.audit
    assert (audit.verdict, audit.distance, audit.outputs) == (Verdict.ACCEPT, 0, SCENE.receipt.receipt.outputs)
    assert audit_fault(ALWAYS, SCENE.request.request, SCENE.receipt.receipt, SECRET, audited.audit) is None


def test_outputs_within_the_tolerance_are_accepted_and_others_are_not() -> None:
    near = check((floats("scores", 0.5, -2.0, 1.25001),))
    assert (near.audit.audit.verdict, near.audit.audit.distance > 0) == (Verdict.ACCEPT, True)
    far = check((floats("scores", 0.5, -2.0, 1.3),))
    assert far.audit.audit.verdict == Verdict.REJECT
    assert "differs by" in far.reason
    for audited in (near, far):
        assert audit_fault(ALWAYS, SCENE.request.request, SCENE.receipt.receipt, SECRET, audited.audit) is None


def test_what_the_provider_signed_and_got_wrong_is_refused() -> None:
    dear = bent(ASKED, receipt=SCENE.answer(price=10_000))
    audited = judge(ALWAYS, AUDITOR, SCENE.manifest, dear, SCENE.outputs, SCENE.outputs, LATER)
    assert audited.audit.audit.verdict == Verdict.REJECT
    assert audited.reason.startswith("price: ")


def test_a_payer_that_shows_other_outputs_than_were_signed_smears_nobody() -> None:
    with pytest.raises(RemoteError) as failure:
        check(SCENE.outputs, (floats("scores", 9.0, 9.0, 9.0),))
    assert failure.value.code is ErrorCode.WRONG_DATA


def test_without_a_tolerance_nothing_is_said() -> None:
    lax = bent(ALWAYS, profiles=())
    with pytest.raises(RemoteError, match="no tolerance for profile fp32"):
        judge(lax, AUDITOR, SCENE.manifest, ASKED, SCENE.outputs, SCENE.outputs, LATER)


@given(st.sampled_from(sorted(KEYS)), st.binary(min_size=32, max_size=32), st.integers(0, 2**53))
def test_no_summons_raises_anything_else(public: bytes, secret: bytes, now: int) -> None:
    try:
        check_summons(ALWAYS, public, bent(ASKED, secret=secret), now)
    except RemoteError:
        assert secret != SECRET or public not in PANEL or not NOW - 30_000 < now < open_until(SCENE.request.request)
