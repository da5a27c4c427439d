"""A committee over a generator's answer: shown the tokens, it seals its own scores, and then sees the provider's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import pytest
from typing_extensions import override

from engine.generation.generator import Generator
from tests.engine.generation.asking import asking
from tests.verify.scenes import NOW, SALT, SECRET, Scene, bent, some_hash
from tests.verify.test_forcing import CHEATS, answer, generator
from tests.verify.test_forcing import bent as forged
from verify import check_evidence, rests_on
from verify.agreement import to_execute
from verify.auditor import judge
from verify.ballots import Case, Sitting
from verify.bounds import LATE_MS
from verify.events import AnswerReady, MemberCommitted, MemberJudged
from verify.member import LocalMemberError, Member, ProviderEquivocation
from verify.receipts import check_tokens
from verify.round import Round
from verify.sealing import sealed, shown_hash, unsealed
from wire.arrays import to_array
from wire.auditing import AskAudit, Audited
from wire.cid import content_hash
from wire.errors import ErrorCode, RecordError, RemoteError
from wire.generation import generator_signature
from wire.inference import SignedReceipt, Usage
from wire.manifest import Manifest
from wire.tensors import Tensor
from wire.vote import Ballot, Verdict

WAY: dict[str, Any] = {"temperature": 1.0, "seed": 7}
PROMPT = "once upon a time"


@cache
def honest(tokens: int = 40) -> tuple[Tensor, ...]:
    return tuple(answer(tokens=tokens))


@dataclass(frozen=True)
class Story(Scene):
    """The scene of a generator, with its text."""

    tokens: int = 40

    @cached_property
    @override
    def inputs(self) -> tuple[Tensor, ...]:
        return tuple(asking(PROMPT, self.tokens, **WAY))

    @cached_property
    @override
    def manifest(self) -> Manifest:
        inputs, outputs = generator_signature(has_text=True)
        return bent(super().manifest, interface="generate", inputs=inputs, outputs=outputs)

    @cached_property
    @override
    def receipt(self) -> SignedReceipt:
        drawn = self.outputs[0].header.shape[0]
        return self.answer(usage=Usage(units=1, tokens_in=16, tokens_out=drawn, compute_us=900))

    @property
    def hidden(self) -> bytes:
        """The hash of the scores, which are last."""
        return content_hash(self.outputs[-1].data)

    @cached_property
    def case(self) -> Case:
        return Case(Sitting.of(self.network, self.request), self.receipt.receipt, sealed(self.manifest, self.outputs))

    def member(self, index: int = 0) -> Member:
        return Member(self.network, self.keys[index], self.request, NOW)

    def shown(self, index: int = 0) -> Member:
        seated = self.member(index)
        seated.show(self.receipt, unsealed(self.outputs), self.hidden)
        return seated

    def execute(self, it: Generator | None = None) -> list[Tensor]:
        """A verifier's own findings, with the model as it is or another."""
        given = to_execute(self.manifest, self.inputs, unsealed(self.outputs))
        return (it or generator()).run(given, Quiet())[0]

    def judged(self, own: Sequence[Tensor] | None = None, index: int = 0) -> tuple[Verdict, Ballot]:
        seated = self.shown(index)
        seated.commit(self.manifest, self.execute() if own is None else own, SALT)
        said = seated.judge(self.receipt, self.outputs, NOW)
        assert seated.ballot is not None
        return said.vote.vote.verdict, seated.ballot


class Quiet:
    """Nobody listens."""

    def say(self, piece: object) -> None: ...

    def stopped(self) -> bool:
        return False


STORY = Story(outputs=honest())
LONG = Story(outputs=honest(300), tokens=300)  # more scores than are opened whole


def one_token_changed() -> Story:
    tokens = to_array(honest()[0]).copy()
    tokens[9] = (tokens[9] + 1) % 200
    return Story(outputs=tuple(forged(honest(), tokens=tokens)))


@pytest.mark.parametrize("story", [STORY, LONG], ids=["short", "long"])
def test_an_honest_story_is_accepted_and_every_ballot_holds(story: Story) -> None:
    verdict, ballot = story.judged()
    assert verdict == Verdict.ACCEPT
    assert ballot.reveal is not None
    assert ballot.reveal.opening is not None  # its own scores, which are never the whole answer
    assert story.case.ballot_fault(ballot) is None


def test_one_changed_token_is_rejected_by_a_ballot_that_holds() -> None:
    story = one_token_changed()
    verdict, ballot = story.judged()
    assert verdict == Verdict.REJECT
    assert story.case.ballot_fault(ballot) is None


