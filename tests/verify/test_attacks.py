"""Attacks on what the guards of a quorum trust: each is a thing that somebody with a motive would try.

The convener may be the provider itself, so a certificate is checked as if its worst enemy had made it.
"""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.verify.scenes import NOW, SALT, Scene, bent, floats, key_of, some_hash
from verify import halfagg
from verify.ballots import Case, Sitting
from verify.committee import Committee, committee_for
from verify.events import Faulted, MemberCommitted, MemberJudged
from verify.ladder import check_evidence
from verify.member import Member
from verify.openings import Outputs, place_of
from verify.round import LocalRoundError, Round
from verify.tiers import quorum
from wire.bounds import CLOCK_SKEW_MS
from wire.canonical import Amount
from wire.certificate import Certificate, QuorumEvidence
from wire.errors import RemoteError
from wire.inference import SignedReceipt, SignedRequest
from wire.network import Network, Registry, Verifier
from wire.tensors import Tensor
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
    claim = replace(SCENE.claim(certificate, ballots), network=network, request=request, receipt=receipt)
    return {c.name for c in check_evidence(claim) if not c.ok}


def forged(**changes: object) -> Certificate:
    return bent(REAL, quorum=bent(EVIDENCE, **changes))


def signed_by(*members: int) -> bytes:
    """The aggregate of these members' true votes, in this order, with no guard before it."""
    digest = SCENE.vote(0).vote.digest(SCENE.network.domain)
    return halfagg.aggregate([(KEYS[i][1:], digest, SCENE.vote(i).signature) for i in members])


def judging() -> Round:
    """A round in which all have committed and the answer is out."""
    round_ = Round(SCENE.network, SCENE.request, NOW)
    round_.handle(SCENE.answer_ready, NOW)
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
    round_ = Round(SCENE.network, SCENE.request, NOW)
    round_.handle(SCENE.answer_ready, NOW)
    assert "voted when it was executing" in void(round_, 0, SCENE.vote(0))


def test_a_reveal_that_does_not_open() -> None:
    for part in ("outputs", "root", "salt"):
        reveal = bent(SCENE.reveal(), **{part: some_hash("other")})
        assert "does not open" in void(judging(), 0, SCENE.vote(0), reveal)


def test_a_commit_copied_from_another_verifier() -> None:
    """A lazy verifier repeats what another sealed, signs it itself, and repeats the other's reveal when it is out."""
    sealed = SCENE.commit(1).commit
    round_ = Round(SCENE.network, SCENE.request, NOW)
    [fault] = round_.handle(MemberCommitted(KEYS[0], SCENE.commit(1)), NOW)  # sent as it is
    assert isinstance(fault, Faulted)
    round_ = Round(SCENE.network, SCENE.request, NOW)
    copied = sign_commit(sealed, SCENE.keys[0], SCENE.network.domain)
    assert round_.handle(MemberCommitted(KEYS[0], copied), NOW) == ()  # nobody can tell yet
    round_.handle(SCENE.answer_ready, NOW)
    assert "does not open" in void(round_, 0, SCENE.vote(0))


def test_a_verifier_that_seals_after_seeing_another_answer_cannot_open_to_it() -> None:
    mine = commitment(KEYS[0], SCENE.digest, some_hash("junk"), Outputs(SCENE.outputs).root, SALT)
    round_ = Round(SCENE.network, SCENE.request, NOW)
    round_.handle(MemberCommitted(KEYS[0], SCENE.commit(0, commitment=mine)), NOW)
    round_.handle(SCENE.answer_ready, NOW)
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
        round_ = Round(SCENE.network, SCENE.request, NOW)
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
    evidence = quorum.certify(network, committee, SCENE.receipt_digest, votes)
    assert {"committee", "evidence"} <= failing(bent(REAL, quorum=evidence), ballots=())
    lying = bent(evidence, committee=SCENE.committee.root)
    assert "evidence" in failing(bent(REAL, quorum=lying), ballots=())


