"""Attacks on what the guards of a quorum trust: each is a thing that somebody with a motive would try.

The convener may be the provider itself, so a certificate is checked as if its worst enemy had made it.
"""

import pytest

from tests.verify.scenes import NOW, SALT, Scene, bent, key_of, some_hash
from verify import halfagg
from verify.ballots import Case, Sitting
from verify.committee import Committee, committee_for
from verify.events import AnswerReady, Faulted, MemberCommitted, MemberJudged
from verify.round import LocalRoundError, Round
from verify.tiers import check_evidence, quorum
from wire.canonical import Amount
from wire.certificate import Certificate, QuorumEvidence
from wire.inference import SignedReceipt, SignedRequest
from wire.network import Network, Verifier
from wire.tier import Tier
from wire.vote import Ballot, Reveal, SignedVote, Verdict, Vote, commitment, sign_commit, sign_vote

SCENE = Scene()
KEYS = [k.public for k in SCENE.keys]
BALLOTS = SCENE.file.ballots
REAL = SCENE.certificate()
assert REAL.quorum is not None
EVIDENCE: QuorumEvidence = REAL.quorum


def failing(
    certificate: Certificate,
    network: Network = SCENE.network,
    request: SignedRequest = SCENE.request,
    receipt: SignedReceipt = SCENE.receipt,
    ballots: tuple[Ballot, ...] = BALLOTS,
) -> set[str]:
    return {c.name for c in check_evidence(network, request, receipt, certificate, ballots) if not c.ok}


def forged(**changes: object) -> Certificate:
    return bent(REAL, quorum=bent(EVIDENCE, **changes))


def signed_by(*members: int) -> bytes:
    """The aggregate of these members' true votes, in this order, with no guard before it."""
    digest = SCENE.vote(0).vote.digest(SCENE.network.domain)
    return halfagg.aggregate([(KEYS[i][1:], digest, SCENE.vote(i).signature) for i in members])


def judging() -> Round:
    """A round in which all have committed and the answer is out."""
    round_ = Round(SCENE.network, SCENE.committee, SCENE.request, NOW)
    round_.handle(AnswerReady(SCENE.receipt), NOW)
    for i, key in enumerate(KEYS):
        assert round_.handle(MemberCommitted(key, SCENE.commit(i)), NOW)
    return round_


def void(round_: Round, member: int, vote: SignedVote, reveal: Reveal | None = None) -> str:
    """Play a vote that must not count; the sentence of the fault."""
    [fault] = round_.handle(MemberJudged(KEYS[member], reveal or SCENE.reveal(), vote), NOW)
    assert isinstance(fault, Faulted)
    assert round_.tally.accept == 0
    return fault.reason


def test_the_real_certificate_passes() -> None:
    assert failing(REAL) == set()


def test_a_vote_by_nobody_in_the_committee() -> None:
    mallory = key_of("mallory")
    vote = sign_vote(SCENE.vote(0).vote, mallory, SCENE.network.domain)
    with pytest.raises(LocalRoundError):
        judging().handle(MemberJudged(mallory.public, SCENE.reveal(), vote), NOW)
    assert "not signed by this member" in void(judging(), 0, vote)


def test_a_member_that_votes_twice_counts_once() -> None:
    round_ = judging()
    for verdict in (Verdict.ACCEPT, Verdict.ACCEPT, Verdict.REJECT):
        round_.handle(MemberJudged(KEYS[0], SCENE.reveal(), SCENE.vote(0, verdict)), NOW)
    assert (round_.tally.accept, round_.tally.reject) == (1, 0)


def test_a_vote_without_a_commit() -> None:
    round_ = Round(SCENE.network, SCENE.committee, SCENE.request, NOW)
    round_.handle(AnswerReady(SCENE.receipt), NOW)
    assert "voted when it was executing" in void(round_, 0, SCENE.vote(0))


