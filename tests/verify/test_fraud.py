"""Fraud files: each kind holds where it happened, and no frame-up passes for one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from tests.verify.scenes import SALT, Scene, bent, floats, key_of
from verify.distance import IDENTICAL
from verify.fraud import FraudReport, file_of, holds, verify_fraud
from verify.fraud.finding import lazy_votes, two_receipts, two_words, wrong_answer
from wire.canonical import encode
from wire.errors import RecordError
from wire.fraud import (
    FRAUD,
    KIND,
    Fraud,
    FraudKind,
    TwoCommits,
    TwoReceipts,
    TwoVotes,
    WrongAnswer,
    fraud_digest,
)
from wire.network import Network
from wire.tensors import Tensor, tensor_set
from wire.vote import Ballot, SignedCommit, SignedVote, Verdict, commitment

SCENE = Scene(verifiers=4)
NETWORK, LIAR = SCENE.network, SCENE.keys[1]
HONEST = (floats("scores", 9.0, 9.0, 9.0),)  # what honest members get where the provider lies
OWN = tensor_set(HONEST).hash()


def refusal(scene: Scene, member: int, own: Sequence[Tensor] | None = HONEST) -> Ballot:
    """The ballot of a member whose outputs are others; None: the provider's own."""
    return Ballot(
        member=member,
        commit=scene.commit(member, own),
        reveal=scene.reveal(member, own, 12),
        vote=scene.vote(member, Verdict.REJECT),
    )


def two_votes(member: int = 1, **changes: Any) -> TwoVotes:
    first, second = SCENE.vote(member), SCENE.vote(member, Verdict.REJECT)
    return bent(TwoVotes(verifier=SCENE.keys[member].public, first=first, second=second), **changes)


def two_commits(**changes: Any) -> TwoCommits:
    first, second = SCENE.commit(1), SCENE.commit(1, HONEST)
    return bent(TwoCommits(verifier=LIAR.public, first=first, second=second), **changes)


def receipts(**changes: Any) -> TwoReceipts:
    return bent(TwoReceipts(first=SCENE.answer(), second=SCENE.answer(outputs=OWN)), **changes)


def refused(scene: Scene = SCENE, members: Sequence[int] = (0, 1, 2)) -> WrongAnswer:
    found = wrong_answer(scene.network, scene.request, scene.receipt, [refusal(scene, i) for i in members])
    assert found is not None
    return found


def report(fraud: Fraud, network: Network = NETWORK) -> FraudReport:
    return verify_fraud(encode(file_of(fraud, NETWORK)), network)


def wrong_in(fraud: Fraud) -> list[str]:
    return [f"{c.name}: {c.detail}" for c in report(fraud).checks if not c.ok]


@pytest.mark.parametrize(
    ("fraud", "kind", "culprit", "says"),
    [
        (two_votes(), FraudKind.TWO_VOTES, LIAR.address, "ACCEPT and REJECT"),
        (two_commits(), FraudKind.TWO_COMMITS, LIAR.address, "committed on one request twice"),
        (receipts(), FraudKind.TWO_RECEIPTS, SCENE.provider.address, "two receipts for one request"),
        (refused(), FraudKind.WRONG_ANSWER, SCENE.provider.address, "its committee refused it"),
        (refused(Scene(tier="sampled")), FraudKind.WRONG_ANSWER, SCENE.provider.address, "its committee refused it"),
    ],
)
def test_a_fraud_is_shown_by_one_file(fraud: Fraud, kind: FraudKind, culprit: bytes, says: str) -> None:
    told = report(fraud)
    assert told.valid, [c for c in told.checks if not c.ok]
    assert (told.kind, told.culprit, told.settles) == (kind, culprit, True)
    assert says in told.says
    assert told.rests_on
    assert holds(fraud, NETWORK)


@pytest.mark.parametrize("fraud", [two_votes(), two_commits(), receipts(), refused()], ids=lambda f: type(f).__name__)
def test_another_networks_fraud_is_none_here(fraud: Fraud) -> None:
    away = bent(NETWORK, contract=b"\x99" * 20)
    assert not report(fraud, away).valid
    relabelled = verify_fraud(encode(file_of(fraud, away)), away)
    assert not relabelled.valid
    assert relabelled.rests_on == ()