def test_true_verifiers_that_were_not_drawn() -> None:
    """With more verifiers than seats, a provider can't pick the friendly ones."""
    scene = Scene(verifiers=8, size=4)
    left = [v for v in scene.network.verifiers if scene.committee.index_of(v.key) is None]
    friends = Committee(scene.network.epoch, tuple(sorted(left, key=lambda v: v.key)), (), (2, 3))
    keys = {key_of(f"verifier {i}").public: key_of(f"verifier {i}") for i in range(8)}
    vote = Vote(receipt=scene.receipt_digest, committee=friends.root, epoch=7, verdict=Verdict.ACCEPT)
    votes = {i: sign_vote(vote, keys[m.key], scene.network.domain) for i, m in enumerate(friends.members)}
    evidence = quorum.certify(scene.network, friends, scene.receipt_digest, votes)
    certificate = bent(scene.certificate(), quorum=evidence)
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
    plain = Certificate(tier="signed", receipt=SCENE.receipt_digest)
    assert {"certificate tier", "evidence"} <= failing(plain, ballots=())
    assert "evidence" in failing(bent(plain, tier="quorum"), ballots=())
    scene = Scene(tier="signed")
    dressed = Certificate(tier="signed", receipt=scene.receipt_digest, quorum=EVIDENCE)
    assert failing(dressed, request=scene.request, receipt=scene.receipt, ballots=()) == {"no other evidence"}
    unsupported: tuple[Tier, ...] = ("tee", "zk", "sampled")
    for tier in unsupported:
        scene = Scene(tier=tier)
        claimed = Certificate(tier=tier, receipt=scene.receipt_digest)
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


BENCHED = Scene(verifiers=8, size=4)  # with one reserve, at place 4


def certified_by(scene: Scene, places: Sequence[int]) -> QuorumEvidence:
    """A certificate of these places' true votes with no guard before it."""
    digest = scene.vote(0).vote.digest(scene.network.domain)
    signed = [(scene.keys[i].public[1:], digest, scene.vote(i).signature) for i in places]
    return QuorumEvidence(
        committee=scene.committee.root,
        epoch=scene.committee.epoch,
        signers=quorum.bitmap(places, len(scene.committee.places)),
        aggregate=halfagg.aggregate(signed),
    )


def failing_in(scene: Scene, evidence: QuorumEvidence, places: Sequence[int]) -> set[str]:
    certificate = Certificate(tier="quorum", receipt=scene.receipt_digest, quorum=evidence)
    return {c.name for c in check_evidence(scene.claim(certificate, [scene.ballot(i) for i in places])) if not c.ok}


def test_an_early_reveal_is_void_and_shows_nothing_that_could_be_copied_in_time() -> None:
    round_ = Round(SCENE.network, SCENE.request, NOW)
    round_.handle(MemberCommitted(KEYS[0], SCENE.commit(0)), NOW)
    assert "voted when it was committed" in void(round_, 0, SCENE.vote(0))
    # who has committed before it saw the reveal is bound; who has not can't open what it copies
    copied = sign_commit(SCENE.commit(0).commit, SCENE.keys[1], SCENE.network.domain)
    round_.handle(MemberCommitted(KEYS[1], copied), NOW)
    round_.handle(SCENE.answer_ready, NOW)
    assert "does not open" in void(round_, 1, SCENE.vote(1))


def test_a_vote_after_the_end_counts_for_nobody() -> None:
    round_ = judging()
    for i in range(2):
        round_.handle(MemberJudged(KEYS[i], SCENE.reveal(), SCENE.vote(i)), NOW)
    late = MemberJudged(KEYS[2], SCENE.reveal(), SCENE.vote(2))
    assert round_.handle(late, round_.deadline_ms) == ()
    assert round_.finish().result == "inconclusive"
    with pytest.raises(LocalRoundError):
        round_.handle(late, NOW)


def test_a_reserve_certifies_only_from_its_own_place() -> None:
    assert failing_in(BENCHED, certified_by(BENCHED, (0, 1, 4)), (0, 1, 4)) == set()
    beyond = bent(certified_by(BENCHED, (0, 1, 4)), signers=quorum.bitmap((0, 1, 5), 6))
    assert "evidence" in failing_in(BENCHED, beyond, (0, 1, 4))