def test_a_reveal_that_does_not_open() -> None:
    for reveal in (SCENE.reveal(some_hash("other")), bent(SCENE.reveal(), salt=some_hash("salt"))):
        assert "does not open" in void(judging(), 0, SCENE.vote(0), reveal)


def test_a_commit_copied_from_another_verifier() -> None:
    """A lazy verifier repeats what another sealed, signs it itself, and repeats the other's reveal when it is out."""
    sealed = SCENE.commit(1).commit
    round_ = Round(SCENE.network, SCENE.committee, SCENE.request, NOW)
    [fault] = round_.handle(MemberCommitted(KEYS[0], SCENE.commit(1)), NOW)  # sent as it is
    assert isinstance(fault, Faulted)
    round_ = Round(SCENE.network, SCENE.committee, SCENE.request, NOW)
    copied = sign_commit(sealed, SCENE.keys[0], SCENE.network.domain)
    assert round_.handle(MemberCommitted(KEYS[0], copied), NOW) == ()  # nobody can tell yet
    round_.handle(AnswerReady(SCENE.receipt), NOW)
    assert "does not open" in void(round_, 0, SCENE.vote(0))


def test_a_verifier_that_seals_after_seeing_another_answer_cannot_open_to_it() -> None:
    mine = commitment(KEYS[0], SCENE.digest, some_hash("junk"), SALT)
    round_ = Round(SCENE.network, SCENE.committee, SCENE.request, NOW)
    round_.handle(MemberCommitted(KEYS[0], SCENE.commit(0, commitment=mine)), NOW)
    round_.handle(AnswerReady(SCENE.receipt), NOW)
    assert "does not open" in void(round_, 0, SCENE.vote(0))  # reveals the provider's own outputs


def test_a_vote_replayed_from_another_receipt() -> None:
    other = SCENE.answer(price=Amount(11)).receipt.digest(SCENE.network.domain)
    assert "another receipt" in void(judging(), 0, SCENE.vote(0, receipt=other))
    assert "another receipt" in void(judging(), 0, bent(SCENE.vote(0), vote=SCENE.vote(0, receipt=other).vote))


def test_a_vote_replayed_from_another_network_committee_or_epoch() -> None:
    elsewhere = bent(SCENE.network, contract=bytes(20)).domain
    assert "not signed" in void(judging(), 0, sign_vote(SCENE.vote(0).vote, SCENE.keys[0], elsewhere))
    assert "another committee" in void(judging(), 0, SCENE.vote(0, committee=some_hash("other")))
    assert "another committee" in void(judging(), 0, SCENE.vote(0, epoch=8))


def test_a_commit_replayed_from_another_request_network_committee_or_epoch() -> None:
    elsewhere = bent(SCENE.network, chain_id=1).domain
    for commit in (
        SCENE.commit(0, request=some_hash("other")),
        SCENE.commit(0, committee=some_hash("other")),
        SCENE.commit(0, epoch=8),
        sign_commit(SCENE.commit(0).commit, SCENE.keys[0], elsewhere),
    ):
        round_ = Round(SCENE.network, SCENE.committee, SCENE.request, NOW)
        [fault] = round_.handle(MemberCommitted(KEYS[0], commit), NOW)
        assert isinstance(fault, Faulted)


def test_an_abstainer_that_votes_after_all() -> None:
    ballot = bent(BALLOTS[0], commit=SCENE.abstention(0))
    case = Case(Sitting(SCENE.network, SCENE.committee, SCENE.digest), SCENE.receipt.receipt)
    assert case.ballot_fault(ballot) == "the member abstained, and then voted"


def test_a_vote_turned_from_reject_into_accept() -> None:
    reject = SCENE.vote(0, Verdict.REJECT)
    turned = bent(reject, vote=bent(reject.vote, verdict=Verdict.ACCEPT))
    assert "not signed" in void(judging(), 0, turned)