def test_a_digest_is_one_that_a_contract_computes() -> None:
    fraud = receipts()
    words = sorted(r.receipt.digest(NETWORK.domain) for r in (fraud.first, fraud.second))
    message = {
        "kind": 3, "culprit": SCENE.provider.address, "subject": SCENE.digest, "first": words[0], "second": words[1],
    }  # fmt: skip
    domain = {
        "name": "Hallmark", "version": "1", "chainId": NETWORK.chain_id, "verifyingContract": NETWORK.contract,
    }  # fmt: skip
    fields = [{"type": kind, "name": name} for kind, name in FRAUD.fields]
    typed = encode_typed_data(domain, {"Fraud": fields}, message)
    assert fraud_digest(fraud, NETWORK.domain) == keccak(b"\x19" + typed.version + typed.header + typed.body)


def test_one_fraud_has_one_digest_however_it_is_shown() -> None:
    domain = NETWORK.domain
    for fraud in (two_votes(), two_commits(), receipts()):
        turned = bent(fraud, first=fraud.second, second=fraud.first)
        assert fraud_digest(turned, domain) == fraud_digest(fraud, domain)
    assert fraud_digest(refused(), domain) == fraud_digest(refused(members=(0, 2, 3)), domain)
    digests = {fraud_digest(f, domain) for f in (two_votes(), two_votes(2), two_commits(), receipts(), refused())}
    assert len(digests) == 5