def test_a_cheaper_models_story_is_rejected() -> None:
    story = Story(outputs=tuple(answer(generator(CHEATS["INT8 weights"]), tokens=40)))
    assert story.judged()[0] == Verdict.REJECT


def test_a_committee_certifies_a_story_and_anyone_can_check_it() -> None:
    round_ = Round(STORY.network, STORY.request, NOW)
    round_.begin(NOW + 50_000)  # it took that long; who is late is counted from now on
    round_.handle(AnswerReady(STORY.receipt, sealed(STORY.manifest, STORY.outputs)), NOW + 50_000)
    for index in range(len(STORY.keys)):
        seated, public = STORY.shown(index), STORY.keys[index].public
        committed = seated.commit(STORY.manifest, STORY.execute(), SALT)
        round_.handle(MemberCommitted(public, committed.commit, ""), NOW + 50_010)
        said = seated.judge(STORY.receipt, STORY.outputs, NOW)
        round_.handle(MemberJudged(public, said.reveal, said.vote, said.reason), NOW + 50_020)
    outcome = round_.finish()
    assert outcome.evidence is not None
    certificate = bent(STORY.certificate(), quorum=outcome.evidence)
    claim = STORY.claim(certificate, outcome.ballots)
    assert [c for c in check_evidence(claim) if not c.ok] == []
    assert "each token is the one it drew itself" in rests_on(claim)[-1]
    # The same ballots do not stand for other scores: they were opened, and lie beside those.
    scores = to_array(STORY.outputs[-1]) + np.float32(0.5)
    other = Story(outputs=tuple(forged(STORY.outputs, scores=scores)))
    assert any(not c.ok for c in check_evidence(other.claim(certificate, outcome.ballots)))


def test_lateness_counts_from_when_members_could_begin() -> None:
    """A long generation before it must not give a silent member as long again."""
    story = Story(outputs=honest(), verifiers=8, size=4)
    round_, begun = Round(story.network, story.request, NOW), NOW + 40_000
    assert len(round_.committee.bench) == 1
    assert len(round_.begin(begun)) == 4
    round_.handle(AnswerReady(story.receipt, sealed(story.manifest, story.outputs)), begun)
    for index in (0, 1):
        commit = story.shown(index).commit(story.manifest, story.execute(), SALT).commit
        round_.handle(MemberCommitted(story.keys[index].public, commit, ""), begun + 20)
    assert begun < round_.due_ms <= begun + 20 + 100 + LATE_MS


class TestBeforeItCommits:
    def test_nothing_is_sealed_before_the_answer_is_shown(self) -> None:
        with pytest.raises(LocalMemberError, match="shown before"):
            STORY.member().commit(STORY.manifest, STORY.execute(), SALT)

    def test_no_other_models_answer_is_shown(self) -> None:
        scene = Scene()
        seated = Member(scene.network, scene.keys[0], scene.request, NOW)
        with pytest.raises(RemoteError, match="not the outputs"):
            seated.show(scene.receipt, scene.outputs, some_hash("scores"))

    @pytest.mark.parametrize("what", ["tokens", "text", "finish", "a tensor", "nothing", "scores", "signature"])
    def test_only_what_the_provider_signed_counts_as_shown(self, what: str) -> None:
        """Else a payer could have the committee commit on other tokens, and so spoil the provider's proof."""
        seated, receipt, hidden = STORY.member(), STORY.receipt, STORY.hidden
        tensors: list[Tensor] = unsealed(STORY.outputs)
        if what == "tokens":
            tensors = unsealed(one_token_changed().outputs)
        elif what in ("text", "finish"):
            tensors = unsealed(forged(STORY.outputs, **{what: "other"}))
        elif what == "a tensor":
            tensors = tensors[:-1]
        elif what == "nothing":
            tensors = []
        elif what == "scores":
            hidden = some_hash("other scores")
        else:
            receipt = bent(receipt, signature=bytes(65))
        with pytest.raises(RemoteError) as caught:
            seated.show(receipt, tensors, hidden)
        assert not caught.value.retry
        seated.show(STORY.receipt, unsealed(STORY.outputs), STORY.hidden)  # it is as it was
        seated.commit(STORY.manifest, STORY.execute(), SALT)
        assert seated.judge(STORY.receipt, STORY.outputs, NOW).vote.vote.verdict == Verdict.ACCEPT

    def test_the_scores_themselves_are_never_shown(self) -> None:
        with pytest.raises(RemoteError):
            STORY.member().show(STORY.receipt, STORY.outputs, STORY.hidden)

    def test_who_shows_one_receipt_and_is_judged_by_another_has_signed_two(self) -> None:
        second = STORY.answer(finished_ms=NOW + 21)
        seated = STORY.shown()
        with pytest.raises(ProviderEquivocation):
            seated.show(second, unsealed(STORY.outputs), STORY.hidden)
        seated.commit(STORY.manifest, STORY.execute(), SALT)
        with pytest.raises(ProviderEquivocation) as caught:
            seated.judge(second, STORY.outputs, NOW)
        assert (caught.value.first, caught.value.second) == (STORY.receipt, second)
        assert seated.judge(STORY.receipt, STORY.outputs, NOW).vote.vote.verdict == Verdict.ACCEPT


