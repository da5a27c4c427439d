"""Two words where there is one: each kind slashes once, by wire's own signatures, and nothing that nearly is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.settle.evm import ETHER, Reverted
from tests.verify.scenes import bent, floats, key_of, some_hash
from wire.canonical import Amount
from wire.chain import EPOCH_ROOT, RULING
from wire.eip712 import Domain
from wire.fraud import FRAUD, TwoCommits, TwoReceipts, TwoVotes, fraud_digest
from wire.inference import sign_receipt
from wire.vote import COMMIT, VOTE, Verdict, sign_commit, sign_vote

from .bonds import DAY, PARAMETERS, RULES
from .court import Court, commit_of, receipt_of, receipts_of, vote_of

TWO_ROOTS = 6
ROOT = {"epoch": 3, "root": b"\1" * 32, "count": 5, "total": 600, "receipts": b"\2" * 32}
OTHER = (floats("scores", 9.0, 9.0, 9.0),)
HASHES, WORDS = st.binary(min_size=32, max_size=32), st.integers(0, 2**64 - 1)


@pytest.fixture(scope="module")
def calm() -> Court:
    """For what is refused: nothing changes."""
    return Court()


@pytest.fixture
def court() -> Court:
    return Court()


def root_digest(domain: Domain, **changes: Any) -> bytes:
    return EPOCH_ROOT.digest(domain, *(ROOT | changes).values())


# ---------------------------------------------------------------------------------------------------- what words are


@given(HASHES, HASHES, WORDS, st.integers(0, 255))
@settings(max_examples=10)
def test_a_vote_and_a_commit_have_wires_digests(calm: Court, a: bytes, b: bytes, epoch: int, verdict: int) -> None:
    domain = calm.case.network.domain
    assert calm.evidence.call("voteDigest", (a, b, epoch, verdict)) == VOTE.digest(domain, a, b, epoch, verdict)
    assert calm.evidence.call("commitDigest", (a, b, epoch, a)) == COMMIT.digest(domain, a, b, epoch, a)


@given(HASHES, WORDS, st.integers(0, 2**32 - 1), st.integers(0, 2**128 - 1), st.booleans())
@settings(max_examples=10)
def test_a_root_and_a_ruling_have_wires_digests(
    calm: Court, root: bytes, epoch: int, count: int, total: int, upheld: bool
) -> None:
    domain, words = calm.case.network.domain, (epoch, root, count, total, root[::-1])
    assert calm.evidence.call("rootDigest", words) == EPOCH_ROOT.digest(domain, *words)
    assert calm.evidence.call("rulingDigest", root, upheld) == RULING.digest(domain, root, upheld)


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**128 - 1), st.sampled_from(["signed", "sampled", "tee+quorum"]))
@settings(max_examples=10)
def test_a_receipt_has_wires_digest(calm: Court, number: int, price: int, tier: Any) -> None:
    said = bent(calm.case.receipt.receipt, price=Amount(price), tier=tier, started_ms=number, finished_ms=number // 2)
    assert calm.evidence.call("receiptDigest", receipt_of(said)) == said.digest(calm.case.network.domain)


# -------------------------------------------------------------------------------------------------- what settles itself


def two_votes(court: Court, domain: Domain | None = None, **changes: Any) -> list[Any]:
    """Member 1's ACCEPT, and its REJECT with some of it changed, as `twoVotes` takes them."""
    key, first = court.case.keys[1], court.case.vote(1)
    vote = bent(court.case.vote(1, Verdict.REJECT).vote, **changes)
    second = sign_vote(vote, key, domain or court.case.network.domain)
    return [key.address, vote_of(first.vote), first.signature, vote_of(second.vote), second.signature]


def two_commits(court: Court, domain: Domain | None = None, **changes: Any) -> list[Any]:
    key, first = court.case.keys[1], court.case.commit(1)
    second = sign_commit(bent(court.case.commit(1, OTHER).commit, **changes), key, domain or court.case.network.domain)
    return [key.address, commit_of(first.commit), first.signature, commit_of(second.commit), second.signature]


def two_receipts(court: Court, domain: Domain | None = None, **changes: Any) -> list[Any]:
    first = court.case.receipt
    said = bent(first.receipt, **({"outputs": some_hash("others")} | changes))
    second = sign_receipt(said, court.case.provider, domain or court.case.network.domain)
    return list(receipts_of(first, second))