def test_a_reserve_that_was_not_drawn() -> None:
    """A true verifier of the network's, but not on this bench, signs in the reserve's place."""
    drawn = {m.key for m in BENCHED.committee.places}
    other = next(key_of(f"verifier {i}") for i in range(8) if key_of(f"verifier {i}").public not in drawn)
    vote = sign_vote(BENCHED.vote(0).vote, other, BENCHED.network.domain)
    with pytest.raises(ValueError, match="void"):
        quorum.certify(BENCHED.network, BENCHED.committee, BENCHED.receipt_digest, {**BENCHED.votes((0, 1)), 4: vote})
    digest = vote.vote.digest(BENCHED.network.domain)
    signed = [(BENCHED.keys[i].public[1:], digest, BENCHED.vote(i).signature) for i in (0, 1)]
    aggregate = halfagg.aggregate([*signed, (other.public[1:], digest, vote.signature)])
    assert "evidence" in failing_in(BENCHED, bent(certified_by(BENCHED, (0, 1, 4)), aggregate=aggregate), (0, 1, 4))


def test_a_member_and_its_reserve_count_no_more_together_than_the_rule_lets_them() -> None:
    """The convener has all of the bench sign beside the members it likes: each counts no more than a member does."""
    for n in range(99):
        scene = Scene(verifiers=30, size=8, weights=(1,) * 29 + (6,))
        scene.__dict__["request"] = scene.ask(nonce=bytes([n]) * 32)
        if any(v.weight == 6 for v in scene.committee.bench):
            break
    bench = tuple(range(8, 10))
    assert scene.committee.weight(bench) == 2
    few, enough = (0, 1, 2, *bench), (0, 1, 2, 3, *bench)
    assert failing_in(scene, certified_by(scene, few), few) == {"quorum"}
    assert failing_in(scene, certified_by(scene, enough), enough) == set()


def test_a_committee_computed_from_a_stale_registry() -> None:
    """A new epoch has begun: who still draws from the old list certifies nothing, and no verifier sits for it."""
    was = Registry(**{name: getattr(SCENE.network, name) for name in Registry.__struct_fields__})
    others = tuple(Verifier(key=key_of(f"new {i}").public, weight=1) for i in range(3))
    listed = (*others, SCENE.network.verifiers[0])
    now = bent(SCENE.network, epoch=8, from_ms=NOW, beacon=bytes(32), verifiers=listed, past=(was,))
    assert "committee" in failing(REAL, network=now)
    # the same certificate over a request of before the change is valid still
    before = bent(now, from_ms=NOW + 1)
    assert failing(REAL, network=before) == set()
    # a commit that names the old committee is void
    round_ = Round(now, SCENE.request, NOW)
    place = round_.committee.index_of(listed[3].key)
    assert place is not None
    mine = next(i for i, key in enumerate(KEYS) if key == listed[3].key)
    [fault, *_] = round_.handle(MemberCommitted(listed[3].key, SCENE.commit(mine)), NOW)
    assert isinstance(fault, Faulted)
    assert "another committee or epoch (7, here 8)" in fault.reason
    # and a verifier that knows of the change has nothing to do with a request of the old epoch
    with pytest.raises(RemoteError, match="epoch 7, which has not begun or is over"):
        Member(before, SCENE.keys[0], SCENE.request, NOW + 1 + CLOCK_SKEW_MS)
    Member(before, SCENE.keys[0], SCENE.request, NOW + CLOCK_SKEW_MS)  # but for clocks at the change


def opening_round(scene: Scene, own: Sequence[Tensor]) -> Round:
    """A round in which member 0 has sealed these outputs, and the answer is out."""
    round_ = Round(scene.network, scene.request, NOW)
    round_.handle(scene.answer_ready, NOW)
    round_.handle(MemberCommitted(scene.keys[0].public, scene.commit(0, own)), NOW)
    return round_