class TestLazyVerifiers:
    """They saw the tokens, and executed nothing: what they seal is no model's scores, and is looked at."""

    @pytest.mark.parametrize("story", [STORY, LONG], ids=["short", "long"])
    @pytest.mark.parametrize("guess", ["zeros", "the usual", "another order"])
    def test_who_invents_scores_has_no_valid_vote(self, story: Story, guess: str) -> None:
        own, true = story.execute(), to_array(story.outputs[-1])
        scores = {
            "zeros": np.zeros_like(true),
            "the usual": np.full_like(true, true.mean()),
            "another order": true[::-1],
        }[guess]
        # It lies to itself as well: what it seals are inventions, and what it compares are the provider's own.
        seated = story.shown()
        seated.commit(story.manifest, forged(own, scores=scores), SALT)
        seated._found = tuple(forged(own, scores=true))
        said = seated.judge(story.receipt, story.outputs, NOW)
        assert said.vote.vote.verdict == Verdict.ACCEPT
        assert seated.ballot is not None
        assert "beyond the tolerance" in str(story.case.ballot_fault(seated.ballot))

    def test_the_scores_hash_tells_nobody_the_scores(self) -> None:
        """All that is shown of them is one hash over all of their bits."""
        near = np.nextafter(to_array(STORY.outputs[-1]), np.float32(0))
        assert content_hash(near.tobytes()) != STORY.hidden
        assert shown_hash(unsealed(STORY.outputs), STORY.hidden) == STORY.receipt.receipt.outputs


class TestAnswersDrawnByLot:
    """The same check after the answer was given: nothing is sealed, and everything is shown."""

    def audited(self, outputs: Sequence[Tensor]) -> Audited:
        story = Story(outputs=tuple(outputs), tier="sampled")
        inputs, given = (tuple(t.header for t in tensors) for tensors in (story.inputs, story.outputs))
        asked = AskAudit(request=story.request, receipt=story.receipt, secret=SECRET, inputs=inputs, outputs=given)
        return judge(story.network, story.keys[0], story.manifest, asked, story.execute(), story.outputs, NOW + 100)

    def test_an_honest_story_is_agreed_with_at_a_distance(self) -> None:
        audit = self.audited(honest()).audit.audit
        assert (audit.verdict, audit.distance > 0) == (Verdict.ACCEPT, True)

    def test_a_forged_story_is_disputed_with_the_reason(self) -> None:
        said = self.audited(one_token_changed().outputs)
        assert said.audit.audit.verdict == Verdict.REJECT
        assert said.reason

    def test_outputs_of_another_form_are_disputed_and_no_error(self) -> None:
        assert self.audited(honest()[:-1]).audit.audit.verdict == Verdict.REJECT


def test_a_generators_answer_has_tokens_to_check() -> None:
    assert to_execute(STORY.manifest, STORY.inputs, unsealed(STORY.outputs))[-1] == STORY.outputs[0]
    assert to_execute(Scene().manifest, Scene().inputs, Scene().outputs) == list(Scene().inputs)
    with pytest.raises(RecordError, match="this one has none"):
        to_execute(STORY.manifest, STORY.inputs, STORY.outputs[1:])


def test_an_answer_without_a_score_for_each_token_is_refused_by_its_asker() -> None:
    assert check_tokens(STORY.manifest, STORY.receipt, STORY.input_set, STORY.outputs).ok
    short = forged(STORY.outputs, scores=to_array(STORY.outputs[-1])[:-1])
    wrong = check_tokens(STORY.manifest, STORY.receipt, STORY.input_set, short)
    assert not wrong.ok
    assert "a score for each" in wrong.detail


def test_a_verifier_that_cannot_execute_it_abstains_and_is_shown_nothing_more() -> None:
    seated = STORY.shown()
    assert seated.abstain("this verifier does not have that model").reason
    with pytest.raises(RemoteError) as caught:
        seated.judge(STORY.receipt, STORY.outputs, NOW)
    assert caught.value.code == ErrorCode.REFUSED