def test_a_bitmap_with_padding_bits_or_bytes() -> None:
    for signers in (b"\x1f", b"\x0f\x00", b"\x0f\x01", b"\xff"):
        assert "evidence" in failing(forged(signers=signers))


def test_fewer_signers_than_the_bitmap_says_and_the_other_way_round() -> None:
    assert "evidence" in failing(forged(aggregate=signed_by(0, 1, 2)))
    assert "evidence" in failing(forged(signers=b"\x07"))


def test_too_few_signers_with_a_valid_aggregate() -> None:
    assert failing(forged(signers=b"\x03", aggregate=signed_by(0, 1))) == {"quorum"}
    assert "quorum" in failing(forged(signers=b"\x00", aggregate=bytes(64)))


def test_one_signer_in_the_place_of_three() -> None:
    assert "evidence" in failing(forged(signers=b"\x07", aggregate=signed_by(0, 0, 0)))
    assert "evidence" in failing(forged(signers=b"\x07", aggregate=signed_by(1, 0, 2)))  # or in another order


def test_a_committee_chosen_by_the_attacker() -> None:
    """Three keys of its own agree with it; every signature is true, the committee is not the drawn one."""
    own = [key_of(f"mallory {i}") for i in range(3)]
    network = bent(SCENE.network, verifiers=tuple(Verifier(key=k.public, weight=1) for k in own))
    committee = committee_for(network, SCENE.request.request)
    vote = Vote(receipt=SCENE.receipt_digest, committee=committee.root, epoch=7, verdict=Verdict.ACCEPT)
    by_key = {k.public: k for k in own}
    votes = {i: sign_vote(vote, by_key[m.key], network.domain) for i, m in enumerate(committee.members)}
    certificate = quorum.certify(network, committee, SCENE.receipt_digest, votes)
    assert {"committee", "evidence"} <= failing(certificate, ballots=())
    assert certificate.quorum is not None
    lying = bent(certificate, quorum=bent(certificate.quorum, committee=SCENE.committee.root))
    assert "evidence" in failing(lying, ballots=())


def test_true_verifiers_that_were_not_drawn() -> None:
    """With more verifiers than seats, a provider can't pick the friendly ones."""
    scene = Scene(verifiers=8, size=4)
    left = [v for v in scene.network.verifiers if scene.committee.index_of(v.key) is None]
    friends = Committee(scene.network.epoch, tuple(sorted(left, key=lambda v: v.key)))
    keys = {key_of(f"verifier {i}").public: key_of(f"verifier {i}") for i in range(8)}
    vote = Vote(receipt=scene.receipt_digest, committee=friends.root, epoch=7, verdict=Verdict.ACCEPT)
    votes = {i: sign_vote(vote, keys[m.key], scene.network.domain) for i, m in enumerate(friends.members)}
    certificate = quorum.certify(scene.network, friends, scene.receipt_digest, votes)
    assert {"committee", "evidence"} <= failing(certificate, scene.network, scene.request, scene.receipt, ())


def test_a_provider_or_payer_that_judges_itself() -> None:
    """It is registered as a verifier, and even weighs most; it is not in the committee that checkers draw."""
    for judge in (SCENE.provider, SCENE.payer):
        registered = (*SCENE.network.verifiers, Verifier(key=judge.public, weight=1000))
        network = bent(SCENE.network, verifiers=registered)
        assert committee_for(network, SCENE.request.request).index_of(judge.public) is None


def test_a_certificate_moved_to_another_receipt() -> None:
    other = SCENE.answer(price=Amount(11))
    moved = bent(REAL, receipt=other.receipt.digest(SCENE.network.domain))
    assert "certified receipt" in failing(REAL, receipt=other)
    assert "evidence" in failing(moved, receipt=other)
    assert "ballots" in failing(moved, receipt=other)


