"""What an adversary does that holds a share of the stake. Its verifiers act as one, and none of them is slow or dead.

lies       the provider signs a false answer, and every verifier of the adversary's votes for it
reserves   the same, and the convener is the adversary's as well: it hears nobody else, and so calls the whole bench
grinds     the same, and who asks is, too: it tries requests until it likes the committee, and sends the best one
copies     its verifiers execute nothing: they sign the commitment of the first honest one that they overhear, and
           later show the provider's outputs for their own; `copies a lie` is the same under a false answer
silent     a true answer: one half of them never commits, the other half never votes
rejects    a true answer: they seal another one, and reject it
splits     the provider signs two receipts for one request, and shows either to a half of the honest; the
           adversary's verifiers vote for both
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from verify.distance import IDENTICAL
from wire.inference import SignedReceipt
from wire.keys import NodeKey
from wire.vote import Commit, Reveal, SignedCommit, SignedVote, Verdict, Vote

from .words import FALSE, TRUE, Answer, Asked, Words, salt_of


class Conduct(Enum):
    """What the adversary's verifiers do in a round."""

    SEAL_TRUE = "executes"
    SEAL_FALSE = "seals a lie"
    SILENT = "is silent"
    COPY = "copies"


@dataclass(frozen=True)
class Scenario:
    """One adversary. `hears`: whom the convener listens to: everybody, the adversary's own, or a half beside them."""

    name: str
    answer: Answer
    conduct: Conduct
    hears: str = "everybody"

    @property
    def false(self) -> bool:
        """Whether what is signed is a lie."""
        return self.answer is FALSE


LIES = Scenario("lies", FALSE, Conduct.SEAL_FALSE)
RESERVES = Scenario("reserves", FALSE, Conduct.SEAL_FALSE, hears="its own")
COPIES_A_LIE = Scenario("copies a lie", FALSE, Conduct.COPY)
SILENT = Scenario("silent", TRUE, Conduct.SILENT)
REJECTS = Scenario("rejects", TRUE, Conduct.SEAL_FALSE)
COPIES = Scenario("copies", TRUE, Conduct.COPY)
SPLITS = Scenario("splits", TRUE, Conduct.SEAL_TRUE, hears="one half")
SCENARIOS = {s.name: s for s in (LIES, RESERVES, COPIES_A_LIE, SILENT, REJECTS, COPIES, SPLITS)}
GRINDS = "grinds"  # is `reserves` at the best of `TRIES` requests
TRIES = 10


class Copier:
    """One of the adversary's that executes nothing."""

    def __init__(self, asked: Asked, key: NodeKey, words: Words) -> None:
        self._asked, self._key, self._words = asked, key, words

    def commit(self, other: SignedCommit) -> SignedCommit:
        """Another's commitment under a signature of its own; it is bound to the other's key."""
        asked, sealed = self._asked, other.commit.commitment
        commit = Commit(
            request=asked.digest, committee=asked.committee.root, epoch=asked.committee.epoch, commitment=sealed
        )
        return self._words.sign_commit(commit, self._key, asked.network.domain)

    def judge(self, receipt: SignedReceipt, answer: Answer) -> tuple[Reveal, SignedVote]:
        """It accepts, and says that it had found the very same."""
        asked = self._asked
        reveal = Reveal(
            outputs=answer.hash,
            root=answer.sealed.root,
            salt=salt_of(self._key, asked.digest),
            distance=IDENTICAL,
            opening=None,
        )
        vote = Vote(
            receipt=receipt.receipt.digest(asked.network.domain),
            committee=asked.committee.root,
            epoch=asked.committee.epoch,
            verdict=Verdict.ACCEPT,
        )
        return reveal, self._words.sign_vote(vote, self._key, asked.network.domain)
