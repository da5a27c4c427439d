"""What a committee round hears, what it asks its driver to do, and how it ends. The rules stand in `round`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from wire.certificate import QuorumEvidence
from wire.inference import SignedReceipt
from wire.vote import Ballot, Reveal, SignedCommit, SignedVote, Verdict

from .openings import Outputs


@dataclass(frozen=True, slots=True)
class MemberCommitted:
    """A member (its 33-byte key) sent its commit; `reason` says why where it abstains."""

    member: bytes
    commit: SignedCommit
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AnswerReady:
    """The provider's receipt and outputs are here; the driver has checked them (`receipts.check_answer`)."""

    receipt: SignedReceipt
    outputs: Outputs


@dataclass(frozen=True, slots=True)
class MemberJudged:
    """A member sent its reveal and vote."""

    member: bytes
    reveal: Reveal
    vote: SignedVote
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MemberFailed:
    """A member cannot be reached, broke off, or sent what is no record."""

    member: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class TimePassed:
    """Nothing but time, which every event brings."""


Event = MemberCommitted | AnswerReady | MemberJudged | MemberFailed | TimePassed


@dataclass(frozen=True, slots=True)
class CallMember:
    """Send the request to this member, or to this reserve: it sits from now on."""

    member: bytes


@dataclass(frozen=True, slots=True)
class SendReceipt:
    """Show the answer to this member now: it has committed."""

    member: bytes


@dataclass(frozen=True, slots=True)
class Faulted:
    """This member said something void; nothing more of it will count."""

    member: bytes
    reason: str


Effect = CallMember | SendReceipt | Faulted


class Phase(Enum):
    """Where a member or a reserve stands."""

    BENCH = "on the bench"
    WAITING = "executing"
    SEALED = "committed"
    JUDGING = "judging"
    VOTED = "voted"
    ABSTAINED = "abstained"
    FAILED = "failed"
    FAULTY = "faulty"


@dataclass(frozen=True, slots=True)
class Tally:
    """What the places count that stand here or there: together, all of members and bench."""

    accept: int
    reject: int
    silent: int  # abstained, failed, faulty
    outstanding: int  # those who sit, and have not said yet
    bench: int  # reserves that were not called


@dataclass(frozen=True, slots=True)
class Standing:
    """One member at the end, for a person: its 33-byte key, its phase and verdict, and the reason it gave."""

    member: bytes
    phase: Phase
    verdict: Verdict | None
    reason: str
    fault: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the round ended. `rejected`: so much weight rejected that no quorum was left, the bench counted too;
    `inconclusive`: neither.

    `evidence` certifies the answer; `rejection` is there instead where REJECT itself has the quorum.
    """

    result: Literal["certified", "rejected", "inconclusive"]
    evidence: QuorumEvidence | None
    rejection: QuorumEvidence | None
    ballots: tuple[Ballot, ...]
    standings: tuple[Standing, ...]
    reason: str