def fault_of(scene: Scene, own: Sequence[Tensor], verdict: Verdict = Verdict.ACCEPT, **changes: object) -> str | None:
    """What is wrong with member 0's vote, which claims a small distance; None where it counts."""
    reveal = bent(scene.reveal(0, own, 3 if verdict == Verdict.ACCEPT else 12), **changes)
    said = MemberJudged(scene.keys[0].public, reveal, scene.vote(0, verdict))
    effects = opening_round(scene, own).handle(said, NOW)
    return effects[0].reason if effects and isinstance(effects[0], Faulted) else None


LARGE = Scene(outputs=(floats("scores", *(float(i % 97) for i in range(4096))),))
NOISE = (floats("scores", *(float(i * 7919 % 89) for i in range(4096))),)


def test_a_lazy_verifier_that_seals_noise_and_claims_a_small_distance() -> None:
    assert "beyond the tolerance" in str(fault_of(SCENE, (floats("scores", 1.0, 1.0, 1.0),)))
    assert "beyond the tolerance" in str(fault_of(LARGE, NOISE))
    assert "another size" in str(fault_of(LARGE, (floats("scores", 0.0),)))
    assert "opens nothing" in str(fault_of(LARGE, NOISE, opening=None))
    # who says that the answers differ is believed to have others
    assert fault_of(LARGE, NOISE, Verdict.REJECT) is None


def test_a_lazy_verifier_that_opens_another_block_than_was_drawn() -> None:
    """All of it is noise but one block, which is the one it would like to show."""
    drawn = place_of(LARGE.receipt_digest, LARGE.keys[0].public, 16)
    shown = (drawn + 1) % 16
    data = bytearray(NOISE[0].data)
    data[shown * 1024 : shown * 1024 + 1024] = LARGE.answer_ready.outputs[shown]
    own = (Tensor(NOISE[0].header, bytes(data)),)
    assert "another block than was drawn" in str(fault_of(LARGE, own, opening=Outputs(own).opened(shown)))
    assert "beyond the tolerance" in str(fault_of(LARGE, own))


def test_the_providers_own_bytes_are_opened_by_nobody_who_did_not_seal_them() -> None:
    theirs = LARGE.answer_ready.outputs
    place = place_of(LARGE.receipt_digest, LARGE.keys[0].public, 16)
    sealed = Outputs(NOISE).opened(place)
    for opening in (theirs.opened(place), bent(sealed, blocks=(theirs[place],))):
        assert "not what it sealed" in str(fault_of(LARGE, NOISE, opening=opening))
    assert "does not open the commitment" in str(fault_of(LARGE, NOISE, root=theirs.root, opening=theirs.opened(place)))
    whole = LARGE.receipt.receipt.outputs
    assert "does not open the commitment" in str(fault_of(LARGE, NOISE, outputs=whole, distance=0, opening=None))


def test_nan_is_never_near_anything() -> None:
    nan = float("nan")
    poisoned = Scene(outputs=(floats("scores", nan, 1.0, 2.0),))
    assert "beyond the tolerance" in str(fault_of(SCENE, (floats("scores", nan, -2.0, 1.25),)))
    assert "beyond the tolerance" in str(fault_of(poisoned, (floats("scores", 1.0, 1.0, 2.0),)))
    assert "beyond the tolerance" in str(fault_of(poisoned, (floats("scores", nan, 1.0, 2.0000002),)))


def test_an_honest_verifier_on_other_hardware_is_no_lazy_one() -> None:
    near = (floats("scores", *(float(i % 97) * (1 + 3e-7) for i in range(4096))),)
    assert fault_of(LARGE, near) is None
    assert fault_of(SCENE, (floats("scores", 0.5000001, -2.0, 1.25),)) is None


def test_a_ballot_of_a_lazy_verifier_is_noticed_in_a_file_as_well() -> None:
    lazy = Ballot(member=0, commit=LARGE.commit(0, NOISE), reveal=LARGE.reveal(0, NOISE, 3), vote=LARGE.vote(0))
    ballots = [lazy, *(LARGE.ballot(i) for i in range(1, 4))]
    failed = [c for c in check_evidence(LARGE.claim(LARGE.certificate(), ballots)) if not c.ok]
    assert [c.name for c in failed] == ["ballots"]
    assert "what it opens of scores is beyond the tolerance" in failed[0].detail