SAME_VOTE = SCENE.vote(1)
FRAMES: list[tuple[str, Fraud, str]] = [
    ("a forged second vote", two_votes(second=bent(SCENE.vote(2, Verdict.REJECT))), "second signature"),
    ("the same vote twice", two_votes(second=SAME_VOTE, first=SAME_VOTE), "differ: both votes say the same"),
    ("one vote under two signatures", two_votes(first=SCENE.vote(1), second=SCENE.vote(1)), "differ"),
    ("votes on two receipts", two_votes(second=SCENE.vote(1, Verdict.REJECT, receipt=b"\1" * 32)), "receipt"),
    ("votes in two epochs", two_votes(second=SCENE.vote(1, Verdict.REJECT, epoch=8)), "committee"),
    ("votes of another", two_votes(verifier=SCENE.keys[0].public), "first signature"),
    ("votes of a nobody", two_votes(verifier=key_of("nobody").public), "verifier: nobody"),
    ("the other parity", two_votes(verifier=bytes([LIAR.public[0] ^ 1]) + LIAR.public[1:]), "verifier: nobody"),
    ("the same commit twice", two_commits(second=SCENE.commit(1)), "differ: both commits are the same"),
    ("commits on two requests", two_commits(second=SCENE.commit(1, HONEST, request=b"\1" * 32)), "request"),
    ("commits in two committees", two_commits(second=SCENE.commit(1, HONEST, committee=b"\1" * 32)), "committee"),
    ("a forged commit", two_commits(second=SCENE.commit(2, HONEST)), "second signature"),
    ("the same receipt twice", receipts(second=SCENE.answer()), "differ: both receipts are the same"),
    ("receipts of two requests", receipts(second=SCENE.answer(request=b"\1" * 32, outputs=OWN)), "request"),
    ("receipts of two providers", receipts(second=SCENE.answer(provider=b"\1" * 20)), "provider"),
    ("a forged receipt", receipts(second=bent(SCENE.answer(outputs=OWN), signature=SCENE.receipt.signature)), "second"),
    ("another's answer", bent(refused(), receipt=SCENE.answer(outputs=OWN)), "evidence"),
    ("an answer to another question", bent(refused(), request=SCENE.ask(nonce=b"\1" * 32)), "receipt: the receipt"),
    ("a question nobody signed", bent(refused(), request=bent(SCENE.request, signature=bytes(65))), "request sig"),
    ("an answer nobody signed", bent(refused(), receipt=bent(SCENE.receipt, signature=bytes(65))), "receipt signature"),
    ("ballots left out", bent(refused(), ballots=refused().ballots[:2]), "ballots: they are not those"),
    ("ballots turned", bent(refused(), ballots=refused().ballots[::-1]), "ballots: they are not one a member"),
    ("an accepting ballot", bent(refused(), ballots=(SCENE.ballot(0), *refused().ballots[1:])), "member 0 did not"),
    (
        "a certificate of ACCEPT",
        bent(refused(), rejected=SCENE.certificate((0, 1, 2)).quorum),
        "evidence: the aggregate is not",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("fraud", "wrong"), [f[1:] for f in FRAMES], ids=[f[0] for f in FRAMES])
def test_a_frame_up_is_refused(fraud: Fraud, wrong: str) -> None:
    found = wrong_in(fraud)
    assert found
    assert any(text.startswith(wrong) or wrong in text for text in found), found
    assert not holds(fraud, NETWORK)
    assert report(fraud).rests_on == ()


def test_below_the_threshold_nobody_is_accused() -> None:
    two = [refusal(SCENE, i) for i in (0, 1)]
    assert wrong_answer(NETWORK, SCENE.request, SCENE.receipt, two) is None
    few = bent(refused().rejected, signers=b"\x03")
    short = bent(refused(), rejected=few, ballots=refused().ballots[:2])
    assert any("which is not enough" in text for text in wrong_in(short))


def test_a_committee_with_the_very_same_outputs_accuses_nobody() -> None:
    """A model that gives NaN: provider and committee agree on the bytes, and no committee accepts them."""
    ballots = [refusal(SCENE, i, None) for i in range(4)]
    assert wrong_answer(NETWORK, SCENE.request, SCENE.receipt, ballots) is None
    forced = bent(refused(), ballots=tuple(ballots[:3]))
    assert any("nobody lied" in text for text in wrong_in(forced))


def test_a_refusal_that_was_not_sealed_before_accuses_nobody() -> None:
    unsealed = bent(refusal(SCENE, 0), commit=SCENE.commit(0))
    forced = bent(refused(), ballots=(unsealed, *refused().ballots[1:]))
    assert any("does not open the commitment" in text for text in wrong_in(forced))


@given(st.binary(max_size=400))
def test_any_bytes_are_a_report_or_a_record_error(data: bytes) -> None:
    with pytest.raises(RecordError):
        verify_fraud(data, NETWORK)


@given(st.integers(0, 10_000), st.sampled_from([two_votes(), two_commits(), receipts(), refused()]))
def test_a_file_with_a_byte_changed_accuses_nobody(at: int, fraud: Fraud) -> None:
    data = bytearray(encode(file_of(fraud, NETWORK)))
    data[at % len(data)] ^= 1
    try:
        told = verify_fraud(bytes(data), NETWORK)
    except RecordError:
        return
    assert not told.valid


def test_two_words_are_found_whoever_each_was_told_to() -> None:
    to_provider = [SCENE.ballot(i) for i in range(4)]
    to_payer = [SCENE.ballot(0), refusal(SCENE, 1), SCENE.ballot(2)]
    found = two_words(NETWORK, SCENE.request, [*to_provider, *to_payer])
    assert {type(f) for f in found} == {TwoVotes, TwoCommits}
    assert all(isinstance(f, TwoVotes | TwoCommits) and f.verifier == LIAR.public for f in found)
    assert all(holds(f, NETWORK) for f in found)
    assert two_words(NETWORK, SCENE.request, [*to_provider, *to_provider]) == []


def test_words_that_somebody_forged_are_not_found() -> None:
    """A provider that shows ballots of its own making has nobody accused."""
    refusing = bent(SCENE.vote(1), vote=SCENE.vote(1, Verdict.REJECT).vote)
    forged = bent(SCENE.ballot(1), vote=refusing)
    assert two_words(NETWORK, SCENE.request, [SCENE.ballot(1), forged]) == []
    strange = bent(SCENE.ballot(1), member=77)
    assert two_words(NETWORK, SCENE.request, [strange, strange]) == []


def test_hundreds_of_ballots_of_one_member_are_looked_through_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider may show 640, all of one member: invented ones, a true one again and again, and true words of other
    rounds. Pairs of them would be looked at for minutes."""
    looked = [0]

    def counting(fraud: Fraud, network: Network) -> bool:
        looked[0] += 1
        return holds(fraud, network)

    monkeypatch.setattr("verify.fraud.finding.holds", counting)
    true, other = SCENE.ballot(1), [SCENE.vote(1, receipt=bytes([i]) * 32) for i in range(60)]
    elsewhere = [bent(true, vote=v, commit=SCENE.commit(1, request=v.vote.receipt)) for v in other]
    invented = [
        bent(true, commit=bent(true.commit, commit=bent(true.commit.commit, commitment=bytes([i]) * 32)))
        for i in range(60)
    ]
    assert two_words(NETWORK, SCENE.request, [*[true] * 520, *elsewhere, *invented]) == []
    assert looked == [0]
    assert len(two_words(NETWORK, SCENE.request, [*[true] * 600, *elsewhere, refusal(SCENE, 1)])) == 2
    assert looked == [2]


def test_two_receipts_are_found() -> None:
    found = two_receipts(NETWORK, [SCENE.answer(), SCENE.answer(), SCENE.answer(outputs=OWN)])
    assert found is not None
    assert holds(found, NETWORK)
    assert two_receipts(NETWORK, [SCENE.answer(), SCENE.answer()]) is None


def sat(scene: Scene, nonce: int, salt: bytes, lazy: Sequence[Tensor] | None = None) -> Any:
    """A round's receipt file in which member 1 reveals this salt, and refuses for these outputs where they are given;
    the rest draw their own."""
    ballots = []
    for i, key in enumerate(scene.keys):
        own = lazy if i == 1 else None
        reveal = bent(scene.reveal(i, own, 12 if own else IDENTICAL), salt=salt if i == 1 else bytes([i, nonce]) * 16)
        sealed = commitment(key.public, scene.digest, reveal.outputs, reveal.root, reveal.salt)
        commit: SignedCommit = scene.commit(i, commitment=sealed)
        vote: SignedVote = scene.vote(i, Verdict.REJECT if own else Verdict.ACCEPT)
        ballots.append(Ballot(member=i, commit=commit, reveal=reveal, vote=vote))
    return bent(scene.file, ballots=tuple(ballots))


def rounds() -> list[Scene]:
    """Three questions with three answers."""
    made = []
    for n in range(3):
        scene = Scene(outputs=(floats("scores", float(n), 1.0, 2.0),))
        scene.__dict__["request"] = scene.ask(nonce=bytes([n + 1]) * 32, inputs=bytes([n]) * 32)
        made.append(scene)
    return made


def test_a_salt_that_is_never_drawn_anew_is_reported_and_settles_nothing() -> None:
    files = [sat(scene, n, SALT) for n, scene in enumerate(rounds())]
    (found,) = lazy_votes(NETWORK, files)
    assert found.verifier == rounds()[0].keys[1].public
    told = report(found)
    assert told.valid, [c for c in told.checks if not c.ok]
    assert not told.settles
    assert "accuses nobody" in told.says
    assert any("in 3 rounds 0 salts that another member had too, 2 salts" in c.detail for c in told.checks)
    assert any("accuses nobody" in sentence for sentence in told.rests_on)


def test_a_salt_that_another_member_has_too_is_reported() -> None:
    scene = rounds()[0]
    files = [sat(scene, 0, bytes([2, 0]) * 16)]
    found = lazy_votes(NETWORK, files)
    assert {f.verifier for f in found} == {scene.keys[1].public, scene.keys[2].public}


def test_outputs_that_do_not_depend_on_the_question_are_reported() -> None:
    files = [sat(scene, n, bytes([9, n]) * 16, HONEST) for n, scene in enumerate(rounds())]
    (found,) = lazy_votes(NETWORK, files)
    assert any("2 outputs of its own earlier rounds" in c.detail for c in report(found).checks)


def test_honest_members_are_not_reported() -> None:
    assert lazy_votes(NETWORK, [sat(scene, n, bytes([9, n]) * 16) for n, scene in enumerate(rounds())]) == []


def test_a_report_without_a_pattern_or_with_a_round_twice_does_not_hold() -> None:
    files = [sat(scene, n, SALT) for n, scene in enumerate(rounds())]
    (found,) = lazy_votes(NETWORK, files)
    assert wrong_in(bent(found, rounds=(found.rounds[0], found.rounds[0]))) == ["rounds: one round stands twice"]
    assert wrong_in(bent(found, rounds=found.rounds[:1]))[0].startswith("pattern")
    assert wrong_in(bent(found, verifier=key_of("nobody").public)) == [
        "rounds: the member said nothing in one of the rounds"
    ]
    forged = bent(found.rounds[0], receipt=found.rounds[1].receipt)
    assert not holds(bent(found, rounds=(forged, found.rounds[1])), NETWORK)


def test_every_kind_has_a_number_of_its_own() -> None:
    assert sorted(KIND.values()) == sorted(FraudKind)