def two_roots(court: Court, domain: Domain | None = None, **changes: Any) -> list[Any]:
    key, ours = court.case.keys[1], court.case.network.domain
    second = {"root": b"\3" * 32} | changes
    return [
        key.address,
        ROOT,
        key.sign(root_digest(ours)),
        ROOT | second,
        key.sign(root_digest(domain or ours, **second)),
    ]


Shown = Callable[..., list[Any]]
KINDS: dict[str, Shown] = {
    "twoVotes": two_votes,
    "twoCommits": two_commits,
    "twoReceipts": two_receipts,
    "twoRoots": two_roots,
}


def name_of(court: Court, kind: str) -> tuple[bytes, bytes]:
    """What wire calls the fraud, and whose it is."""
    case, domain, liar = court.case, court.case.network.domain, court.case.keys[1]
    if kind == "twoVotes":
        votes = TwoVotes(verifier=liar.public, first=case.vote(1, Verdict.REJECT), second=case.vote(1))
        return fraud_digest(votes, domain), liar.address
    if kind == "twoCommits":
        commits = TwoCommits(verifier=liar.public, first=case.commit(1, OTHER), second=case.commit(1))
        return fraud_digest(commits, domain), liar.address
    if kind == "twoReceipts":
        receipts = TwoReceipts(first=case.answer(outputs=some_hash("others")), second=case.receipt)
        return fraud_digest(receipts, domain), case.provider.address
    words = sorted((root_digest(domain), root_digest(domain, root=b"\3" * 32)))
    return FRAUD.digest(domain, TWO_ROOTS, liar.address, ROOT["receipts"], *words), liar.address


@pytest.mark.parametrize(("number", "kind"), [(1, "twoVotes"), (2, "twoCommits"), (3, "twoReceipts"), (6, "twoRoots")])
def test_it_slashes_once_whoever_shows_it_in_whichever_order(court: Court, number: int, kind: str) -> None:
    fraud, culprit = name_of(court, kind)
    before, args = court.behind(culprit), KINDS[kind](court)
    done = court.show(kind, *args)
    assert done.event("Shown").values == {
        "fraud": fraud, "kind": number, "culprit": culprit, "reporter": court.reporter.address,
    }  # fmt: skip
    taken = before * RULES[f"{kind}Bps"] // 10_000
    assert court.behind(culprit) == before - taken
    assert court.bonds.has(court.reporter.address) == taken * PARAMETERS["reporterBps"] // 10_000
    assert court.registry.call("jailedUntil", culprit)
    assert court.evidence.call("isKnown", fraud)
    with pytest.raises(Reverted, match="AlreadyShown"):
        court.show(kind, *args)
    words = args[-4:]
    with pytest.raises(Reverted, match="AlreadyShown"):
        court.show(kind, *args[:-4], *words[2:], *words[:2])
    assert court.behind(culprit) == before - taken


def test_another_fraud_of_the_same_node_is_slashed_too(court: Court) -> None:
    for kind in ("twoVotes", "twoCommits", "twoRoots"):
        court.show(kind, *KINDS[kind](court))
    before = ETHER + 7
    for bps in (2_000, 1_000, 4_000):
        before -= before * bps // 10_000
    assert court.behind(court.case.keys[1].address) == before


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_said_on_another_network_is_none_here(calm: Court, kind: str) -> None:
    ours = calm.case.network.domain
    other_standard = bent(ours, name="x402 Batch Settlement")
    for domain in (bent(ours, chain_id=1), bent(ours, contract=b"\x99" * 20), other_standard):
        with pytest.raises(Reverted, match="NotSignedBy"):
            calm.show(kind, *KINDS[kind](calm, domain))


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_word_twice_is_one(calm: Court, kind: str) -> None:
    *who, first, signature, _, _ = KINDS[kind](calm)
    with pytest.raises(Reverted, match="WordsAreTheSame"):
        calm.show(kind, *who, first, signature, first, signature)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("twoVotes", {"receipt": some_hash("another")}),
        ("twoVotes", {"committee": some_hash("another")}),
        ("twoVotes", {"epoch": 2}),
        ("twoCommits", {"request": some_hash("another")}),
        ("twoCommits", {"committee": some_hash("another")}),
        ("twoCommits", {"epoch": 2}),
        ("twoReceipts", {"request": some_hash("another")}),
        ("twoReceipts", {"provider": key_of("verifier 1").address}),
        ("twoRoots", {"epoch": 4}),
        ("twoRoots", {"receipts": some_hash("more have come in")}),
    ],
)
def test_words_on_different_things_are_two(calm: Court, kind: str, changes: dict[str, Any]) -> None:
    with pytest.raises(Reverted, match="NotOnOneSubject"):
        calm.show(kind, *KINDS[kind](calm, **changes))


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_is_slashed_for_what_it_did_not_sign(calm: Court, kind: str) -> None:
    args = KINDS[kind](calm)
    if kind != "twoReceipts":  # a receipt names who signed it
        with pytest.raises(Reverted, match="NotSignedBy"):
            calm.show(kind, calm.case.keys[0].address, *args[1:])
        with pytest.raises(Reverted, match="UnknownNode"):
            calm.show(kind, key_of("a stranger").address, *args[1:])
    for place in (-1, -3):
        good = args[place]
        bad = good[:40] + bytes([good[40] ^ 1]) + good[41:]
        for signature in (bad, good[:-1], good + b"\0", b"", bytes(len(good)), args[-4 - place]):
            bent_args = [*args]
            bent_args[place] = signature
            with pytest.raises(Reverted, match="NotSignedBy"):
                calm.show(kind, *bent_args)


