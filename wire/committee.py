"""The messages of the committee stream; the order they come in stands in `vote`."""

from __future__ import annotations

from .auditing import Appeal, AskAudit
from .bounds import Hash32, Line
from .canonical import Record
from .inference import SignedReceipt, SignedRequest
from .tensors import Headers
from .vote import Ballot, Reveal, SignedCommit, SignedVote


class Shown(Record):
    """What a generator's check needs of the answer: the receipt, every output but the scores, and the hash of their
    bytes (`wire.generation`). So the provider is bound to all of it before anyone begins."""

    receipt: SignedReceipt
    outputs: Headers
    scores: Hash32


class Convene(Record, tag="convene", tag_field="type"):
    """Starts one member's round; the input tensors follow. `appeal`: why a sampled answer comes before a committee.
    `shown`: of a generator's answer; its tensors follow the inputs."""

    request: SignedRequest
    inputs: Headers
    appeal: Appeal | None = None
    shown: Shown | None = None


class Committed(Record, tag="committed", tag_field="type"):
    """The member executed and commits; a commitment of zeros abstains, and `reason` says why."""

    commit: SignedCommit
    reason: Line


class Judge(Record, tag="judge", tag_field="type"):
    """The provider's receipt and its outputs' headers; the output tensors follow."""

    receipt: SignedReceipt
    outputs: Headers


class Judged(Record, tag="judged", tag_field="type"):
    """The reveal and the vote."""

    reveal: Reveal
    vote: SignedVote
    reason: Line


class AskBallot(Record, tag="ballot", tag_field="type"):
    """What did this member say on that request? Only the payer that signed it is answered, so a provider can't hide
    a REJECT from whoever paid for the answer. Answered by a `BallotReply`, or NOT_FOUND."""

    request: SignedRequest


class BallotReply(Record, tag="ballot_reply", tag_field="type"):
    """The member's stored ballot and the receipt it judged (absent before judgement)."""

    ballot: Ballot
    receipt: SignedReceipt | None


CommitteeRequest = Convene | Judge | AskBallot | AskAudit
