"""A certificate made small: the same signers, 64 bytes, and nobody signs what it had not signed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.verify.scenes import Scene, bent, key_of
from verify.committee import Committee
from verify.cosigning import Cosigning, compacted, open_nonce
from verify.ladder import check_evidence
from verify.musig import NONCE
from verify.tiers.quorum import bitmap
from wire.certificate import QuorumEvidence
from wire.errors import RecordError
from wire.vote import Verdict

SCENE = Scene()
EVIDENCE = SCENE.certificate().quorum
assert EVIDENCE is not None
ALL = (0, 1, 2, 3)
VOTE = SCENE.vote(0).vote
MESSAGE = VOTE.digest(SCENE.network.domain)


def opened(place: int, **changes: Any) -> Any:
    given = {"request": SCENE.request, "vote": SCENE.vote(place), "signers": bitmap(ALL, 4)} | changes
    return open_nonce(SCENE.network, SCENE.keys[place], **given)


def cosigned(places: tuple[int, ...] = ALL, committee: Committee = SCENE.committee) -> bytes:
    cosigning = Cosigning(committee, places, MESSAGE)
    secrets = {i: opened(i, signers=bitmap(places, 4)) for i in places}
    for i, secret in secrets.items():
        assert cosigning.nonces is None
        cosigning.nonce(i, secret.public)
    assert cosigning.nonces is not None
    for i, secret in secrets.items():
        cosigning.part(i, secret.sign(SCENE.keys[i], cosigning.nonces))
    return cosigning.finish()


def failing(evidence: QuorumEvidence) -> set[str]:
    claim = SCENE.claim(bent(SCENE.certificate(), quorum=evidence))
    return {check.name for check in check_evidence(claim) if not check.ok}


def test_all_signers_together_give_a_certificate_of_64_bytes() -> None:
    small = compacted(EVIDENCE, cosigned())
    assert (len(small.aggregate), small.form, small.signers) == (64, "musig2", EVIDENCE.signers)
    assert failing(small) == set()


def test_three_of_four_do_too() -> None:
    assert failing(bent(compacted(EVIDENCE, cosigned((0, 1, 3))), signers=b"\x0b")) == set()


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"signers": b"\x07"}, "evidence"),  # it names others than those who signed
        ({"signers": b"\x00"}, "evidence"),
        ({"form": "halfagg"}, "evidence"),  # neither form passes for the other
        ({"aggregate": bytes(64)}, "evidence"),
        ({"aggregate": EVIDENCE.aggregate}, "evidence"),
        ({"epoch": 8}, "committee"),
    ],
)
def test_a_bent_certificate_is_refused(changes: dict[str, Any], name: str) -> None:
    assert name in failing(bent(compacted(EVIDENCE, cosigned()), **changes))


def test_too_few_can_sign_together_but_certify_nothing() -> None:
    assert "quorum" in failing(bent(compacted(EVIDENCE, cosigned((0, 1))), signers=b"\x03"))


def test_a_signature_of_one_for_all() -> None:
    alone = SCENE.keys[0].sign_schnorr(MESSAGE)
    assert "evidence" in failing(compacted(EVIDENCE, alone))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"vote": SCENE.vote(1)}, "has not signed that vote"),
        ({"vote": bent(SCENE.vote(0), vote=bent(VOTE, verdict=Verdict.REJECT))}, "has not signed that vote"),
        ({"vote": bent(SCENE.vote(0), vote=bent(VOTE, receipt=bytes(32)))}, "has not signed that vote"),
        ({"signers": b"\x0e"}, "not among these signers"),
        ({"signers": b"\x1f"}, "does not fit"),
        ({"signers": b"\x0f\x00"}, "does not fit"),
        ({"request": bent(SCENE.request, signature=bytes(65))}, "not signed by its payer"),
        ({"vote": SCENE.vote(0, committee=bytes(32))}, "no verdict of this committee"),
        ({"vote": SCENE.vote(0, Verdict.ABSTAIN)}, "no verdict of this committee"),
    ],
)
def test_a_member_signs_only_what_it_has_signed(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(RecordError, match=why):
        opened(0, **changes)


def test_who_is_no_member_signs_nothing() -> None:
    with pytest.raises(RecordError, match="not among"):
        open_nonce(SCENE.network, key_of("nobody"), SCENE.request, SCENE.vote(0), bitmap(ALL, 4))


def test_words_out_of_turn_or_false_are_named_and_change_nothing() -> None:
    cosigning = Cosigning(SCENE.committee, ALL, MESSAGE)
    secrets = {i: opened(i) for i in ALL}
    with pytest.raises(RecordError, match="nobody waits"):
        cosigning.part(0, bytes(32))
    with pytest.raises(RecordError, match="none"):
        cosigning.nonce(0, b"\x04" * NONCE)
    for i in ALL:
        cosigning.nonce(i, secrets[i].public)
    for place in (0, 9):
        with pytest.raises(RecordError, match="nobody waits"):
            cosigning.nonce(place, secrets[0].public)
    assert cosigning.nonces is not None
    parts = {i: secrets[i].sign(SCENE.keys[i], cosigning.nonces) for i in ALL}
    with pytest.raises(RecordError, match="does not fit"):
        cosigning.part(0, parts[1])
    for i in (0, 1, 2):
        cosigning.part(i, parts[i])
    assert cosigning.missing == (3,)
    with pytest.raises(RecordError, match="1 signers are missing"):
        cosigning.finish()
    with pytest.raises(RecordError, match="nobody waits"):
        cosigning.part(0, parts[0])
    cosigning.part(3, parts[3])
    assert failing(compacted(EVIDENCE, cosigning.finish())) == set()
