"""A wrong answer: what the committee refused accuses, what nobody contests holds, else the settlers' ruling decides."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import pytest

from tests.settle.evm import Reverted
from tests.verify.scenes import bent, key_of, some_hash
from verify.tiers import quorum
from wire.chain import RULING
from wire.fraud import WrongAnswer, fraud_digest
from wire.inference import sign_receipt
from wire.vote import Verdict

from .bonds import DAY, PARAMETERS, RULES
from .court import EPOCH_SECONDS, Court, committee_of, receipt_of

HEAVY = (50, 40, 30, 20, 10, 5, 3)  # a committee of four of these has a bench


@pytest.fixture(scope="module")
def calm() -> Court:
    """For what is refused: nothing changes."""
    return Court()


@pytest.fixture
def court() -> Court:
    return Court()


def wire_name(court: Court, members: tuple[int, ...] = (0, 1, 2)) -> bytes:
    """What wire calls the fraud; the ballots are not in its name."""
    case = court.case
    rejected = quorum.certify(
        case.network, case.committee, case.receipt_digest,
        {i: case.vote(i, Verdict.REJECT) for i in members}, Verdict.REJECT,
    )  # fmt: skip
    wrong = WrongAnswer(request=case.request, receipt=case.receipt, rejected=rejected, ballots=())
    return fraud_digest(wrong, case.network.domain)


# --------------------------------------------------------------------------------------------------------- committees


@pytest.mark.parametrize(
    ("weights", "size"), [((1, 1, 1, 1), 16), (HEAVY, 4), (tuple(range(1, 14)), 9), ((1,) * 10, 8)]
)
def test_a_committee_has_the_root_and_counts_of_the_draw(weights: tuple[int, ...], size: int) -> None:
    court = Court(weights, size)
    committee = court.case.committee
    told = court.evidence.call("committeeRoot", committee_of(committee, court.case.keys))
    assert told == {"root": committee.root, "counts": list(committee.counts)}
    assert bool(committee.bench) == (size < len(weights))


def test_less_than_a_token_weighs_one() -> None:
    court = Court(minMembers=3)
    court.registry.send("setParameters", PARAMETERS | {"verifierBond": 10**6})
    for i in range(4):
        court.registry.send("unbond", court.case.keys[i].address, 10**17, by=court.owner_of(court.case.keys[i].address))
    court.evm.forward(EPOCH_SECONDS)
    court.epochs.send("open")
    committee = committee_of(court.case.committee, court.case.keys) | {"epoch": 2}
    assert court.evidence.call("committeeRoot", committee)["counts"] == [1] * 4


# ----------------------------------------------------------------------------------------------- how it takes its way


def test_nobody_contests_and_it_holds(court: Court) -> None:
    case, before = court.case, court.behind(court.provider)
    done = court.show("accuse", *court.accusation())
    until = court.evm.now + RULES["contestSeconds"]
    assert done.event("Accused").values == {
        "fraud": wire_name(court), "receipt": case.receipt_digest, "culprit": court.provider,
        "reporter": court.reporter.address, "until": until,
    }  # fmt: skip
    fraud = wire_name(court)
    assert court.evidence.call("isKnown", fraud)
    assert not court.evidence.call("isRefused", case.receipt_digest)
    with pytest.raises(Reverted, match="StillContestable"):
        court.show("execute", fraud)
    court.evm.forward(until - court.evm.now)
    assert court.evidence.call("isRefused", case.receipt_digest)  # nobody has to execute it first
    assert court.evidence.call("refusedAt", case.receipt_digest) == until
    said = court.evidence.send("execute", fraud, by=court.evm.account(51)).event("Shown").values
    assert said == {"fraud": fraud, "kind": 4, "culprit": court.provider, "reporter": court.reporter.address}
    assert court.behind(court.provider) == before // 2
    assert court.bonds.has(court.reporter.address) == before // 10
    assert court.evidence.call("isRefused", case.receipt_digest)
    for call in (("execute", fraud), ("accuse", *court.accusation()), ("accuse", *court.accusation((1, 2, 3)))):
        with pytest.raises(Reverted, match="AlreadyShown"):
            court.show(*call)
    with pytest.raises(Reverted, match="ContestIsOver"):
        court.evidence.send("contest", fraud, court.provider, by=court.provider_owner)


def contested(court: Court) -> bytes:
    fraud = court.accuse()
    court.evidence.send("contest", fraud, court.provider, by=court.provider_owner)
    return fraud


def test_contested_it_holds_when_the_settlers_say_so(court: Court) -> None:
    fraud, before = contested(court), court.behind(court.provider)
    court.evm.forward(RULES["contestSeconds"])
    assert not court.evidence.call("isRefused", court.case.receipt_digest)
    with pytest.raises(Reverted, match=r"ContestedNeedsRuling"):
        court.show("execute", fraud)
    ruling = court.ruling(fraud, True, court.case.keys[:3])
    court.evidence.send("rule", *ruling)
    assert court.evidence.call("refusedAt", court.case.receipt_digest) == court.evm.now
    assert court.evidence.call("isRefused", court.case.receipt_digest)
    assert court.behind(court.provider) == before // 2
    assert court.bonds.has(court.reporter.address) == before // 10
    for call in (("rule", *ruling), ("rule", *court.ruling(fraud, False, court.case.keys))):
        with pytest.raises(Reverted, match="AlreadyShown"):
            court.show(*call)


def test_a_dismissed_one_frames_nobody(court: Court) -> None:
    fraud, before = contested(court), court.behind(court.provider)
    court.evidence.send("rule", *court.ruling(fraud, False, court.case.keys))
    court.evm.forward(10 * DAY)
    assert not court.evidence.call("isRefused", court.case.receipt_digest)
    for call in (("execute", fraud), ("rule", *court.ruling(fraud, True, court.case.keys))):
        with pytest.raises(Reverted, match=r"ContestedNeedsRuling|AlreadyShown"):
            court.show(*call)
    with pytest.raises(Reverted, match="AlreadyShown"):
        court.show("accuse", *court.accusation())
    assert court.behind(court.provider) == before
    assert not court.registry.call("jailedUntil", court.provider)


def test_contested_and_never_ruled_on_it_comes_to_nothing(court: Court) -> None:
    fraud = contested(court)
    court.evm.forward(RULES["contestSeconds"] + RULES["rulingSeconds"])
    with pytest.raises(Reverted, match="RulingIsLate"):
        court.evidence.send("rule", *court.ruling(fraud, True, court.case.keys))
    assert not court.evidence.call("isRefused", court.case.receipt_digest)


def test_who_may_contest(court: Court) -> None:
    fraud = court.accuse()
    verifier = court.case.keys[0].address
    for node, by in (
        (court.provider, court.reporter),  # not its owner
        (verifier, court.provider_owner),
        (key_of("a stranger").address, court.reporter),
        (bytes(20), court.reporter),
    ):
        with pytest.raises(Reverted, match="MayNotContest"):
            court.evidence.send("contest", fraud, node, by=by)
    owner = court.owner_of(verifier)
    court.registry.send("setRoles", verifier, 0, by=owner)
    with pytest.raises(Reverted, match="MayNotContest"):  # a node that is nothing has nothing at stake
        court.evidence.send("contest", fraud, verifier, by=owner)
    court.registry.send("setRoles", verifier, 2, by=owner)
    court.evidence.send("contest", fraud, verifier, by=owner)
    assert court.evidence.call("accusation", fraud)["contested"]
    for call in (("contest", some_hash("none"), verifier), ("execute", some_hash("none"))):
        with pytest.raises(Reverted, match="UnknownAccusation"):
            court.evidence.send(*call, by=owner)


def test_the_accused_contests_even_when_it_is_out(court: Court) -> None:
    court.registry.send("setRoles", court.provider, 0, by=court.provider_owner)
    contested(court)


def test_a_provider_that_never_registered_is_refused_all_the_same(court: Court) -> None:
    """It has no bond to lose; but nobody is to be paid for that receipt."""
    stranger, case = court.evm.account(40), court.case
    said = bent(case.receipt.receipt, provider=stranger.address)
    signed = sign_receipt(said, stranger, case.network.domain)
    digest = said.digest(case.network.domain)
    votes = [vote.signature for vote in court.refusals((0, 1, 2), receipt=digest)]
    accusation = {"receipt": receipt_of(said), "signature": signed.signature, "signatures": votes}
    fraud = court.accuse(**accusation)
    court.evm.forward(RULES["contestSeconds"])
    assert court.evidence.call("isRefused", digest)
    done = court.show("execute", fraud)
    assert [event.name for event in done.events] == ["Shown"]
    again = Court()  # or it says no, by its own key
    assert again.case.network == case.network
    fraud = again.accuse(**accusation)
    with pytest.raises(Reverted, match="MayNotContest"):
        again.evidence.send("contest", fraud, stranger.address, by=again.reporter)
    again.evidence.send("contest", fraud, stranger.address, by=stranger)
    assert again.evidence.call("accusation", fraud)["contested"]


def test_who_leaves_when_accused_does_not_get_away(court: Court) -> None:
    """Even contested, and ruled on at the last moment."""
    shares = court.behind(court.provider)
    court.registry.send("unbond", court.provider, shares, by=court.provider_owner)
    fraud = contested(court)
    court.evm.forward(RULES["contestSeconds"] + RULES["rulingSeconds"] - 5)
    with pytest.raises(Reverted, match="StillUnbonding"):
        court.registry.send("withdraw", 0, by=court.provider_owner)
    court.evidence.send("rule", *court.ruling(fraud, True, court.case.keys))
    court.evm.forward(7 * DAY)
    court.registry.send("withdraw", 0, by=court.provider_owner)
    assert court.bonds.has(court.provider_owner.address) == shares // 2


# ------------------------------------------------------------------------------------------------------------ rulings


def test_a_ruling_takes_more_than_two_thirds_of_the_settlers() -> None:
    court = Court((4, 2, 2, 1))
    four, two, other, one = sorted(court.case.keys, key=lambda k: -court.behind(k.address))
    fraud = contested(court)
    for few in ([], [four], [four, one], [two, other, one], [four, two]):
        with pytest.raises(Reverted, match="NotEnoughStake"):
            court.evidence.send("rule", *court.ruling(fraud, True, few))
    court.evidence.send("rule", *court.ruling(fraud, True, [four, two, one]))
    alike = Court((1, 1, 1))
    fraud = contested(alike)
    with pytest.raises(Reverted, match="NotEnoughStake"):  # two thirds, to the unit
        alike.evidence.send("rule", *alike.ruling(fraud, True, alike.case.keys[:2]))


def test_a_ruling_is_signed_by_settlers_each_once_and_for_this(court: Court) -> None:
    fraud, keys = contested(court), court.case.keys
    name, upheld, signers, signatures = court.ruling(fraud, True, keys)
    stranger = court.ruling(fraud, True, [*keys, key_of("a stranger")])
    away = bent(court.case.network.domain, chain_id=1)
    elsewhere = [next(k for k in keys if k.address == s).sign(RULING.digest(away, fraud, True)) for s in signers]
    for wrong, ruling in (
        ("NotSignedBy", court.ruling(fraud, True, keys, signs=False)),
        ("NotSignedBy", court.ruling(some_hash("another"), True, keys)),
        ("SignersNotSorted", (signers[::-1], signatures[::-1])),
        ("SignersNotSorted", (signers[:1] * 4, signatures[:1] * 4)),
        ("SignersNotSorted", (signers, signatures[:-1])),
        ("NotSignedBy", (signers, signatures[1:] + signatures[:1])),
        ("NotSignedBy", (signers, elsewhere)),
        ("UnknownNode", stranger),
    ):
        with pytest.raises(Reverted, match=wrong):
            court.evidence.send("rule", name, upheld, *ruling[-2:])
    court.evidence.send("rule", name, upheld, signers, signatures)


def test_nobody_rules_on_what_nobody_contested(court: Court) -> None:
    fraud = court.accuse()
    with pytest.raises(Reverted, match="NotContested"):
        court.evidence.send("rule", *court.ruling(fraud, True, court.case.keys))


def test_the_settlers_of_the_accusations_block_rule(court: Court) -> None:
    """Who bonds afterwards, or leaves, changes nothing."""
    fraud = contested(court)
    court.bonds.bond(court.case.keys[3].address, 10**6 * 10**18, court.owner_of(court.case.keys[3].address))
    with pytest.raises(Reverted, match="NotEnoughStake"):
        court.evidence.send("rule", *court.ruling(fraud, False, court.case.keys[2:]))
    court.evidence.send("rule", *court.ruling(fraud, True, court.case.keys[:3]))


def test_the_accused_does_not_rule_on_itself(court: Court) -> None:
    """Nor does its stake count among those who could: else a large settler could never be found at fault."""
    court.bonds.bond(court.provider, 1_000 * 10**18, court.provider_owner)
    court.registry.send("setRoles", court.provider, 1 | 4, by=court.provider_owner)
    fraud = contested(court)
    with pytest.raises(Reverted, match="MayNotJudge"):
        court.evidence.send("rule", *court.ruling(fraud, False, [*court.case.keys, court.case.provider]))
    court.evidence.send("rule", *court.ruling(fraud, True, court.case.keys[:3]))


# -------------------------------------------------------------------------------------------------------- near misses


def test_reserves_count_as_in_the_draw() -> None:
    court = Court(range(9, 1, -1), 5)
    committee = court.case.committee
    weights, members = [p.weight for p in committee.places], range(len(committee.members))
    subsets = [c for n in range(8) for c in combinations(range(len(weights)), n)]

    def carries(subset: tuple[int, ...], counts: Sequence[int]) -> bool:
        return committee.carries(sum(counts[i] for i in subset))

    heavy = next(c for c in subsets if carries(c, weights) and not carries(c, committee.counts))
    with pytest.raises(Reverted, match="NotEnoughWeight"):
        court.accuse(heavy)
    stood_in = next(c for c in subsets if carries(c, committee.counts) and not set(c) <= set(members))
    assert court.accuse(stood_in) == wire_name(court, stood_in)


def test_two_thirds_are_not_enough(calm: Court) -> None:
    court = Court((1, 1, 1))
    with pytest.raises(Reverted, match=r"NotEnoughWeight\(has 2, total 3\)"):
        court.show("accuse", *court.accusation((0, 1)))
    with pytest.raises(Reverted, match=r"NotEnoughWeight\(has 2, total 4\)"):
        calm.show("accuse", *calm.accusation((0, 1)))
    with pytest.raises(Reverted, match=r"NotEnoughWeight\(has 0, total 4\)"):
        calm.show("accuse", *calm.accusation(()))


def test_every_vote_has_to_be_a_refusal_of_this_receipt(calm: Court) -> None:
    good = [vote.signature for vote in calm.refusals((0, 1, 2))]
    for bad in (
        calm.refusals((2,), Verdict.ACCEPT), calm.refusals((2,), Verdict.ABSTAIN), calm.refusals((3,)),
        calm.refusals((2,), receipt=some_hash("another")), calm.refusals((2,), epoch=2),
        calm.refusals((2,), committee=some_hash("another")),
    ):  # fmt: skip
        with pytest.raises(Reverted, match="NotSignedBy"):
            calm.show("accuse", *calm.accusation(signatures=[*good[:2], bad[0].signature]))
    for wrong, changes in (
        ("SignersNotSorted", {"signers": [0, 0, 1], "signatures": [good[0], good[0], good[1]]}),
        ("SignersNotSorted", {"signers": [2, 1, 0], "signatures": good[::-1]}),
        ("SignersNotSorted", {"signatures": good[:2]}),
        ("UnknownPlace", {"signers": [0, 1, 4]}),
    ):
        with pytest.raises(Reverted, match=wrong):
            calm.show("accuse", *calm.accusation(**changes))


def test_the_provider_has_to_have_signed_that_receipt_here(calm: Court) -> None:
    said = calm.case.receipt.receipt
    away = bent(calm.case.network.domain, contract=b"\x99" * 20)
    for signature in (
        calm.case.answer(outputs=some_hash("others")).signature,
        calm.case.payer.sign(calm.case.receipt_digest),
        calm.case.provider.sign(said.digest(away)),
        bytes(65),
    ):
        with pytest.raises(Reverted, match="NotSignedBy"):
            calm.show("accuse", *calm.accusation(signature=signature))
    with pytest.raises(Reverted, match="NotSignedBy"):  # a receipt that it did not write
        calm.show("accuse", *calm.accusation(receipt=receipt_of(bent(said, outputs=some_hash("others")))))
    with pytest.raises(Reverted, match="NotJudgedByCommittee"):
        calm.show("accuse", *calm.accusation(receipt=receipt_of(bent(said, tier="tee"))))
    with pytest.raises(Reverted, match="NotSignedBy"):
        calm.show("accuse", *calm.accusation(receipt=receipt_of(bent(said, provider=key_of("a stranger").address))))


def refuses_committee(court: Court, wrong: str, **changes: Any) -> None:
    good = committee_of(court.case.committee, court.case.keys)
    with pytest.raises(Reverted, match=wrong):
        court.show("accuse", *court.accusation(committee=good | changes))


def test_a_committee_that_was_made_up(calm: Court) -> None:
    places = [k.address for k in calm.case.keys]
    refuses_committee(calm, "NotSignedBy", places=places[:3], size=3)  # the votes name another
    refuses_committee(calm, "CommitteeOutOfBounds", places=places[:2], size=2)
    refuses_committee(calm, "CommitteeOutOfBounds", size=5)  # more members than places
    refuses_committee(calm, "CommitteeOutOfBounds", size=0)
    refuses_committee(calm, "TooManyReserves", places=[*places, *places], size=4)
    refuses_committee(calm, "CommitteeNotSorted", places=places[::-1])
    odd_first = [k.address for k in sorted(calm.case.keys, key=lambda k: (-k.public[0], k.public))]
    assert odd_first != places  # a key's first byte, the parity, comes before its x
    refuses_committee(calm, "CommitteeNotSorted", places=odd_first)
    refuses_committee(calm, "CommitteeNotSorted", places=[places[0], places[0], *places[1:3]])
    refuses_committee(calm, "CommitteeNotSorted", places=[*places, places[0]], size=4)  # its own reserve
    refuses_committee(calm, "NotVerifierThen", places=[*places[:3], key_of("a stranger").address])
    refuses_committee(calm, "NotVerifierThen", places=[*places, calm.provider], size=4)
    refuses_committee(calm, "EpochNotOpened", epoch=2)
    refuses_committee(calm, "NotVerifierThen", epoch=0)  # before any of them came


def test_a_bench_too_heavy_was_not_drawn() -> None:
    court = Court((2,) * 7, 5)
    good = committee_of(court.case.committee, court.case.keys)
    assert len(good["places"]) == 6  # rule 2 of the draw lets one reserve in: two would count four of ten
    seventh = next(k for i in range(7) if (k := key_of(f"verifier {i}")) not in court.case.keys)
    refuses_committee(court, "TooManyReserves", places=[*good["places"], seventh.address])


def test_neither_who_asked_nor_who_answered_may_judge(calm: Court) -> None:
    judge = calm.case.keys[0]
    said = calm.case.receipt.receipt
    for changed, key in (
        (bent(said, payer=judge.address), calm.case.provider),
        (bent(said, provider=judge.address), judge),
    ):
        signed = sign_receipt(changed, key, calm.case.network.domain)
        with pytest.raises(Reverted, match="MayNotJudge"):
            calm.show("accuse", *calm.accusation(receipt=receipt_of(changed), signature=signed.signature))


def test_a_verifier_that_came_later_has_no_place(court: Court) -> None:
    key = key_of("verifier 9")
    court.bonds.enter(key, court.bonds.owner(9), 2)
    court.bonds.bond(key.address, 5 * 10**18, court.bonds.owner(9))
    places = [k.address for k in sorted((*court.case.keys, key), key=lambda k: k.public)]
    with pytest.raises(Reverted, match="NotVerifierThen"):
        court.evidence.call("committeeRoot", {"epoch": 1, "size": 5, "places": places})
    court.evm.forward(EPOCH_SECONDS)
    court.epochs.send("open")
    assert court.evidence.call("committeeRoot", {"epoch": 2, "size": 5, "places": places})