def test_a_certificate_moved_to_another_request() -> None:
    """Here one whose committee differs, since a member of the old one is its provider."""
    assert "evidence" in failing(REAL, request=SCENE.ask(provider=SCENE.keys[0].address))
    assert "ballots" in failing(REAL, request=SCENE.ask(nonce=SALT))  # and one whose committee is the same


def test_a_signed_certificate_for_a_quorum_request_and_the_other_way_round() -> None:
    plain = Certificate(tier="signed", receipt=SCENE.receipt_digest, quorum=None)
    assert {"certificate tier", "evidence"} <= failing(plain, ballots=())
    assert "evidence" in failing(bent(plain, tier="quorum"), ballots=())
    scene = Scene(tier="signed")
    dressed = Certificate(tier="signed", receipt=scene.receipt_digest, quorum=EVIDENCE)
    assert failing(dressed, request=scene.request, receipt=scene.receipt, ballots=()) == {"no other evidence"}
    unsupported: tuple[Tier, ...] = ("tee", "zk", "sampled")
    for tier in unsupported:
        scene = Scene(tier=tier)
        claimed = Certificate(tier=tier, receipt=scene.receipt_digest, quorum=None)
        assert failing(claimed, request=scene.request, receipt=scene.receipt, ballots=()) == {"evidence"}


def test_a_certificate_over_reject_votes() -> None:
    digest = SCENE.vote(0, Verdict.REJECT).vote.digest(SCENE.network.domain)
    rejects = [SCENE.vote(i, Verdict.REJECT) for i in range(4)]
    aggregate = halfagg.aggregate([(KEYS[i][1:], digest, v.signature) for i, v in enumerate(rejects)])
    assert "evidence" in failing(forged(aggregate=aggregate))


def test_ballots_hidden_from_the_proof() -> None:
    assert failing(REAL, ballots=BALLOTS[:3]) == {"ballots"}


def test_two_invalid_votes_that_aggregate_to_a_valid_one_are_stopped_before() -> None:
    digest = SCENE.vote(0).vote.digest(SCENE.network.domain)
    good = [SCENE.vote(i) for i in range(4)]
    bad = [v.signature for v in good]
    tag = halfagg._RANDOMIZER.copy()
    tag.update(bad[0][:32] + KEYS[0][1:] + digest + bad[1][:32] + KEYS[1][1:] + digest)
    z, shift = int.from_bytes(tag.digest(), "big"), 1
    first = (int.from_bytes(bad[0][32:], "big") + shift * z) % halfagg._ORDER
    second = (int.from_bytes(bad[1][32:], "big") - shift) % halfagg._ORDER
    bad[0] = bad[0][:32] + first.to_bytes(32, "big")
    bad[1] = bad[1][:32] + second.to_bytes(32, "big")
    aggregate = halfagg.aggregate([(KEYS[i][1:], digest, s) for i, s in enumerate(bad)])
    assert failing(forged(aggregate=aggregate)) == set()  # the aggregate itself shows nothing
    votes = {i: bent(v, signature=s) for i, (v, s) in enumerate(zip(good, bad, strict=True))}
    with pytest.raises(ValueError, match="void"):
        quorum.certify(SCENE.network, SCENE.committee, SCENE.receipt_digest, votes)
    assert "not signed" in void(judging(), 0, votes[0])
    assert "not signed" in void(judging(), 1, votes[1])
    # and a checker that has the originals beside it finds them
    ballots = tuple(bent(b, vote=votes[b.member]) for b in BALLOTS)
    assert failing(forged(aggregate=aggregate), ballots=ballots) == {"ballots"}


def test_too_few_votes_are_never_certified() -> None:
    with pytest.raises(ValueError, match="not more than the quorum"):
        SCENE.certificate((0, 1))
    votes = {**SCENE.votes((0, 1, 2)), 3: SCENE.vote(3, Verdict.REJECT)}
    with pytest.raises(ValueError, match="void"):
        quorum.certify(SCENE.network, SCENE.committee, SCENE.receipt_digest, votes)
