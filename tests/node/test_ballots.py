"""Counting a committee's ballots, and hearing what it said behind a silent provider's back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from node.ballots import Count, count_ballots, kept_back
from node.bounds import BALLOT_SECONDS
from node.peer import Peer
from node.signal import Signal
from storage.frauds import Kept
from tests.verify.scenes import Scene, bent, floats, key_of, some_hash
from verify import Outputs
from verify.fraud import verify_fraud
from wire.committee import AskBallot, BallotReply
from wire.errors import ErrorCode, RemoteError
from wire.fraud import FraudKind
from wire.inference import SignedReceipt, sign_receipt
from wire.network import Network
from wire.vote import Ballot, Verdict

SCENE = Scene()
REJECT = Verdict.REJECT


def count(*ballots: Ballot) -> Count:
    return count_ballots(SCENE.network, SCENE.request, SCENE.receipt, ballots, Outputs(SCENE.outputs))


def test_verdicts_are_counted() -> None:
    said = [SCENE.ballot(0), SCENE.ballot(1), SCENE.ballot(2, REJECT), SCENE.ballot(3, Verdict.ABSTAIN)]
    assert count(*said) == Count(accepted=2, rejected=1, size=4, refused=False, same=True)
    assert count() == Count(0, 0, 4, refused=False, same=True)


def test_a_member_counts_once_however_often_it_is_shown() -> None:
    assert count(*[SCENE.ballot(1, REJECT)] * 5) == Count(0, 1, 4, refused=False, same=True)


def test_only_enough_weight_refuses_and_whose_outputs_differ_is_told() -> None:
    other = (floats("scores", 9.0, 9.0, 9.0),)
    honest = Ballot(
        member=2, commit=SCENE.commit(2, other), reveal=SCENE.reveal(2, other, distance=9), vote=SCENE.vote(2, REJECT)
    )
    assert count(SCENE.ballot(0), honest) == Count(1, 1, 4, refused=False, same=False)
    assert count(SCENE.ballot(1, REJECT), honest) == Count(0, 2, 4, refused=True, same=False)
    assert count(SCENE.ballot(0, REJECT), SCENE.ballot(1, REJECT)) == Count(0, 2, 4, refused=True, same=True)


def test_a_ballot_that_ends_with_its_commit_says_nothing() -> None:
    assert count(bent(SCENE.ballot(0), reveal=None, vote=None)) == Count(0, 0, 4, refused=False, same=True)


@pytest.mark.parametrize(
    "void",
    [
        bent(SCENE.ballot(0, REJECT), member=1),
        bent(SCENE.ballot(0, REJECT), member=4),
        bent(SCENE.ballot(0, REJECT), member=2**32 - 1),
        bent(SCENE.ballot(0, REJECT), reveal=None),
        bent(SCENE.ballot(0, REJECT), vote=SCENE.vote(1, REJECT)),
        bent(SCENE.ballot(0, REJECT), vote=SCENE.vote(0, REJECT, receipt=some_hash("another receipt"))),
        bent(SCENE.ballot(0, REJECT), vote=SCENE.vote(0, REJECT, epoch=8)),
        bent(SCENE.ballot(0, REJECT), commit=SCENE.commit(0, request=some_hash("another request"))),
        bent(SCENE.ballot(0, REJECT), commit=SCENE.commit(1)),
        bent(SCENE.ballot(0, REJECT), commit=SCENE.abstention(0)),
        bent(SCENE.ballot(0, REJECT), reveal=bent(SCENE.reveal(), outputs=some_hash("other outputs"))),
        bent(SCENE.ballot(0), vote=bent(SCENE.vote(0), signature=bytes(64))),
    ],
)
def test_a_void_ballot_counts_for_nobody(void: Ballot) -> None:
    assert count(void, SCENE.ballot(3)) == Count(1, 0, 4, refused=False, same=True)


@dataclass
class Verifiers:
    """A host on which each verifier answers in its own way: with a reply, an error, or never."""

    answers: Mapping[str, BallotReply | RemoteError | None]
    asked: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def exchange(self, peer_id: str, protocol: str) -> AsyncIterator[Channel]:
        assert protocol == "committee"
        self.asked.append(peer_id)
        answer = self.answers.get(peer_id, RemoteError(ErrorCode.UNREACHABLE, "nobody is there"))
        if isinstance(answer, RemoteError):
            raise answer
        yield Channel(answer)


@dataclass
class Channel:
    """One verifier's end."""

    answer: BallotReply | None

    async def send(self, question: Any) -> None:
        assert question == AskBallot(request=SCENE.request)

    async def receive(self, kind: type[BallotReply], *, timeout: float) -> BallotReply:  # noqa: ASYNC109  the real one's
        assert kind is BallotReply
        assert timeout == BALLOT_SECONDS
        if self.answer is None:
            await trio.sleep_forever()
        assert self.answer is not None
        return self.answer