def test_somebody_who_is_no_provider_here_has_nothing_to_lose(calm: Court) -> None:
    stranger = key_of("a stranger")
    first = bent(calm.case.receipt.receipt, provider=stranger.address)
    second = bent(first, outputs=some_hash("others"))
    domain = calm.case.network.domain
    with pytest.raises(Reverted, match="UnknownNode"):
        calm.show(
            "twoReceipts", *receipts_of(sign_receipt(first, stranger, domain), sign_receipt(second, stranger, domain))
        )


def test_a_verifier_signs_with_one_scheme(calm: Court) -> None:
    """An ECDSA signature over a vote is none, nor is a BIP340 one over a receipt."""
    args, key, domain = two_votes(calm), calm.case.keys[1], calm.case.network.domain
    digest = VOTE.digest(domain, *args[3])
    with pytest.raises(Reverted, match="NotSignedBy"):
        calm.show("twoVotes", *args[:4], key.sign(digest)[:64])
    args = two_receipts(calm)
    with pytest.raises(Reverted, match="NotSignedBy"):
        calm.show("twoReceipts", *args[:3], calm.case.provider.sign_schnorr(calm.case.receipt_digest) + b"\0")


def test_who_is_leaving_is_slashed_still(court: Court) -> None:
    node = court.case.keys[1].address
    owner = court.owner_of(node)
    shares = court.registry.call("sharesOf", node, owner.address)
    court.registry.send("unbond", node, shares, by=owner)
    court.evm.forward(7 * DAY)  # it could leave now
    court.show("twoVotes", *two_votes(court))
    court.registry.send("withdraw", 0, by=owner)
    assert court.bonds.has(owner.address) == shares - shares * 2_000 // 10_000


# ------------------------------------------------------------------------------------------------------------- rules


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("twoVotesBps", 1, 10_000), ("twoCommitsBps", 1, 10_000), ("twoReceiptsBps", 1, 10_000),
        ("twoRootsBps", 1, 10_000), ("wrongAnswerBps", 1, 10_000), ("minMembers", 1, 64),
        ("contestSeconds", 30, 14 * DAY), ("rulingSeconds", 30, 14 * DAY),
    ],
)  # fmt: skip
def test_each_rule_has_its_bounds(court: Court, name: str, least: int, most: int) -> None:
    court.registry.send("setParameters", PARAMETERS | {"unbondingSeconds": 60 * DAY})
    for value in (least, most):
        court.evidence.send("setRules", RULES | {name: value})
        assert court.evidence.call("rules")[name] == value
    for value in (least - 1, most + 1):
        with pytest.raises(Reverted, match=f"OutOfBounds.*{name}"):
            court.evidence.send("setRules", RULES | {name: value})


def test_rules_are_the_owners(calm: Court) -> None:
    with pytest.raises(Reverted, match="OwnableUnauthorizedAccount"):
        calm.evidence.send("setRules", RULES, by=calm.reporter)


def test_an_accusation_ends_before_anybody_can_leave(court: Court) -> None:
    with pytest.raises(Reverted, match="OutOfBounds"):
        court.evidence.send("setRules", RULES | {"rulingSeconds": 6 * DAY})  # as long as unbonding
    with pytest.raises(Reverted, match=r"OutOfBounds.*unbondingSeconds"):
        court.registry.send("setParameters", PARAMETERS | {"unbondingSeconds": 3 * DAY})
    court.registry.send("setParameters", PARAMETERS | {"unbondingSeconds": 3 * DAY + 1})
    with pytest.raises(Reverted, match="OutOfBounds"):
        Court(contestSeconds=5 * DAY)