@dataclass
class Shelf:
    """As much of a data directory and its store as keeping a fraud needs."""

    network: Network
    kept: list[Kept] = field(default_factory=list)
    frauds_changed: Signal = field(default_factory=Signal)

    @property
    def store(self) -> Shelf:
        return self

    @property
    def frauds(self) -> Shelf:
        return self

    def put(self, kept: Kept, data: bytes) -> bool:
        assert verify_fraud(data, self.network).valid
        self.kept.append(kept)
        return True

    async def in_thread(self, write: Callable[..., bool], *args: Any) -> bool:
        return write(*args)


@dataclass
class Town:
    """As much of a peer as `kept_back` needs."""

    host: Verifiers
    network: Network = SCENE.network
    local: Shelf = field(default_factory=lambda: Shelf(SCENE.network))

    def addresses_of(self, public: bytes) -> tuple[str, ...]:
        assert len(public) == 33
        return ()


def reply(member: int, verdict: Verdict | None = REJECT, receipt: SignedReceipt | None = SCENE.receipt) -> BallotReply:
    ballot = SCENE.ballot(member, verdict) if verdict else bent(SCENE.ballot(member), reveal=None, vote=None)
    return BallotReply(ballot=ballot, receipt=receipt)


async def heard(
    *answers: BallotReply | RemoteError | None, network: Network = SCENE.network, shelf: Shelf | None = None
) -> Count | None:
    named = {key.peer_id: answer for key, answer in zip(SCENE.keys, answers, strict=False)}
    town = Town(Verifiers(named), network, shelf or Shelf(network))
    return await kept_back(cast(Peer, town), SCENE.request)


async def test_everyone_is_asked_and_what_they_said_is_counted() -> None:
    assert await heard(reply(0), reply(1), reply(2), reply(3, Verdict.ACCEPT)) == Count(
        1, 3, 4, refused=True, same=True
    )


async def test_those_who_fail_or_are_silent_do_not_keep_the_others_back(autojump_clock: MockClock) -> None:
    before = autojump_clock.current_time()
    assert await heard(None, RemoteError(ErrorCode.NOT_FOUND, "nothing"), reply(2)) == Count(
        0, 1, 4, refused=False, same=True
    )
    assert autojump_clock.current_time() - before == pytest.approx(BALLOT_SECONDS)


async def test_when_nobody_knows_a_receipt_nothing_is_known() -> None:
    assert await heard() is None
    assert await heard(reply(0, None, None), reply(1, None, None)) is None


async def test_without_a_committee_nothing_is_known() -> None:
    assert await heard(network=bent(SCENE.network, verifiers=())) is None


async def test_one_member_s_other_receipt_does_not_hide_what_the_rest_rejected() -> None:
    another = SCENE.answer(outputs=some_hash("another answer"))
    for place in range(4):
        replies = [reply(n) for n in range(4)]
        replies[place] = bent(replies[place], receipt=another)
        shelf = Shelf(SCENE.network)
        found = await heard(*replies, shelf=shelf)
        assert found is not None
        assert found.rejected >= 3
        # A provider that signed two receipts has been caught by it.
        assert [(kept.kind, kept.culprit) for kept in shelf.kept] == [(FraudKind.TWO_RECEIPTS, SCENE.provider.address)]


async def test_a_provider_does_not_answer_for_a_receipt_that_it_never_signed() -> None:
    domain = SCENE.network.domain
    invented = sign_receipt(SCENE.receipt.receipt, key_of("verifier 0"), domain)
    elsewhere = SCENE.answer(request=some_hash("another request"))
    assert await heard(reply(0, REJECT, invented), reply(1, REJECT, elsewhere)) is None
